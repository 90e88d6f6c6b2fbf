"""The networks of the additive-decoder work: a ResNet-18 encoder and transposed-conv decoders.

Sizes and layers: Lachapelle et al., "Additive Decoders for Latent Variables Identification and
Cartesian-Product Extrapolation", NeurIPS 2023 (repository divyat09/additive_decoder_extrapolation
at 7fe1e83, the camera-ready state, which the defaults follow; 8305e8b is the first version).
Batch normalisation and initial weights are PyTorch's, but for the moving variance, which is that
of the batch (divided by n, where PyTorch divides by n - 1).
"""

import math
from collections.abc import Sequence

import gin
import keras
import numpy as np

from zoo.errors import SettingError
from zoo.networks import checks
from zoo.networks.pytorch import batch_norm, uniform_by_fan_in

Layer = keras.layers.Layer


@gin.configurable
def resnet18_encoder(
    observation_shape: tuple[int, ...],
    units: Sequence[int] = (512,) * 5,
    filters: int = 64,
    slope: float = 0.01,
    name: str = "encoder",
) -> keras.Model:
    """ResNet-18 (He et al. 2016, Table 1) with random weights, then an MLP with batch norm.

    Convolution 7x7 of stride 2 and max pooling 3x3 of stride 2; four stages of two basic blocks
    with `filters` times 1, 2, 4 and 8 channels; the average over pixels; dense layers, each with
    batch normalisation and LeakyReLU. The code's own dense layer and normalisation follow in the
    model. With the defaults the convolutional part is torchvision's `resnet18` without `fc`, whose
    paddings it has: 11,176,512 parameters.

    Args:
        observation_shape: `(H, W, C)`.
        units: the widths of the dense layers; the first version has six.
        filters: the channels of the first stage.
        slope: of LeakyReLU for negative numbers; 0.1 in the first version.
        name: the name of the network.

    Returns:
        A model from `[B, H, W, C]` images to `[B, units[-1]]` features.

    Raises:
        SettingError: observations are no images, a size is not positive, or the slope is not from
            0 to 1.
    """
    checks.require_images(observation_shape, "resnet18_encoder")
    checks.require_positive("resnet18_encoder", units=units, filters=filters)
    checks.require_slope("resnet18_encoder", slope=slope)
    images = keras.Input(observation_shape)
    features = keras.layers.ReLU()(batch_norm()(_convolution(images, filters, 7, 2)))
    # Zeros stand for minus infinity here: nothing is negative after ReLU.
    padded = keras.layers.ZeroPadding2D(1)(features)
    features = keras.layers.MaxPooling2D(3, 2)(padded)
    for stage in range(4):
        for block in range(2):
            stride = 2 if stage and not block else 1
            features = _basic_block(features, filters * 2**stage, stride)
    features = keras.layers.GlobalAveragePooling2D()(features)
    for layer in _perceptron(8 * filters, units, slope=slope):
        features = layer(features)
    return keras.Model(images, features, name=name)


@gin.configurable
def moment_encoder(
    observation_shape: tuple[int, ...], order: int = 1, name: str = "encoder"
) -> keras.Model:
    """Moments of an image, `mean(image y^i x^j)` for 1 <= i + j <= order; for small budgets.

    Of one object on a plain background the first moments are linear in its position, so that the
    code, which is linear in them, neither goes back nor changes objects as the object moves. What
    is left to be found is a matrix, to which a random one comes near: such an encoder is no test
    of what identifies latents.

    Args:
        observation_shape: `(H, W, C)`; x and y are from -1 to 1.
        order: the highest sum of powers.
        name: the name of the network.

    Returns:
        A model from `[B, H, W, C]` images to `[B, C order (order + 3) / 2]` features.

    Raises:
        SettingError: observations are no images, or the order is not positive.
    """
    checks.require_images(observation_shape, "moment_encoder")
    checks.require_positive("moment_encoder", order=order)
    height, width, _ = observation_shape
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    powers = [(i, n - i) for n in range(1, order + 1) for i in range(n + 1)]
    basis = np.stack([y**i * x**j for i, j in powers], -1) / (height * width)
    images = keras.Input(observation_shape)
    moments = keras.ops.einsum("bhwc,hwm->bmc", images, basis.astype(np.float32))
    return keras.Model(images, keras.layers.Flatten()(moments), name=name)


