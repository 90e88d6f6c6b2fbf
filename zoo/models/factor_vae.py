"""FactorVAE: a discriminator estimates the total correlation of the latents."""

from collections.abc import Callable

import gin
import keras
import tensorflow as tf

from zoo.errors import SettingError
from zoo.models.base import Batch
from zoo.models.likelihoods import Bernoulli
from zoo.models.vae import BetaVAE
from zoo.networks.convolutional import conv_decoder, conv_encoder
from zoo.networks.discriminators import mlp_discriminator
from zoo.training.optimizers import Adam


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
class FactorVAE(BetaVAE):
    """FactorVAE (Kim & Mnih 2018, eq. 2 and 3).

    Minimises `E_q(z|x)[-log p(x|z)] + KL(q(z|x) || N(0, I)) + gamma TC` per image, in nats, with
    the total correlation `TC = KL(q(z) || prod_l q(z_l))` estimated as the difference of the two
    logits of a discriminator, which learns to tell latents `[B, D]` from latents permuted over the
    batch. Both learn at once, from the same forward pass, as in disentanglement_lib.

    Arguments not listed are those of `BetaVAE`.

    Args:
        gamma: the weight of the total correlation.
        discriminator: latent dim -> network to two logits, latents as they are and permuted.
        discriminator_optimizer: makes the discriminator's optimiser.
        second_batch: permute the latents of other images than those the VAE learns from, as Kim &
            Mnih's Algorithm 2: the second half of every batch, whose size is then to be doubled
            and even. Otherwise the latents of the batch itself, as disentanglement_lib.
    """

    def __init__(
        self,
        observation_shape: tuple[int, ...],
        latent_dim: int = 10,
        gamma: float = 10.0,
        encoder: Callable[..., keras.Model] = conv_encoder,
        decoder: Callable[..., keras.Model] = conv_decoder,
        likelihood: Callable[..., keras.layers.Layer] = Bernoulli,
        discriminator: Callable[..., keras.Model] = mlp_discriminator,
        discriminator_optimizer: Callable[[], keras.optimizers.Optimizer] = discriminator_adam,
        second_batch: bool = False,
    ):
        super().__init__(observation_shape, latent_dim, 1.0, encoder, decoder, likelihood)
        if gamma < 0:
            raise SettingError(f"FactorVAE.gamma is {gamma}; give a number that is not negative")
        self.gamma, self.second_batch = gamma, second_batch
        self.discriminator = discriminator(latent_dim)
        self._make_optimizer = discriminator_optimizer

    def bind(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Takes the optimiser of the VAE and makes that of the discriminator."""
        self.optimizer = optimizer
        self.discriminator_optimizer = self._make_optimizer()
        optimizer.build(self._vae_variables)
        self.discriminator_optimizer.build(self.discriminator.trainable_variables)

    @property
    def optimizers(self) -> list[keras.optimizers.Optimizer]:
        """That of the VAE and that of the discriminator."""
        return [self.optimizer, self.discriminator_optimizer]

    @property
    def _vae_variables(self) -> list[keras.Variable]:
        others = {id(v) for v in self.discriminator.trainable_variables}
        return [v for v in self.trainable_variables if id(v) not in others]

    def losses_on(self, batch: Batch, seed: tf.Tensor, step: tf.Tensor) -> dict[str, tf.Tensor]:
        """See `Model.losses_on`; `discriminator` is the discriminator's cross entropy.

        With a second batch the losses are those of the first half.
        """
        images, others = batch["image"], None
        if self.second_batch:
            if images.shape[0] is not None and images.shape[0] % 2:
                raise SettingError(
                    f"FactorVAE.second_batch halves a batch of {images.shape[0]}; make "
                    "train.batch_size even"
                )
            images, others = tf.split(images, 2)
        posterior, latents, terms = self.elbo(images, seed)
        source = latents
        if self.second_batch:
            source = self.draw(self.posterior(others), _stream(seed, 1))
        permuted = permute_latents(source, _stream(seed, 2))
        logits = tf.cast(self.discriminator(tf.concat([latents, permuted], axis=0)), tf.float32)
        log_probabilities = tf.split(tf.nn.log_softmax(logits), 2)
        total_correlation = log_probabilities[0][:, 0] - log_probabilities[0][:, 1]
        return {
            "loss": terms["reconstruction"] + terms["kl"] + self.gamma * total_correlation,
            **terms,
            "total_correlation": total_correlation,
            "discriminator": -0.5 * (log_probabilities[0][:, 0] + log_probabilities[1][:, 1]),
        }

    def update(
        self, batch: Batch, seed: tf.Tensor, step: tf.Tensor, replicas: int
    ) -> dict[str, tf.Tensor]:
        """One step of the VAE and one of the discriminator; see `Model.update`."""
        players = (
            ("loss", self._vae_variables, self.optimizer),
            (
                "discriminator",
                self.discriminator.trainable_variables,
                self.discriminator_optimizer,
            ),
        )
        with tf.GradientTape(persistent=True) as tape:
            losses = self.losses_on(batch, seed, step)
            goals = {name: tf.reduce_mean(losses[name]) / replicas for name, *_ in players}
        # Each player's loss depends on the other's weights, but moves its own only.
        gradients = [tape.gradient(goals[name], variables) for name, variables, _ in players]
        for (_, variables, optimizer), gradient in zip(players, gradients, strict=True):
            optimizer.apply(gradient, variables)
        return {name: tf.reduce_mean(value, axis=0) for name, value in losses.items()}


def _stream(seed: tf.Tensor, number: int) -> tf.Tensor:
    return tf.random.fold_in(seed, number, alg="philox")
