"""MCC, LMS and slot identifiability: analytic cases, brute force, invariances, references."""

import itertools
import json
import pathlib

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo import evaluation

REFERENCE = pathlib.Path(__file__).resolve().parents[2] / "../shared/reference"
BLOCKS = [[0, 1], [2, 3]]


def _normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.fixture(scope="module")
def reference():
    if not REFERENCE.exists():
        pytest.skip("the reference scores are not beside this checkout")
    scores = json.loads((REFERENCE / "jacobian_and_matching_scores.json").read_text())
    with np.load(REFERENCE / "jacobian_and_matching_scores.npz") as arrays:
        return scores, {name: arrays[name] for name in arrays if name.startswith("lms")}


@pytest.mark.parametrize("case", ["lms_good", "lms_bad"])
def test_mcc_and_lms_spearman_match_the_reference(reference, case):
    scores, arrays = reference
    codes, latents = arrays[f"{case}_pred"], arrays[f"{case}_true"]
    spearman = evaluation.lms_spearman(codes, latents)["score"]
    assert 100 * spearman == pytest.approx(scores[case]["lms_spearman"], abs=1e-6)
    pearson = evaluation.mcc(codes, latents)["score"]
    assert 100 * pearson == pytest.approx(scores[case]["mcc_pearson"], abs=1e-6)


@pytest.mark.parametrize("case", ["lms_block_good", "lms_block_bad"])
def test_lms_tree_matches_the_reference(reference, case):
    scores, arrays = reference
    parts = ("train_pred", "train_true", "test_pred", "test_true")
    rows = [arrays[f"{case}_{part}"] for part in parts]
    found = evaluation.lms_tree(*rows, BLOCKS)["score"]
    # The authors do not seed their trees; over 30 seeds the score varies by 0.0017.
    assert found == pytest.approx(scores[case]["lms_tree"] / 100, abs=0.01)


@pytest.mark.parametrize(
    "score",
    [
        evaluation.mcc,
        evaluation.lms_spearman,
        lambda codes, latents, **how: evaluation.lms_tree(
            *(codes, latents, codes, latents), [[0], [1]], **how
        ),
    ],
)
def test_a_latent_that_is_constant_in_a_batch_is_named(score):
    latents = np.stack([np.arange(60.0), np.repeat([0, 1, 2], 20)], axis=1)
    shuffled = np.random.default_rng(0).permutation(60)
    assert score(latents, latents)["score"] == pytest.approx(1)
    assert score(latents[shuffled], latents[shuffled], batch_size=20)["score"] > 0.9
    with pytest.raises(evaluation.InputError, match="latent 1 is constant in rows 0 to 19: shuf"):
        score(latents, latents, batch_size=20)


def test_mcc_is_brute_force_over_matchings():
    latents = _normal(200, 3)
    codes = latents @ _normal(3, 4, seed=1) + _normal(200, 4, seed=2)
    matrix = np.abs(np.corrcoef(codes.T, latents.T)[:4, 4:])
    best = max(
        np.mean([matrix[chosen[k], k] for k in range(3)])
        for chosen in itertools.permutations(range(4), 3)
    )
    result = evaluation.mcc(codes, latents, covariance_ddof=0)
    assert result["score"] == pytest.approx(best, abs=1e-12)
    assert evaluation.mcc(codes, latents)["score"] == pytest.approx(best * 200 / 199, abs=1e-12)
    np.testing.assert_allclose(np.abs(result["correlations"]), matrix, atol=1e-12)
    chosen = result["code_of_latent"]
    np.testing.assert_allclose(result["per_latent"], matrix[chosen, range(3)], atol=1e-12)


def test_mcc_spearman_handles_ties_like_scipy():
    rng = np.random.default_rng(0)
    codes, latents = rng.integers(5, size=(300, 1)), rng.integers(4, size=(300, 1))
    latents[:100] = codes[:100].clip(max=3)
    expected = abs(scipy.stats.spearmanr(codes[:, 0], latents[:, 0])[0])
    assert evaluation.mcc(codes, latents, "spearman")["score"] == pytest.approx(expected, abs=1e-12)


def test_mcc_of_a_rotation_by_45_degrees():
    # Exactly uncorrelated unit-variance latents, so that the rotation's entries are the answer.
    latents, _ = np.linalg.qr(_normal(1000, 2) - _normal(1000, 2).mean(0))
    rotation = np.array([[1, -1], [1, 1]]) / np.sqrt(2)
    score = evaluation.mcc(latents @ rotation, latents, covariance_ddof=0)["score"]
    assert score == pytest.approx(np.sqrt(0.5), abs=1e-6)


