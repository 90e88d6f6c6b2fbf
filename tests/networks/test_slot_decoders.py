"""Slot decoders: published parameter counts, symmetry in the slots, masks, decoding some pixels."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.networks.slot_decoders import (
    BroadcastSlotDecoder,
    broadcast_slot_decoder,
    transformer_slot_decoder,
)

SHAPE = (16, 16, 3)


def _linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def _transformer():
    keras.utils.set_random_seed(0)
    return transformer_slot_decoder(
        4, 6, SHAPE, width=12, slot_hidden=10, query_width=8, query_hidden=10, heads=3
    )


def _broadcast():
    keras.utils.set_random_seed(0)
    return broadcast_slot_decoder(4, 6, SHAPE, channels=5, start=4, doublings=3)


def _slots() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(2, 4, 6)).astype(np.float32)


def test_transformer_decoder_has_the_published_number_of_parameters():
    queries = _linear(32, 360) + _linear(360, 180)
    slots = _linear(32, 2064) + _linear(2064, 516)
    attention = _linear(180, 516) + _linear(516, 2 * 516) + _linear(516, 180)
    norms = 2 * 180 + 2 * 516 + 2 * 180
    layer = attention + norms + _linear(180, 360) + _linear(360, 180)
    output = 2 * 180 + 2 * _linear(180, 180) + _linear(180, 3)
    decoder = transformer_slot_decoder(5, 32, (64, 64, 3))
    assert decoder.count_params() == queries + slots + 2 * layer + output


def test_broadcast_decoder_has_the_published_number_of_parameters():
    expected = _linear(4, 32) + 5 * _linear(25 * 32, 32) + _linear(9 * 32, 4)
    assert broadcast_slot_decoder(5, 32, (64, 64, 3)).count_params() == expected


def test_weights_of_the_broadcast_decoder_start_as_pytorchs_transposed_convolutions():
    """`kaiming_uniform(a=sqrt(5))` is U(-1, 1) / sqrt(fan_in); fan_in is output channels x area."""
    layers = [(5, 16)] * 3 + [(3, 4)]  # two that double, two of stride 1
    found = [[] for _ in layers], [[] for _ in layers]
    for seed in range(8):
        keras.utils.set_random_seed(seed)
        decoder = BroadcastSlotDecoder(2, 24, SHAPE, channels=16, start=4, doublings=2)
        for number in range(len(layers)):
            layer = getattr(decoder, f"convolution_{number}")
            for weights, values in zip((layer.kernel, layer.bias), found, strict=True):
                values[number].append(weights.numpy().ravel())
    for values, tolerance in zip(found, (0.02, 0.2), strict=True):
        for (side, outputs), drawn in zip(layers, map(np.concatenate, values), strict=True):
            bound = 1 / np.sqrt(outputs * side**2)
            assert np.abs(drawn).max() <= bound * (1 + 1e-6)
            assert drawn.std() == pytest.approx(bound / np.sqrt(3), rel=tolerance)


@pytest.mark.parametrize("make", [_transformer, _broadcast])
def test_masks_sum_to_one_and_everything_moves_with_the_slots(make):
    decoder, slots, order = make(), _slots(), [2, 0, 3, 1]
    decoded, moved = decoder(slots), decoder(slots[:, order])
    assert decoded["image"].shape == (2, 256, 3) and decoded["masks"].shape == (2, 256, 4)
    np.testing.assert_allclose(tf.reduce_sum(decoded["masks"], -1), 1, atol=1e-5)
    np.testing.assert_allclose(moved["image"], decoded["image"], atol=1e-5)
    np.testing.assert_allclose(moved["masks"], decoded["masks"].numpy()[..., order], atol=1e-5)


def test_attention_is_of_all_layers_and_heads_and_its_mean_is_the_masks():
    decoded = _transformer()(_slots())
    attention = decoded["attention"].numpy()
    assert attention.shape == (2, 2, 256, 3, 4)
    np.testing.assert_allclose(attention.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(attention.mean((1, 3)), decoded["masks"], atol=1e-6)


def test_some_pixels_are_decoded_as_among_all():
    decoder, slots = _transformer(), _slots()
    pixels = np.array([200, 3, 77])
    some, all_ = decoder(slots, pixels), decoder(slots)
    np.testing.assert_allclose(some["image"], all_["image"].numpy()[:, pixels], atol=1e-5)
    np.testing.assert_allclose(
        some["attention"], all_["attention"].numpy()[:, :, pixels], atol=1e-5
    )


def test_features_of_pixels_are_those_of_their_row_and_column():
    decoder = transformer_slot_decoder(2, 3, (4, 8, 3), width=4, heads=1, octaves=2)
    features = decoder.pixel_features().numpy()
    assert features.shape == (32, 8)
    frequencies = np.pi * np.array([1, 2])
    for row, column in ((0, 0), (1, 5), (3, 7)):
        angles = [row / 3 * frequencies, column / 7 * frequencies]
        expected = np.concatenate([wave(a) for a in angles for wave in (np.sin, np.cos)])
        np.testing.assert_allclose(features[8 * row + column], expected, atol=1e-6)


def test_parts_of_the_broadcast_decoder_add_up_and_each_is_its_slots_alone():
    decoder, slots = _broadcast(), _slots()
    decoded = decoder(slots)
    parts = decoded["parts"].numpy()
    np.testing.assert_allclose(parts.sum(2), decoded["image"], atol=1e-5)
    slots[:, 1:] += 1
    colours = decoded["parts"][:, :, 0] / decoded["masks"][:, :, :1]
    changed = decoder(slots)
    again = changed["parts"][:, :, 0] / changed["masks"][:, :, :1]
    np.testing.assert_allclose(again, colours, atol=1e-4)


@pytest.mark.parametrize("side", [20, 31, 32])
def test_the_corner_of_a_larger_image_is_computed_as_in_the_whole(side):
    keras.utils.set_random_seed(0)
    whole = BroadcastSlotDecoder(2, 6, (32, 32, 3), channels=4, start=4, doublings=3)
    corner = BroadcastSlotDecoder(2, 6, (side, side, 3), channels=4, start=4, doublings=3)
    corner.set_weights(whole.get_weights())
    slots = _slots()[:, :2]
    expected = tf.reshape(whole(slots)["image"], [2, 32, 32, 3])[:, :side, :side]
    found = tf.reshape(corner(slots)["image"], [2, side, side, 3])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_an_image_larger_than_the_grid_is_refused():
    with pytest.raises(ValueError, match="sides up to 16, not 32x32; change .*doublings"):
        broadcast_slot_decoder(2, 6, (32, 32, 3), start=4, doublings=2)
