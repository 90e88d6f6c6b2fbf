"""SAP, DCI, explicitness and DS: analytic cases, brute force, invariances, reference scores."""

import json
import pathlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from representations import KINDS, factor_rows, halves, representation
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.svm import LinearSVC

from zoo import evaluation
from zoo.evaluation import boosting

REFERENCE = pathlib.Path(__file__).resolve().parents[2] / "../shared/reference"
SIZES = (2, 3, 4)
FACTORS = factor_rows(SIZES, 900)
SCORES = (evaluation.sap, evaluation.dci, evaluation.explicitness)


def _case(kind):
    return halves(representation(kind, FACTORS, SIZES), FACTORS)


def _finite(result):
    return all(np.isfinite(part).all() for part in result.values())


@pytest.mark.parametrize("kind", ["noisy", "rotated", "collapsed"])
def test_sap_is_that_of_the_published_classifier(kind):
    codes, factors, codes_test, factors_test = _case(kind)
    expected = np.zeros((codes.shape[1], 3))
    for d in range(codes.shape[1]):
        for f in range(3):
            model = LinearSVC(C=0.01, class_weight="balanced").fit(codes[:, [d]], factors[:, f])
            expected[d, f] = model.score(codes_test[:, [d]], factors_test[:, f])
    result = evaluation.sap(codes, factors, codes_test, factors_test)
    np.testing.assert_array_equal(result["predictability"], expected)
    ordered = np.sort(expected, axis=0)
    assert result["score"] == pytest.approx((ordered[-1] - ordered[-2]).mean(), abs=1e-12)


def test_sap_of_representations_known_in_closed_form():
    for kind in ("perfect", "collapsed"):
        result = evaluation.sap(*_case(kind), continuous=True)
        assert result["score"] == pytest.approx(1, abs=0.02)
    assert evaluation.sap(*_case("duplicated"), continuous=True)["score"] == 0
    assert evaluation.sap(*_case("duplicated"))["score"] == 0
    assert evaluation.sap(*_case("random"))["score"] < 0.06
    # Binary factors separate with one threshold; of the others a linear machine finds the ends.
    assert evaluation.sap(*_case("perfect"))["per_factor"][0] > 0.4
    merged = evaluation.sap(*_case("merged"), continuous=True)
    assert merged["predictability"][0, 0] > 0.6 and merged["predictability"][0, 1] > 0.1


def test_continuous_sap_is_the_squared_correlation():
    codes, factors, *test = _case("rotated")
    expected = np.square(np.corrcoef(codes.T, factors.T)[:3, 3:])
    result = evaluation.sap(codes, factors + 0.25, test[0], test[1] + 0.25, continuous=True)
    np.testing.assert_allclose(result["predictability"], expected, atol=1e-12)


@pytest.mark.parametrize("kind", ["noisy", "rotated", "random"])
def test_explicitness_is_that_of_the_published_classifier(kind):
    codes, factors, codes_test, factors_test = _case(kind)
    mean, spread = codes.mean(0), codes.std(0)
    expected = np.zeros((2, 3))
    for f in range(3):
        model = LogisticRegression().fit((codes - mean) / spread, factors[:, f])
        for part, (x, y) in enumerate(((codes, factors), (codes_test, factors_test))):
            chance = model.predict_proba((x - mean) / spread)
            truth = y[:, f, None] == np.arange(SIZES[f])
            expected[part, f] = roc_auc_score(truth, chance, average="macro")
    result = evaluation.explicitness(codes, factors, codes_test, factors_test)
    np.testing.assert_allclose(result["per_factor_train"], expected[0], atol=1e-9)
    np.testing.assert_allclose(result["per_factor"], expected[1], atol=1e-9)
    assert result["score"] == result["explicitness_test"]


def test_explicitness_counts_only_values_that_both_parts_have():
    codes, factors, codes_test, factors_test = _case("perfect")
    keep, held = factors[:, 2] != 0, factors_test[:, 2] != 3
    result = evaluation.explicitness(
        codes[keep], factors[keep], codes_test[held], factors_test[held]
    )
    assert _finite(result) and result["per_factor"][0] == 1
    # The codes are in the data's order: the ends are separable, the middle is not.
    assert 0.5 < result["per_factor"][2] <= 1


def test_dci_of_representations_known_in_closed_form():
    perfect = evaluation.dci(*_case("perfect"))
    np.testing.assert_allclose(perfect["importance"], np.eye(3), atol=1e-6)
    for key in ("score", "completeness", "informativeness_train", "informativeness_test"):
        assert perfect[key] == pytest.approx(1, abs=1e-6)
    collapsed = evaluation.dci(*_case("collapsed"))
    assert collapsed["score"] == pytest.approx(1, abs=1e-6)
    assert (collapsed["importance"][3:] == 0).all()
    merged = evaluation.dci(*_case("merged"))
    assert merged["per_code"][0] == pytest.approx(1 - np.log(2) / np.log(3), abs=0.01)
    assert merged["completeness"] == pytest.approx(1, abs=0.01)
    random = evaluation.dci(*_case("random"))
    assert random["score"] < 0.05 and random["completeness"] < 0.05
    rotated = evaluation.dci(*_case("rotated"))
    assert rotated["per_code"][:2].max() < 0.6 and rotated["per_code"][2] > 0.95
    assert evaluation.dci(*_case("duplicated"))["informativeness_test"] == 1


