"""Laplace and logistic likelihoods against SciPy."""

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from zoo.models.likelihoods import Laplace, Logistic

RNG = np.random.default_rng(0)
FAMILIES = {Laplace: scipy.stats.laplace, Logistic: scipy.stats.logistic}


@pytest.mark.parametrize("squashed", [False, True])
@pytest.mark.parametrize("family", list(FAMILIES))
def test_is_the_log_density(family, squashed):
    outputs, images = (tf.constant(x, tf.float32) for x in RNG.normal(size=(2, 3, 4, 4, 1)))
    mean = 1 / (1 + np.exp(-outputs.numpy())) if squashed else outputs.numpy()
    for given, scale in ((0.25, 0.25), ("learned", 1.0)):
        likelihood = family(given, squashed)
        expected = -FAMILIES[family].logpdf(images, mean, scale).sum((1, 2, 3))
        got = likelihood.negative_log_likelihood(images, outputs)
        np.testing.assert_allclose(got, expected, rtol=1e-5)
        np.testing.assert_allclose(likelihood.distribution(outputs).log_prob(images), -got, 1e-5)
        np.testing.assert_allclose(likelihood.mean(outputs), mean, rtol=1e-5)


def test_the_learned_scale_of_laplace_is_the_mean_absolute_error():
    likelihood, optimizer = Laplace("learned"), keras.optimizers.Adam(0.05)
    images = tf.constant(0.3 * RNG.normal(size=(64, 5)), tf.float32)
    variables = likelihood.trainable_variables
    for _ in range(150):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(likelihood.negative_log_likelihood(images, tf.zeros([64, 5])))
        optimizer.apply(tape.gradient(loss, variables), variables)
    expected = np.log(np.abs(images).mean())
    np.testing.assert_allclose(likelihood.log_scale.numpy(), expected, atol=1e-2)


@pytest.mark.parametrize("family", list(FAMILIES))
def test_bad_scale(family):
    with pytest.raises(ValueError, match=f"{family.__name__}.scale is 0; give a positive"):
        family(0)
