"""Which traces are kept, what a kept one sees of changes, and that it keeps nothing alive."""

import gc
import types
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo import evaluation
from zoo.evaluation import traces

LATENTS = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
MATRIX = np.random.default_rng(1).normal(size=(3, 5)).astype(np.float32)


class Linear(tf.Module):
    """`scale * (latents @ matrix)`, which counts how often Python runs."""

    def __init__(self):
        super().__init__()
        self.matrix = tf.Variable(MATRIX)
        self.scale = 1.0
        self._runs = []

    def decode(self, latents):
        self._runs.append(latents.shape)
        return self.scale * (latents @ self.matrix)

    def twice(self, latents):
        return 2 * self.decode(latents)

    @property
    def traced(self):
        """How often Python has run since last asked."""
        count = len(self._runs)
        self._runs = []
        return count


def expected(scale=1.0):
    return np.broadcast_to(scale * MATRIX.T, (4, 5, 3))


def assert_jacobian(decoder, wanted, **settings):
    np.testing.assert_allclose(evaluation.jacobian(decoder, LATENTS, **settings), wanted, rtol=1e-6)


def test_a_method_is_traced_once():
    module = Linear()
    assert_jacobian(module.decode, expected())
    assert module.traced > 0
    for _ in range(3):
        assert_jacobian(module.decode, expected())
        np.testing.assert_allclose(
            evaluation.jacobian(module.decode, LATENTS + 1), expected(), rtol=1e-6
        )
    assert module.traced == 0


def test_objects_and_methods_are_not_mixed_up():
    module, other = Linear(), Linear()
    other.matrix.assign(3 * MATRIX)
    for _ in range(2):
        assert_jacobian(module.decode, expected())
        assert_jacobian(module.twice, expected(2))
        assert_jacobian(other.decode, expected(3))
        assert_jacobian(other.twice, expected(6))


@pytest.mark.parametrize(
    "settings",
    [
        {"mode": "forward"},
        {"reduction": "gram"},
        {"memory": 1},
        {"dtype": "float64"},
        {"reduction": lambda jacobians: tf.reduce_sum(jacobians, 1)},
    ],
)
def test_other_settings_are_other_functions(settings):
    module = Linear()
    assert_jacobian(module.decode, expected())
    wanted = expected()
    if "reduction" in settings:
        wanted = MATRIX.sum(1) if callable(settings["reduction"]) else MATRIX @ MATRIX.T
    np.testing.assert_allclose(
        evaluation.jacobian(module.decode, LATENTS, **settings) - wanted, 0, atol=1e-5
    )
    assert_jacobian(module.decode, expected())


def test_other_shapes_are_other_functions():
    module = Linear()
    for count in (4, 2, 4, 1, 3, 5, 6, 7, 8, 9, 10, 4):
        found = evaluation.jacobian(module.decode, np.resize(LATENTS, (count, 3)))
        assert found.shape == (count, 5, 3)

    class Square(tf.Module):
        def decode(self, latents):
            return latents**2

    square = Square()
    for shape in ((2, 3), (2, 4), (2, 3, 1)):
        latents = np.random.default_rng(2).normal(size=shape)
        whole = evaluation.jacobian(square.decode, latents).reshape(2, latents[0].size, -1)
        slopes = 2 * latents.reshape(2, -1)
        np.testing.assert_allclose(whole, slopes[:, None] * np.eye(latents[0].size), rtol=1e-5)


def test_a_closure_is_read_at_every_call():
    held = {"matrix": MATRIX}

    def decode(latents):
        return latents @ tf.constant(held["matrix"])

    wrapped = evaluation.jacobian_function(decode, (3,))
    assert_jacobian(decode, expected())
    np.testing.assert_allclose(wrapped(LATENTS), expected(), rtol=1e-6)
    held["matrix"] = 2 * MATRIX
    assert_jacobian(decode, expected(2))
    # Who wraps it says that it does not change.
    np.testing.assert_allclose(wrapped(LATENTS), expected(), rtol=1e-6)


def small_model():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(5, use_bias=False)])


