"""Downstream accuracy: the predictors written out, few and many labels, quantities."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from zoo import evaluation
from zoo.evaluation import boosting


def _halves(noise: float = 0.3, rows: int = 600):
    generator = np.random.default_rng(0)
    factors = generator.integers((2, 3), size=(rows, 2))
    codes = factors + noise * generator.normal(size=factors.shape)
    return codes[:400], factors[:400], codes[400:], factors[400:]


def test_it_is_the_accuracy_of_a_predictor_of_few_rows():
    codes, factors, codes_test, factors_test = _halves()
    rows = np.random.default_rng(3).permutation(400)[:40]
    for predictor in ("linear", "gbt"):
        expected = []
        for f in range(2):
            if predictor == "linear":
                mean, spread = codes[rows].mean(0), codes[rows].std(0)
                model = LogisticRegression().fit((codes[rows] - mean) / spread, factors[rows, f])
                guess = model.predict((codes_test - mean) / spread)
            else:
                guess = boosting.fit_predict(codes[rows], factors[rows, f], codes_test)[2]
            expected.append(np.mean(guess == factors_test[:, f]))
        found = evaluation.downstream(*_halves(), predictor=predictor, labels=40, seed=3)
        assert found["per_factor"] == pytest.approx(expected)
        assert found["score"] == pytest.approx(np.mean(expected))
        assert found["efficiency"] == pytest.approx(found["score"] / found["all_labels"])


@pytest.mark.parametrize("predictor", ["linear", "gbt"])
def test_codes_that_are_the_factors_need_few_labels(predictor):
    exact = evaluation.downstream(*_halves(noise=1e-3), predictor=predictor, labels=30)
    assert exact["score"] == pytest.approx(1, abs=0.02)
    assert exact["efficiency"] == pytest.approx(1, abs=0.02)
    noisy = evaluation.downstream(*_halves(noise=0.8), predictor=predictor, labels=30)
    assert noisy["score"] < 0.85


def test_quantities_have_r2_and_a_single_value_is_guessed():
    generator = np.random.default_rng(0)
    latents = generator.normal(size=(300, 2))
    how = {"categorical": False, "predictor": "linear", "labels": 20}
    args = latents[:200] @ np.array([[1.0, 2.0], [0.5, -1.0]]), latents[:200]
    tests = latents[200:] @ np.array([[1.0, 2.0], [0.5, -1.0]]), latents[200:]
    assert evaluation.downstream(*args, *tests, **how)["score"] == pytest.approx(1)
    # Of 100 rows only one has the second value: two labels hardly ever show it.
    factors = (np.arange(100) == 0).astype(int)[:, None]
    codes = generator.normal(size=(100, 1))
    test = codes[:10], np.arange(10)[:, None] % 2
    found = evaluation.downstream(codes, factors, *test, labels=2, predictor="gbt")
    assert found["score"] == 0.5


@pytest.mark.parametrize(
    ("change", "message"), [({"predictor": "svm"}, "linear or gbt"), ({"labels": 999}, "400")]
)
def test_bad_arguments_are_one_line(change, message):
    with pytest.raises(evaluation.InputError, match=message):
        evaluation.downstream(*_halves(), **change)
