"""FactorVAE: permutation, the estimate of the total correlation, and its two players."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.data import catalog, sampling
from zoo.models.domain_priors import FlowPrior
from zoo.models.factor_vae import FactorVAE, discriminator_adam, permute_latents
from zoo.models.objectives import BetaVAE
from zoo.models.vae import VAE
from zoo.networks.dense import mlp_decoder, mlp_encoder
from zoo.networks.discriminators import mlp_discriminator
from zoo.optim.optimizers import Adam
from zoo.training.checkpoints import Checkpoints
from zoo.training.loop import Loop

SEED, STEP = tf.constant([1, 2]), tf.constant(0)


def _small_discriminator(dim):
    return mlp_discriminator(dim, units=(8, 8))


class Ratio(keras.layers.Layer):
    """The best discriminator of latents N(0, C) from permuted ones, its logits times `scale`."""

    def __init__(self, covariance: np.ndarray):
        super().__init__()
        self.matrix = np.linalg.inv(covariance) - np.diag(1 / np.diag(covariance))
        self.constant = np.log(np.diag(covariance)).sum() - np.linalg.slogdet(covariance)[1]
        self.scale = self.add_weight(name="scale", initializer="ones")
        self.built = True

    def call(self, latents):
        form = tf.einsum("bi,ij,bj->b", latents, tf.constant(self.matrix, tf.float32), latents)
        logit = 0.5 * (tf.constant(self.constant, tf.float32) - form)
        return tf.stack([tf.convert_to_tensor(self.scale) * logit, tf.zeros_like(logit)], axis=1)


def _gaussian_latents(linear, count: int):
    """A model whose latents are N(0, C) for standard normal images, with C and the images."""
    weights = np.array([[1.0, 0.7], [0.5, 1.0], [0, 0.3], [0, 0]], np.float32)
    covariance = weights.T @ weights + 0.25 * np.eye(2)
    model = linear(FactorVAE, discriminator=lambda dim: Ratio(covariance))
    model.mean_head.set_weights([weights, np.zeros(2)])
    model.log_variance_head.set_weights([0 * weights, np.full(2, np.log(0.25))])
    images = np.random.default_rng(5).normal(size=(count, 4)).astype(np.float32)
    return model, covariance, {"image": tf.constant(images)}


def test_permutation_keeps_each_latent_s_values_and_breaks_their_ties():
    latents = tf.random.stateless_normal([4000, 1], [5, 6]) * tf.constant([[1.0, -2.0, 3.0]])
    permuted = permute_latents(latents, SEED).numpy()
    np.testing.assert_array_equal(np.sort(permuted, axis=0), np.sort(latents, axis=0))
    correlation = np.corrcoef(permuted.T)[np.triu_indices(3, 1)]
    assert np.abs(correlation).max() < 4 / np.sqrt(4000)
    assert (permuted == latents.numpy()).mean() < 0.01
    np.testing.assert_array_equal(permuted, permute_latents(latents, SEED))
    assert (permuted == permute_latents(latents, SEED + 1).numpy()).mean() < 0.01
    compiled = tf.function(permute_latents, jit_compile=True)
    np.testing.assert_array_equal(permuted, compiled(latents, SEED))


def test_the_best_discriminator_gives_the_total_correlation_of_a_gaussian(linear):
    model, covariance, data = _gaussian_latents(linear, 20_000)
    estimate = model.losses_on(data, SEED, STEP)["total_correlation"].numpy()
    exact = 0.5 * (np.log(np.diag(covariance)).sum() - np.linalg.slogdet(covariance)[1])
    assert exact > 0.2
    assert abs(estimate.mean() - exact) < 4 * estimate.std() / np.sqrt(len(estimate))


def test_the_best_discriminator_has_the_least_cross_entropy(linear):
    model, _, data = _gaussian_latents(linear, 20_000)
    losses = {}
    for scale in (0.0, 0.8, 1.0, 1.2):
        model.objective.discriminator.scale.assign(scale)
        losses[scale] = float(np.mean(model.losses_on(data, SEED, STEP)["discriminator"]))
    np.testing.assert_allclose(losses[0.0], np.log(2), rtol=1e-6)
    assert min(losses, key=losses.get) == 1.0


def test_the_loss_is_the_elbo_and_gamma_times_the_total_correlation(linear, batch):
    model = linear(FactorVAE, gamma=7.0, discriminator=_small_discriminator)
    losses = model.losses_on(batch(6), SEED, STEP)
    plain = linear(BetaVAE).losses_on(batch(6), SEED, STEP)
    np.testing.assert_allclose(losses["kl"], plain["kl"], rtol=1e-6)
    np.testing.assert_allclose(
        losses["loss"], plain["loss"] + 7 * losses["total_correlation"], rtol=1e-5
    )


@pytest.mark.parametrize("replicas", [1, 2])
def test_each_player_descends_its_own_loss_alone(linear, batch, replicas):
    model = linear(
        FactorVAE,
        gamma=5.0,
        discriminator=_small_discriminator,
        discriminator_optimizer=lambda: keras.optimizers.SGD(0.5),
    )
    model.bind(keras.optimizers.SGD(0.1))
    data = batch(6)
    players = model.objective.discriminator.trainable_variables
    others = [v for v in model.trainable_variables if not any(v is p for p in players)]
    assert len(others) == 6 and len(players) == 6
    expected = []
    for name, variables, rate in (("loss", others, 0.1), ("discriminator", players, 0.5)):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model.losses_on(data, SEED, STEP)[name])
        gradients = tape.gradient(loss, variables)
        assert all(np.abs(g).max() > 0 for g in gradients[:-1])
        expected += [
            v.numpy() - rate / replicas * g for v, g in zip(variables, gradients, strict=True)
        ]
    model.update(data, SEED, STEP, replicas)
    for variable, value in zip([*others, *players], expected, strict=True):
        np.testing.assert_allclose(variable, value, rtol=1e-4, atol=1e-5)


def test_a_second_batch_is_permuted_and_otherwise_not_learnt_from(linear, batch):
    model = linear(FactorVAE, gamma=5.0, discriminator=_small_discriminator, second_batch=True)
    images = batch(12)["image"]
    losses = model.losses_on({"image": images}, SEED, STEP)
    other = model.losses_on({"image": tf.concat([images[:6], 3 * images[6:]], 0)}, SEED, STEP)
    assert losses["loss"].shape == (6,)
    for name in losses:
        assert np.array_equal(losses[name], other[name]) == (name != "discriminator"), name
    with pytest.raises(ValueError, match="halves a batch of 5; make train.batch_size even"):
        model.losses_on({"image": images[:5]}, SEED, STEP)


def test_a_second_batch_has_the_prior_of_the_domains_of_the_first_half(linear, batch):
    model = linear(
        FactorVAE,
        discriminator=_small_discriminator,
        second_batch=True,
        prior=lambda: FlowPrior(domains=2),
    )
    images, domain = batch(12)["image"], tf.constant([0, 1] * 6)
    model.prior.flow.set_weights([w + 0.5 for w in model.prior.flow.get_weights()])
    found = model.losses_on({"image": images, "domain": domain}, SEED, STEP)["kl"]
    terms = model.elbo(images[:6], SEED, domain[:6])[2]
    np.testing.assert_allclose(found, terms["kl"], rtol=1e-6)
    others = tf.concat([domain[:6], 1 - domain[6:]], 0)
    again = model.losses_on({"image": images, "domain": others}, SEED, STEP)["kl"]
    np.testing.assert_array_equal(found, again)


def test_gradient(linear, batch, check_gradient):
    check_gradient(linear(FactorVAE, discriminator=_small_discriminator), batch(5))


def test_defaults_of_the_discriminator_are_those_of_disentanglement_lib():
    network = mlp_discriminator(10)
    assert network.count_params() == 11_000 + 5 * 1_001_000 + 2_002
    assert network.output_shape == (None, 2)
    adam = discriminator_adam()
    assert [float(adam.learning_rate), adam.beta_1, adam.beta_2] == [np.float32(1e-4), 0.5, 0.9]


def _trained(folder, steps: int):
    """A model trained on from the folder's newest checkpoint, its Checkpoints, and the step."""
    import toy  # noqa: F401

    dataset = catalog.load("toy")
    keras.utils.set_random_seed(0)
    model = VAE(
        (16, 16, 1),
        latent_dim=3,
        encoder=lambda shape: mlp_encoder(shape, units=(8,)),
        decoder=lambda dim, shape: mlp_decoder(dim, shape, units=(8,)),
        objective=functools.partial(FactorVAE, discriminator=_small_discriminator),
    )
    model.bind(Adam(1e-3))
    checkpoints = Checkpoints(folder, model)
    done = checkpoints.restore()
    loop = Loop(model, sampling.Independent(dataset, 8), sampling.tensors(dataset), seed=4)
    losses = loop.run(done, steps)
    checkpoints.save(done + steps)
    return model, losses


def test_a_resumed_training_is_the_same_for_both_optimisers(tmp_path):
    straight, losses = _trained(tmp_path / "straight", 10)
    assert np.isfinite(losses["loss"]) and np.isfinite(losses["discriminator"])
    _trained(tmp_path / "halves", 5)
    halves, _ = _trained(tmp_path / "halves", 5)
    assert int(halves.optimizers[1].iterations) == 10
    for first, second in zip(straight.optimizers, halves.optimizers, strict=True):
        for one, other in zip(first.variables, second.variables, strict=True):
            np.testing.assert_array_equal(one, other)
    for one, other in zip(straight.get_weights(), halves.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
