"""FactorVAE, BetaVAE and IRS: analytic cases, brute force, published scores, the cached encoder."""

import json
import pathlib
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from representations import factor_rows, representation

from zoo import evaluation
from zoo.evaluation import interventional

ROOT = pathlib.Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "../shared/reference"
VOTING = json.loads((ROOT / "tests/golden/voting_scores.json").read_text())
SIZES = (3, 4, 6)
FACTORS = factor_rows(SIZES, 1500)
SMALL = {"num_train": 400, "num_eval": 200, "batch_size": 32}


def _represent(kind):
    return lambda rows: representation(kind, rows, SIZES)


def test_voting_scores_of_representations_known_in_closed_form():
    for kind in ("perfect", "duplicated", "collapsed"):
        for score in (evaluation.factor_vae_score, evaluation.beta_vae_score):
            assert score(_represent(kind), SIZES, 0, **SMALL)["score"] == 1
    for score in (evaluation.factor_vae_score, evaluation.beta_vae_score):
        noise = np.random.default_rng(0)
        chance = score(lambda rows, n=noise: n.normal(size=(len(rows), 4)), SIZES, 0, **SMALL)
        assert chance["score"] == pytest.approx(1 / 3, abs=0.12)


def test_merging_two_factors_loses_one_of_three():
    # The vote goes to the merged code whenever one of its factors is fixed: it can name only one.
    merged = evaluation.factor_vae_score(
        lambda rows: np.stack([rows[:, 0] + rows[:, 1], rows[:, 2]], 1), (4, 4, 4), 0, **SMALL
    )
    assert 0.5 < merged["score"] < 0.85


def test_dead_codes_take_no_part_and_all_dead_scores_zero():
    result = evaluation.factor_vae_score(_represent("collapsed"), SIZES, 0, **SMALL)
    assert result["active"].tolist() == [True] * 3 + [False] * 2
    assert result["votes"].shape == (3, 5) and result["votes"][:, 3:].sum() == 0
    assert result["votes"].sum() == SMALL["num_train"]
    for value in (0.0, 0.3):
        dead = evaluation.factor_vae_score(
            lambda rows, v=value: np.full((len(rows), 2), v),
            SIZES,
            0,
            **SMALL,
            prune_threshold=0,
        )
        assert dead["score"] == 0
        guess = evaluation.beta_vae_score(
            lambda rows, v=value: np.full((len(rows), 2), v), SIZES, 0, **SMALL
        )
        assert guess["score"] == pytest.approx(1 / 3, abs=0.12)


def test_scores_are_those_of_one_vote_at_a_time(monkeypatch):
    # Small chunks and large ones draw differently, and must agree within sampling noise.
    represent = _represent("rotated")
    settings_ = {"num_train": 2000, "num_eval": 2000, "batch_size": 16}
    for score in (evaluation.factor_vae_score, evaluation.beta_vae_score):
        at_once = score(represent, SIZES, 0, **settings_)["score"]
        with monkeypatch.context() as patch:
            patch.setattr(interventional, "_CHUNK_ROWS", 1)
            singly = score(represent, SIZES, 1, **settings_)["score"]
        assert singly == pytest.approx(at_once, abs=3 * np.sqrt(2 * 0.25 / 2000))
        assert score(represent, SIZES, 0, **settings_)["score"] == at_once


@pytest.mark.parametrize("name", ["dsprites_mixed", "shapes3d_mixed"])
@pytest.mark.parametrize("score", ["factor_vae", "beta_vae"])
def test_published_implementation_scores_the_same(name, score):
    case = VOTING[name]
    sizes, matrix = np.array(case["sizes"]), np.array(case["matrix"])

    def represent(rows):
        return np.tanh(((rows + 0.5) / sizes * 2 - 1) @ matrix)

    function = getattr(evaluation, f"{score}_score")
    found = [
        function(represent, sizes, s, num_train=4000, num_eval=2000)["score"] for s in range(2)
    ]
    expected = np.mean(case[score])
    # Accuracies on 2,000 points or more, and what the seeds add to that.
    variance = max(expected * (1 - expected) / 2000, np.var(case[score], ddof=1))
    error = np.sqrt(variance / len(case[score]) + variance / len(found))
    assert abs(np.mean(found) - expected) < 3 * error


def test_irs_by_brute_force():
    codes = representation("rotated", FACTORS, SIZES) + 0.1 * np.sin(np.arange(1500))[:, None]
    expected = np.zeros((3, 3))
    for code in range(3):
        z = codes[:, code]
        for factor in range(3):
            groups = [z[FACTORS[:, factor] == v] for v in range(SIZES[factor])]
            spread = [np.quantile(np.abs(g - g.mean()), 0.99) for g in groups]
            expected[code, factor] = 1 - np.mean(spread) / np.abs(z - z.mean()).max()
    result = evaluation.irs(codes, FACTORS)
    np.testing.assert_allclose(result["matrix"], expected, atol=1e-12)
    weights = np.abs(codes - codes.mean(0)).max(0)
    score = np.average(expected.max(1), weights=weights)
    assert result["score"] == pytest.approx(score, abs=1e-12)
    assert result["parents"].tolist() == expected.argmax(1).tolist()


