import itertools
import json
import pathlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

from zoo import evaluation

SHARED = pathlib.Path(__file__).resolve().parents[2] / "../shared/reference"
# Columns (4, -3, 5) and (1, 1, -1); turning the latents by 45 degrees entangles them.
WORKED = np.array([[4.0, 1.0], [-3.0, 1.0], [5.0, -1.0]])
TURN = np.array([[1.0, -1.0], [1.0, 1.0]]) / np.sqrt(2)


def random_jacobians(seed, samples=3, outputs=12, latents=4):
    return np.random.default_rng(seed).normal(size=(samples, outputs, latents))


def dto_by_enumeration(matrix):
    vectors = np.linalg.svd(matrix)[2].T
    size = len(vectors)
    best = None
    for permutation in itertools.permutations(range(size)):
        for signs in itertools.product([-1, 1], repeat=size):
            signed = np.zeros((size, size))
            signed[range(size), permutation] = signs
            cost = np.abs(vectors - signed).sum()
            if best is None or cost < best[0]:
                best = cost, np.linalg.norm(vectors - signed)
    return best[1]


@pytest.mark.parametrize("solver", ["assignment", "milp"])
def test_dto_is_the_best_of_all_signed_permutations(solver):
    jacobians = random_jacobians(0)
    expected = [dto_by_enumeration(matrix) for matrix in jacobians]
    found = evaluation.dto(jacobians, solver)
    np.testing.assert_allclose(found["per_sample"], expected, atol=1e-9)
    assert found["score"] == pytest.approx(np.mean(expected))


def test_worked_linear_example():
    """Section 3.2.4 of the dissertation: the product of column norms grows by the turn."""
    norms = np.linalg.norm(WORKED, axis=0) ** 2, np.linalg.norm(WORKED @ TURN, axis=0) ** 2
    np.testing.assert_allclose(norms[0], [50, 3])
    np.testing.assert_allclose(sorted(norms[1]), [45 / 2, 61 / 2])
    straight, turned = evaluation.dto(WORKED[None]), evaluation.dto((WORKED @ TURN)[None])
    # The columns have inner product -4: V is a rotation by this angle, short of 45 degrees after.
    angle = np.arctan(2 * 4 / (50 - 3)) / 2
    assert straight["score"] == pytest.approx(2 * np.sqrt(2) * np.sin(angle / 2))
    assert turned["score"] == pytest.approx(2 * np.sqrt(2) * np.sin((np.pi / 4 - angle) / 2))
    contrasts = [evaluation.ima_contrast(m[None])["score"] for m in (WORKED, WORKED @ TURN)]
    determinant = 50 * 3 - 4**2
    np.testing.assert_allclose(contrasts[0], np.log(50 * 3 / determinant) / 2)
    np.testing.assert_allclose(contrasts[1], np.log(61 * 45 / 4 / determinant) / 2)
    # 24.5 and 52.4 are twice the roots of the products, whose ratio the contrasts hold.
    assert contrasts[1] - contrasts[0] == pytest.approx(np.log(52.39 / 24.49), abs=1e-3)


@pytest.mark.parametrize(
    ("latents", "mean", "deviation"), [(2, 0.547, 0.317), (5, 1.636, 0.188), (6, 1.915, 0.169)]
)
def test_dto_of_random_rotations(latents, mean, deviation):
    """Column norms 1, 2, ... and Haar-random right singular vectors."""
    turns = ortho_group.rvs(latents, size=2000, random_state=np.random.default_rng(latents))
    found = evaluation.dto(np.arange(1, latents + 1)[:, None] * turns)["per_sample"]
    assert found.mean() == pytest.approx(mean, abs=4 * deviation / np.sqrt(2000))
    assert found.std() == pytest.approx(deviation, abs=0.02)


def test_orthogonal_columns_score_zero():
    basis = np.linalg.qr(random_jacobians(1))[0]
    jacobians = basis * [5.0, 0.1, 2.0, 1.0]
    assert evaluation.dto(jacobians)["score"] == pytest.approx(0, abs=1e-12)
    assert evaluation.ima_contrast(jacobians)["score"] == pytest.approx(0, abs=1e-12)
    np.testing.assert_array_equal(evaluation.dto(jacobians)["permutation"], [[0, 3, 1, 2]] * 3)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10**6),
    st.permutations(range(4)),
    st.lists(st.sampled_from([-1, 1]), min_size=4, max_size=4),
)
def test_renaming_latents_changes_nothing(seed, order, signs):
    jacobians = random_jacobians(seed)
    renamed = jacobians[:, :, order] * signs
    for score in (evaluation.dto, evaluation.ima_contrast, evaluation.singular_values):
        assert score(renamed)["score"] == pytest.approx(score(jacobians)["score"], abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.floats(0.01, 100), min_size=4, max_size=4))
