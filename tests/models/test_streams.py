"""Streams of noise: what a step with a seed has drawn once, it draws for ever."""

import functools
import math

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from zoo.models import noise
from zoo.models.factor_vae import FactorVAE, permute_latents
from zoo.models.jacobian_penalty import JacobianOrthogonality
from zoo.models.noise import noise_of, standard_normal, standard_uniform, stream
from zoo.models.priors import LaplacePrior, LogisticPrior
from zoo.models.vae import VAE
from zoo.networks.dense import mlp_decoder, mlp_encoder
from zoo.networks.discriminators import mlp_discriminator

SEED, STEP = tf.constant([1, 2]), tf.constant(0)


def test_the_noise_of_each_part_of_a_step_is_a_stream_of_its_own():
    """0 is the sample, 1 that of other images and, folded once more, directions, 2 permutations."""
    keras.utils.set_random_seed(3)
    model = VAE(
        (4,),
        latent_dim=3,
        encoder=lambda shape: mlp_encoder(shape, units=(6,)),
        decoder=lambda dim, shape: mlp_decoder(dim, shape, units=(6,), activation="tanh"),
        objective=functools.partial(
            FactorVAE,
            discriminator=lambda dim: mlp_discriminator(dim, units=(8,)),
            second_batch=True,
        ),
        jacobian_penalty=JacobianOrthogonality(directions=2),
    )
    images = tf.constant(np.random.default_rng(0).random((12, 4), np.float32))
    losses = model.losses_on({"image": images}, SEED, STEP)
    drawn = []
    for part, seed in ((images[:6], SEED), (images[6:], stream(SEED, 1))):
        posterior = model.posterior(part)
        drawn.append(posterior.loc + posterior.scale * standard_normal([6, 3], seed))
    discriminator = model.objective.discriminator
    kept = tf.nn.log_softmax(discriminator(drawn[0]))
    permuted = tf.nn.log_softmax(discriminator(permute_latents(drawn[1], stream(SEED, 2))))
    np.testing.assert_allclose(losses["total_correlation"], kept[:, 0] - kept[:, 1], atol=1e-6)
    np.testing.assert_allclose(
        losses["discriminator"], -0.5 * (kept[:, 0] + permuted[:, 1]), atol=1e-6
    )
    penalty = model.jacobian_penalty(model.decode, drawn[0], stream(SEED, 1))
    np.testing.assert_allclose(losses["jacobian_penalty"], penalty, rtol=1e-5)
    seeds = [
        SEED,
        *(stream(SEED, k) for k in (1, 2)),
        *(stream(stream(SEED, 1), k) for k in (0, 1)),
    ]
    assert len({tuple(seed.numpy()) for seed in seeds}) == len(seeds)


@pytest.mark.parametrize("kind", ["eager", "graph", "xla"])
@pytest.mark.parametrize("draw", ["normal", "uniform", "laplace", "logistic"])
def test_noise_is_finite_whatever_the_bits(draw, kind, monkeypatch):
    """One of 2^24 numbers was infinite in graphs, where TensorFlow moves sums of constants."""
    draws = {
        "normal": standard_normal,
        "uniform": standard_uniform,
        "laplace": LaplacePrior().sample,
        "logistic": LogisticPrior().sample,
    }

    def drawn(bits):
        monkeypatch.setattr(noise, "_bits", lambda shape, seed: bits)
        return draws[draw]([3], SEED)

    if kind != "eager":
        drawn = tf.function(drawn, autograph=False, jit_compile=kind == "xla")
    bits = np.array([-(2**31), 2**30, 2**31 - 1], np.int32)
    made = drawn(tf.constant(np.stack([bits, 0 * bits]) if draw == "normal" else bits)).numpy()
    assert np.isfinite(made).all()
    if draw == "uniform":
        assert 0 < made[0] < 1e-6 and 1 - 1e-6 < made[2] < 1
    if draw == "normal":
        # The angle of bits 0 is half a turn.
        largest = math.sqrt(50 * math.log(2))
        np.testing.assert_allclose(made[0], -largest, rtol=1e-6)
        np.testing.assert_allclose(made[1], -math.sqrt(-2 * math.log(0.75)), rtol=1e-6)


def test_noise_of_an_image_is_a_function_of_it_alone():
    images = np.random.default_rng(0).random((500, 4, 4, 1), np.float32)
    images[1] = images[0]
    images[2] = images[0] + np.eye(4, dtype=np.float32)[0, :, None] / 255  # One pixel, one level.
    drawn = noise_of(images, (2, 3), SEED).numpy()
    np.testing.assert_array_equal(drawn[::-1], noise_of(images[::-1], (2, 3), SEED))
    np.testing.assert_array_equal(drawn[1], drawn[0])
    assert np.abs(drawn[2] - drawn[0]).min() > 0
    compiled = tf.function(lambda x: noise_of(x, (2, 3), SEED), jit_compile=True)
    np.testing.assert_allclose(drawn, compiled(images), atol=1e-5)


def test_noise_of_images_is_standard_normal_and_independent():
    images = np.random.default_rng(1).random((4000, 16), np.float32)
    drawn = noise_of(images, (5,), SEED).numpy()
    assert scipy.stats.kstest(drawn.ravel(), "norm").pvalue > 0.01
    # Standard errors of 0.016, over latents and from one image to the next.
    assert np.abs(np.corrcoef(drawn.T) - np.eye(5)).max() < 0.06
    assert np.abs(np.corrcoef(drawn[:-1].T, drawn[1:].T)[:5, 5:]).max() < 0.06
    other = noise_of(images, (5,), stream(SEED, 1)).numpy()
    assert abs(np.corrcoef(drawn.ravel(), other.ravel())[0, 1]) < 0.03
