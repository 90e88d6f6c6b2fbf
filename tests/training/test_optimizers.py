"""The fused Adam against the formulas of the papers, with and without an L2 penalty."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.training.optimizers import Adam

RATE, BETA_1, BETA_2 = 0.05, 0.9, 0.99


def _adam(weights: np.ndarray, gradients: list, l2: float) -> np.ndarray:
    """Kingma & Ba 2015, algorithm 1, of gradients to which l2 times the weights is added."""
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for step, gradient in enumerate(gradients, 1):
        gradient = gradient + l2 * weights
        mean = BETA_1 * mean + (1 - BETA_1) * gradient
        square = BETA_2 * square + (1 - BETA_2) * gradient**2
        corrected = np.sqrt(square / (1 - BETA_2**step))
        weights = weights - RATE * mean / (1 - BETA_1**step) / corrected
    return weights


@pytest.mark.parametrize("l2", [0.0, 0.7])
def test_adam_with_l2_is_adam_of_the_penalised_gradient(l2):
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=(3, 2)), [rng.normal(size=(3, 2)) for _ in range(6)]
    variable = keras.Variable(start.astype(np.float32))
    optimizer = Adam(RATE, BETA_1, BETA_2, epsilon=1e-12, l2=l2)
    optimizer.build([variable])

    @tf.function
    def update(gradient):
        optimizer.apply([gradient], [variable])

    for gradient in gradients:
        update(tf.constant(gradient, tf.float32))
    np.testing.assert_allclose(variable, _adam(start, gradients, l2), rtol=2e-5)
    # The penalty matters in this example.
    assert np.abs(_adam(start, gradients, 0.7) - _adam(start, gradients, 0.0)).max() > 0.1


def test_a_negative_penalty_is_refused():
    with pytest.raises(ValueError, match="Adam.l2 is -1.0"):
        Adam(l2=-1.0)
