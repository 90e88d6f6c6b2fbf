"""MIG and modularity: analytic cases, scikit-learn's estimate, invariances, reference scores."""

import json
import pathlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from representations import KINDS, factor_rows, representation
from sklearn.metrics import mutual_info_score

from zoo import evaluation
from zoo.evaluation.information import histogram_bins, mutual_information

REFERENCE = pathlib.Path(__file__).resolve().parents[2] / "../shared/reference"
SIZES = (3, 4, 6)
FACTORS = factor_rows(SIZES, 3000)


def _codes(kind):
    return representation(kind, FACTORS, SIZES)


@pytest.mark.parametrize("kind", KINDS)
def test_information_is_that_of_the_published_estimator(kind):
    codes = _codes(kind)
    expected = np.zeros((codes.shape[1], len(SIZES)))
    for d, code in enumerate(codes.T):
        labels = np.digitize(code, np.histogram(code, 20)[1][:-1])
        expected[d] = [mutual_info_score(column, labels) for column in FACTORS.T]
    np.testing.assert_allclose(
        evaluation.mig(codes, FACTORS)["mutual_information"], expected, atol=1e-12
    )


def test_mig_of_representations_known_in_closed_form():
    assert evaluation.mig(_codes("perfect"), FACTORS)["score"] == pytest.approx(1, abs=0.01)
    assert evaluation.mig(_codes("collapsed"), FACTORS)["score"] == pytest.approx(1, abs=0.01)
    assert evaluation.mig(_codes("duplicated"), FACTORS)["score"] == pytest.approx(0, abs=1e-12)
    assert evaluation.mig(_codes("random"), FACTORS)["score"] < 0.02
    rotated = evaluation.mig(_codes("rotated"), FACTORS)["per_factor"]
    assert rotated[:2].max() < 0.2 and rotated[2] > 0.98
    # A code that tells two factors leaves both a large gap: MIG does not see what is merged.
    assert evaluation.mig(_codes("merged"), FACTORS)["per_factor"].min() > 0.95


def test_modularity_of_representations_known_in_closed_form():
    for kind in ("perfect", "duplicated"):
        assert evaluation.modularity(_codes(kind), FACTORS)["score"] == pytest.approx(1, abs=1e-3)
    # Two of five codes are dead: they count as zero.
    collapsed = evaluation.modularity(_codes("collapsed"), FACTORS)
    assert collapsed["score"] == pytest.approx(0.6, abs=1e-3)
    assert (collapsed["per_code"][3:] == 0).all()
    merged = evaluation.modularity(_codes("merged"), FACTORS)["per_code"]
    small, large = np.log(3), np.log(4)
    assert merged[0] == pytest.approx(1 - (small / large) ** 2 / 2, abs=0.01)


def test_a_representation_that_is_dead_throughout_scores_zero():
    for dead in (np.zeros((3000, 3)), np.full((3000, 3), 0.3), np.full((3000, 1), -7.0)):
        for estimator in ("histogram", "knn"):
            for score in (evaluation.mig, evaluation.modularity):
                result = score(dead, FACTORS, estimator=estimator)
                assert result["score"] == 0
                assert all(np.isfinite(part).all() for part in result.values())


def test_rounding_noise_on_a_dead_code_tells_nothing():
    noise = 0.3 + 1e-17 * np.arange(3000)[:, None] * np.ones(2)
    assert np.ptp(noise) > 0
    assert evaluation.mig(noise, FACTORS)["score"] == 0


def test_one_code_or_one_factor_alone():
    assert evaluation.mig(FACTORS[:, :1].astype(float), FACTORS)["per_factor"][0] > 0.99
    one = evaluation.modularity(_codes("perfect"), FACTORS[:, :1])
    assert one["per_code"][0] == 1


def test_neighbour_estimator_agrees_with_the_gaussian_closed_form():
    rng = np.random.default_rng(0)
    factor = rng.normal(size=(4000, 2))
    correlation = np.array([0.9, 0.6])
    codes = correlation * factor + np.sqrt(1 - correlation**2) * rng.normal(size=factor.shape)
    expected = -0.5 * np.log(1 - correlation**2)
    np.testing.assert_allclose(
        np.diag(mutual_information(codes, factor, estimator="knn")), expected, atol=0.06
    )
    result = evaluation.mig(codes, factor, estimator="knn", categorical=False)
    np.testing.assert_allclose(result["per_factor"], correlation**2, atol=0.05)


def test_neighbour_estimator_agrees_with_the_histogram_on_discrete_factors():
    codes = _codes("noisy")
    near = evaluation.mig(codes, FACTORS, estimator="knn")
    assert near["score"] == pytest.approx(evaluation.mig(codes, FACTORS)["score"], abs=0.1)
    again = evaluation.mig(codes, FACTORS, estimator="knn")
    np.testing.assert_array_equal(near["mutual_information"], again["mutual_information"])


def test_bins_are_those_of_a_histogram():
    values = np.random.default_rng(0).normal(size=(500, 3))
    counts = [np.bincount(column, minlength=7) for column in histogram_bins(values, 7).T]
    expected = [np.histogram(column, 7)[0] for column in values.T]
    np.testing.assert_array_equal(counts, expected)


