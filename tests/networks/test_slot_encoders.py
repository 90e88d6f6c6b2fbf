"""Slot encoders: sizes, the published parameter counts, implicit differentiation."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.networks.slot_encoders import (
    SlotAttention,
    fixed_point,
    slot_attention_encoder,
    transformer_slot_encoder,
)


def _linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def _common(width: int, channels: int) -> int:
    """Convolutions, positions and the MLP of tokens; the joint norm has no weights."""
    convolutions = _linear(25 * 3, channels) + 2 * _linear(25 * channels, channels)
    return (
        convolutions + _linear(25 * channels, width) + _linear(4, width) + 2 * _linear(width, width)
    )


def test_transformer_encoder_has_the_published_number_of_parameters():
    width, slots = 64, 5
    attention = 4 * _linear(width, width)
    feed_forward = _linear(width, 2 * width) + _linear(2 * width, width)
    layer = 2 * attention + feed_forward + 4 * 2 * width
    expected = _common(width, 32) + slots * width + 5 * layer + 2 * width
    assert transformer_slot_encoder((64, 64, 3), slots, width).count_params() == expected


def test_slot_attention_encoder_has_the_published_number_of_parameters():
    width, slots = 32, 5
    gates = 3 * (width * width + width * width + 2 * width)
    mlp = _linear(width, 64) + _linear(64, width)
    expected = _common(width, 32) + slots * width + 3 * _linear(width, width)
    expected += gates + mlp + 3 * 2 * width
    encoder = slot_attention_encoder((64, 64, 3), slots, width)
    assert encoder.count_params() == expected


def _starts_uniform(weights, fan_in: int) -> None:
    """U(-1, 1) / sqrt(fan_in), as `kaiming_uniform(a=sqrt(5))`; deviations if there are enough."""
    drawn, bound = np.ravel(weights), 1 / np.sqrt(fan_in)
    assert 0.8 * bound < np.abs(drawn).max() <= bound * (1 + 1e-6)
    if len(drawn) > 500:
        assert drawn.std() == pytest.approx(bound / np.sqrt(3), rel=0.05)


def test_weights_start_as_pytorchs():
    """Conv2d: input channels x area; Linear: inputs; GRUCell: the hidden width, for all weights."""
    keras.utils.set_random_seed(0)
    width, channels = 40, 16
    encoder = slot_attention_encoder((16, 16, 3), 3, width, channels=channels, hidden=48)
    convolutions = [each for each in encoder.layers if isinstance(each, keras.layers.Conv2D)]
    inputs = (3, channels, channels, channels)
    for layer, count in zip(convolutions, inputs, strict=True):
        _starts_uniform(layer.kernel, 25 * count)
        _starts_uniform(layer.bias, 25 * count)
    (attention,) = (each for each in encoder.layers if isinstance(each, SlotAttention))
    for layer, count in (
        (attention.to_query, width),
        (attention.to_key, width),
        (attention.to_value, width),
        (attention.hidden_layer, width),
        (attention.output_layer, 48),
    ):
        _starts_uniform(layer.kernel, count)
        _starts_uniform(layer.bias, count)
    gru = attention.recurrent
    for weights in (gru.kernel, gru.recurrent_kernel, gru.bias):
        _starts_uniform(weights, width)


@pytest.mark.parametrize("make", [transformer_slot_encoder, slot_attention_encoder])
def test_encoders_give_slots_and_strides_shorten_the_tokens(make):
    keras.utils.set_random_seed(0)
    encoder = make((16, 16, 3), 3, 8, channels=4, strides=(2, 1, 2, 1))
    images = np.random.default_rng(0).random((2, 16, 16, 3), np.float32)
    slots = encoder(images).numpy()
    assert slots.shape == (2, 3, 8) and np.isfinite(slots).all()
    assert np.abs(slots[:, 0] - slots[:, 1]).max() > 1e-3, "all slots are the same"


def _slot_attention(**options):
    keras.utils.set_random_seed(1)
    rng = np.random.default_rng(0)
    start, inputs = (rng.normal(size=s).astype(np.float32) for s in ((2, 3, 8), (2, 20, 6)))
    layer = SlotAttention(**options)
    layer.build(start.shape, inputs.shape)
    return layer, tf.constant(start), tf.constant(inputs)


def test_slots_compete_and_move_with_their_order():
    layer, start, inputs = _slot_attention()
    keys, values = layer.to_key(inputs), layer.to_value(inputs)
    _, attention = layer.step(start, keys, values)
    np.testing.assert_allclose(tf.reduce_sum(attention, 1), 1, atol=1e-6)
    order = [2, 0, 1]
    moved = layer(tf.gather(start, order, axis=1), inputs)
    np.testing.assert_allclose(moved, tf.gather(layer(start, inputs), order, axis=1), atol=1e-5)


def test_slot_attention_does_not_depend_on_the_order_of_inputs():
    layer, start, inputs = _slot_attention()
    np.testing.assert_allclose(layer(start, inputs[:, ::-1]), layer(start, inputs), atol=1e-5)


@pytest.mark.parametrize("through", [False, True])
def test_the_start_has_a_gradient_only_where_it_is_passed_straight_through(through):
    layer, start, inputs = _slot_attention(straight_through=through)
    with tf.GradientTape() as tape:
        tape.watch(start)
        slots = layer(start, inputs)
    assert (tape.gradient(slots, start) is not None) == through
    plain, *_ = _slot_attention()
    np.testing.assert_allclose(slots, plain(start, inputs), atol=1e-5)


def test_the_gradient_of_a_fixed_point_is_that_of_unrolling_it():
    """On x = A x + w with |A| = 0.5, m differentiated steps miss at most 0.5^m of the gradient."""
    rng = np.random.default_rng(0)
    matrix = np.linalg.qr(rng.normal(size=(4, 4)))[0] * 0.5
    matrix, weights = tf.constant(matrix, tf.float32), tf.Variable(tf.ones([4, 1]))

    def step(x):
        return tf.matmul(matrix, x) + weights

    def gradient(iterations, differentiated):
        with tf.GradientTape() as tape:
            reached = fixed_point(step, tf.zeros([4, 1]), iterations, differentiated)
            loss = tf.reduce_sum(reached * tf.range(1.0, 5.0)[:, None])
        return reached.numpy(), tape.gradient(loss, weights).numpy()

    reached, unrolled = gradient(0, 60)
    np.testing.assert_allclose(reached, step(reached), atol=1e-6)
    exact = np.linalg.solve(np.eye(4) - matrix.numpy().T, np.arange(1.0, 5.0)[:, None])
    np.testing.assert_allclose(unrolled, exact, rtol=1e-4)
    for differentiated in (1, 3, 10):
        end, found = gradient(60, differentiated)
        np.testing.assert_allclose(end, reached, atol=1e-6)
        error = np.linalg.norm(found - exact) / np.linalg.norm(exact)
        assert error <= 0.5**differentiated + 1e-5
        # The Neumann series is cut there, not before or after.
        assert error == pytest.approx(0.5**differentiated, rel=1e-2, abs=1e-5)
