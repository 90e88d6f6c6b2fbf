"""Layers of style-based GANs: equalised learning rates, modulation, resampling by [1, 3, 3, 1].

Karras et al. 2018 (equalised learning rate, deviation within the minibatch) and Karras et al. 2020
(modulated convolutions). Weights are N(0, 1) and multiplied by their He constant when they are
used, so that Adam moves all of them at one relative rate.
"""

import functools
import math

import keras
import numpy as np
import tensorflow as tf

from zoo.errors import SettingError

_TINY = 1e-8


def normalise_second_moment(values: tf.Tensor) -> tf.Tensor:
    """`x / sqrt(mean x^2 + 1e-8)` over the last axis; same shape."""
    return values * tf.math.rsqrt(tf.reduce_mean(values**2, axis=-1, keepdims=True) + _TINY)


def leaky_relu(values: tf.Tensor) -> tf.Tensor:
    """`sqrt(2) leaky_relu_0.2(x)`, which keeps the variance about what it was; same shape."""
    # Not the operation: TensorFlow's optimiser of graphs trips over it behind a bias.
    return math.sqrt(2) * tf.maximum(values, 0.2 * values)


class _Equalised(keras.layers.Layer):
    """A layer whose kernel is `m / sqrt(fan in)` times weights that are N(0, 1 / m^2) at first.

    m is its rate multiplier.
    """

    def __init__(self, kernel_shape: tuple[int, ...], bias: float | None, rate: float, **options):
        super().__init__(**options)
        self.rate = rate
        self._gain = rate / math.sqrt(math.prod(kernel_shape[:-1]))
        normal = keras.initializers.RandomNormal(stddev=1 / rate)
        self.kernel = self.add_weight(kernel_shape, normal, name="kernel", autocast=False)
        self.bias = None
        if bias is not None:
            start = keras.initializers.Constant(bias / rate)
            self.bias = self.add_weight(kernel_shape[-1:], start, name="bias", autocast=False)
        self.built = True

    def scaled_kernel(self) -> tf.Tensor:
        """The kernel as it is used, float32."""
        return self._gain * tf.convert_to_tensor(self.kernel)

    def biased(self, values: tf.Tensor) -> tf.Tensor:
        """Values `[..., outputs]` plus the bias, if there is one."""
        if self.bias is None:
            return values
        return values + tf.cast(self.rate * tf.convert_to_tensor(self.bias), values.dtype)


class EqualisedDense(_Equalised):
    """A dense layer with an equalised learning rate, `[B, inputs]` to `[B, units]`.

    Args:
        inputs: their number.
        units: the number of outputs.
        bias: its initial value; None for no bias.
        rate: by how much its learning rate is multiplied (Karras et al. take 0.01 in mapping
            networks); outputs at the start do not depend on it.
    """

    def __init__(
        self, inputs: int, units: int, bias: float | None = 0.0, rate: float = 1.0, **options
    ):
        super().__init__((inputs, units), bias, rate, **options)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """See the class."""
        kernel = tf.cast(self.scaled_kernel(), self.compute_dtype)
        return self.biased(tf.cast(inputs, self.compute_dtype) @ kernel)


class EqualisedConv2D(_Equalised):
    """A convolution with an equalised learning rate, `[B, H, W, inputs]` to `[B, h, w, filters]`.

    Args:
        inputs: their channels.
        filters: the channels of the outputs.
        size: the side of the kernel.
        down: whether images are blurred by [1, 3, 3, 1] / 8 and every other pixel is taken, which
            halves even sides.
        bias: its initial value; None for no bias.
    """

    def __init__(
        self,
        inputs: int,
        filters: int,
        size: int = 3,
        down: bool = False,
        bias: float | None = 0.0,
        **options,
    ):
        super().__init__((size, size, inputs, filters), bias, 1.0, **options)
        self.down = down

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """See the class."""
        kernel = tf.cast(self.scaled_kernel(), self.compute_dtype)
        inputs = tf.cast(inputs, self.compute_dtype)
        if not self.down:
            return self.biased(tf.nn.conv2d(inputs, kernel, 1, "SAME"))
        if kernel.shape[0] == 1:
            return self.biased(tf.nn.conv2d(halved(inputs), kernel, 1, "VALID"))
        return self.biased(tf.nn.conv2d(_resampled(inputs, _blur), kernel, 2, "VALID"))


