"""The annealed VAE: the KL term follows the capacity."""

import numpy as np
import pytest
import tensorflow as tf

from zoo.models.annealed_vae import AnnealedVAE
from zoo.optim.schedules import linear_ramp

SEED = tf.constant([1, 2])


def test_penalty_is_the_distance_of_the_mean_kl_from_the_capacity(linear, batch):
    model = linear(AnnealedVAE, gamma=7.0, capacity=linear_ramp(0.0, 4.0, steps=10))
    data = batch(6)
    for step, capacity in ((0, 0), (5, 2), (10, 4), (99, 4)):
        losses = model.losses_on(data, SEED, tf.constant(step))
        expected = 7 * abs(np.mean(losses["kl"]) - capacity)
        np.testing.assert_allclose(
            losses["loss"] - losses["reconstruction"], np.full(6, expected), rtol=1e-4
        )
        np.testing.assert_allclose(losses["capacity"], np.full(6, capacity))


@pytest.mark.parametrize(("capacity", "direction"), [(0.0, -1), (100.0, 1)])
def test_the_kl_moves_to_the_capacity(linear, batch, capacity, direction):
    model, data = linear(AnnealedVAE, gamma=1e4, capacity=capacity), batch(6)

    def kl():
        return tf.reduce_mean(model.losses_on(data, SEED, tf.constant(0))["kl"])

    before, variables = kl(), model.trainable_variables
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model.losses_on(data, SEED, tf.constant(0))["loss"])
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        variable.assign_sub(1e-7 * gradient)
    assert direction * float(kl() - before) > 0


def test_gradient(linear, batch, check_gradient):
    check_gradient(linear(AnnealedVAE, gamma=3.0), batch(5))


def test_bad_gamma(linear):
    with pytest.raises(ValueError, match="AnnealedVAE.gamma is -1"):
        linear(AnnealedVAE, gamma=-1.0)


def test_a_negative_capacity_is_refused(linear):
    with pytest.raises(ValueError, match="AnnealedVAE.capacity is -1.0; give a number that is not"):
        linear(AnnealedVAE, capacity=-1.0)
