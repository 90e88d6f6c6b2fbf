"""TensorFlow's operations as calls of the explorer's kernels (`kernels.c`).

A lowering takes the state of one program and an operation, and returns the operation's outputs.
Tensors have known shapes and a batch of one.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from zoo.errors import UserError
from zoo.explorer import tracing
from zoo.explorer.program import Builder, Constants, Value, bits

_UNARY = ("Neg Abs Square Sqrt Rsqrt Reciprocal Exp Log Log1p Sigmoid Tanh Softplus Erf Erfc Relu "
          "LeakyRelu Elu Sign Gelu").split()  # fmt: skip
_BINARY = ("AddV2 Sub Mul RealDiv Maximum Minimum SquaredDifference Pow Greater GreaterEqual "
           "Equal").split()  # fmt: skip
_REDUCTIONS = "Sum Mean Max Min Prod".split()
_SAME = ("Identity Reshape Squeeze ExpandDims StopGradient PreventGradient Snapshot Cast "
         "CheckNumerics EnsureShape").split()  # fmt: skip
_LOWERINGS: dict[str, Callable] = {}


class OperationError(UserError):
    """An operation of a model that the explorer cannot run."""


def lowers(*types: str) -> Callable:
    """Declares the lowering of operations of some types."""

    def declare(lowering: Callable) -> Callable:
        _LOWERINGS.update(dict.fromkeys(types, lowering))
        return lowering

    return declare


def program(
    function: Callable[..., Mapping[str, tf.Tensor]],
    arguments: Mapping[str, tf.TensorSpec],
    constants: Constants,
    name: str,
) -> dict:
    """A function as a program of kernels, as `Builder.planned` returns it.

    Args:
        function: takes tensors, returns tensors by name.
        arguments: what it takes, by name; all shapes known.
        constants: where its constants go.
        name: of the model, for errors.

    Raises:
        OperationError: it has an operation that cannot be lowered.
    """
    graph = tracing.trace(function, arguments, _LOWERINGS.__contains__)
    lowering = _Lowering(graph, constants)
    inputs = {key: lowering.take_input(tensor) for key, tensor in graph.inputs.items()}
    for operation in graph.operations:
        if operation.type == "Placeholder":
            continue
        try:
            lowering.lower(operation)
        except _Unknown as error:
            raise OperationError(
                f"{name}: the explorer cannot run the operation {operation.type}"
                f"{error.detail} ({operation.name}); write that part of the model with other "
                "operations, or explore another model"
            ) from None
    outputs = {key: lowering.value(tensor) for key, tensor in graph.outputs.items()}
    return lowering.builder.planned(inputs, outputs)


class _Unknown(Exception):
    """An operation without lowering; `detail` says what of it."""

    def __init__(self, detail: str = ""):
        super().__init__(detail)
        self.detail = detail and f" with {detail}"


@dataclasses.dataclass
class _Op:
    """An operation, with its inputs as tensors of the program."""

    operation: tf.Operation
    state: "_Lowering"

    @property
    def inputs(self) -> list[Value]:
        return [self.state.value(tensor.name) for tensor in self.operation.inputs]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of its first output."""
        return self.state.graph.shapes[self.operation.outputs[0].name]

    def attr(self, name: str):
        return self.operation.get_attr(name)

    def constant(self, number: int) -> np.ndarray:
        """The value of an input that must be a constant."""
        name = self.operation.inputs[number].name
        if name not in self.state.graph.folded:
            raise _Unknown(f"an input {number} that is no constant")
        return self.state.graph.folded[name]


