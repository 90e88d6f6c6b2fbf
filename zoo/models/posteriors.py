"""Families of posteriors q(z|x), each made of an encoder's features."""

from typing import Protocol

import gin
import keras
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.errors import SettingError
from zoo.models.noise import standard_normal
from zoo.models.priors import Prior

tfd = tfp.distributions


def marginals(posterior: tfd.Distribution) -> tfd.Distribution:
    """The distributions of single latents, a batch `[B, D]`, of B posteriors over `[D]`."""
    if isinstance(posterior, tfd.MultivariateNormalTriL):
        # The rows of L: TFP's own takes the product L L^T for it.
        return tfd.Normal(posterior.loc, tf.norm(posterior.scale.to_dense(), axis=-1))
    return posterior


def entropy(posterior: tfd.Distribution) -> tf.Tensor:
    """The entropy of B posteriors over `[D]` in nats, `[B]`."""
    entropies = posterior.entropy()
    return entropies if entropies.shape.rank == 1 else tf.reduce_sum(entropies, axis=-1)


def covariance(posterior: tfd.Distribution) -> tf.Tensor:
    """The covariances of B posteriors over `[D]`, `[B, D, D]`."""
    if isinstance(posterior, tfd.MultivariateNormalTriL):
        return posterior.covariance()
    return tf.linalg.diag(posterior.variance())


class Posterior(Protocol):
    """What a VAE asks of a family of posteriors; it is made with the VAE's heads and prior.

    `(latent_dim, features, prior)` make one: the number of latents D, the shape of the encoder's
    output, and the prior of the latents.
    """

    def __call__(
        self, features: tf.Tensor, mean: tf.Tensor, log_variance: tf.Tensor
    ) -> tfd.Distribution:
        """B distributions over `[D]` of features and of the two heads, `[B, D]` float32 each."""

    def draw(self, posterior: tfd.Distribution, seed: tf.Tensor) -> tf.Tensor:
        """One reparameterised sample of every posterior, `[B, D]`."""

    def divergence(
        self, posterior: tfd.Distribution, latents: tf.Tensor, domain: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """KL to the prior in nats: `[B]` of the whole posterior, `[B, D]` of its marginals.

        Where there is no closed form it is estimated from one sample of each, `latents` `[B, D]`.
        `domain` `[B]` is for priors that depend on it.
        """


@gin.register
class DiagonalPosterior:
    """Independent latents, of the family that goes with the prior: normal ones, unless it says so.

    Args:
        latent_dim: the number D of latents.
        features: the shape of the encoder's output.
        prior: of the latents.
    """

    def __init__(self, latent_dim: int, features: tuple[int | None, ...], prior: Prior):
        del latent_dim, features
        self._prior = prior

    def __call__(
        self, features: tf.Tensor, mean: tf.Tensor, log_variance: tf.Tensor
    ) -> tfd.Distribution:
        """See `Posterior.__call__`."""
        del features
        return self._prior.posterior(mean, log_variance)

    def draw(self, posterior: tfd.Distribution, seed: tf.Tensor) -> tf.Tensor:
        """See `Posterior.draw`."""
        return self._prior.draw(posterior, seed)

    def divergence(
        self, posterior: tfd.Distribution, latents: tf.Tensor, domain: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """See `Posterior.divergence`."""
        per_latent = self._prior.divergence(posterior, latents, domain)
        return tf.reduce_sum(per_latent, axis=-1), per_latent


@gin.register
class FullCovariance(keras.layers.Layer):
    """`q(z|x) = N(m(x), L(x) L(x)^T)` (Zietlow 2022, eq. 3.30 and 3.31).

    L is lower triangular: its diagonal is `exp(h / 2)` of the head h that gives the log variances
    of a diagonal posterior, and a further linear head gives the entries below it. Such a posterior
    has no reason to align latents with the axes: the control of chapter 3.

    Args:
        latent_dim: the number D of latents, at least 2.
        features: the shape of the encoder's output.
        prior: of the latents; one with normal posteriors.

    Raises:
        SettingError: fewer latents, or a prior whose posteriors are not normal.
    """

    def __init__(self, latent_dim: int, features: tuple[int | None, ...], prior: Prior):
        super().__init__(name="full_covariance")
        if latent_dim < 2:
            raise SettingError(
                f"VAE.latent_dim is {latent_dim}; a full covariance takes at least 2 latents, use "
                "VAE.posterior = @DiagonalPosterior"
            )
        heads = tf.zeros([1, latent_dim])
        if not isinstance(prior.posterior(heads, heads), tfd.Normal):
            raise SettingError(
                f"VAE.prior is {type(prior).__name__}, whose posteriors are not normal; with "
                "VAE.posterior = @FullCovariance give NormalPrior, LaplacePrior, LogisticPrior or "
                "FlowPrior"
            )
        self._prior = prior
        self.off_diagonal_head = keras.layers.Dense(
            latent_dim * (latent_dim - 1) // 2, name="off_diagonal"
        )
        self.off_diagonal_head.build(features)
        self.built = True

    def __call__(
        self, features: tf.Tensor, mean: tf.Tensor, log_variance: tf.Tensor
    ) -> tfd.Distribution:
        """See `Posterior.__call__`: B multivariate normals."""
        below = tf.cast(self.off_diagonal_head(features), tf.float32)
        strictly_lower = tf.pad(tfp.math.fill_triangular(below), [[0, 0], [1, 0], [0, 1]])
        scale = tf.linalg.set_diag(strictly_lower, tf.exp(0.5 * log_variance))
        return tfd.MultivariateNormalTriL(mean, scale)

    def draw(self, posterior: tfd.Distribution, seed: tf.Tensor) -> tf.Tensor:
        """`m + L e` with standard normal e, `[B, D]`."""
        noise = standard_normal(tf.shape(posterior.loc), seed)
        # A product and a sum, which fuse; a matrix product of small matrices does not.
        return posterior.loc + tf.reduce_sum(posterior.scale.to_dense() * noise[:, None], axis=-1)

    def divergence(
        self, posterior: tfd.Distribution, latents: tf.Tensor, domain: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """See `Posterior.divergence`; for a normal prior eq. 3.30.

        The marginals' KL add up to less than the whole: what lacks is the posterior's own total
        correlation, `(sum_l log S_ll - log det S) / 2`.
        """
        single = marginals(posterior)
        per_latent = self._prior.divergence(single, latents, domain)
        correlation = tf.reduce_sum(tf.math.log(single.scale), axis=-1)
        correlation -= posterior.scale.log_abs_determinant()
        return tf.reduce_sum(per_latent, axis=-1) + correlation, per_latent
