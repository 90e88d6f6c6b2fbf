"""JEMMIG, DCIMIG, MIG-sup and MED: a case by hand, and brute force written from the papers."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest
from representations import KINDS, factor_rows, representation

from zoo import evaluation

SIZES = (3, 4, 6)
FACTORS = factor_rows(SIZES, 2000)
SCORES = (evaluation.jemmig, evaluation.dcimig, evaluation.mig_sup, evaluation.med)
# Two fair coins; the first code is the first coin, the second code is both.
COINS = np.array(list(itertools.product((0, 1), (0, 1))) * 5)
BOTH = np.stack([COINS[:, 0], 2 * COINS[:, 0] + COINS[:, 1]], axis=1).astype(float)


def _codes(kind):
    return representation(kind, FACTORS, SIZES)


def _entropy(*columns) -> float:
    """The joint entropy of columns, from the counts of their tuples."""
    counts = Counter(zip(*columns, strict=True)).values()
    total = sum(counts)
    return -sum(n / total * math.log(n / total) for n in counts)


def _brute_force(codes, factors, num_bins):
    """The four scores as their papers write them, from joint entropies of binned codes."""
    bins = [np.digitize(c, np.histogram(c, num_bins)[1][1:-1]).tolist() for c in codes.T]
    factors = factors.T.tolist()
    codes, count = range(len(bins)), range(len(factors))
    entropy = [_entropy(v) for v in factors]
    joint = [[_entropy(z, v) for v in factors] for z in bins]
    shared = [[_entropy(bins[d]) + entropy[f] - joint[d][f] for f in count] for d in codes]
    jemmig = 0.0
    for f in count:
        first, second = sorted(codes, key=lambda d: -shared[d][f])[:2]
        raw = joint[first][f] - shared[first][f] + shared[second][f]
        jemmig += (1 - raw / (entropy[f] + math.log(num_bins))) / len(factors)
    best = [0.0] * len(factors)
    for row in shared:
        first, second = sorted(count, key=lambda f: -row[f])[:2]
        best[first] = max(best[first], row[first] - row[second])
    gaps = []
    for row in shared:
        shares = sorted((row[f] / entropy[f] for f in count), reverse=True)
        gaps.append(shares[0] - shares[1])
    weight = [[shared[d][f] / sum(row[f] for row in shared) for f in count] for d in codes]
    med = 0.0
    for row in weight:
        shares = [w / sum(row) for w in row]
        spread = -sum(p * math.log(p, len(row)) for p in shares if p > 0)
        med += (1 - spread) * sum(row) / sum(map(sum, weight))
    return jemmig, sum(best) / sum(entropy), sum(gaps) / len(gaps), med


@pytest.mark.parametrize("kind", ["noisy", "rotated", "random"])
@pytest.mark.parametrize("num_bins", [10, 20])
def test_scores_are_those_of_the_papers(kind, num_bins):
    codes = _codes(kind)
    expected = _brute_force(codes, FACTORS, num_bins)
    found = [score(codes, FACTORS, num_bins=num_bins)["score"] for score in SCORES]
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize("options", [{"num_bins": 4}, {"discrete_codes": True}])
def test_two_coins_by_hand(options):
    # Each code tells log 2 of every coin that it knows, each coin has an entropy of log 2, and the
    # second code one of 2 log 2.
    jemmig = evaluation.jemmig(BOTH, COINS, **options)
    np.testing.assert_allclose(jemmig["raw_per_factor"], np.log(2))
    np.testing.assert_allclose(jemmig["per_factor"], 2 / 3)
    dcimig = evaluation.dcimig(BOTH, COINS, **options)
    np.testing.assert_allclose(dcimig["per_factor"], [1, 0], atol=1e-12)
    assert dcimig["score"] == pytest.approx(1 / 2)
    sup = evaluation.mig_sup(BOTH, COINS, **options)
    np.testing.assert_allclose(sup["per_code"], [1, 0], atol=1e-12)
    med = evaluation.med(BOTH, COINS, **options)
    np.testing.assert_allclose(med["importance"], [[0.5, 0], [0.5, 1]], atol=1e-12)
    third = 1 + (np.log2(1 / 3) + 2 * np.log2(2 / 3)) / 3
    np.testing.assert_allclose(med["per_code"], [1, third], atol=1e-9)
    assert med["score"] == pytest.approx((1 + 3 * third) / 4)
    assert med["completeness"] == pytest.approx(1 / 2)


def test_the_most_disentangled_codes_of_each_factor_by_hand():
    # The first coin twice, both coins, the second coin: one each is left.
    codes = np.stack([COINS[:, 0], BOTH[:, 1], 1 - COINS[:, 0], COINS[:, 1]], axis=1)
    assert evaluation.med(codes, COINS)["score"] < 1
    one = evaluation.med(codes, COINS, top_k=1)
    assert one["score"] == one["completeness"] == pytest.approx(1)
    two = evaluation.med(codes, COINS, top_k=2)
    # The code of both coins has importances 1/3 and 1/2, so it belongs to the second.
    assert two["score"] == pytest.approx(evaluation.med(codes, COINS)["score"])
    with pytest.raises(ValueError, match="top_k"):
        evaluation.med(codes, COINS, top_k=0)


def test_representations_known_in_closed_form():
    for score in SCORES:
        # Counts of 2,000 rows make a little information of nothing, which MED divides by little.
        assert score(_codes("perfect"), FACTORS)["score"] == pytest.approx(1, abs=0.03)
        assert score(_codes("random"), FACTORS)["score"] < 0.3
    # What the gap of mig does not see: a code of two factors.
    assert evaluation.mig(_codes("merged"), FACTORS)["score"] > 0.95
    for score in SCORES:
        assert score(_codes("merged"), FACTORS)["score"] < 0.85
    # Copies leave no gap between codes, but each copy still tells one factor only.
    assert evaluation.mig_sup(_codes("duplicated"), FACTORS)["score"] == pytest.approx(1, abs=0.01)
    assert evaluation.med(_codes("duplicated"), FACTORS)["score"] == pytest.approx(1, abs=0.03)
    assert evaluation.med(_codes("duplicated"), FACTORS)["completeness"] < 0.7
    assert evaluation.dcimig(_codes("duplicated"), FACTORS)["score"] > 0.99
    assert evaluation.jemmig(_codes("duplicated"), FACTORS)["score"] < 0.8


def test_dead_codes_and_single_columns():
    dead = np.full((2000, 3), 0.3)
    for score in SCORES:
        for codes in (dead, dead[:, :1]):
            result = score(codes, FACTORS)
            assert all(np.isfinite(part).all() for part in result.values())
            if score is not evaluation.jemmig:
                assert result["score"] == pytest.approx(0, abs=1e-12)
        one = score(FACTORS[:, :1] * 1.0, FACTORS[:, :1])
        assert one["score"] == pytest.approx(1)
    # A joint entropy of log K less a gap of 0: JEMMIG is above 0 for codes that tell nothing.
    expected = np.mean([1 - _entropy(v) / (_entropy(v) + np.log(20)) for v in FACTORS.T.tolist()])
    assert evaluation.jemmig(dead, FACTORS)["score"] == pytest.approx(expected)


def test_inactive_codes_are_left_out_of_mig_sup():
    quiet = np.concatenate([_codes("perfect"), 1e-3 * _codes("random")], axis=1)
    assert evaluation.mig_sup(quiet, FACTORS)["score"] < 0.55
    active = evaluation.mig_sup(quiet, FACTORS, least_variance=0.01)
    assert active["score"] == pytest.approx(1, abs=0.01) and active["active"] == 3
    collapsed = evaluation.mig_sup(_codes("collapsed"), FACTORS)
    assert collapsed["active"] == 3 and collapsed["score"] == pytest.approx(1, abs=0.01)
    with pytest.raises(ValueError, match="least_variance"):
        evaluation.mig_sup(quiet, FACTORS, least_variance=-1)


@pytest.mark.parametrize("score", SCORES)
def test_quantities_are_binned_as_codes_are(score):
    values = np.random.default_rng(0).uniform(size=(3000, 2))
    own = score(values, values, num_bins=8, categorical=False)
    assert own["score"] > 0.95
    edges = [np.histogram_bin_edges(column, 8)[1:-1] for column in values.T]
    binned = np.stack([np.digitize(*each) for each in zip(values.T, edges, strict=True)], axis=1)
    assert own["score"] == pytest.approx(score(values, binned, num_bins=8)["score"], abs=1e-12)
    with pytest.raises(ValueError, match="not made of integers"):
        score(values, values)


@pytest.mark.parametrize("score", SCORES)
def test_order_sign_and_scale_of_codes_change_nothing(score):
    codes = _codes("noisy")
    expected = score(codes, FACTORS)["score"]
    moved = (codes * [-2.0, 1e-20, 1e20])[:, [2, 0, 1]]
    assert score(moved, FACTORS)["score"] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("score", SCORES)
def test_bad_input_is_refused_in_one_line(score):
    for codes, factors, options, message in (
        (np.zeros(5), FACTORS[:5], {}, "codes has shape"),
        (np.zeros((5, 2)), FACTORS[:5] * 0, {}, "is constant"),
        (_codes("noisy"), FACTORS, {"num_bins": 1}, "num_bins"),
        (_codes("noisy"), FACTORS, {"discrete_codes": True}, "too many for symbols"),
        (_codes("noisy"), FACTORS, {"categorical": [True]}, "flags were given"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            score(codes, factors, **options)
        assert "\n" not in str(error.value)


def test_kinds_are_ordered():
    for score in SCORES:
        values = {kind: score(_codes(kind), FACTORS)["score"] for kind in KINDS}
        assert values["random"] < values["rotated"] < values["perfect"]