def test_mcc_of_perfect_codes_is_one_not_more():
    latents = _normal(50, 3)
    codes = -3 * latents[:, [2, 0, 1]] + 1
    result = evaluation.mcc(codes, latents)
    assert result["score"] == 1
    assert result["code_of_latent"].tolist() == [1, 2, 0]
    assert evaluation.lms_spearman(np.exp(codes), latents)["score"] == pytest.approx(1)


def test_mcc_counts_unmatched_latents_as_zero_and_ignores_surplus_codes():
    latents = _normal(100, 4)
    few = evaluation.mcc(latents[:, :1], latents, covariance_ddof=0)
    assert few["score"] == pytest.approx(0.25)
    assert few["code_of_latent"].tolist() == [0, -1, -1, -1]
    many = np.hstack([_normal(100, 5, seed=1), latents, latents])
    assert evaluation.mcc(many, latents)["score"] == 1


def test_a_code_cannot_serve_two_latents():
    shared = _normal(500, 1)
    latents = np.hstack([shared, shared])
    codes = np.hstack([shared, np.zeros_like(shared)])
    assert evaluation.mcc(codes, latents, covariance_ddof=0)["score"] == pytest.approx(0.5)


@pytest.mark.parametrize("score", [evaluation.mcc, evaluation.lms_spearman])
@pytest.mark.parametrize("value", [0.0, 0.1, -1e90])
def test_collapsed_codes_score_zero(score, value):
    result = score(np.full((100, 3), value), _normal(100, 2))
    assert result["score"] == 0
    assert not result["correlations"].any()


def test_batches_are_averaged():
    codes, latents = _normal(250, 2) + 0.3 * _normal(250, 2, seed=1), _normal(250, 2)
    parts = [
        evaluation.mcc(codes[rows], latents[rows])["score"]
        for rows in (slice(0, 100), slice(100, 200), slice(200, 250))
    ]
    whole = evaluation.mcc(codes, latents, batch_size=100)
    assert whole["per_batch"] == pytest.approx(parts)
    assert whole["score"] == pytest.approx(np.average(parts, weights=[100, 100, 50]))


@pytest.mark.parametrize("score", [evaluation.mcc, evaluation.lms_spearman])
def test_a_short_last_batch_makes_no_score_of_noise(score):
    codes, latents = _normal(1026, 2), _normal(1026, 2, seed=1)
    whole = score(codes, latents)
    assert whole["score"] < 0.06
    joined = score(codes, latents, batch_size=1024)
    assert joined["score"] == pytest.approx(whole["score"], abs=1e-12)
    assert len(joined["per_batch"]) == 1
    # 150 rows of noise correlate more than 300, but count half as much.
    parts = score(codes[:450], latents[:450], batch_size=300)
    expected = np.average(parts["per_batch"], weights=[300, 150])
    assert parts["score"] == pytest.approx(expected, abs=1e-12)


def test_rows_of_the_batches_of_trees_count_alike():
    latents, latents_test = _normal(2000, 4), _normal(102, 4, seed=1)
    rows = latents, latents, latents_test, latents_test
    whole = evaluation.lms_tree(*rows, BLOCKS)
    joined = evaluation.lms_tree(*rows, BLOCKS, batch_size=100)
    for key in ("score", "per_block", "r2"):
        np.testing.assert_allclose(joined[key], whole[key], atol=1e-12)
    parts = [
        evaluation.lms_tree(latents, latents, latents_test[i], latents_test[i], BLOCKS)
        for i in (slice(0, 68), slice(68, 102))
    ]
    both = evaluation.lms_tree(*rows, BLOCKS, batch_size=68)
    for key in ("score", "per_block", "r2"):
        expected = np.average([part[key] for part in parts], axis=0, weights=[68, 34])
        np.testing.assert_allclose(both[key], expected, atol=1e-12)


def test_batches_hold_every_row_once():
    from zoo.evaluation.batches import consecutive, lengths

    for rows, size in itertools.product(range(1, 40), [None, *range(1, 50)]):
        batches = consecutive(rows, size)
        assert [i for batch in batches for i in range(rows)[batch]] == list(range(rows))
        if size is not None and rows >= size:
            assert (2 * lengths(batches) >= size).all() and (2 * lengths(batches) < 3 * size).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.permutations(range(3)), st.sampled_from(["pearson", "spearman"]))
