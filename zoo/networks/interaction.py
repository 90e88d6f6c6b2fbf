"""What decoders of blocks of latents may add up to, beyond functions of one block each."""

import itertools
import math
from collections.abc import Sequence

import keras
import tensorflow as tf


class Interaction(keras.layers.Layer):
    """A polynomial of latents of different blocks, `sum_a c_a z^a` (Brady et al. 2025, eq. 4.2).

    The sum is over all monomials of 2 to `order` latents that are not all of one block, each with
    an observation of coefficients, at first 0. Decoders of at most that order of interaction
    across blocks are those that are such a polynomial plus functions of one block each (theorem
    C.2).

    Args:
        blocks: a partition of the latents, lists of them; at least two.
        order: the largest degree, at least 2.
        observation_shape: the shape of one observation.
    """

    def __init__(
        self, blocks: Sequence[Sequence[int]], order: int, observation_shape: Sequence[int]
    ):
        super().__init__(dtype="float32", name="interaction")
        self.monomials = cross_monomials(blocks, order)
        self.observation_shape = tuple(observation_shape)
        size = math.prod(self.observation_shape)
        self.coefficients = self.add_weight(
            (len(self.monomials), size), initializer="zeros", name="coefficients"
        )
        self.built = True

    def call(self, latents: tf.Tensor) -> tf.Tensor:
        """Latents `[B, D]` to `[B, *observation_shape]` float32."""
        latents = tf.cast(latents, tf.float32)
        terms = [tf.reduce_prod(tf.gather(latents, m, axis=1), axis=1) for m in self.monomials]
        values = tf.linalg.matmul(tf.stack(terms, axis=1), self.coefficients)
        return tf.reshape(values, [-1, *self.observation_shape])


def cross_monomials(blocks: Sequence[Sequence[int]], order: int) -> list[tuple[int, ...]]:
    """The monomials of 2 to `order` latents of at least two blocks, by the latents in them."""
    owner = {latent: k for k, block in enumerate(blocks) for latent in block}
    return [
        chosen
        for degree in range(2, order + 1)
        for chosen in itertools.combinations_with_replacement(sorted(owner), degree)
        if len({owner[latent] for latent in chosen}) > 1
    ]
