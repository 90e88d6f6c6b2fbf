"""Estimators of the total correlation: exact cases, enumeration, constants."""

import itertools

import numpy as np
import pytest
import scipy.special
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.models.tc_vae import TCVAE, log_aggregate, total_correlation

tfd = tfp.distributions
RNG = np.random.default_rng(0)
SEED, STEP = tf.constant([1, 2]), tf.constant(0)


def _codes(batch: int, dim: int, covariance=None):
    """Posterior means and deviations, and a sample of each posterior, float32 `[B, D]`."""
    mean = RNG.multivariate_normal(
        np.zeros(dim), np.eye(dim) if covariance is None else covariance, batch
    )
    deviation = np.full((batch, dim), 0.7)
    return [
        array.astype(np.float32)
        for array in (mean, deviation, mean + deviation * RNG.normal(size=mean.shape))
    ]


@pytest.mark.parametrize("estimator", ["mixture", "weighted", "stratified"])
def test_total_correlation_of_a_gaussian(estimator):
    """q(z) = N(0, C + s^2 I) up to the mixture's finite size, which costs less than 0.02 nats."""
    size = 1500
    covariance = np.array([[1.0, 0.8], [0.8, 1.0]])
    mean, deviation, latents = _codes(size, 2, covariance)
    estimate = total_correlation(
        tf.constant(latents), tfd.Normal(mean, deviation), estimator, dataset_size=size
    ).numpy()
    if estimator == "weighted":
        estimate -= np.log(size)
    aggregate = covariance + 0.49 * np.eye(2)
    exact = 0.5 * (np.log(np.diag(aggregate)).sum() - np.linalg.slogdet(aggregate)[1])
    assert exact > 0.15
    assert abs(estimate.mean() - exact) < 4 * estimate.std() / np.sqrt(size) + 0.02


def test_equal_posteriors_have_no_total_correlation():
    latents = tf.constant(RNG.normal(size=(6, 3)), tf.float32)
    posterior = tfd.Normal(tf.zeros([6, 3]), tf.ones([6, 3]))
    np.testing.assert_allclose(total_correlation(latents, posterior), np.zeros(6), atol=1e-5)


def test_stratified_density_is_unbiased_over_all_batches_without_repetition():
    size, batch = 5, 3
    mean, deviation, latents = _codes(size, 2)
    exact = scipy.stats.norm.pdf(latents[0], mean, deviation)
    joint, marginals = [], []
    for others in itertools.permutations(range(1, size), batch - 1):
        rows = [0, *others]
        logs = log_aggregate(
            tf.constant(latents[rows]), tfd.Normal(mean[rows], deviation[rows]), "stratified", size
        )
        joint.append(np.exp(logs[0][0]))
        marginals.append(np.exp(logs[1][0]))
    np.testing.assert_allclose(np.mean(joint), exact.prod(1).mean(), rtol=1e-5)
    np.testing.assert_allclose(np.mean(marginals, axis=0), exact.mean(0), rtol=1e-5)
    assert np.std(joint) > 0.1 * np.mean(joint)


def test_weighted_is_its_formula_and_differs_from_the_mixture_by_a_constant():
    size, batch, dim = 100, 7, 3
    mean, deviation, latents = _codes(batch, dim)
    each = scipy.stats.norm.logpdf(latents[:, None], mean, deviation)
    joint = scipy.special.logsumexp(each.sum(2), axis=1) - np.log(batch * size)
    marginals = scipy.special.logsumexp(each, axis=1) - np.log(batch * size)
    z, posterior = tf.constant(latents), tfd.Normal(mean, deviation)
    weighted = total_correlation(z, posterior, "weighted", size)
    mixture = total_correlation(z, posterior)
    np.testing.assert_allclose(weighted, joint - marginals.sum(1), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(weighted - mixture, (dim - 1) * np.log(size), rtol=1e-5)
    without_constants = scipy.special.logsumexp(each.sum(2), axis=1) - np.sum(
        scipy.special.logsumexp(each, axis=1), axis=1
    )
    np.testing.assert_allclose(
        mixture - (dim - 1) * np.log(batch), without_constants, rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("estimator", ["mixture", "stratified"])
def test_loss_is_composed_of_its_terms(linear, batch, estimator):
    model = linear(TCVAE, beta=6.0, estimator=estimator, dataset_size=50)
    losses = model.losses_on(batch(6), SEED, STEP)
    np.testing.assert_allclose(
        losses["loss"],
        losses["reconstruction"] + losses["kl"] + 5 * losses["total_correlation"],
        rtol=1e-5,
    )
    posterior = model.posterior(batch(6)["image"])
    expected = total_correlation(model.draw(posterior, SEED), posterior, estimator, 50)
    np.testing.assert_allclose(losses["total_correlation"], expected, rtol=1e-5, atol=1e-6)


def test_a_batch_of_unknown_size(linear, batch):
    """As replicas see it, who slice their share out of the global batch."""
    model = linear(TCVAE, estimator="stratified", dataset_size=50)
    traced = tf.function(model.losses_on).get_concrete_function(
        {"image": tf.TensorSpec([None, 4], tf.float32)},
        tf.TensorSpec([2], tf.int32),
        tf.TensorSpec([], tf.int32),
    )
    images = batch(6)["image"]
    expected = model.losses_on({"image": images}, SEED, STEP)["loss"]
    np.testing.assert_allclose(traced({"image": images}, SEED, STEP)["loss"], expected, rtol=1e-5)


@pytest.mark.parametrize("estimator", ["mixture", "stratified"])
def test_gradient(linear, batch, check_gradient, estimator):
    check_gradient(linear(TCVAE, estimator=estimator, dataset_size=50), batch(5))


def test_bad_settings(linear, batch):
    with pytest.raises(ValueError, match="TCVAE.estimator is 'none'; it takes mixture, weighted"):
        linear(TCVAE, estimator="none")
    with pytest.raises(ValueError, match="TCVAE.dataset_size is None; the weighted estimator"):
        linear(TCVAE, estimator="weighted")
    model = linear(TCVAE, estimator="stratified", dataset_size=4)
    with pytest.raises(ValueError, match=r"batches of 2 to 4 \(dataset_size\), not 5"):
        model.losses_on(batch(5), SEED, STEP)
