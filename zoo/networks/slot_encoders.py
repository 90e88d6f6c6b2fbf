"""Encoders of images to slots: a Transformer with learned queries, and Slot Attention.

Sizes and layers: Brady et al., "Interaction Asymmetry", ICLR 2025, appendix I.1 (repository
JackBrady/interaction-asymmetry at 88de3ce). Weights outside the Transformer start as PyTorch's.
"""

from collections.abc import Callable, Sequence

import gin
import keras
import tensorflow as tf

from zoo.errors import SettingError, require_not_negative
from zoo.networks import checks
from zoo.networks.attention import Block, JointNorm, Queries, SoftPositions, dense, layer_norm, mlp
from zoo.networks.pytorch import uniform_by_fan_in

Layer = keras.layers.Layer


@gin.configurable
def transformer_slot_encoder(
    observation_shape: tuple[int, ...],
    slots: int,
    width: int,
    channels: int = 32,
    strides: Sequence[int] = (1, 1, 1, 1),
    layers: int = 5,
    heads: int = 4,
    name: str = "slot_encoder",
) -> keras.Model:
    """Convolutions, then a Transformer in which learned queries attend to all pixels.

    In each layer the queries attend to the pixels, then to each other, then pass an MLP of hidden
    width `2 width`; a last layer normalisation follows.

    Args:
        observation_shape: `(H, W, C)`.
        slots: K, the number of queries.
        width: D, of a query and of its result.
        channels: of the convolutions but the last; 64 on CLEVR6.
        strides: of the four convolutions; the authors have none.
        layers: of the Transformer.
        heads: of each attention.
        name: the name of the network.

    Returns:
        A model from `[B, H, W, C]` images to `[B, K, D]`.

    Raises:
        SettingError: a size or a stride is not positive, or there are not four strides.
    """
    checks.require_positive("transformer_slot_encoder", layers=layers, heads=heads)
    _require_convolutions("transformer_slot_encoder", channels, strides)
    images = keras.Input(observation_shape)
    tokens = _tokens(images, width, channels, strides)
    queries = Queries(slots, width)(tokens)
    for _ in range(layers):
        queries, _ = Block(heads, width, width, width, 2 * width, among_queries=True)(
            queries, tokens
        )
    return keras.Model(images, layer_norm()(queries), name=name)


@gin.configurable
def slot_attention_encoder(
    observation_shape: tuple[int, ...],
    slots: int,
    width: int,
    channels: int = 32,
    strides: Sequence[int] = (1, 1, 1, 1),
    iterations: int = 3,
    hidden: int = 64,
    learned_start: bool = False,
    name: str = "slot_encoder",
) -> keras.Model:
    """Convolutions, then Slot Attention (Locatello et al. 2020) with implicit differentiation.

    Args:
        observation_shape: `(H, W, C)`.
        slots: K.
        width: D, of a slot.
        channels: of the convolutions but the last; 64 on CLEVR6.
        strides: of the four convolutions; the authors have none.
        iterations: before the one that is differentiated.
        hidden: the hidden width of the slots' MLP, or `width` where that is larger.
        learned_start: pass gradients straight through to the slots' start (Jia et al. 2023). In the
            authors' code, what is differentiated does not depend on it: it stays as it was drawn.
        name: the name of the network.

    Returns:
        A model from `[B, H, W, C]` images to `[B, K, D]`.

    Raises:
        SettingError: a size or a stride is not positive, there are not four strides, or the number
            of iterations is negative.
    """
    checks.require_positive("slot_attention_encoder", hidden=hidden)
    require_not_negative("slot_attention_encoder", iterations=iterations)
    _require_convolutions("slot_attention_encoder", channels, strides)
    images = keras.Input(observation_shape)
    tokens = _tokens(images, width, channels, strides)
    start = Queries(slots, width, trainable=learned_start)(tokens)
    refined = SlotAttention(iterations, max(width, hidden), straight_through=learned_start)(
        start, tokens
    )
    return keras.Model(images, refined, name=name)


