"""Decoders of slots to images: a cross-attention Transformer, and spatial broadcast with masks.

Sizes and layers: Brady et al., "Interaction Asymmetry", ICLR 2025, appendix I.1 (repository
JackBrady/interaction-asymmetry at 88de3ce). A decoder maps `[B, K, D]` slots to a dict:

- `image` `[B, P, C]`: numbers of pixels, row by row, not squashed;
- `masks` `[B, P, K]` float32: each slot's share of a pixel, 1 summed over slots;
- `attention` `[B, layers, P, heads, K]` float32, where the decoder attends to slots;
- `parts` `[B, P, K, C]`: each slot's addend of the image, where the decoder makes one.
"""

import math
from collections.abc import Sequence

import gin
import keras
import tensorflow as tf

from zoo.errors import SettingError, require_not_negative
from zoo.networks import checks
from zoo.networks.attention import Block, SoftPositions, fourier_features, layer_norm, mlp
from zoo.networks.pytorch import uniform_by_fan_in


@gin.configurable
def transformer_slot_decoder(
    slots: int,
    slot_dim: int,
    observation_shape: tuple[int, ...],
    width: int = 516,
    slot_hidden: int = 2064,
    query_width: int = 180,
    query_hidden: int = 360,
    layers: int = 2,
    heads: int = 12,
    octaves: int = 8,
    name: str = "slot_decoder",
) -> keras.Model:
    """Pixels as queries that attend to slots, and an MLP from each pixel's result to its colour.

    See `TransformerSlotDecoder`, which the arguments are those of.

    Returns:
        A model from `[B, K, D]` slots to what the module describes.

    Raises:
        SettingError: a size is not positive.
    """
    del slots
    checks.require_positive(
        "transformer_slot_decoder",
        width=width,
        slot_hidden=slot_hidden,
        query_width=query_width,
        query_hidden=query_hidden,
        layers=layers,
        heads=heads,
        octaves=octaves,
    )
    return TransformerSlotDecoder(
        slot_dim,
        observation_shape,
        (slot_hidden, width),
        (query_hidden, query_width),
        layers,
        heads,
        octaves,
        name=name,
    )


@gin.configurable
def broadcast_slot_decoder(
    slots: int,
    slot_dim: int,
    observation_shape: tuple[int, ...],
    channels: int = 32,
    start: int = 8,
    doublings: int = 4,
    name: str = "slot_decoder",
) -> keras.Model:
    """Spatial broadcast (Watters et al. 2019): each slot makes an image and a mask by itself.

    See `BroadcastSlotDecoder`, which the arguments are those of.

    Returns:
        A model from `[B, K, D]` slots to what the module describes.

    Raises:
        SettingError: a size is not positive, the number of doublings is negative, or images are
            larger than the last grid.
    """
    checks.require_positive("broadcast_slot_decoder", channels=channels, start=start)
    require_not_negative("broadcast_slot_decoder", doublings=doublings)
    return BroadcastSlotDecoder(
        slots, slot_dim, observation_shape, channels, start, doublings, name=name
    )


