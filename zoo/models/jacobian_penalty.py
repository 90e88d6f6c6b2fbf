"""Penalties that push the columns of a decoder's Jacobian to be orthogonal."""

from collections.abc import Callable

import gin
import tensorflow as tf

from zoo.errors import SettingError, require_not_negative
from zoo.evaluation import jacobians, tangents
from zoo.models.noise import stream


@gin.register
class JacobianOrthogonality:
    r"""The off-diagonal part of J^T J at latents z, J the Jacobian of the decoder.

    `P(z) = sum_{i != j} G_ij^2` with `G = J^T J`: zero where the columns of J are orthogonal, which
    Zietlow (2022, theorem 1) shows a diagonal posterior to bring about by itself. Without
    directions it is exact and costs a Jacobian. With K directions v of random signs,
    `Var_v |J v|^2 = 2 P` (as Peebles et al. 2020 for Hessians), so that half the unbiased variance
    of K numbers `|J v_k|^2` is an unbiased estimate, at the cost of K products.

    Args:
        weight: of the penalty in the loss.
        directions: K, at least 2; 0 for the exact penalty.
        normalized: divide `G_ij^2` by `G_ii G_jj`: the squared cosines of columns, which a decoder
            cannot make smaller by shrinking its Jacobian. Exact only.
    """

    def __init__(self, weight: float = 1.0, directions: int = 0, normalized: bool = False):
        require_not_negative("JacobianOrthogonality", weight=weight)
        if directions < 0 or directions == 1:
            raise SettingError(
                f"JacobianOrthogonality.directions is {directions}; give 0 for the exact penalty "
                "or at least 2, of which a variance is taken"
            )
        if normalized and directions:
            raise SettingError(
                "JacobianOrthogonality.normalized needs all columns; set directions = 0"
            )
        self.weight, self.directions, self.normalized = weight, directions, normalized

    def __call__(self, decoder: Callable, latents: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """P, or an estimate of it: latents `[B, D]` to `[B]`.

        Args:
            decoder: `[B, D]` to `[B, ...]`, treating examples independently.
            latents: where J is taken; `[B, D]` with a known D.
            seed: `[2]`, of the directions.
        """
        if self.directions:
            return self._estimate(decoder, latents, seed)
        columns = jacobians.graph_jacobian(decoder, latents)
        columns = tf.reshape(columns, [tf.shape(latents)[0], -1, latents.shape[1]])
        gram = tf.linalg.matmul(columns, columns, transpose_a=True)
        squares = tf.square(gram)
        if self.normalized:
            norms = tf.linalg.diag_part(gram)
            # A dead latent has a zero column, which is orthogonal to all.
            squares = tf.math.divide_no_nan(squares, norms[:, :, None] * norms[:, None, :])
        squares = tf.linalg.set_diag(squares, tf.zeros_like(latents))
        return tf.reduce_sum(squares, axis=[1, 2])

    def _estimate(self, decoder, latents, seed):
        push, output = tangents.linearise(decoder, latents)
        axes = list(range(1, output.shape.rank))
        lengths = []
        for number in range(self.directions):
            bits = tf.random.stateless_uniform(
                tf.shape(latents),
                stream(seed, number),
                minval=None,
                maxval=None,
                dtype=tf.int32,
                alg="philox",
            )
            signs = tf.where(bits < 0, -1.0, 1.0)
            lengths.append(tf.reduce_sum(tf.square(push(signs)), axes))
        lengths = tf.stack(lengths)
        deviations = lengths - tf.reduce_mean(lengths, axis=0)
        return tf.reduce_sum(tf.square(deviations), axis=0) / (2 * (self.directions - 1))