def test_mcc_does_not_change_with_order_sign_scale_and_offset(seed, order, correlation):
    rng = np.random.default_rng(seed)
    latents = rng.normal(size=(60, 2))
    codes = np.hstack([latents, rng.normal(size=(60, 1))]) @ rng.normal(size=(3, 3))
    scale = rng.choice([-1, 1], 3) * np.exp(rng.uniform(-20, 20, 3))
    changed = codes[:, order] * scale + scale * rng.normal(size=3)
    first = evaluation.mcc(codes, latents, correlation)["score"]
    second = evaluation.mcc(changed, latents, correlation)["score"]
    assert 0 <= first <= 1
    assert second == pytest.approx(first, abs=1e-9)


def test_lms_tree_knows_matched_blocks_from_mixed_ones():
    latents, latents_test = _normal(3000, 4), _normal(1000, 4, seed=1)
    mix = np.array([[1, 2], [-1, 1]])

    def swapped(values):
        return np.hstack([values[:, 2:] @ mix, values[:, :2]])

    good = evaluation.lms_tree(
        swapped(latents), latents, swapped(latents_test), latents_test, BLOCKS
    )
    assert good["score"] > 0.85
    assert good["r2"][0, 1] > 0.85 and good["r2"][1, 0] > 0.85
    assert good["r2"][0, 0] < 0.05 and good["r2"][1, 1] < 0.05
    noise = evaluation.lms_tree(
        _normal(3000, 4, seed=2), latents, _normal(1000, 4, seed=3), latents_test, BLOCKS
    )
    assert noise["score"] == 0
    assert evaluation.lms_tree(np.zeros((3000, 4)), latents, np.zeros((1000, 4)), latents_test, 2)[
        "score"
    ] == pytest.approx(0, abs=1e-3)


def test_lms_tree_finds_the_best_partition():
    latents, latents_test = _normal(2000, 4), _normal(500, 4, seed=1)
    order = [0, 2, 1, 3]  # The codes of block {0, 1} are 0 and 2.
    rows = latents[:, order], latents, latents_test[:, order], latents_test
    given_blocks = evaluation.lms_tree(*rows, BLOCKS)
    best = evaluation.lms_tree(*rows, BLOCKS, best_partition=True)
    assert given_blocks["blocks"] == BLOCKS and given_blocks["score"] < 0.6
    assert best["blocks"] == [[0, 2], [1, 3]] and best["score"] > 0.95
    every = [
        evaluation.lms_tree(*rows, blocks, latent_blocks=BLOCKS)["score"]
        for blocks in ([[0, 1], [2, 3]], [[0, 2], [1, 3]], [[0, 3], [1, 2]])
    ]
    assert best["score"] == pytest.approx(max(every))


def test_a_number_of_blocks_is_for_codes_and_latents():
    latents, latents_test = _normal(400, 3), _normal(100, 3, seed=1)
    codes, codes_test = (np.repeat(each, 2, axis=1) for each in (latents, latents_test))
    found = evaluation.lms_tree(codes, latents, codes_test, latents_test, 3)
    assert found["blocks"] == [[0, 1], [2, 3], [4, 5]] and found["score"] > 0.9
    assert evaluation.affine_r2(codes, latents, codes_test, latents_test, blocks=3)["score"] > 0.9


def test_partitions_are_all_and_each_once():
    from zoo.evaluation.blocks import partitions

    for sizes, count in (((2, 2), 3), ((2, 2, 2), 15), ((1, 2), 3), ((3, 1, 1), 10), ((4,), 1)):
        blocks = [tuple(range(size)) for size in sizes]
        found = {frozenset(map(frozenset, partition)) for partition in partitions(blocks)}
        assert len(found) == count == len(list(partitions(blocks)))


def test_slot_score_is_one_minus_what_leaks():
    latents = _normal(700, 3, 2)
    own = evaluation.slot_identifiability_score(latents[:, [1, 2, 0]], latents)
    assert own["slot_of_latent"].tolist() == [2, 0, 1]
    assert own["score"] > 0.9
    both = np.concatenate([latents, latents], axis=2)[:, :, :2].copy()
    both[:] = latents.mean(1, keepdims=True)  # Every slot holds the same: nothing is separated.
    assert evaluation.slot_identifiability_score(both, latents)["score"] < 0.05
    collapsed = evaluation.slot_identifiability_score(np.ones((700, 3, 2)), latents)
    assert collapsed["score"] == 0


