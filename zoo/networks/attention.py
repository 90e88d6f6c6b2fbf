"""Pieces of Transformers over slots: attention that returns its weights, blocks, position features.

Sizes, scaling and initial weights: Brady et al., "Interaction Asymmetry: A General Principle for
Learning Composable Abstractions", ICLR 2025 (repository JackBrady/interaction-asymmetry at
88de3ce). Softmax and normalisations are in float32, whatever the precision of the products.
"""

import math
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from zoo.errors import SettingError
from zoo.networks.pytorch import uniform_by_fan_in

Layer = keras.layers.Layer

_EPSILON = 1e-5


def layer_norm(**options) -> Layer:
    """Layer normalisation over the last axis with PyTorch's epsilon."""
    return keras.layers.LayerNormalization(epsilon=_EPSILON, **options)


def dense(inputs: int, units: int, activation: str | None = None, xavier: bool = False) -> Layer:
    """A dense layer with PyTorch's initial weights, or Xavier's uniform ones for the kernel."""
    initial = uniform_by_fan_in(inputs)
    if xavier:
        initial["kernel_initializer"] = "glorot_uniform"
    return keras.layers.Dense(units, activation=activation, **initial)


def mlp(inputs: int, units: Sequence[int], name: str | None = None, **options) -> keras.Model:
    """Dense layers with GELU between: `[B, N, inputs]` to `[B, N, units[-1]]`.

    Args:
        inputs: the width of what it takes.
        units: the widths of all its layers.
        name: its name.
        **options: of `dense`.
    """
    widths = [inputs, *units]
    layers = [
        dense(width, units, None if last else "gelu", **options)
        for width, units, last in zip(
            widths, widths[1:], [False] * (len(units) - 1) + [True], strict=False
        )
    ]
    return keras.Sequential([keras.Input((None, inputs)), *layers], name=name)


