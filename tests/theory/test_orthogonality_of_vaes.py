"""Chapter 5.1 of Zietlow 2022: the lemmas and propositions of Theorem 1, and the theorem itself.

Matrices are drawn by their singular values, which are kept apart where a statement asks for it.
"""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm
from scipy.optimize import minimize
from scipy.stats import ortho_group

from zoo import evaluation

SEEDS = st.integers(0, 2**31)
COUNTS = st.integers(2, 5)
positive = st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=6)


def drawn(*strategies):
    """`given`, with fewer examples: the matrices are random enough in one."""
    return lambda test: settings(max_examples=25)(given(*strategies)(test))


def rotation(generator, size: int) -> np.ndarray:
    return ortho_group.rvs(size, random_state=generator)


def distinct(generator, count: int) -> np.ndarray:
    """Singular values whose neighbours differ by a factor of at least 1.2."""
    return np.cumprod(1.2 + generator.uniform(0, 1, count))[::-1] / 5


def matrix(generator, rows: int, columns: int) -> np.ndarray:
    """A matrix of full column rank with distinct singular values."""
    left = rotation(generator, rows)[:, :columns]
    return left * distinct(generator, columns) @ rotation(generator, columns)


def norms(m: np.ndarray) -> np.ndarray:
    return np.linalg.norm(m, axis=0)


def pseudo_determinant(m: np.ndarray) -> float:
    return float(np.prod(np.linalg.svd(m, compute_uv=False)))


def plane_rotation(size: int, i: int, j: int, angle: float) -> np.ndarray:
    turned = np.eye(size)
    turned[[i, j], [i, j]] = math.cos(angle)
    turned[i, j], turned[j, i] = -math.sin(angle), math.sin(angle)
    return turned


@drawn(positive)
def test_lemma_1_means(values):
    arithmetic, geometric = np.mean(values), np.exp(np.mean(np.log(values)))
    assert arithmetic >= geometric * (1 - 1e-12)
    # Equal exactly where the values are.
    assert (arithmetic - geometric < 1e-9 * arithmetic) == (np.ptp(values) < 1e-4 * arithmetic)


@drawn(SEEDS, COUNTS)
def test_lemma_2_hadamard(seed, size):
    generator = np.random.default_rng(seed)
    m = matrix(generator, size, size)
    volume = abs(np.linalg.det(m))
    assert np.prod(norms(m)) >= volume * (1 - 1e-12)
    turned = m @ np.linalg.svd(m)[2].T
    assert np.prod(norms(turned)) == pytest.approx(volume)


@drawn(SEEDS, COUNTS, st.booleans())
def test_lemma_3_three_ways_to_say_that_columns_are_orthogonal(seed, size, orthogonal):
    generator = np.random.default_rng(seed)
    m = matrix(generator, size + 2, size)
    if orthogonal:
        m = m @ np.linalg.svd(m)[2].T
    _, values, right = np.linalg.svd(m, full_matrices=False)
    pairs = [m[:, i] @ m[:, j] for i, j in itertools.combinations(range(size), 2)]
    squared = m.T @ m
    reduced = values[:, None] * right
    inner = reduced.T @ reduced
    said = (
        np.allclose(pairs, 0, atol=1e-8),
        np.allclose(squared, np.diag(np.diag(squared)), atol=1e-8),
        np.allclose(inner, np.diag(np.diag(inner)), atol=1e-8),
    )
    assert said == (orthogonal,) * 3


@drawn(positive)
def test_lemma_4_unequal_values_can_be_brought_nearer_at_the_same_product(values):
    values = np.array(values)
    least, most = values.argmin(), values.argmax()
    delta = 0.5 * (values[most] / values[least] - 1)
    for smaller in (delta, 1e-2 * delta):
        if smaller < 1e-6:
            continue
        nearer = values.copy()
        nearer[most] /= 1 + smaller
        nearer[least] *= 1 + smaller
        assert np.log(nearer).sum() == pytest.approx(np.log(values).sum(), abs=1e-9)
        assert nearer.sum() < values.sum()


