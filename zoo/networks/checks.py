"""What a network cannot be made of, in one line, before Keras says it on a page."""

from collections.abc import Sequence

import keras

from zoo.errors import SettingError

Sizes = int | Sequence["Sizes"]


def require_images(
    observation_shape: tuple[int, ...],
    network: str,
    otherwise: str = "choose another network, as mlp_encoder or mlp_decoder, or another data set",
) -> None:
    """Raises a SettingError where observations are no images `(H, W, C)`."""
    if len(observation_shape) != 3:
        raise SettingError(
            f"{network} takes images, not data of shape {tuple(observation_shape)}; {otherwise}"
        )


def require_positive(network: str, **sizes: Sizes) -> None:
    """Raises a SettingError where a size, or one of nested lists of sizes, is below 1."""
    for key, size in sizes.items():
        if not _positive(size):
            raise SettingError(f"{network}.{key} is {size}; give whole numbers of at least 1")


def require_slope(network: str, **slopes: float) -> None:
    """Raises a SettingError where a slope of leaky ReLU is not from 0 to 1, or is NaN."""
    for key, slope in slopes.items():
        if not 0 <= slope <= 1:
            raise SettingError(f"{network}.{key} is {slope}; give a number from 0 to 1")


def require_layers(network: str, layers: Sequence[Sequence[int]]) -> None:
    """Raises a SettingError where convolutions are not given by three positive numbers each."""
    require_positive(network, layers=layers)
    if not all(isinstance(layer, Sequence) and len(layer) == 3 for layer in layers):
        raise SettingError(
            f"{network}.layers is {layers}; give filters, side of the kernel and stride of each"
        )


def require_activation(network: str, activation: str) -> None:
    """Raises a SettingError where Keras knows no such nonlinearity."""
    try:
        keras.activations.get(activation)
    except ValueError:
        raise SettingError(
            f"{network}.activation is {activation!r}; give one of Keras, as 'relu' or 'tanh'"
        ) from None


def _positive(size: Sizes) -> bool:
    if isinstance(size, list | tuple):
        return all(map(_positive, size))
    return isinstance(size, int) and size >= 1
