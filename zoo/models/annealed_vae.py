"""Annealed VAE: the KL term follows a growing capacity."""

from collections.abc import Callable

import gin
import keras
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.errors import SettingError
from zoo.models.likelihoods import Bernoulli
from zoo.models.vae import BetaVAE
from zoo.networks.convolutional import conv_decoder, conv_encoder
from zoo.training.schedules import Schedule, at

tfd = tfp.distributions


@gin.register
class AnnealedVAE(BetaVAE):
    """Beta-VAE with a controlled capacity (Burgess et al. 2018, eq. 8).

    Minimises `E_q(z|x)[-log p(x|z)] + gamma |KL - C|` per image, in nats, with KL the mean of
    `KL(q(z|x) || N(0, I))` over the batch, `[B]` to one number, as in disentanglement_lib, and C
    the capacity at the step; logs C as `capacity`.

    Arguments not listed are those of `BetaVAE`.

    Args:
        gamma: the weight of the distance from the capacity.
        capacity: C in nats: a number or, commonly, a ramp from 0.
    """

    def __init__(
        self,
        observation_shape: tuple[int, ...],
        latent_dim: int = 10,
        gamma: float = 1000.0,
        capacity: float | Schedule = 25.0,
        encoder: Callable[..., keras.Model] = conv_encoder,
        decoder: Callable[..., keras.Model] = conv_decoder,
        likelihood: Callable[..., keras.layers.Layer] = Bernoulli,
    ):
        super().__init__(observation_shape, latent_dim, 1.0, encoder, decoder, likelihood)
        if gamma < 0:
            raise SettingError(f"AnnealedVAE.gamma is {gamma}; give a number that is not negative")
        self.gamma, self.capacity = gamma, capacity

    def regularizer(
        self, posterior: tfd.Distribution, latents: tf.Tensor, kl: tf.Tensor, step: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """`gamma |mean KL - C|` for every image; see `BetaVAE.regularizer`."""
        del posterior, latents
        capacity = at(self.capacity, step)
        penalty = self.gamma * tf.abs(tf.reduce_mean(kl) - capacity)
        ones = tf.ones_like(kl)
        return penalty * ones, {"capacity": capacity * ones}
