"""The plain autoencoder."""

from collections.abc import Callable

import gin
import keras
import tensorflow as tf

from zoo.errors import SettingError
from zoo.models.base import Autoencoder, Batch, flat_features
from zoo.models.likelihoods import Bernoulli
from zoo.networks.convolutional import conv_decoder, conv_encoder


@gin.register
class AE(Autoencoder):
    """An autoencoder without noise and prior (the AE rows of Zietlow 2022, Tables 3.3 and 4.2).

    Minimises `-log p(x | e(x))` per image, in nats: the squared error for a Gaussian likelihood,
    the cross entropy for a Bernoulli one.

    Args:
        observation_shape: the shape of one observation, `(H, W, C)` or `(D,)`.
        latent_dim: the length of a code.
        encoder: observation shape -> network to features; a linear head for the code follows.
        decoder: (latent dim, observation shape) -> network to unnormalised outputs.
        likelihood: makes the likelihood p(x|z) of those outputs.
    """

    def __init__(
        self,
        observation_shape: tuple[int, ...],
        latent_dim: int = 10,
        encoder: Callable[..., keras.Model] = conv_encoder,
        decoder: Callable[..., keras.Model] = conv_decoder,
        likelihood: Callable[..., keras.layers.Layer] = Bernoulli,
    ):
        super().__init__()
        if latent_dim < 1:
            raise SettingError(f"AE.latent_dim is {latent_dim}; give at least 1")
        self.observation_shape, self.latent_dim = observation_shape, latent_dim
        self.encoder = flat_features(encoder(observation_shape), f"{type(self).__name__}.encoder")
        self.code_head = keras.layers.Dense(latent_dim, name="code")
        self.decoder = decoder(latent_dim, observation_shape)
        self.likelihood = likelihood()
        self.code_head.build(self.encoder.output_shape)
        self.built = True

    def encode(self, images: tf.Tensor) -> tf.Tensor:
        """The code: `[B, ...]` to `[B, D]`."""
        return self._code(images, training=False)

    def decoder_outputs(self, latents: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The unnormalised outputs that parameterise the likelihood: `[B, D]` to `[B, ...]`.

        Args:
            latents: `[B, D]`.
            training: see `VAE.posterior`.
        """
        return tf.cast(self.decoder(latents, training=training), tf.float32)

    def decode(self, latents: tf.Tensor) -> tf.Tensor:
        """The mean of p(x|z): `[B, D]` to `[B, ...]`."""
        return self.likelihood.mean(self.decoder_outputs(latents))

    def losses_on(self, batch: Batch, seed: tf.Tensor, step: tf.Tensor) -> dict[str, tf.Tensor]:
        """See `Model.losses_on`; nothing is random but dropout, where a network has it."""
        del seed, step
        images, training = batch["image"], self.training_losses
        outputs = self.decoder_outputs(self._code(images, training), training)
        loss = self.likelihood.negative_log_likelihood(images, outputs)
        return {"loss": loss, "reconstruction": loss}

    def _code(self, images: tf.Tensor, training: bool) -> tf.Tensor:
        return tf.cast(self.code_head(self.encoder(images, training=training)), tf.float32)