@gin.configurable
def object_decoder(
    latent_dim: int,
    observation_shape: tuple[int, ...],
    units: Sequence[int] = (512,) * 5,
    filters: Sequence[int] = (64, 64, 32, 32),
    activation: str = "leaky_relu",
    slope: float = 0.01,
    normalized: bool = True,
    name: str = "decoder",
) -> keras.Model:
    """An MLP with batch norm and transposed convolutions: all of an image, or one object's part.

    Dense layers of `units`, then one to a grid of `filters[0]` channels, each with batch
    normalisation and the activation; transposed 4x4 convolutions of stride 2 to `filters[1:]`
    channels with the activation, the last one to C channels without. Not squashed.

    With LeakyReLU and fixed statistics the network is piecewise linear: its Hessian is zero
    wherever it exists, whether it is additive or not. Proposition 5 of the paper needs a smooth
    activation.

    Args:
        latent_dim: the number of latents that it takes: all, or those of a block.
        observation_shape: `(H, W, C)` with H and W multiples of `2^len(filters)`.
        units: the widths of the dense layers before the grid; the first version has six.
        filters: the channels of the grid and of all transposed convolutions but the last.
        activation: `leaky_relu`, or a Keras activation.
        slope: of LeakyReLU for negative numbers; 0.1 in the first version.
        normalized: whether there is batch normalisation.
        name: the name of the network.

    Returns:
        A model from `[B, latent_dim]` to `[B, H, W, C]` numbers.

    Raises:
        SettingError: observations are no images, their sides are no such multiples, a size is not
            positive, the slope is not from 0 to 1, or Keras has no such activation.
    """
    checks.require_images(observation_shape, "object_decoder")
    checks.require_positive("object_decoder", units=units, filters=filters)
    checks.require_activation("object_decoder", activation)
    checks.require_slope("object_decoder", slope=slope)
    height, width, channels = observation_shape
    factor = 2 ** len(filters)
    if height % factor or width % factor:
        raise SettingError(
            f"object_decoder makes images whose sides are multiples of {factor}, not "
            f"{height}x{width}; change object_decoder.filters, or choose another data set"
        )
    grid = (height // factor, width // factor, filters[0])
    widths = (*units, math.prod(grid))
    layers = [keras.Input((latent_dim,))]
    layers += _perceptron(latent_dim, widths, activation, slope, normalized)
    layers.append(keras.layers.Reshape(grid))
    for number, count in enumerate((*filters[1:], channels)):
        if number:
            layers.append(_nonlinearity(activation, slope))
        initial = uniform_by_fan_in(16 * count)
        layers.append(keras.layers.Conv2DTranspose(count, 4, 2, padding="same", **initial))
    return keras.Sequential(layers, name=name)


def _nonlinearity(activation: str, slope: float) -> Layer:
    if activation == "leaky_relu":
        return keras.layers.LeakyReLU(slope)
    return keras.layers.Activation(activation)


def _perceptron(
    inputs: int,
    units: Sequence[int],
    activation: str = "leaky_relu",
    slope: float = 0.01,
    normalized: bool = True,
) -> list[Layer]:
    layers = []
    for width in units:
        layers.append(keras.layers.Dense(width, **uniform_by_fan_in(inputs)))
        layers += [batch_norm()] if normalized else []
        layers.append(_nonlinearity(activation, slope))
        inputs = width
    return layers


def _convolution(inputs, filters: int, kernel: int, stride: int):
    """Padded alike on all sides, as PyTorch does; SAME would shift strided ones by a pixel."""
    layer = keras.layers.Conv2D(
        filters,
        kernel,
        stride,
        use_bias=False,
        kernel_initializer=keras.initializers.VarianceScaling(2, "fan_out", "untruncated_normal"),
    )
    return layer(keras.layers.ZeroPadding2D(kernel // 2)(inputs) if kernel > 1 else inputs)


def _basic_block(inputs, filters: int, stride: int):
    features = keras.layers.ReLU()(batch_norm()(_convolution(inputs, filters, 3, stride)))
    features = batch_norm()(_convolution(features, filters, 3, 1))
    if stride > 1:
        inputs = batch_norm()(_convolution(inputs, filters, 1, stride))
    return keras.layers.ReLU()(keras.layers.Add()([features, inputs]))
