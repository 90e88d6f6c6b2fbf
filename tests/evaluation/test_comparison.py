"""Comparisons over seeds: exact tests by counting, medians by hand, coverage in simulation."""

import itertools

import numpy as np
import pytest

from zoo import evaluation


def test_p_is_the_share_of_all_changes_of_sign():
    first = np.array([0.3, 0.5, 0.2, 0.4, 0.6, 0.1, 0.35])
    second = first + np.array([0.1, -0.02, 0.05, 0.2, 0.07, -0.01, 0.03])
    found = evaluation.compare(first, second)
    differences = second - first
    means = [abs(np.mean(differences * s)) for s in itertools.product((1, -1), repeat=7)]
    expected = np.mean([m >= abs(differences.mean()) - 1e-12 for m in means])
    assert found["p"] == pytest.approx(expected)
    assert found["least_p"] == 2**-6 and found["pairs"] == 7


def test_the_least_p_is_reached_where_all_seeds_agree():
    found = evaluation.compare(np.zeros(5), np.ones(5))
    assert found["p"] == found["least_p"] == 0.0625
    assert found["difference"] == (1, 1, 1) and found["probability_of_improvement"] == 1
    same = evaluation.compare(np.arange(6.0), np.arange(6.0))
    assert same["p"] == 1 and same["probability_of_improvement"] == 0.5


@pytest.mark.parametrize("pairs", [13, 14])
def test_p_is_never_below_the_least(pairs):
    found = [evaluation.compare(np.zeros(pairs), np.ones(pairs), 1, seed) for seed in range(20)]
    assert all(each["p"] >= each["least_p"] for each in found)
    assert min(each["p"] for each in found) == found[0]["least_p"]


def test_the_example_of_the_documentation():
    found = evaluation.compare({0: 0.21, 1: 0.25, 2: 0.19}, {0: 0.24, 1: 0.31, 2: 0.22})
    assert found["p"] == found["least_p"] == 0.25


def test_pairs_are_of_the_same_seed():
    first = {3: 0.1, 1: 0.2, 7: 0.9}
    second = {7: 1.0, 3: 0.2, 1: 0.3, 8: 0.0}
    found = evaluation.compare(first, second)
    assert found["unpaired"] == [8] and found["pairs"] == 3
    assert found["difference"] == pytest.approx((0.1, 0.1, 0.1))
    assert found["first"][0] == 0.2 and found["second"][0] == 0.3


def test_seeds_may_be_words_beside_numbers():
    found = evaluation.compare({0: 0.1, 1: 0.2, "a": 0.3}, {0: 0.2, 1: 0.4, "b": 0.3, "a": 0.5})
    assert found["unpaired"] == ["b"]


def test_medians_of_tasks_are_averaged_and_runs_resampled_within_them():
    scores = np.stack([np.full(6, 10.0), np.arange(6.0)], axis=1)
    median, low, high = evaluation.median_interval(scores)
    assert median == (10 + 2.5) / 2
    alone = evaluation.median_interval(np.arange(6.0))
    assert (low, high) == pytest.approx([(10 + end) / 2 for end in alone[1:]], abs=0.3)


def test_the_interval_of_a_median_holds_it():
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        _, low, high = evaluation.median_interval(generator.exponential(size=10), times=300)
        held += low <= np.log(2) <= high
    assert 0.9 <= held / 200 <= 0.99


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({1: 0.5}, {1: 0.4, 2: 0.3}, "1 seeds are common"),
        ({0: 0.1, 1: 0.2}, {"0": 0.2, "1": 0.3}, "0 seeds are common"),
        ([0.1, 0.2], [0.1, 0.2, 0.3], "pair them"),
        ([0.1], [0.2], "one pair alone"),
        ([0.1, np.nan], [0.1, 0.2], "nan"),
        ({1: 0.5, 2: 0.1}, [0.1, 0.2], "by seed"),
        (np.ones((2, 2, 2)), np.ones((2, 2, 2)), "give \\[runs\\]"),
    ],
)
def test_what_cannot_be_compared_is_one_line(first, second, message):
    with pytest.raises(evaluation.InputError, match=message):
        evaluation.compare(first, second)