@pytest.mark.parametrize("kind", ["noisy", "rotated"])
def test_fast_dci_is_that_of_scikit_learn(kind):
    case = _case(kind)
    exact, fast = evaluation.dci(*case, predictor="sklearn"), evaluation.dci(*case)
    for key in ("disentanglement", "completeness", "informativeness_train"):
        assert fast[key] == pytest.approx(exact[key], abs=0.02)
    assert fast["informativeness_test"] == pytest.approx(exact["informativeness_test"], abs=0.04)
    np.testing.assert_allclose(fast["importance"], exact["importance"], atol=0.03)


def test_bins_of_many_rows_give_nearly_the_same_dci(monkeypatch):
    case = _case("noisy")
    exact = evaluation.dci(*case)
    monkeypatch.setattr(boosting, "_EXACT_ROWS", 0)
    binned = evaluation.dci(*case)
    assert (exact["importance"] != binned["importance"]).any()
    assert binned["score"] == pytest.approx(exact["score"], abs=0.03)
    assert binned["completeness"] == pytest.approx(exact["completeness"], abs=0.03)


def test_dead_codes_and_single_codes_give_finite_scores():
    cases = [np.zeros((900, 3)), np.full((900, 2), 0.3), np.zeros((900, 1)), FACTORS[:, :1] * 1.0]
    for codes in cases:
        dead = (codes == codes[0]).all()
        case = halves(codes, FACTORS)
        for score, chance in zip(SCORES, (0, 0, 0.5), strict=True):
            result = score(*case)
            assert _finite(result)
            if dead and codes.shape[1] > 1:
                assert result["score"] == pytest.approx(chance, abs=1e-12)
        assert _finite(evaluation.disentanglement_score(codes, FACTORS, False))
    one_factor = evaluation.dci(*halves(FACTORS * 1.0, FACTORS[:, :1]))
    assert one_factor["completeness"] == pytest.approx(1) and one_factor["score"] > 0.99


def test_ds_of_representations_known_in_closed_form():
    def score(kind, categorical=False):
        factors = factor_rows((8, 8, 8), 2000)
        codes = representation(kind, factors, (8, 8, 8))
        return evaluation.disentanglement_score(codes, factors, categorical)

    assert score("perfect")["score"] == pytest.approx(1, abs=0.02)
    assert score("collapsed")["score"] == pytest.approx(1, abs=0.02)
    assert score("duplicated")["score"] == 0
    assert score("random")["score"] < 0.02
    rotated = score("rotated")["per_factor"]
    assert rotated[:2].max() < 0.3 and rotated[2] > 0.95
    # Known categories: accuracies of 1 and about 1/8, over about 1/8 for a constant guess.
    category = score("perfect", [True, False, False])
    assert 5 < category["per_factor"][0] <= 7
    assert category["bounded"] == pytest.approx(1, abs=0.03)


def test_ds_bounded_compares_one_code_alone_with_the_best_constant_guess():
    category = (np.random.default_rng(0).random((2000, 1)) < 0.7).astype(np.int64)
    noise = np.random.default_rng(1).normal(size=(2000, 1))
    blind = evaluation.disentanglement_score(noise, category, True)
    assert blind["bounded"] < 0.05 < 0.8 < blind["score"]
    known = evaluation.disentanglement_score(category + 0.01 * noise, category, True)
    assert known["bounded"] == pytest.approx(1)


def test_ds_by_brute_force():
    rng = np.random.default_rng(5)
    factors = np.stack([rng.normal(size=400), rng.integers(3, size=400)], axis=1)
    codes = factors[:, ::-1] + 0.3 * rng.normal(size=(400, 2))
    result = evaluation.disentanglement_score(codes, factors, [False, True], seed=4)
    order = np.random.default_rng(4).permutation(400)
    fit, held = order[:320], order[320:]
    for d in range(2):
        near = np.abs(codes[held, d, None] - codes[fit, d]).argsort(1)[:, :5]
        guess = factors[fit][near]
        error = guess[..., 0].mean(1) - factors[held, 0]
        spread = factors[held, 0].std()
        expected = max(spread - np.sqrt(np.mean(error**2)), 0)
        assert result["sensitivity"][d, 0] == pytest.approx(expected, abs=1e-12)
        vote = [np.bincount(row.astype(int)).argmax() for row in guess[..., 1]]
        assert result["sensitivity"][d, 1] == pytest.approx(np.mean(vote == factors[held, 1]))
    gap = np.abs(np.diff(result["sensitivity"], axis=0))[0]
    scale = [factors[held, 0].std(), np.bincount(factors[held, 1].astype(int)).max() / 80]
    np.testing.assert_allclose(result["per_factor"], gap / scale, atol=1e-12)


