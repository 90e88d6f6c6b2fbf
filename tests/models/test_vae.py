"""The VAE family: losses against closed forms and Monte Carlo, likelihoods, schedules."""

import functools

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from zoo.models.autoencoder import AE
from zoo.models.factor_vae import FactorVAE
from zoo.models.likelihoods import Bernoulli, Gaussian
from zoo.models.objectives import BetaVAE
from zoo.models.vae import VAE
from zoo.networks.dense import mlp_decoder, mlp_encoder
from zoo.optim import schedules
from zoo.optim.optimizers import Adam

RNG = np.random.default_rng(0)
SEED = tf.constant([1, 2])


def _linear_vae(likelihood=lambda: Gaussian(0.5), beta=1.0) -> VAE:
    keras.utils.set_random_seed(3)
    return VAE(
        (4,),
        latent_dim=2,
        encoder=lambda shape: mlp_encoder(shape, units=()),
        decoder=lambda dim, shape: mlp_decoder(dim, shape, units=()),
        likelihood=likelihood,
        objective=functools.partial(BetaVAE, beta=beta),
    )


def _batch(count: int) -> dict:
    return {"image": tf.constant(RNG.normal(size=(count, 4)), tf.float32)}


def test_elbo_of_a_linear_vae_is_its_closed_form_within_four_standard_errors():
    model = _linear_vae(beta=3.0)
    x = RNG.normal(size=4)
    count = 20_000
    images = tf.constant(np.tile(x, (count, 1)), tf.float32)
    losses = model.losses_on({"image": images}, SEED, tf.constant(0))

    posterior = model.posterior(images[:1])
    mean, variance = posterior.mean()[0].numpy(), posterior.variance()[0].numpy()
    bias = model.decode(np.zeros((1, 2), np.float32))[0].numpy()
    matrix = np.stack(
        [model.decode(np.eye(2, dtype=np.float32)[i : i + 1])[0] - bias for i in (0, 1)]
    )
    deterministic = np.sum((x - bias - mean @ matrix) ** 2)
    stochastic = np.sum(variance[:, None] * matrix**2)
    reconstruction = (deterministic + stochastic) / (2 * 0.5) + 2 * np.log(2 * np.pi * 0.5)
    kl = 0.5 * np.sum(mean**2 + variance - np.log(variance) - 1)

    np.testing.assert_allclose(losses["kl"], kl, rtol=1e-5)
    samples = losses["reconstruction"].numpy()
    error = samples.std() / np.sqrt(count)
    assert abs(samples.mean() - reconstruction) < 4 * error
    np.testing.assert_allclose(
        losses["loss"], losses["reconstruction"] + 3 * losses["kl"], rtol=1e-6
    )


def test_gradient_of_the_loss_against_finite_differences():
    model = _linear_vae(beta=2.0)
    batch = _batch(5)

    def loss():
        return tf.reduce_mean(model.losses_on(batch, SEED, tf.constant(0))["loss"])

    with tf.GradientTape() as tape:
        value = loss()
    gradients = tape.gradient(value, model.trainable_variables)
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        direction = RNG.normal(size=variable.shape).astype(np.float32)
        before = variable.numpy()
        ends = []
        for sign in (1, -1):
            variable.assign(before + sign * 1e-2 * direction)
            ends.append(float(loss()))
        variable.assign(before)
        np.testing.assert_allclose(
            (ends[0] - ends[1]) / 2e-2, np.sum(direction * gradient), rtol=2e-3, atol=2e-3
        )


def test_kl_per_latent_adds_up_and_standard_normal_costs_nothing():
    model = _linear_vae()
    losses = model.losses_on(_batch(7), SEED, tf.constant(0))
    np.testing.assert_allclose(tf.reduce_sum(losses["kl_per_latent"], 1), losses["kl"], rtol=1e-6)
    for variable in model.trainable_variables:
        variable.assign(tf.zeros_like(variable))
    losses = model.losses_on(_batch(7), SEED, tf.constant(0))
    np.testing.assert_array_equal(losses["kl"], np.zeros(7))


def test_noise_comes_from_the_seed_alone():
    model, batch = _linear_vae(), _batch(3)
    first = model.losses_on(batch, SEED, tf.constant(0))["reconstruction"]
    again = model.losses_on(batch, SEED, tf.constant(0))["reconstruction"]
    other = model.losses_on(batch, SEED + 1, tf.constant(0))["reconstruction"]
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).min() > 0


def test_annealed_beta():
    model = _linear_vae(beta=schedules.linear_ramp(0.0, 4.0, steps=10))
    batch = _batch(3)
    for step, beta in ((0, 0), (5, 2), (10, 4), (99, 4)):
        losses = model.losses_on(batch, SEED, tf.constant(step))
        np.testing.assert_allclose(
            losses["loss"] - losses["reconstruction"], beta * losses["kl"], atol=1e-4
        )
        np.testing.assert_allclose(losses["beta"], [beta] * 3)


def test_active_latents():
    summary = _linear_vae().summarize({"posterior_variance": np.array([0.1, 0.79, 0.81, 1.0])})
    assert summary["active_latents"] == 2


