"""What a VAE minimises: the reconstruction and an objective's own terms.

An objective is one file: `BetaVAE` is here, `AnnealedVAE`, `DeterministicELBO`, `DIPVAE`,
`FactorVAE`, `SlowVAE` and `TCVAE` are beside it. Each works with every encoder, decoder,
likelihood, prior and family of posteriors, but for what it refuses when it is made.
"""

from collections.abc import Mapping
from typing import Protocol

import gin
import keras
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.errors import SettingError, require_not_negative, undefined
from zoo.models.base import Batch, Player
from zoo.models.priors import Prior
from zoo.optim.schedules import Schedule, at

tfd = tfp.distributions


class Variational(Protocol):
    """What an objective asks of a VAE; see `zoo.models.vae.VAE`.

    Attributes:
        latent_dim: the number D of latents.
        prior: of the latents.
        likelihood: of observations, `zoo.models.likelihoods`.
    """

    latent_dim: int
    prior: Prior
    likelihood: keras.layers.Layer
    training_losses: bool

    def posterior(self, images: tf.Tensor, training: bool = False) -> tfd.Distribution:
        """`q(z|x)`: `[B, ...]` images to B distributions over `[D]`."""

    def draw(self, posterior: tfd.Distribution, seed: tf.Tensor) -> tf.Tensor:
        """One reparameterised sample of every posterior of a batch, `[B, D]`."""

    def decoder_outputs(self, latents: tf.Tensor, training: bool = False) -> tf.Tensor:
        """What parameterises the likelihood: `[B, D]` to `[B, ...]`."""


class Objective(keras.layers.Layer):
    """The loss of a VAE. Those that add one term to the reconstruction state `regularizer` alone.

    A VAE makes its objective, `objective(vae)`, when all else of it is there. It is a layer so
    that networks of its own are kept with the model.

    Args:
        vae: whose loss it is.

    Raises:
        SettingError: it makes no sense for this VAE.
    """

    def __init__(self, vae: Variational):
        if not hasattr(vae, "latent_dim"):
            name = type(self).__name__
            raise SettingError(
                f"train.model is {name}, which is an objective; set train.model = @VAE and "
                f"VAE.objective = @{name}"
            )
        super().__init__(name="objective")
        self.built = True

    def observed(self, batch: Batch) -> tf.Tensor:
        """The images of a batch that are encoded and decoded, `[N, ...]`."""
        return batch["image"]

    def domain(self, batch: Batch) -> tf.Tensor | None:
        """The domains of the observed images, `[N]`; None where the sampler gives none."""
        return batch.get("domain")

    def losses(
        self,
        vae: Variational,
        batch: Batch,
        posterior: tfd.Distribution,
        latents: tf.Tensor,
        terms: Mapping[str, tf.Tensor],
        seed: tf.Tensor,
        step: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """The losses of every example, `[B, ...]` by name; see `Model.losses_on`.

        Args:
            vae: whose.
            batch: as the sampler returns it.
            posterior: of the observed images.
            latents: a sample of each, `[N, D]`.
            terms: of the evidence lower bound of each, `[N, ...]`; see `VAE.elbo`.
            seed: `[2]` int32, that of the sample.
            step: the number of updates made before, for schedules.
        """
        del vae, batch, seed
        penalty, logged = self.regularizer(posterior, latents, terms["kl"], step)
        return {"loss": terms["reconstruction"] + penalty, **terms, **logged}

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
        raise undefined(self, "regularizer(posterior, latents, kl, step)")

    def players(self) -> list[Player]:
        """Who else learns from the losses, with optimisers newly made."""
        return []


@gin.register
class BetaVAE(Objective):
    """Beta-VAE (Higgins et al. 2017, eq. 4; beta = 1 is the VAE of Kingma & Welling 2014).

    `E_q(z|x)[-log p(x|z)] + beta KL(q(z|x) || p(z))` per image, `[B]` in nats.

    Args:
        vae: whose loss it is.
        beta: the weight of the KL term: a number, or a schedule of the step, which is logged.
    """

    def __init__(self, vae: Variational, beta: float | Schedule = 1.0):
        super().__init__(vae)
        require_not_negative(type(self).__name__, beta=beta)
        self.beta = beta

    def regularizer(
        self, posterior: tfd.Distribution, latents: tf.Tensor, kl: tf.Tensor, step: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """`beta KL`; see `Objective.regularizer`."""
        del posterior, latents
        beta = at(self.beta, step)
        return beta * kl, {"beta": beta * tf.ones_like(kl)} if callable(self.beta) else {}