class _Lowering:
    """The state of a program while it is written."""

    def __init__(self, graph: tracing.Graph, constants: Constants):
        self.graph, self.constants, self.builder = graph, constants, Builder(constants)
        self._values: dict[str, Value] = {}
        # Functions that share a part are traced apart; the same calls are made once.
        self._known: dict[tuple, list[Value]] = {}
        self._takers: dict[str, int] = {}
        for operation in graph.operations:
            for tensor in operation.inputs:
                self._takers[tensor.name] = self._takers.get(tensor.name, 0) + 1
        for name in graph.outputs.values():
            self._takers[name] = self._takers.get(name, 0) + 1

    def take_input(self, name: str) -> Value:
        self._values[name] = self.builder.buffer(self.graph.shapes[name])
        return self._values[name]

    def value(self, name: str) -> Value:
        """A tensor by its name in the graph."""
        if name not in self._values:
            self._values[name] = self.constants.add(self.graph.folded[name])
        return self._values[name]

    def lower(self, operation: tf.Operation) -> None:
        op = _Op(operation, self)
        if operation.type not in _LOWERINGS:
            raise _Unknown()
        inputs = [self.value(tensor.name) for tensor in operation.inputs]
        shapes = [self.graph.shapes[t.name] for t in operation.outputs]
        attributes = {
            key: value
            for key, value in operation.node_def.attr.items()
            if key != "_output_shapes" and not key.startswith("_")
        }
        key = (
            operation.type,
            tuple(inputs),
            str(shapes),
            str(sorted(attributes.items(), key=_key)),
        )
        if key not in self._known:
            made = _LOWERINGS[operation.type](self, op)
            self._known[key] = [made] if isinstance(made, Value) else list(made)
        for tensor, shape, value in zip(operation.outputs, shapes, self._known[key], strict=False):
            self._values[tensor.name] = value.reshaped(shape)

    def alone(self, tensor) -> bool:
        """Whether one operation alone takes a tensor, and what it is another shape of."""
        while self._takers.get(tensor.name, 0) == 1:
            if tensor.op.type not in _SAME:
                return True
            tensor = tensor.op.inputs[0]
        return False

    def unary(self, name: str, value: Value, slope: float = 0.0) -> Value:
        integers = (_UNARY.index(name), value.size, bits(slope))
        return self.builder.step("unary", [value], integers, value.shape)

    def binary(self, name: str, left: Value, right: Value) -> Value:
        """Entry by entry, with broadcasting."""
        shape = np.broadcast_shapes(left.shape, right.shape)
        of_left, of_right = (_broadcast(value.shape, shape) for value in (left, right))
        axes = _merged(shape, of_left, of_right)
        integers = (_BINARY.index(name), len(axes[0]), *axes[0], *axes[1], *axes[2])
        return self.builder.step("binary", [left, right], integers, shape)

    def scalar(self, number: float) -> Value:
        return self.constants.add(np.float32(number))

    def moved(
        self,
        value: Value,
        shape: Sequence[int],
        strides: Sequence[int],
        start: int = 0,
        out: Value | None = None,
        out_strides: Sequence[int] | None = None,
        out_start: int = 0,
    ) -> Value:
        """Numbers at other places: `out[out_start + i . out_strides] = value[start + i . strides]`.

        Constants are moved here and now where they become no larger.
        """
        shape = tuple(int(size) for size in shape)
        if out is None and value.buffer < 0 and math.prod(shape) <= value.size:
            flat = self.constants.array(value).ravel()
            places = np.full(shape, start)
            for axis, (size, stride) in enumerate(zip(shape, strides, strict=True)):
                steps = np.arange(size) * stride
                places += steps.reshape([-1 if i == axis else 1 for i in range(len(shape))])
            return self.constants.add(flat[places])
        out_strides = _strides(shape) if out_strides is None else out_strides
        sizes, inner, outer = _merged(shape, strides, out_strides)
        integers = (start, out_start, len(sizes), *sizes, *inner, *outer)
        return self.builder.step("copy", [value], integers, shape if out is None else out)

    def transposed(self, value: Value, order: Sequence[int]) -> Value:
        if list(order) == sorted(order):
            return value
        strides = _strides(value.shape)
        return self.moved(value, [value.shape[i] for i in order], [strides[i] for i in order])

    def matmul(self, left: Value, right: Value) -> Value:
        """`[..., m, k]` times `[..., k, n]`, leading axes broadcast."""
        *_, m, k = left.shape
        columns = right.shape[-1]
        batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
        count = math.prod(batch)
        steps = []
        for name, value in (("left", left), ("right", right)):
            leading = value.shape[:-2]
            if math.prod(leading) not in (1, count):
                full = (*batch, *value.shape[-2:])
                value = self.moved(value, full, _broadcast(value.shape, full))
            steps.append(0 if math.prod(leading) == 1 else math.prod(value.shape[-2:]))
            left, right = (value, right) if name == "left" else (left, value)
        if steps[1] == 0 and count > 1 and steps[0]:
            # One right matrix for all: the rows of all left ones in one product.
            count, m, steps = 1, count * m, [0, 0]
        shape = (*batch, left.shape[-2], columns)
        integers = (count, m, k, columns, *steps, 0)
        return self.builder.step("matmul", [left, right], integers, shape)

    def reduced(self, name: str, value: Value, axes: Sequence[int]) -> Value:
        axes = sorted(int(axis) % len(value.shape) for axis in np.ravel(axes))
        kept = [axis for axis in range(len(value.shape)) if axis not in axes]
        if axes and axes != list(range(axes[0], axes[-1] + 1)):
            value, axes = (
                self.transposed(value, [*kept, *axes]),
                list(range(len(kept), len(value.shape))),
            )
            kept = list(range(len(kept)))
        if not axes:
            return value
        outer, inner = math.prod(value.shape[: axes[0]]), math.prod(value.shape[axes[-1] + 1 :])
        count = math.prod(value.shape[axis] for axis in axes)
        integers = (_REDUCTIONS.index(name), outer, count, inner)
        return self.builder.step("reduce", [value], integers, [value.shape[axis] for axis in kept])


