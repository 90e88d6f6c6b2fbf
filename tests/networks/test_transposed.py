"""The matrix product of training is Keras's transposed convolution, with all derivatives."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.networks import transposed


def layers(filters=1, **options):
    """Keras's layer and ours, with the same weights, and their inputs `[2, 3, 5, 6]`."""
    rng = np.random.default_rng(0)
    settings = {"kernel_size": 4, "strides": 2, "padding": "same"} | options
    pair = [
        kind(filters, **settings)
        for kind in (keras.layers.Conv2DTranspose, transposed.Conv2DTranspose)
    ]
    for layer in pair:
        layer.build((None, 3, 5, 6))
    weights = [rng.normal(size=weight.shape) for weight in pair[0].weights]
    for layer in pair:
        layer.set_weights(weights)
    return *pair, tf.constant(rng.normal(size=(2, 3, 5, 6)), tf.float32)


def derivatives(layer, inputs):
    """The output, first derivatives of a function of it, and a second derivative."""
    direction = tf.random.stateless_normal(inputs.shape, [0, 1])

    @tf.function
    def run(inputs):
        with tf.GradientTape() as outer:
            outer.watch(inputs)
            with tf.GradientTape() as inner:
                inner.watch(inputs)
                outputs = layer(inputs)
                loss = tf.reduce_sum(tf.sin(outputs))
            first = inner.gradient(loss, [inputs, *layer.trainable_variables])
            along = tf.reduce_sum(first[0] * direction)
        second = outer.gradient(along, [inputs, *layer.trainable_variables])
        with tf.autodiff.ForwardAccumulator(inputs, direction) as accumulator:
            pushed = layer(inputs)
        return outputs, first, second, accumulator.jvp(pushed)

    return tf.nest.flatten(run(inputs))


@pytest.mark.parametrize("filters", [1, 3])
@pytest.mark.parametrize("options", [{}, {"use_bias": False}, {"activation": "tanh"}])
def test_outputs_and_derivatives_are_those_of_keras(filters, options):
    theirs, ours, inputs = layers(filters, **options)
    expected = derivatives(theirs, inputs)
    with transposed.in_training():
        found = derivatives(ours, inputs)
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"filters": 4},
        {"kernel_size": 3},
        {"strides": 1},
        {"padding": "valid"},
        {"dtype": "bfloat16"},
    ],
)
def test_other_layers_are_left_to_keras(options, monkeypatch):
    theirs, ours, inputs = layers(**options)
    monkeypatch.setattr(transposed, "_up", None)
    with transposed.in_training():
        np.testing.assert_array_equal(
            tf.cast(ours(inputs), tf.float32), tf.cast(theirs(inputs), tf.float32)
        )


def test_only_training_has_gradients_of_its_own():
    _, ours, inputs = layers()

    def kinds():
        graph = tf.function(lambda x: ours(x)).get_concrete_function(inputs).graph
        return {operation.type for operation in graph.get_operations()}

    assert "Conv2DBackpropInput" in kinds() and "IdentityN" not in kinds()
    with transposed.in_training():
        assert "Conv2DBackpropInput" not in kinds()
    assert "IdentityN" not in kinds()
