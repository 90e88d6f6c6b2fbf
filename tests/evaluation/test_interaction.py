import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from zoo import evaluation

SHARED = pathlib.Path(__file__).resolve().parents[2] / "../shared/reference"


def scenes(seed, images=3, size=8, objects=3):
    return np.random.default_rng(seed).integers(0, objects + 1, (images, size, size))


def random_magnitudes(seed, slots=4):
    return np.random.default_rng(seed).gamma(0.5, size=(3, 8, 8, slots))


def test_perfect_slots_score_one():
    masks = scenes(0)
    magnitudes = np.eye(4)[masks] * 3.0
    assert evaluation.j_ari(magnitudes, masks)["score"] == 1
    assert evaluation.jis(magnitudes, masks)["score"] == 1


def test_equal_slots_do_not_separate():
    masks = scenes(0)
    assert evaluation.jis(np.ones((3, 8, 8, 4)), masks)["score"] == pytest.approx(0)
    assert evaluation.j_ari(np.ones((3, 8, 8, 4)), masks)["score"] == pytest.approx(0)


def test_definitions_by_brute_force():
    masks, magnitudes = scenes(1), random_magnitudes(1)
    shares, indices = [], []
    for image in range(3):
        labels, predicted = [], []
        for row in range(8):
            for column in range(8):
                if masks[image, row, column]:
                    pixel = magnitudes[image, row, column]
                    shares.append(max(pixel) / sum(pixel))
                    labels.append(masks[image, row, column])
                    predicted.append(int(np.argmax(pixel)))
        indices.append(adjusted_rand_score(labels, predicted))
    jis = evaluation.jis(magnitudes, masks)
    assert jis["score"] == pytest.approx((np.mean(shares) - 0.25) / 0.75)
    assert evaluation.j_ari(magnitudes, masks)["per_image"] == pytest.approx(indices)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.permutations(range(4)), st.floats(1e-200, 1e200))
def test_slot_order_and_scale_change_nothing(seed, order, scale):
    masks, magnitudes = scenes(seed), random_magnitudes(seed)
    for score in (evaluation.j_ari, evaluation.jis):
        base = score(magnitudes, masks)["score"]
        assert base <= 1
        assert score(magnitudes[..., order] * scale, masks)["score"] == pytest.approx(base)


def test_background_and_dead_pixels_do_not_count():
    masks, magnitudes = scenes(2), np.eye(4)[scenes(2)]
    magnitudes[masks == 0] = 1
    assert evaluation.jis(magnitudes, masks)["score"] == 1
    dead = tuple(np.argwhere(masks > 0)[0])
    magnitudes[dead] = 0
    jis = evaluation.jis(magnitudes, masks)
    assert jis["score"] == 1 and jis["undefined"] == 1
    masks[1] = 0
    assert evaluation.jis(magnitudes, masks)["score"] == 1
    assert evaluation.j_ari(magnitudes, masks)["empty"].tolist() == [False, True, False]
    assert evaluation.jis(np.zeros_like(magnitudes), masks)["score"] == 0
    assert np.isfinite(evaluation.j_ari(np.zeros_like(magnitudes), masks)["score"])


def slot_decoder(slots):
    """Slot k lights up row k of a 3x4 image with 2 channels, and leaks into the next row."""
    own = tf.tanh(slots)[:, :, :, None] * [1.0, -2.0]
    leak = tf.roll(slots[:, :, :, None] * [0.5, 0.5], 1, axis=1)
    return tf.concat([own, own * own], 2) + tf.concat([leak, leak], 2)


def test_slot_jacobian_of_a_decoder():
    slots = np.random.default_rng(3).normal(size=(4, 3, 2))
    whole = np.abs(evaluation.jacobian(slot_decoder, slots))
    assert whole.shape == (4, 3, 4, 2, 3, 2)
    for memory in (1, 2**29):
        found = evaluation.slot_jacobian(slot_decoder, slots, memory=memory)
        assert found.shape == (4, 3, 4, 3)
        np.testing.assert_allclose(found, whole.sum((3, 5)), atol=1e-5)
    # Row r is slot r's, with the slot before leaking into it, and never the third one.
    assert all(not found[:, row, :, (row + 1) % 3].any() for row in range(3))
    masks = np.tile(np.arange(1, 4)[:, None], (4, 1, 4))
    assert 0 < evaluation.jis(found, masks)["score"] < 1