def _key(item):
    return item[0]


def _strides(shape: Sequence[int]) -> list[int]:
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def _broadcast(shape: Sequence[int], to: Sequence[int]) -> list[int]:
    """The strides of a tensor that is broadcast."""
    own = [0 if size == 1 else s for size, s in zip(shape, _strides(shape), strict=True)]
    return [0] * (len(to) - len(shape)) + own


def _merged(shape, *strides) -> list[list[int]]:
    """Sizes and strides with as few axes as say the same; at least one."""
    kept = [axis for axis, size in enumerate(shape) if size != 1]
    sizes = [int(shape[axis]) for axis in kept]
    lists = [[int(of[axis]) for axis in kept] for of in strides]
    axis = len(sizes) - 2
    while axis >= 0:
        if all(of[axis] == of[axis + 1] * sizes[axis + 1] for of in lists):
            sizes[axis : axis + 2] = [sizes[axis] * sizes[axis + 1]]
            for of in lists:
                del of[axis]
        axis -= 1
    return [sizes, *lists] if sizes else [[1], *([0] for _ in lists)]


@lowers(*_SAME)
def _same(state: _Lowering, op: _Op) -> Value:
    if op.operation.type == "Cast" and tf.as_dtype(op.attr("DstT")).is_integer:
        raise _Unknown(f"integers as result ({op.attr('DstT').name})")
    return op.inputs[0].reshaped(op.shape)


@lowers(*_UNARY, "Inv")
def _unary(state: _Lowering, op: _Op) -> Value:
    kind = "Reciprocal" if op.operation.type == "Inv" else op.operation.type
    if kind == "Relu" and state.alone(op.operation.inputs[0]):
        if made := state.builder.extended(op.inputs[0], None, True, 0):
            return made
    return state.unary(kind, op.inputs[0], op.attr("alpha") if kind == "LeakyRelu" else 0.0)


@lowers("Relu6")
def _relu6(state: _Lowering, op: _Op) -> Value:
    return state.binary("Minimum", state.unary("Relu", op.inputs[0]), state.scalar(6))


@lowers("BiasAdd", *_BINARY, "Add", "Div")
def _binary(state: _Lowering, op: _Op) -> Value:
    names = {"BiasAdd": "AddV2", "Add": "AddV2", "Div": "RealDiv"}
    kind = names.get(op.operation.type, op.operation.type)
    left, right = op.inputs
    if kind == "Mul" and (tensor := _gelu_of(state, op.operation)) is not None:
        return state.unary("Gelu", state.value(tensor.name))
    if kind == "AddV2" and right.buffer < 0 and right.size == (left.shape or (0,))[-1]:
        bias = right.reshaped((right.size,))
        if left.shape == op.shape and state.alone(op.operation.inputs[0]):
            if made := state.builder.extended(left, bias, False, right.size):
                return made
    if kind == "Pow" and right.buffer < 0 and (state.constants.array(right) == 2).all():
        return state.binary("Mul", left, left)
    return state.binary(kind, left, right)


def _gelu_of(state: _Lowering, product: tf.Operation) -> tf.Tensor | None:
    """The x of a product `0.5 x erfc(-x / sqrt(2))`, as TensorFlow writes GELU."""
    for half, share in (product.inputs, list(product.inputs)[::-1]):
        x, scaled = _scaled(state, half.op, 0.5), None
        if x is not None and share.op.type == "Erfc":
            scaled = _scaled(state, share.op.inputs[0].op, math.sqrt(0.5))
        if scaled is not None and scaled.op.type == "Neg" and scaled.op.inputs[0].name == x.name:
            return x
    return None


