"""Priors of independent latents, each with the posterior family that goes with it.

The KL to a factorised prior is the same after any change of variables of single latents, so that
what a prior changes is the posterior family as the decoder sees it.
"""

import math
from typing import Protocol

import gin
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.errors import SettingError
from zoo.models.noise import standard_normal, standard_uniform

tfd = tfp.distributions

# Above this many widths of its support, a truncated normal is uniform to 1e-5 nats.
_WIDEST = 3.0
# Far below this one float32 has no numbers left within the support.
_NARROWEST = 1e-6


class Prior(Protocol):
    """What a VAE asks of a prior; latents are `[B, D]`, independent, and alike or given the domain.

    A prior with weights is a Keras layer, which the VAE builds with the shape of the latents.
    """

    def posterior(self, mean: tf.Tensor, log_variance: tf.Tensor) -> tfd.Distribution:
        """q(z|x) of the two heads of an encoder, `[B, D]` each."""

    def draw(self, posterior: tfd.Distribution, seed: tf.Tensor) -> tf.Tensor:
        """One reparameterised sample of every posterior, `[B, D]`."""

    def divergence(
        self, posterior: tfd.Distribution, latents: tf.Tensor, domain: tf.Tensor | None = None
    ) -> tf.Tensor:
        """KL(q(z|x) || p(z)) of each latent in nats, `[B, D]`, or an unbiased estimate of it.

        Args:
            posterior: of the images of a batch.
            latents: one sample of each, for estimates.
            domain: the number of each image's domain, `[B]`, for priors that depend on it; None
                where the sampler gives none.
        """

    def sample(self, shape, seed: tf.Tensor) -> tf.Tensor:
        """Latents of the prior from a stateless seed, `[2]`."""


@gin.register
class NormalPrior:
    """N(0, 1) with normal posteriors: the usual VAE, whose KL has a closed form."""

    def posterior(self, mean: tf.Tensor, log_variance: tf.Tensor) -> tfd.Distribution:
        """See `Prior.posterior`."""
        return tfd.Normal(mean, tf.exp(0.5 * log_variance))

    def draw(self, posterior: tfd.Distribution, seed: tf.Tensor) -> tf.Tensor:
        """See `Prior.draw`."""
        return posterior.loc + posterior.scale * standard_normal(tf.shape(posterior.loc), seed)

    def divergence(
        self, posterior: tfd.Distribution, latents: tf.Tensor, domain: tf.Tensor | None = None
    ) -> tf.Tensor:
        """See `Prior.divergence`; exact."""
        del latents, domain
        return tfd.kl_divergence(posterior, tfd.Normal(tf.zeros([]), tf.ones([])))

    def sample(self, shape, seed: tf.Tensor) -> tf.Tensor:
        """See `Prior.sample`."""
        return standard_normal(shape, seed)


@gin.register
class LaplacePrior(NormalPrior):
    """Laplace(0, b) with normal posteriors; the KL is exact.

    `KL = log 2b + E|z| / b - H(q)`, with the mean of a folded normal.

    Args:
        scale: b; by default the variance `2 b^2` is 1.
    """

    def __init__(self, scale: float = 1 / math.sqrt(2)):
        if scale <= 0:
            raise SettingError(f"LaplacePrior.scale is {scale}; give a positive number")
        self.scale = scale

    def divergence(
        self, posterior: tfd.Distribution, latents: tf.Tensor, domain: tf.Tensor | None = None
    ) -> tf.Tensor:
        """See `Prior.divergence`; exact."""
        del latents, domain
        folded = folded_normal_mean(posterior.loc, posterior.scale)
        return math.log(2 * self.scale) + folded / self.scale - posterior.entropy()

    def sample(self, shape, seed: tf.Tensor) -> tf.Tensor:
        """See `Prior.sample`; `b log(u)` with a random sign."""
        uniform = 2 * standard_uniform(shape, seed) - 1
        return -self.scale * tf.sign(uniform) * tf.math.log1p(-tf.abs(uniform))


@gin.register
class LogisticPrior(NormalPrior):
    """Logistic(0, s) with normal posteriors.

    The KL has no closed form; `-log p(z) - H(q)` of the one sample z that the reconstruction takes
    is an unbiased estimate, in which only the cross entropy is noisy.

    Args:
        scale: s; by default the variance `s^2 pi^2 / 3` is 1.
    """

    def __init__(self, scale: float = math.sqrt(3) / math.pi):
        if scale <= 0:
            raise SettingError(f"LogisticPrior.scale is {scale}; give a positive number")
        self.scale = scale

    def divergence(
        self, posterior: tfd.Distribution, latents: tf.Tensor, domain: tf.Tensor | None = None
    ) -> tf.Tensor:
        """See `Prior.divergence`; a one-sample estimate, which can be negative."""
        del domain
        return -tfd.Logistic(0.0, self.scale).log_prob(latents) - posterior.entropy()

    def sample(self, shape, seed: tf.Tensor) -> tf.Tensor:
        """See `Prior.sample`; `s logit(u)`."""
        uniform = standard_uniform(shape, seed)
        return self.scale * (tf.math.log(uniform) - tf.math.log1p(-uniform))


