"""Attention over slots against its definition, and the pieces around it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.networks.attention import (
    Attention,
    Block,
    JointNorm,
    SoftPositions,
    fourier_features,
    mlp,
)


def _arrays(*shapes) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype(np.float32) for shape in shapes]


def _attention(queries, memory, heads: int = 3, width: int = 12, **options) -> Attention:
    keras.utils.set_random_seed(0)
    layer = Attention(heads, width, **options)
    layer.build(queries.shape, memory.shape)
    return layer


def _by_definition(layer: Attention, queries, memory):
    """Projects everything, splits into heads, and attends, with nothing folded."""
    weights = {name: getattr(layer, name).numpy().astype(np.float64) for name in (
        "query_kernel", "query_bias", "memory_kernel", "memory_bias", "output_kernel", "output_bias"
    )}  # fmt: skip

    def split(projected):
        return projected.reshape(*projected.shape[:2], layer.heads, -1)

    query = split(queries @ weights["query_kernel"] + weights["query_bias"])
    both = memory @ weights["memory_kernel"] + weights["memory_bias"]
    key, value = (split(part) for part in np.split(both, 2, axis=-1))
    logits = np.einsum("bqhd,bmhd->bqhm", query, key) / np.sqrt(queries.shape[-1])
    shares = np.exp(logits - logits.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    mixed = np.einsum("bqhm,bmhd->bqhd", shares, value).reshape(*queries.shape[:2], -1)
    return mixed @ weights["output_kernel"] + weights["output_bias"], shares


@pytest.mark.parametrize(("many", "few"), [(11, 4), (4, 11)])
def test_attention_is_what_its_definition_says_whichever_side_is_many(many, few):
    queries, memory = _arrays((2, many, 6), (2, few, 8))
    layer = _attention(queries, memory)
    output, weights = layer(queries, memory)
    expected, shares = _by_definition(layer, queries, memory)
    np.testing.assert_allclose(output, expected, atol=1e-5)
    np.testing.assert_allclose(weights, shares, atol=1e-5)
    np.testing.assert_allclose(tf.reduce_sum(weights, -1), 1, atol=1e-5)


def test_shared_queries_are_the_same_as_repeated_ones():
    queries, memory = _arrays((1, 9, 6), (3, 4, 8))
    layer = _attention(queries, memory)
    shared, repeated = layer(queries, memory), layer(np.repeat(queries, 3, 0), memory)
    for one, other in zip(shared, repeated, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_gradients_reach_all_weights_that_change_the_result():
    queries, memory = _arrays((2, 9, 6), (2, 4, 8))
    layer = _attention(queries, memory)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(queries, memory)[0] ** 2)
    for variable, gradient in zip(
        layer.trainable_variables, tape.gradient(loss, layer.trainable_variables), strict=True
    ):
        assert gradient is not None and np.abs(gradient).max() > 1e-6, variable.path


@pytest.mark.parametrize(("joint", "columns"), [(False, 12), (True, 36)])
def test_xavier_bounds_are_those_of_the_matrix_that_is_drawn_as_one(joint, columns):
    queries = np.zeros((1, 5, 12), np.float32)
    layer = _attention(queries, queries, joint=joint)
    bound = np.sqrt(6 / (12 + columns))
    largest = np.abs(layer.query_kernel.numpy()).max()
    assert 0.9 * bound < largest <= bound


def test_a_width_that_heads_cannot_share_is_refused():
    with pytest.raises(ValueError, match="width 7 cannot be shared by 2 heads"):
        Attention(2, 7)


def test_a_block_moves_with_the_order_of_its_queries_and_not_of_its_memory():
    queries, memory = _arrays((2, 5, 8), (2, 7, 8))
    block = Block(2, 8, 8, 8, 16, among_queries=True)
    output, weights = block(queries, memory)
    order, others = [3, 1, 4, 0, 2], [6, 5, 4, 3, 2, 1, 0]
    moved, moved_weights = block(queries[:, order], memory[:, others])
    np.testing.assert_allclose(moved, output.numpy()[:, order], atol=1e-5)
    np.testing.assert_allclose(moved_weights, weights.numpy()[:, order][..., others], atol=1e-5)


def test_mlp_has_an_activation_between_its_layers_only():
    network = mlp(3, (5, 2))
    first, last = network.layers
    assert (first.activation.__name__, last.activation.__name__) == ("gelu", "linear")
    (inputs,) = _arrays((2, 4, 3))
    hidden = np.asarray(keras.activations.gelu(inputs @ first.kernel + first.bias, False))
    np.testing.assert_allclose(network(inputs), hidden @ last.kernel + last.bias, atol=1e-5)


def test_joint_norm_makes_every_example_of_mean_0_and_variance_1():
    (tokens,) = _arrays((3, 10, 4))
    normed = JointNorm()(5 * tokens + 2).numpy().reshape(3, -1)
    np.testing.assert_allclose(normed.mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(normed.var(1), 1, atol=1e-4)


def test_soft_positions_add_a_linear_map_of_the_grid():
    layer = SoftPositions()
    added = layer(np.zeros((1, 3, 5, 2), np.float32)).numpy()[0]
    kernel, bias = layer.map.kernel.numpy(), layer.map.bias.numpy()
    np.testing.assert_allclose(added[0, 0], kernel[2] + kernel[3] + bias, atol=1e-6)
    np.testing.assert_allclose(added[2, 4], kernel[0] + kernel[1] + bias, atol=1e-6)
    middle = 0.5 * kernel.sum(0) + bias
    np.testing.assert_allclose(added[1, 2], middle, atol=1e-6)


def test_fourier_features_of_both_ends_and_the_middle():
    features = fourier_features(3, octaves=2)
    # Sines of pi and 2 pi times the coordinate, then cosines.
    expected = [[0, 0, 1, 1], [1, 0, 0, -1], [0, 0, -1, 1]]
    np.testing.assert_allclose(features, expected, atol=1e-6)


def test_mixed_precision_keeps_weights_in_float32():
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        queries, memory = _arrays((2, 9, 6), (2, 4, 8))
        layer = _attention(queries, memory)
        output, weights = layer(queries, memory)
    finally:
        keras.config.set_dtype_policy(before)
    assert output.dtype == tf.bfloat16 and weights.dtype == tf.float32
    np.testing.assert_allclose(tf.reduce_sum(weights, -1), 1, atol=1e-6)
    np.testing.assert_allclose(weights, _by_definition(layer, queries, memory)[1], atol=2e-2)