def _scaled(state: _Lowering, product: tf.Operation, factor: float) -> tf.Tensor | None:
    """What a product multiplies by a number."""
    if product.type == "Mul":
        for constant, other in (product.inputs, list(product.inputs)[::-1]):
            value = state.graph.folded.get(constant.name)
            if value is not None and value.size == 1 and math.isclose(value, factor, rel_tol=1e-6):
                return other
    return None


@lowers("AddN")
def _add_n(state: _Lowering, op: _Op) -> Value:
    total, *others = op.inputs
    for other in others:
        total = state.binary("AddV2", total, other)
    return total


@lowers("Select", "SelectV2")
def _select(state: _Lowering, op: _Op) -> Value:
    full = [
        v if v.shape == op.shape else state.moved(v, op.shape, _broadcast(v.shape, op.shape))
        for v in op.inputs
    ]
    return state.builder.step("select", full, [math.prod(op.shape)], op.shape)


@lowers("Less", "LessEqual")
def _less(state: _Lowering, op: _Op) -> Value:
    kind = {"Less": "Greater", "LessEqual": "GreaterEqual"}[op.operation.type]
    return state.binary(kind, *op.inputs[::-1])


@lowers("IsFinite")
def _is_finite(state: _Lowering, op: _Op) -> Value:
    (value,) = op.inputs
    return state.binary("Equal", state.binary("Sub", value, value), state.scalar(0))


@lowers("OneHot")
def _one_hot(state: _Lowering, op: _Op) -> Value:
    indices, depth = op.inputs[0], int(op.constant(1))
    if (
        op.attr("axis") not in (-1, len(indices.shape))
        or op.constant(2) != 1
        or op.constant(3) != 0
    ):
        raise _Unknown("another axis or other values than one and zero")
    numbers = state.constants.add(np.arange(depth))
    return state.binary("Equal", indices.reshaped((*indices.shape, 1)), numbers)


@lowers("MatMul", "BatchMatMulV2", "BatchMatMul", "BatchMatMulV3")
def _matmul(state: _Lowering, op: _Op) -> Value:
    left, right = op.inputs
    turned = ("transpose_a", "transpose_b") if op.operation.type == "MatMul" else ("adj_x", "adj_y")
    left, right = (
        state.transposed(value, [*range(len(value.shape) - 2), -1, -2]) if op.attr(name) else value
        for value, name in zip((left, right), turned, strict=True)
    )
    return state.matmul(left, right)


@lowers("Einsum")
def _einsum(state: _Lowering, op: _Op) -> Value:
    equation = op.attr("equation").decode()
    sources, result = equation.replace(" ", "").split("->")
    sources = sources.split(",")
    if len(sources) != 2 or "." in equation or any(len(set(s)) < len(s) for s in sources):
        raise _Unknown(f"the equation {equation}")
    sizes = {
        letter: size
        for letters, value in zip(sources, op.inputs, strict=True)
        for letter, size in zip(letters, value.shape, strict=True)
    }
    values = []
    for letters, value, other in zip(sources, op.inputs, sources[::-1], strict=True):
        lonely = [i for i, letter in enumerate(letters) if letter not in other + result]
        values.append(state.reduced("Sum", value, lonely) if lonely else value)
    first, second = (
        "".join(letter for letter in letters if letter in other + result)
        for letters, other in zip(sources, sources[::-1], strict=True)
    )
    batch = [letter for letter in first if letter in second and letter in result]
    summed = [letter for letter in first if letter in second and letter not in result]
    rows = [letter for letter in first if letter not in second]
    columns = [letter for letter in second if letter not in first]

    def arranged(letters, value, *groups):
        order = [letters.index(letter) for group in groups for letter in group]
        shape = [math.prod(sizes[letter] for letter in group) for group in groups]
        return state.transposed(value, order).reshaped(shape)

    product = state.matmul(
        arranged(first, values[0], batch, rows, summed),
        arranged(second, values[1], batch, summed, columns),
    )
    made = [*batch, *rows, *columns]
    product = product.reshaped([sizes[letter] for letter in made])
    return state.transposed(product, [made.index(letter) for letter in result])