def test_compositional_contrast():
    slots = np.random.default_rng(4).normal(size=(5, 3, 2))
    jacobians = evaluation.jacobian(slot_decoder, slots, dtype="float32").astype(np.float64)
    norms = np.linalg.norm(jacobians, axis=-1).reshape(5, -1, 3)
    pairs = sum(norms[..., j] * norms[..., k] for j in range(3) for k in range(j))
    expected = pairs.sum(1).mean()
    assert evaluation.compositional_contrast(jacobians)["score"] == pytest.approx(expected)
    streamed = evaluation.compositional_contrast(slot_decoder, slots)["score"]
    assert streamed == pytest.approx(expected, rel=1e-5)

    mean = norms.mean(-1)
    weighted = (pairs / mean**2 * (mean / mean.max(1, keepdims=True))).sum(1).mean()
    found = evaluation.compositional_contrast(jacobians, weighted=True)
    assert found["score"] == pytest.approx(weighted)

    separate = evaluation.compositional_contrast(lambda z: tf.tanh(z), slots)
    assert separate["score"] == 0 and separate["per_sample"].shape == (5,)
    apart = np.array([1.0, 1e17]).reshape(1, 1, 2, 1)
    assert evaluation.compositional_contrast(apart)["score"] == pytest.approx(1e17)
    dead = evaluation.compositional_contrast(np.zeros((2, 4, 3, 2)), weighted=True)
    assert dead["score"] == 0


def test_ari_and_foreground_ari():
    masks = np.array([[[0, 0, 1, 1], [0, 0, 2, 2]]])
    relabelled = np.array([[[3, 3, 0, 0], [3, 3, 1, 1]]])
    assert evaluation.ari(masks, relabelled)["score"] == 1
    assert evaluation.ari(masks, np.zeros_like(masks))["score"] == 0
    split_background = np.array([[[3, 4, 0, 0], [5, 3, 1, 1]]])
    assert evaluation.ari(masks, split_background)["score"] < 1
    assert evaluation.foreground_ari(masks, split_background)["score"] == 1
    generator = np.random.default_rng(5)
    noise = generator.integers(0, 4, (2, 100, 100)), generator.integers(0, 4, (2, 100, 100))
    assert abs(evaluation.ari(*noise)["score"]) < 0.01


def test_attention_ari_enlarges_small_maps():
    small = scenes(6, size=4)
    masks = small.repeat(2, 1).repeat(2, 2)
    attention = np.eye(4)[small] * 0.7 + 0.1
    found = evaluation.attention_ari(attention, masks)
    assert found["score"] == 1
    np.testing.assert_array_equal(found["predicted"], masks)
    with pytest.raises(ValueError, match="multiple"):
        evaluation.attention_ari(attention, masks[:, :6])
    with pytest.raises(ValueError, match="logits"):
        evaluation.attention_ari(attention - 1, masks)


@pytest.mark.parametrize(
    ("magnitudes", "masks", "message"),
    [
        (np.ones((3, 8, 8)), scenes(0), "slot_jacobian of shape"),
        (np.ones((3, 8, 9, 4)), scenes(0), "masks of shape"),
        (-np.ones((3, 8, 8, 4)), scenes(0), "negative"),
        (np.ones((3, 8, 8, 1)), scenes(0), "two slots"),
        (np.full((3, 8, 8, 4), np.nan), scenes(0), "finite"),
        (np.ones((3, 8, 8, 4)), scenes(0) + 0.5, "integers"),
        (np.ones((3, 8, 8, 4)), np.zeros((3, 8, 8), int), "background"),
    ],
)
def test_bad_input_is_named(magnitudes, masks, message):
    for score in (evaluation.j_ari, evaluation.jis):
        with pytest.raises(ValueError, match=message):
            score(magnitudes, masks)


def test_decoders_of_the_wrong_shape_are_named():
    with pytest.raises(ValueError, match="must be images"):
        evaluation.slot_jacobian(lambda z: z, np.ones((2, 3, 4)))
    for score in (evaluation.slot_jacobian, evaluation.compositional_contrast):
        with pytest.raises(ValueError, match="slot_dim"):
            score(lambda z: z, np.ones((2, 3)))


@pytest.mark.parametrize("case", ["clean", "leaky", "entangled"])
def test_reference_scores(case):
    if not SHARED.exists():
        pytest.skip("the reference scores are not beside this repository")
    scores = json.loads((SHARED / "jacobian_and_matching_scores.json").read_text())
    with np.load(SHARED / "jacobian_and_matching_scores.npz") as arrays:
        magnitudes = np.abs(arrays[f"slots_{case}_jacobian"]).sum((1, 5))
        masks = arrays[f"slots_{case}_masks"]
    for name in ("j_ari", "jis"):
        found = getattr(evaluation, name)(magnitudes, masks)["score"]
        assert found == pytest.approx(scores[f"slots_{case}"][name], abs=1e-6)