@gin.register
class UniformPrior:
    """U(-w, w) with normal posteriors truncated to that interval; the KL is exact.

    The posterior's parameters are `w tanh(m / w)` and `exp(h / 2)`, between 1e-6 and 3 widths of
    the interval (beyond, it is uniform to 1e-5 nats), for the heads m and h. The KL is
    `log 2w - H(q)`.

    Args:
        half_width: w; by default the variance `w^2 / 3` is 1.
    """

    def __init__(self, half_width: float = math.sqrt(3)):
        if half_width <= 0:
            raise SettingError(f"UniformPrior.half_width is {half_width}; give a positive number")
        self.half_width = half_width

    def posterior(self, mean: tf.Tensor, log_variance: tf.Tensor) -> tfd.Distribution:
        """See `Prior.posterior`."""
        width = self.half_width
        bounds = [2 * math.log(share * 2 * width) for share in (_NARROWEST, _WIDEST)]
        scale = tf.exp(0.5 * tf.clip_by_value(log_variance, *bounds))
        return _TruncatedNormal(width * tf.tanh(mean / width), scale, -width, width)

    def draw(self, posterior: tfd.Distribution, seed: tf.Tensor) -> tf.Tensor:
        """See `Prior.draw`; by the inverse of the distribution function."""
        loc, scale = posterior.loc, posterior.scale
        low, high = (_phi((end - loc) / scale) for end in (posterior.low, posterior.high))
        uniform = low + (high - low) * standard_uniform(tf.shape(loc), seed)
        # Rounded to 0 or 1 the quantile is infinite.
        uniform = tf.clip_by_value(uniform, 1e-7, 1 - 1e-7)
        return tf.clip_by_value(loc + scale * tf.math.ndtri(uniform), posterior.low, posterior.high)

    def divergence(
        self, posterior: tfd.Distribution, latents: tf.Tensor, domain: tf.Tensor | None = None
    ) -> tf.Tensor:
        """See `Prior.divergence`; exact."""
        del latents, domain
        return math.log(2 * self.half_width) - posterior.entropy()

    def sample(self, shape, seed: tf.Tensor) -> tf.Tensor:
        """See `Prior.sample`."""
        return self.half_width * (2 * standard_uniform(shape, seed) - 1)


def folded_normal_mean(mean: tf.Tensor, stddev: tf.Tensor) -> tf.Tensor:
    """`E|d|` of d ~ N(m, s^2): `s sqrt(2/pi) exp(-m^2 / 2 s^2) + m erf(m / s sqrt 2)`.

    Args:
        mean: m, any shape.
        stddev: s, the same shape.

    Returns:
        The same shape.
    """
    ratio = mean / (stddev * math.sqrt(2))
    return stddev * math.sqrt(2 / math.pi) * tf.exp(-(ratio**2)) + mean * tf.math.erf(ratio)


class _TruncatedNormal(tfd.TruncatedNormal):
    """A truncated normal of a location within its bounds; mean and variance have gradients.

    With the bounds `a, b` in units of s around m and `Z = Phi(b) - Phi(a)` the mean is `m + s t`,
    `t = (phi(a) - phi(b)) / Z`, and the variance `s^2 (1 + (a phi(a) - b phi(b)) / Z - t^2)`. TFP
    subtracts logarithms, whose gradients are NaN at the centre, where they are equal.
    """

    def _mean(self):
        return self.loc + self.scale * self._moments()[0]

    def _variance(self):
        shift, spread = self._moments()
        return self.scale**2 * (1 + spread - shift**2)

    def _moments(self):
        """`(phi(a) - phi(b)) / Z` and `(a phi(a) - b phi(b)) / Z`."""
        ends = [(end - self.loc) / self.scale for end in (self.low, self.high)]
        low, high = (tf.exp(-(end**2) / 2) / math.sqrt(2 * math.pi) for end in ends)
        mass = _phi(ends[1]) - _phi(ends[0])
        return (low - high) / mass, (ends[0] * low - ends[1] * high) / mass


def _phi(values: tf.Tensor) -> tf.Tensor:
    return 0.5 * tf.math.erfc(-values / math.sqrt(2))
