"""Chapters 3.2.1, 5.1 and 5.2 of Zietlow 2022: what rotations leave alone, and PCA by Theorem 2.

Densities are integrated by Gauss and Hermite's rule over two latents.
"""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ortho_group

SEEDS = st.integers(0, 2**31)
COUNTS = st.integers(2, 5)
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(80)
GRID = np.stack(np.meshgrid(NODES, NODES, indexing="ij"), -1).reshape(-1, 2)
MASS = np.outer(WEIGHTS, WEIGHTS).ravel() / (2 * math.pi)
VARIANCE = 0.6
# An affine map and something bent.
MAP = np.array([[1.1, -0.4], [0.2, 0.9], [-0.6, 0.5]])


def drawn(*strategies):
    """`given`, with fewer examples: the matrices are random enough in one."""
    return lambda test: settings(max_examples=25)(given(*strategies)(test))


def decoder(z: np.ndarray) -> np.ndarray:
    return z @ MAP.T + 0.3 * np.sin(z[:, :1]) * np.array([1.0, -1.0, 0.5])


def turned(turn: np.ndarray):
    """The decoder of (3.4)."""
    return lambda z: decoder(z @ turn)


def log_density(decode, z: np.ndarray, image: np.ndarray) -> np.ndarray:
    """The logarithm of p(x|z), a Gaussian likelihood."""
    distance = np.square(decode(z) - image).sum(1)
    return -distance / (2 * VARIANCE) - len(image) / 2 * math.log(2 * math.pi * VARIANCE)


def log_likelihood(decode, image: np.ndarray) -> float:
    return math.log(MASS @ np.exp(log_density(decode, GRID, image)))


def elbo(decode, image, mean, covariance) -> float:
    z = mean + GRID @ np.linalg.cholesky(covariance).T
    kl = np.trace(covariance) + mean @ mean - np.linalg.slogdet(covariance)[1] - len(mean)
    return float(MASS @ log_density(decode, z, image) - kl / 2)


def rotation(angle: float) -> np.ndarray:
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


ANGLES = st.floats(-math.pi, math.pi)
IMAGES = st.lists(st.floats(-2, 2), min_size=3, max_size=3).map(np.array)


@drawn(ANGLES, IMAGES)
def test_proposition_2_the_likelihood_does_not_see_rotations(angle, image):
    # Lemma 6 is the statement about each image.
    given_, other = (log_likelihood(d, image) for d in (decoder, turned(rotation(angle))))
    assert other == pytest.approx(given_, abs=1e-6)


@drawn(ANGLES, IMAGES, st.floats(0.05, 1), st.floats(0.05, 1), st.floats(-0.9, 0.9))
def test_proposition_3_nor_does_the_elbo_of_a_posterior_that_turns_along(
    angle, image, first, second, correlation
):
    mean = np.array([0.4, -0.7])
    mixed = correlation * math.sqrt(first * second)
    covariance = np.array([[first, mixed], [mixed, second]])
    turn = rotation(angle)
    given_ = elbo(decoder, image, mean, covariance)
    other = elbo(turned(turn), image, turn @ mean, turn @ covariance @ turn.T)
    assert other == pytest.approx(given_, abs=1e-5)
    assert given_ <= log_likelihood(decoder, image) + 1e-6


def test_a_diagonal_posterior_breaks_proposition_3():
    # Section 3.2.1: for a linear decoder the best diagonal posterior has the precision's diagonal.
    image = np.array([0.5, -1.0, 0.3])
    direction = np.linalg.svd(MAP)[2].T
    best = {}
    for angle in (0.0, math.pi / 4):
        columns = MAP @ direction @ rotation(angle)
        precision = np.eye(2) + columns.T @ columns / VARIANCE
        mean = np.linalg.solve(precision, columns.T @ image / VARIANCE)

        def linear(z, columns=columns):
            return z @ columns.T

        best[angle] = elbo(linear, image, mean, np.diag(1 / np.diag(precision)))
        full = elbo(linear, image, mean, np.linalg.inv(precision))
        assert full == pytest.approx(log_likelihood(linear, image), abs=1e-6)
        # What the diagonal loses is Hadamard's ratio of the precision.
        gap = (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1]) / 2
        assert full - best[angle] == pytest.approx(gap, abs=1e-6)
    assert best[0.0] > best[math.pi / 4] + 1e-2


@drawn(SEEDS, COUNTS)
def test_proposition_4_bias_and_variance(seed, size):
    generator = np.random.default_rng(seed)
    outcomes, image = generator.normal(size=(7, size)), generator.normal(size=size)
    share = generator.dirichlet(np.ones(7))
    mean = share @ outcomes

    def expected(point):
        return share @ np.square(outcomes - point).sum(1)

    assert expected(image) == pytest.approx(expected(mean) + np.square(mean - image).sum())


