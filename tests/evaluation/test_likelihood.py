import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import multivariate_normal, ortho_group

from zoo import evaluation
from zoo.evaluation.likelihood import diagonality, optimal_linear_vae

GENERATOR = np.random.default_rng(0)
WEIGHTS = GENERATOR.normal(size=(6, 3))
MEANS = GENERATOR.normal(size=(50, 3))
IMAGES = MEANS @ WEIGHTS.T + GENERATOR.normal(size=(50, 6))


def linear(z):
    return z @ tf.constant(WEIGHTS.T, z.dtype)


def bent(z):
    """z0 + z1^2 and z0 z1: curvature [[0, r1], [r1, 2 r0]] for residuals r."""
    return tf.stack([z[:, 0] + z[:, 1] ** 2, z[:, 0] * z[:, 1]], 1)


def test_split_of_a_linear_decoder_is_known():
    variances = GENERATOR.uniform(0.1, 0.5, MEANS.shape)
    split = evaluation.reconstruction_split(
        linear, MEANS, variances, IMAGES, samples=400, dtype="float64"
    )
    deterministic = np.square(MEANS @ WEIGHTS.T - IMAGES).sum(1).mean()
    stochastic = (variances * np.square(WEIGHTS).sum(0)).sum(1).mean()
    assert split["deterministic"] == pytest.approx(deterministic)
    assert split["linear"] == pytest.approx(stochastic)
    assert split["stochastic"] == pytest.approx(stochastic, rel=0.03)
    assert split["total"] == pytest.approx(deterministic + stochastic, rel=0.03)
    share = split["stochastic"] / (split["stochastic"] + split["deterministic"])
    assert split["score"] == pytest.approx(share)


def test_split_with_full_and_with_zero_covariance():
    root = GENERATOR.normal(size=(3, 3)) / 3
    covariances = np.tile(root @ root.T, (50, 1, 1))
    split = evaluation.reconstruction_split(
        linear, MEANS, covariances, IMAGES, samples=400, dtype="float64"
    )
    expected = np.trace(WEIGHTS @ covariances[0] @ WEIGHTS.T)
    assert split["linear"] == pytest.approx(expected)
    assert split["stochastic"] == pytest.approx(expected, rel=0.03)
    still = evaluation.reconstruction_split(linear, MEANS, 0 * MEANS, linear(MEANS).numpy())
    assert still["score"] == pytest.approx(0, abs=1e-9)


def test_elbo_of_a_linear_model_is_its_likelihood():
    """At the posterior mean, with a full posterior and beta 1, the bound is tight."""
    variance = 0.7
    precision = np.eye(3) + WEIGHTS.T @ WEIGHTS / variance
    means = IMAGES @ WEIGHTS @ np.linalg.inv(precision) / variance
    found = evaluation.deterministic_elbo(linear, means, IMAGES, variance=variance, dtype="float64")
    marginal = multivariate_normal(cov=WEIGHTS @ WEIGHTS.T + variance * np.eye(6))
    np.testing.assert_allclose(found["per_sample"], marginal.logpdf(IMAGES), rtol=1e-9)
    assert found["score"] == pytest.approx(marginal.logpdf(IMAGES).mean())
    np.testing.assert_allclose(found["precision"], [precision] * 50)
    assert found["diagonal"] < found["full"]
    expected = (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1]) / 2
    assert found["gap"] == pytest.approx(expected)


def test_diagonal_posterior_loses_nothing_on_orthogonal_columns():
    basis = np.linalg.qr(WEIGHTS)[0] * [3.0, 2.0, 1.0]
    aligned = evaluation.deterministic_elbo(
        lambda z: z @ tf.constant(basis.T), MEANS, IMAGES, dtype="float64", posterior="diagonal"
    )
    assert aligned["gap"] == pytest.approx(0, abs=1e-9)
    assert aligned["score"] == aligned["diagonal"]


def test_curvature_enters_the_precision():
    means = np.array([[0.3, -0.5], [0.1, 0.2]])
    images = bent(tf.constant(means)).numpy() + [[0.2, 0.1], [-0.3, 0.05]]
    found = evaluation.deterministic_elbo(
        bent, means, images, beta=2.0, variance=0.5, dtype="float64"
    )
    for mean, image, precision in zip(means, images, found["precision"], strict=True):
        residual = image - np.array([mean[0] + mean[1] ** 2, mean[0] * mean[1]])
        jacobian = np.array([[1, 2 * mean[1]], [mean[1], mean[0]]])
        curvature = np.array([[0, residual[1]], [residual[1], 2 * residual[0]]])
        np.testing.assert_allclose(precision, np.eye(2) + (jacobian.T @ jacobian - curvature))
    flat = evaluation.deterministic_elbo(
        bent, means, images, beta=2.0, variance=0.5, dtype="float64", curvature=False
    )
    assert np.abs(flat["precision"] - found["precision"]).max() > 0.1


def test_indefinite_samples_are_marked_not_nan():
    means = np.zeros((2, 2))
    images = np.array([[0.0, 0.0], [100.0, 0.0]])
    found = evaluation.deterministic_elbo(bent, means, images)
    assert found["indefinite"].tolist() == [False, True]
    assert np.isfinite(found["score"]) and found["per_sample"][1] == -np.inf
    with pytest.raises(ValueError, match="curvature=False"):
        evaluation.deterministic_elbo(bent, means[1:], images[1:])
    gauss_newton = evaluation.deterministic_elbo(bent, means[1:], images[1:], curvature=False)
    assert np.isfinite(gauss_newton["score"])


