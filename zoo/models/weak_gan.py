"""A GAN that is weakly supervised by pairs, with an encoder for what it generates."""

from collections.abc import Callable

import gin
import keras
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.errors import SettingError
from zoo.models.base import Autoencoder, Batch, Player, flat_features
from zoo.models.noise import standard_normal, stream
from zoo.networks.pair_discriminators import gan_decoder, match_discriminator
from zoo.networks.spectral import SpectralDense, spectral_encoder
from zoo.optim.optimizers import Adam

tfd = tfp.distributions

# For each pairing what batches call the labels, and the sampler that gives them.
_LABELS = {
    "match": ("shared", "MatchedPairs"),
    "change": ("changed", "UniformPairs"),
    "rank": ("ranks", "RankedPairs"),
}


@gin.configurable
def critic_adam(
    learning_rate: float = 1e-3,
    beta_1: float = 0.5,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
) -> keras.optimizers.Optimizer:
    """Adam as Shu et al. 2020 give it to discriminator and encoder."""
    return Adam(learning_rate, beta_1, beta_2, epsilon)


@gin.register
class WeakGAN(Autoencoder):
    """Weakly supervised GAN (Shu et al. 2020), on labelled pairs `image`, `partner`.

    The generator makes pairs of images of pairs of latents N(0, I) that are related as the labels y
    `[B, D]` say, latent i standing for factor i; the discriminator tells them from labelled pairs
    of data. Labels are the factors that a pair shares (`match`, with one shared factor of each
    pair the paper's match pairing of every factor, the dissertation's "full sharing"), those that
    differ (`change`), or the order of all factors (`rank`). The encoder `q(z|x) = N(m(x), diag
    s^2(x))` is fitted to generated images and their latents; its mean is the code.

    Each step updates discriminator (cross entropy of pairs of data against generated ones) and
    encoder (`-log q(z|x)` in nats, which does not reach the generator), then the generator
    (non-saturating cross entropy) on other latents. The generated pairs of a step have the labels
    of its data, where the authors draw others from the same distribution.

    The optimiser of the run is the generator's. `loss` is the encoder's: those of the other two
    have no trend that tells of success.

    Args:
        observation_shape: the shape of one observation.
        latent_dim: the number D of factors.
        pairing: `match`, `change` or `rank`: what pairs are labelled with.
        encoder: observation shape -> network to features; a dense layer of spectral norm one for
            m and s follows.
        decoder: (latent dim, observation shape) -> network to logits of images: the generator.
        pair_discriminator: (observation shape, D) -> network from two images and a label `[B, D]`
            to logits `[B]`; `match_discriminator`, or `rank_discriminator` for rank pairing.
        critic_optimizer: makes the optimiser of discriminator and encoder.
    """

    def __init__(
        self,
        observation_shape: tuple[int, ...],
        latent_dim: int = 5,
        pairing: str = "match",
        encoder: Callable[..., keras.Model] = spectral_encoder,
        decoder: Callable[..., keras.Model] = gan_decoder,
        pair_discriminator: Callable[..., keras.Model] = match_discriminator,
        critic_optimizer: Callable[[], keras.optimizers.Optimizer] = critic_adam,
    ):
        super().__init__()
        if latent_dim < 1:
            raise SettingError(f"WeakGAN.latent_dim is {latent_dim}; give at least 1")
        if pairing not in _LABELS:
            raise SettingError(f"WeakGAN.pairing is {pairing!r}; it takes {', '.join(_LABELS)}")
        self.observation_shape, self.latent_dim = observation_shape, latent_dim
        self.pairing = pairing
        self.encoder = flat_features(encoder(observation_shape), f"{type(self).__name__}.encoder")
        self.code_head = SpectralDense(
            self.encoder.output_shape[-1], 2 * latent_dim, dtype="float32", name="code"
        )
        self.decoder = decoder(latent_dim, observation_shape)
        self.discriminator = pair_discriminator(observation_shape, latent_dim)
        self._make_optimizer = critic_optimizer
        self.built = True

    def rounds(self, optimizer: keras.optimizers.Optimizer) -> list[list[Player]]:
        """Discriminator and encoder, of one optimiser; then the generator, on other latents."""
        parts = (self.discriminator, self.encoder, self.code_head)
        critics = [variable for part in parts for variable in part.trainable_variables]
        # Their weights are disjoint: the gradient of the sum of their losses is that of each.
        losses = ("discriminator", "encoder")
        return [
            [Player(losses, critics, self._make_optimizer())],
            [Player(("generator",), self.decoder.trainable_variables, optimizer)],
        ]

    def posterior(self, images: tf.Tensor, training: bool = False) -> tfd.Distribution:
        """`q(z|x)`: `[B, ...]` images to a batch of B normals over `[D]`, independent entries."""
        features = self.encoder(images, training=training)
        mean, scale = tf.split(self.code_head(features, training=training), 2, axis=-1)
        return tfd.Normal(mean, tf.nn.softplus(scale) + 1e-8)

    def encode(self, images: tf.Tensor) -> tf.Tensor:
        """The posterior mean: `[B, ...]` to `[B, D]`."""
        return self.posterior(images).mean()

    def decode(self, latents: tf.Tensor) -> tf.Tensor:
        """Generated images of latents: `[B, D]` to `[B, ...]` in [0, 1]."""
        return self._generate(latents, training=False)

    def pairs(self, labels: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Latents of pairs, `[B, D]` each, and their labels, `[B, D]` float32.

        Args:
            labels: the shared or changed factors `[B, D]`; of rank pairing only its shape counts.
            seed: `[2]` int32.
        """
        shape = tf.shape(labels)
        first, second = (standard_normal(shape, stream(seed, number)) for number in (1, 2))
        if self.pairing == "rank":
            return first, second, tf.cast(first > second, tf.float32)
        shared = tf.cast(labels, tf.bool)
        if self.pairing == "change":
            shared = ~shared
        return first, tf.where(shared, first, second), tf.cast(labels, tf.float32)

    def losses_on(self, batch: Batch, seed: tf.Tensor, step: tf.Tensor) -> dict[str, tf.Tensor]:
        """See `Model.losses_on`; those of discriminator, encoder and generator at one moment.

        Spectral norms and moving averages are taken as they are; no variable changes.
        """
        del step
        labels = self._labels(batch)
        losses = {
            **self._critics(batch, labels, stream(seed, 1), training=False),
            "generator": self._generator(labels, stream(seed, 2), training=False),
        }
        return {"loss": losses["encoder"], **losses}

    def losses_of(
        self, number: int, batch: Batch, seed: tf.Tensor, step: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """See `Model.losses_of`."""
        del step
        labels = self._labels(batch)
        if number == 1:
            return {"generator": self._generator(labels, stream(seed, 2), training=True)}
        losses = self._critics(batch, labels, stream(seed, 1), training=True)
        return {**losses, "loss": losses["encoder"]}

    def _labels(self, batch: Batch) -> tf.Tensor:
        name, sampler = _LABELS[self.pairing]
        if name not in batch:
            raise SettingError(
                f"WeakGAN.pairing = {self.pairing!r} trains on pairs with {name!r}, which this "
                f"sampler does not give; set train.sampler = @{sampler}"
            )
        if batch[name].shape[-1] != self.latent_dim:
            raise SettingError(
                f"WeakGAN.latent_dim is {self.latent_dim} and the data set has "
                f"{batch[name].shape[-1]} factors; make them equal"
            )
        return batch[name]

    def _generate(self, latents: tf.Tensor, training: bool) -> tf.Tensor:
        return tf.sigmoid(tf.cast(self.decoder(latents, training=training), tf.float32))

    def _critics(self, batch, labels, seed, training):
        """The losses of discriminator and encoder, `[B]` each."""
        first, second, made = self.pairs(labels, seed)
        # Batch statistics are those of one element of the pairs, as in the authors' code.
        fakes = [tf.stop_gradient(self._generate(z, training)) for z in (first, second)]
        logits = self.discriminator(
            tf.concat([batch["image"], fakes[0]], axis=0),
            tf.concat([batch["partner"], fakes[1]], axis=0),
            tf.concat([tf.cast(labels, tf.float32), made], axis=0),
            training=training,
        )
        real, fake = tf.split(logits, 2)
        posterior = self.posterior(fakes[0], training=training)
        return {
            "discriminator": (tf.nn.softplus(-real) + tf.nn.softplus(fake)) / 2,
            "encoder": -tf.reduce_sum(posterior.log_prob(first), axis=-1),
        }

    def _generator(self, labels, seed, training):
        """The loss of the generator, `[B]`."""
        first, second, made = self.pairs(labels, seed)
        images = [self._generate(z, training) for z in (first, second)]
        return tf.nn.softplus(-self.discriminator(*images, made, training=training))
