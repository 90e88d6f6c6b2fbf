"""Noise that is the same with and without XLA, and its seeds."""

import math

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
    bits = tf.random.stateless_uniform(
        tf.concat([[2], shape], axis=0),
        seed,
        minval=None,
        maxval=None,
        dtype=tf.int32,
        alg="philox",
    )
    # The upper 24 bits are exact in float32; the half keeps the logarithm finite.
    uniform = tf.cast(tf.bitwise.right_shift(bits, 8), tf.float32) * 2.0**-24 + 0.5
    radius = tf.sqrt(-2.0 * tf.math.log(uniform[0] + 2.0**-25))
    return radius * tf.cos(2.0 * math.pi * uniform[1])


def standard_uniform(shape, seed: tf.Tensor) -> tf.Tensor:
    """Uniform numbers strictly between 0 and 1, the same with and without XLA."""
    bits = tf.random.stateless_uniform(
        shape, seed, minval=None, maxval=None, dtype=tf.int32, alg="philox"
    )
    # 23 bits and a half are exact in float32, below 1 too.
    return (tf.cast(tf.bitwise.right_shift(bits, 9), tf.float32) + 0.5) * 2.0**-23 + 0.5
