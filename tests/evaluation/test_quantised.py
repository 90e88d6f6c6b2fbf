"""InfoM, InfoC and InfoE: a case by hand, brute force written from the paper, analytic cases."""

import itertools

import numpy as np
import pytest
from representations import factor_rows, representation
from scipy.optimize import minimize
from sklearn.feature_selection import mutual_info_classif
from sklearn.metrics import mutual_info_score

from zoo import evaluation

SIZES = (2, 3, 4)
FACTORS = factor_rows(SIZES, 1200)
INFORMATION = (evaluation.info_m, evaluation.info_c)
SCORES = (*INFORMATION, evaluation.info_e)
COINS = np.array(list(itertools.product((0, 1), (0, 1))) * 5)


def _codes(kind):
    return representation(kind, FACTORS, SIZES)


def _brute_force(share):
    """InfoM and InfoC of `[D, F]` normalised information, as the paper writes them."""
    codes, factors = share.shape
    modularity = np.mean([max(row) / sum(row) for row in share])
    compactness = np.mean([max(column) / sum(column) for column in share.T])
    return (
        (modularity - 1 / factors) / (1 - 1 / factors),
        (compactness - 1 / codes) / (1 - 1 / codes),
    )


def test_two_coins_by_hand():
    # The first code is the first coin, the second code is both, as a symbol.
    codes = np.stack([COINS[:, 0], 2 * COINS[:, 0] + COINS[:, 1]], axis=1)
    modular = evaluation.info_m(codes, COINS, discrete_codes=True)
    np.testing.assert_allclose(modular["normalised_information"], [[1, 0], [1, 1]], atol=1e-12)
    np.testing.assert_allclose(modular["per_code"], [1, 0], atol=1e-12)
    assert modular["score"] == pytest.approx(1 / 2)
    compact = evaluation.info_c(codes, COINS, discrete_codes=True)
    np.testing.assert_allclose(compact["per_factor"], [0, 1], atol=1e-12)
    explicit = evaluation.info_e(codes, COINS, discrete_codes=True)
    np.testing.assert_allclose(explicit["per_factor"], 1, atol=1e-3)
    # Numbers that are no symbols: the parity of two coins is beyond a linear predictor.
    parity = COINS.sum(1, keepdims=True) % 2
    none = evaluation.info_e(COINS, np.concatenate([COINS, parity], axis=1))
    np.testing.assert_allclose(none["per_factor"], [1, 1, 0], atol=1e-3)


@pytest.mark.parametrize("kind", ["noisy", "rotated", "random"])
def test_scores_of_discrete_codes_are_those_of_the_paper(kind):
    codes = np.round(2 * _codes(kind)) * 10
    share = np.array(
        [[mutual_info_score(v, z) / mutual_info_score(v, v) for v in FACTORS.T] for z in codes.T]
    )
    expected = _brute_force(share)
    found = [score(codes, FACTORS, discrete_codes=True) for score in INFORMATION]
    np.testing.assert_allclose([each["score"] for each in found], expected, atol=1e-9)


@pytest.mark.parametrize("kind", ["noisy", "rotated"])
def test_scores_of_real_codes_are_those_of_the_paper(kind):
    codes = _codes(kind)
    share = np.empty((3, 3))
    for f, v in enumerate(FACTORS.T):
        found = mutual_info_classif(codes, v, n_neighbors=10, random_state=0)
        share[:, f] = found / mutual_info_score(v, v)
    expected = _brute_force(share)
    found = [score(codes, FACTORS)["score"] for score in INFORMATION]
    # The estimate is off by what its noise does.
    np.testing.assert_allclose(found, expected, atol=1e-3)


def _least_cross_entropy(inputs, labels) -> float:
    """The least mean cross-entropy of a linear predictor, by a general solver."""
    values, labels = np.unique(labels, return_inverse=True)
    inputs = np.concatenate([inputs, np.ones((len(inputs), 1))], axis=1)
    weight = 1 / (len(values) * np.bincount(labels)[labels])

    def loss(parameters):
        scores = inputs @ parameters.reshape(inputs.shape[1], -1)
        chance = np.exp(scores - scores.max(1, keepdims=True))
        chance /= chance.sum(1, keepdims=True)
        wrong = chance - np.eye(len(values))[labels]
        value = -(weight * np.log(chance[np.arange(len(labels)), labels])).sum()
        return value, (inputs.T @ (weight[:, None] * wrong)).ravel()

    start = np.zeros(inputs.shape[1] * len(values))
    return minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-7}).fun


@pytest.mark.parametrize("uneven", [False, True])
def test_explicitness_is_predictive_information(uneven):
    codes = np.stack([_codes("noisy")[:, 0] * 0.2, FACTORS[:, 1] ** 2.0], axis=1)
    codes += np.random.default_rng(0).normal(size=codes.shape)
    factors = FACTORS[:, 1:]
    if uneven:
        keep = (factors[:, 0] > 0) | (np.arange(len(factors)) % 4 == 0)
        codes, factors = codes[keep], factors[keep]
    expected = [1 - _least_cross_entropy(codes, v) / np.log(len(np.unique(v))) for v in factors.T]
    found = evaluation.info_e(codes, factors)
    np.testing.assert_allclose(found["per_factor"], expected, atol=1e-3)


