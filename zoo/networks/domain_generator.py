"""Generators of images of domains: the domain is told to the mapping, or it moves the style."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from zoo.networks.equalised import EqualisedDense, normalise_second_moment
from zoo.networks.flows import DomainFlow
from zoo.networks.style_gan import StyleGenerator, style_generator


class DomainGenerator(keras.Model):
    """Latents and domains to images, by a `StyleGenerator`.

    With a flow (i-StyleGAN, Xie et al. 2023; CG-GAN, Li, Fan et al. 2025), the first latents e are
    the style and the others the content: the style of domain u is

        z_s = e + m F_u(e),   m_k = v_k where v_k > threshold, else 0,

    with increasing functions `F_u` of single latents and learned importances v, all 1 at the start.
    Style and content are normalised to second moment one, each by itself, and enter the mapping
    network, which does not see the domain otherwise. Where it is not masked, m is 1.

    Without a flow it is the conditional StyleGAN2: all latents are normalised together, and an
    embedding of the domain enters beside them.

    Args:
        latent_dim: D.
        style_dim: how many of the latents are the style; 0 for no flow.
        domains: U.
        observation_shape: `(H, H, C)`.
        masked: whether the mask is learned.
        mask_threshold: see above.
        flow: (domains, latents) -> layer from domains `[B]` to bijectors of `[B, style_dim]`.
        network: (inputs, observation shape) -> `StyleGenerator`.
    """

    def __init__(
        self,
        latent_dim: int,
        style_dim: int,
        domains: int,
        observation_shape: tuple[int, ...],
        masked: bool = True,
        mask_threshold: float = 0.1,
        flow: Callable[..., keras.layers.Layer] = DomainFlow,
        network: Callable[..., StyleGenerator] = style_generator,
        name: str = "generator",
    ):
        # Latents stay in float32; the network below casts what it takes.
        super().__init__(name=name, dtype="float32")
        self.latent_dim, self.style_dim, self.domains = latent_dim, style_dim, domains
        self.masked, self.mask_threshold = masked and style_dim > 0, mask_threshold
        self.flow = self.importance = self.embedding = None
        if style_dim:
            self.flow = flow(domains, style_dim)
            self.network = network(latent_dim, observation_shape)
        else:
            self.embedding = EqualisedDense(domains, latent_dim, dtype="float32", name="embedding")
            self.network = network(2 * latent_dim, observation_shape)
        if self.masked:
            self.importance = self.add_weight(
                (style_dim,), "ones", name="importance", autocast=False
            )
        self.built = True

    def mask(self) -> tf.Tensor:
        """m, `[style_dim]` float32."""
        if self.importance is None:
            return tf.ones([self.style_dim])
        importance = tf.convert_to_tensor(self.importance)
        return tf.where(importance > self.mask_threshold, importance, 0.0)

    def style(self, latents: tf.Tensor, domain: tf.Tensor) -> tf.Tensor:
        """The style `[B, style_dim]` of latents `[B, D]` in domains `[B]` (integers)."""
        noise = latents[:, : self.style_dim]
        if self.flow is None:
            return noise
        return noise + self.mask() * self.flow(domain).forward(noise)

    def content(self, latents: tf.Tensor) -> tf.Tensor:
        """The content of latents: `[B, D]` to `[B, D - style_dim]`."""
        return latents[:, self.style_dim :]

    def entering(self, latents: tf.Tensor, domain: tf.Tensor) -> tf.Tensor:
        """What enters the mapping network; with a flow `[B, D]`, the style first."""
        if self.flow is None:
            embedded = self.embedding(tf.one_hot(domain, self.domains))
            parts = [latents, embedded]
        else:
            parts = [self.style(latents, domain)]
            if self.latent_dim > self.style_dim:
                parts.append(self.content(latents))
        return tf.concat([normalise_second_moment(part) for part in parts], axis=-1)

    def call(
        self, latents: tf.Tensor, domain: tf.Tensor, noise: Sequence[tf.Tensor] | None = None
    ) -> tf.Tensor:
        """Latents `[B, D]` and domains `[B]` (integers) to images `[B, H, H, C]` about zero.

        Args:
            latents: N(0, 1).
            domain: 0 to U - 1.
            noise: see `StyleGenerator.synthesis`.
        """
        styles = self.network.mapping(self.entering(latents, domain))
        return self.network.synthesis(self.network.repeated(styles), noise)
