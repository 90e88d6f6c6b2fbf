"""Discriminators."""

from collections.abc import Sequence

import gin
import keras

from zoo.networks import checks


@gin.configurable
def mlp_discriminator(
    latent_dim: int,
    units: Sequence[int] = (1000,) * 6,
    negative_slope: float = 0.2,
    name: str = "discriminator",
) -> keras.Model:
    """The discriminator of FactorVAE: dense layers with leaky ReLU and two logits.

    The defaults are those of Kim & Mnih 2018, appendix A, and of disentanglement_lib (slope 0.2,
    TensorFlow's default).

    Args:
        latent_dim: D.
        units: the widths of the hidden layers.
        negative_slope: of the leaky ReLU.
        name: the name of the network.

    Returns:
        A model from `[B, D]` latents to `[B, 2]` logits of "as they are" and "permuted".

    Raises:
        SettingError: a width is not positive, or the slope is not from 0 to 1.
    """
    checks.require_positive("mlp_discriminator", units=units)
    checks.require_slope("mlp_discriminator", negative_slope=negative_slope)
    layers = [keras.Input((latent_dim,))]
    for width in units:
        layers += [keras.layers.Dense(width), keras.layers.LeakyReLU(negative_slope)]
    return keras.Sequential([*layers, keras.layers.Dense(2)], name=name)
