"""FactorVAE: a discriminator estimates the total correlation of the latents."""

from collections.abc import Callable

import gin
import keras
import tensorflow as tf

from zoo.errors import SettingError, require_not_negative
from zoo.models.base import Batch, Player
from zoo.models.noise import stream
from zoo.models.objectives import Objective, Variational
from zoo.networks.discriminators import mlp_discriminator
from zoo.optim.optimizers import Adam


def permute_latents(latents: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Every latent permuted over the batch by itself: samples of the product of the marginals.

    Kim & Mnih 2018, Algorithm 1.

    Args:
        latents: `[B, D]`.
        seed: `[2]` int32.

    Returns:
        `[B, D]`.
    """
    columns = tf.transpose(latents)
    keys = tf.random.stateless_uniform(
        tf.shape(columns), seed, minval=None, maxval=None, dtype=tf.int32, alg="philox"
    )
    order = tf.argsort(keys, axis=1, stable=True)
    return tf.transpose(tf.gather(columns, order, batch_dims=1))


@gin.configurable
def discriminator_adam(
    learning_rate: float = 1e-4,
    beta_1: float = 0.5,
    beta_2: float = 0.9,
    epsilon: float = 1e-8,
) -> keras.optimizers.Optimizer:
    """Adam as disentanglement_lib and Kim & Mnih 2018 (appendix A) give it to a discriminator."""
    return Adam(learning_rate, beta_1, beta_2, epsilon)


@gin.register
class FactorVAE(Objective):
    """The objective of FactorVAE (Kim & Mnih 2018, eq. 2 and 3).

    `E_q(z|x)[-log p(x|z)] + KL(q(z|x) || p(z)) + gamma TC` per image, `[B]` in nats, with the total
    correlation `TC = KL(q(z) || prod_l q(z_l))` estimated as the difference of the two logits of a
    discriminator, which learns to tell latents `[B, D]` from latents permuted over the batch. Both
    learn at once, from the same forward pass, as in disentanglement_lib.

    Args:
        vae: whose loss it is.
        gamma: the weight of the total correlation.
        discriminator: latent dim -> network to two logits, latents as they are and permuted.
        discriminator_optimizer: makes the discriminator's optimiser.
        second_batch: permute the latents of other images than those the VAE learns from, as Kim &
            Mnih's Algorithm 2: the second half of every batch, whose size is then to be doubled
            and even. Otherwise the latents of the batch itself, as disentanglement_lib.
    """

    def __init__(
        self,
        vae: Variational,
        gamma: float = 10.0,
        discriminator: Callable[..., keras.Model] = mlp_discriminator,
        discriminator_optimizer: Callable[[], keras.optimizers.Optimizer] = discriminator_adam,
        second_batch: bool = False,
    ):
        super().__init__(vae)
        require_not_negative("FactorVAE", gamma=gamma)
        self.gamma, self.second_batch = gamma, second_batch
        self.discriminator = discriminator(vae.latent_dim)
        self._make_optimizer = discriminator_optimizer

    def players(self) -> list[Player]:
        """The discriminator."""
        variables = self.discriminator.trainable_variables
        return [Player(("discriminator",), variables, self._make_optimizer())]

    def observed(self, batch: Batch) -> tf.Tensor:
        """The batch; with a second batch its first half."""
        return tf.split(batch["image"], 2)[0] if self._halves(batch) else batch["image"]

    def domain(self, batch: Batch) -> tf.Tensor | None:
        """See `Objective.domain`."""
        domain = super().domain(batch)
        halved = domain is not None and self._halves(batch)
        return tf.split(domain, 2)[0] if halved else domain

    def losses(self, vae, batch, posterior, latents, terms, seed, step) -> dict[str, tf.Tensor]:
        """See `Objective.losses`; `discriminator` is the discriminator's cross entropy.

        With a second batch the losses are those of the first half.
        """
        del posterior, step
        source, training = latents, vae.training_losses
        if self._halves(batch):
            others = tf.split(batch["image"], 2)[1]
            source = vae.draw(vae.posterior(others, training), stream(seed, 1))
        permuted = permute_latents(source, stream(seed, 2))
        both = tf.concat([latents, permuted], axis=0)
        logits = tf.cast(self.discriminator(both, training=training), tf.float32)
        log_probabilities = tf.split(tf.nn.log_softmax(logits), 2)
        total_correlation = log_probabilities[0][:, 0] - log_probabilities[0][:, 1]
        return {
            "loss": terms["reconstruction"] + terms["kl"] + self.gamma * total_correlation,
            **terms,
            "total_correlation": total_correlation,
            "discriminator": -0.5 * (log_probabilities[0][:, 0] + log_probabilities[1][:, 1]),
        }

    def _halves(self, batch: Batch) -> bool:
        size = batch["image"].shape[0]
        if self.second_batch and size is not None and size % 2:
            raise SettingError(
                f"FactorVAE.second_batch halves a batch of {size}; make train.batch_size even"
            )
        return self.second_batch
