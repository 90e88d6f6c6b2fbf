"""Overlap of segments with objects: cases by hand, and intersections and unions written out."""

import itertools

import numpy as np
import pytest

from zoo import evaluation

OVERLAPS = [evaluation.mbo, evaluation.miou]


def test_overlaps_by_hand():
    masks = np.array([[1, 1, 1, 1, 2, 2, 0, 0]])
    # Segment 5 holds three pixels of object 1 and both of object 2: 3/6 and 2/5 of the unions.
    predicted = np.array([[9, 5, 5, 5, 5, 5, 9, 9]])
    best = evaluation.mbo(masks, predicted)
    assert best["score"] == pytest.approx((3 / 6 + 2 / 5) / 2)
    # One to one, segment 9 must serve an object: 1 with 1/6, or 2 with 0.
    matched = evaluation.miou(masks, predicted)
    assert matched["score"] == pytest.approx(max(3 / 6 + 0, 1 / 6 + 2 / 5) / 2)


@pytest.mark.parametrize("background", [0, 2, None])
def test_overlaps_are_brute_force_over_objects_and_segments(background):
    rng = np.random.default_rng(0)
    masks = rng.integers(4, size=(6, 5, 5))
    predicted = np.where(
        rng.random(masks.shape) < 0.6, masks * 10 - 7, rng.integers(3, size=(5, 5))
    )
    best, matched = [], []
    for true, other in zip(masks, predicted, strict=True):
        objects = [label for label in np.unique(true) if label != background]
        segments = list(np.unique(other))
        ratio = np.array([
            [((true == a) & (other == b)).sum() / ((true == a) | (other == b)).sum()
             for b in segments]
            for a in objects
        ])  # fmt: skip
        best.append(ratio.max(1).mean())
        assert len(segments) >= len(objects)
        matched.append(max(
            np.mean([ratio[i, j] for i, j in enumerate(order)])
            for order in itertools.permutations(range(len(segments)), len(objects))
        ))  # fmt: skip
    np.testing.assert_allclose(evaluation.mbo(masks, predicted, background)["per_image"], best)
    found = evaluation.miou(masks, predicted, background)
    np.testing.assert_allclose(found["per_image"], matched)
    assert found["score"] == pytest.approx(np.mean(matched))


@pytest.mark.parametrize("score", OVERLAPS)
def test_labels_do_not_count_and_images_without_objects_are_left_out(score):
    masks = np.array([[[0, 1], [2, 2]], [[0, 0], [0, 0]], [[1, 1], [1, 0]]])
    result = score(masks, 5 - 3 * masks)
    assert result["score"] == 1
    assert result["empty"].tolist() == [False, True, False]
    assert result["per_image"].tolist() == [1, 0, 1]
    with pytest.raises(evaluation.InputError, match="only the background label 0"):
        score(masks * 0, masks)
    assert score(masks * 0, masks * 0, background=None)["score"] == 1


def test_an_object_without_a_segment_counts_nothing():
    masks = np.array([[[1, 1], [2, 2]]])
    one = np.zeros_like(masks)
    assert evaluation.miou(masks, one)["score"] == pytest.approx(0.25)
    assert evaluation.mbo(masks, one)["score"] == pytest.approx(0.5)
    # Every pixel a segment of its own: half of each object's union.
    pixels = np.arange(4).reshape(1, 2, 2)
    assert evaluation.miou(masks, pixels)["score"] == pytest.approx(0.5)


@pytest.mark.parametrize("score", OVERLAPS)
def test_wrong_masks_are_one_clear_line(score):
    masks = np.ones((2, 3, 3), int)
    for pair, message in (
        ((masks, masks[:, :2]), "shape"),
        ((masks * 0.5, masks), "must be integers"),
        ((masks, np.eye(4)[masks]), "one-hot"),
    ):
        with pytest.raises(evaluation.InputError, match=message) as caught:
            score(*pair)
        assert "\n" not in str(caught.value)
