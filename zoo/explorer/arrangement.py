"""Operations that put numbers elsewhere, as calls of the explorer's kernels."""

import functools
import math
from collections.abc import Callable, Sequence

import numpy as np

from zoo.explorer.program import Value, bits
from zoo.explorer.state import Op, State, Unknown, broadcast, declared, strides_of

LOWERINGS: dict[str, Callable] = {}
lowers = functools.partial(declared, LOWERINGS)


@lowers("ConcatV2")
def _concat(state: State, op: Op) -> Value:
    axis = int(op.constant(len(op.inputs) - 1)) % len(op.shape)
    return state.stacked(op.inputs[:-1], axis, op.shape)


@lowers("Pack")
def _pack(state: State, op: Op) -> Value:
    axis = op.attr("axis") % len(op.shape)
    parts = [v.reshaped([*v.shape[:axis], 1, *v.shape[axis:]]) for v in op.inputs]
    return state.stacked(parts, axis, op.shape)


def _parts(state: State, value: Value, axis: int, sizes: Sequence[int]) -> list[Value]:
    strides, start, parts = strides_of(value.shape), 0, []
    for size in sizes:
        shape = [*value.shape[:axis], int(size), *value.shape[axis + 1 :]]
        parts.append(state.moved(value, shape, strides, start * strides[axis]))
        start += int(size)
    return parts


@lowers("IdentityN")
def _identity_n(state: State, op: Op) -> list[Value]:
    # A function with a gradient of its own, such as silu, ends with it.
    del state
    return op.inputs


@lowers("Split")
def _split(state: State, op: Op) -> list[Value]:
    value, count = op.inputs[1], op.attr("num_split")
    axis = int(op.constant(0)) % len(value.shape)
    return _parts(state, value, axis, [value.shape[axis] // count] * count)


@lowers("SplitV")
def _split_v(state: State, op: Op) -> list[Value]:
    value = op.inputs[0]
    axis = int(op.constant(2)) % len(value.shape)
    sizes = [state.graph.shapes[t.name][axis] for t in op.operation.outputs]
    return _parts(state, value, axis, sizes)


@lowers("Unpack")
def _unpack(state: State, op: Op) -> list[Value]:
    (value,) = op.inputs
    axis = op.attr("axis") % len(value.shape)
    return _parts(state, value, axis, [1] * value.shape[axis])


@lowers("Transpose")
def _transpose(state: State, op: Op) -> Value:
    return state.transposed(op.inputs[0], [int(i) for i in op.constant(1)])


@lowers("StridedSlice")
def _strided_slice(state: State, op: Op) -> Value:
    value = op.inputs[0]
    # What a slice takes is found by slicing the numbers of the axes.
    masks = {name: op.attr(f"{name}_mask") for name in ("begin", "end", "ellipsis", "new_axis")}
    arguments = [op.constant(i) for i in (1, 2, 3)]
    masks["shrink_axis"] = op.attr("shrink_axis_mask")
    if masks["new_axis"] or masks["ellipsis"]:
        index, axis = [], 0
        for i in range(len(arguments[0])):
            if masks["ellipsis"] >> i & 1:
                rest = [
                    j for j in range(i + 1, len(arguments[0])) if not masks["new_axis"] >> j & 1
                ]
                index += [slice(None)] * (len(value.shape) - axis - len(rest))
                axis = len(value.shape) - len(rest)
            elif not masks["new_axis"] >> i & 1:
                index.append(_slice(arguments, masks, i))
                axis += 1
    else:
        index = [_slice(arguments, masks, i) for i in range(len(arguments[0]))]
    index += [slice(None)] * (len(value.shape) - len(index))
    shape, strides, start = [], [], 0
    for size, stride, taken in zip(value.shape, strides_of(value.shape), index, strict=True):
        places = (
            range(size)[taken]
            if isinstance(taken, slice)
            else range(size)[taken : taken + 1 or None]
        )
        shape.append(len(places))
        strides.append(stride * places.step)
        start += stride * (places[0] if len(places) else 0)
    return state.moved(value, shape, strides, start).reshaped(op.shape)


def _slice(arguments, masks, i: int):
    begin, end, step = (int(part[i]) for part in arguments)
    if masks["shrink_axis"] >> i & 1:
        return begin
    begin = None if masks["begin"] >> i & 1 else begin
    return slice(begin, None if masks["end"] >> i & 1 else end, step)


@lowers("Slice")
def _plain_slice(state: State, op: Op) -> Value:
    value, begin = op.inputs[0], op.constant(1)
    strides = strides_of(value.shape)
    return state.moved(value, op.shape, strides, int(np.dot(begin, strides)))


@lowers("ReverseV2")
def _reverse(state: State, op: Op) -> Value:
    value = op.inputs[0]
    strides, start = strides_of(value.shape), 0
    for axis in {int(axis) % len(value.shape) for axis in op.constant(1)}:
        start += (value.shape[axis] - 1) * strides[axis]
        strides[axis] = -strides[axis]
    return state.moved(value, value.shape, strides, start)


@lowers("Tile")
def _tile(state: State, op: Op) -> Value:
    value, counts = op.inputs[0], op.constant(1)
    shape, strides = [], []
    for size, stride, count in zip(value.shape, strides_of(value.shape), counts, strict=True):
        shape += [int(count), size]
        strides += [0, stride]
    return state.moved(value, shape, strides).reshaped(op.shape)


@lowers("BroadcastTo")
def _broadcast_to(state: State, op: Op) -> Value:
    value = op.inputs[0]
    return state.moved(value, op.shape, broadcast(value.shape, op.shape))


@lowers("Pad", "PadV2")
def _pad(state: State, op: Op) -> Value:
    value, before = op.inputs[0], op.constant(1)[:, 0]
    number = float(op.constant(2)) if op.operation.type == "PadV2" else 0.0
    out = state.builder.buffer(op.shape)
    state.builder.step("fill", [], [math.prod(op.shape), bits(number)], out)
    strides = strides_of(op.shape)
    start = int(np.dot(before, strides))
    return state.moved(value, value.shape, strides_of(value.shape), 0, out, strides, start)


@lowers("GatherV2")
def _gather(state: State, op: Op) -> Value:
    value, places = op.inputs[:2]
    if op.attr("batch_dims"):
        raise Unknown("axes of a batch")
    axis = int(op.constant(2)) % len(value.shape)
    outer, inner = math.prod(value.shape[:axis]), math.prod(value.shape[axis + 1 :])
    integers = (outer, value.shape[axis], inner, places.size)
    return state.builder.step("take", [value, places], integers, op.shape)
