"""Derivatives of a decoder at posterior means, weighted by what it misses of the data there."""

import numpy as np
import tensorflow as tf

from zoo.evaluation import usable
from zoo.evaluation.arrays import checked_latents, finite
from zoo.evaluation.decoders import prepared, probe
from zoo.evaluation.errors import InputError
from zoo.evaluation.jacobians import jacobian


def second_order(decoder, means, images, curvature, dtype):
    """J^T J, the curvature term C, the squared errors of each sample, and the number of outputs."""
    means, images, decode = flat_decoder(decoder, means, images, dtype)
    residuals = images - decode(means)
    grams = jacobian(decoder, means, reduction="gram", dtype=dtype)
    bends = np.zeros_like(grams)
    if curvature:
        _bend(prepared(decoder, means.shape[1:], dtype), means, residuals, bends, dtype)
        usable.require_finite(bends)
    return grams, bends, np.square(residuals).sum(1), residuals.shape[1]


def flat_decoder(decoder, means, images, dtype):
    """Checked means `[N, d]`, flat images, and the decoder from arrays to flat float64 arrays."""
    means = checked_latents(means, dtype)
    if means.ndim != 2:
        raise InputError(f"means of shape {means.shape}: must be [N, latents]")
    images = finite(images, "images")
    decode = prepared(decoder, means.shape[1:], dtype)
    output_shape, activations = probe(decode, means.shape[1:], dtype)
    if images.shape != (len(means), *output_shape):
        raise InputError(
            f"images of shape {images.shape}: the decoder makes {(len(means), *output_shape)}"
        )
    spec = tf.TensorSpec([None, means.shape[1]], dtype)
    compiled = tf.function(decode, autograph=False).get_concrete_function(spec)
    rows = max(1, 2**28 // (activations + 1))

    def run(latents):
        latents = latents.astype(dtype)
        parts = [
            compiled(tf.convert_to_tensor(latents[start : start + rows])).numpy()
            for start in range(0, len(latents), rows)
        ]
        return usable.require_finite(np.concatenate(parts)).reshape(len(latents), -1)

    return means, images.reshape(len(images), -1), run


def _bend(decode, means, residuals, bends, dtype):
    """Writes the Hessians of <residual, d(z)> into `bends`: all second derivatives in d passes."""
    count = means.shape[1]

    def hessian(latents, residual):
        with tf.GradientTape(persistent=True) as outer:
            outer.watch(latents)
            with tf.GradientTape() as inner:
                inner.watch(latents)
                output = decode(latents)
                product = tf.reduce_sum(tf.reshape(output, tf.shape(residual)) * residual)
            zero = tf.UnconnectedGradients.ZERO
            slopes = inner.gradient(product, latents, unconnected_gradients=zero)
            slopes = tf.unstack(slopes, count, axis=1)
        return tf.stack(
            [outer.gradient(slope, latents, unconnected_gradients=zero) for slope in slopes], 1
        )

    compiled = tf.function(hessian, autograph=False).get_concrete_function(
        tf.TensorSpec([None, count], dtype), tf.TensorSpec([None, residuals.shape[1]], dtype)
    )
    rows = max(1, 2**28 // (6 * probe(decode, (count,), dtype)[1] + 1))
    for start in range(0, len(means), rows):
        part = slice(start, start + rows)
        bends[part] = compiled(
            tf.convert_to_tensor(means[part]), tf.convert_to_tensor(residuals[part].astype(dtype))
        )
