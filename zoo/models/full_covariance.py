"""Beta-VAE whose posterior has a full covariance."""

from collections.abc import Callable

import gin
import keras
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.errors import SettingError
from zoo.models.likelihoods import Bernoulli
from zoo.models.noise import standard_normal
from zoo.models.vae import BetaVAE
from zoo.networks.convolutional import conv_decoder, conv_encoder
from zoo.training.schedules import Schedule

tfd = tfp.distributions


@gin.register
class FullCovarianceVAE(BetaVAE):
    """Beta-VAE with `q(z|x) = N(m(x), L(x) L(x)^T)` (Zietlow 2022, eq. 3.30 and 3.31).

    L is lower triangular: its diagonal is `exp(h / 2)` of the head h that gives the log variances
    of a diagonal posterior, and a further linear head gives the entries below it. Such a posterior
    has no reason to align latents with the axes: the control of chapter 3.

    The arguments are those of `BetaVAE`; `latent_dim` is at least 2.
    """

    def __init__(
        self,
        observation_shape: tuple[int, ...],
        latent_dim: int = 10,
        beta: float | Schedule = 1.0,
        encoder: Callable[..., keras.Model] = conv_encoder,
        decoder: Callable[..., keras.Model] = conv_decoder,
        likelihood: Callable[..., keras.layers.Layer] = Bernoulli,
    ):
        if latent_dim < 2:
            raise SettingError(
                f"FullCovarianceVAE.latent_dim is {latent_dim}; a covariance takes at least 2 "
                "latents, use BetaVAE"
            )
        super().__init__(observation_shape, latent_dim, beta, encoder, decoder, likelihood)
        below = latent_dim * (latent_dim - 1) // 2
        self.off_diagonal_head = keras.layers.Dense(below, name="off_diagonal")
        self.off_diagonal_head.build(self.encoder.output_shape)

    def posterior(self, images: tf.Tensor) -> tfd.Distribution:
        """`q(z|x)`: `[B, ...]` images to a batch of B multivariate normals over `[D]`."""
        features = self.encoder(images)
        mean = tf.cast(self.mean_head(features), tf.float32)
        log_variance = tf.cast(self.log_variance_head(features), tf.float32)
        below = tf.cast(self.off_diagonal_head(features), tf.float32)
        strictly_lower = tf.pad(tfp.math.fill_triangular(below), [[0, 0], [1, 0], [0, 1]])
        scale = tf.linalg.set_diag(strictly_lower, tf.exp(0.5 * log_variance))
        return tfd.MultivariateNormalTriL(mean, scale)

    def draw(self, posterior: tfd.Distribution, seed: tf.Tensor) -> tf.Tensor:
        """`m + L e` with standard normal e, `[B, D]`."""
        noise = standard_normal(tf.shape(posterior.loc), seed)
        return posterior.loc + posterior.scale.matvec(noise)

    def divergence(
        self, posterior: tfd.Distribution, latents: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """`1/2 (|m|^2 + tr S - log det S - D)` (eq. 3.30), `[B]`, and the marginals' KL, `[B, D]`.

        The marginals add up to less than the whole: what lacks is the posterior's total
        correlation.
        """
        del latents
        mean, variance = posterior.loc, posterior.variance()
        log_det = 2 * posterior.scale.log_abs_determinant()
        kl = 0.5 * (tf.reduce_sum(mean**2 + variance - 1, axis=-1) - log_det)
        return kl, 0.5 * (mean**2 + variance - tf.math.log(variance) - 1)
