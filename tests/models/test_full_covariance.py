"""The full posterior: its KL, its samples, and the diagonal posterior as a special case."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.models.objectives import BetaVAE
from zoo.models.posteriors import FullCovariance

tfd = tfp.distributions
SEED, STEP = tf.constant([1, 2]), tf.constant(0)


def test_kl_is_that_of_tfp_and_of_monte_carlo_within_four_standard_errors(linear, batch):
    model, data = linear(BetaVAE, posterior=FullCovariance, latent_dim=3), batch(4)
    posterior = model.posterior(data["image"])
    kl = model.losses_on(data, SEED, STEP)["kl"].numpy()
    prior = tfd.MultivariateNormalDiag(tf.zeros(3), tf.ones(3))
    np.testing.assert_allclose(
        kl, tfd.kl_divergence(posterior, tfd.MultivariateNormalTriL(tf.zeros(3), tf.eye(3))), 1e-5
    )
    samples = posterior.sample(20_000, seed=[3, 4])
    ratios = (posterior.log_prob(samples) - prior.log_prob(samples)).numpy()
    errors = ratios.std(0) / np.sqrt(len(ratios))
    assert (np.abs(ratios.mean(0) - kl) < 4 * errors).all()
    assert errors.max() < 0.05 * kl.max()


def test_samples_have_the_covariance_of_the_posterior(linear, batch):
    model = linear(BetaVAE, posterior=FullCovariance, latent_dim=3)
    count = 20_000
    images = tf.tile(batch(1)["image"], [count, 1])
    posterior = model.posterior(images)
    samples = model.draw(posterior, SEED).numpy()
    covariance = posterior.covariance()[0].numpy()
    correlation = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    assert np.abs(correlation - np.eye(3)).max() > 0.3
    spread = np.diag(covariance)
    error = np.sqrt((np.outer(spread, spread) + covariance**2) / count)
    assert (np.abs(np.cov(samples.T) - covariance) < 4.5 * error).all()
    assert (np.abs(samples.mean(0) - posterior.mean()[0]) < 4.5 * np.sqrt(spread / count)).all()


def test_the_posterior_s_total_correlation_is_what_the_marginals_lack(linear, batch):
    model, data = linear(BetaVAE, posterior=FullCovariance, latent_dim=3), batch(4)
    losses = model.losses_on(data, SEED, STEP)
    covariance = model.posterior(data["image"]).covariance().numpy()
    variance = np.diagonal(covariance, axis1=1, axis2=2)
    lacking = 0.5 * (np.log(variance).sum(1) - np.linalg.slogdet(covariance)[1])
    np.testing.assert_allclose(
        losses["kl"] - np.sum(losses["kl_per_latent"], 1), lacking, rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(losses["posterior_variance"], variance, rtol=1e-5)


def test_without_off_diagonal_entries_it_is_the_beta_vae(linear, batch):
    diagonal, full = linear(BetaVAE, beta=3.0), linear(BetaVAE, posterior=FullCovariance, beta=3.0)
    for layer in ("encoder", "mean_head", "log_variance_head", "decoder"):
        getattr(full, layer).set_weights(getattr(diagonal, layer).get_weights())
    full.posterior_family.off_diagonal_head.set_weights([0 * w for w in full.posterior_family.off_diagonal_head.get_weights()])
    data = batch(5)
    expected = diagonal.losses_on(data, SEED, STEP)
    for name, value in full.losses_on(data, SEED, STEP).items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_gradient(linear, batch, check_gradient):
    check_gradient(linear(BetaVAE, posterior=FullCovariance, latent_dim=3, beta=2.0), batch(5))


def test_needs_two_latents(linear):
    with pytest.raises(ValueError, match="latent_dim is 1; a full covariance takes at least 2"):
        linear(BetaVAE, posterior=FullCovariance, latent_dim=1)
