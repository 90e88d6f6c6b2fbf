"""TensorFlow's operations as calls of the explorer's kernels (`kernels.c`).

A lowering takes the state of one program and an operation, and returns the operation's outputs.
"""

from collections.abc import Callable, Mapping

import tensorflow as tf

from zoo.errors import UserError
from zoo.explorer import arithmetic, arrangement, tracing
from zoo.explorer.program import Constants
from zoo.explorer.state import State, Unknown

_LOWERINGS = arithmetic.LOWERINGS | arrangement.LOWERINGS


class OperationError(UserError):
    """An operation of a model that the explorer cannot run."""


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
    state = State(graph, constants, _LOWERINGS)
    inputs = {key: state.take_input(tensor) for key, tensor in graph.inputs.items()}
    for operation in graph.operations:
        if operation.type == "Placeholder":
            continue
        try:
            state.lower(operation)
        except Unknown as error:
            raise OperationError(
                f"{name}: the explorer cannot run the operation {operation.type}"
                f"{error.detail} ({operation.name}); write that part of the model with other "
                "operations, or explore another model"
            ) from None
    outputs = {key: state.value(tensor) for key, tensor in graph.outputs.items()}
    return state.builder.planned(inputs, outputs)
