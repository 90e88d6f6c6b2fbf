"""Priors: KL against Monte Carlo, samples against quantiles, and VAEs that have them."""

import math

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.models.objectives import BetaVAE
from zoo.models.priors import LaplacePrior, LogisticPrior, NormalPrior, UniformPrior

tfd = tfp.distributions

SEED, STEP = tf.constant([1, 2]), tf.constant(0)
DENSITIES = {
    NormalPrior: scipy.stats.norm(),
    LaplacePrior: scipy.stats.laplace(scale=1 / math.sqrt(2)),
    LogisticPrior: scipy.stats.logistic(scale=math.sqrt(3) / math.pi),
    UniformPrior: scipy.stats.uniform(-math.sqrt(3), 2 * math.sqrt(3)),
}
PRIORS = list(DENSITIES)
COUNT = 100_000


def _heads(count: int = 1) -> tuple[tf.Tensor, tf.Tensor]:
    """Means and log variances `[count, 6]`, from narrow to wide posteriors."""
    mean = np.array([0.0, 0.4, -1.5, 3.0, 0.2, -0.7])
    log_variance = np.array([-4.0, -1.0, 0.0, -2.0, 3.0, -8.0])
    return tuple(tf.constant(np.tile(x, (count, 1)), tf.float32) for x in (mean, log_variance))


@pytest.mark.parametrize("prior", PRIORS)
def test_divergence_against_monte_carlo_within_four_standard_errors(prior):
    made = prior()
    posterior = made.posterior(*_heads(COUNT))
    latents = made.draw(posterior, SEED)
    log_q = posterior.log_prob(latents).numpy()
    ratio = log_q - DENSITIES[prior].logpdf(latents.numpy())
    errors = ratio.std(0) / math.sqrt(COUNT)
    divergence = made.divergence(posterior, latents).numpy()
    found = divergence.mean(0)
    # Estimates of the same samples are not independent; exact ones have no error of their own.
    errors = errors + divergence.std(0) / math.sqrt(COUNT)
    assert (np.abs(found - ratio.mean(0)) < 4 * errors + 2e-4).all()
    if prior is not LogisticPrior:
        assert np.ptp(divergence, axis=0).max() < 1e-4


@pytest.mark.parametrize("prior", PRIORS)
def test_draws_are_of_the_posterior(prior):
    """A Kolmogorov-Smirnov distance below its 1e-4 quantile, for each of six posteriors."""
    made = prior()
    posterior = made.posterior(*_heads(COUNT))
    ranks = np.sort(posterior.cdf(made.draw(posterior, SEED)).numpy(), axis=0)
    steps = (np.arange(COUNT) + 0.5)[:, None] / COUNT
    assert np.abs(ranks - steps).max() < 2.23 / math.sqrt(COUNT) + 1e-4


@pytest.mark.parametrize("prior", PRIORS)
def test_samples_are_of_the_prior(prior):
    samples = prior().sample(tf.constant([COUNT]), SEED).numpy()
    assert scipy.stats.kstest(samples, DENSITIES[prior].cdf).pvalue > 1e-4
    assert abs(samples.var() - 1) < 4 * math.sqrt(6 / COUNT)


@pytest.mark.parametrize("prior", PRIORS)
def test_draws_are_differentiable_and_the_same_under_xla(prior):
    made = prior()
    mean, log_variance = _heads()

    def both(mean, log_variance):
        with tf.GradientTape() as tape:
            tape.watch([mean, log_variance])
            posterior = made.posterior(mean, log_variance)
            latents = made.draw(posterior, SEED)
            value = tf.reduce_sum(latents + made.divergence(posterior, latents))
        return [latents, *tape.gradient(value, [mean, log_variance])]

    eager = both(mean, log_variance)
    compiled = tf.function(both, jit_compile=True)(mean, log_variance)
    for one, other in zip(eager, compiled, strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, other, rtol=2e-3, atol=2e-3)


def test_posteriors_equal_to_their_prior_cost_nothing():
    far = tf.fill([1, 1], 20.0)
    uniform = UniformPrior()
    posterior = uniform.posterior(tf.zeros([1, 1]), far)
    assert abs(float(uniform.divergence(posterior, far)[0, 0])) < 5e-4
    assert abs(float(posterior.variance()[0, 0]) - 1) < 0.01
    normal = NormalPrior()
    assert float(normal.divergence(normal.posterior(0 * far, 0 * far), far)[0, 0]) == 0


@pytest.mark.parametrize("mean", [0.0, 1e-7, -1e-4, 0.3, -5.0])
@pytest.mark.parametrize("log_variance", [-30.0, -4.0, 0.0, 2.0, 4.6, 10.0])
def test_moments_of_uniform_posteriors_and_their_gradients(mean, log_variance):
    """Against SciPy, gradients by differences, at the centre of the interval above all."""
    prior, heads = UniformPrior(), [tf.constant([mean]), tf.constant([log_variance])]
    half = prior.half_width
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(heads)
        posterior = prior.posterior(*heads)
        found = posterior.mean(), posterior.variance()

    def exact(mean, log_variance):
        loc = half * np.tanh(mean / half)
        scale = 2 * half * np.clip(np.exp(log_variance / 2) / (2 * half), 1e-6, 3)
        ends = (np.array([-half, half]) - loc) / scale
        return np.array(scipy.stats.truncnorm(*ends, loc, scale).stats("mv"))

    np.testing.assert_allclose(np.ravel(found), exact(mean, log_variance), rtol=1e-4, atol=2e-6)
    for head, step in zip(heads, np.diag([1e-4, 1e-4]), strict=True):
        slopes = (exact(*(mean, log_variance) + step) - exact(*(mean, log_variance) - step)) / 2e-4
        gradients = [float(tape.gradient(value, head)[0]) for value in found]
        np.testing.assert_allclose(gradients, slopes, rtol=2e-3, atol=2e-3)


def test_uniform_codes_stay_in_the_interval(linear, batch):
    model = linear(BetaVAE, prior=lambda: UniformPrior(0.5))
    images = 100 * batch(50)["image"]
    assert np.abs(model.encode(images)).max() <= 0.5
    assert np.abs(model.draw(model.posterior(images), SEED)).max() <= 0.5


@pytest.mark.parametrize("prior", PRIORS)
def test_a_vae_minimises_the_negative_elbo_of_its_prior(linear, batch, check_gradient, prior):
    model = linear(BetaVAE, beta=2.0, prior=prior)
    data = batch(5)
    losses = model.losses_on(data, SEED, STEP)
    posterior = model.posterior(data["image"])
    latents = model.draw(posterior, SEED)
    kl = tf.reduce_sum(prior().divergence(posterior, latents), axis=1)
    np.testing.assert_allclose(losses["loss"], losses["reconstruction"] + 2 * kl, rtol=1e-5)
    check_gradient(model, data)
    assert model.draw_prior(3, SEED).shape == (3, 2)


def test_bad_settings():
    with pytest.raises(ValueError, match="LaplacePrior.scale is 0"):
        LaplacePrior(0)
    with pytest.raises(ValueError, match="LogisticPrior.scale is -1"):
        LogisticPrior(-1)
    with pytest.raises(ValueError, match="UniformPrior.half_width is 0"):
        UniformPrior(0)
