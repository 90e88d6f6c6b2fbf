"""SlowVAE: the transition term against Monte Carlo, the loss, the networks, a short training."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.data import catalog, sampling
from zoo.models.slow_vae import SlowVAE, laplace_cross_entropy
from zoo.models.vae import VAE
from zoo.networks.convolutional import slow_decoder, slow_encoder
from zoo.networks.dense import mlp_decoder, mlp_encoder
from zoo.optim.optimizers import Adam
from zoo.training.loop import Loop

tfd = tfp.distributions
SEED, STEP = tf.constant([1, 2]), tf.constant(0)

MEANS = np.array([0.0, 0.05, -0.4, 1.5, -3.0], np.float32)
DEVIATIONS = np.array([1.0, 0.1, 0.5, 0.02, 1.2], np.float32)


@pytest.mark.parametrize("rate", [1.0, 6.0])
def test_cross_entropy_is_that_of_monte_carlo_within_four_standard_errors(rate):
    samples = tfd.Normal(MEANS, DEVIATIONS).sample(100_000, seed=[3, 4])
    values = -tfd.Laplace(0.0, 1 / rate).log_prob(samples).numpy()
    errors = values.std(0) / np.sqrt(len(values))
    exact = laplace_cross_entropy(tf.constant(MEANS), tf.constant(DEVIATIONS), rate)
    assert (np.abs(values.mean(0) - exact) < 4 * errors).all()
    assert errors.max() < 0.02 * rate


def test_transition_kl_of_one_direction_is_that_of_monte_carlo():
    posterior, prior = tfd.Normal(MEANS, DEVIATIONS), tfd.Laplace(0.0, 1 / 6)
    kl = laplace_cross_entropy(tf.constant(MEANS), tf.constant(DEVIATIONS), 6.0)
    kl = (kl - posterior.entropy()).numpy()
    samples = posterior.sample(100_000, seed=[5, 6])
    ratios = (posterior.log_prob(samples) - prior.log_prob(samples)).numpy()
    errors = ratios.std(0) / np.sqrt(len(ratios))
    assert (kl > 0).all() and (np.abs(ratios.mean(0) - kl) < 4 * errors).all()


def test_cross_entropy_without_noise_is_the_laplace_density_and_its_gradient_is_finite():
    mean = tf.constant([-2.0, -0.1, 0.0, 0.1, 2.0])
    deviation = tf.fill([5], 1e-4)
    with tf.GradientTape() as tape:
        tape.watch([mean, deviation])
        value = laplace_cross_entropy(mean, deviation, 6.0)
    exact = -tfd.Laplace(0.0, 1 / 6).log_prob(mean)
    np.testing.assert_allclose(value, exact, atol=1e-3)
    slopes, spreads = tape.gradient(value, [mean, deviation])
    np.testing.assert_allclose(slopes, [-6, -6, 0, 6, 6], atol=1e-5)
    np.testing.assert_allclose(spreads, [0, 0, 6 * np.sqrt(2 / np.pi), 0, 0], rtol=1e-5)


def test_the_loss_is_that_of_the_authors(linear, batch):
    model = linear(SlowVAE, beta=2.0, gamma=10.0, rate=6.0)
    data = batch(5)
    losses = model.losses_on(data, SEED, STEP)
    first, second = (model.posterior(data[name]) for name in ("image", "partner"))
    crossed = laplace_cross_entropy(first.loc - second.loc, first.scale, 6.0)
    crossed += laplace_cross_entropy(second.loc - first.loc, second.scale, 6.0)
    entropy = 0.5 * (first.entropy() + second.entropy())
    np.testing.assert_allclose(
        losses["transition"], np.sum(crossed - entropy, axis=1), rtol=1e-4, atol=1e-5
    )
    kl = sum(tfd.kl_divergence(q, tfd.Normal(0.0, 1.0)) for q in (first, second)) / 2
    np.testing.assert_allclose(losses["kl_per_latent"], kl, rtol=1e-5)
    np.testing.assert_allclose(losses["kl"], np.sum(kl, axis=1), rtol=1e-5)
    np.testing.assert_allclose(
        losses["loss"],
        2 * losses["reconstruction"] + 2 * losses["kl"] + 10 * losses["transition"],
        rtol=1e-5,
    )


def test_the_transition_is_symmetric_and_prefers_slow_latents(linear, batch):
    model, data = linear(SlowVAE), batch(5)
    exchanged = {"image": data["partner"], "partner": data["image"]}
    forth, back = (model.losses_on(pair, SEED, STEP)["transition"] for pair in (data, exchanged))
    np.testing.assert_allclose(forth, back, rtol=1e-5)
    still = model.losses_on({**data, "partner": data["image"]}, SEED, STEP)["transition"]
    far = model.losses_on({**data, "partner": data["image"] + 10}, SEED, STEP)["transition"]
    assert (far.numpy() > still.numpy()).all()


def test_gradient(linear, batch, check_gradient):
    check_gradient(linear(SlowVAE), batch(5))


def test_bad_settings(linear, batch):
    with pytest.raises(ValueError, match="set train.sampler = @LaplacePairs"):
        linear(SlowVAE).losses_on({"image": batch(3)["image"]}, SEED, STEP)
    with pytest.raises(ValueError, match="SlowVAE.rate is 0"):
        linear(SlowVAE, rate=0.0)
    with pytest.raises(ValueError, match="SlowVAE.gamma is -1.0; give a number that is not neg"):
        linear(SlowVAE, gamma=-1.0)
    with pytest.raises(ValueError, match="slow_encoder takes 64x64 images, not 16x16x1"):
        VAE((16, 16, 1), encoder=slow_encoder, decoder=slow_decoder, objective=SlowVAE)


def test_networks_have_the_sizes_and_initial_weights_of_the_authors():
    keras.utils.set_random_seed(0)
    encoder, decoder = slow_encoder((64, 64, 1)), slow_decoder(10, (64, 64, 1))
    assert encoder.output_shape == (None, 256)
    assert decoder.output_shape == (None, 64, 64, 1)
    convolutions = (1 * 32, 32 * 32, 32 * 64, 64 * 64, 64 * 256)
    assert encoder.count_params() == 16 * sum(convolutions) + 32 + 32 + 64 + 64 + 256
    transposed = (256 * 64, 64 * 64, 64 * 32, 32 * 32, 32 * 1)
    assert decoder.count_params() == 16 * sum(transposed) + 64 + 64 + 32 + 32 + 1 + 11 * 256
    kernel, bias = encoder.layers[3].get_weights()
    np.testing.assert_allclose(kernel.std(), np.sqrt(2 / (16 * 64)), rtol=0.02)
    assert not bias.any()
    for layer, filters in ((decoder.layers[2], 64), (decoder.layers[5], 32)):
        for weights in layer.get_weights():
            bound = 1 / np.sqrt(16 * filters)
            assert 0.8 * bound < np.abs(weights).max() <= bound


def test_trains_on_pairs():
    import toy  # noqa: F401

    dataset = catalog.load("toy")
    keras.utils.set_random_seed(0)
    model = VAE(
        (16, 16, 1),
        latent_dim=3,
        encoder=lambda shape: mlp_encoder(shape, units=(16,)),
        decoder=lambda dim, shape: mlp_decoder(dim, shape, units=(16,)),
        objective=SlowVAE,
    )
    model.bind(Adam(3e-3))
    loop = Loop(model, sampling.LaplacePairs(dataset, 8), sampling.tensors(dataset), seed=0)
    early, _, late = loop.run(0, 10), loop.run(10, 80), loop.run(90, 10)
    assert late["loss"] < early["loss"]
