"""Small models whose losses have closed forms, and a check of their gradients."""

import functools
import inspect
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.models.base import Model

SEED = tf.constant([1, 2])


@pytest.fixture
def linear() -> Callable[..., Model]:
    """Makes a model of vectors `[4]` with linear networks and a Gaussian likelihood."""
    from zoo.models.likelihoods import Gaussian
    from zoo.models.vae import VAE
    from zoo.networks.dense import mlp_decoder, mlp_encoder

    def make(model: type, latent_dim: int = 2, **options) -> Model:
        """A model, or the VAE of an objective; options that are not the VAE's are its own."""
        keras.utils.set_random_seed(3)
        if not issubclass(model, Model):
            others = [name for name in options if name not in inspect.signature(VAE).parameters]
            own = {name: options.pop(name) for name in others}
            options["objective"] = functools.partial(model, **own)
            model = VAE
        return model(
            (4,),
            latent_dim=latent_dim,
            encoder=lambda shape: mlp_encoder(shape, units=()),
            decoder=lambda dim, shape: mlp_decoder(dim, shape, units=()),
            likelihood=lambda: Gaussian(0.5),
            **options,
        )

    return make


@pytest.fixture
def batch() -> Callable[[int], dict]:
    """Makes a batch of normal vectors `[count, 4]`, with partners close by."""

    def make(count: int) -> dict:
        rng = np.random.default_rng(0)
        image, step = rng.normal(size=(2, count, 4))
        numbers = {"image": image, "partner": image + 0.3 * step}
        return {name: tf.constant(value, tf.float32) for name, value in numbers.items()}

    return make


@pytest.fixture
def check_gradient() -> Callable[[Model, dict], None]:
    """Compares the gradient of the mean loss with finite differences along random directions."""

    def check(model: Model, batch: dict) -> None:
        def loss():
            return tf.reduce_mean(model.losses_on(batch, SEED, tf.constant(0))["loss"])

        with tf.GradientTape() as tape:
            value = loss()
        gradients = tape.gradient(value, model.trainable_variables)
        rng = np.random.default_rng(1)
        for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
            direction = rng.normal(size=variable.shape).astype(np.float32)
            before = variable.numpy()
            ends = []
            for sign in (1, -1):
                variable.assign(before + sign * 3e-3 * direction)
                ends.append(float(loss()))
            variable.assign(before)
            slope = (ends[0] - ends[1]) / 6e-3
            noise = 1e-6 * abs(float(value)) / 3e-3
            np.testing.assert_allclose(
                slope, np.sum(direction * gradient), rtol=1e-2, atol=1e-2 + noise
            )

    return check
