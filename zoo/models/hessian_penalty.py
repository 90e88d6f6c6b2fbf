"""Penalty on the second differences of a decoder across blocks of latents."""

from collections.abc import Callable, Sequence

import gin
import tensorflow as tf

from zoo.errors import SettingError, require_not_negative


@gin.register
class BlockHessian:
    r"""How far a decoder is from additive: its squared second derivatives across blocks.

    `P(z) = sum of H_ij^2` over pairs i, j of latents in different blocks, H the Hessian of an
    output, averaged over outputs: zero at all z just if the decoder is additive over the blocks
    (Lachapelle et al. 2023, proposition 5); for blocks of one latent half the off-diagonal part
    that the Hessian penalty of Peebles et al. 2020 estimates, whose central differences are here
    mixed ones: with random signs u in block k and v in the blocks before it

        (f(z + e u + e v) - f(z + e u) - f(z + e v) + f(z)) / e^2  ->  u^T H v,

    whose square has the mean `sum_{i in k, j before} H_ij^2`. Up to O(e) P is exact for two
    latents, and an unbiased estimate for more. The differences themselves are zero for additive
    decoders whatever e, and tell piecewise linear decoders, whose Hessian is zero, from these.
    Costs three decodings a block after the first, and one.

    Args:
        weight: of the penalty in the loss.
        blocks: a partition of the latents; each latent by itself if None.
        epsilon: e, the step, in units of the latents.
    """

    def __init__(
        self,
        weight: float = 1.0,
        blocks: Sequence[Sequence[int]] | None = None,
        epsilon: float = 0.1,
    ):
        require_not_negative("BlockHessian", weight=weight)
        if not epsilon > 0:
            raise SettingError(f"BlockHessian.epsilon is {epsilon}; give a positive step")
        self.weight, self.epsilon = weight, epsilon
        self.blocks = None if blocks is None else [list(block) for block in blocks]

    def __call__(self, decoder: Callable, latents: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """P: latents `[B, D]` to `[B]`.

        Args:
            decoder: `[B, D]` to `[B, ...]`, treating examples independently.
            latents: where the differences are taken; `[B, D]` with a known D.
            seed: `[2]`, of the signs.

        Raises:
            SettingError: blocks that are no partition of the latents, or fewer than two.
        """
        masks = self._masks(latents.shape[1])
        bits = tf.random.stateless_uniform(
            tf.shape(latents), seed, minval=None, maxval=None, dtype=tf.int32, alg="philox"
        )
        steps = self.epsilon * tf.where(bits < 0, -1.0, 1.0)
        centre, total = decoder(latents), 0.0
        for number in range(1, len(masks)):
            own, before = masks[number] * steps, sum(masks[:number]) * steps
            mixed = decoder(latents + own + before) + centre
            mixed -= decoder(latents + own) + decoder(latents + before)
            squares = tf.reshape(tf.square(mixed), [tf.shape(latents)[0], -1])
            total += tf.reduce_mean(squares, axis=1)
        return total / self.epsilon**4

    def _masks(self, latent_dim: int) -> list[tf.Tensor]:
        """1 at the latents of each block, `[D]`."""
        blocks = self.blocks or [[latent] for latent in range(latent_dim)]
        if len(blocks) < 2 or sorted(sum(blocks, [])) != list(range(latent_dim)):
            raise SettingError(
                f"BlockHessian.blocks is {blocks}; give two lists or more that hold each of the "
                f"latents 0 to {latent_dim - 1} once"
            )
        return [tf.reduce_sum(tf.one_hot(block, latent_dim), axis=0) for block in blocks]
