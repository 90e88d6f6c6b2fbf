"""Dependence between codes and agreement between models: closed forms and invariances."""

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo import evaluation

TOTAL = evaluation.gaussian_total_correlation
WASSERSTEIN = evaluation.gaussian_wasserstein_correlation
INFORMATION = evaluation.average_mutual_information


def _codes_with_covariance(covariance, rows=200, seed=0):
    """Rows whose sample covariance (N - 1) is exactly the given one."""
    noise = np.random.default_rng(seed).normal(size=(rows, len(covariance)))
    white, _ = np.linalg.qr(noise - noise.mean(0))
    root = scipy.linalg.cholesky(np.asarray(covariance, float))
    return np.sqrt(rows - 1) * white @ root + 5


def test_total_correlation_of_two_codes():
    rho = 0.6
    codes = _codes_with_covariance([[4, 2 * 3 * rho], [2 * 3 * rho, 9]])
    assert TOTAL(codes)["score"] == pytest.approx(-0.5 * np.log(1 - rho**2), abs=1e-10)


def test_wasserstein_correlation_is_the_general_formula():
    mixing = np.random.default_rng(1).normal(size=(4, 4))
    covariance = mixing @ mixing.T
    codes = _codes_with_covariance(covariance)
    root = scipy.linalg.sqrtm(covariance * np.diag(covariance)[:, None])
    expected = 2 * np.trace(covariance) - 2 * np.trace(root).real
    result = WASSERSTEIN(codes)
    assert result["score"] == pytest.approx(expected, rel=1e-9)
    assert result["normalized"] == pytest.approx(expected / np.trace(covariance), rel=1e-9)


@pytest.mark.parametrize("scale", [1e77, 1e-85])
def test_wasserstein_correlation_of_huge_and_tiny_codes(scale):
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(50, 3)) @ rng.normal(size=(3, 3))
    expected, found = WASSERSTEIN(codes), WASSERSTEIN(codes * scale)
    assert found["normalized"] == pytest.approx(expected["normalized"]) and expected["score"] > 0.1
    assert found["score"] / scale**2 == pytest.approx(expected["score"])


def test_mutual_information_of_copies_and_of_independent_codes():
    grid = np.stack(np.meshgrid(np.arange(4), np.arange(5), indexing="ij"), -1).reshape(-1, 2)
    assert INFORMATION(grid)["score"] == pytest.approx(0, abs=1e-12)
    copies = np.repeat(grid[:, :1], 3, axis=1)
    result = INFORMATION(copies)
    assert result["score"] == pytest.approx(np.log(4))
    np.testing.assert_allclose(np.diag(result["mutual_information"]), 0)


def test_mutual_information_is_that_of_the_histogram():
    from sklearn.metrics import mutual_info_score

    rng = np.random.default_rng(0)
    first = rng.normal(size=500)
    codes = np.stack([first, first + rng.normal(size=500)], axis=1)
    bins = [np.digitize(c, np.histogram(c, 20)[1][:-1]) for c in codes.T]
    assert INFORMATION(codes)["score"] == pytest.approx(mutual_info_score(*bins), abs=1e-12)


@pytest.mark.parametrize("score", [TOTAL, WASSERSTEIN, INFORMATION])
def test_uncorrelated_and_dead_codes_score_zero(score):
    alone = np.random.default_rng(0).normal(size=(100, 1))
    dead = np.full((100, 2), 0.1)
    for codes in (alone, dead, np.hstack([alone, dead])):
        assert score(codes)["score"] == pytest.approx(0, abs=1e-12)


def test_redundant_codes_have_a_large_but_finite_total_correlation():
    code = np.random.default_rng(0).normal(size=(100, 1))
    result = TOTAL(np.hstack([code, code, -2 * code]))
    assert result["redundant"] >= 1
    assert 30 < result["score"] < 40


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.permutations(range(3)))
def test_order_sign_and_scale_do_not_matter(seed, order):
    rng = np.random.default_rng(seed)
    codes = rng.normal(size=(50, 3)) @ rng.normal(size=(3, 3))
    signs = rng.choice([-1, 1], 3)
    changed = codes[:, order] * signs * np.exp(rng.uniform(-3, 3, 3)) + rng.normal(size=3)
    assert TOTAL(changed)["score"] == pytest.approx(TOTAL(codes)["score"], rel=1e-6, abs=1e-9)
    together = codes[:, order] * signs * 7
    assert WASSERSTEIN(together)["normalized"] == pytest.approx(
        WASSERSTEIN(codes)["normalized"], rel=1e-6, abs=1e-9
    )
    # Bins are open on one side only, so that mirroring moves points on an edge: order and scale.
    assert INFORMATION(codes[:, order] * 4)["score"] == pytest.approx(INFORMATION(codes)["score"])


@pytest.mark.parametrize("correlation", ["lasso", "spearman"])
def test_udr_of_models_that_agree_and_one_that_does_not(correlation):
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(500, 4))
    same = -2 * codes[:, [2, 0, 1, 3]] + 1
    rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    result = evaluation.udr([codes, same, codes, codes @ rotation], correlation=correlation)
    agreeing, odd = result["model_scores"][:3], result["model_scores"][3]
    assert (agreeing > (0.85 if correlation == "lasso" else 0.8)).all()
    assert odd < agreeing.min() - 0.2
    np.testing.assert_array_equal(np.diag(result["pairwise"]), 0)


def test_udr_lasso_is_soft_thresholding_for_uncorrelated_codes():
    codes = _codes_with_covariance(np.eye(3))
    pairwise = evaluation.udr([codes, codes[:, [1, 2, 0]]])["pairwise"]
    # With uncorrelated standardised inputs a coefficient is the correlation less alpha.
    assert pairwise[0, 1] == pytest.approx(0.9, abs=1e-6)


def test_udr_leaves_out_latents_without_information():
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(300, 2))
    noisy = np.hstack([codes, rng.normal(size=(300, 1))])
    kl = np.array([1.0, 2.0, 0.005])
    masked = evaluation.udr([noisy, codes], [kl, kl[:2]], correlation="spearman")
    clean = evaluation.udr([codes, codes], correlation="spearman")
    assert masked["score"] == pytest.approx(clean["score"])
    dead = evaluation.udr([np.ones((300, 2)), codes])
    assert dead["score"] == 0


def test_udr_pair_score_is_the_definition():
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(2, 100, 3))
    second = second + first
    strengths = np.abs(scipy.stats.spearmanr(first, second)[0][:3, 3:])
    expected = sum(np.mean(strengths.max(axis) ** 2 / strengths.sum(axis)) / 2 for axis in (0, 1))
    found = evaluation.udr([first, second], correlation="spearman")
    assert found["pairwise"][0, 1] == pytest.approx(expected, abs=1e-12)


X = np.random.default_rng(0).normal(size=(20, 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TOTAL(X[:, 0]), "codes"),
        (lambda: WASSERSTEIN(X * np.inf), "codes"),
        (lambda: INFORMATION(X, num_bins=0), "num_bins"),
        (lambda: evaluation.udr([X]), "at least 2"),
        (lambda: evaluation.udr([X, X[:5]]), "same observations"),
        (lambda: evaluation.udr([X, X], [np.ones(3)]), "KL"),
        (lambda: evaluation.udr([X, X], [np.ones(3), np.ones(2)]), "KL"),
        (lambda: evaluation.udr([X, X], correlation="pearson"), "pearson"),
        (lambda: evaluation.udr([X, X], scored_model=2), "there are 2 models, from 0"),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