def test_curvature_diagonality():
    means = np.array([[0.0, 0.0], [0.0, 0.0]])
    images = np.array([[1.0, 0.0], [0.0, 3.0]])
    found = evaluation.curvature_diagonality(bent, means, images)
    # Residuals (1, 0) give [[0, 0], [0, 2]], and (0, 3) give [[0, 3], [3, 0]].
    np.testing.assert_allclose(found["curvature_per_sample"], [1, 0], atol=1e-6)
    assert found["score"] == pytest.approx(0.5)
    np.testing.assert_allclose(found["mean_curvature"], [[0, 1.5], [1.5, 1]], atol=1e-6)
    np.testing.assert_allclose(found["mean_gram"], [[1, 0], [0, 0]], atol=1e-6)
    assert found["gram"] == pytest.approx(1)
    straight = evaluation.curvature_diagonality(linear, MEANS, IMAGES)
    assert straight["score"] == 1
    gram = WEIGHTS.T @ WEIGHTS
    expected = np.square(np.diag(gram)).sum() / np.square(gram).sum()
    assert straight["gram"] == pytest.approx(expected, rel=1e-5)


def test_diagonality():
    matrices = np.array([np.diag([1.0, 2.0]), [[1.0, 1.0], [1.0, 1.0]], np.zeros((2, 2))])
    np.testing.assert_allclose(diagonality(matrices * 1e-200), [1, 0.5, 1])


def test_the_optimal_linear_vae():
    turn = ortho_group.rvs(5, random_state=np.random.default_rng(1))
    eigenvalues = np.array([4.0, 2.0, 1.0, 0.3, 0.1])
    covariance = turn * eigenvalues @ turn.T
    optimum = optimal_linear_vae(covariance, 4, beta=2.0, variance=0.25)
    decoder = optimum["decoder"]
    assert optimum["active"].tolist() == [True, True, True, False]
    np.testing.assert_allclose(optimum["posterior_variances"], [1 / 8, 1 / 4, 1 / 2, 1])
    np.testing.assert_allclose(np.square(decoder).sum(0), [3.5, 1.5, 0.5, 0], atol=1e-12)
    # The posterior variance is the inverse of the precision I + J^T J / (beta variance).
    precision = np.eye(4) + decoder.T @ decoder / 0.5
    np.testing.assert_allclose(
        np.linalg.inv(precision), np.diag(optimum["posterior_variances"]), atol=1e-12
    )
    data = np.random.default_rng(2).multivariate_normal(np.zeros(5), covariance, 20000)
    assert evaluation.pca_alignment(decoder, data)["score"] > 0.99

    def bound(weights, posterior="diagonal"):
        posterior_precision = np.eye(4) + weights.T @ weights / 0.5
        means = data[:500] @ weights @ np.linalg.inv(posterior_precision) / 0.5
        return evaluation.deterministic_elbo(
            lambda z: z @ tf.constant(weights.T),
            means,
            data[:500],
            beta=2.0,
            variance=0.25,
            posterior=posterior,
            dtype="float64",
        )["score"]

    # Turning the latents costs a diagonal posterior, and a full one nothing.
    rotation = ortho_group.rvs(4, random_state=np.random.default_rng(3))
    assert bound(decoder @ rotation) < bound(decoder) - 0.1
    assert bound(decoder @ rotation, "full") == pytest.approx(bound(decoder, "full"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": IMAGES[:, :5]}, "images of shape"),
        ({"means": MEANS[None]}, "means of shape"),
        ({"variances": -np.ones_like(MEANS)}, "negative"),
        ({"variances": np.ones((50, 2))}, "variances of shape"),
        ({"variances": np.tile(np.diag([1.0, 1.0, -1.0]), (50, 1, 1))}, "semidefinite"),
        ({"samples": 0}, "samples 0"),
    ],
)
def test_bad_input_to_the_split_is_named(change, message):
    arguments = {"means": MEANS, "variances": np.ones_like(MEANS), "images": IMAGES} | change
    with pytest.raises(ValueError, match=message):
        evaluation.reconstruction_split(linear, **arguments)


def test_bad_parameters_are_named():
    with pytest.raises(ValueError, match="posterior 'both'"):
        evaluation.deterministic_elbo(linear, MEANS, IMAGES, posterior="both")
    with pytest.raises(ValueError, match="positive"):
        evaluation.deterministic_elbo(linear, MEANS, IMAGES, beta=0)
    with pytest.raises(ValueError, match="symmetric"):
        optimal_linear_vae(np.ones((2, 3)), 1)
    with pytest.raises(ValueError, match="1 to 2"):
        optimal_linear_vae(np.eye(2), 3)
    with pytest.raises(ValueError, match="not positive semidefinite"):
        optimal_linear_vae(np.diag([1.0, -1.0]), 1)
    for name in ("beta", "variance"):
        with pytest.raises(ValueError, match="must be positive"):
            optimal_linear_vae(np.eye(2), 1, **{name: -1.0})
