"""Consistency of an encoder with its decoder on slots that no image has together."""

import itertools

import tensorflow as tf

# The most slots whose assignment is found by trying all of them: 720.
MOST_SLOTS = 6


def recombined(slots: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Slots put together anew: each is one of those of all images, drawn with replacement.

    Args:
        slots: `[B, K, D]`.
        seed: `[2]`, stateless.

    Returns:
        `[B, K, D]`, without gradients.
    """
    count, number, width = tf.unstack(tf.shape(slots))
    bits = tf.random.stateless_uniform([count * number], seed, None, None, tf.int32, alg="philox")
    chosen = tf.gather(tf.reshape(slots, [-1, width]), tf.math.floormod(bits, count * number))
    return tf.stop_gradient(tf.reshape(chosen, [count, number, width]))


def matched_error(slots: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Squared distance of sets of slots, each slot assigned to one of the others: `[B]`.

    `min_pi sum_k |slots_k - others_pi(k)|^2` over all permutations, the minimum that the Hungarian
    method finds.

    Args:
        slots: `[B, K, D]`, K at most `MOST_SLOTS`.
        others: of the same shape.
    """
    costs = tf.reduce_sum((slots[:, :, None] - others[:, None]) ** 2, axis=-1)
    number = slots.shape[1]
    orders = tf.constant(list(itertools.permutations(range(number))))
    pairs = tf.range(number) * number + orders
    flat = tf.reshape(costs, [-1, number**2])
    return tf.reduce_min(tf.reduce_sum(tf.gather(flat, pairs, axis=1), axis=-1), axis=-1)
