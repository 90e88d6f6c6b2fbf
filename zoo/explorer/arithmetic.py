"""Operations that compute, as calls of the explorer's kernels."""

import functools
import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from zoo.explorer.program import Value
from zoo.explorer.state import (
    BINARY,
    REDUCTIONS,
    SAME,
    UNARY,
    Op,
    State,
    Unknown,
    broadcast,
    declared,
    strides_of,
)

LOWERINGS: dict[str, Callable] = {}
lowers = functools.partial(declared, LOWERINGS)


@lowers(*SAME)
def _same(state: State, op: Op) -> Value:
    if op.operation.type == "Cast":
        source, result = (tf.as_dtype(op.attr(key)) for key in ("SrcT", "DstT"))
        if result.is_integer:
            raise Unknown(f"integers as result ({result.name})")
        if result.is_bool and not source.is_bool:
            zero = state.binary("Equal", op.inputs[0], state.scalar(0))
            return state.binary("Sub", state.scalar(1), zero)
    return op.inputs[0].reshaped(op.shape)


@lowers(*UNARY, "Inv")
def _unary(state: State, op: Op) -> Value:
    kind = "Reciprocal" if op.operation.type == "Inv" else op.operation.type
    if kind == "Relu" and state.alone(op.operation.inputs[0]):
        if made := state.builder.extended(op.inputs[0], None, True):
            return made
    return state.unary(kind, op.inputs[0], op.attr("alpha") if kind == "LeakyRelu" else 0.0)


@lowers("Relu6")
def _relu6(state: State, op: Op) -> Value:
    return state.binary("Minimum", state.unary("Relu", op.inputs[0]), state.scalar(6))


@lowers("BiasAdd", *BINARY, "Add", "Div")
def _binary(state: State, op: Op) -> Value:
    names = {"BiasAdd": "AddV2", "Add": "AddV2", "Div": "RealDiv"}
    kind = names.get(op.operation.type, op.operation.type)
    left, right = op.inputs
    if kind == "Mul" and (tensor := _gelu_of(state, op.operation)) is not None:
        return state.unary("Gelu", state.value(tensor.name))
    if kind == "AddV2" and right.buffer < 0 and right.shape[-1:] == (right.size,):
        bias = right.reshaped((right.size,))
        if left.shape == op.shape and state.alone(op.operation.inputs[0]):
            if made := state.builder.extended(left, bias, False):
                return made
    if kind == "Pow" and right.buffer < 0 and (state.constants.array(right) == 2).all():
        return state.binary("Mul", left, left)
    return state.binary(kind, left, right)


def _gelu_of(state: State, product: tf.Operation) -> tf.Tensor | None:
    """The x of a product `0.5 x erfc(-x / sqrt(2))`, as TensorFlow writes GELU."""
    for half, share in (product.inputs, list(product.inputs)[::-1]):
        x, scaled = _scaled(state, half.op, 0.5), None
        if x is not None and share.op.type == "Erfc":
            scaled = _scaled(state, share.op.inputs[0].op, math.sqrt(0.5))
        if scaled is not None and scaled.op.type == "Neg" and scaled.op.inputs[0].name == x.name:
            return x
    return None


def _scaled(state: State, product: tf.Operation, factor: float) -> tf.Tensor | None:
    """What a product multiplies by a number."""
    if product.type == "Mul":
        for constant, other in (product.inputs, list(product.inputs)[::-1]):
            value = state.graph.folded.get(constant.name)
            if value is not None and value.size == 1:
                if math.isclose(value.item(), factor, rel_tol=1e-6):
                    return other
    return None


@lowers("AddN")
def _add_n(state: State, op: Op) -> Value:
    total, *others = op.inputs
    for other in others:
        total = state.binary("AddV2", total, other)
    return total


@lowers("Select", "SelectV2")
def _select(state: State, op: Op) -> Value:
    full = [
        v if v.shape == op.shape else state.moved(v, op.shape, broadcast(v.shape, op.shape))
        for v in op.inputs
    ]
    return state.builder.step("select", full, [math.prod(op.shape)], op.shape)


