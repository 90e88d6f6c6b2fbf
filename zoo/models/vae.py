"""Variational autoencoders: a family of posteriors, a prior, a likelihood, and an objective."""

from collections.abc import Callable, Mapping

import gin
import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.data.dataset import Dataset
from zoo.errors import SettingError, undefined
from zoo.evaluation.regime import ACTIVE_VARIANCE
from zoo.models.base import Autoencoder, Batch, Player, flat_features
from zoo.models.jacobian_penalty import JacobianOrthogonality
from zoo.models.jacobian_sparsity import JacobianSparsity
from zoo.models.likelihoods import Bernoulli
from zoo.models.noise import stream
from zoo.models.objectives import BetaVAE, Objective
from zoo.models.posteriors import DiagonalPosterior, Posterior, marginals
from zoo.models.priors import NormalPrior, Prior
from zoo.networks.convolutional import conv_decoder, conv_encoder
from zoo.optim.schedules import at

tfd = tfp.distributions


@gin.register
class VAE(Autoencoder):
    """A variational autoencoder (Kingma & Welling 2014).

    With the defaults it minimises the negative evidence lower bound
    `E_q(z|x)[-log p(x|z)] + KL(q(z|x) || p(z))` per image, in nats, with
    `q(z|x) = N(m(x), diag s^2(x))`, `p(z) = N(0, I)`, and one sample of z an image. What else it
    may minimise is the objective's, each with its paper in its docstring.

    Args:
        observation_shape: the shape of one observation, `(H, W, C)` or `(D,)`.
        latent_dim: the number of latents.
        encoder: observation shape -> network to features; heads for `m` and `log s^2` follow.
        decoder: (latent dim, observation shape) -> network to unnormalised outputs.
        likelihood: makes the likelihood p(x|z) of those outputs.
        prior: makes the prior of the latents, `zoo.models.priors`.
        posterior: makes the family of posteriors, `zoo.models.posteriors`.
        objective: makes the loss of this VAE, `zoo.models.objectives`.
        jacobian_penalty: None, or what is added to the loss for the decoder's Jacobian at the
            sampled latents: see `JacobianOrthogonality` and `JacobianSparsity`. Its value is logged
            without its weight.
    """

    def __init__(
        self,
        observation_shape: tuple[int, ...],
        latent_dim: int = 10,
        encoder: Callable[..., keras.Model] = conv_encoder,
        decoder: Callable[..., keras.Model] = conv_decoder,
        likelihood: Callable[..., keras.layers.Layer] = Bernoulli,
        prior: Callable[[], Prior] = NormalPrior,
        posterior: Callable[..., Posterior] = DiagonalPosterior,
        objective: Callable[..., Objective] = gin.get_configurable(BetaVAE),
        jacobian_penalty: JacobianOrthogonality | JacobianSparsity | None = None,
    ):
        super().__init__()
        if latent_dim < 1:
            raise SettingError(f"VAE.latent_dim is {latent_dim}; give at least 1")
        self.observation_shape, self.latent_dim = observation_shape, latent_dim
        self.encoder = flat_features(encoder(observation_shape), f"{type(self).__name__}.encoder")
        self.mean_head = keras.layers.Dense(latent_dim, name="mean")
        self.log_variance_head = keras.layers.Dense(latent_dim, name="log_variance")
        self.decoder = decoder(latent_dim, observation_shape)
        self.likelihood = likelihood()
        self.prior, self.jacobian_penalty = prior(), jacobian_penalty
        if not hasattr(self.prior, "sample"):
            raise undefined(self.prior, "sample(shape, seed), latents of the prior")
        if isinstance(self.prior, keras.layers.Layer):
            self.prior.build((None, latent_dim))
        for head in (self.mean_head, self.log_variance_head):
            head.build(self.encoder.output_shape)
        self.posterior_family = posterior(latent_dim, self.encoder.output_shape, self.prior)
        self.objective = objective(self)
        self.built = True

    @property
    def kind(self) -> str:
        """The name of the objective, and of any parts other than the defaults."""
        unusual = [
            type(part).__name__
            for part, usual in (
                (self.posterior_family, DiagonalPosterior),
                (self.prior, NormalPrior),
                (self.jacobian_penalty, type(None)),
            )
            if type(part) is not usual
        ]
        return ", ".join([type(self.objective).__name__, *unusual])

    def check(self, dataset: Dataset) -> None:
        """See `Model.check`: a prior of the domain must have those of the data set, if several."""
        domains, found = getattr(self.prior, "domains", 1), dataset.extras.get("domain")
        if domains == 1 or found is None:
            return
        count = int(np.max(found)) + 1
        if count != domains:
            name = type(self.prior).__name__
            raise SettingError(
                f"{name}.domains is {domains} and {dataset.name} has {count}; give {count}, or 1 "
                "for a prior that does not depend on the domain"
            )

    def posterior(self, images: tf.Tensor, training: bool = False) -> tfd.Distribution:
        """`q(z|x)`: `[B, ...]` images to B distributions over `[D]`.

        Args:
            images: `[B, ...]`.
            training: whether layers do what they do in training only: use the statistics of this
                batch and update their moving averages, drop units.
        """
        features = self.encoder(images, training=training)
        mean = tf.cast(self.mean_head(features), tf.float32)
        log_variance = tf.cast(self.log_variance_head(features), tf.float32)
        return self.posterior_family(features, mean, log_variance)

    def encode(self, images: tf.Tensor) -> tf.Tensor:
        """The posterior mean: `[B, ...]` to `[B, D]`."""
        return self.posterior(images).mean()

    def decoder_outputs(self, latents: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The unnormalised outputs that parameterise the likelihood: `[B, D]` to `[B, ...]`.

        Args:
            latents: `[B, D]`.
            training: see `posterior`.
        """
        return tf.cast(self.decoder(latents, training=training), tf.float32)

    def decode(self, latents: tf.Tensor) -> tf.Tensor:
        """The mean of p(x|z): `[B, D]` to `[B, ...]`."""
        return self.likelihood.mean(self.decoder_outputs(latents))

    def draw(self, posterior: tfd.Distribution, seed: tf.Tensor) -> tf.Tensor:
        """One reparameterised sample of every posterior of a batch, `[B, D]`."""
        return self.posterior_family.draw(posterior, seed)

    def draw_prior(self, count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """`count` latents of the prior, `[count, D]`."""
        return self.prior.sample(tf.stack([count, self.latent_dim]), seed)

    def elbo(
        self,
        images: tf.Tensor,
        seed: tf.Tensor,
        domain: tf.Tensor | None = None,
        training: bool = False,
    ) -> tuple[tfd.Distribution, tf.Tensor, dict[str, tf.Tensor]]:
        """The posterior, a sample of it `[B, D]`, and the terms of the evidence lower bound.

        The terms are reconstruction `[B]`, KL in all `[B]` and per latent `[B, D]`, the posterior
        variances `[B, D]` and, where there is one, the penalty of the decoder's Jacobian `[B]`.
        `domain` `[B]` is for priors that depend on it; `training` is that of `posterior`. The
        penalty is of the decoder as it is outside training.
        """
        posterior = self.posterior(images, training)
        latents = self.draw(posterior, seed)
        reconstruction = self.likelihood.negative_log_likelihood(
            images, self.decoder_outputs(latents, training)
        )
        kl, kl_per_latent = self.posterior_family.divergence(posterior, latents, domain)
        terms = {
            "reconstruction": reconstruction,
            "kl": kl,
            "kl_per_latent": kl_per_latent,
            "posterior_variance": marginals(posterior).variance(),
        }
        if self.jacobian_penalty is not None:
            # Another stream than that of the sample.
            directions = stream(seed, 1)
            terms["jacobian_penalty"] = self.jacobian_penalty(self.decode, latents, directions)
        return posterior, latents, terms

    def losses_on(self, batch: Batch, seed: tf.Tensor, step: tf.Tensor) -> dict[str, tf.Tensor]:
        """See `Model.losses_on`; logs the terms of `elbo` and what the objective logs."""
        training = self.training_losses
        images, domain = self.objective.observed(batch), self.objective.domain(batch)
        posterior, latents, terms = self.elbo(images, seed, domain, training)
        losses = self.objective.losses(self, batch, posterior, latents, terms, seed, step)
        if self.jacobian_penalty is not None:
            weight = at(self.jacobian_penalty.weight, step)
            losses["loss"] += weight * losses["jacobian_penalty"]
        return losses

    def rounds(self, optimizer: keras.optimizers.Optimizer) -> list[list[Player]]:
        """The VAE and, from the same forward pass, what else the objective has learn."""
        others = {id(v) for v in self.objective.trainable_variables}
        variables = [v for v in self.trainable_variables if id(v) not in others]
        return [[Player(("loss",), variables, optimizer), *self.objective.players()]]

    def summarize(self, averages: Mapping) -> dict:
        """Adds `active_latents`: how many have a mean posterior variance below 0.8."""
        active = int(np.sum(np.asarray(averages["posterior_variance"]) < ACTIVE_VARIANCE))
        return {**averages, "active_latents": active}
