"""Whether a decoder can be differentiated at all: the one check behind every score of decoders.

The Jacobian of a broken decoder is all zero or not finite, and for most scores zero is the best
value there is. Here it becomes an `UndefinedScoreError`.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2

from zoo.evaluation.errors import UndefinedScoreError

_HALVES = (types_pb2.DT_HALF, types_pb2.DT_BFLOAT16)
# Found again in TensorFlow's report of an assertion, which escapes quotes.
_NOT_FINITE = "outputs of the decoder, or their derivatives, are not finite numbers"
_NO_LIVE_LATENT = "no live latent: the decoder's outputs do not change with any latent"


def require_gradient(concrete) -> None:
    """Refuses a traced decoder of which the tape finds no way from output to latents.

    Raises:
        UndefinedScoreError: there is none.
    """
    with concrete.graph.as_default():
        try:
            (gradient,) = tf.gradients(concrete.outputs[0], concrete.inputs[0])
        except (LookupError, NotImplementedError):
            return  # An operation without a derivative lies on the way; the engine says which.
    if gradient is None:
        raise UndefinedScoreError(
            "the decoder's outputs are not connected to its latents by derivatives: leave out "
            "tf.numpy_function, tf.stop_gradient, argmax and rounding"
        )


def require_independence(decode: Callable, latent_shape) -> None:
    """Refuses a traced decoder whose output for an example depends on its batch, or on chance.

    Two examples are decoded together, each alone, and together again.

    Raises:
        UndefinedScoreError: the outputs differ by more than rounding.
    """
    # In [0, 1], which decoders of ground-truth latents ask for.
    latents = np.random.default_rng(0).random((2, *latent_shape))
    latents = tf.constant(latents, decode.inputs[0].dtype)
    alone = tf.concat([decode(latents[:1]), decode(latents[1:])], 0)
    together, *others = (
        tf.cast(output, tf.float64).numpy() for output in (decode(latents), alone, decode(latents))
    )
    largest = np.abs(np.nan_to_num(together, posinf=0, neginf=0)).max(initial=0)
    tolerance = _tolerance(decode.graph) * largest
    for other in others:
        if not np.allclose(together, other, rtol=0, atol=tolerance, equal_nan=True):
            raise UndefinedScoreError(
                "the decoder's output for one example depends on the others of its batch, or on "
                "chance: call it with training=False (batch normalization, dropout)"
            )


def guarded(decode: Callable) -> Callable:
    """A decoder that stops its graph with an error where outputs are not finite.

    They are looked at also where a graph needs none of them, as that of a Jacobian does not.
    """

    def checked(latents):
        output = decode(latents)
        _assert_finite(output)
        return output

    return checked


def of_finite(reduction):
    """A reduction of Jacobians; one that is a function stops its graph where they are not finite.

    What a function makes of them may hide it.
    """
    if not callable(reduction):
        return reduction

    def checked(jacobians):
        _assert_finite(jacobians)
        return reduction(jacobians)

    return checked


def _assert_finite(values: tf.Tensor) -> None:
    tf.debugging.Assert(tf.reduce_all(tf.math.is_finite(values)), [_NOT_FINITE])


def require_live(compute: Callable[[], np.ndarray], named: bool = True) -> np.ndarray:
    """What `compute` makes of a Jacobian, which must be finite and, if `named`, not all zero.

    Args:
        compute: returns the Jacobians, or a reduction of them, of all examples.
        named: whether the reduction is one that is zero only for Jacobians that are.

    Raises:
        UndefinedScoreError: it is not finite, or zero throughout.
    """
    try:
        result = compute()
    except tf.errors.InvalidArgumentError as error:
        if _NOT_FINITE in str(error):
            raise UndefinedScoreError(_NOT_FINITE) from None
        raise
    if named:
        low, high = result.min(), result.max()
        if not np.isfinite([low, high]).all():
            raise UndefinedScoreError(_NOT_FINITE)
        if low == high == 0:
            raise UndefinedScoreError(_NO_LIVE_LATENT)
    return result


def require_finite(values: np.ndarray) -> np.ndarray:
    """Outputs or derivatives of a decoder, as they are.

    Raises:
        UndefinedScoreError: some are not finite.
    """
    if not np.isfinite(values).all():
        raise UndefinedScoreError(_NOT_FINITE)
    return values


def require_derivatives(decoder: Callable, latents: np.ndarray, rows: int) -> None:
    """Refuses a decoder for scores that take higher derivatives, of which all may rightly be zero.

    One pass forward and one backward of each example, from random weights of its outputs.

    Args:
        decoder: from one tensor to one tensor.
        latents: `[N, *latent_shape]`, where it is differentiated.
        rows: examples at a time.

    Raises:
        UndefinedScoreError: the outputs or derivatives are not finite, or all derivatives are zero.
    """

    def pull(values):
        with tf.GradientTape() as tape:
            tape.watch(values)
            output = decoder(values)
        weights = tf.random.stateless_normal(tf.shape(output)[1:], (0, 1), dtype=output.dtype)
        weights = tf.broadcast_to(weights, tf.shape(output))
        pulled = tape.gradient(
            output,
            values,
            output_gradients=weights,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        finite = tf.reduce_all(tf.math.is_finite(output))
        return tf.where(finite, pulled, tf.constant(np.nan, pulled.dtype))

    spec = tf.TensorSpec([None, *latents.shape[1:]], latents.dtype)
    pull = tf.function(pull, autograph=False).get_concrete_function(spec)
    parts = (latents[start : start + rows] for start in range(0, len(latents), rows))
    require_live(lambda: np.concatenate([pull(tf.convert_to_tensor(part)) for part in parts]))


def _tolerance(graph) -> float:
    """How far outputs of a batch may differ by rounding, by the lowest precision in a graph."""
    definition = graph.as_graph_def()
    nodes = [*definition.node, *(n for f in definition.library.function for n in f.node_def)]
    if any(attr.type in _HALVES for node in nodes for attr in node.attr.values()):
        return 0.1
    # The matrix products of GPUs have ten bits.
    return 1e-2 if tf.config.list_logical_devices("GPU") else 1e-3
