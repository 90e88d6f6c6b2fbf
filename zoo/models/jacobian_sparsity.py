"""Penalties that push the entries of a decoder's Jacobian to zero: sparse mixing."""

from collections.abc import Callable

import gin
import tensorflow as tf

from zoo.errors import SettingError, require_not_negative
from zoo.evaluation import jacobians
from zoo.optim.schedules import Schedule

PENALTIES = ("l1", "l2", "mcp", "scad")
_SCAD_A = 3.7


@gin.register
class JacobianSparsity:
    r"""Sparsity of the mixing (Li, Fan et al. 2025, CG-VAE): `sum_ik p(J_ik s_k)` at latents z.

    J is the exact Jacobian of the decoder, p the penalty, |t| by default. The paper's term has
    `s_k = 1`. But where the prior is learned the latents have no scale of their own: `z_k -> c z_k`
    with the decoder and the prior to match divides that term by c and changes nothing else. So s_k
    is the deviation of z_k over the batch here, through which gradients flow: then the term does
    not change at all. (With the deviation as a constant its value would not, but the decoder's
    gradient would still shrink J, and the reconstruction inflate z.)

    Penalties, each with slope 1 at 0 but for `l2`:

    - `l1`: |t|;
    - `l2`: t^2, which cannot choose axes: turning latents of equal scale leaves `sum_ik J_ik^2`;
    - `mcp` (Zhang 2010): `|t| - t^2 / (2 gamma lambda)` up to `gamma lambda`, then constant;
    - `scad` (Fan & Li 2001): |t| up to lambda, slope `(a lambda - |t|) / ((a - 1) lambda)` up to
      `a lambda`, then constant, with a = 3.7.

    Args:
        weight: alpha, of the term in the loss, in nats: a number, or a schedule of the step.
        penalty: p.
        as_written: `s_k = 1`, as in the paper.
        mean: divide by the number of entries.
        examples: of how many examples of a batch the Jacobian is taken; 0 for all. The others'
            terms are 0 and these are scaled up, so that the mean over the batch is the same.
        threshold: lambda, of `mcp` and `scad`.
        concavity: gamma, of `mcp`.

    Raises:
        SettingError: an unknown penalty or a number out of range.
    """

    def __init__(
        self,
        weight: float | Schedule = 0.1,
        penalty: str = "l1",
        as_written: bool = False,
        mean: bool = False,
        examples: int = 64,
        threshold: float = 0.1,
        concavity: float = 1.0,
    ):
        if penalty not in PENALTIES:
            raise SettingError(
                f"JacobianSparsity.penalty is {penalty!r}; it takes {', '.join(PENALTIES)}"
            )
        require_not_negative("JacobianSparsity", weight=weight)
        if examples < 0:
            raise SettingError(
                f"JacobianSparsity.examples is {examples}; give a number, 0 for all of a batch"
            )
        for key, number in (("threshold", threshold), ("concavity", concavity)):
            if number <= 0:
                raise SettingError(f"JacobianSparsity.{key} is {number}; give a positive number")
        self.weight, self.penalty, self.as_written = weight, penalty, as_written
        self.mean, self.examples = mean, examples
        self.threshold, self.concavity = threshold, concavity

    def __call__(self, decoder: Callable, latents: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """The term, without its weight, of every example: latents `[B, n]` to `[B]`.

        Args:
            decoder: `[B, n]` to `[B, ...]`, treating examples independently.
            latents: where J is taken; `[B, n]` with a known n.
            seed: not used: nothing is random.
        """
        del seed
        size = tf.shape(latents)[0]
        taken = tf.minimum(size, self.examples) if self.examples else size
        columns = jacobians.graph_jacobian(decoder, latents[:taken])
        entries = tf.reshape(columns, [taken, -1, latents.shape[1]])
        if not self.as_written:
            # The root of 0 has no derivative.
            entries *= tf.sqrt(tf.math.reduce_variance(latents, axis=0) + 1e-12)
        reduce = tf.reduce_mean if self.mean else tf.reduce_sum
        terms = reduce(self._penalised(tf.abs(entries)), axis=[1, 2])
        scale = tf.cast(size, tf.float32) / tf.cast(taken, tf.float32)
        return tf.pad(scale * terms, [[0, size - taken]])

    def _penalised(self, sizes: tf.Tensor) -> tf.Tensor:
        """The penalty of absolute values."""
        if self.penalty == "l1":
            return sizes
        if self.penalty == "l2":
            return tf.square(sizes)
        if self.penalty == "mcp":
            below = tf.minimum(sizes, self.concavity * self.threshold)
            return below - tf.square(below) / (2 * self.concavity * self.threshold)
        straight = tf.minimum(sizes, self.threshold)
        bent = tf.clip_by_value(sizes, self.threshold, _SCAD_A * self.threshold)
        distance = _SCAD_A * self.threshold - bent
        most = (_SCAD_A - 1) * self.threshold
        return straight + (most**2 - tf.square(distance)) / (2 * most)