def test_slot_score_matches_its_definition():
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.metrics import r2_score
    from sklearn.preprocessing import StandardScaler

    latents = _normal(300, 2, 2)
    codes = np.tanh(latents[:, ::-1] @ _normal(2, 3, seed=1)) + 0.5 * latents[:, :, :1]
    r2 = np.zeros((2, 2))
    for i, j in itertools.product(range(2), range(2)):
        x = StandardScaler().fit_transform(codes[:, j])
        y = StandardScaler().fit_transform(latents[:, i])
        model = KernelRidge(kernel="rbf", alpha=1.0).fit(x[:240], y[:240])
        r2[i, j] = max(0, r2_score(y[240:], model.predict(x[240:])))
    result = evaluation.slot_identifiability_score(codes, latents)
    np.testing.assert_allclose(result["r2"], r2, atol=1e-10)
    gaps = [r2[0, 0] - r2[0, 1], r2[1, 1] - r2[1, 0]]
    if r2[0, 1] + r2[1, 0] > r2[0, 0] + r2[1, 1]:
        gaps = [-gap for gap in gaps]
    assert result["score"] == pytest.approx(np.mean(gaps), abs=1e-10)


@settings(max_examples=8, deadline=None)
@given(st.permutations(range(3)), st.permutations(range(3)))
def test_slot_score_does_not_change_with_the_order_of_slots(order, latent_order):
    latents = _normal(200, 3, 2)
    codes = np.tanh(latents @ _normal(2, 2, seed=1)) + 0.3 * _normal(200, 3, 2, seed=2)
    first = evaluation.slot_identifiability_score(codes, latents)["score"]
    second = evaluation.slot_identifiability_score(codes[:, order], latents[:, latent_order])
    assert second["score"] == pytest.approx(first, abs=1e-9)


def test_surplus_and_missing_slots():
    latents = _normal(600, 2, 2)
    spare = np.concatenate([latents, _normal(600, 2, 2, seed=1)], axis=1)
    assert evaluation.slot_identifiability_score(spare, latents)["score"] > 0.9
    missing = evaluation.slot_identifiability_score(latents[:, :1], latents)
    assert missing["slot_of_latent"].tolist() == [0, -1]
    assert 0.4 < missing["score"] < 0.55


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: evaluation.mcc(x[:5], x), "rows"),
        (lambda x: evaluation.mcc(x[:, 0], x), "codes"),
        (lambda x: evaluation.mcc(x * np.nan, x), "codes"),
        (lambda x: evaluation.mcc(x, np.ones_like(x)), "constant"),
        (lambda x: evaluation.mcc(x, x, "kendall"), "kendall"),
        (lambda x: evaluation.mcc(x, x, batch_size=1), "batch_size"),
        (lambda x: evaluation.mcc(x, x, batch_size=2), "batch_size is 2: it must be at least 3"),
        (lambda x: evaluation.mcc(x[:2], x[:2]), "2 rows"),
        (lambda x: evaluation.lms_tree(x, x, x, x, 2, batch_size=1), "batch_size"),
        (lambda x: evaluation.lms_tree(x, x, x, x, [[0, 1], [2]]), "exactly once"),
        (lambda x: evaluation.lms_tree(x, x, x, x, [[0, 1], [1, 2, 3]]), "exactly once"),
        (lambda x: evaluation.lms_tree(x, x, x, x, 3), "equal blocks"),
        (lambda x: evaluation.lms_tree(x, x[:, :2], x, x[:, :2], BLOCKS), "^without latent_blocks"),
        (lambda x: evaluation.lms_tree(x, x, x[:, :2], x, BLOCKS), "differ"),
        (lambda x: evaluation.slot_identifiability_score(x, x), "codes"),
        (lambda x: evaluation.slot_identifiability_score(x[:3, None], x[:3, None]), "few"),
        (
            lambda x: evaluation.slot_identifiability_score(x[:, None], x[:, None], alpha=-1),
            "alpha is -1",
        ),
    ],
)
def test_bad_input_is_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call(_normal(20, 4))
    assert "\n" not in str(caught.value)


def test_too_many_partitions_are_refused():
    x = _normal(30, 16)
    with pytest.raises(ValueError, match="partitions of 16 codes"):
        evaluation.lms_tree(x, x, x, x, 8, best_partition=True)