@lowers("Softmax", "LogSoftmax")
def _softmax(state: _Lowering, op: _Op) -> Value:
    (value,) = op.inputs
    integers = (value.size // value.shape[-1], value.shape[-1])
    shares = state.builder.step("softmax", [value], integers, value.shape)
    return state.unary("Log", shares) if op.operation.type == "LogSoftmax" else shares


@lowers(*_REDUCTIONS)
def _reduction(state: _Lowering, op: _Op) -> Value:
    return state.reduced(op.operation.type, op.inputs[0], op.constant(1))


@lowers("FusedBatchNormV3", "FusedBatchNorm")
def _batch_norm(state: _Lowering, op: _Op) -> Value:
    if op.attr("is_training"):
        raise _Unknown("statistics of the batch")
    value, scale, offset, mean, variance = op.inputs
    deviation = state.binary("AddV2", variance, state.scalar(op.attr("epsilon")))
    factor = state.binary("Mul", scale, state.unary("Rsqrt", deviation))
    value = state.binary("Mul", state.binary("Sub", value, mean), factor)
    return state.binary("AddV2", value, offset)


def _geometry(op: _Op, image, patches, kernel, transposed: bool = False) -> list[int]:
    """The integers of `patches` and `overlap`, without their last."""
    if op.attr("data_format") != b"NHWC":
        raise _Unknown("channels first")
    strides, dilations = op.attr("strides")[1:3], op.attr("dilations")[1:3]
    padding = op.attr("padding")
    if padding == b"EXPLICIT":
        before = op.attr("explicit_paddings")[2:6:2]
    else:
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        spans = [(n - 1) * s + r for n, s, r in zip(patches, strides, reach, strict=True)]
        before = [max(s - n, 0) // 2 for s, n in zip(spans, image, strict=False)]
        if padding == b"VALID":
            before = [0, 0]
    return [*image, *patches, *kernel, *strides, *before, *dilations]


@lowers("Conv2D")
def _conv(state: _Lowering, op: _Op) -> Value:
    image, kernel = op.inputs
    batch, height, width, channels = image.shape
    sides, filters = kernel.shape[:2], kernel.shape[3]
    if kernel.shape[2] != channels:
        raise _Unknown("groups of channels")
    h, w = op.shape[1:3]
    integers = _geometry(op, (height, width, channels), (h, w), sides)
    terms = math.prod(kernel.shape[:3])
    results = []
    for number in range(batch):
        patches = image
        if batch > 1:
            shape = image.shape[1:]
            patches = state.moved(
                image, shape, _strides(image.shape)[1:], number * math.prod(shape)
            )
        if integers[5:11] != [1, 1, 1, 1, 0, 0]:
            patches = state.builder.step("patches", [patches], integers, (h * w, terms))
        results.append(
            state.matmul(patches.reshaped((h * w, terms)), kernel.reshaped((terms, filters)))
        )
    return _stacked(state, results, 0, op.shape)


@lowers("Conv2DBackpropInput")
def _conv_transposed(state: _Lowering, op: _Op) -> Value:
    _, kernel, image = op.inputs
    batch, h, w, channels = image.shape
    sides, filters = kernel.shape[:2], kernel.shape[2]
    integers = _geometry(op, (*op.shape[1:3], filters), (h, w), sides)
    right = state.transposed(kernel.reshaped((math.prod(kernel.shape[:3]), channels)), [1, 0])
    patches = state.matmul(image.reshaped((batch * h * w, channels)), right)
    results = []
    for number in range(batch):
        one = patches
        if batch > 1:
            size = patches.size // batch
            one = state.moved(patches, [size], [1], number * size)
        results.append(state.builder.step("overlap", [one], [*integers, 0], op.shape[1:]))
    return _stacked(state, results, 0, op.shape)


def _stacked(state: _Lowering, parts: Sequence[Value], axis: int, shape) -> Value:
    """Parts side by side along an axis that they all have; in the end of that shape."""
    if len(parts) == 1:
        return parts[0].reshaped(shape)
    full = list(parts[0].shape)
    full[axis] = sum(part.shape[axis] for part in parts)
    out, strides, start = state.builder.buffer(full), _strides(full), 0
    for part in parts:
        state.moved(part, part.shape, _strides(part.shape), 0, out, strides, start * strides[axis])
        start += part.shape[axis]
    return out.reshaped(shape)


@lowers("ConcatV2")
def _concat(state: _Lowering, op: _Op) -> Value:
    axis = int(op.constant(len(op.inputs) - 1)) % len(op.shape)
    return _stacked(state, op.inputs[:-1], axis, op.shape)


@lowers("Pack")
def _pack(state: _Lowering, op: _Op) -> Value:
    axis = op.attr("axis") % len(op.shape)
    parts = [v.reshaped([*v.shape[:axis], 1, *v.shape[axis:]]) for v in op.inputs]
    return _stacked(state, parts, axis, op.shape)


def _parts(state: _Lowering, value: Value, axis: int, sizes: Sequence[int]) -> list[Value]:
    strides, start, parts = _strides(value.shape), 0, []
    for size in sizes:
        shape = [*value.shape[:axis], int(size), *value.shape[axis + 1 :]]
        parts.append(state.moved(value, shape, strides, start * strides[axis]))
        start += int(size)
    return parts


@lowers("Split")
def _split(state: _Lowering, op: _Op) -> list[Value]:
    value, count = op.inputs[1], op.attr("num_split")
    axis = int(op.constant(0)) % len(value.shape)
    return _parts(state, value, axis, [value.shape[axis] // count] * count)


@lowers("SplitV")
def _split_v(state: _Lowering, op: _Op) -> list[Value]:
    value = op.inputs[0]
    axis = int(op.constant(2)) % len(value.shape)
    sizes = [state.graph.shapes[t.name][axis] for t in op.operation.outputs]
    return _parts(state, value, axis, sizes)


@lowers("Unpack")
def _unpack(state: _Lowering, op: _Op) -> list[Value]:
    (value,) = op.inputs
    axis = op.attr("axis") % len(value.shape)
    return _parts(state, value, axis, [1] * value.shape[axis])


@lowers("Transpose")
def _transpose(state: _Lowering, op: _Op) -> Value:
    return state.transposed(op.inputs[0], [int(i) for i in op.constant(1)])


@lowers("StridedSlice")
def _strided_slice(state: _Lowering, op: _Op) -> Value:
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
    for size, stride, taken in zip(value.shape, _strides(value.shape), index, strict=True):
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
def _plain_slice(state: _Lowering, op: _Op) -> Value:
    value, begin = op.inputs[0], op.constant(1)
    strides = _strides(value.shape)
    return state.moved(value, op.shape, strides, int(np.dot(begin, strides)))


@lowers("ReverseV2")
def _reverse(state: _Lowering, op: _Op) -> Value:
    value = op.inputs[0]
    strides, start = _strides(value.shape), 0
    for axis in {int(axis) % len(value.shape) for axis in op.constant(1)}:
        start += (value.shape[axis] - 1) * strides[axis]
        strides[axis] = -strides[axis]
    return state.moved(value, value.shape, strides, start)


@lowers("Tile")
def _tile(state: _Lowering, op: _Op) -> Value:
    value, counts = op.inputs[0], op.constant(1)
    shape, strides = [], []
    for size, stride, count in zip(value.shape, _strides(value.shape), counts, strict=True):
        shape += [int(count), size]
        strides += [0, stride]
    return state.moved(value, shape, strides).reshaped(op.shape)


@lowers("BroadcastTo")
def _broadcast_to(state: _Lowering, op: _Op) -> Value:
    value = op.inputs[0]
    return state.moved(value, op.shape, _broadcast(value.shape, op.shape))


@lowers("Pad", "PadV2")
def _pad(state: _Lowering, op: _Op) -> Value:
    value, before = op.inputs[0], op.constant(1)[:, 0]
    number = float(op.constant(2)) if op.operation.type == "PadV2" else 0.0
    out = state.builder.buffer(op.shape)
    state.builder.step("fill", [], [math.prod(op.shape), bits(number)], out)
    strides = _strides(op.shape)
    start = int(np.dot(before, strides))
    return state.moved(value, value.shape, _strides(value.shape), 0, out, strides, start)


@lowers("GatherV2")
def _gather(state: _Lowering, op: _Op) -> Value:
    value, places = op.inputs[:2]
    if op.attr("batch_dims"):
        raise _Unknown("axes of a batch")
    axis = int(op.constant(2)) % len(value.shape)
    outer, inner = math.prod(value.shape[:axis]), math.prod(value.shape[axis + 1 :])
    integers = (outer, value.shape[axis], inner, places.size)
    return state.builder.step("take", [value, places], integers, op.shape)
