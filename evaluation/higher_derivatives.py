"""Derivatives of decoders beyond the first: exact partial ones, and second differences."""

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from zoo.evaluation import usable
from zoo.evaluation.decoders import prepared, probe, traced
from zoo.evaluation.tangents import linearise, push_forward


def derivatives(
    decoder: Callable, latents: np.ndarray, dtype: str, order: int
) -> tuple[np.ndarray, Callable]:
    """Flat latents `[N, d]`, and the partial derivative of one order as `[N, *output_shape]`."""
    shape = latents.shape[1:]
    flat = latents.reshape(len(latents), -1)
    decode = prepared(decoder, shape, dtype)
    # Every nested accumulator about doubles what a forward pass holds.
    rows = max(1, 2**28 // (2**order * probe(decode, shape, dtype)[1] + 1))
    usable.require_derivatives(decode, latents, rows)

    def from_flat(values):
        return decode(tf.reshape(values, [-1, *shape]))

    # Three nested forward accumulators fail on functions that were traced before.
    along = _forward if order < 3 else _reverse

    def partial(values, indices):
        units = tf.one_hot(indices, values.shape[1], dtype=values.dtype)
        function = from_flat
        for position in range(order):
            tangent = tf.broadcast_to(units[position], tf.shape(values))
            function = along(function, tangent)
        return function(values)

    specs = tf.TensorSpec([None, flat.shape[1]], dtype), tf.TensorSpec([order], tf.int32)
    try:
        compiled = tf.function(partial, autograph=False).get_concrete_function(*specs)
    except IndexError:
        # Nested accumulators cannot read the shape inside a Reshape layer in the open. Within a
        # function of its own they can, but tracing takes several times as long.
        decode = tf.function(decode)
        compiled = tf.function(partial, autograph=False).get_concrete_function(*specs)

    def derivative(indices):
        indices = tf.constant(indices, tf.int32)
        chunks = [flat[start : start + rows] for start in range(0, len(flat), rows)]
        parts = [compiled(tf.convert_to_tensor(chunk), indices).numpy() for chunk in chunks]
        return usable.require_finite(np.concatenate(parts)).astype(np.float64)

    return flat, derivative


def partials(
    decoder: Callable, latents: np.ndarray, dtype: str, columns: Sequence[Sequence[int]]
) -> np.ndarray:
    """Partial derivatives by the latents of each column, side by side: `[N, outputs, columns]`.

    A column of n latents is a derivative of order n.
    """
    orders = sorted({len(column) for column in columns})
    derivative = {order: derivatives(decoder, latents, dtype, order)[1] for order in orders}
    found = [derivative[len(column)](column).reshape(len(latents), -1) for column in columns]
    return np.stack(found, axis=-1)


def curvature_variance(
    decoder: Callable, latents: np.ndarray, directions: int, epsilon: float, seed: int, dtype: str
) -> np.ndarray:
    """`[N, *output_shape]` variances of v^T H v over random signs v, by central differences."""
    decode = prepared(decoder, latents.shape[1:], dtype)
    decode, _ = traced(decode, latents.shape[1:], dtype)
    generator = np.random.default_rng(seed)

    def values(at):
        return usable.require_finite(decode(tf.convert_to_tensor(at)).numpy()).astype(np.float64)

    centre, second, moved = values(latents), [], 0.0
    for _ in range(directions):
        step = (epsilon * generator.choice([-1.0, 1.0], latents.shape)).astype(dtype)
        above, below = values(latents + step), values(latents - step)
        second.append((above - 2 * centre + below) / epsilon**2)
        moved = max(moved, np.abs(above - below).max())
    usable.require_live(lambda: np.array([moved]))
    return np.var(second, axis=0, ddof=1)


def _forward(function, tangent):
    return lambda values: push_forward(function, values, tangent)


def _reverse(function, tangent):
    return lambda values: linearise(function, values)[0](tangent)
