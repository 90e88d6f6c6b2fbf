"""Transposed convolutions to images, which training computes as one matrix product.

oneDNN computes a transposed convolution as the gradient of a convolution in its input, and with as
few channels as an image has that leaves the vector units idle: 5 GFLOP/s of a core's 86, where the
two gradients of the layer run at 34. As a matrix product, of which every pixel then takes its four
terms, it takes a third of the time.

The product is for training on processors only: it comes with its gradients, which graphs that are
exported, or rewritten in float64, would lose.
"""

import contextlib
import contextvars
from collections.abc import Iterator

import keras
import tensorflow as tf

_IN_TRAINING = contextvars.ContextVar("in_training", default=False)
# With more filters the matrix product is no faster than oneDNN.
_FILTERS = 3


@contextlib.contextmanager
def in_training() -> Iterator[None]:
    """Lets layers use kernels that only the gradients of a training step have, where faster."""
    token = _IN_TRAINING.set(not tf.config.list_logical_devices("GPU"))
    try:
        yield
    finally:
        _IN_TRAINING.reset(token)


class Conv2DTranspose(keras.layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose`, faster in training where it makes images.

    The class has Keras's name because files of weights have it.
    """

    def call(self, inputs):
        """`[B, H, W, C]` to `[B, 2 H, 2 W, filters]`, for a stride of 2."""
        if not (_IN_TRAINING.get() and self._as_product and inputs.dtype == tf.float32):
            return super().call(inputs)
        outputs = _up(inputs, tf.convert_to_tensor(self.kernel))
        if self.use_bias:
            outputs = tf.nn.bias_add(outputs, tf.convert_to_tensor(self.bias))
        return outputs if self.activation is None else self.activation(outputs)

    @property
    def _as_product(self) -> bool:
        return (
            self.filters <= _FILTERS
            and (self.kernel_size, self.strides, self.padding) == ((4, 4), (2, 2), "same")
            and (self.dilation_rate, self.output_padding) == ((1, 1), None)
            and self.data_format == "channels_last"
        )


@tf.custom_gradient
def _up(inputs, kernel):
    """The transposed convolution; its gradients are those that TensorFlow has for its own."""
    return _product(inputs, kernel), lambda gradient: (
        _down(gradient, kernel),
        _kernel_gradient(inputs, gradient, kernel.shape),
    )


@tf.custom_gradient
def _down(images, kernel):
    """The convolution that `_up` transposes: each is the other's gradient, to any order."""
    return tf.nn.conv2d(images, kernel, 2, "SAME"), lambda gradient: (
        _up(gradient, kernel),
        _kernel_gradient(gradient, images, kernel.shape),
    )


def _kernel_gradient(small, large, shape):
    return tf.raw_ops.Conv2DBackpropFilter(
        input=large, filter_sizes=shape, out_backprop=small, strides=[1, 2, 2, 1], padding="SAME"
    )


def _product(inputs, kernel):
    """`[B, H, W, C]` and `[4, 4, filters, C]` to `[B, 2 H, 2 W, filters]`.

    Entry (2 a + p, 2 b + q) of the kernel takes input (i, j) to output (2 (i + a) + p - 1,
    2 (j + b) + q - 1). So for each (a, b) the terms are an image of 2x2 blocks, shifted by
    (2 a, 2 b); their sum has a frame of one pixel around the result.
    """
    height, width, channels = inputs.shape[1:]
    filters = kernel.shape[2]
    terms = tf.matmul(
        tf.reshape(inputs, [-1, channels]), tf.reshape(kernel, [-1, channels]), transpose_b=True
    )
    terms = tf.reshape(terms, [-1, height, width, 2, 2, 2, 2 * filters])
    terms = tf.transpose(terms, [0, 3, 5, 1, 4, 2, 6])
    terms = tf.reshape(terms, [-1, 2, 2, 2 * height, 2 * width, filters])
    framed = [
        tf.pad(terms[:, a, b], [[0, 0], [2 * a, 2 - 2 * a], [2 * b, 2 - 2 * b], [0, 0]])
        for a in range(2)
        for b in range(2)
    ]
    return tf.add_n(framed)[:, 1:-1, 1:-1]
