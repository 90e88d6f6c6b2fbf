"""Dense and convolutional layers of spectral norm one, and the networks made of them.

Keras's `SpectralNormalization` overwrites the kernel with the normalised one at every call, which
drops the gradient through the norm and compounds over calls; here the kernel is kept.
"""

import math
from collections.abc import Sequence

import gin
import keras
import tensorflow as tf

from zoo.networks import checks


class _Spectral(keras.layers.Layer):
    """A layer whose kernel is divided by an estimate of its largest singular value.

    `W / (v^T W u)` (Miyato et al. 2018, eq. 8 and Algorithm 1), W `[inputs, outputs]` being the
    kernel with all axes but the last flattened. In training every call makes one step of the power
    iteration, `v = W u / |W u|` and `u = W^T v / |W^T v|`, and keeps it; gradients flow through
    `v^T W u` and not through u and v. Leaky ReLU of the given slope, at most 1, follows; 1 is none.
    """

    def __init__(self, kernel_shape: Sequence[int], use_bias: bool, slope: float, **options):
        super().__init__(**options)
        self.slope = slope
        # Mixed precision would round the norm; only its quotient is cast.
        self.kernel = self.add_weight(
            tuple(kernel_shape), keras.initializers.GlorotUniform(), name="kernel", autocast=False
        )
        self.bias = self.add_weight((kernel_shape[-1],), "zeros", name="bias") if use_bias else None
        inputs = math.prod(kernel_shape[:-1])
        self.u, self.v = (
            self.add_weight(
                (size, 1),
                _unit_normal,
                name=name,
                trainable=False,
                autocast=False,
                aggregation="mean",
            )
            for name, size in (("u", kernel_shape[-1]), ("v", inputs))
        )
        # Random vectors would divide by any number; after a step it is positive.
        for variable, vector in zip((self.u, self.v), self._step(), strict=True):
            variable.assign(vector)
        self.built = True

    def _matrix(self) -> tf.Tensor:
        kernel = tf.convert_to_tensor(self.kernel)
        return tf.reshape(kernel, [-1, kernel.shape[-1]])

    def _step(self) -> tuple[tf.Tensor, tf.Tensor]:
        """The vectors u and v after one step of the power iteration."""
        matrix = tf.stop_gradient(self._matrix())
        v = tf.math.l2_normalize(matrix @ tf.convert_to_tensor(self.u))
        return tf.math.l2_normalize(tf.matmul(matrix, v, transpose_a=True)), v

    def normalized_kernel(self, training: bool) -> tf.Tensor:
        """The kernel as it is used, in the layer's compute type."""
        matrix = self._matrix()
        if training:
            u, v = self._step()
            self.u.assign(u)
            self.v.assign(v)
        else:
            u, v = tf.convert_to_tensor(self.u), tf.convert_to_tensor(self.v)
        norm = tf.reduce_sum(v * (matrix @ u))
        kernel = tf.reshape(matrix / norm, self.kernel.shape)
        return tf.cast(kernel, self.compute_dtype)

    def _finished(self, outputs: tf.Tensor) -> tf.Tensor:
        if self.bias is not None:
            outputs += tf.convert_to_tensor(self.bias)
        # Not the operation: TensorFlow's optimiser of graphs trips over it behind a bias.
        return outputs if self.slope == 1 else tf.maximum(outputs, self.slope * outputs)


class SpectralDense(_Spectral):
    """A dense layer of spectral norm one, `[B, inputs]` to `[B, units]`."""

    def __init__(
        self, inputs: int, units: int, slope: float = 1.0, use_bias: bool = True, **options
    ):
        super().__init__((inputs, units), use_bias, slope, **options)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """See the class."""
        return self._finished(inputs @ self.normalized_kernel(training))

    def compute_output_shape(self, input_shape):
        """See Keras."""
        return (*input_shape[:-1], self.kernel.shape[-1])


class SpectralConv2D(_Spectral):
    """A convolution of stride 2 with SAME padding, its flattened kernel of spectral norm one."""

    def __init__(self, inputs: int, filters: int, slope: float = 1.0, size: int = 4, **options):
        super().__init__((size, size, inputs, filters), True, slope, **options)

    def call(self, inputs: tf.Tensor, training: bool = False) -> tf.Tensor:
        """See the class."""
        kernel = self.normalized_kernel(training)
        return self._finished(tf.nn.conv2d(inputs, kernel, strides=2, padding="SAME"))

    def compute_output_shape(self, input_shape):
        """See Keras."""
        batch, height, width, _ = input_shape
        return (batch, -(-height // 2), -(-width // 2), self.kernel.shape[-1])


@gin.configurable
def spectral_encoder(
    observation_shape: tuple[int, ...],
    filters: Sequence[int] = (32, 32, 64, 64),
    units: Sequence[int] = (128,),
    slope: float = 0.2,
    name: str = "encoder",
) -> keras.Model:
    """Convolutions 4x4 of stride 2 and dense layers, all of spectral norm one, with leaky ReLU.

    The defaults are the encoder of the weakly supervised GAN (Shu et al. 2020; google-research,
    `weak_disentangle/networks.py`) up to its last layer.

    Args:
        observation_shape: `(H, W, C)`.
        filters: of the convolutions.
        units: the widths of the dense layers.
        slope: of leaky ReLU for negative numbers.
        name: the name of the network.

    Returns:
        A model from `[B, H, W, C]` images to `[B, units[-1]]` features.

    Raises:
        SettingError: observations are no images, a size is not positive, or the slope is not from
            0 to 1.
    """
    checks.require_images(observation_shape, "spectral_encoder")
    checks.require_positive("spectral_encoder", filters=filters, units=units)
    checks.require_slope("spectral_encoder", slope=slope)
    features = inputs = keras.Input(observation_shape)
    for count in filters:
        features = SpectralConv2D(features.shape[-1], count, slope)(features)
    features = keras.layers.Flatten()(features)
    for width in units:
        features = SpectralDense(features.shape[-1], width, slope)(features)
    return keras.Model(inputs, features, name=name)


def _unit_normal(shape, dtype=None):
    normal = keras.random.normal(shape, dtype=dtype)
    return normal / tf.norm(normal)
