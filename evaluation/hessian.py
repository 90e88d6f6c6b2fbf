"""Second and third derivatives of decoders across latents: additivity and orders of interaction.

A C^2 decoder is additive over blocks of latents exactly where the Hessian of every output is
block-diagonal (Lachapelle et al. 2023, proposition 5).
"""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from zoo.evaluation import usable
from zoo.evaluation.decoders import checked_latents, prepared, probe
from zoo.evaluation.jacobians import jacobian
from zoo.evaluation.tangents import linearise, push_forward


def hessian_penalty(
    decoder: Callable,
    latents: np.ndarray,
    *,
    directions: int = 2,
    epsilon: float = 0.1,
    seed: int = 0,
    exact: bool = False,
    dtype: str = "float32",
) -> dict:
    """Hessian penalty: the squared off-diagonal second derivatives of each output.

    Var_v(v^T H v) over Rademacher v equals 2 sum_{i != j} H_ij^2 (Peebles et al. 2020, "The Hessian
    Penalty", eq. 4-6). Estimated as there by central differences
    (f(z + eps v) - 2 f(z) + f(z - eps v)) / eps^2 and the unbiased variance over few directions.

    Args:
        decoder: a TensorFlow callable from `[n, *latent_shape]` to `[n, *output_shape]`.
        latents: `[N, *latent_shape]`.
        directions: how many v, at least 2.
        epsilon: the step of the differences.
        seed: of the directions.
        exact: compute 2 sum_{i != j} H_ij^2 by automatic differentiation instead.
        dtype: as in `zoo.evaluation.jacobian`.

    Returns:
        `score`, the maximum over outputs and samples, as in the authors' code; `per_sample` `[N]`,
        the maxima over outputs; `mean` over outputs and samples.

    Raises:
        ValueError: fewer than two directions, or what `zoo.evaluation.jacobian` raises.
    """
    if directions < 2 or not epsilon > 0:
        raise ValueError("the Hessian penalty needs directions >= 2 and epsilon > 0")
    latents = checked_latents(latents, dtype)
    penalties = (
        _exact_penalties(decoder, latents, dtype)
        if exact
        else _sampled_penalties(decoder, latents, directions, epsilon, seed, dtype)
    ).reshape(len(latents), -1)
    return {
        "score": float(penalties.max()),
        "per_sample": penalties.max(1),
        "mean": float(penalties.mean()),
    }


def _exact_penalties(decoder, latents, dtype):
    flat, derivative = derivatives(decoder, latents, dtype, order=2)
    total = np.zeros((len(flat), 1))
    for pair in itertools.combinations(range(flat.shape[1]), 2):
        total = total + 4 * np.square(derivative(pair)).reshape(len(flat), -1)
    return total


def _sampled_penalties(decoder, latents, directions, epsilon, seed, dtype):
    decode = prepared(decoder, latents.shape[1:], dtype)
    spec = tf.TensorSpec([None, *latents.shape[1:]], dtype)
    decode = tf.function(decode, autograph=False).get_concrete_function(spec)
    usable.require_independence(decode, latents.shape[1:])
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


def block_hessian(
    decoder: Callable,
    latents: np.ndarray,
    blocks: Sequence[Sequence[int]] | None = None,
    *,
    dtype: str = "float32",
) -> dict:
    """The largest second derivative across blocks of latents: zero for an additive decoder.

    max over outputs and over i, j in different blocks of |d^2 f / d z_i d z_j|, exact by
    forward-over-forward differentiation (Lachapelle et al. 2023, proposition 5; interaction of at
    most first order in Brady et al. 2025, definition 3.3).

    Args:
        decoder: a TensorFlow callable from `[n, *latent_shape]` to `[n, *output_shape]`.
        latents: `[N, *latent_shape]`.
        blocks: a partition of the positions 0, 1, ... of the flattened latents; without it, the
            first axis of `latent_shape`: each latent, or each slot, is a block.
        dtype: as in `zoo.evaluation.jacobian`.

    Returns:
        `score`, the maximum over samples; `per_sample` `[N]`; `mean` of these; `pairs` `[blocks,
        blocks]`, maxima over samples.

    Raises:
        ValueError: blocks that are not a partition, fewer than two, or what
            `zoo.evaluation.jacobian` raises.
    """
    latents = checked_latents(latents, dtype)
    owner = block_owners(blocks, latents.shape[1:])
    flat, derivative = derivatives(decoder, latents, dtype, order=2)
    per_sample = np.zeros(len(flat))
    pairs = np.zeros((owner.max() + 1,) * 2)
    for i, j in itertools.combinations(range(flat.shape[1]), 2):
        if owner[i] == owner[j]:
            continue
        largest = np.abs(derivative((i, j))).reshape(len(flat), -1).max(1)
        per_sample = np.maximum(per_sample, largest)
        for pair in ((owner[i], owner[j]), (owner[j], owner[i])):
            pairs[pair] = max(pairs[pair], largest.max())
    return {
        "score": float(per_sample.max()),
        "per_sample": per_sample,
        "mean": float(per_sample.mean()),
        "pairs": pairs,
    }


