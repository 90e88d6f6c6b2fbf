"""DIP-VAE: the covariance of the aggregate posterior is drawn to the identity."""

from collections.abc import Callable

import gin
import keras
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.errors import SettingError
from zoo.models.likelihoods import Bernoulli
from zoo.models.vae import BetaVAE
from zoo.networks.convolutional import conv_decoder, conv_encoder

tfd = tfp.distributions


@gin.register
class DIPVAE(BetaVAE):
    """DIP-VAE I and II (Kumar et al. 2018, eq. 6 and 7).

    Minimises `E_q(z|x)[-log p(x|z)] + KL(q(z|x) || N(0, I)) + lambda_od sum_{i != j} C_ij^2 +
    lambda_d sum_i (C_ii - 1)^2` per image, with `[D, D]` C of the batch: `Cov[m(x)]` for DIP-VAE I,
    and `E[diag s^2(x)] + Cov[m(x)]`, the covariance of the aggregate posterior, for II. The
    covariance divides by the batch size, as in disentanglement_lib. Logs the penalty as
    `covariance_penalty`.

    Arguments not listed are those of `BetaVAE`.

    Args:
        lambda_od: the weight of the entries off the diagonal.
        lambda_d: the weight of the diagonal; 10 `lambda_od` for I and `lambda_od` for II in
            disentanglement_lib.
        variant: `I` or `II`.
    """

    def __init__(
        self,
        observation_shape: tuple[int, ...],
        latent_dim: int = 10,
        lambda_od: float = 10.0,
        lambda_d: float = 100.0,
        variant: str = "I",
        encoder: Callable[..., keras.Model] = conv_encoder,
        decoder: Callable[..., keras.Model] = conv_decoder,
        likelihood: Callable[..., keras.layers.Layer] = Bernoulli,
    ):
        super().__init__(observation_shape, latent_dim, 1.0, encoder, decoder, likelihood)
        if variant not in ("I", "II"):
            raise SettingError(f"DIPVAE.variant is {variant!r}; it takes 'I' or 'II'")
        self.lambda_od, self.lambda_d, self.variant = lambda_od, lambda_d, variant

    def regularizer(
        self, posterior: tfd.Distribution, latents: tf.Tensor, kl: tf.Tensor, step: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """KL and the penalty of the batch; see `BetaVAE.regularizer`."""
        del latents, step
        covariance = tfp.stats.covariance(posterior.loc)
        if self.variant == "II":
            covariance += tf.linalg.diag(tf.reduce_mean(posterior.variance(), axis=0))
        diagonal = tf.linalg.diag_part(covariance)
        off_diagonal = tf.linalg.set_diag(covariance, tf.zeros_like(diagonal))
        penalty = self.lambda_od * tf.reduce_sum(off_diagonal**2)
        penalty += self.lambda_d * tf.reduce_sum((diagonal - 1) ** 2)
        return kl + penalty, {"covariance_penalty": tf.fill(tf.shape(kl), penalty)}
