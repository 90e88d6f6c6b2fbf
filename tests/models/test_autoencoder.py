"""The plain autoencoder against principal component analysis."""

import numpy as np
import pytest
import tensorflow as tf

from zoo.models.autoencoder import AE

SEED, STEP = tf.constant([1, 2]), tf.constant(0)


def test_principal_directions_are_a_stationary_point_that_loses_the_other_variances(linear, batch):
    model, data = linear(AE), batch(200)
    x = data["image"].numpy()
    mean = x.mean(0)
    variances, directions = np.linalg.eigh(np.cov(x.T, ddof=0))
    top = directions[:, -2:]
    head, code_bias, decoder, bias = model.trainable_variables
    for variable, value in (
        (head, top), (code_bias, -mean @ top), (decoder, top.T), (bias, mean)
    ):  # fmt: skip
        assert tuple(variable.shape) == value.shape
        variable.assign(value)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model.losses_on(data, SEED, STEP)["loss"])
    expected = variances[:2].sum() + 2 * np.log(2 * np.pi * 0.5)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    for gradient in tape.gradient(loss, model.trainable_variables):
        np.testing.assert_allclose(gradient, np.zeros(gradient.shape), atol=2e-6)


def test_loss_is_that_of_the_reconstruction_and_ignores_the_seed(linear, batch):
    model, data = linear(AE), batch(6)
    losses = model.losses_on(data, SEED, STEP)
    reconstruction = model.decode(model.encode(data["image"]))
    squared = np.sum((data["image"] - reconstruction) ** 2, axis=1)
    np.testing.assert_allclose(losses["loss"], squared + 2 * np.log(np.pi), rtol=1e-5)
    np.testing.assert_array_equal(losses["loss"], model.losses_on(data, SEED + 1, STEP)["loss"])
    assert model.posterior(data["image"]) is None


def test_gradient(linear, batch, check_gradient):
    check_gradient(linear(AE), batch(5))


def test_needs_a_latent(linear):
    with pytest.raises(ValueError, match="AE.latent_dim is 0; give at least 1"):
        linear(AE, latent_dim=0)
