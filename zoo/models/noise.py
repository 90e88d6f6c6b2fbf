"""Noise that is the same with and without XLA, and its seeds."""

import math
from collections.abc import Sequence

import tensorflow as tf


def stream(seed: tf.Tensor, number: int) -> tf.Tensor:
    """The seed `[2]` of another stream of noise of the same step, for each number another."""
    return tf.random.fold_in(seed, number, alg="philox")


def standard_normal(shape, seed: tf.Tensor) -> tf.Tensor:
    """Standard normal float32 numbers from a stateless seed, `[2]` int32.

    `sqrt(-2 log u) cos(2 pi v)` (Box & Muller 1958) of Philox uniforms u in (0, 1), v in [0, 1).
    TensorFlow's own stateless normals differ between its kernels and XLA's for the same seed, so
    a run could not move between machines; these agree to float32 rounding.
    """
    return _normal(*tf.unstack(_bits(tf.concat([[2], shape], axis=0), seed)))


def noise_of(images: tf.Tensor, shape: Sequence[int], seed: tf.Tensor) -> tf.Tensor:
    """Standard normal numbers that depend on the image alone: `[B, ...]` to float32 `[B, *shape]`.

    Equal images have equal noise, whatever is beside them, and others noise of their own: two
    random sums of an image's pixels, in 256 levels and modulo 2^32, take the place of a seed, and
    each number multiplies and shifts them in its own way (Dietzfelbinger 1996).
    """
    pixels = tf.reshape(images, [tf.shape(images)[0], -1])
    levels = tf.cast(tf.round(255.0 * tf.cast(pixels, tf.float32)), tf.int32)
    sums = tf.reduce_sum(levels[:, None] * _odd([2, tf.shape(pixels)[1]], stream(seed, 0)), axis=2)
    numbers = [2, math.prod(shape)]
    bits = sums[..., None] * _odd(numbers, stream(seed, 1)) + _bits(numbers, stream(seed, 2))
    return tf.reshape(_normal(*tf.unstack(bits, axis=1)), [-1, *shape])


def standard_uniform(shape, seed: tf.Tensor) -> tf.Tensor:
    """Uniform numbers strictly between 0 and 1, the same with and without XLA."""
    # 23 bits and a half are exact in float32, below 1 too.
    bits = tf.bitwise.right_shift(_bits(shape, seed), 9)
    return (tf.cast(bits, tf.float32) + 0.5) * 2.0**-23 + 0.5


def _bits(shape, seed: tf.Tensor) -> tf.Tensor:
    """Uniform int32 numbers of all 32 bits."""
    return tf.random.stateless_uniform(
        shape, seed, minval=None, maxval=None, dtype=tf.int32, alg="philox"
    )


def _odd(shape, seed: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.bitwise_or(_bits(shape, seed), 1)


def _normal(radius_bits: tf.Tensor, angle_bits: tf.Tensor) -> tf.Tensor:
    # The upper 24 bits are exact in float32. A half of the last keeps the logarithm of 0 finite: as
    # a maximum, since a sum is rounded off where TensorFlow joins its constant with those above.
    u, v = (
        tf.cast(tf.bitwise.right_shift(bits, 8), tf.float32) * 2.0**-24 + 0.5
        for bits in (radius_bits, angle_bits)
    )
    return tf.sqrt(-2.0 * tf.math.log(tf.maximum(u, 2.0**-25))) * tf.cos(2.0 * math.pi * v)