def interaction_order(
    decoder: Callable,
    latents: np.ndarray,
    blocks: Sequence[Sequence[int]] | None = None,
    *,
    tolerance: float = 1e-4,
    dtype: str = "float32",
) -> dict:
    """At most which order of interaction blocks of latents have, at the given latents.

    Order 0: no output depends on two blocks. Order 1: no second derivative across blocks, that is,
    additive. Order 2: no third derivative with respect to latents of two blocks or more (Brady et
    al. 2025, definitions 3.2-3.4). Each is the largest violation over outputs and samples; it
    counts as zero up to `tolerance` times the largest first derivative.

    Args:
        decoder: as in `block_hessian`.
        latents: as in `block_hessian`.
        blocks: as in `block_hessian`.
        tolerance: relative.
        dtype: as in `zoo.evaluation.jacobian`.

    Returns:
        `score`, the order 0, 1 or 2, or 3 for more; `first`: the largest
        min(|d f / d z_i|, |d f / d z_j|) across blocks; `second` and `third`: the largest
        derivatives of that order across blocks, 0 unless needed; `scale`: the largest first one.

    Raises:
        ValueError: as `block_hessian`.
    """
    latents = checked_latents(latents, dtype)
    owner = block_owners(blocks, latents.shape[1:])
    members = [np.flatnonzero(owner == block) for block in range(owner.max() + 1)]

    def two_largest(jacobians):
        magnitudes = tf.abs(tf.reshape(jacobians, [tf.shape(jacobians)[0], -1, len(owner)]))
        blocks = [tf.reduce_max(tf.gather(magnitudes, block, axis=2), 2) for block in members]
        return tf.reduce_max(tf.math.top_k(tf.stack(blocks, -1), 2).values, 1)

    largest = jacobian(decoder, latents, reduction=two_largest, dtype=dtype).max(0)
    usable.require_live(lambda: largest)
    scale = float(largest[0])
    parts = {"first": float(largest[1]), "second": 0.0, "third": 0.0}
    order = 0
    if parts["first"] > tolerance * scale:
        order = 1
        parts["second"] = block_hessian(decoder, latents, blocks, dtype=dtype)["score"]
    if parts["second"] > tolerance * scale:
        flat, derivative = derivatives(decoder, latents, dtype, order=3)
        triples = itertools.combinations_with_replacement(range(flat.shape[1]), 3)
        parts["third"] = max(
            float(np.abs(derivative(triple)).max())
            for triple in triples
            if len(set(owner[list(triple)])) > 1
        )
        order = 3 if parts["third"] > tolerance * scale else 2
    return {"score": order, **parts, "scale": scale}


def block_owners(blocks, latent_shape) -> np.ndarray:
    """The number of the block of each flattened latent; each by itself along the first axis."""
    count = int(np.prod(latent_shape))
    if blocks is None:
        owner = np.repeat(np.arange(latent_shape[0]), count // latent_shape[0])
    else:
        positions = [int(position) for block in blocks for position in block]
        if sorted(positions) != list(range(count)) or not all(map(len, blocks)):
            raise ValueError(
                f"blocks {[list(block) for block in blocks]}: must hold each of the positions "
                f"0 to {count - 1} exactly once"
            )
        owner = np.zeros(count, int)
        for number, block in enumerate(blocks):
            owner[list(block)] = number
    if owner.max() < 1:
        raise ValueError("interaction needs at least two blocks of latents")
    return owner


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


def _forward(function, tangent):
    return lambda values: push_forward(function, values, tangent)


def _reverse(function, tangent):
    return lambda values: linearise(function, values)[0](tangent)
