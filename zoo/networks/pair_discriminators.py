"""The networks of the weakly supervised GAN: a generator, and discriminators of labelled pairs.

Sizes and layers: Shu et al. 2020 (google-research, `weak_disentangle/networks.py` and
`configs/gan.gin`): `width` 2 and a shared dense layer, no biases in the heads.
"""

import math
from collections.abc import Sequence

import gin
import keras
import tensorflow as tf

from zoo.errors import SettingError
from zoo.networks import checks
from zoo.networks.pytorch import batch_norm
from zoo.networks.spectral import SpectralDense, spectral_encoder


@gin.configurable
def gan_decoder(
    latent_dim: int,
    observation_shape: tuple[int, ...],
    slope: float = 0.2,
    name: str = "decoder",
) -> keras.Model:
    """The generator, up to its sigmoid.

    Dense 128 and 1024 with ReLU, reshaped to 4x4x64, transposed convolutions 64, 32, 32 with leaky
    ReLU and C, all 4x4 of stride 2 with SAME padding; batch normalisation after every activation.

    Args:
        latent_dim: D.
        observation_shape: `(H, W, C)` with H and W multiples of 16.
        slope: of leaky ReLU for negative numbers.
        name: the name of the network.

    Returns:
        A model from `[B, D]` latents to `[B, H, W, C]` logits.

    Raises:
        SettingError: observations are no images, their sides are no such multiples, or the slope is
            not from 0 to 1.
    """
    checks.require_images(observation_shape, "gan_decoder")
    checks.require_slope("gan_decoder", slope=slope)
    height, width, channels = observation_shape
    if height % 16 or width % 16:
        raise SettingError(
            f"gan_decoder makes images whose sides are multiples of 16, not {height}x{width}; "
            "choose another decoder for this data set"
        )
    grid = (height // 16, width // 16, 64)
    layers = [keras.Input((latent_dim,))]
    for units in (128, math.prod(grid)):
        layers += [keras.layers.Dense(units, activation="relu"), batch_norm()]
    layers.append(keras.layers.Reshape(grid))
    for filters in (64, 32, 32):
        layers.append(keras.layers.Conv2DTranspose(filters, 4, 2, padding="same"))
        layers += [keras.layers.LeakyReLU(slope), batch_norm()]
    layers.append(keras.layers.Conv2DTranspose(channels, 4, 2, padding="same"))
    return keras.Sequential(layers, name=name)


class MatchDiscriminator(keras.Model):
    """Logits of pairs and the sets of factors that they share (or that change).

    `f(h) + <h, e(y)>` with features `h` of both images: the label y `[B, F]`, which is one-hot in
    Shu et al., is embedded linearly, each factor's embedding being of norm one (up to 1e-3).

    Args:
        observation_shape: `(H, W, C)`.
        factors: F.
        filters: of the convolutions, which both images pass.
        units: of the dense layers: one for each image, two for the pair.
        slope: of leaky ReLU for negative numbers.
    """

    def __init__(self, observation_shape, factors, filters, units, slope):
        super().__init__(name="discriminator")
        self.body = spectral_encoder(observation_shape, filters, (units,), slope, name="body")
        self.neck = _perceptron(2 * units, (units, units), slope, "neck")
        self.head = SpectralDense(units, 1, use_bias=False, name="head")
        self.embedding = self.add_weight(
            (factors, units), keras.initializers.GlorotUniform(), name="embedding"
        )
        self.built = True

    def call(self, first, second, labels, training=False):
        """Images `[B, H, W, C]` twice and labels `[B, F]` float to logits `[B]`."""
        # One pass, for one step of the power iterations.
        both = self.body(tf.concat([first, second], axis=0), training=training)
        features = self.neck(tf.concat(tf.split(both, 2), axis=-1), training=training)
        embedding = tf.convert_to_tensor(self.embedding)
        embedding *= tf.math.rsqrt(tf.reduce_sum(embedding**2, axis=1, keepdims=True) + 1e-3)
        conditional = tf.cast(labels, embedding.dtype) @ embedding
        logits = self.head(features, training=training)[:, 0]
        return tf.cast(logits + tf.reduce_sum(features * conditional, axis=-1), tf.float32)


class RankDiscriminator(keras.Model):
    """Logits of pairs and the orders of their factors, `y_i = 1` where the first one's is larger.

    `f(x1) + f(x2) + sum_i (2 y_i - 1) (g_i(x1) - g_i(x2))`.

    Args:
        observation_shape: `(H, W, C)`.
        factors: F.
        filters: of the convolutions.
        units: of the three dense layers.
        slope: of leaky ReLU for negative numbers.
    """

    def __init__(self, observation_shape, factors, filters, units, slope):
        super().__init__(name="discriminator")
        self.body = spectral_encoder(observation_shape, filters, (units,) * 3, slope, name="body")
        self.head = SpectralDense(units, 1 + factors, use_bias=False, name="head")
        self.built = True

    def call(self, first, second, labels, training=False):
        """Images `[B, H, W, C]` twice and labels `[B, F]` float to logits `[B]`."""
        both = self.body(tf.concat([first, second], axis=0), training=training)
        outputs = tf.cast(self.head(both, training=training), tf.float32)
        first, second = tf.split(outputs, 2)
        ordered = (2 * tf.cast(labels, tf.float32) - 1) * (first[:, 1:] - second[:, 1:])
        return first[:, 0] + second[:, 0] + tf.reduce_sum(ordered, axis=-1)


@gin.configurable
def match_discriminator(
    observation_shape: tuple[int, ...],
    factors: int,
    filters: Sequence[int] = (64, 64, 128, 128),
    units: int = 256,
    slope: float = 0.2,
) -> keras.Model:
    """A `MatchDiscriminator`, for pairs that share factors or change them.

    Raises:
        SettingError: observations are no images, a size is not positive, or the slope is not from
            0 to 1.
    """
    _require("match_discriminator", observation_shape, filters, units, slope)
    return MatchDiscriminator(observation_shape, factors, filters, units, slope)


@gin.configurable
def rank_discriminator(
    observation_shape: tuple[int, ...],
    factors: int,
    filters: Sequence[int] = (64, 64, 128, 128),
    units: int = 256,
    slope: float = 0.2,
) -> keras.Model:
    """A `RankDiscriminator`, for pairs whose factors are compared.

    Raises:
        SettingError: observations are no images, a size is not positive, or the slope is not from
            0 to 1.
    """
    _require("rank_discriminator", observation_shape, filters, units, slope)
    return RankDiscriminator(observation_shape, factors, filters, units, slope)


def _require(
    network: str, observation_shape, filters: Sequence[int], units: int, slope: float
) -> None:
    checks.require_images(observation_shape, network, "choose another data set")
    checks.require_positive(network, filters=filters, units=units)
    checks.require_slope(network, slope=slope)


def _perceptron(inputs: int, units: Sequence[int], slope: float, name: str) -> keras.Model:
    layers = [keras.Input((inputs,))]
    for width in units:
        layers.append(SpectralDense(inputs, width, slope))
        inputs = width
    return keras.Sequential(layers, name=name)