class TransformerSlotDecoder(keras.Model):
    """A cross-attention Transformer without attention among pixels.

    Slots are widened by an MLP; pixels begin as an MLP of the Fourier features of their
    coordinates, which no example changes. Each layer lets pixels attend to slots and pass an MLP of
    twice their width; a last layer normalisation and an MLP of three layers give the colours.

    Args:
        slot_dim: D.
        observation_shape: `(H, W, C)`.
        slot_widths: of the slots' MLP; the last is that of the attention.
        query_widths: of the pixels' MLP; the last is that of the residual stream.
        layers: of the Transformer.
        heads: of its attention.
        octaves: of the Fourier features, each with four numbers.
        **options: of `keras.Model`.

    Attributes:
        samples_pixels: it can decode some pixels only.
    """

    samples_pixels = True

    def __init__(
        self,
        slot_dim: int,
        observation_shape: tuple[int, ...],
        slot_widths: Sequence[int] = (2064, 516),
        query_widths: Sequence[int] = (360, 180),
        layers: int = 2,
        heads: int = 12,
        octaves: int = 8,
        **options,
    ):
        super().__init__(**options)
        height, width, channels = observation_shape
        model_width, query_width = slot_widths[-1], query_widths[-1]
        # By side, not by pixel: an exported graph holds a copy in each of its functions.
        self.features = [fourier_features(side, octaves) for side in (height, width)]
        self.slot_mlp = mlp(slot_dim, slot_widths)
        self.query_mlp = mlp(4 * octaves, query_widths)
        # Checkpoints do not see what is in a list.
        self._block_names = [f"block_{k}" for k in range(layers)]
        for name in self._block_names:
            block = Block(heads, model_width, query_width, model_width, 2 * query_width)
            block.build((None, height * width, query_width), (None, None, model_width))
            setattr(self, name, block)
        self.last_norm = layer_norm()
        self.last_norm.build((None, height * width, query_width))
        self.output_mlp = mlp(query_width, (query_width, query_width, channels))
        self.built = True

    def pixel_features(self, pixels: tf.Tensor | None = None) -> tf.Tensor:
        """Fourier features of the rows, then of the columns, of all pixels or of some."""
        of_rows, of_columns = self.features
        if pixels is None:
            pixels = tf.range(len(of_rows) * len(of_columns))
        rows, columns = pixels // len(of_columns), pixels % len(of_columns)
        return tf.concat([tf.gather(of_rows, rows), tf.gather(of_columns, columns)], axis=-1)

    def call(self, slots: tf.Tensor, pixels: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        """Decodes all pixels, or those of the numbers `pixels` `[P]`, row by row."""
        memory = self.slot_mlp(slots)
        features = self.pixel_features(pixels)
        # One set of queries for all examples, until they have attended to them.
        queries, attention = self.query_mlp(features[None]), []
        for name in self._block_names:
            queries, weights = getattr(self, name)(queries, memory)
            attention.append(weights)
        attention = tf.stack(attention, axis=1)
        return {
            "image": self.output_mlp(self.last_norm(queries)),
            "masks": tf.reduce_mean(attention, axis=[1, 3]),
            "attention": attention,
        }


class BroadcastSlotDecoder(keras.Model):
    """Each slot on a grid with positions, transposed convolutions to colours and a mask.

    Transposed convolutions 5x5 of stride 2 double the grid, then a convolution 5x5 and one 3x3 to
    C + 1 channels, GELU between. The last channel, a softmax over slots, weighs the colours. Where
    the grid grows beyond the image, its upper left corner is the image; only what reaches that
    corner is computed.

    Args:
        slots: K.
        slot_dim: D.
        observation_shape: `(H, W, C)`, of sides up to `start * 2^doublings`.
        channels: of all convolutions but the last.
        start: the side of the first grid.
        doublings: how often it is doubled.
        **options: of `keras.Model`.

    Attributes:
        samples_pixels: it cannot decode some pixels only.
    """

    samples_pixels = False

    def __init__(
        self,
        slots: int,
        slot_dim: int,
        observation_shape: tuple[int, ...],
        channels: int = 32,
        start: int = 8,
        doublings: int = 4,
        **options,
    ):
        super().__init__(**options)
        sides = observation_shape[:2]
        largest = start * 2**doublings
        if max(sides) > largest:
            raise SettingError(
                f"broadcast_slot_decoder makes images of sides up to {largest}, not "
                f"{sides[0]}x{sides[1]}; change broadcast_slot_decoder.doublings"
            )
        self.slots, self.start, self.observation_shape = slots, start, observation_shape
        self.positions = SoftPositions()
        self.positions.build((None, start, start, slot_dim))
        self._names, inputs = [], slot_dim
        for kernel, filters, kind in (
            *[(5, channels, keras.layers.Conv2DTranspose)] * doublings,
            (5, channels, keras.layers.Conv2D),
            (3, observation_shape[-1] + 1, keras.layers.Conv2D),
        ):
            # The authors' last two are transposed convolutions of stride 1: the same maps, but
            # PyTorch takes their fan-in, as that of the others, from the output's channels.
            initial = uniform_by_fan_in(kernel**2 * filters)
            stride = 2 if kind is keras.layers.Conv2DTranspose else 1
            layer = kind(filters, kernel, stride, "valid", **initial)
            layer.build((None, None, None, inputs))
            self._names.append(f"convolution_{len(self._names)}")
            setattr(self, self._names[-1], layer)
            inputs = filters
        self._plans = [_plan(side, start, doublings) for side in sides]
        self.built = True

    def call(self, slots: tf.Tensor) -> dict[str, tf.Tensor]:
        """Decodes all pixels."""
        height, width, channels = self.observation_shape
        grid = tf.reshape(slots, [-1, 1, 1, slots.shape[-1]])
        features = self.positions(tf.tile(grid, [1, self.start, self.start, 1]))
        for number, name in enumerate(self._names):
            if number:
                features = keras.activations.gelu(features, approximate=False)
            before, after, rows, columns = self._frame(number)
            if before:
                features = tf.pad(features, [[0, 0], *after, [0, 0]])
                features = getattr(self, name)(features)
            else:
                features = getattr(self, name)(features)[:, 2 : 2 + rows, 2 : 2 + columns]
        features = tf.reshape(features, [-1, self.slots, height * width, channels + 1])
        colours, logits = features[..., :channels], tf.cast(features[..., channels], tf.float32)
        masks = tf.nn.softmax(logits, axis=1)
        parts = tf.cast(colours, tf.float32) * masks[..., None]
        return {
            "image": tf.reduce_sum(parts, axis=1),
            "masks": tf.transpose(masks, [0, 2, 1]),
            "parts": tf.transpose(parts, [0, 2, 1, 3]),
        }

    def _frame(self, number: int):
        """Whether a layer is padded, by how much, and the rows and columns kept after it."""
        (padded, pad, rows), (_, pad_width, columns) = (plan[number] for plan in self._plans)
        return padded, [pad, pad_width], rows, columns


def _plan(side: int, start: int, doublings: int) -> list[tuple[bool, list[int], int]]:
    """For each layer: whether it is padded, the padding before and after, and the length it makes.

    Backwards from the image: a convolution of radius r needs r more numbers, of which those beyond
    the grid are zeros; number o of a doubled grid needs numbers up to (o + 2) / 2 of the grid.
    """
    full, needed, plan = start * 2**doublings, side, []
    for radius in (1, 2):
        wanted = min(needed + radius, full)
        plan.append((True, [radius, needed + radius - wanted], needed))
        needed = wanted
    for _ in range(doublings):
        plan.append((False, [0, 0], needed))
        full //= 2
        needed = min(math.floor((needed - 1 + 2) / 2) + 1, full)
    return plan[::-1]
