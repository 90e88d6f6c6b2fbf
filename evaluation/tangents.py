"""Derivatives of a decoder along directions of its latents, one after another in a graph."""

from collections.abc import Callable

import tensorflow as tf


def push_forward(decoder: Callable, latents: tf.Tensor, tangent: tf.Tensor) -> tf.Tensor:
    """J v, the derivative `[n, *output_shape]` of the decoder along `tangent`; it can be nested."""
    with tf.autodiff.ForwardAccumulator(latents, tangent) as accumulator:
        output = decoder(latents)
    return accumulator.jvp(output, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def linearise(decoder: Callable, latents: tf.Tensor) -> tuple[Callable, tf.Tensor]:
    """J v as a function of v, which shares one forward and one backward pass; and the output.

    The gradient J^T u is linear in u, so that its derivative along v is J v for any u.
    """
    with tf.GradientTape() as inner:
        inner.watch(latents)
        output = decoder(latents)
    with tf.GradientTape(persistent=True) as outer:
        cotangent = tf.zeros_like(output)
        outer.watch(cotangent)
        pulled = inner.gradient(
            output,
            latents,
            output_gradients=cotangent,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )

    def push(tangent):
        return outer.gradient(
            pulled,
            cotangent,
            output_gradients=tangent,
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )

    return push, output


def forward(decoder: Callable, latents: tf.Tensor) -> tuple[Callable, tf.Tensor]:
    """As `linearise`, with a forward accumulator for each v."""
    return lambda tangent: push_forward(decoder, latents, tangent), decoder(latents)


def _column(push, latents, index):
    """One column `[n, *output_shape]` of J: the image of one unit tangent."""
    sizes = latents.shape[1:]
    unit = tf.one_hot(index, sizes.num_elements(), dtype=latents.dtype)
    return push(tf.broadcast_to(tf.reshape(unit, [1, *sizes]), tf.shape(latents)))


def _block(count, unrolled):
    return max(size for size in range(1, min(count, unrolled) + 1) if count % size == 0)


def columns(push, output, latents, unrolled):
    """All columns, `[latents, n, *output_shape]`."""
    count = latents.shape[1:].num_elements()
    if count <= unrolled:
        return tf.stack([_column(push, latents, index) for index in range(count)])
    block = _block(count, unrolled)

    def body(start, found):
        for index in range(block):
            found = found.write(start + index, _column(push, latents, start + index))
        return start + block, found

    loop = (tf.constant(0), tf.TensorArray(output.dtype, count, element_shape=output.shape))
    return tf.while_loop(lambda start, _: start < count, body, loop, parallel_iterations=1)[
        1
    ].stack()


def slots(push, output, latents, unrolled, inner, outer):
    """`outer(sum over a slot's columns of inner(column))`, `[n, *output_shape, slots]`."""
    count, slot_size = latents.shape[1:]
    block = _block(slot_size, unrolled)

    def body(start, total):
        for index in range(block):
            total += inner(_column(push, latents, start + index))
        return start + block, tf.ensure_shape(total, output.shape)

    def slot(number, totals):
        stop = (number + 1) * slot_size
        loop = (number * slot_size, tf.zeros_like(output))
        total = tf.while_loop(lambda start, _: start < stop, body, loop, parallel_iterations=1)[1]
        return number + 1, totals.write(number, outer(total))

    totals = tf.TensorArray(output.dtype, count, element_shape=output.shape)
    loop = (tf.constant(0), totals)
    _, totals = tf.while_loop(lambda number, _: number < count, slot, loop, parallel_iterations=1)
    return columns_last(totals.stack(), [count])


def columns_last(columns, latent_shape):
    rank = columns.shape.rank
    columns = tf.transpose(columns, [*range(1, rank), 0])
    return tf.reshape(columns, tf.concat([tf.shape(columns)[:-1], latent_shape], 0))