@lowers("Less", "LessEqual")
def _less(state: State, op: Op) -> Value:
    kind = {"Less": "Greater", "LessEqual": "GreaterEqual"}[op.operation.type]
    return state.binary(kind, *op.inputs[::-1])


@lowers("IsFinite")
def _is_finite(state: State, op: Op) -> Value:
    (value,) = op.inputs
    return state.binary("Equal", state.binary("Sub", value, value), state.scalar(0))


@lowers("OneHot")
def _one_hot(state: State, op: Op) -> Value:
    indices, depth = op.inputs[0], int(op.constant(1))
    if (
        op.attr("axis") not in (-1, len(indices.shape))
        or op.constant(2) != 1
        or op.constant(3) != 0
    ):
        raise Unknown("another axis or other values than one and zero")
    numbers = state.constants.add(np.arange(depth))
    return state.binary("Equal", indices.reshaped((*indices.shape, 1)), numbers)


@lowers("MatMul", "BatchMatMulV2", "BatchMatMul", "BatchMatMulV3")
def _matmul(state: State, op: Op) -> Value:
    left, right = op.inputs
    turned = ("transpose_a", "transpose_b") if op.operation.type == "MatMul" else ("adj_x", "adj_y")
    left, right = (
        state.transposed(value, [*range(len(value.shape) - 2), -1, -2]) if op.attr(name) else value
        for value, name in zip((left, right), turned, strict=True)
    )
    return state.matmul(left, right)


@lowers("Einsum")
def _einsum(state: State, op: Op) -> Value:
    equation = op.attr("equation").decode()
    sources, result = equation.replace(" ", "").split("->")
    sources = sources.split(",")
    if len(sources) != 2 or "." in equation or any(len(set(s)) < len(s) for s in sources):
        raise Unknown(f"the equation {equation}")
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
def _softmax(state: State, op: Op) -> Value:
    (value,) = op.inputs
    integers = (value.size // value.shape[-1], value.shape[-1])
    shares = state.builder.step("softmax", [value], integers, value.shape)
    return state.unary("Log", shares) if op.operation.type == "LogSoftmax" else shares


@lowers(*REDUCTIONS)
def _reduction(state: State, op: Op) -> Value:
    return state.reduced(op.operation.type, op.inputs[0], op.constant(1))


@lowers("FusedBatchNormV3", "FusedBatchNorm")
def _batch_norm(state: State, op: Op) -> Value:
    if op.attr("is_training"):
        raise Unknown("statistics of the batch")
    value, scale, offset, mean, variance = op.inputs
    deviation = state.binary("AddV2", variance, state.scalar(op.attr("epsilon")))
    factor = state.binary("Mul", scale, state.unary("Rsqrt", deviation))
    value = state.binary("Mul", state.binary("Sub", value, mean), factor)
    return state.binary("AddV2", value, offset)


def _geometry(op: Op, image, patches, kernel, transposed: bool = False) -> list[int]:
    """The integers of `patches` and `overlap`, without their last."""
    if op.attr("data_format") != b"NHWC":
        raise Unknown("channels first")
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
def _conv(state: State, op: Op) -> Value:
    image, kernel = op.inputs
    batch, height, width, channels = image.shape
    sides, filters = kernel.shape[:2], kernel.shape[3]
    if kernel.shape[2] != channels:
        raise Unknown("groups of channels")
    h, w = op.shape[1:3]
    integers = _geometry(op, (height, width, channels), (h, w), sides)
    terms = math.prod(kernel.shape[:3])
    results = []
    for number in range(batch):
        patches = image
        if batch > 1:
            shape = image.shape[1:]
            patches = state.moved(
                image, shape, strides_of(image.shape)[1:], number * math.prod(shape)
            )
        if integers[5:11] != [1, 1, 1, 1, 0, 0]:
            patches = state.builder.step("patches", [patches], integers, (h * w, terms))
        results.append(
            state.matmul(patches.reshaped((h * w, terms)), kernel.reshaped((terms, filters)))
        )
    return state.stacked(results, 0, op.shape)


@lowers("Conv2DBackpropInput")
def _conv_transposed(state: State, op: Op) -> Value:
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
    return state.stacked(results, 0, op.shape)