def test_ima_contrast_ignores_scales_and_is_positive(seed, scales):
    jacobians = random_jacobians(seed)
    base = evaluation.ima_contrast(jacobians)["score"]
    assert base > 0
    assert evaluation.ima_contrast(jacobians * scales)["score"] == pytest.approx(base, abs=1e-9)


def test_dead_latents_are_left_out():
    jacobians = random_jacobians(2)
    padded = np.insert(jacobians, [1, 3], 0.0, axis=2)
    for score in (evaluation.dto, evaluation.ima_contrast, evaluation.singular_values):
        assert score(padded)["score"] == pytest.approx(score(jacobians)["score"], abs=1e-9)
    np.testing.assert_array_equal(evaluation.dto(padded)["permutation"][:, [1, 4]], -1)
    nothing = np.zeros((2, 7, 3))
    with pytest.warns(UserWarning, match="at most one live"):
        assert evaluation.dto(nothing)["score"] == evaluation.ima_contrast(nothing)["score"] == 0
        spectrum = evaluation.singular_values(nothing)
    assert spectrum["score"] == 1 and not spectrum["rank"].any()
    assert np.isfinite(spectrum["condition_number"]).all()


@pytest.mark.parametrize(
    "score", [evaluation.dto, evaluation.ima_contrast, evaluation.singular_values]
)
def test_how_many_latents_are_live(score):
    jacobians = random_jacobians(2)
    assert score(jacobians)["live"].tolist() == [4, 4, 4]
    # What float32 leaves of a dead column has any direction.
    padded = np.concatenate([jacobians, 1e-7 * random_jacobians(3)[:, :, :2]], axis=2)
    nearly = score(padded)
    assert nearly["live"].tolist() == [4, 4, 4]
    assert nearly["score"] == pytest.approx(score(jacobians)["score"], abs=1e-9)
    small = jacobians * [1e-5, 1.0, 1.0, 1.0]
    assert score(1e-30 * small)["live"].tolist() == [4, 4, 4]
    for count in (0, 1):
        few = jacobians * (np.arange(4) < count)
        with pytest.warns(UserWarning, match="at 3 of 3 latents .* at most one live column"):
            assert score(few)["live"].tolist() == [count] * 3


def test_dependent_columns_stay_finite():
    jacobians = random_jacobians(3)
    jacobians[:, :, 3] = jacobians[:, :, 0]
    contrast = evaluation.ima_contrast(jacobians)
    assert 30 < contrast["score"] < 50 and contrast["rank_deficient"].all()
    assert np.isfinite(evaluation.dto(jacobians)["score"])
    assert (evaluation.singular_values(jacobians)["rank"] == 3).all()
    # More latents than outputs: the right singular vectors are completed to a basis.
    wide = evaluation.dto(random_jacobians(4, outputs=2))
    assert 0 <= wide["score"] <= np.sqrt(8) and (wide["permutation"] >= 0).all()


@pytest.mark.parametrize(("kind", "nats"), [("float32", 16), ("float64", 36.1)])
def test_dependent_columns_are_told_by_the_rounding_of_their_type(kind, nats):
    jacobians = random_jacobians(3).astype(kind)
    jacobians[:, :, 3] = jacobians[:, :, :3].sum(-1)
    rest = evaluation.ima_contrast(jacobians[:, :, :3])["score"]
    for given_ in (jacobians, np.linalg.qr(jacobians.astype("float64"))[1].astype(kind)):
        assert (evaluation.singular_values(given_)["rank"] == 3).all()
        contrast = evaluation.ima_contrast(given_)
        assert contrast["rank_deficient"].all() and rest < contrast["score"] < rest + nats + 2
    jacobians[:, 0, 3] += 1e-5
    assert (evaluation.singular_values(jacobians)["rank"] == 4).all()
    assert not evaluation.ima_contrast(jacobians)["rank_deficient"].any()