class ModulatedConv2D(_Equalised):
    """A convolution whose kernel a style scales for each image (Karras et al. 2020, section 2.2).

    With the kernel w `[k, k, I, O]` and the style s `[B, I]`, image b is convolved with
    `w'_ijio = s_bi w_ijio`, divided where `demodulated` by `sqrt(sum_ijk w'^2 + 1e-8)` over all
    inputs of an output: outputs have unit variance where inputs are independent of unit variance.
    As convolution is linear, inputs are scaled before it and outputs after it, so that one kernel
    serves the whole batch.

    Args:
        inputs: I.
        filters: O.
        style_dim: W, the size of what styles are linear functions of; their bias starts at 1.
        size: k.
        up: whether images are first enlarged twice; see `doubled`.
        demodulated: whether outputs are divided; the layer that makes colours leaves it out.
    """

    def __init__(
        self,
        inputs: int,
        filters: int,
        style_dim: int,
        size: int = 3,
        up: bool = False,
        demodulated: bool = True,
        **options,
    ):
        super().__init__((size, size, inputs, filters), 0.0, 1.0, **options)
        self.up, self.demodulated = up, demodulated
        self.affine = EqualisedDense(style_dim, inputs, bias=1.0, dtype="float32", name="affine")

    def call(
        self, inputs: tf.Tensor, style: tf.Tensor, noise: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Images and styles to images.

        Args:
            inputs: `[B, H, W, I]`.
            style: `[B, W]`.
            noise: added to the outputs before the bias, broadcast to them; None for none.

        Returns:
            `[B, H, W, O]`, or `[B, 2H, 2W, O]`.
        """
        scales, kernel = self.affine(style), self.scaled_kernel()
        if self.up:
            inputs = doubled(inputs)
        scaled = inputs * tf.cast(scales, inputs.dtype)[:, None, None]
        outputs = tf.nn.conv2d(scaled, tf.cast(kernel, scaled.dtype), 1, "SAME")
        if self.demodulated:
            squares = tf.reduce_sum(kernel**2, axis=[0, 1])
            demodulation = tf.math.rsqrt(scales**2 @ squares + _TINY)
            outputs *= tf.cast(demodulation, outputs.dtype)[:, None, None]
        if noise is not None:
            outputs += tf.cast(noise, outputs.dtype)
        return self.biased(outputs)


def doubled(images: tf.Tensor) -> tf.Tensor:
    """Images twice as large, `[B, H, W, C]` to `[B, 2H, 2W, C]`: bilinear, edges repeated.

    Inside it is the filter [1, 3, 3, 1] of Karras et al. 2020.
    """
    return _resampled(images, _double)


def halved(images: tf.Tensor) -> tf.Tensor:
    """Images half as large, `[B, 2H, 2W, C]` to `[B, H, W, C]`: [1, 3, 3, 1] / 8, edges kept."""
    return _resampled(images, _halve)


def minibatch_deviation(features: tf.Tensor, group: int = 4) -> tf.Tensor:
    """Features with one more channel: how much images of a group differ (Karras et al. 2018).

    The standard deviation of every feature within groups of consecutive images, its mean over all
    features and pixels; a constant map for each group.

    Args:
        features: `[B, H, W, C]`.
        group: images in a group; the whole batch where it is smaller.

    Returns:
        `[B, H, W, C + 1]`.

    Raises:
        SettingError: the batch cannot be divided into groups.
    """
    count, height, width, channels = features.shape
    group = min(group, count or group)
    if count and count % group:
        raise SettingError(
            f"style_discriminator.group = {group} does not divide {count} images; change it or "
            "train.batch_size"
        )
    grouped = tf.reshape(tf.cast(features, tf.float32), [-1, group, height * width * channels])
    deviation = tf.reduce_mean(tf.sqrt(tf.math.reduce_variance(grouped, axis=1) + _TINY), axis=1)
    maps = tf.cast(tf.repeat(deviation, group)[:, None, None, None], features.dtype)
    return tf.concat([features, tf.tile(maps, [1, height, width, 1])], axis=-1)


def _resampled(images: tf.Tensor, matrix) -> tf.Tensor:
    """Images with both axes multiplied by `matrix(their length)`: derivatives of every order."""
    _, height, width, channels = images.shape
    rows, columns = (tf.constant(matrix(n), images.dtype) for n in (height, width))
    images = rows @ tf.reshape(images, [-1, height, width * channels])
    images = columns @ tf.reshape(images, [-1, width, channels])
    return tf.reshape(images, [-1, rows.shape[0], columns.shape[0], channels])


def _filter(starts: np.ndarray, weights: tuple[float, ...], length: int) -> np.ndarray:
    """The matrix whose row i weighs the pixels from `starts[i]` on, edges repeated."""
    matrix = np.zeros((len(starts), length), np.float32)
    for k, weight in enumerate(weights):
        np.add.at(matrix, (np.arange(len(starts)), np.clip(starts + k, 0, length - 1)), weight)
    return matrix


@functools.cache
def _double(length: int) -> np.ndarray:
    matrix = np.zeros((2 * length, length), np.float32)
    matrix[0::2] = _filter(np.arange(length) - 1, (0.25, 0.75), length)
    matrix[1::2] = _filter(np.arange(length), (0.75, 0.25), length)
    return matrix


@functools.cache
def _halve(length: int) -> np.ndarray:
    return _filter(np.arange(0, length, 2) - 1, (0.125, 0.375, 0.375, 0.125), length)


@functools.cache
def _blur(length: int) -> np.ndarray:
    # One more than there are pixels, so that a convolution of side 3 with stride 2 halves them.
    return _filter(np.arange(length + 1) - 2, (0.125, 0.375, 0.375, 0.125), length)
