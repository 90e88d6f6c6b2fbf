"""Any TensorFlow callable, run in float64.

Finite differences and nearly singular Jacobians need more than float32. Casting the latents is not
enough: a Keras layer casts them back and a SavedModel refuses them. So the traced graph itself is
rewritten, its weights and every operation, and stays differentiable.
"""

import itertools
from collections.abc import Callable

import tensorflow as tf
from tensorflow.core.framework import attr_value_pb2, graph_pb2, types_pb2
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from zoo.errors import UserError
from zoo.evaluation.errors import UNTRACEABLE, FailingDecoderError, InputError

_LOWER = (types_pb2.DT_FLOAT, types_pb2.DT_HALF, types_pb2.DT_BFLOAT16)
_COUNTER = itertools.count()


def in_float64(
    decoder: Callable, latent_shape: tuple[int, ...], signature: bool = False
) -> Callable:
    """The same function computed in float64: `[n, *latent_shape]` to `[n, *output_shape]`.

    The weights are copied as they are now; every lower floating type in the graph becomes float64.
    A decoder that is in float64 already is only traced. `signature` says that the decoder is a
    signature of a SavedModel.

    Raises:
        InputError: an operation of the decoder has no float64 version.
    """
    # Functions with a signature may accept another type when traced, and fail when run.
    concrete = _trace(decoder, latent_shape, ("float32",) if signature else ("float64", "float32"))
    definition = concrete.graph.as_graph_def()
    if not any(_is_lower(attr) for node in _nodes(definition) for attr in node.attr.values()):
        return concrete
    return _frozen(concrete, _promoted, "float64")


def inlined(decoder: Callable, latent_shape: tuple[int, ...], dtype: str) -> Callable:
    """The same function as one graph without calls, its weights copied as they are now.

    The signatures of a SavedModel can be differentiated twice only in this form.
    """
    return _frozen(_trace(decoder, latent_shape, (dtype,)), lambda definition: definition, dtype)


def _frozen(concrete, rewrite, dtype: str):
    frozen = convert_variables_to_constants_v2(concrete, lower_control_flow=False)
    definition = rewrite(frozen.graph.as_graph_def())
    del definition.library.gradient[:]
    # TensorFlow keeps functions by name for the whole process: these may differ from their origin.
    renamed = {
        function.signature.name: f"{function.signature.name}_evaluation_{next(_COUNTER)}"
        for function in definition.library.function
    }
    for node in _nodes(definition):
        for attr in node.attr.values():
            if attr.HasField("func"):
                attr.func.name = renamed.get(attr.func.name, attr.func.name)
            for called in attr.list.func:
                called.name = renamed.get(called.name, called.name)
    for function in definition.library.function:
        function.signature.name = renamed[function.signature.name]
    try:
        wrapped = tf.compat.v1.wrap_function(
            lambda: tf.graph_util.import_graph_def(definition, name=""), []
        )
        return wrapped.prune(frozen.inputs[0].name, frozen.outputs[0].name)
    except ValueError as error:
        instead = ', pass dtype="float32" instead' if dtype == "float64" else ""
        raise InputError(
            f"the decoder cannot be run in {dtype}{instead}: {_first_line(error)}"
        ) from error


def _trace(decoder, latent_shape, dtypes):
    specs = [tf.TensorSpec([None, *latent_shape], dtype) for dtype in dtypes]
    failures = []
    for spec in specs:
        try:
            return tf.function(decoder, autograph=False).get_concrete_function(spec)
        except (*UNTRACEABLE, ValueError, tf.errors.OpError) as error:
            failures.append(error)
    if isinstance(failures[-1], UserError):
        raise failures[-1]
    shape = ", ".join(map(str, ("n", *latent_shape)))
    raise FailingDecoderError(
        f"the decoder fails on latents of shape [{shape}]: {_first_line(failures[-1])}"
    ) from failures[-1]


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), repr(error))


def _nodes(definition: graph_pb2.GraphDef):
    yield from definition.node
    for function in definition.library.function:
        yield from function.node_def


def _is_lower(attr: attr_value_pb2.AttrValue) -> bool:
    return attr.type in _LOWER or any(kind in _LOWER for kind in attr.list.type)


def _promoted(definition: graph_pb2.GraphDef) -> graph_pb2.GraphDef:
    for node in _nodes(definition):
        for attr in node.attr.values():
            if attr.type in _LOWER:
                attr.type = types_pb2.DT_DOUBLE
            for position, kind in enumerate(attr.list.type):
                if kind in _LOWER:
                    attr.list.type[position] = types_pb2.DT_DOUBLE
            if attr.HasField("tensor") and attr.tensor.dtype in _LOWER:
                values = tf.make_ndarray(attr.tensor).astype("float64")
                attr.tensor.CopyFrom(tf.make_tensor_proto(values))
    for function in definition.library.function:
        for argument in (*function.signature.input_arg, *function.signature.output_arg):
            if argument.type in _LOWER:
                argument.type = types_pb2.DT_DOUBLE
    return definition