class SlotAttention(Layer):
    """Slots compete for inputs: attention normalised over slots, and a recurrent update.

    The slots' fixed point is approached without gradients; further steps are differentiated (one:
    the implicit differentiation of Chang et al. 2022, the first term of the Neumann series of the
    exact gradient). As in the authors' code, what the recurrent unit updates are the normalised
    slots.

    Args:
        iterations: steps without gradients.
        hidden: the hidden width of the slots' MLP.
        straight_through: pass the gradient of where these steps end to where they start.
        differentiated: steps with gradients.
        epsilon: added to the attention before it is normalised over inputs.
    """

    def __init__(
        self,
        iterations: int = 3,
        hidden: int = 64,
        straight_through: bool = False,
        differentiated: int = 1,
        epsilon: float = 1e-8,
        **options,
    ):
        super().__init__(**options)
        self.iterations, self.hidden, self.differentiated = iterations, hidden, differentiated
        self.straight_through, self.epsilon = straight_through, epsilon
        self.input_norm, self.slot_norm, self.mlp_norm = (layer_norm() for _ in range(3))

    def build(self, slots_shape, inputs_shape):
        """Makes the maps."""
        width, inputs = slots_shape[-1], inputs_shape[-1]
        self.to_query, self.to_key, self.to_value = (
            dense(size, width) for size in (width, inputs, inputs)
        )
        initial = uniform_by_fan_in(width)
        self.recurrent = keras.layers.GRUCell(
            width,
            reset_after=True,
            kernel_initializer=initial["kernel_initializer"],
            recurrent_initializer=uniform_by_fan_in(width)["kernel_initializer"],
            bias_initializer=initial["bias_initializer"],
        )
        self.hidden_layer = dense(width, self.hidden, "relu")
        self.output_layer = dense(self.hidden, width)
        for layer, size in (
            (self.input_norm, inputs),
            (self.slot_norm, width),
            (self.mlp_norm, width),
            (self.to_query, width),
            (self.to_key, inputs),
            (self.to_value, inputs),
            (self.hidden_layer, width),
            (self.output_layer, self.hidden),
        ):
            layer.build((None, None, size))
        self.recurrent.build((None, width))

    def call(self, slots: tf.Tensor, inputs: tf.Tensor) -> tf.Tensor:
        """`[B, K, D]` first slots and `[B, N, C]` inputs to `[B, K, D]`."""
        inputs = self.input_norm(inputs)
        keys, values = self.to_key(inputs), self.to_value(inputs)
        return fixed_point(
            lambda slots: self.step(slots, keys, values)[0],
            slots,
            self.iterations,
            self.differentiated,
            self.straight_through,
        )

    def step(
        self, slots: tf.Tensor, keys: tf.Tensor, values: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """One iteration: new slots `[B, K, D]` and the attention `[B, K, N]`, 1 summed over K."""
        slots = self.slot_norm(slots)
        width = slots.shape[-1]
        queries = self.to_query(slots) * width**-0.5
        logits = tf.cast(tf.matmul(queries, keys, transpose_b=True), tf.float32)
        attention = tf.nn.softmax(logits, axis=1)
        shares = attention + self.epsilon
        shares = tf.cast(shares / tf.reduce_sum(shares, axis=2, keepdims=True), values.dtype)
        updates = tf.matmul(shares, values)
        state = tf.reshape(slots, [-1, width])
        moved = self.recurrent(tf.reshape(updates, [-1, width]), state)[0]
        moved = tf.reshape(moved, tf.shape(slots))
        moved += self.output_layer(self.hidden_layer(self.mlp_norm(moved)))
        return moved, attention


def fixed_point(
    step: Callable[[tf.Tensor], tf.Tensor],
    start: tf.Tensor,
    iterations: int,
    differentiated: int = 1,
    straight_through: bool = False,
) -> tf.Tensor:
    """Iterates towards a fixed point; only the last steps are differentiated.

    The gradient of a fixed point x = f(x, w) is `(I - df/dx)^-1 df/dw`, and m differentiated steps
    give the first m terms of its Neumann series `(I + df/dx + (df/dx)^2 + ...) df/dw`, in memory
    that does not grow with `iterations` (Chang et al. 2022).

    Args:
        step: f, contracting.
        start: where it begins.
        iterations: steps without gradients.
        differentiated: m.
        straight_through: pass the gradient of where these steps end to `start`.
    """
    reached = start
    for _ in range(iterations):
        reached = step(tf.stop_gradient(reached))
    reached = tf.stop_gradient(reached)
    if straight_through:
        reached += start - tf.stop_gradient(start)
    for _ in range(differentiated):
        reached = step(reached)
    return reached


def _require_convolutions(network: str, channels: int, strides: Sequence[int]) -> None:
    checks.require_positive(network, channels=channels, strides=strides)
    if not isinstance(strides, Sequence) or len(strides) != 4:
        raise SettingError(
            f"{network}.strides is {strides}; give one for each of four convolutions"
        )


def _tokens(images, width: int, channels: int, strides: Sequence[int]):
    """Features of pixels with their positions, `[B, N, width]`."""
    features, inputs = images, images.shape[-1]
    for filters, stride in zip((channels,) * 3 + (width,), strides, strict=True):
        initial = uniform_by_fan_in(25 * inputs)
        features = keras.layers.Conv2D(
            filters, 5, stride, padding="same", activation="gelu", **initial
        )(features)
        inputs = filters
    features = SoftPositions()(features)
    tokens = keras.layers.Reshape((-1, width))(features)
    return mlp(width, (width, width))(JointNorm()(tokens))