def test_irs_of_representations_known_in_closed_form():
    for kind in ("perfect", "duplicated", "collapsed"):
        result = evaluation.irs(representation(kind, FACTORS, SIZES), FACTORS)
        assert result["score"] == pytest.approx(1)
    assert result["parents"].tolist() == [0, 1, 2, -1, -1]
    assert evaluation.irs(representation("random", FACTORS, SIZES), FACTORS)["score"] < 0.4
    for dead in (np.zeros((1500, 2)), np.full((1500, 2), 0.3)):
        assert evaluation.irs(dead, FACTORS)["score"] == 0


def test_irs_puts_factors_in_bins_when_asked():
    codes = np.arange(1500.0)[:, None] % 40
    factors = (np.arange(1500)[:, None] % 40).astype(int)
    assert evaluation.irs(codes, factors)["score"] == pytest.approx(1)
    assert evaluation.irs(codes, factors, num_bins=20)["score"] == pytest.approx(
        1 - 0.5 / 19.5, abs=1e-3
    )


@settings(max_examples=20, deadline=None)
@given(
    order=st.permutations(range(3)),
    signs=st.lists(st.sampled_from([-1.0, 1.0]), min_size=3, max_size=3),
    scale=st.floats(0.01, 100),
)
def test_scores_ignore_order_sign_and_scale_of_codes(order, signs, scale):
    codes = representation("rotated", FACTORS, SIZES)
    before = evaluation.irs(codes, FACTORS)["score"]
    after = evaluation.irs((scale * codes * signs)[:, order], FACTORS)["score"]
    assert after == pytest.approx(before, abs=1e-9)
    votes = {"num_train": 60, "num_eval": 60, "batch_size": 8, "prune_threshold": 0.0}
    plain = evaluation.factor_vae_score(_represent("noisy"), SIZES, 3, **votes)["score"]
    changed = evaluation.factor_vae_score(
        lambda rows: (scale * representation("noisy", rows, SIZES) * signs)[:, order],
        SIZES,
        3,
        **votes,
    )["score"]
    assert changed == plain


class _Images:
    """Images whose pixels are the two factors, with a record of what was read."""

    maximum = 3.0

    def __init__(self):
        self.read = []

    def __len__(self):
        return 12

    def __getitem__(self, numbers):
        self.read.extend(np.unique(numbers).tolist())
        return np.stack([numbers // 4, numbers % 4], axis=1).astype(np.uint8)


def _dataset():
    space = types.SimpleNamespace(
        sizes=(3, 4), index=lambda rows: np.asarray(rows) @ np.array([4, 1])
    )
    return types.SimpleNamespace(images=_Images(), space=space)


def test_adapter_encodes_each_image_once_in_batches_of_one_size():
    dataset, shapes = _dataset(), []

    def encoder(images):
        shapes.append(images.shape)
        return images * 3

    represent = evaluation.represent(encoder, dataset, batch_size=5)
    rows = factor_rows((3, 4), 200)
    np.testing.assert_allclose(represent(rows[:3]), rows[:3], atol=1e-6)
    np.testing.assert_allclose(represent(rows), rows, atol=1e-6)
    represent(rows[::-1])
    assert set(shapes) == {(5, 2)}
    assert sorted(dataset.images.read) == list(range(12))
    assert evaluation.factor_vae_score(represent, dataset.space, 0, **SMALL)["score"] == 1


def test_bad_encoders_and_spaces_are_refused():
    rows = np.zeros((3, 2), int)
    with pytest.raises(ValueError, match="codes of shape"):
        evaluation.represent(lambda images: images[:2], _dataset())(rows)
    with pytest.raises(ValueError, match="not finite"):
        evaluation.represent(lambda images: images * np.nan, _dataset())(rows)
    with pytest.raises(ValueError, match="no factor grid"):
        evaluation.represent(lambda images: images, types.SimpleNamespace(space=None, images=[]))
    for score in (evaluation.factor_vae_score, evaluation.beta_vae_score):
        with pytest.raises(ValueError, match="holds nan"):
            score(lambda rows: rows * np.nan, SIZES, 0)
        with pytest.raises(ValueError, match="made 1 codes"):
            score(lambda rows: rows[:1], SIZES, 0)
        with pytest.raises(ValueError, match="factor 1 of the grid is constant"):
            score(lambda rows: rows, (3, 1), 0)
        with pytest.raises(ValueError, match="at least 2"):
            score(lambda rows: rows, (3,), 0)
        with pytest.raises(ValueError, match="num_eval is 0"):
            score(lambda rows: rows, SIZES, 0, num_eval=0)
    with pytest.raises(ValueError, match="diff_quantile"):
        evaluation.irs(FACTORS, FACTORS, diff_quantile=1.5)


def test_reference_scores():
    if not REFERENCE.exists():
        pytest.skip("the reference scores are not beside this checkout")
    scores = json.loads((REFERENCE / "metric_scores.json").read_text())
    with np.load(REFERENCE / "metric_scores.npz") as arrays:
        for name, expected in scores.items():
            if "irs" not in expected:
                continue
            codes, factors = arrays[f"{name}_codes"][:4000], arrays[f"{name}_factors"][:4000]
            found = evaluation.irs(codes, factors)["score"]
            if np.isnan(expected["irs"]):
                assert 0 < found < 1
            else:
                assert found == pytest.approx(expected["irs"], abs=1e-9)
