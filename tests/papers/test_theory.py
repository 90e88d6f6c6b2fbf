"""The numbers behind the computed figures of Zietlow 2022, against closed forms and sampling."""

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from zoo.data.renderers import synthetic
from zoo.papers.zietlow import theory

RNG = np.random.default_rng(0)
LATENTS = RNG.normal(size=(6, 2))
NOISE = RNG.normal(size=(6, 6))


def observed(mixing, variance):
    return mixing(LATENTS) + math.sqrt(variance) * NOISE


@pytest.mark.parametrize("variance", [1.0, 1e-3])
def test_of_a_linear_decoder_everything_is_known(variance):
    weights = RNG.normal(size=(6, 2))
    mixing = synthetic.affine(weights)
    x = observed(mixing, variance)
    found = theory.bounds(mixing, x, np.zeros((6, 2)), variance)
    covariance = weights @ weights.T + variance * np.eye(6)
    expected = multivariate_normal(np.zeros(6), covariance).logpdf(x)
    np.testing.assert_allclose(found.likelihood, expected, atol=1e-8)
    precision = np.eye(2) + weights.T @ weights / variance
    np.testing.assert_allclose(found.modes, x @ weights / variance @ np.linalg.inv(precision))
    gap = (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1]) / 2
    np.testing.assert_allclose(found.likelihood - found.elbo, gap, atol=1e-7)
    # A self-consistent encoder: the best means are the modes, whatever the noise.
    np.testing.assert_allclose(found.means, found.modes, atol=1e-5)


def test_of_a_bent_decoder_they_meet_as_the_noise_vanishes():
    mixing = synthetic.random_network(seed=0)
    found = {s: theory.bounds(mixing, observed(mixing, s), LATENTS, s) for s in (1e-2, 1e-4, 1e-6)}
    for bounds in found.values():
        assert (bounds.elbo <= bounds.likelihood + 1e-9).all()
    regularised = [np.abs(b.likelihood - b.contrast - b.elbo).mean() for b in found.values()]
    inconsistent = [np.linalg.norm(b.means - b.modes, axis=1).mean() for b in found.values()]
    for sizes in (regularised, inconsistent):
        assert sizes[1] < 0.2 * sizes[0] and sizes[2] < 0.2 * sizes[1]
    assert regularised[2] < 1e-3 < 0.1 < found[1e-6].contrast.mean()


def test_the_likelihood_is_the_integral_over_the_prior():
    mixing, variance = synthetic.random_network(seed=1), 0.5
    x = observed(mixing, variance)[:2]
    found = theory.bounds(mixing, x, LATENTS[:2], variance).likelihood
    nodes, weights = theory._nodes(60, 2)
    errors = np.square(x[:, None] - mixing(nodes)).sum(-1)
    density = np.exp(-errors / (2 * variance)) @ weights / (2 * math.pi * variance) ** 3
    np.testing.assert_allclose(found, np.log(density), atol=2e-3)


def test_kl_of_one_latent():
    assert theory.kl(0.0, 1.0) == 0
    assert theory.kl(1.5, 0.2) == pytest.approx((2.25 + 0.04 - 1) / 2 - math.log(0.2))


def test_turned_latents_cost_what_the_worked_example_says():
    # Zietlow 2022, eq. 3.20 to 3.22: columns of squared norms 50 and 3, and 61/2 and 45/2.
    weights = np.array([[4.0, 1.0], [-3.0, 1.0], [5.0, -1.0]])
    straight, turned = theory.turned_kl(weights, np.array([0.0, -math.pi / 4]), 1.0)
    assert straight == pytest.approx(math.log(4 * 50 * 3) / 2)
    assert turned == pytest.approx(math.log(4 * 61 * 45 / 4) / 2)
    angles = np.linspace(0, math.pi / 2, 2001)
    best = theory.turned_kl(weights, angles, 1.0).min()
    assert best == pytest.approx(math.log(4 * np.linalg.det(weights.T @ weights)) / 2, abs=1e-6)


def test_a_disc_is_polar_and_a_square_is_cartesian():
    cartesian, polar = theory.superellipse(2.0)
    assert cartesian == pytest.approx(math.log(math.pi) - 1, abs=1e-5)
    assert polar == pytest.approx(0, abs=1e-5)
    cartesian, polar = theory.superellipse(400.0)
    assert cartesian == pytest.approx(0, abs=0.01) and polar > 0.05
    with pytest.raises(ValueError, match="power 1"):
        theory.superellipse(1.0)


def test_total_correlations_are_those_of_samples():
    points = RNG.uniform(-1, 1, (400_000, 2))
    points = points[(np.abs(points) ** 4).sum(1) <= 1]

    def entropy(values):
        density, edges = np.histogram(values, bins=300, density=True)
        seen = density > 0
        return -(np.diff(edges) * density * np.log(np.where(seen, density, 1)))[seen].sum()

    area, radius = math.log(4 * len(points) / 400_000), np.hypot(*points.T)
    angle = np.arctan2(points[:, 1], points[:, 0])
    cartesian, polar = theory.superellipse(4.0)
    assert cartesian == pytest.approx(sum(map(entropy, points.T)) - area, abs=5e-3)
    # A point's density in polar coordinates is r / area.
    joint = area - np.log(radius).mean()
    assert polar == pytest.approx(entropy(radius) + entropy(angle) - joint, abs=5e-3)


def test_a_rectangle_is_its_sides_and_principal_directions():
    assert theory.parallelogram(math.pi / 2) == pytest.approx((0, 0), abs=1e-9)
    sides, principal = theory.parallelogram(math.pi / 3)
    assert sides == pytest.approx(-math.log(math.sin(math.pi / 3))) and principal > sides