@drawn(SEEDS, COUNTS)
def test_lemma_5_a_small_rotation_lessens_the_product_of_the_norms(seed, size):
    m = matrix(np.random.default_rng(seed), size, size)
    inner = m.T @ m
    i, j = max(itertools.combinations(range(size), 2), key=lambda pair: abs(inner[pair]))
    # d/d angle of (c_i . c_j)^2 is 2 (c_i . c_j)(|c_j|^2 - |c_i|^2): the angle goes against it.
    slope = inner[i, j] * (inner[j, j] - inner[i, i])
    cosine = abs(inner[i, j]) / math.sqrt(inner[i, i] * inner[j, j])
    turned = m @ plane_rotation(size, i, j, (1 if slope <= 0 else -1) * 1e-3 * cosine)
    others = [k for k in range(size) if k not in (i, j)]
    np.testing.assert_array_equal(turned[:, others], m[:, others])
    if cosine > 1e-2:
        assert np.prod(norms(turned)) < np.prod(norms(m))
    assert pseudo_determinant(turned) == pytest.approx(pseudo_determinant(m))


@drawn(SEEDS, COUNTS)
def test_proposition_1_axes_are_kept_where_columns_are_orthogonal(seed, size):
    generator = np.random.default_rng(seed)
    scales = generator.permutation(distinct(generator, size))
    m = rotation(generator, size + 2)[:, :size] * scales
    right = np.linalg.svd(m)[2]
    assert np.allclose(np.sort(np.abs(right), axis=1)[:, :-1], 0, atol=1e-8)
    assert evaluation.dto(m[None])["score"] == pytest.approx(0, abs=1e-8)
    # From permutation to orthogonal columns: whichever SVD has one.
    permutation = np.eye(size)[generator.permutation(size)] * generator.choice([-1, 1], size)
    made = rotation(generator, size + 2)[:, :size] * scales @ permutation
    assert np.allclose(made.T @ made, np.diag(norms(made) ** 2))
    # And where columns are not orthogonal, no row of V^T is an axis' alone.
    turned = m @ plane_rotation(size, 0, 1, 0.3)
    assert evaluation.dto(turned[None])["score"] > 0.1


def test_proposition_1_needs_distinct_singular_values():
    m = np.linalg.qr(np.random.default_rng(0).normal(size=(5, 2)))[0]
    turn = plane_rotation(2, 0, 1, math.pi / 4)
    # Orthogonal columns, and an SVD whose V is far from a permutation.
    left, right = m @ turn, turn.T
    np.testing.assert_allclose(left @ right, m)
    np.testing.assert_allclose(left.T @ left, np.eye(2), atol=1e-12)
    assert np.abs(right).max() < 0.8


@drawn(SEEDS, COUNTS)
def test_proposition_5_noise_through_a_linear_map(seed, size):
    generator = np.random.default_rng(seed)
    m = matrix(generator, size + 2, size)
    variances = generator.uniform(0.1, 2, size)
    # E |J e|^2 = tr(J Sigma J^T).
    expected = np.trace(m * variances @ m.T)
    assert expected == pytest.approx(norms(m) ** 2 @ variances)
    bound = size * np.prod(norms(m) ** 2 * variances) ** (1 / size)
    assert expected >= bound * (1 - 1e-12)
    level = 1 / norms(m) ** 2
    level *= (np.prod(variances) / np.prod(level)) ** (1 / size)
    assert np.trace(m * level @ m.T) == pytest.approx(bound)


