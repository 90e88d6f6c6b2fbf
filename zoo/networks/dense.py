"""Multilayer perceptrons, for images (flattened) and for vectors."""

from collections.abc import Sequence

import gin
import keras

from zoo.networks import checks


@gin.configurable
def mlp_encoder(
    observation_shape: tuple[int, ...],
    units: Sequence[int] = (1200, 1200),
    activation: str = "relu",
    name: str = "encoder",
) -> keras.Model:
    """Dense layers on the flattened observation; no units make it the identity.

    The defaults are the dSprites encoder of Zietlow 2022, Table 3.1 (and the FC encoder of
    disentanglement_lib).

    Args:
        observation_shape: the shape of one observation.
        units: the widths of the hidden layers.
        activation: their nonlinearity.
        name: the name of the network.

    Returns:
        A model from `[B, *observation_shape]` to `[B, units[-1]]` features.

    Raises:
        SettingError: a width is not positive, or Keras has no such nonlinearity.
    """
    checks.require_positive("mlp_encoder", units=units)
    checks.require_activation("mlp_encoder", activation)
    hidden = [keras.layers.Dense(width, activation=activation) for width in units]
    return keras.Sequential(
        [keras.Input(observation_shape), keras.layers.Flatten(), *hidden], name=name
    )


@gin.configurable
def mlp_decoder(
    latent_dim: int,
    observation_shape: tuple[int, ...],
    units: Sequence[int] = (1200, 1200, 1200),
    activation: str = "tanh",
    name: str = "decoder",
) -> keras.Model:
    """Dense layers and a linear layer to the observation; no units make it linear.

    The defaults are the dSprites decoder of Zietlow 2022, Table 3.1.

    Args:
        latent_dim: D.
        observation_shape: the shape of one observation.
        units: the widths of the hidden layers.
        activation: their nonlinearity.
        name: the name of the network.

    Returns:
        A model from `[B, D]` latents to `[B, *observation_shape]` unnormalised outputs.

    Raises:
        SettingError: a width is not positive, or Keras has no such nonlinearity.
    """
    checks.require_positive("mlp_decoder", units=units)
    checks.require_activation("mlp_decoder", activation)
    size = 1
    for side in observation_shape:
        size *= side
    layers = [keras.layers.Dense(width, activation=activation) for width in units]
    layers += [keras.layers.Dense(size), keras.layers.Reshape(tuple(observation_shape))]
    return keras.Sequential([keras.Input((latent_dim,)), *layers], name=name)