def test_explicitness_of_quantities_is_the_squared_correlation():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(500, 2))
    codes = values[:, :1] + rng.normal(size=(500, 1))
    expected = np.square(np.corrcoef(codes[:, 0], values.T)[0, 1:])
    found = evaluation.info_e(codes, values, categorical=False)
    np.testing.assert_allclose(found["per_factor"], expected, atol=1e-12)
    mixed = evaluation.info_e(
        codes, np.stack([values[:, 0], values[:, 1] > 0], axis=1), categorical=[False, True]
    )
    assert mixed["per_factor"][0] == pytest.approx(expected[0])


def test_representations_known_in_closed_form():
    for options in ({}, {"discrete_codes": True}):
        for score in INFORMATION:
            assert score(_codes("perfect"), FACTORS, **options)["score"] > 0.95
        merged = evaluation.info_m(_codes("merged"), FACTORS, **options)
        assert merged["per_code"][0] == pytest.approx((1 / 2 - 1 / 3) / (2 / 3), abs=0.05)
        assert evaluation.info_c(_codes("merged"), FACTORS, **options)["score"] > 0.95
        copies = evaluation.info_c(_codes("duplicated"), FACTORS, **options)["score"]
        assert copies == pytest.approx((1 / 2 - 1 / 6) / (5 / 6), abs=0.05)
        assert evaluation.info_m(_codes("duplicated"), FACTORS, **options)["score"] > 0.95
    assert evaluation.info_e(_codes("random"), FACTORS)["score"] < 0.02
    assert evaluation.info_e(_codes("perfect"), FACTORS)["score"] > 0.9
    assert evaluation.info_e(_codes("perfect"), FACTORS, discrete_codes=True)["score"] > 0.99


def test_quantities_have_the_information_of_neighbours():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3000, 2))
    codes = 0.8 * values + 0.6 * rng.normal(size=values.shape)
    found = evaluation.info_m(codes, values, categorical=False)
    # Of a Gaussian pair 1 - exp(-2 I) is the squared correlation.
    np.testing.assert_allclose(np.diag(found["normalised_information"]), 0.64, atol=0.04)
    halves = evaluation.info_m(
        np.where(values > 0, 1.0, 2.0), values, discrete_codes=True, categorical=False
    )
    np.testing.assert_allclose(np.diag(halves["normalised_information"]), 0.75, atol=0.04)


def test_inactive_codes_are_left_out():
    quiet = np.concatenate([_codes("perfect"), 0.01 * _codes("random")], axis=1)
    for score in INFORMATION:
        found = score(quiet, FACTORS)
        assert found["active"] == 3 and found["score"] > 0.95
        assert score(quiet, FACTORS, least_range=0.0)["active"] == 6
        assert score(_codes("collapsed"), FACTORS, discrete_codes=True)["active"] == 3
        with pytest.raises(ValueError, match="least_range"):
            score(quiet, FACTORS, least_range=1.0)


def test_dead_codes_and_single_columns():
    for codes in (np.full((1200, 3), 0.3), np.zeros((1200, 1))):
        for score in SCORES:
            for options in ({}, {"discrete_codes": True}):
                result = score(codes, FACTORS, **options)
                assert result["score"] == pytest.approx(0, abs=1e-6)
                assert all(np.isfinite(part).all() for part in result.values())
    for score in SCORES:
        alone = score(FACTORS[:, :1], FACTORS[:, :1], discrete_codes=True)
        assert alone["score"] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("score", SCORES)
def test_renamed_symbols_and_moved_codes_change_nothing(score):
    symbols = np.round(2 * _codes("noisy"))
    expected = score(symbols, FACTORS, discrete_codes=True)["score"]
    renamed = np.array([7.0, 1e5, -2.0, 0.0, 0.5])[symbols.astype(int) + 2][:, [2, 0, 1]]
    assert score(renamed, FACTORS, discrete_codes=True)["score"] == pytest.approx(
        expected, abs=1e-3
    )
    codes = _codes("noisy")
    moved = score(3.0 - 1e-3 * codes, FACTORS)["score"]
    assert moved == pytest.approx(score(codes, FACTORS)["score"], abs=0.01)


@pytest.mark.parametrize("score", SCORES)
def test_bad_input_is_refused_in_one_line(score):
    codes = _codes("noisy")
    for arguments, options, message in (
        ((codes[:, 0], FACTORS), {}, "codes has shape"),
        ((codes, FACTORS * 0), {}, "is constant"),
        ((codes, FACTORS + 0.5), {}, "not made of integers"),
        ((codes, FACTORS), {"discrete_codes": True}, "too many for symbols"),
        ((codes, FACTORS), {"categorical": [True]}, "flags were given"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            score(*arguments, **options)
        assert "\n" not in str(error.value)
