"""The fused optimisers against the formulas of the papers, and against those of Keras."""

import inspect

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.errors import SettingError
from zoo.optim.optimizers import SGD, Adagrad, Adam
from zoo.optim.schedules import linear_ramp

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


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("learning_rate", -1e-3),
        ("learning_rate", float("nan")),
        ("beta_1", 1.0),
        ("beta_2", -0.1),
        ("epsilon", -1e-8),
    ],
)
def test_rates_and_decays_that_cannot_be_are_refused(key, value):
    with pytest.raises(ValueError, match=f"Adam.{key} is {value}; give a number"):
        Adam(**{key: value})


@pytest.mark.parametrize("start, epsilon", [(0.1, 1e-7), (0.0, 1e-20)])
def test_adagrad_of_either_framework(start, epsilon):
    """Duchi et al. 2011 from Keras's and from PyTorch's first sum; what has no gradient stays."""
    rng = np.random.default_rng(0)
    weights, gradients = rng.normal(size=4), rng.normal(size=(5, 4))
    gradients[:, 0] = 0.0
    variable = keras.Variable(weights.astype(np.float32))
    optimizer = Adagrad(RATE, initial_accumulator_value=start, epsilon=epsilon)
    optimizer.build([variable])
    expected, total = weights.copy(), np.full(4, start)
    for step, gradient in enumerate(gradients):
        optimizer.apply([tf.constant(gradient, tf.float32)], [variable])
        total += gradient**2
        # PyTorch's way to write it: 1e-10 is added to the root.
        expected -= RATE * gradient / (np.sqrt(total) + 1e-10)
        if step == 0 and start == 0.0:
            np.testing.assert_allclose(np.abs(expected - weights)[1:], RATE, rtol=1e-6)
    np.testing.assert_allclose(variable, expected, rtol=1e-5)
    assert variable[0] == np.float32(weights[0])


@pytest.mark.parametrize("compiled", [False, True])
def test_adagrad_is_that_of_keras(compiled):
    """To rounding, with the arguments that all optimisers of Keras have."""
    rng = np.random.default_rng(1)
    start, gradients = rng.normal(size=(3, 2)), rng.normal(size=(6, 3, 2))
    ends = []
    for kind in (Adagrad, keras.optimizers.Adagrad):
        variable = keras.Variable(start.astype(np.float32))
        optimizer = kind(RATE, epsilon=0.3, clipnorm=0.9, weight_decay=0.1)
        optimizer.build([variable])
        update = tf.function(optimizer.apply, jit_compile=compiled)
        for gradient in gradients:
            update([tf.constant(gradient, tf.float32)])
        ends.append(variable.numpy())
    np.testing.assert_allclose(*ends, rtol=1e-6)
    assert np.abs(ends[0] - start).min() > 1e-3


@pytest.mark.parametrize("key", ["initial_accumulator_value", "epsilon"])
def test_sums_of_squares_do_not_begin_below_zero(key):
    with pytest.raises(SettingError, match=f"Adagrad.{key} is -1.0; give a number that is not"):
        Adagrad(**{key: -1.0}).build([keras.Variable([1.0])])


@pytest.fixture
def no_gin():
    # What an earlier test parsed would still be locked.
    gin.clear_config()
    yield
    gin.clear_config()


@pytest.mark.parametrize("kind", [SGD, Adagrad])
@pytest.mark.parametrize("prefix", ["", "keras.optimizers."])
def test_gin_files_may_name_them_as_those_of_keras(kind, prefix, no_gin):
    name = prefix + kind.__name__
    gin.parse_config(f"made/gin.macro.value = @{name}()\n{name}.learning_rate = 0.5")
    made = gin.query_parameter("made/gin.macro.value").scoped_configurable_fn()
    assert isinstance(made, kind) and float(made.learning_rate) == 0.5


@pytest.mark.parametrize("kind", [SGD, Adagrad])
def test_parameters_are_those_of_keras(kind):
    """Which configs of runs record with their defaults."""
    theirs = getattr(keras.optimizers, kind.__name__)
    assert inspect.signature(kind) == inspect.signature(theirs)


@pytest.mark.parametrize("kind", [SGD, Adagrad, Adam])
def test_rates_are_numbers_or_schedules(kind):
    assert float(kind(1).learning_rate) == 1.0
    with pytest.raises(SettingError, match=f"{kind.__name__}.learning_rate is -1.0; give a number"):
        kind(-1.0)
    optimizer, variable = kind(linear_ramp(0.0, 1.0, steps=2)), keras.Variable([3.0])
    optimizer.build([variable])
    ends = []
    for _ in range(2):
        optimizer.apply([tf.constant([1.0])], [variable])
        ends.append(float(variable[0]))
    assert ends[0] == 3.0 and ends[1] < 3.0
