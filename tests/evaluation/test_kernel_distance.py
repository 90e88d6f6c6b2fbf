"""KID: the double sum written out, a case by hand, no bias, images through features."""

import itertools

import numpy as np
import pytest

from zoo import evaluation


def test_it_is_the_double_sum_over_pairs():
    generator = np.random.default_rng(0)
    first, second = generator.normal(size=(7, 3)), generator.normal(size=(5, 3)) + 1

    def kernel(x, y):
        return (x @ y / 3 + 1) ** 3

    expected = np.mean([kernel(x, y) for x, y in itertools.permutations(first[:5], 2)])
    expected += np.mean([kernel(x, y) for x, y in itertools.permutations(second, 2)])
    expected -= 2 * np.mean([kernel(x, y) for x, y in itertools.product(first[:5], second)])
    found = evaluation.kid(first[:5], second, subsets=1)
    assert found["score"] == pytest.approx(expected) and found["deviation"] == 0


def test_sources_of_images_are_read_in_slices(monkeypatch):
    from zoo.evaluation import kernel_distance

    class Source:
        def __len__(self):
            return 6

        def __getitem__(self, rows):
            assert isinstance(rows, slice)
            return np.arange(6 * 4).reshape(6, 2, 2, 1)[rows] / 24

    monkeypatch.setattr(
        kernel_distance, "inception_features", lambda: lambda batch: batch.reshape(-1, 4)
    )
    features = np.arange(6 * 4).reshape(6, 4).astype(np.float32) / 24
    expected = evaluation.kid(features, features, subsets=2)["score"]
    assert evaluation.kid(Source(), Source(), subsets=2)["score"] == pytest.approx(expected)


def test_two_constant_sets_by_hand():
    # (1 + 1)^3 + (0 + 1)^3 - 2 (0 + 1)^3.
    assert evaluation.kid(np.ones((4, 2)), np.zeros((6, 2)))["score"] == pytest.approx(7)


def test_alike_sets_have_a_mean_of_zero_however_small():
    generator = np.random.default_rng(1)
    found = [
        evaluation.kid(generator.normal(size=(12, 4)), generator.normal(size=(12, 4)), subsets=1)
        for _ in range(600)
    ]
    scores = np.array([each["score"] for each in found])
    assert scores.min() < 0 < scores.max()
    assert abs(scores.mean()) < 3 * scores.std() / np.sqrt(len(scores))


def test_images_are_mapped_to_features_and_subsets_drawn_by_the_seed():
    images = np.random.default_rng(0).integers(256, size=(30, 4, 4, 1), dtype=np.uint8)

    def features(batch):
        assert batch.dtype == np.float32 and batch.max() <= 1
        return batch.reshape(len(batch), -1)

    how = {"subsets": 3, "subset_size": 10, "batch_size": 7}
    found = evaluation.kid(images, 255 - images, features, **how)
    flat = images.reshape(30, -1) / np.float32(255)
    again = evaluation.kid(flat, 1 - flat, **how)
    assert found["score"] == pytest.approx(again["score"], rel=1e-4)
    assert found["score"] != evaluation.kid(flat, 1 - flat, seed=1, **how)["score"]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (np.ones((1, 2)), np.ones((3, 2)), "at least 2"),
        (np.ones((3, 2)), np.ones((3, 4)), "2 features but generated ones 4"),
        (np.full((3, 2), np.nan), np.ones((3, 2)), "nan"),
    ],
)
def test_bad_input_is_one_line(first, second, message):
    with pytest.raises(evaluation.InputError, match=message):
        evaluation.kid(first, second)
