"""DIP-VAE: the covariance of the aggregate posterior is drawn to the identity."""

import gin
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.errors import SettingError, require_not_negative
from zoo.models import posteriors
from zoo.models.objectives import Objective, Variational

tfd = tfp.distributions


@gin.register
class DIPVAE(Objective):
    """The objectives of DIP-VAE I and II (Kumar et al. 2018, eq. 6 and 7).

    `E_q(z|x)[-log p(x|z)] + KL(q(z|x) || p(z)) + lambda_od sum_{i != j} C_ij^2 + lambda_d sum_i
    (C_ii - 1)^2` per image, `[B]` in nats, with `[D, D]` C of the batch: `Cov[m(x)]` for DIP-VAE I,
    and `E[Cov q(z|x)] + Cov[m(x)]`, the covariance of the aggregate posterior, for II. The
    covariance of the means m divides by the batch size, as in disentanglement_lib. Logs the penalty
    as `covariance_penalty`.

    Args:
        vae: whose loss it is.
        lambda_od: the weight of the entries off the diagonal.
        lambda_d: the weight of the diagonal; 10 `lambda_od` for I and `lambda_od` for II in
            disentanglement_lib.
        variant: `I` or `II`.
    """

    def __init__(
        self, vae: Variational, lambda_od: float = 10.0, lambda_d: float = 100.0, variant: str = "I"
    ):
        super().__init__(vae)
        if variant not in ("I", "II"):
            raise SettingError(f"DIPVAE.variant is {variant!r}; it takes 'I' or 'II'")
        require_not_negative("DIPVAE", lambda_od=lambda_od, lambda_d=lambda_d)
        self.lambda_od, self.lambda_d, self.variant = lambda_od, lambda_d, variant

    def regularizer(
        self, posterior: tfd.Distribution, latents: tf.Tensor, kl: tf.Tensor, step: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """KL and the penalty of the batch; see `Objective.regularizer`."""
        del latents, step
        covariance = tfp.stats.covariance(posterior.mean())
        if self.variant == "II":
            covariance += tf.reduce_mean(posteriors.covariance(posterior), axis=0)
        diagonal = tf.linalg.diag_part(covariance)
        off_diagonal = tf.linalg.set_diag(covariance, tf.zeros_like(diagonal))
        penalty = self.lambda_od * tf.reduce_sum(off_diagonal**2)
        penalty += self.lambda_d * tf.reduce_sum((diagonal - 1) ** 2)
        return kl + penalty, {"covariance_penalty": tf.fill(tf.shape(kl), penalty)}
