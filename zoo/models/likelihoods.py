"""Likelihoods p(x|z): from the output of a decoder to a negative log-likelihood and a mean."""

import gin
import keras
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.errors import SettingError

tfd = tfp.distributions


def _sum(values: tf.Tensor) -> tf.Tensor:
    """`[B, ...]` to `[B]`."""
    return tf.reduce_sum(tf.reshape(values, [tf.shape(values)[0], -1]), axis=-1)


@gin.register
class Bernoulli(keras.layers.Layer):
    """Independent Bernoulli pixels; the decoder gives logits.

    For pixels between 0 and 1 the value is the cross entropy, as in disentanglement_lib.
    """

    def __init__(self):
        super().__init__(dtype="float32")

    def mean(self, outputs: tf.Tensor) -> tf.Tensor:
        """`sigmoid(outputs)`."""
        return tf.sigmoid(outputs)

    def distribution(self, outputs: tf.Tensor) -> tfd.Distribution:
        """The distribution of one image, `[...]` events."""
        return tfd.Independent(tfd.Bernoulli(logits=outputs), len(outputs.shape) - 1)

    def negative_log_likelihood(self, images: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """`-log p(x|z)` in nats, summed over pixels: two `[B, ...]` to `[B]`."""
        return _sum(tf.nn.sigmoid_cross_entropy_with_logits(labels=images, logits=outputs))


@gin.register
class Gaussian(keras.layers.Layer):
    r"""Independent Gaussian pixels of one shared variance; the decoder gives means.

    `-log p(x|z) = |x - d(z)|^2 / (2 s^2) + n/2 log(2 pi s^2)` over the n numbers of an observation.

    Args:
        variance: `s^2`, a positive number; or `"learned"`, a trained scalar (initially 1); or
            `"optimal"`, the mean squared error of the batch, for which the likelihood is largest
            (Rybkin et al. 2021, sigma-VAE, eq. 5; no gradient flows through it).
        squashed: apply a sigmoid to the decoder's output, which keeps means in [0, 1].
    """

    def __init__(self, variance: float | str = 1.0, squashed: bool = False):
        super().__init__(dtype="float32")
        if variance not in ("learned", "optimal") and not (
            isinstance(variance, int | float) and variance > 0
        ):
            raise SettingError(
                f"Gaussian.variance is {variance!r}; give a positive number, 'learned' or 'optimal'"
            )
        self.variance, self.squashed = variance, squashed
        if variance == "learned":
            self.log_variance = self.add_weight(name="log_variance", initializer="zeros")
        self.built = True

    def mean(self, outputs: tf.Tensor) -> tf.Tensor:
        """The mean image, `[B, ...]`."""
        return tf.sigmoid(outputs) if self.squashed else outputs

    def _variance_for(self, squared_error: tf.Tensor) -> tf.Tensor:
        if self.variance == "learned":
            return tf.exp(tf.convert_to_tensor(self.log_variance))
        if self.variance == "optimal":
            return tf.maximum(tf.stop_gradient(tf.reduce_mean(squared_error)), 1e-8)
        return tf.constant(self.variance, tf.float32)

    def distribution(self, outputs: tf.Tensor) -> tfd.Distribution:
        """The distribution of one image; `"optimal"` has no variance of its own and gives 1."""
        variance = self._variance_for(tf.ones([1]))
        normal = tfd.Normal(self.mean(outputs), tf.sqrt(variance))
        return tfd.Independent(normal, len(outputs.shape) - 1)

    def negative_log_likelihood(self, images: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """`-log p(x|z)` in nats: two `[B, ...]` to `[B]`."""
        return self.negative_log_likelihood_of_mean(images, self.mean(outputs))

    def negative_log_likelihood_of_mean(self, images: tf.Tensor, mean: tf.Tensor) -> tf.Tensor:
        """`-log p(x|z)` in nats of images and their means: two `[B, ...]` to `[B]`."""
        variance = self._variance_for(tf.math.squared_difference(images, mean))
        return -_sum(tfd.Normal(mean, tf.sqrt(variance)).log_prob(images))


class _LocationScale(keras.layers.Layer):
    """Independent pixels around the decoder's output, of one scale that is fixed or trained."""

    def __init__(self, scale: float | str = 1.0, squashed: bool = False):
        super().__init__(dtype="float32")
        if scale != "learned" and not (isinstance(scale, int | float) and scale > 0):
            raise SettingError(
                f"{type(self).__name__}.scale is {scale!r}; give a positive number or 'learned'"
            )
        self.scale, self.squashed = scale, squashed
        if scale == "learned":
            self.log_scale = self.add_weight(name="log_scale", initializer="zeros")
        self.built = True

    def mean(self, outputs: tf.Tensor) -> tf.Tensor:
        """The mean image, `[B, ...]`."""
        return tf.sigmoid(outputs) if self.squashed else outputs

    def _pixels(self, mean: tf.Tensor) -> tfd.Distribution:
        if self.scale == "learned":
            scale = tf.exp(tf.convert_to_tensor(self.log_scale))
        else:
            scale = tf.constant(self.scale, tf.float32)
        return self._family(mean, scale)

    def distribution(self, outputs: tf.Tensor) -> tfd.Distribution:
        """The distribution of one image."""
        return tfd.Independent(self._pixels(self.mean(outputs)), len(outputs.shape) - 1)

    def negative_log_likelihood(self, images: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """`-log p(x|z)` in nats: two `[B, ...]` to `[B]`."""
        return self.negative_log_likelihood_of_mean(images, self.mean(outputs))

    def negative_log_likelihood_of_mean(self, images: tf.Tensor, mean: tf.Tensor) -> tf.Tensor:
        """`-log p(x|z)` in nats of images and their means: two `[B, ...]` to `[B]`."""
        return -_sum(self._pixels(mean).log_prob(images))


@gin.register
class Laplace(_LocationScale):
    """Independent Laplace pixels: `-log p(x|z) = |x - d(z)|_1 / b + n log 2b`.

    Args:
        scale: b, a positive number; or `"learned"`, a trained scalar (initially 1).
        squashed: apply a sigmoid to the decoder's output, which keeps means in [0, 1].
    """

    _family = tfd.Laplace


@gin.register
class Logistic(_LocationScale):
    """Independent logistic pixels: the density is `sech^2((x - d(z)) / 2s) / 4s` for each.

    Args:
        scale: s, a positive number; or `"learned"`, a trained scalar (initially 1).
        squashed: apply a sigmoid to the decoder's output, which keeps means in [0, 1].
    """

    _family = tfd.Logistic
