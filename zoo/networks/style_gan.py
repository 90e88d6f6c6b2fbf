"""The generator and the discriminator of StyleGAN2 (Karras et al. 2020), of any small size."""

from collections.abc import Sequence

import gin
import keras
import tensorflow as tf

from zoo.errors import SettingError
from zoo.networks import checks
from zoo.networks.equalised import (
    EqualisedConv2D,
    EqualisedDense,
    ModulatedConv2D,
    doubled,
    leaky_relu,
    minibatch_deviation,
    normalise_second_moment,
)


class StyleGenerator(keras.Model):
    """Latents to styles (`mapping`), and styles to images (`synthesis`).

    Styles are `[B, layers, style_dim]`, one for each modulated convolution; mapping repeats one
    for all, and mixing takes those of two latents. Images grow from a learned 4 x 4 constant; each
    side has two convolutions (the first one only one), noise of a learned strength that starts at
    zero, and a layer that adds to the enlarged colours of the side before ("skip").

    Attributes:
        layers_count: L, the number of styles.
        sides: of the images that grow, 4, 8, ..., H.

    Args:
        inputs: D, of the mapping network.
        observation_shape: `(H, H, C)`, H a power of two from 8 on.
        filters: the channels at 4 x 4, 8 x 8, ..., H x H.
        style_dim: W.
        mapping_layers: how many dense layers, with learning rates multiplied by 0.01.
    """

    def __init__(
        self,
        inputs: int,
        observation_shape: tuple[int, ...],
        filters: Sequence[int],
        style_dim: int,
        mapping_layers: int,
        name: str = "generator",
    ):
        super().__init__(name=name)
        self.sides = _sides(observation_shape, filters, "style_generator")
        channels, self.style_dim = observation_shape[-1], style_dim
        widths = [inputs, *[style_dim] * mapping_layers]
        self.mapping_network = [
            EqualisedDense(a, b, rate=0.01, dtype="float32", name=f"mapping_{i}")
            for i, (a, b) in enumerate(zip(widths, widths[1:], strict=False))
        ]
        self.constant = self.add_weight(
            (1, 4, 4, filters[0]),
            keras.initializers.RandomNormal(stddev=1.0),
            name="constant",
            autocast=False,
        )
        before = [filters[0], *filters]
        self.convolutions, self.colours = [], []
        for i, side in enumerate(self.sides):
            if i:
                self.convolutions.append(
                    ModulatedConv2D(
                        before[i], filters[i], style_dim, up=True, name=f"convolution_{side}_up"
                    )
                )
            self.convolutions.append(
                ModulatedConv2D(filters[i], filters[i], style_dim, name=f"convolution_{side}")
            )
            self.colours.append(
                ModulatedConv2D(
                    filters[i],
                    channels,
                    style_dim,
                    size=1,
                    demodulated=False,
                    name=f"colours_{side}",
                )
            )
        self.strengths = [
            self.add_weight((), "zeros", name=f"noise_{i}", autocast=False)
            for i in range(len(self.convolutions))
        ]
        _hold(self, [*self.mapping_network, *self.convolutions, *self.colours])
        for i, strength in enumerate(self.strengths):
            setattr(self, f"noise_{i}", strength)
        # The last colours have a style of their own; the others share that of a convolution.
        self.layers_count = len(self.convolutions) + 1
        self.built = True

    @property
    def noise_shapes(self) -> list[tuple[int, int, int]]:
        """The shapes `[h, w, 1]` of the noise of every convolution, for one image."""
        sides = [side for i, side in enumerate(self.sides) for _ in range(2 if i else 1)]
        return [(side, side, 1) for side in sides]

    def mapping(self, latents: tf.Tensor) -> tf.Tensor:
        """Latents `[B, D]` to one style an image, `[B, W]` float32."""
        styles = latents
        for layer in self.mapping_network:
            styles = leaky_relu(layer(styles))
        return styles

    def synthesis(self, styles: tf.Tensor, noise: Sequence[tf.Tensor] | None = None) -> tf.Tensor:
        """Styles `[B, L, W]` to images `[B, H, H, C]` float32, centred at zero and not squashed.

        Args:
            styles: see the class.
            noise: N(0, 1) for every convolution, `[B or 1, h, w, 1]`; None for none.
        """
        # Not `tf.tile`, nor `tf.repeat` below: XLA does not compile their gradients in a `tf.cond`.
        start = tf.cast(tf.convert_to_tensor(self.constant), self.compute_dtype)
        ones = tf.ones_like(styles[:, 0, :1], dtype=start.dtype)
        images, colours, k = ones[..., None, None] * start, None, 0
        for i in range(len(self.sides)):
            for _ in range(2 if i else 1):
                added = None
                if noise is not None:
                    added = noise[k] * tf.convert_to_tensor(self.strengths[k])
                images = leaky_relu(self.convolutions[k](images, styles[:, k], added))
                k += 1
            made = tf.cast(self.colours[i](images, styles[:, k]), tf.float32)
            colours = made if colours is None else doubled(colours) + made
        return colours

    def repeated(self, style: tf.Tensor) -> tf.Tensor:
        """One style an image `[B, W]` as the styles of all layers, `[B, L, W]`."""
        return tf.stack([style] * self.layers_count, axis=1)

    def call(self, latents: tf.Tensor) -> tf.Tensor:
        """Latents `[B, D]` to images without noise, `[B, H, H, C]`."""
        return self.synthesis(self.repeated(self.mapping(latents)))