@settings(max_examples=4, deadline=None)
@given(
    order=st.permutations(range(3)),
    signs=st.lists(st.sampled_from([-1.0, 1.0]), min_size=3, max_size=3),
    scale=st.floats(0.01, 100),
)
def test_scores_ignore_order_sign_and_scale_of_codes(order, signs, scale):
    codes = representation("noisy", FACTORS[:300], SIZES)
    moved = (codes * signs)[:, order]
    case, scaled = halves(codes, FACTORS[:300]), halves(scale * moved, FACTORS[:300])
    # The penalty of a support vector machine depends on the scale of its input.
    for score, change, within in (
        (evaluation.sap, halves(moved, FACTORS[:300]), 0.02),
        (lambda *c: evaluation.sap(*c, continuous=True), scaled, 1e-9),
        (evaluation.explicitness, scaled, 1e-4),
        (evaluation.dci, scaled, 0.02),
    ):
        after = score(*change)["score"]
        assert after == pytest.approx(score(*case)["score"], abs=within)
        assert 0 <= after <= 1


@pytest.mark.parametrize("scale", [1e-50, 1e-20, 1e20])
def test_tiny_and_huge_codes_score_as_others(scale):
    codes, factors, codes_test, factors_test = _case("noisy")
    case = (codes * scale, factors, codes_test * scale, factors_test)
    for score in (evaluation.dci, evaluation.explicitness):
        expected = score(codes, factors, codes_test, factors_test)["score"]
        assert score(*case)["score"] == pytest.approx(expected, abs=1e-3)
    with pytest.raises(ValueError, match="scale them down"):
        evaluation.sap(codes * 1e150, *case[1:])


@pytest.mark.parametrize("continuous", [[False, False, False], [True, False, True], "no", 1])
def test_sap_takes_one_kind_for_all_factors(continuous):
    with pytest.raises(evaluation.InputError, match="score factors of different kinds apart"):
        evaluation.sap(*_case("perfect"), continuous=continuous)


def test_kinds_are_ordered_by_disentanglement():
    score = {kind: evaluation.dci(*_case(kind))["score"] for kind in KINDS}
    assert score["random"] < score["rotated"] < score["noisy"] <= score["perfect"]


def test_bad_input_is_refused_in_one_line():
    codes, factors, codes_test, factors_test = _case("noisy")
    for score in SCORES:
        for arguments, message in (
            ((codes, factors, codes_test[:, :2], factors_test), "codes has 3 columns"),
            ((codes, factors, codes_test, factors_test[:-1]), "codes_test has 300 rows"),
            ((codes, factors * 0, codes_test, factors_test), "factors column 0 is constant"),
            ((codes, factors, codes_test * np.nan, factors_test), "codes_test holds nan"),
            ((codes[:, 0], factors, codes_test, factors_test), "codes has shape"),
        ):
            with pytest.raises(ValueError, match=message) as error:
                score(*arguments)
            assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="no predictor"):
        evaluation.dci(codes, factors, codes_test, factors_test, predictor="forest")
    with pytest.raises(ValueError, match="flags were given"):
        evaluation.disentanglement_score(codes, factors, [True, False])
    with pytest.raises(ValueError, match="too few"):
        evaluation.disentanglement_score(codes[:4], factors[:4], False)


@pytest.fixture(scope="module")
def reference():
    if not REFERENCE.exists():
        pytest.skip("the reference scores are not beside this checkout")
    with np.load(REFERENCE / "metric_scores.npz") as arrays:
        return json.loads((REFERENCE / "metric_scores.json").read_text()), dict(arrays)


def test_reference_scores(reference):
    scores, arrays = reference
    for name in ("dsprites_aligned", "shapes3d_partial", "shapes3d_rotated"):
        codes, factors, expected = arrays[f"{name}_codes"], arrays[f"{name}_factors"], scores[name]
        case = (codes[:4000], factors[:4000], codes[4000:], factors[4000:])
        assert evaluation.sap(*case)["score"] == pytest.approx(expected["sap_discrete"], abs=1e-9)
        continuous = evaluation.sap(*case, continuous=True)["score"]
        assert continuous == pytest.approx(expected["sap_continuous"], abs=1e-9)
        if "explicitness_test" in expected:
            found = evaluation.explicitness(*case)
            for key in ("explicitness_train", "explicitness_test"):
                assert found[key] == pytest.approx(expected[key], abs=1e-6)


@pytest.mark.parametrize("name", ["shapes3d_partial"])
def test_reference_dci(reference, name):
    scores, arrays = reference
    codes, factors = arrays[f"{name}_codes"], arrays[f"{name}_factors"]
    found = evaluation.dci(codes[:1000], factors[:1000], codes[4000:4500], factors[4000:4500])
    for key, expected in scores[name]["dci_first1000_500"].items():
        assert found[key] == pytest.approx(expected, abs=0.02)
