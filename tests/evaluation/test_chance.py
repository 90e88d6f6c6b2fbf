"""Chance levels: a mean over permutations written out by hand, and values known beforehand."""

import types

import numpy as np
import pytest

from zoo import evaluation
from zoo.data.dataset import Dataset, DenseImages
from zoo.data.space import Factor, FactorSpace
from zoo.evaluation import chance, facts


def _level(name: str, *needed, seed: int = 0, **settings):
    return chance.level(getattr(evaluation, name), facts.of(name), needed, settings, seed)


def _codes_and_factors(count: int = 1200):
    generator = np.random.default_rng(0)
    factors = generator.integers((3, 4), size=(count, 2))
    return factors + 0.1 * generator.normal(size=factors.shape), factors


def test_it_is_the_mean_over_permuted_factors():
    codes, factors = _codes_and_factors()
    scores = [
        evaluation.mig(codes, factors[generator.permutation(len(factors))])["score"]
        for generator in np.random.default_rng(7).spawn(5)
    ]
    assert _level("mig", codes, factors, seed=7) == pytest.approx(np.mean(scores), abs=1e-12)
    assert evaluation.mig(codes, factors)["score"] > 0.9 and np.mean(scores) < 0.02


def test_it_is_the_known_value_where_there_is_one():
    codes, factors = _codes_and_factors(3000)
    halves = codes[:2000], factors[:2000], codes[2000:], factors[2000:]
    assert _level("explicitness", *halves) == pytest.approx(0.5, abs=0.03)
    masks = np.random.default_rng(0).integers(0, 3, size=(12, 30, 30))
    assert evaluation.ari(masks, masks)["score"] == 1
    assert _level("ari", masks, masks) == pytest.approx(0, abs=0.15)


def test_training_and_test_halves_are_permuted_apart_and_keep_their_values():
    seen = []

    def score(codes, factors, codes_test, factors_test):
        seen.append((factors, factors_test))
        return {"score": len(seen)}

    halves = np.ones((5, 1)), np.arange(5)[:, None], np.ones((4, 1)), 10 + np.arange(4)[:, None]
    known = facts.of("sap")
    assert chance.level(score, known, halves, {}, 0) == 3  # The mean of 1 to 5.
    for factors, factors_test in seen:
        assert sorted(factors.ravel()) == [0, 1, 2, 3, 4]
        assert sorted(factors_test.ravel()) == [10, 11, 12, 13]
    assert len({factors.tobytes() for factors, _ in seen}) > 1


def test_orthogonal_columns_are_turned_to_what_a_random_basis_gives():
    jacobians = np.array([np.diag([1.0, 2.0, 3.0, 0.0])] * 3)
    assert evaluation.dto(jacobians)["score"] == pytest.approx(0)
    assert _level("dto", jacobians) > 0.2
    assert _level("ima_contrast", jacobians) > 0.01
    turned = chance._turned({"jacobians": jacobians}, np.random.default_rng(0))["jacobians"]
    # The dead latent stays so, and singular values are those of before.
    assert (turned[..., 3] == 0).all()
    assert np.linalg.svd(turned[0], compute_uv=False) == pytest.approx([3, 2, 1, 0])


def test_independent_codes_are_turned_to_correlated_ones():
    codes = np.random.default_rng(0).normal(size=(2000, 3)) * [1, 3, 9]
    assert _level("gaussian_total_correlation", codes) > 0.1
    assert evaluation.gaussian_total_correlation(codes)["score"] < 0.01


def test_scores_without_a_better_end_or_of_reconstructions_have_none():
    assert _level("singular_values", np.ones((2, 3, 3))) is None
    assert _level("reconstruction_rmse", np.ones((2, 3, 3)), np.ones((2, 3, 3))) is None
    assert _level("mcc", np.ones((1, 2)), np.ones((1, 2))) is None


def test_a_table_has_it_on_request():
    axes = [Factor(f"f{i}", tuple(map(float, range(n))), False) for i, n in enumerate((5, 4, 6))]
    space = FactorSpace(tuple(axes))
    factors = space.factors(np.arange(len(space)))
    dataset = Dataset("toy", DenseImages(factors.astype(np.uint8)[:, None, :, None]), space=space)
    model = types.SimpleNamespace(encode=lambda images: 255 * images.reshape(len(images), 3))
    names, sizes = ["mig", "factor_vae_score", "dto"], {"num_train": 600, "num_test": 300}
    options = {"factor_vae_score": {"num_train": 300, "num_eval": 200}}
    plain = evaluation.evaluate(model, dataset, names, options=options, **sizes)
    table = evaluation.evaluate(model, dataset, names, options=options, chance=True, **sizes)
    assert [row["score"] for row in table.values()] == [row["score"] for row in plain.values()]
    assert "chance" not in plain["mig"]
    assert table["mig"]["chance"] < 0.05 < 0.9 < table["mig"]["score"]
    # Of three factors one vote in three is right by chance; the most frequent wins a little more.
    assert table["factor_vae_score"]["score"] == 1
    assert 0.25 < table["factor_vae_score"]["chance"] < 0.6
    assert table["dto"]["chance"] is None and table["dto"]["reason"] == "the model has no decoder"