class StyleDiscriminator(keras.Model):
    """Logits of images and their domains: a residual network with a projection on the domain.

    `<f(x), e(u)> / sqrt(E)`, e(u) being a linear embedding `[E]` of the domain with second moment
    one (Miyato & Koyama 2018, without the unconditional term, as in StyleGAN2-ADA).

    Args:
        observation_shape: `(H, H, C)`, H a power of two from 8 on.
        domains: U.
        filters: the channels at H x H, H/2 x H/2, ..., 4 x 4.
        embedding: E.
        group: of the minibatch deviation.
    """

    def __init__(
        self,
        observation_shape: tuple[int, ...],
        domains: int,
        filters: Sequence[int],
        embedding: int,
        group: int,
    ):
        super().__init__(name="discriminator")
        sides = _sides(observation_shape, filters, "style_discriminator")[::-1]
        self.group = group
        self.colours = EqualisedConv2D(observation_shape[-1], filters[0], 1, name="colours")
        self.blocks = []
        for side, a, b in zip(sides[:-1], filters[:-1], filters[1:], strict=True):
            self.blocks += [
                EqualisedConv2D(a, a, name=f"block_{side}_first"),
                EqualisedConv2D(a, b, down=True, name=f"block_{side}_second"),
                EqualisedConv2D(a, b, 1, down=True, bias=None, name=f"block_{side}_skip"),
            ]
        _hold(self, self.blocks)
        last = filters[-1]
        self.last = EqualisedConv2D(last + 1, last, name="last")
        self.dense = EqualisedDense(16 * last, last, name="dense")
        self.head = EqualisedDense(last, embedding, dtype="float32", name="head")
        self.embedding = EqualisedDense(domains, embedding, dtype="float32", name="embedding")
        self.built = True

    def call(self, images: tf.Tensor, domains: tf.Tensor) -> tf.Tensor:
        """Images `[B, H, H, C]` centred at zero and one-hot domains `[B, U]` to logits `[B]`."""
        features = leaky_relu(self.colours(images))
        for k in range(0, len(self.blocks), 3):
            first, second, skip = self.blocks[k : k + 3]
            inner = leaky_relu(second(leaky_relu(first(features))))
            features = (inner + skip(features)) * 0.5**0.5
        features = leaky_relu(self.last(minibatch_deviation(features, self.group)))
        features = leaky_relu(self.dense(tf.reshape(features, [-1, self.dense.kernel.shape[0]])))
        outputs = self.head(features)
        embedded = normalise_second_moment(self.embedding(domains))
        return tf.reduce_sum(outputs * embedded, axis=-1) * outputs.shape[-1] ** -0.5


def _hold(model: keras.Model, layers: Sequence[keras.layers.Layer]) -> None:
    """Makes layers attributes of a model: checkpoints do not look into its lists."""
    for layer in layers:
        setattr(model, layer.name, layer)


@gin.configurable
def style_generator(
    inputs: int,
    observation_shape: tuple[int, ...],
    filters: Sequence[int] = (64, 64, 32, 16),
    style_dim: int = 128,
    mapping_layers: int = 2,
    name: str = "generator",
) -> StyleGenerator:
    """A `StyleGenerator`; by default for 32 x 32 images.

    Raises:
        SettingError: a size is not positive, observations are no images `(H, H, C)` with H a power
            of two from 8 on, or there are not as many filters as sides.
    """
    checks.require_positive(
        "style_generator", filters=filters, style_dim=style_dim, mapping_layers=mapping_layers
    )
    return StyleGenerator(inputs, observation_shape, filters, style_dim, mapping_layers, name)


@gin.configurable
def style_discriminator(
    observation_shape: tuple[int, ...],
    domains: int,
    filters: Sequence[int] = (16, 32, 64, 64),
    embedding: int = 64,
    group: int = 4,
) -> StyleDiscriminator:
    """A `StyleDiscriminator`; by default for 32 x 32 images.

    Raises:
        SettingError: a size is not positive, observations are no images `(H, H, C)` with H a power
            of two from 8 on, or there are not as many filters as sides.
    """
    checks.require_positive(
        "style_discriminator", filters=filters, embedding=embedding, group=group
    )
    return StyleDiscriminator(observation_shape, domains, filters, embedding, group)


def _sides(observation_shape: tuple[int, ...], filters: Sequence[int], name: str) -> list[int]:
    """4, 8, ..., H, one for each number of channels."""
    checks.require_images(observation_shape, name, "choose another data set")
    height, width, _ = observation_shape
    sides = [4 * 2**i for i in range(int(height).bit_length() - 2)]
    if len(sides) < 2 or (height, width) != (sides[-1],) * 2:
        raise SettingError(
            f"{name} takes images whose sides are one power of two from 8 on, not "
            f"{height}x{width}; choose another data set"
        )
    if len(filters) != len(sides):
        raise SettingError(
            f"{name}.filters has {len(filters)} numbers, and images of {height}x{width} take "
            f"{len(sides)}: give one for each of the sides {', '.join(map(str, sides))}"
        )
    return sides