@drawn(SEEDS, COUNTS)
def test_proposition_6_columns_span_no_more_than_the_product_of_their_norms(seed, size):
    generator = np.random.default_rng(seed)
    m = matrix(generator, size + 2, size)
    assert np.prod(norms(m)) >= pseudo_determinant(m) * (1 - 1e-12)
    kept = rotation(generator, size + 2) @ m
    np.testing.assert_allclose(norms(kept), norms(m))
    assert pseudo_determinant(kept) == pytest.approx(pseudo_determinant(m))
    orthogonal = m @ np.linalg.svd(m)[2].T
    assert np.prod(norms(orthogonal)) == pytest.approx(pseudo_determinant(m))
    # The logarithm of the ratio is the package's contrast.
    contrast = np.log(np.prod(norms(m)) / pseudo_determinant(m))
    assert evaluation.ima_contrast(m[None])["score"] == pytest.approx(contrast, abs=1e-9)


def bound_5_11(jacobians: np.ndarray, budget: float) -> float:
    """The least value of (3.14): N log d - C_1 / d + 2 / d sum_i log det J_i."""
    count, _, d = jacobians.shape
    volumes = sum(math.log(pseudo_determinant(m)) for m in jacobians)
    return count * math.log(d) - budget / d + 2 / d * volumes


def _unpacked(parameters, jacobians, budget):
    """Jacobians turned by V_i, and variances whose -log add up to the budget."""
    count, _, d = jacobians.shape
    upper = np.triu_indices(d, 1)
    angles, logs = np.split(parameters, [count * len(upper[0])])
    turned = []
    for m, part in zip(jacobians, angles.reshape(count, -1), strict=True):
        skew = np.zeros((d, d))
        skew[upper] = part
        turned.append(m @ expm(skew - skew.T))
    logs = logs - (logs.sum() + budget) / logs.size
    return np.stack(turned), np.exp(logs).reshape(count, d)


def objective_3_14(parameters, jacobians, budget):
    turned, variances = _unpacked(parameters, jacobians, budget)
    return np.log((np.square(turned).sum(1) * variances).sum(1)).sum()


@drawn(SEEDS, st.integers(2, 4), st.floats(-3, 8))
def test_theorem_1_no_choice_is_below_the_bound(seed, size, budget):
    generator = np.random.default_rng(seed)
    jacobians = np.stack([matrix(generator, size + 2, size) for _ in range(3)])
    free = 3 * size * (size - 1) // 2 + 3 * size
    value = objective_3_14(generator.normal(0, 2, free), jacobians, budget)
    assert value >= bound_5_11(jacobians, budget) - 1e-9


@pytest.mark.parametrize("seed", range(4))
def test_theorem_1_descent_ends_in_orthogonal_columns_from_anywhere(seed):
    # Part (a): a local minimum that is no global one would hold some start back.
    generator = np.random.default_rng(seed)
    jacobians = np.stack([matrix(generator, 4, 2) for _ in range(2)])
    start = generator.normal(0, 2, 2 * 1 + 2 * 2)
    found = minimize(objective_3_14, start, (jacobians, 3.0), method="BFGS", tol=1e-10)
    assert found.fun == pytest.approx(bound_5_11(jacobians, 3.0), abs=1e-8)
    turned, variances = _unpacked(found.x, jacobians, 3.0)
    assert evaluation.ima_contrast(turned)["score"] == pytest.approx(0, abs=1e-7)
    # Every latent of a sample has the same share of its noise.
    shares = np.square(norms(turned.transpose(1, 0, 2))).reshape(2, 2) * variances
    np.testing.assert_allclose(shares[:, 0], shares[:, 1], rtol=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_corollary_1_the_same_of_one_sample_without_the_logarithm(seed):
    generator = np.random.default_rng(seed)
    jacobians = matrix(generator, 5, 3)[None]
    start = generator.normal(0, 2, 3 + 3)

    def objective(parameters):
        return math.exp(objective_3_14(parameters, jacobians, 2.0))

    found = minimize(objective, start, method="BFGS", tol=1e-10)
    assert found.fun == pytest.approx(math.exp(bound_5_11(jacobians, 2.0)), rel=1e-7)
    turned, _ = _unpacked(found.x, jacobians, 2.0)
    assert evaluation.ima_contrast(turned)["score"] == pytest.approx(0, abs=1e-6)
