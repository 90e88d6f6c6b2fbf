"""Convolutional encoders and decoders of 64x64 images."""

import math
from collections.abc import Sequence

import gin
import keras

from zoo.errors import SettingError
from zoo.networks import checks
from zoo.networks.transposed import Conv2DTranspose


@gin.configurable
def conv_encoder(
    observation_shape: tuple[int, ...],
    layers: Sequence[tuple[int, int, int]] = ((32, 4, 2), (32, 4, 2), (64, 2, 2), (64, 2, 2)),
    units: Sequence[int] = (256,),
    name: str = "encoder",
) -> keras.Model:
    """Convolutions with SAME padding, then dense layers, all with ReLU.

    The defaults are the encoder of disentanglement_lib, up to its 256 features. Source: Locatello
    et al. 2019, disentanglement_lib, `methods/shared/architectures.py` (the paper prints 4x4
    kernels in all four layers; the released code uses 2x2 in the last two, and so does this).

    Args:
        observation_shape: `(H, W, C)`.
        layers: filters, side of the kernel and stride of every convolution.
        units: the widths of the dense layers; with none the features are the flattened last map.
        name: the name of the network.

    Returns:
        A model from `[B, H, W, C]` images to `[B, units[-1]]` features.

    Raises:
        SettingError: observations are no images, or a size is not positive.
    """
    checks.require_images(observation_shape, "conv_encoder")
    checks.require_layers("conv_encoder", layers)
    checks.require_positive("conv_encoder", units=units)
    convolutions = [
        keras.layers.Conv2D(filters, kernel, stride, padding="same", activation="relu")
        for filters, kernel, stride in layers
    ]
    dense = [keras.layers.Dense(width, activation="relu") for width in units]
    return keras.Sequential(
        [keras.Input(observation_shape), *convolutions, keras.layers.Flatten(), *dense], name=name
    )


@gin.configurable
def conv_decoder(
    latent_dim: int,
    observation_shape: tuple[int, ...],
    units: Sequence[int] = (256,),
    grid_filters: int = 64,
    layers: Sequence[tuple[int, int, int]] = ((64, 4, 2), (32, 4, 2), (32, 4, 2)),
    name: str = "decoder",
) -> keras.Model:
    """Dense layers to a small grid, then transposed convolutions with SAME padding.

    The defaults are the decoder of disentanglement_lib: dense 256 and 1024 with ReLU, reshaped to
    4x4x64, transposed convolutions 64, 32, 32 with ReLU and C without activation, all 4x4 of
    stride 2. Source as `conv_encoder`.

    Args:
        latent_dim: D.
        observation_shape: `(H, W, C)` with H and W multiples of all strides together.
        units: the widths of the dense layers before that to the grid.
        grid_filters: the channels of the grid.
        layers: filters, side of the kernel and stride of every transposed convolution but the
            last, which is C, 4x4 of stride 2.
        name: the name of the network.

    Returns:
        A model from `[B, D]` latents to `[B, H, W, C]` unnormalised outputs (logits).

    Raises:
        SettingError: observations are no images, their sides are no such multiples, or a size is
            not positive.
    """
    checks.require_images(observation_shape, "conv_decoder")
    checks.require_layers("conv_decoder", layers)
    checks.require_positive("conv_decoder", units=units, grid_filters=grid_filters)
    height, width, channels = observation_shape
    factor = 2 * math.prod(stride for _, _, stride in layers)
    if height % factor or width % factor:
        raise SettingError(
            f"conv_decoder makes images whose sides are multiples of {factor}, not "
            f"{height}x{width}; choose another decoder for this data set"
        )
    grid = (height // factor, width // factor, grid_filters)
    dense = [keras.layers.Dense(size, activation="relu") for size in (*units, math.prod(grid))]
    transposed = [
        keras.layers.Conv2DTranspose(filters, kernel, stride, padding="same", activation="relu")
        for filters, kernel, stride in layers
    ]
    last = Conv2DTranspose(channels, 4, 2, padding="same")
    return keras.Sequential(
        [keras.Input((latent_dim,)), *dense, keras.layers.Reshape(grid), *transposed, last],
        name=name,
    )


@gin.configurable
def slow_encoder(observation_shape: tuple[int, ...], name: str = "encoder") -> keras.Model:
    """The convolutional encoder of SlowVAE, up to its 256 features.

    Convolutions 32, 32, 64, 64 (4x4 of stride 2 with SAME padding) and 256 (4x4, to 1x1), all with
    ReLU; He normal weights, zero biases. Source: Klindt et al. 2021,
    bethgelab/slow_disentanglement, `scripts/model.py`.

    Args:
        observation_shape: `(64, 64, C)`.
        name: the name of the network.

    Returns:
        A model from `[B, 64, 64, C]` images to `[B, 256]` features.
    """
    _require_64(observation_shape, "slow_encoder")
    layers = [
        keras.layers.Conv2D(
            filters, 4, 2, padding="same", activation="relu", kernel_initializer=_he_normal()
        )
        for filters in (32, 32, 64, 64)
    ]
    layers.append(keras.layers.Conv2D(256, 4, activation="relu", kernel_initializer=_he_normal()))
    return keras.Sequential(
        [keras.Input(observation_shape), *layers, keras.layers.Flatten()], name=name
    )


@gin.configurable
def slow_decoder(
    latent_dim: int, observation_shape: tuple[int, ...], name: str = "decoder"
) -> keras.Model:
    """The deconvolutional decoder of SlowVAE, the mirror of `slow_encoder`.

    Dense 256, transposed convolutions 64 (4x4, from 1x1), 64, 32, 32 and C (4x4 of stride 2 with
    SAME padding), ReLU between. He normal weights and zero bias for the dense layer; the others
    keep PyTorch's initialisation, uniform on +-1/sqrt(16 filters), biases too.

    Args:
        latent_dim: D.
        observation_shape: `(64, 64, C)`.
        name: the name of the network.

    Returns:
        A model from `[B, D]` latents to `[B, 64, 64, C]` unnormalised outputs (logits).
    """
    _require_64(observation_shape, "slow_decoder")
    layers = [
        keras.Input((latent_dim,)),
        keras.layers.Dense(256, activation="relu", kernel_initializer=_he_normal()),
        keras.layers.Reshape((1, 1, 256)),
    ]
    *hidden, last = (64, 64, 32, 32, observation_shape[-1])
    for k, filters in enumerate((*hidden, last)):
        bound = 1 / math.sqrt(16 * filters)
        layers.append(
            Conv2DTranspose(
                filters,
                4,
                strides=2 if k else 1,
                padding="same" if k else "valid",
                activation="relu" if k < len(hidden) else None,
                kernel_initializer=keras.initializers.RandomUniform(-bound, bound),
                bias_initializer=keras.initializers.RandomUniform(-bound, bound),
            )
        )
    return keras.Sequential(layers, name=name)


def _he_normal() -> keras.initializers.Initializer:
    """Kaiming & He's normal weights for ReLU, untruncated as in PyTorch."""
    return keras.initializers.VarianceScaling(2.0, "fan_in", "untruncated_normal")


def _require_64(observation_shape: tuple[int, ...], name: str) -> None:
    if tuple(observation_shape[:-1]) != (64, 64):
        sides = "x".join(map(str, observation_shape))
        raise SettingError(f"{name} takes 64x64 images, not {sides}; choose another network")
