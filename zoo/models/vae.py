"""VAE and beta-VAE with a diagonal Gaussian posterior."""

from collections.abc import Callable, Mapping

import gin
import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.evaluation.regime import ACTIVE_VARIANCE
from zoo.models.base import Autoencoder, Batch
from zoo.models.jacobian_penalty import JacobianOrthogonality
from zoo.models.likelihoods import Bernoulli
from zoo.models.priors import NormalPrior, Prior
from zoo.networks.convolutional import conv_decoder, conv_encoder
from zoo.training.schedules import Schedule, at

tfd = tfp.distributions


@gin.register
class BetaVAE(Autoencoder):
    """Beta-VAE (Higgins et al. 2017, eq. 4; beta = 1 is the VAE of Kingma & Welling 2014).

    Minimises `E_q(z|x)[-log p(x|z)] + beta KL(q(z|x) || p(z))` per image, in nats, with
    `q(z|x) = N(m(x), diag s^2(x))`, `p(z) = N(0, I)` (or another prior), and one sample of z an
    image.

    Args:
        observation_shape: the shape of one observation, `(H, W, C)` or `(D,)`.
        latent_dim: the number of latents.
        beta: the weight of the KL term: a number, or a schedule of the step, which is logged.
        encoder: observation shape -> network to features; heads for `m` and `log s^2` follow.
        decoder: (latent dim, observation shape) -> network to unnormalised outputs.
        likelihood: makes the likelihood p(x|z) of those outputs.
        prior: makes the prior of the latents and the family of posteriors, `zoo.models.priors`.
        jacobian_penalty: None, or what is added to the loss for the decoder's Jacobian at the
            sampled latents: see `JacobianOrthogonality`. Its value is logged without its weight.
    """

    def __init__(
        self,
        observation_shape: tuple[int, ...],
        latent_dim: int = 10,
        beta: float | Schedule = 1.0,
        encoder: Callable[..., keras.Model] = conv_encoder,
        decoder: Callable[..., keras.Model] = conv_decoder,
        likelihood: Callable[..., keras.layers.Layer] = Bernoulli,
        prior: Callable[[], Prior] = NormalPrior,
        jacobian_penalty: JacobianOrthogonality | None = None,
    ):
        super().__init__()
        if latent_dim < 1:
            raise ValueError(f"BetaVAE.latent_dim is {latent_dim}; give at least 1")
        if not callable(beta) and beta < 0:
            raise ValueError(f"BetaVAE.beta is {beta}; give a number that is not negative")
        self.observation_shape, self.latent_dim, self.beta = observation_shape, latent_dim, beta
        self.encoder = encoder(observation_shape)
        self.mean_head = keras.layers.Dense(latent_dim, name="mean")
        self.log_variance_head = keras.layers.Dense(latent_dim, name="log_variance")
        self.decoder = decoder(latent_dim, observation_shape)
        self.likelihood = likelihood()
        self.prior, self.jacobian_penalty = prior(), jacobian_penalty
        for head in (self.mean_head, self.log_variance_head):
            head.build(self.encoder.output_shape)
        self.built = True

    def posterior(self, images: tf.Tensor) -> tfd.Distribution:
        """`q(z|x)`: `[B, ...]` images to B distributions over `[D]` with independent entries.

        Normal ones, unless the prior has another family.
        """
        features = self.encoder(images)
        mean = tf.cast(self.mean_head(features), tf.float32)
        log_variance = tf.cast(self.log_variance_head(features), tf.float32)
        return self.prior.posterior(mean, log_variance)

    def encode(self, images: tf.Tensor) -> tf.Tensor:
        """The posterior mean: `[B, ...]` to `[B, D]`."""
        return self.posterior(images).mean()

    def decoder_outputs(self, latents: tf.Tensor) -> tf.Tensor:
        """The unnormalised outputs that parameterise the likelihood: `[B, D]` to `[B, ...]`."""
        return tf.cast(self.decoder(latents), tf.float32)

    def decode(self, latents: tf.Tensor) -> tf.Tensor:
        """The mean of p(x|z): `[B, D]` to `[B, ...]`."""
        return self.likelihood.mean(self.decoder_outputs(latents))

    def draw(self, posterior: tfd.Distribution, seed: tf.Tensor) -> tf.Tensor:
        """One reparameterised sample of every posterior of a batch, `[B, D]`."""
        return self.prior.draw(posterior, seed)

    def draw_prior(self, count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """`count` latents of the prior, `[count, D]`."""
        return self.prior.sample(tf.stack([count, self.latent_dim]), seed)

    def divergence(
        self, posterior: tfd.Distribution, latents: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """KL to the prior in nats: `[B]` of the whole posterior, `[B, D]` of its marginals.

        Where there is no closed form it is estimated from one sample of each, `latents` `[B, D]`.
        """
        per_latent = self.prior.divergence(posterior, latents)
        return tf.reduce_sum(per_latent, axis=-1), per_latent

    def elbo(
        self, images: tf.Tensor, seed: tf.Tensor
    ) -> tuple[tfd.Distribution, tf.Tensor, dict[str, tf.Tensor]]:
        """The posterior, a sample of it `[B, D]`, and the terms of the evidence lower bound.

        The terms are reconstruction `[B]`, KL in all `[B]` and per latent `[B, D]`, and the
        posterior variances `[B, D]`.
        """
        posterior = self.posterior(images)
        latents = self.draw(posterior, seed)
        reconstruction = self.likelihood.negative_log_likelihood(
            images, self.decoder_outputs(latents)
        )
        kl, kl_per_latent = self.divergence(posterior, latents)
        terms = {
            "reconstruction": reconstruction,
            "kl": kl,
            "kl_per_latent": kl_per_latent,
            "posterior_variance": posterior.variance(),
        }
        return posterior, latents, terms

    def losses_on(self, batch: Batch, seed: tf.Tensor, step: tf.Tensor) -> dict[str, tf.Tensor]:
        """See `Model.losses_on`; logs the terms of `elbo` and what `regularizer` logs."""
        posterior, latents, terms = self.elbo(batch["image"], seed)
        penalty, logged = self.regularizer(posterior, latents, terms["kl"], step)
        loss = terms["reconstruction"] + penalty
        if self.jacobian_penalty is not None:
            # Another stream than that of the sample.
            directions = tf.random.fold_in(seed, 1, alg="philox")
            logged["jacobian_penalty"] = self.jacobian_penalty(self.decode, latents, directions)
            loss += self.jacobian_penalty.weight * logged["jacobian_penalty"]
        return {"loss": loss, **terms, **logged}

    def regularizer(
        self, posterior: tfd.Distribution, latents: tf.Tensor, kl: tf.Tensor, step: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """What is added to the reconstruction, `[B]`, and what of it is logged.

        Args:
            posterior: of the images of a batch.
            latents: a sample of each, `[B, D]`.
            kl: the KL term, `[B]`.
            step: the number of updates made before, for schedules.
        """
        del posterior, latents
        beta = at(self.beta, step)
        return beta * kl, {"beta": beta * tf.ones_like(kl)} if callable(self.beta) else {}

    def summarize(self, averages: Mapping) -> dict:
        """Adds `active_latents`: how many have a mean posterior variance below 0.8."""
        active = int(np.sum(np.asarray(averages["posterior_variance"]) < ACTIVE_VARIANCE))
        return {**averages, "active_latents": active}
