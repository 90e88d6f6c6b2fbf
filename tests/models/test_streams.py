"""Streams of noise: what a step with a seed has drawn once, it draws for ever."""

import functools

import keras
import numpy as np
import tensorflow as tf

from zoo.models.factor_vae import FactorVAE, permute_latents
from zoo.models.jacobian_penalty import JacobianOrthogonality
from zoo.models.noise import standard_normal, stream
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
