"""Normalisation and initial weights as PyTorch has them, for works that were done with it."""

import math

import keras


def batch_norm(**options) -> keras.layers.Layer:
    """Batch normalisation over all axes but the last, with PyTorch's epsilon and momentum."""
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, **options)


def uniform_by_fan_in(fan_in: int) -> dict[str, keras.initializers.Initializer]:
    """Initialisers as keyword arguments: kernel and bias U(-1, 1) / sqrt(fan_in), as in PyTorch.

    The fan-in of a transposed convolution is, as in PyTorch, output channels times kernel area.
    """
    bound = 1 / math.sqrt(fan_in)
    # One object a weight: an initialiser returns the same numbers whenever it is called.
    return {
        "kernel_initializer": keras.initializers.RandomUniform(-bound, bound),
        "bias_initializer": keras.initializers.RandomUniform(-bound, bound),
    }
