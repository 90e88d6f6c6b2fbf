"""A program of the explorer while it is written, operation by operation.

Tensors have known shapes and a batch of one.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from zoo.explorer import tracing
from zoo.explorer.program import Builder, Constants, Value, bits

UNARY = ("Neg Abs Square Sqrt Rsqrt Reciprocal Exp Log Log1p Sigmoid Tanh Softplus Erf Erfc Relu "
          "LeakyRelu Elu Sign Gelu").split()  # fmt: skip
BINARY = ("AddV2 Sub Mul RealDiv Maximum Minimum SquaredDifference Pow Greater GreaterEqual "
           "Equal").split()  # fmt: skip
REDUCTIONS = "Sum Mean Max Min Prod".split()
SAME = ("Identity Reshape Squeeze ExpandDims StopGradient PreventGradient Snapshot Cast "
         "CheckNumerics EnsureShape").split()  # fmt: skip


def declared(table: dict[str, Callable], *types: str) -> Callable:
    """A decorator that enters into a table the lowering of operations of some types."""

    def declare(lowering: Callable) -> Callable:
        table.update(dict.fromkeys(types, lowering))
        return lowering

    return declare


class Unknown(Exception):
    """An operation without lowering; `detail` says what of it."""

    def __init__(self, detail: str = ""):
        super().__init__(detail)
        self.detail = detail and f" with {detail}"


@dataclasses.dataclass
class Op:
    """An operation, with its inputs as tensors of the program."""

    operation: tf.Operation
    state: "State"

    @property
    def inputs(self) -> list[Value]:
        """Its inputs, in their order."""
        return [self.state.value(tensor.name) for tensor in self.operation.inputs]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of its first output."""
        return self.state.graph.shapes[self.operation.outputs[0].name]

    def attr(self, name: str):
        """An attribute, as TensorFlow gives it."""
        return self.operation.get_attr(name)

    def constant(self, number: int) -> np.ndarray:
        """The value of an input that must be a constant."""
        name = self.operation.inputs[number].name
        if name not in self.state.graph.folded:
            raise Unknown(f"an input {number} that is no constant")
        return self.state.graph.folded[name]


class State:
    """The state of a program while it is written."""

    def __init__(
        self, graph: tracing.Graph, constants: Constants, lowerings: Mapping[str, Callable]
    ):
        self._lowerings = lowerings
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
        """A buffer for an argument of the program."""
        self._values[name] = self.builder.buffer(self.graph.shapes[name])
        return self._values[name]

    def value(self, name: str) -> Value:
        """A tensor by its name in the graph."""
        if name not in self._values:
            self._values[name] = self.constants.add(self.graph.folded[name])
        return self._values[name]

    def lower(self, operation: tf.Operation) -> None:
        """Writes the steps of an operation, unless they are there already.

        Raises:
            Unknown: there is no lowering of it.
        """
        op = Op(operation, self)
        if operation.type not in self._lowerings:
            raise Unknown()
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
            made = self._lowerings[operation.type](self, op)
            self._known[key] = [made] if isinstance(made, Value) else list(made)
        for tensor, shape, value in zip(operation.outputs, shapes, self._known[key], strict=False):
            self._values[tensor.name] = value.reshaped(shape)

    def alone(self, tensor) -> bool:
        """Whether one operation alone takes a tensor, and what it is another shape of."""
        while self._takers.get(tensor.name, 0) == 1:
            if tensor.op.type not in SAME:
                return True
            tensor = tensor.op.inputs[0]
        return False

    def unary(self, name: str, value: Value, slope: float = 0.0) -> Value:
        """A function of `UNARY`, entry by entry."""
        integers = (UNARY.index(name), value.size, bits(slope))
        return self.builder.step("unary", [value], integers, value.shape)

    def binary(self, name: str, left: Value, right: Value) -> Value:
        """A function of `BINARY`, entry by entry, with broadcasting."""
        shape = np.broadcast_shapes(left.shape, right.shape)
        of_left, of_right = (broadcast(value.shape, shape) for value in (left, right))
        axes = _merged(shape, of_left, of_right)
        integers = (BINARY.index(name), len(axes[0]), *axes[0], *axes[1], *axes[2])
        return self.builder.step("binary", [left, right], integers, shape)

    def scalar(self, number: float) -> Value:
        """A constant."""
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
        out_strides = strides_of(shape) if out_strides is None else out_strides
        sizes, inner, outer = _merged(shape, strides, out_strides)
        integers = (start, out_start, len(sizes), *sizes, *inner, *outer)
        return self.builder.step("copy", [value], integers, shape if out is None else out)

    def transposed(self, value: Value, order: Sequence[int]) -> Value:
        """A tensor with its axes in another order."""
        if list(order) == sorted(order):
            return value
        strides = strides_of(value.shape)
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
                value = self.moved(value, full, broadcast(value.shape, full))
            steps.append(0 if math.prod(leading) == 1 else math.prod(value.shape[-2:]))
            left, right = (value, right) if name == "left" else (left, value)
        if steps[1] == 0 and count > 1 and steps[0]:
            # One right matrix for all: the rows of all left ones in one product.
            count, m, steps = 1, count * m, [0, 0]
        shape = (*batch, left.shape[-2], columns)
        integers = (count, m, k, columns, *steps, 0)
        return self.builder.step("matmul", [left, right], integers, shape)

    def reduced(self, name: str, value: Value, axes: Sequence[int]) -> Value:
        """A function of `REDUCTIONS` over axes, which are left out."""
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
        integers = (REDUCTIONS.index(name), outer, count, inner)
        return self.builder.step("reduce", [value], integers, [value.shape[axis] for axis in kept])

    def stacked(self, parts: Sequence[Value], axis: int, shape) -> Value:
        """Parts side by side along an axis that they all have; in the end of that shape."""
        if len(parts) == 1:
            return parts[0].reshaped(shape)
        full = list(parts[0].shape)
        full[axis] = sum(part.shape[axis] for part in parts)
        out, strides, start = self.builder.buffer(full), strides_of(full), 0
        for part in parts:
            self.moved(
                part, part.shape, strides_of(part.shape), 0, out, strides, start * strides[axis]
            )
            start += part.shape[axis]
        return out.reshaped(shape)


def _key(item):
    return item[0]


def strides_of(shape: Sequence[int]) -> list[int]:
    """By how many numbers neighbours along each axis are apart."""
    return [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]


def broadcast(shape: Sequence[int], to: Sequence[int]) -> list[int]:
    """The strides of a tensor that is broadcast."""
    own = [0 if size == 1 else s for size, s in zip(shape, strides_of(shape), strict=True)]
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