def test_singular_values_and_their_degeneracy():
    basis = np.linalg.qr(random_jacobians(5, samples=2))[0]
    spread = evaluation.singular_values(basis * [8.0, 1.0, 4.0, 2.0])
    np.testing.assert_allclose(spread["values"], [[8, 4, 2, 1]] * 2)
    np.testing.assert_allclose(spread["smallest_gap"], 0.5)
    np.testing.assert_allclose(spread["condition_number"], 8)
    assert spread["degenerate_share"] == 0
    equal = evaluation.singular_values(basis * [8.0, 4.0, 4.0, 1.0])
    assert equal["score"] == pytest.approx(0, abs=1e-12) and equal["degenerate"].all()


def test_the_triangular_factor_stands_for_the_jacobian():
    jacobians = random_jacobians(6)
    triangular = np.linalg.qr(jacobians)[1]
    for score in (evaluation.dto, evaluation.ima_contrast, evaluation.singular_values):
        assert score(triangular)["score"] == pytest.approx(score(jacobians)["score"], abs=1e-9)


def test_pca_alignment_of_optimal_turned_and_collapsed_linear_decoders():
    generator = np.random.default_rng(7)
    turn = ortho_group.rvs(4, random_state=generator)
    data = generator.normal(size=(500, 4)) * [4.0, 2.0, 1.0, 0.1] @ turn.T
    directions = np.linalg.svd(data - data.mean(0))[2].T
    weights = directions[:, [1, 0, 2]] * [-2.0, 3.0, 1.0]
    aligned = evaluation.pca_alignment(weights, data)
    assert aligned["score"] == pytest.approx(1) and aligned["dto"] == pytest.approx(0, abs=1e-7)
    np.testing.assert_array_equal(aligned["component"], [1, 0, 2])
    assert not aligned["degenerate"]
    turned = np.concatenate([weights[:, :2] / [2, 3] @ TURN, weights[:, 2:]], 1)
    expected = (2 / np.sqrt(2) + 1) / 3
    assert evaluation.pca_alignment(turned, data)["score"] == pytest.approx(expected)
    weights[:, 2] = 0
    collapsed = evaluation.pca_alignment(weights, data)
    assert collapsed["score"] == pytest.approx(1) and collapsed["component"][2] == -1
    assert evaluation.pca_alignment(np.zeros((4, 2)), data)["score"] == 0
    assert evaluation.pca_alignment(weights, generator.normal(size=(5000, 4)))["degenerate"]


@pytest.mark.parametrize(
    ("jacobians", "message"),
    [
        (np.ones((3, 4)), "jacobians of shape"),
        (np.full((1, 3, 2), np.nan), "finite"),
        (np.ones((0, 3, 2)), "empty"),
        (np.array([["a"]]), "type"),
    ],
)
def test_bad_jacobians_are_named(jacobians, message):
    for score in (evaluation.dto, evaluation.ima_contrast, evaluation.singular_values):
        with pytest.raises(ValueError, match=message):
            score(jacobians)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="solver 'ilp'"):
        evaluation.dto(random_jacobians(0), "ilp")
    with pytest.raises(ValueError, match="weights of shape"):
        evaluation.pca_alignment(np.ones((4, 2)), np.ones((9, 5)))
    with pytest.raises(ValueError, match="the data are constant"):
        evaluation.pca_alignment(np.eye(4), np.full((9, 4), 0.1))


@pytest.mark.parametrize("case", ["orthogonal", "near", "random"])
def test_reference_scores(case):
    if not SHARED.exists():
        pytest.skip("the reference scores are not beside this repository")
    scores = json.loads((SHARED / "jacobian_and_matching_scores.json").read_text())[f"dto_{case}"]
    with np.load(SHARED / "jacobian_and_matching_scores.npz") as arrays:
        jacobians = arrays[f"dto_{case}_jacobians"]
    for solver in ("assignment", "milp"):
        found = evaluation.dto(jacobians, solver)["score"]
        assert found == pytest.approx(scores["dto"], abs=1e-6)
    found = evaluation.ima_contrast(jacobians)["score"]
    assert found == pytest.approx(scores["ima_contrast"], abs=1e-6)


@pytest.mark.parametrize("score", [evaluation.dto, evaluation.singular_values])
def test_a_decoder_is_no_jacobian(score):
    with pytest.raises(evaluation.InputError, match="give zoo.evaluation.jacobian.decoder, lat"):
        score(lambda latents: latents, np.ones((5, 2)))


def test_a_solver_is_a_name():
    with pytest.raises(evaluation.InputError, match="solver of type ndarray: must be 'assignment'"):
        evaluation.dto(np.ones((3, 4, 2)), np.ones((3, 2)))
