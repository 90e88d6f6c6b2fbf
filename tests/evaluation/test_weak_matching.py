"""MCC after an affine map and MCC within domains: the definitions written out, analytic cases."""

import itertools

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from zoo import evaluation


def _normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def _halves(codes, latents):
    half = len(codes) // 2
    return codes[:half], latents[:half], codes[half:], latents[half:]


@pytest.mark.parametrize("correlation", ["pearson", "spearman"])
def test_weak_mcc_is_least_squares_and_brute_force_over_matchings(correlation):
    from scipy.stats import spearmanr

    latents = _normal(400, 3)
    codes = np.tanh(latents @ _normal(3, 3, seed=1)) + 0.3 * _normal(400, 3, seed=2)
    train, latents_train, test, latents_test = _halves(codes, latents)
    mapped = LinearRegression().fit(train, latents_train).predict(test)
    matrix = np.corrcoef(mapped.T, latents_test.T)
    if correlation == "spearman":
        matrix = spearmanr(np.hstack([mapped, latents_test])).statistic
    matrix = np.abs(matrix[:3, 3:])
    best = max(
        np.mean([matrix[chosen[k], k] for k in range(3)])
        for chosen in itertools.permutations(range(3))
    )
    result = evaluation.weak_mcc(*_halves(codes, latents), correlation)
    assert result["score"] == pytest.approx(best, abs=1e-10)
    assert set(result) == {"score", *evaluation.weak_mcc.facts.axes}


def test_weak_mcc_undoes_any_affine_map():
    latents = _normal(600, 3)
    codes = latents @ _normal(3, 5, seed=1) - 4
    rows = _halves(codes, latents)
    assert evaluation.weak_mcc(*rows)["score"] == pytest.approx(1, abs=1e-9)
    assert evaluation.mcc(codes, latents)["score"] < 0.95
    half_known = evaluation.weak_mcc(*_halves(codes[:, :1] * 0, latents))
    assert half_known["score"] == 0


def test_within_domain_mcc_is_brute_force_over_one_matching():
    domains = np.repeat([7, -1, 3], [40, 60, 50])
    latents = _normal(150, 3) + domains[:, None]
    codes = latents @ _normal(3, 4, seed=1) + _normal(150, 4, seed=2)
    matrices = []
    for domain in (-1, 3, 7):
        rows = domains == domain
        matrices.append(np.abs(np.corrcoef(codes[rows].T, latents[rows].T)[:4, 4:]))
    best = max(
        np.mean([[matrix[chosen[k], k] for k in range(3)] for matrix in matrices])
        for chosen in itertools.permutations(range(4), 3)
    )
    result = evaluation.within_domain_mcc(codes, latents, domains)
    assert result["score"] == pytest.approx(best, abs=1e-12)
    assert result["domains"].tolist() == [-1, 3, 7]
    assert result["per_domain"].mean() == pytest.approx(best, abs=1e-12)
    np.testing.assert_allclose(result["correlations"], np.mean(matrices, 0), atol=1e-12)


def test_knowing_the_domain_is_not_knowing_the_latents():
    domains = np.repeat(np.arange(5), 200)
    latents = 10 * domains[:, None] + _normal(1000, 2)
    codes = 10 * domains[:, None] + _normal(1000, 2, seed=1)
    assert evaluation.mcc(codes, latents)["score"] > 0.99
    assert evaluation.within_domain_mcc(codes, latents, domains)["score"] < 0.15


def test_codes_that_swap_between_domains_have_no_one_matching():
    domains = np.repeat([0, 1], 500)
    latents, _ = np.linalg.qr(_normal(1000, 2))
    codes = np.where(domains[:, None] == 0, latents, latents[:, ::-1])
    result = evaluation.within_domain_mcc(codes, latents, domains, "spearman")
    # In each domain one matching gives 1; whichever is kept, the other domain gives about 0.
    assert 0.48 < result["score"] < 0.56
    assert np.sort(result["per_domain"]) == pytest.approx([0.05, 1], abs=0.06)


def test_a_latent_that_a_domain_fixes_does_not_count_there():
    domains = np.repeat([0, 1, 2], 50)
    latents = _normal(150, 2)
    latents[domains == 1, 0] = 4.0
    latents[domains == 2] = 1.0
    result = evaluation.within_domain_mcc(-latents, latents, domains)
    assert result["score"] == pytest.approx(1)
    np.testing.assert_allclose(result["per_domain"], [1, 1, np.nan])
    half = evaluation.within_domain_mcc(latents[:, :1], latents, domains)
    assert half["code_of_latent"].tolist() == [0, -1]
    assert half["score"] == pytest.approx(0.5)
    np.testing.assert_allclose(half["per_domain"], [0.5, 0, np.nan])


@pytest.mark.parametrize(
    ("domains", "message"),
    [
        (np.zeros(19), "one integer a row"),
        (np.full(20, 0.5), "one integer a row"),
        (np.repeat([0, 1], [18, 2]), "domain 1 has 2 rows"),
        (np.array(["a"] * 20), "real numbers"),
    ],
)
def test_bad_domains_are_one_clear_line(domains, message):
    x = _normal(20, 2)
    with pytest.raises(evaluation.InputError, match=message) as caught:
        evaluation.within_domain_mcc(x, x, domains)
    assert "\n" not in str(caught.value)


def test_other_bad_input_is_one_clear_line():
    x, domains = _normal(20, 2), np.repeat([0, 1], 10)
    for call, message in (
        (lambda: evaluation.weak_mcc(x, x, x[:, :1], x), "differ"),
        (lambda: evaluation.weak_mcc(x, x, x, x, "kendall"), "kendall"),
        (lambda: evaluation.within_domain_mcc(x, x, domains, "kendall"), "kendall"),
        (
            lambda: evaluation.within_domain_mcc(x, domains[:, None], domains),
            "constant in every domain",
        ),
    ):
        with pytest.raises(evaluation.InputError, match=message):
            call()
