"""Ranked pairs."""

import numpy as np
import pytest
import tensorflow as tf

from zoo.data import catalog, ranking, sampling


def test_ranks_are_those_of_the_factors_of_two_independent_images():
    import toy  # noqa: F401

    dataset = catalog.load("toy")
    sampler, tables = ranking.RankedPairs(dataset, 4000), sampling.tensors(dataset)
    batch = {name: value.numpy() for name, value in sampler(tables, 3, 7).items()}
    first, second = (dataset.space.factors(batch[n]) for n in ("index", "partner_index"))
    np.testing.assert_array_equal(batch["ranks"], first > second)
    for image, index in (("image", "index"), ("partner", "partner_index")):
        np.testing.assert_array_equal(batch[image], dataset.images[batch[index]])
    correlation = np.corrcoef(first.T, second.T)[:3, 3:]
    assert np.abs(correlation).max() < 4 / np.sqrt(4000)
    share = 0.5 * (1 - 1 / np.array(dataset.space.sizes))
    assert np.abs(batch["ranks"].mean(0) - share).max() < 4 * 0.5 / np.sqrt(4000)
    compiled = tf.function(sampler, jit_compile=True)(tables, 3, 7)
    np.testing.assert_array_equal(compiled["ranks"], batch["ranks"])


def test_needs_a_grid():
    with pytest.raises(ValueError, match="zoo_synthetic/linear has no factor grid"):
        ranking.RankedPairs(catalog.load("zoo_synthetic/linear"), 4)