def test_new_weights_of_a_keras_model_are_seen_without_a_new_trace():
    runs = []

    class Recorded(keras.layers.Dense):
        def call(self, inputs):
            runs.append(1)
            return super().call(inputs)

    model = keras.Sequential([keras.Input((3,)), Recorded(5, use_bias=False)])
    model.set_weights([MATRIX])
    assert_jacobian(model, expected())
    runs.clear()
    model.set_weights([2 * MATRIX])
    assert_jacobian(model, expected(2))
    assert not runs
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(LATENTS, np.ones((4, 5), np.float32), epochs=2, verbose=0)
    runs.clear()
    (trained,) = model.get_weights()
    assert np.abs(trained - 2 * MATRIX).max() > 1e-3
    assert_jacobian(model, np.broadcast_to(trained.T, (4, 5, 3)))
    assert not runs


def test_what_a_trace_freezes_and_can_be_seen_is_compared():
    module = Linear()
    assert_jacobian(module.decode, expected())
    module.scale = 2.0
    assert_jacobian(module.decode, expected(2))
    module.scale = np.float32([4.0])
    assert_jacobian(module.decode, expected(4))
    module.scale[0] = 5.0
    assert_jacobian(module.decode, expected(5))
    module.matrix = tf.Variable(2 * MATRIX)
    assert_jacobian(module.decode, expected(10))
    module.decode = types.MethodType(lambda self, latents: latents @ self.matrix, module)
    assert_jacobian(module.decode, expected(2))


def test_a_replaced_network_and_another_dtype_policy_are_seen():
    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.decoder = small_model()

        def decode(self, latents):
            return tf.cast(self.decoder(latents), tf.float32)

    model = Model()
    model.decoder.set_weights([MATRIX])
    assert_jacobian(model.decode, expected())
    model.decoder = small_model()
    (matrix,) = model.decoder.get_weights()
    assert_jacobian(model.decode, np.broadcast_to(matrix.T, (4, 5, 3)))
    model.decoder.layers[0].dtype_policy = "mixed_bfloat16"
    rough = evaluation.jacobian(model.decode, LATENTS)[0].T
    np.testing.assert_array_equal(rough, tf.cast(tf.cast(matrix, tf.bfloat16), tf.float32))


def test_functions_of_loaded_saved_models(tmp_path):
    module = Linear()
    module.decode = tf.function(module.decode, [tf.TensorSpec([None, 3])])
    tf.saved_model.save(module, str(tmp_path), signatures={"decode": module.decode})
    loaded = tf.saved_model.load(str(tmp_path))
    assert traces.may_be_kept(loaded.decode)
    # A signature's weights are copied into its graph.
    assert not traces.may_be_kept(loaded.signatures["decode"])
    for scale in (1, 3):
        loaded.matrix.assign(scale * MATRIX)
        assert_jacobian(loaded.decode, expected(scale))
        assert_jacobian(loaded.signatures["decode"], expected(scale))


def test_other_objects_are_traced_anew_unless_they_say_otherwise():
    class Plain:
        matrix = tf.constant(MATRIX)
        _runs = 0

        def decode(self, latents):
            self._runs += 1
            return latents @ self.matrix

    class Declared(Plain):
        keeps_traces = True

    for kind, again in ((Plain, True), (Declared, False)):
        model = kind()
        assert_jacobian(model.decode, expected())
        before = model._runs
        assert_jacobian(model.decode, expected())
        assert (model._runs > before) == again


@pytest.mark.parametrize("make", [Linear, small_model])
def test_a_kept_trace_keeps_nothing_alive(make):
    model = make()
    evaluation.jacobian(getattr(model, "decode", model), LATENTS)
    variable, model_ref = weakref.ref(model.variables[0]), weakref.ref(model)
    number = id(model)
    assert number in traces._KEPT
    del model
    gc.collect()
    assert model_ref() is None and variable() is None
    assert number not in traces._KEPT


def test_a_decorated_method_keeps_nothing_alive():
    class Decorated(Linear):
        @tf.function
        def decode(self, latents):
            return self.scale * (latents @ self.matrix)

    model = Decorated()
    assert_jacobian(model.decode, expected())
    assert traces.may_be_kept(model.decode)
    model_ref = weakref.ref(model)
    del model
    gc.collect()
    assert model_ref() is None
