"""Convolutional encoders and decoders of 64x64 images."""

import gin
import keras


@gin.configurable
def conv_encoder(observation_shape: tuple[int, ...], name: str = "encoder") -> keras.Model:
    """The convolutional encoder of disentanglement_lib, up to its 256 features.

    Convolutions 32 (4x4), 32 (4x4), 64 (2x2), 64 (2x2), each of stride 2 with SAME padding and
    ReLU, then a dense layer of 256 with ReLU. Source: Locatello et al. 2019,
    disentanglement_lib, `methods/shared/architectures.py` (the paper prints 4x4 kernels in all
    four layers; the released code uses 2x2 in the last two, and so does this).

    Args:
        observation_shape: `(H, W, C)`.
        name: the name of the network.

    Returns:
        A model from `[B, H, W, C]` images to `[B, 256]` features.
    """
    layers = [
        keras.layers.Conv2D(filters, kernel, 2, padding="same", activation="relu")
        for filters, kernel in ((32, 4), (32, 4), (64, 2), (64, 2))
    ]
    dense = [keras.layers.Flatten(), keras.layers.Dense(256, activation="relu")]
    return keras.Sequential([keras.Input(observation_shape), *layers, *dense], name=name)


@gin.configurable
def conv_decoder(
    latent_dim: int, observation_shape: tuple[int, ...], name: str = "decoder"
) -> keras.Model:
    """The deconvolutional decoder of disentanglement_lib.

    Dense 256 and 1024 with ReLU, reshaped to 4x4x64, transposed convolutions 64, 32, 32 with ReLU
    and C without activation, all 4x4 of stride 2 with SAME padding. Source as `conv_encoder`.

    Args:
        latent_dim: D.
        observation_shape: `(H, W, C)` with H and W multiples of 16.
        name: the name of the network.

    Returns:
        A model from `[B, D]` latents to `[B, H, W, C]` unnormalised outputs (logits).
    """
    height, width, channels = observation_shape
    if height % 16 or width % 16:
        raise ValueError(
            f"conv_decoder makes images whose sides are multiples of 16, not {height}x{width}; "
            "choose another decoder for this data set"
        )
    grid = (height // 16, width // 16, 64)
    layers = [
        keras.Input((latent_dim,)),
        keras.layers.Dense(256, activation="relu"),
        keras.layers.Dense(grid[0] * grid[1] * 64, activation="relu"),
        keras.layers.Reshape(grid),
    ]
    for filters in (64, 32, 32):
        layers.append(
            keras.layers.Conv2DTranspose(filters, 4, 2, padding="same", activation="relu")
        )
    layers.append(keras.layers.Conv2DTranspose(channels, 4, 2, padding="same"))
    return keras.Sequential(layers, name=name)
