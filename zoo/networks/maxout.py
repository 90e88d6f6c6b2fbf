"""Multilayer perceptrons with maxout units."""

from collections.abc import Sequence

import gin
import keras

from zoo.networks import checks


@gin.configurable
def maxout_encoder(
    observation_shape: tuple[int, ...],
    units: Sequence[int] = (40, 40),
    pool: int = 2,
    name: str = "encoder",
) -> keras.Model:
    """Dense layers whose units are maxima of `pool` linear ones (Goodfellow et al. 2013).

    With a linear layer after them the defaults are the toy network of PCL's authors (Hyvarinen &
    Morioka 2017): three layers, 40 hidden units, maxima of pairs, Glorot uniform weights.

    Args:
        observation_shape: the shape of one observation, which is flattened.
        units: the widths of the layers.
        pool: how many linear units make one.
        name: the name of the network.

    Returns:
        A model from `[B, *observation_shape]` to `[B, units[-1]]` features.
    """
    checks.require_positive("maxout_encoder", units=units, pool=pool)
    inputs = keras.Input(observation_shape)
    features = keras.layers.Flatten()(inputs)
    for width in units:
        features = keras.layers.Dense(pool * width)(features)
        grouped = keras.layers.Reshape((width, pool, 1))(features)
        features = keras.layers.MaxPooling2D((1, pool), strides=(1, pool))(grouped)
        features = keras.layers.Reshape((width,))(features)
    return keras.Model(inputs, features, name=name)