class Attention(Layer):
    """Multi-head attention that returns its weights, of which one side are slots.

    `softmax(q k^T / sqrt(D_q)) v`, head by head, with q of the queries and k, v of the memory;
    heads side by side go through a last linear map. The logits are divided by the root of the
    query's whole width D_q, not by that of a head. All maps have biases.

    Slots are few, pixels are many, and products may be taken in any order: the maps of the many
    are applied to the few instead (`(x W_q)(s W_k)^T = x (W_q (s W_k)^T)`), which costs the many a
    product with `heads x slots` columns where `width` columns would be needed.

    Args:
        heads: the number of heads.
        width: of queries, keys and values, all heads together.
        joint: initialise the three maps as one matrix (Xavier's bound depends on its shape), as the
            authors do for attention among slots; otherwise those of keys and values together.
    """

    def __init__(self, heads: int, width: int, joint: bool = False, **options):
        super().__init__(**options)
        if width % heads:
            raise SettingError(
                f"attention of width {width} cannot be shared by {heads} heads evenly"
            )
        self.heads, self.width, self.joint = heads, width, joint

    def build(self, queries_shape, memory_shape):
        """Makes the weights; their shapes are those of the two last axes."""
        outer, inner, width = queries_shape[-1], memory_shape[-1], self.width
        bound = math.sqrt(6 / (outer + 3 * width))
        for name, inputs, outputs in (
            ("query", outer, width),
            ("memory", inner, 2 * width),
            ("output", width, outer),
        ):
            split = self.joint and name != "output"
            kernel = keras.initializers.RandomUniform(-bound, bound) if split else "glorot_uniform"
            bias = uniform_by_fan_in(inputs)["bias_initializer"]
            for part, shape, initial in (
                ("kernel", (inputs, outputs), kernel),
                ("bias", (outputs,), bias),
            ):
                label = f"{name}_{part}"
                weight = self.add_weight(shape=shape, initializer=initial, name=label)
                setattr(self, label, weight)
        self.scale = outer**-0.5

    def call(self, queries: tf.Tensor, memory: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Attends.

        Args:
            queries: `[B, Q, D_q]`, or `[1, Q, D_q]` for queries that all examples share.
            memory: `[B, M, D_m]`.

        Returns:
            `[B, Q, D_q]`, and the weights `[B, Q, heads, M]` float32, which sum to one over M.
        """
        few_queries = (queries.shape[1] or math.inf) < (memory.shape[1] or math.inf)
        return (self._from_many if few_queries else self._from_few)(queries, memory)

    def _heads(self, kernel, bias):
        """A map to all heads, `[inputs, heads, width / heads]`, and its bias."""
        kernel, bias = tf.convert_to_tensor(kernel), tf.convert_to_tensor(bias)
        size = self.width // self.heads
        return tf.reshape(kernel, [-1, self.heads, size]), tf.reshape(bias, [self.heads, size])

    def _of_memory(self):
        kernels = tf.split(tf.convert_to_tensor(self.memory_kernel), 2, axis=1)
        biases = tf.split(tf.convert_to_tensor(self.memory_bias), 2)
        return [self._heads(*pair) for pair in zip(kernels, biases, strict=True)]

    def _outward(self):
        return tf.reshape(
            tf.convert_to_tensor(self.output_kernel), [self.heads, self.width // self.heads, -1]
        )

    def _from_few(self, queries, slots):
        """Many queries attend to few slots."""
        (key_map, key_bias), (value_map, value_bias) = self._of_memory()
        query_map, query_bias = self._heads(self.query_kernel, self.query_bias)
        count = self.heads * slots.shape[1]
        keys = self.scale * (tf.einsum("bmi,ihd->bmhd", slots, key_map) + key_bias)
        folded = tf.reshape(
            tf.einsum("bmhd,ihd->bihm", keys, query_map), [-1, queries.shape[-1], count]
        )
        shift = tf.reshape(tf.einsum("bmhd,hd->bhm", keys, query_bias), [-1, 1, count])
        logits = tf.cast(tf.matmul(queries, folded), tf.float32) + tf.cast(shift, tf.float32)
        shape = [-1, queries.shape[1], self.heads, slots.shape[1]]
        weights = tf.nn.softmax(tf.reshape(logits, shape))
        values = tf.einsum("bmi,ihd->bmhd", slots, value_map) + value_bias
        moved = tf.reshape(
            tf.einsum("bmhd,hdo->bhmo", values, self._outward()), [-1, count, queries.shape[-1]]
        )
        mixed = tf.cast(tf.reshape(weights, [-1, queries.shape[1], count]), moved.dtype)
        return tf.matmul(mixed, moved) + tf.convert_to_tensor(self.output_bias), weights

    def _from_many(self, slots, inputs):
        """Few slots attend to many inputs."""
        (key_map, key_bias), (value_map, value_bias) = self._of_memory()
        query_map, query_bias = self._heads(self.query_kernel, self.query_bias)
        count = slots.shape[1]
        queries = self.scale * (tf.einsum("bqi,ihd->bqhd", slots, query_map) + query_bias)
        folded = tf.einsum("bqhd,ihd->bqhi", queries, key_map)
        shape = [-1, count * self.heads, inputs.shape[-1]]
        # A key's bias adds the same number to all logits of a query, which softmax does not see;
        # it is there for the sake of the published number of parameters.
        shift = tf.reshape(tf.einsum("bqhd,hd->bqh", queries, key_bias), [-1, shape[1], 1])
        logits = tf.matmul(tf.reshape(folded, shape), inputs, transpose_b=True)
        weights = tf.nn.softmax(tf.cast(logits, tf.float32) + tf.cast(shift, tf.float32))
        context = tf.matmul(tf.cast(weights, inputs.dtype), inputs)
        context = tf.reshape(context, [-1, count, self.heads, inputs.shape[-1]])
        values = tf.einsum("bqhi,ihd->bqhd", context, value_map) + value_bias
        mixed = tf.einsum("bqhd,hdo->bqo", values, self._outward())
        weights = tf.reshape(weights, [-1, count, self.heads, inputs.shape[1]])
        return mixed + tf.convert_to_tensor(self.output_bias), weights


class Block(Layer):
    """A layer of a Transformer: attention to the memory, then among queries, then an MLP.

    Each is preceded by layer normalisation (the memory's too) and added to what it started from.
    There is no dropout.

    Args:
        heads: of both attentions.
        width: of both attentions.
        query_width: the width of the queries, along which the residual stream runs.
        memory_width: the width of the memory.
        hidden: the width of the MLP's hidden layer.
        among_queries: whether queries attend to each other.
    """

    def __init__(
        self,
        heads: int,
        width: int,
        query_width: int,
        memory_width: int,
        hidden: int,
        among_queries: bool = False,
        **options,
    ):
        super().__init__(**options)
        self.query_norm, self.memory_norm, self.mlp_norm = (layer_norm() for _ in range(3))
        self.cross = Attention(heads, width)
        self.self_norm = layer_norm() if among_queries else None
        self.among = Attention(heads, width, joint=True) if among_queries else None
        self.mlp = mlp(query_width, (hidden, query_width), xavier=True)
        self._widths = query_width, memory_width

    def build(self, queries_shape, memory_shape):
        """Builds all parts."""
        for norm in (self.query_norm, self.mlp_norm, self.self_norm):
            if norm:
                norm.build(queries_shape)
        self.memory_norm.build(memory_shape)
        self.cross.build(queries_shape, memory_shape)
        if self.among:
            self.among.build(queries_shape, queries_shape)

    def call(self, queries: tf.Tensor, memory: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """`[B or 1, Q, D_q]` and `[B, M, D_m]` to `[B, Q, D_q]` and weights `[B, Q, heads, M]`."""
        attended, weights = self.cross(self.query_norm(queries), self.memory_norm(memory))
        queries = queries + attended
        if self.among:
            normed = self.self_norm(queries)
            queries = queries + self.among(normed, normed)[0]
        return queries + self.mlp(self.mlp_norm(queries)), weights


class SoftPositions(Layer):
    """Adds a learned linear map of `(row, column, 1 - row, 1 - column)` in [0, 1] to a grid."""

    def build(self, shape):
        """Makes the map."""
        _, height, width, channels = shape
        rows, columns = np.meshgrid(
            np.linspace(0, 1, height), np.linspace(0, 1, width), indexing="ij"
        )
        grid = np.stack([rows, columns, 1 - rows, 1 - columns], -1)
        self.grid = grid.astype(np.float32)
        self.map = dense(4, channels)
        self.map.build((None, height, width, 4))

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """`[B, H, W, D]` to the same shape."""
        return features + self.map(self.grid[None])


class JointNorm(Layer):
    """Normalises all tokens and channels of an example together; nothing is learned."""

    def call(self, tokens: tf.Tensor) -> tf.Tensor:
        """`[B, N, D]` to the same shape, of mean 0 and variance 1 in each example."""
        mean, variance = tf.nn.moments(tf.cast(tokens, tf.float32), [1, 2], keepdims=True)
        scale = tf.math.rsqrt(variance + _EPSILON)
        return tokens * tf.cast(scale, tokens.dtype) - tf.cast(mean * scale, tokens.dtype)


class Queries(Layer):
    """Learned vectors, the same for all examples, initially uniform in [0, 1).

    Args:
        count: how many.
        width: of each.
        trainable: whether they are learned.
    """

    def __init__(self, count: int, width: int, trainable: bool = True, **options):
        super().__init__(**options)
        self.vectors = self.add_weight(
            shape=(count, width),
            initializer=keras.initializers.RandomUniform(0, 1),
            trainable=trainable,
            name="vectors",
        )
        self.built = True

    def call(self, like: tf.Tensor) -> tf.Tensor:
        """`[B, count, width]` for a batch of anything `[B, ...]`."""
        vectors = tf.convert_to_tensor(self.vectors)
        return tf.tile(vectors[None], [tf.shape(like)[0], 1, 1])


def fourier_features(count: int, octaves: int = 8) -> np.ndarray:
    """Sines, then cosines, of one coordinate of pixels, `[count, 2 * octaves]` float32.

    The coordinate of pixel i of `count` is `i / (count - 1)`, frequencies are `2^k pi` for
    k = 0, ..., octaves - 1.
    """
    angles = np.arange(count)[:, None] / max(count - 1, 1) * (np.pi * 2.0 ** np.arange(octaves))
    return np.concatenate([np.sin(angles), np.cos(angles)], -1).astype(np.float32)
