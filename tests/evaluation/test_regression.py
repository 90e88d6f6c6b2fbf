"""R2 of regressions and CCA: least squares and eigenvalues written out, analytic cases."""

import itertools

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from zoo import evaluation

BLOCKS = [[0, 1], [2, 3]]
NONLINEAR = [evaluation.kernel_r2, evaluation.mlp_r2]
ALL = [evaluation.affine_r2, *NONLINEAR]


def _normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def _halves(codes, latents):
    half = len(codes) // 2
    return codes[:half], latents[:half], codes[half:], latents[half:]


def test_affine_r2_is_least_squares_of_another_library():
    latents = _normal(400, 3)
    codes = np.tanh(latents @ _normal(3, 4, seed=1)) + 0.3 * _normal(400, 4, seed=2) + 5
    train, latents_train, test, latents_test = _halves(codes, latents)
    predicted = LinearRegression().fit(train, latents_train).predict(test)
    expected = r2_score(latents_test, predicted, multioutput="raw_values")
    result = evaluation.affine_r2(*_halves(codes, latents))
    np.testing.assert_allclose(result["per_latent"], expected, atol=1e-10)
    assert result["score"] == pytest.approx(expected.mean(), abs=1e-10)


def test_affine_r2_by_hand():
    # Of z = x + y with a code x and an equal-variance y that is orthogonal to it, half is known.
    x, y = np.array([1.0, -1, 1, -1] * 5)[:, None], np.array([1.0, 1, -1, -1] * 5)[:, None]
    assert evaluation.affine_r2(x, x + y, x, x + y)["score"] == pytest.approx(0.5, abs=1e-12)
    assert evaluation.affine_r2(x, y, x, y)["score"] == pytest.approx(0, abs=1e-12)


def test_blocks_are_predicted_from_their_own_codes_alone():
    latents = _normal(400, 4) @ (np.eye(4) + 0.3)
    codes = np.hstack([latents[:, 2:] @ _normal(2, 2, seed=1), latents[:, :2] ** 3])
    train, latents_train, test, latents_test = _halves(codes, latents)
    r2 = np.zeros((2, 2))
    for i, j in itertools.product(range(2), range(2)):
        model = LinearRegression().fit(train[:, BLOCKS[i]], latents_train[:, BLOCKS[j]])
        r2[i, j] = r2_score(latents_test[:, BLOCKS[j]], model.predict(test[:, BLOCKS[i]]))
    result = evaluation.affine_r2(*_halves(codes, latents), blocks=BLOCKS)
    np.testing.assert_allclose(result["r2"], r2, atol=1e-10)
    assert result["code_block_of_latent_block"].tolist() == [1, 0]
    np.testing.assert_allclose(result["per_block"], [r2[1, 0], r2[0, 1]], atol=1e-10)
    assert result["score"] == pytest.approx((r2[1, 0] + r2[0, 1]) / 2)
    means = result["per_latent"].reshape(2, 2).mean(1)
    np.testing.assert_allclose(means, result["per_block"], atol=1e-10)


def test_blocks_of_latents_may_be_more_than_those_of_codes():
    latents = _normal(400, 4)
    missing = evaluation.affine_r2(
        *_halves(latents[:, :2], latents), blocks=1, latent_blocks=BLOCKS
    )
    assert missing["code_block_of_latent_block"].tolist() == [0, -1]
    assert missing["score"] == pytest.approx(0.5, abs=1e-9)
    assert missing["per_latent"] == pytest.approx([1, 1, 0, 0], abs=1e-9)


def test_kernel_r2_is_ridge_regression_written_out():
    latents = _normal(240, 2)
    codes = np.tanh(latents @ _normal(2, 2, seed=1)) + 0.1 * _normal(240, 2, seed=2)
    train, latents_train, test, latents_test = _halves(codes, latents)
    mean, spread = train.mean(0), train.std(0)
    train, test = (train - mean) / spread, (test - mean) / spread
    centre = latents_train.mean(0)

    def kernel(a, b):
        return np.exp(-0.5 * ((a[:, None] - b[None]) ** 2).sum(-1))

    scaled = (latents_train - centre) / latents_train.std(0)
    weights = np.linalg.solve(kernel(train, train) + 0.1 * np.eye(len(train)), scaled)
    predicted = kernel(test, train) @ weights * latents_train.std(0) + centre
    expected = r2_score(latents_test, predicted, multioutput="raw_values")
    result = evaluation.kernel_r2(*_halves(codes, latents), alphas=[0.1], gammas=[0.5])
    np.testing.assert_allclose(result["per_latent"], expected, atol=1e-9)


def test_penalty_and_width_are_chosen_for_each_latent():
    x = np.random.default_rng(0).uniform(-3, 3, size=(600, 1))
    latents = np.hstack([np.sin(3 * x), x]) + 0.3 * _normal(600, 2, seed=1)
    both = {"alphas": [0.1], "gammas": [0.01, 3.0]}
    chosen = evaluation.kernel_r2(*_halves(x, latents), **both)["per_latent"]
    alone = [
        evaluation.kernel_r2(*_halves(x, latents), alphas=[0.1], gammas=[gamma])["per_latent"]
        for gamma in (3.0, 0.01)
    ]
    assert alone[0][0] > alone[1][0] + 0.3 and alone[1][1] > alone[0][1]
    np.testing.assert_allclose(chosen, [alone[0][0], alone[1][1]], atol=1e-9)


