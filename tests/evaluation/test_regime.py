"""The polarised regime: closed forms, the three kinds of latents, the share of training."""

import numpy as np
import pytest

from zoo import evaluation
from zoo.evaluation.regime import dead_latents, polarized_share


def _posteriors(rows=4000, seed=0):
    """One active, one passive and one mixed latent."""
    rng = np.random.default_rng(seed)
    used = rng.random(rows) < 0.5
    means = np.stack(
        [rng.normal(size=rows), 0.01 * rng.normal(size=rows), used * rng.normal(size=rows)], axis=1
    )
    variances = np.stack(
        [np.full(rows, 0.01), np.full(rows, 0.99), np.where(used, 0.02, 0.98)], axis=1
    )
    return means, variances


def test_latents_are_active_passive_or_mixed():
    result = evaluation.polarized_regime(*_posteriors())
    assert result["active"].tolist() == [True, False, False]
    assert result["passive"].tolist() == [False, True, False]
    assert result["mixed"].tolist() == [False, False, True]
    assert result["varies"].tolist() == [True, False, True]


def test_kl_and_its_approximation_are_the_formulas():
    means, variances = _posteriors(rows=50)
    points = np.linspace(-10, 10, 20_001)[:, None, None]
    log_q = -((points - means) ** 2) / variances / 2 - np.log(variances) / 2
    density = np.exp(log_q) / np.sqrt(2 * np.pi)
    kl = (density * (log_q + points**2 / 2)).sum(0) * 0.001
    result = evaluation.polarized_regime(means, variances)
    np.testing.assert_allclose(result["kl_per_latent"], kl.mean(0), rtol=1e-8)
    varies = means.std(0) > 0.5
    terms = (means**2 - np.log(variances) - 1)[:, varies]
    approximate = terms.sum(1).mean() / 2
    assert result["approximate_kl"] == pytest.approx(approximate)
    expected = abs(kl.sum(1).mean() - approximate) / kl.sum(1).mean()
    assert result["score"] == pytest.approx(expected)


def test_the_error_of_one_active_latent_is_half_its_variance():
    # L_KL - L_approx = s^2 / 2 where the latent is active and nothing else is there.
    means, variance = np.array([[-1.0], [1.0]]), 0.1
    result = evaluation.polarized_regime(means, np.full((2, 1), variance))
    kl = (1 + variance - np.log(variance) - 1) / 2
    assert result["score"] == pytest.approx(variance / 2 / kl)


def test_a_collapsed_model_has_no_error():
    result = evaluation.polarized_regime(np.zeros((10, 3)), np.ones((10, 3)))
    assert result["score"] == 0 and result["kl"] == 0
    assert result["passive"].all()


def test_an_unpolarised_model_has_a_large_error():
    rng = np.random.default_rng(0)
    half_used = evaluation.polarized_regime(
        0.4 * rng.normal(size=(2000, 4)), np.full((2000, 4), 0.84)
    )
    assert half_used["score"] == 1  # No latent varies by 0.5: the approximation is empty.
    assert not half_used["active"].any()


@pytest.mark.parametrize(
    ("errors", "steps", "share", "first"),
    [
        ([0.5, 0.1, 0.02, 0.01], None, 0.5, 2),
        ([0.01, 0.01], None, 1.0, 0),
        ([0.01, 0.5], None, 0.0, 2),
        ([0.01, 0.03, 0.01, 0.01], None, 0.5, 2),  # 3 % itself is not below.
        ([0.5, 0.01], [100, 1000], 0.9, 1),
    ],
)
def test_the_share_of_training(errors, steps, share, first):
    result = polarized_share(errors, steps)
    assert result["score"] == pytest.approx(share)
    assert result["first"] == first


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evaluation.polarized_regime(np.zeros((4, 2)), np.zeros((4, 2))), "logarithms"),
        (lambda: evaluation.polarized_regime(np.zeros((4, 2)), np.ones((4, 3))), "differ"),
        (lambda: evaluation.polarized_regime(np.full((4, 2), np.nan), np.ones((4, 2))), "means"),
        (lambda: polarized_share([]), "errors"),
        (lambda: polarized_share([0.1, 0.2], [5, 5]), "increasing"),
        (lambda: polarized_share([0.1, 0.2], [5]), "increasing"),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_the_latent_of_the_largest_divergence_is_never_dead():
    """After twenty steps all variances are near 1, and one latent carries nearly all there is."""
    variances, kl = [0.93, 0.999, 0.7, 0.999], [0.05, 0.0001, 0.04, 0.02]
    assert dead_latents(variances).tolist() == [True, True, False, True]
    assert dead_latents(variances, kl).tolist() == [False, True, False, False]
    assert dead_latents([0.99, 1.0], [0.001, 2.0]).tolist() == [True, False]
    assert dead_latents([1.0, 1.0], [0.0, 0.0]).tolist() == [True, True]
    assert dead_latents([0.1, 0.2], [0.0, 5.0]).tolist() == [False, False]
    with pytest.raises(evaluation.InputError, match="differ"):
        dead_latents([0.1, 0.2], [1.0])