def test_bernoulli_is_the_log_likelihood_of_binary_images():
    logits = tf.constant(RNG.normal(size=(3, 4, 4, 1)), tf.float32)
    images = tf.constant(RNG.integers(0, 2, (3, 4, 4, 1)), tf.float32)
    likelihood = Bernoulli()
    probability = 1 / (1 + np.exp(-logits.numpy()))
    expected = -scipy.stats.bernoulli.logpmf(images.numpy(), probability).sum((1, 2, 3))
    np.testing.assert_allclose(
        likelihood.negative_log_likelihood(images, logits), expected, rtol=1e-5
    )
    np.testing.assert_allclose(
        likelihood.distribution(logits).log_prob(images), -expected, rtol=1e-5
    )
    np.testing.assert_allclose(likelihood.mean(logits), probability, rtol=1e-5)


@pytest.mark.parametrize("squashed", [False, True])
def test_gaussian_of_fixed_and_learned_variance(squashed):
    outputs = tf.constant(RNG.normal(size=(3, 5)), tf.float32)
    images = tf.constant(RNG.normal(size=(3, 5)), tf.float32)
    mean = 1 / (1 + np.exp(-outputs.numpy())) if squashed else outputs.numpy()
    for variance, deviation in ((0.25, 0.5), ("learned", 1.0)):
        likelihood = Gaussian(variance, squashed)
        expected = -scipy.stats.norm.logpdf(images, mean, deviation).sum(1)
        np.testing.assert_allclose(
            likelihood.negative_log_likelihood(images, outputs), expected, rtol=1e-5
        )
        np.testing.assert_allclose(
            likelihood.distribution(outputs).log_prob(images), -expected, rtol=1e-5
        )
    assert len(Gaussian("learned").trainable_variables) == 1


def test_optimal_variance_is_where_the_likelihood_is_largest():
    outputs = tf.constant(RNG.normal(size=(8, 5)), tf.float32)
    images = outputs + tf.constant(0.3 * RNG.normal(size=(8, 5)), tf.float32)
    best = tf.reduce_mean(Gaussian("optimal").negative_log_likelihood(images, outputs))
    optimum = float(tf.reduce_mean((images - outputs) ** 2))
    for factor in (0.8, 1.0, 1.25):
        other = tf.reduce_mean(Gaussian(factor * optimum).negative_log_likelihood(images, outputs))
        assert float(other) >= float(best) - 1e-4
        assert (factor == 1.0) == (abs(float(other - best)) < 1e-3)


def test_learned_variance_learns_the_error():
    likelihood = Gaussian("learned")
    optimizer = keras.optimizers.Adam(0.05)
    outputs = tf.zeros([64, 5])
    images = tf.constant(0.5 * RNG.normal(size=(64, 5)), tf.float32)
    for _ in range(200):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(likelihood.negative_log_likelihood(images, outputs))
        variables = likelihood.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
    expected = np.log(np.mean(images.numpy() ** 2))
    np.testing.assert_allclose(likelihood.log_variance.numpy(), expected, atol=1e-2)


def _normalized(inputs: int, outputs: int) -> keras.Model:
    layers = [keras.Input((inputs,)), keras.layers.Dense(5)]
    return keras.Sequential(
        [*layers, keras.layers.BatchNormalization(), keras.layers.Dense(outputs)]
    )


@pytest.mark.parametrize(
    ("family", "networks"),
    [
        (AE, ("encoder", "decoder")),
        (VAE, ("encoder", "decoder")),
        (
            functools.partial(
                VAE,
                objective=lambda vae: FactorVAE(
                    vae, discriminator=lambda dim: _normalized(dim, 2), second_batch=True
                ),
            ),
            ("encoder", "decoder", "discriminator"),
        ),
    ],
)
def test_training_takes_statistics_of_the_batch_and_validation_moving_averages(family, networks):
    keras.utils.set_random_seed(3)
    model = family(
        (4,),
        latent_dim=2,
        encoder=lambda shape: _normalized(*shape, 6),
        decoder=lambda dim, shape: _normalized(dim, *shape),
    )
    parts = [getattr(model, n, None) or model.objective.discriminator for n in networks]
    model.bind(Adam(1e-3))
    batch, step = _batch(8), tf.constant(0)

    def averages() -> list[np.ndarray]:
        return [part.layers[1].moving_mean.numpy() for part in parts]

    before = averages()
    model.update(batch, SEED, step, 1)
    moved = averages()
    for name, old, new in zip(networks, before, moved, strict=True):
        assert np.abs(new - old).max() > 0, name
    weights = model.get_weights()
    validated = model.validation_losses_on(batch, SEED, step)["loss"]
    model.decode(model.encode(batch["image"]))
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert np.abs(model.losses_on(batch, SEED, step)["loss"] - validated).max() > 1e-3


def test_ramp_needs_steps():
    with pytest.raises(ValueError, match="linear_ramp.steps is 0"):
        schedules.linear_ramp(0.0, 1.0, 0)
