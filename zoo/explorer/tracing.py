"""Functions of one example as frozen graphs: operations in order, and the value of every tensor."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

# What these compute is known from the shapes of their inputs.
_OF_SHAPES = {"Shape", "ShapeN", "Rank", "Size", "ZerosLike", "OnesLike"}
# Constants up to this many numbers are folded, whatever they are made of; larger ones only where
# that makes them no larger.
_FOLDED = 16_384


@dataclasses.dataclass(frozen=True)
class Graph:
    """A function of one example.

    Attributes:
        operations: those that its outputs need and that are not folded, each after its inputs.
        inputs: the names of the tensors that it takes, by the names of its arguments.
        outputs: the names of the tensors that it returns, by their own names.
        shapes: of all tensors, by name.
        folded: the values of tensors that depend on no input, by name.
    """

    operations: Sequence[tf.Operation]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    shapes: Mapping[str, tuple[int, ...]]
    folded: Mapping[str, np.ndarray]


def trace(
    function: Callable[..., Mapping[str, tf.Tensor]],
    arguments: Mapping[str, tf.TensorSpec],
    lowered: Callable[[str], bool],
) -> Graph:
    """Traces a function whose arguments have shapes that are known.

    Args:
        function: takes tensors, returns tensors by name.
        arguments: what it takes, by name.
        lowered: whether there is a lowering of operations of a type; others are folded if possible.
    """
    concrete = tf.function(function, autograph=False).get_concrete_function(*arguments.values())
    frozen = convert_variables_to_constants_v2(concrete)
    every = [
        tensor
        for operation in frozen.graph.get_operations()
        for tensor in operation.outputs
        if tensor.dtype not in (tf.resource, tf.variant)
    ]
    examples = [tf.zeros(tensor.shape, tensor.dtype) for tensor in frozen.inputs]
    values = frozen.prune(frozen.inputs, every)(*examples)
    arrays = {t.name: _array(v) for t, v in zip(every, values, strict=True)}
    names = [tensor.name for tensor in frozen.inputs]
    folded = _folded(frozen.graph, set(names), arrays, lowered)
    outputs = dict(zip(sorted(concrete.structured_outputs), frozen.outputs, strict=True))
    return Graph(
        _needed(frozen.graph, outputs.values(), folded),
        dict(zip(arguments, names, strict=True)),
        {name: tensor.name for name, tensor in outputs.items()},
        {name: array.shape for name, array in arrays.items()},
        folded,
    )


def _array(value: tf.Tensor) -> np.ndarray:
    """Its value; half precisions are read as float32, which the explorer computes in."""
    if value.dtype in (tf.bfloat16, tf.float16):
        value = tf.cast(value, tf.float32)
    return value.numpy()


def _folded(graph, inputs, arrays, lowered) -> dict[str, np.ndarray]:
    """The values of the tensors that are constants of the program."""
    folded, fixed = {}, set()
    for operation in graph.get_operations():
        sources = [tensor.name for tensor in operation.inputs]
        outputs = [tensor.name for tensor in operation.outputs if tensor.name in arrays]
        if inputs & set(outputs):
            continue
        if operation.type not in _OF_SHAPES and not all(name in fixed for name in sources):
            continue
        fixed |= set(outputs)
        sizes = [arrays[name].size for name in sources if name in folded]
        largest = max([_FOLDED, *sizes])
        small = all(arrays[name].size <= largest for name in outputs)
        known = not sources or operation.type in _OF_SHAPES or not lowered(operation.type)
        if known or (small and all(name in folded for name in sources)):
            folded |= {name: arrays[name] for name in outputs}
    return folded


def _needed(graph, outputs, folded) -> list[tf.Operation]:
    """The operations that outputs need, but for what is folded."""
    open_, found = [tensor.op for tensor in outputs], set()
    while open_:
        operation = open_.pop()
        if operation.name in found or all(t.name in folded for t in operation.outputs):
            continue
        found.add(operation.name)
        open_ += [tensor.op for tensor in operation.inputs]
    return [operation for operation in graph.get_operations() if operation.name in found]