@drawn(SEEDS, COUNTS)
def test_proposition_7_trace_and_determinant(seed, size):
    generator = np.random.default_rng(seed)
    root = generator.normal(size=(size, size))
    m = root @ root.T

    def bound(semidefinite):
        return size * max(0.0, np.linalg.det(semidefinite)) ** (1 / size)

    assert np.trace(m) > bound(m)
    assert np.trace(3 * np.eye(size)) == pytest.approx(bound(3 * np.eye(size)))
    singular = root[:, :-1] @ root[:, :-1].T
    assert np.trace(singular) > bound(singular)


@drawn(st.lists(st.floats(-5, 5), min_size=2, max_size=8), SEEDS)
def test_lemma_7_the_kl_is_least_where_means_have_unit_variance(means, seed):
    means = np.array(means)
    if np.square(means).mean() < 1e-2:
        means = means + 1.0
    deviations = np.random.default_rng(seed).uniform(0.1, 1, len(means))

    def kl(scale):
        return (scale**2 * means**2 - np.log(scale**2 * deviations**2)).sum()

    # The stationary point is sqrt(n / sum x^2), which (5.46) has without the n and upside down.
    best = math.sqrt(len(means) / np.square(means).sum())
    assert np.square(best * means).mean() == pytest.approx(1)
    for scale in (0.9 * best, 0.999 * best, 1.001 * best, 1.1 * best):
        assert kl(best) < kl(scale)


@drawn(SEEDS, COUNTS)
def test_lemma_8_an_empty_diagonal_stays_empty(seed, size):
    generator = np.random.default_rng(seed)
    diagonal = np.diag(generator.normal(size=size))
    m = generator.normal(size=(size, size))
    np.fill_diagonal(m, 0)
    for product in (m @ diagonal, diagonal @ m, diagonal @ m @ diagonal):
        np.testing.assert_array_equal(np.diag(product), 0)


def noise_cost(turn: np.ndarray, covariance: np.ndarray, budget: float) -> float:
    """Theorem 2's objective at the best noise, for a decoder that turns latents by `turn`.

    Latents of unit variance make column j's square scale the data's variance along row j of
    `turn`; the noise of the given budget then costs `d (prod_j s_j^2 exp(-budget))^(1/d)` at least.
    """
    scales = np.diag(turn @ covariance @ turn.T)
    return len(scales) * (np.prod(scales) * math.exp(-budget)) ** (1 / len(scales))


@drawn(SEEDS, COUNTS, st.floats(-2, 6))
def test_theorem_2_principal_directions_cost_least_noise(seed, size, budget):
    generator = np.random.default_rng(seed)
    data = generator.normal(size=(40, size)) * np.cumprod(np.full(size, 1.5))
    data = (data - data.mean(0)) @ ortho_group.rvs(size, random_state=generator)
    covariance = data.T @ data
    directions = np.linalg.eigh(covariance)[1].T
    best = noise_cost(directions, covariance, budget)
    assert best == pytest.approx(
        size * (np.linalg.det(covariance) * math.exp(-budget)) ** (1 / size)
    )
    signed = np.eye(size)[generator.permutation(size)] * generator.choice([-1, 1], size)
    assert noise_cost(signed @ directions, covariance, budget) == pytest.approx(best)
    other = ortho_group.rvs(size, random_state=generator)
    assert noise_cost(other, covariance, budget) >= best * (1 - 1e-9)

    # (5.41): the latents' own correlation does not matter, only the data turned.
    scales = np.sqrt(np.diag(other @ covariance @ other.T))
    latents = data @ other.T / scales
    noise = np.diag(generator.uniform(0.1, 2, size))
    np.testing.assert_allclose(np.diag(latents.T @ latents), 1)
    assert np.trace(noise @ np.diag(scales**2) @ noise) == pytest.approx(
        np.trace(noise @ other @ covariance @ other.T @ noise)
    )


@drawn(SEEDS)
def test_theorem_2_has_no_other_local_minimum(seed):
    # From any rotation, turning in planes alone lessens the cost until the directions are PCA's.
    generator = np.random.default_rng(seed)
    own = ortho_group.rvs(3, random_state=generator)
    covariance = own * np.array([4.0, 2.0, 1.0]) @ own.T
    turn, value = ortho_group.rvs(3, random_state=generator), np.inf
    for _ in range(60):
        for i, j in ((0, 1), (0, 2), (1, 2)):
            inner = turn @ covariance @ turn.T
            # The angle at which the two are uncorrelated.
            angle = 0.5 * math.atan2(2 * inner[i, j], inner[i, i] - inner[j, j])
            plane = np.eye(3)
            plane[np.ix_([i, j], [i, j])] = rotation(-angle)
            turn = plane @ turn
            now = noise_cost(turn, covariance, 0.0)
            assert now <= value * (1 + 1e-12)
            value = now
    np.testing.assert_allclose(np.sort(np.abs(turn @ own), 1), [[0, 0, 1]] * 3, atol=1e-6)