@settings(max_examples=20, deadline=None)
@given(
    order=st.permutations(range(4)),
    signs=st.lists(st.sampled_from([-1.0, 1.0]), min_size=4, max_size=4),
    exponents=st.lists(st.integers(-30, 30), min_size=4, max_size=4),
)
def test_scores_ignore_order_sign_and_scale_of_codes(order, signs, exponents):
    codes = np.random.default_rng(3).normal(size=(400, 4))
    codes[:, :3] += FACTORS[:400]
    changed = (codes * signs * np.power(3.0, exponents))[:, order]
    for score in (evaluation.mig, evaluation.modularity):
        before, after = score(codes, FACTORS[:400]), score(changed, FACTORS[:400])
        assert after["score"] == pytest.approx(before["score"], abs=1e-9)
        assert 0 <= after["score"] <= 1
        np.testing.assert_allclose(
            after["mutual_information"], before["mutual_information"][order], atol=1e-9
        )


@pytest.mark.parametrize(
    ("codes", "factors", "message"),
    [
        (np.zeros(5), FACTORS[:5], "codes has shape"),
        (np.zeros((5, 2)), FACTORS[:4], "5 rows and factors 4"),
        (np.full((5, 2), np.nan), FACTORS[:5], "codes holds nan at row 0, column 0"),
        (np.zeros((5, 2)), FACTORS[:5] + 0.5, "not made of integers"),
        (np.zeros((5, 2)), np.zeros((5, 3), int), "factors column 0 is constant"),
        (np.array([["a"], ["b"]]), FACTORS[:2], "of type"),
        (np.zeros((0, 2)), FACTORS[:0], "non-empty"),
    ],
)
def test_bad_input_is_refused_in_one_line(codes, factors, message):
    for score in (evaluation.mig, evaluation.modularity, evaluation.irs):
        with pytest.raises(ValueError, match=message) as error:
            score(codes, factors)
        assert "\n" not in str(error.value)


def test_bad_options_are_refused():
    with pytest.raises(ValueError, match="no estimator"):
        evaluation.mig(_codes("perfect"), FACTORS, estimator="guess")
    with pytest.raises(ValueError, match="num_bins"):
        evaluation.mig(_codes("perfect"), FACTORS, num_bins=1)


def test_what_has_no_nearest_neighbours_is_named():
    codes, every = FACTORS[:60] + 0.5 * np.arange(60)[:, None], np.arange(60)[:, None]
    for score, options in (
        (evaluation.mig, {"estimator": "knn"}),
        (evaluation.modularity, {"estimator": "knn"}),
        (evaluation.info_m, {}),
    ):
        with pytest.raises(evaluation.InputError, match="factors column 1 has no value twice"):
            score(codes, np.hstack([FACTORS[:60, :1], every]), **options)
        few = {**options, "categorical": False}
        with pytest.raises(evaluation.InputError, match="3 rows are too few"):
            score(codes[:3], every[:3], **few)


def test_reference_scores():
    if not REFERENCE.exists():
        pytest.skip("the reference scores are not beside this checkout")
    scores = json.loads((REFERENCE / "metric_scores.json").read_text())
    with np.load(REFERENCE / "metric_scores.npz") as arrays:
        for name, expected in scores.items():
            if "mig" not in expected:
                continue
            codes, factors = arrays[f"{name}_codes"][:4000], arrays[f"{name}_factors"][:4000]
            found = evaluation.mig(codes, factors)
            assert found["score"] == pytest.approx(expected["mig"], abs=1e-9)
            np.testing.assert_allclose(found["per_factor"], expected["mig_per_factor"], atol=1e-9)
            modularity = evaluation.modularity(codes, factors)["score"]
            assert modularity == pytest.approx(expected["modularity"], abs=1e-9)


@pytest.mark.parametrize("estimator", ["histogram", "knn"])
def test_discrete_codes_are_symbols(estimator):
    # A quantised code by hand: a symbol for every value, far apart or close together as may be.
    table = np.array([1e6, 0.0, 1.0, 1.001, -3.0, 2.0])
    codes = table[FACTORS]
    options = {"estimator": estimator, "discrete_codes": True}
    entropy = [mutual_info_score(column, column) for column in FACTORS.T]
    for score in (evaluation.mig, evaluation.modularity):
        found = score(codes, FACTORS, **options)
        assert found["score"] == pytest.approx(1, abs=0.01)
        np.testing.assert_allclose(np.diag(found["mutual_information"]), entropy, atol=1e-9)
        renamed = score(table[::-1][FACTORS], FACTORS, **options)
        np.testing.assert_allclose(
            renamed["mutual_information"], found["mutual_information"], atol=1e-12
        )
    assert evaluation.mig(codes, FACTORS)["score"] < 0.6


def test_discrete_codes_tell_of_quantities():
    # Which half of a uniform quantity, which is log 2 of information.
    values = np.random.default_rng(0).uniform(size=(4000, 2))
    halves = np.where(values > 0.5, 3.0, 8.0)
    options = {"estimator": "knn", "categorical": False, "discrete_codes": True}
    found = evaluation.mig(halves, values, **options)
    np.testing.assert_allclose(found["mutual_information"], np.log(2) * np.eye(2), atol=0.03)
    np.testing.assert_allclose(found["per_factor"], 1 - np.exp(-2 * np.log(2)), atol=0.05)


def test_values_that_hardly_repeat_are_no_symbols():
    for score in (evaluation.mig, evaluation.modularity):
        with pytest.raises(ValueError, match="column 0 has 3000 values in 3000 rows") as error:
            score(_codes("noisy"), FACTORS, discrete_codes=True)
        assert "\n" not in str(error.value)
