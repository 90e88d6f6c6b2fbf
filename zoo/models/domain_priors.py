"""Priors that depend on the domain: independent latents given the domain."""

from collections.abc import Callable

import gin
import keras
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.data.zoo_synthetic import memory
from zoo.errors import SettingError
from zoo.models.noise import standard_normal, stream
from zoo.networks.flows import DomainFlow, Monotone

tfd = tfp.distributions


@gin.register
class FlowPrior(keras.layers.Layer):
    """`p(z|u) = prod_k N(F_uk(z_k); 0, 1) |F_uk'(z_k)|` with normal posteriors.

    The prior of CG-VAE (Li, Fan et al. 2025, eq. 8): independent latents whose distributions change
    with the domain u, by monotone functions F. With affine F it is the normal prior of iVAE
    (Khemakhem et al. 2020). The KL has no closed form; `-log p(z|u) - H(q)` of the one sample z
    that the reconstruction takes is an unbiased estimate of it.

    Args:
        domains: the number of domains; with 1 there is one distribution whatever the domain.
        flow: (domains, number of latents) -> a layer from domains `[B]` to the bijector F_u.
    """

    def __init__(
        self,
        domains: int = 1,
        flow: Callable[..., keras.layers.Layer] = gin.get_configurable(DomainFlow),
    ):
        super().__init__(dtype="float32", name="prior")
        if domains < 1:
            raise SettingError(f"FlowPrior.domains is {domains}; give at least 1")
        self.domains, self._make_flow = domains, flow

    def build(self, latents: tuple[int | None, int]) -> None:
        """Makes F for latents of shape `[B, D]`."""
        self.flow = self._make_flow(self.domains, latents[-1])
        self.built = True

    def posterior(self, mean: tf.Tensor, log_variance: tf.Tensor) -> tfd.Distribution:
        """See `Prior.posterior`."""
        return tfd.Normal(mean, tf.exp(0.5 * log_variance))

    def draw(self, posterior: tfd.Distribution, seed: tf.Tensor) -> tf.Tensor:
        """See `Prior.draw`."""
        return posterior.loc + posterior.scale * standard_normal(tf.shape(posterior.loc), seed)

    def log_density(self, latents: tf.Tensor, domain: tf.Tensor) -> tf.Tensor:
        """`log p(z_k|u)` of every latent, `[B, D]` and domains `[B]` to `[B, D]`."""
        value, log_slope = self.flow(domain).forward_and_log_slope(latents)
        return tfd.Normal(0.0, 1.0).log_prob(value) + log_slope

    def divergence(
        self, posterior: tfd.Distribution, latents: tf.Tensor, domain: tf.Tensor | None = None
    ) -> tf.Tensor:
        """See `Prior.divergence`; a one-sample estimate, which can be negative."""
        if self.domains == 1:
            domain = tf.zeros(tf.shape(latents)[:1], tf.int32)
        elif domain is None:
            raise SettingError(
                f"FlowPrior has {self.domains} domains and this sampler does not give that of an "
                "example; set train.sampler = @Domains, or FlowPrior.domains = 1"
            )
        return -self.log_density(latents, domain) - posterior.entropy()

    def sample(self, shape, seed: tf.Tensor) -> tf.Tensor:
        """See `Prior.sample`: of domains that are equally likely."""
        bits = tf.random.stateless_uniform(
            [shape[0]], stream(seed, 1), minval=None, maxval=None, dtype=tf.int32, alg="philox"
        )
        domain = tf.math.floormod(bits, self.domains)
        return self.flow(domain).inverse(standard_normal(shape, seed))


@gin.register
class KnownSources(keras.layers.Layer):
    """The true F of a synthetic data set, fixed: the ceiling of what a prior can do.

    `F_uk(z) = (z - mean_uk) / deviation_uk` of the sources of a set of `zoo_synthetic`. Learned
    latents that follow it are the sources, up to what the changes between domains leave open: with
    one domain, or where means alone change, no prior identifies them.

    Args:
        domains: the number of domains.
        latent_dim: the number of latents.
        dataset: the name of the set, as `zoo.data.load` takes it, without a split.

    Raises:
        SettingError: the set has no such sources.
    """

    def __init__(self, domains: int, latent_dim: int, dataset: str):
        super().__init__(dtype="float32", name="known_sources")
        sources = memory.named(dataset).domains
        found = None if sources is None else sources.means.shape
        if found != (domains, latent_dim):
            has = "no domains" if found is None else f"{found[0]} domains of {found[1]} sources"
            raise SettingError(
                f"KnownSources.dataset {dataset} has {has}; the prior has {domains} of {latent_dim}"
            )
        for name, table in (("means", sources.means), ("deviations", sources.deviations)):
            start = keras.initializers.Constant(table)
            weight = self.add_weight(table.shape, start, name=name, trainable=False)
            setattr(self, name, weight)
        self.built = True

    def call(self, domain: tf.Tensor) -> Monotone:
        """`F_u` of B examples' domains, `[B]`: see `Monotone`."""
        mean, deviation = (
            tf.gather(tf.convert_to_tensor(weight), domain)
            for weight in (self.means, self.deviations)
        )
        return Monotone(-mean / deviation, -tf.math.log(deviation))