@pytest.mark.parametrize("score", NONLINEAR)
def test_nonlinear_maps_are_seen_through(score):
    latents = np.random.default_rng(0).uniform(-1, 1, size=(1600, 2))
    radius = 1.5 + latents[:, 0]
    codes = np.stack([radius * np.cos(3 * latents[:, 1]), radius * np.sin(3 * latents[:, 1])], 1)
    rows = _halves(codes, latents)
    assert score(*rows)["score"] > 0.97
    assert evaluation.affine_r2(*rows)["score"] < 0.6
    assert score(*rows)["score"] == score(*rows)["score"]


@pytest.mark.parametrize("score", ALL)
def test_noise_scores_nothing_and_dead_codes_no_more(score):
    latents = _normal(600, 2)
    assert score(*_halves(_normal(600, 3, seed=1), latents))["score"] < 0.05
    for value in (0.0, 0.1, -1e90):
        assert score(*_halves(np.full((600, 3), value), latents))["score"] < 0.01
    blocks = score(*_halves(np.full((600, 2), 1.0), latents), blocks=2)
    assert blocks["score"] < 0.01


@pytest.mark.parametrize("score", ALL)
def test_scale_and_offset_of_codes_and_latents_do_not_count(score):
    latents = _normal(300, 2)
    codes = latents @ _normal(2, 3, seed=1) + 0.3 * _normal(300, 3, seed=2)
    expected = score(*_halves(codes, latents))["score"]
    changed = codes * [1e-30, 1e50, -1], 1e60 * latents + 3e60
    tolerance = 0.02 if score is evaluation.mlp_r2 else 1e-6
    assert score(*_halves(*changed))["score"] == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("score", ALL)
def test_blocks_that_hold_each_other_s_latents_are_matched(score):
    latents = _normal(800, 4)
    codes = np.hstack([latents[:, 2:] @ _normal(2, 2, seed=1), latents[:, :2]])
    result = score(*_halves(codes, latents), blocks=2)
    assert result["score"] > 0.95
    assert result["code_block_of_latent_block"].tolist() == [1, 0]
    assert result["r2"][0, 0] < 0.1 and result["r2"][1, 1] < 0.1
    entangled = score(*_halves(latents[:, [0, 2, 1, 3]], latents), blocks=2)
    assert 0.4 < entangled["score"] < 0.6


def test_cca_is_the_eigenvalue_problem():
    latents = _normal(500, 3)
    codes = latents @ _normal(3, 4, seed=1) + _normal(500, 4, seed=2)
    a, c, b = (
        np.cov(codes.T, latents.T)[rows] for rows in (np.s_[:4, :4], np.s_[:4, 4:], np.s_[4:, 4:])
    )
    squares = np.linalg.eigvals(np.linalg.solve(a, c) @ np.linalg.solve(b, c.T)).real
    expected = np.sqrt(np.sort(squares)[::-1][:3])
    result = evaluation.cca(codes, latents)
    np.testing.assert_allclose(result["correlations"], expected, atol=1e-10)
    assert result["score"] == pytest.approx(expected.mean(), abs=1e-10)
    # Any invertible maps of both leave it unchanged.
    turned = evaluation.cca(codes @ _normal(4, 4, seed=3) + 1, latents @ _normal(3, 3, seed=4))
    assert turned["score"] == pytest.approx(result["score"], abs=1e-9)


def test_cca_counts_lacking_directions_and_is_fair_on_test_rows():
    latents = _normal(400, 4)
    few = evaluation.cca(latents[:, :1], latents)
    assert few["correlations"] == pytest.approx([1, 0, 0, 0], abs=1e-10)
    copies = np.hstack([latents, latents])
    assert evaluation.cca(*_halves(copies, latents))["score"] == pytest.approx(1)
    assert evaluation.cca(np.ones((400, 2)), latents)["score"] == 0
    noise = _normal(400, 60, seed=1)
    assert evaluation.cca(noise, latents)["score"] > 0.3
    assert evaluation.cca(*_halves(noise, latents))["score"] < 0.12


@pytest.mark.parametrize("score", [*ALL, evaluation.cca])
def test_wrong_rows_are_one_clear_line(score):
    x = _normal(40, 4)
    for rows, message in (
        ((x, x[:9], x, x), "rows"),
        ((x, x, x[:, :2], x), "differ"),
        ((x * np.nan, x, x, x), "codes holds nan"),
        ((x, x * 0, x, x), "constant"),
    ):
        with pytest.raises(evaluation.InputError, match=message) as caught:
            score(*rows)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("score", "options", "message"),
    [
        (evaluation.affine_r2, {"blocks": [[0, 1], [2]]}, "exactly once"),
        (evaluation.affine_r2, {"latent_blocks": 2}, "latent_blocks were given without blocks"),
        (evaluation.kernel_r2, {"alphas": []}, "alphas"),
        (evaluation.kernel_r2, {"gammas": [0.0]}, "gammas"),
        (evaluation.kernel_r2, {"max_rows": 5}, "max_rows is 5"),
        (evaluation.mlp_r2, {"hidden": (0,)}, "hidden"),
        (evaluation.mlp_r2, {"max_epochs": 0}, "max_epochs"),
    ],
)
def test_options_out_of_range_are_one_clear_line(score, options, message):
    x = _normal(40, 4)
    with pytest.raises(evaluation.InputError, match=message) as caught:
        score(x, x, x, x, **options)
    assert "\n" not in str(caught.value)


def test_too_few_rows_are_refused():
    x = _normal(5, 2)
    for score in NONLINEAR:
        with pytest.raises(evaluation.InputError, match="5 training rows are too few"):
            score(x, x, x, x)
    half = _normal(40, 2)
    with pytest.raises(evaluation.InputError, match="give both"):
        evaluation.cca(half, half, codes_test=half)
