"""DCI and explicitness of factors that are quantities: scikit-learn's, and analytic cases."""

import numpy as np
import pytest
from representations import factor_rows, halves, representation
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from zoo import evaluation

SIZES = (2, 3, 4)


def _quantities(noise: float):
    """Three uniform quantities, and codes that are each one of them and noise."""
    rng = np.random.default_rng(3)
    values = rng.uniform(-1, 1, size=(900, 3))
    codes = values + noise * rng.normal(size=values.shape)
    return halves(codes, values)


def test_explicitness_of_quantities_is_that_of_least_squares():
    case = _quantities(0.5)
    model = LinearRegression().fit(*case[:2])
    result = evaluation.explicitness(*case, categorical=False)
    train, test = (
        r2_score(truth, model.predict(codes), multioutput="raw_values")
        for codes, truth in (case[:2], case[2:])
    )
    np.testing.assert_allclose(result["per_factor_train"], train, atol=1e-12)
    np.testing.assert_allclose(result["per_factor"], test, atol=1e-12)
    # Noise of a quarter beside a variance of a third: 4/7 of it is explained.
    assert result["score"] == pytest.approx(4 / 7, abs=0.05)


@pytest.mark.parametrize("predictor", ["gbt", "sklearn"])
def test_dci_of_quantities_known_in_closed_form(predictor):
    options = {"categorical": False, "predictor": predictor}
    codes, values, codes_test, values_test = _quantities(0.0)
    exact = evaluation.dci(codes, values, codes_test, values_test, **options)
    for key in ("score", "completeness", "informativeness_train", "informativeness_test"):
        assert exact[key] == pytest.approx(1, abs=0.02)
    # The sum of the first two quantities, and the third: one code for two factors.
    turn = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    summed = evaluation.dci(codes @ turn, values, codes_test @ turn, values_test, **options)
    assert summed["per_code"][0] == pytest.approx(1 - np.log(2) / np.log(3), abs=0.05)
    nothing = np.zeros_like(codes)
    dead = evaluation.dci(nothing, values, nothing[:300], values_test, **options)
    assert dead["score"] == pytest.approx(0, abs=1e-12) and np.isfinite(dead["per_factor"]).all()
    assert dead["informativeness_train"] == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("noise", [0.3, 3.0])
def test_fast_dci_of_quantities_is_that_of_scikit_learn(noise):
    case = _quantities(noise)
    exact = evaluation.dci(*case, categorical=False, predictor="sklearn")
    fast = evaluation.dci(*case, categorical=False)
    for key in ("disentanglement", "completeness", "informativeness_train"):
        assert fast[key] == pytest.approx(exact[key], abs=0.02)
    assert fast["informativeness_test"] == pytest.approx(exact["informativeness_test"], abs=0.03)
    np.testing.assert_allclose(fast["importance"], exact["importance"], atol=0.03)


@pytest.mark.parametrize("score", [evaluation.dci, evaluation.explicitness])
def test_categories_and_quantities_side_by_side(score):
    factors = factor_rows(SIZES, 900)
    case = halves(representation("noisy", factors, SIZES), factors)
    codes, factors, codes_test, factors_test = case
    plain = score(codes, factors, codes_test, factors_test)
    # An unordered value stays one whatever its neighbours are; a quantity may be in any unit.
    flags = [True, True, False]
    unit = np.array([1.0, 1.0, 1e-40])
    mixed = score(codes, factors * unit, codes_test, factors_test * unit, categorical=flags)
    whole = score(codes, factors, codes_test, factors_test, categorical=flags)
    assert mixed["score"] == pytest.approx(whole["score"], abs=1e-6)
    columns = mixed["importance"][:, :2] if score is evaluation.dci else mixed["per_factor"][:2]
    known = plain["importance"][:, :2] if score is evaluation.dci else plain["per_factor"][:2]
    np.testing.assert_allclose(columns, known, atol=1e-9)
    with pytest.raises(ValueError, match="not made of integers"):
        score(codes, factors + 0.5, codes_test, factors_test)
    with pytest.raises(ValueError, match="flags were given"):
        score(codes, factors, codes_test, factors_test, categorical=[True, False])
