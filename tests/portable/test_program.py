"""Exported programs train as TensorFlow does, for every family of models."""

import families
import numpy as np
import pytest
import tensorflow as tf

from zoo.errors import UserError
from zoo.portable import runner
from zoo.portable.program import program
from zoo.training.loop import Pure


@pytest.fixture(autouse=True)
def _x64(_jax):
    before = _jax.config.jax_enable_x64
    _jax.config.update("jax_enable_x64", True)
    yield
    _jax.config.update("jax_enable_x64", before)


def difference(jax, family: str, steps: tuple[int, ...]) -> float:
    """The largest difference of state and mean losses after these steps, of large ones relative."""
    _, loop = families.loop_of(family)
    pure = loop.pure()
    made = program(pure)
    arrays = list(made.state.values()), list(made.data.values())
    compiled = runner._compiled(jax, made.artifact, *arrays, made.losses)
    (state, data), totals, done = arrays, 0.0, 0
    for count in steps:
        state, sums = compiled(state, data, *map(np.int32, (pure.seed, done, count)))
        totals, done = totals + np.array([np.mean(value) for value in sums]), done + count
    averages = loop.run(0, done)
    pairs = [(totals / done, np.array([np.mean(averages[name]) for name in made.losses]))]
    for (name, variable), value in zip(pure.variables.items(), state, strict=True):
        assert value.dtype == variable.dtype.as_numpy_dtype, name
        pairs.append((np.asarray(value, float), variable.numpy().astype(float)))
    return max(float(np.max(abs(a - b) / np.maximum(1, abs(b)), initial=0.0)) for a, b in pairs)


@pytest.mark.parametrize("family", families.FAMILIES)
def test_steps_under_jax_are_those_of_tensorflow(family, _jax):
    assert difference(_jax, family, (1, 3)) < 1e-5


def test_constants_of_the_graph_travel_with_the_data(_jax):
    values = tf.constant(np.arange(5.0), tf.float32)
    total = tf.Variable(1.0)

    @tf.function(jit_compile=True)
    def loop(state, data, seed, start, steps):
        total.assign(state[0] + tf.reduce_sum(values) * data[0] * tf.cast(steps, tf.float32))
        return [total.read_value()], [tf.cast(seed + start, tf.float32)]

    made = program(Pure(loop, {"total": total}, {"scale": tf.constant(0.5)}, 3, {"loss": ()}))
    np.testing.assert_array_equal(made.data["constant/0"], np.arange(5.0))
    arrays = list(made.state.values()), list(made.data.values())
    compiled = runner._compiled(_jax, made.artifact, *arrays, made.losses)
    state, sums = compiled(*arrays, *map(np.int32, (3, 4, 2)))
    assert float(state[0]) == 1 + 10 * 0.5 * 2 and float(sums[0]) == 7


def test_what_xla_cannot_compile_is_one_line():
    @tf.function(jit_compile=True)
    def loop(state, data, seed, start, steps):
        return state, [tf.strings.to_number(tf.strings.as_string(seed))]

    with pytest.raises(UserError, match="XLA cannot compile this training's loop: ") as caught:
        program(Pure(loop, {}, {"scale": tf.constant(0.5)}, 3, {"loss": ()}))
    assert "\n" not in str(caught.value)
