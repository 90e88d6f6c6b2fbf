"""Second and third derivatives of decoders across latents: additivity and orders of interaction.

A C^2 decoder is additive over blocks of latents exactly where the Hessian of every output is
block-diagonal (Lachapelle et al. 2023, proposition 5).
"""

import itertools
from collections.abc import Callable

import numpy as np

from zoo.evaluation import facts
from zoo.evaluation.arrays import checked_latents
from zoo.evaluation.blocks import Blocks, partition
from zoo.evaluation.errors import InputError


@facts.score(
    needs=("decoder", "points"),
    settings=("seed",),
    source="Peebles et al. 2020",
    higher_is_better=False,
)
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
        InputError: fewer than two directions, or what `zoo.evaluation.jacobian` raises.
    """
    if directions < 2 or not epsilon > 0:
        raise InputError("the Hessian penalty needs directions >= 2 and epsilon > 0")
    from zoo.evaluation.higher_derivatives import curvature_variance

    latents = checked_latents(latents, dtype)
    penalties = (
        _exact_penalties(decoder, latents, dtype)
        if exact
        else curvature_variance(decoder, latents, directions, epsilon, seed, dtype)
    ).reshape(len(latents), -1)
    return {
        "score": float(penalties.max()),
        "per_sample": penalties.max(1),
        "mean": float(penalties.mean()),
    }


def _exact_penalties(decoder, latents, dtype):
    from zoo.evaluation.higher_derivatives import derivatives

    flat, derivative = derivatives(decoder, latents, dtype, order=2)
    total = np.zeros((len(flat), 1))
    for pair in itertools.combinations(range(flat.shape[1]), 2):
        total = total + 4 * np.square(derivative(pair)).reshape(len(flat), -1)
    return total


@facts.score(
    needs=("decoder", "points"),
    settings=("blocks",),
    source="Lachapelle et al. 2023",
    higher_is_better=False,
    axes={"pairs": "block block"},
)
def block_hessian(
    decoder: Callable,
    latents: np.ndarray,
    blocks: Blocks | int | None = None,
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
        blocks: a partition of the positions 0, 1, ... of the flattened latents, or the number of
            equal contiguous blocks; without it, the first axis of `latent_shape`: each latent, or
            each slot, is a block. Of a model, `zoo.evaluation.evaluate` takes its `blocks`, where
            it has two or more.
        dtype: as in `zoo.evaluation.jacobian`.

    Returns:
        `score`, the maximum over samples; `per_sample` `[N]`; `mean` of these; `pairs` `[blocks,
        blocks]`, maxima over samples.

    Raises:
        InputError: blocks that are not a partition, fewer than two, or what
            `zoo.evaluation.jacobian` raises.
    """
    # Here, and below: everything but derivatives does without TensorFlow.
    from zoo.evaluation.higher_derivatives import derivatives

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


@facts.score(
    needs=("decoder", "points"),
    settings=("blocks",),
    source="Brady et al. 2025",
    higher_is_better=False,
    range=(0, 3),
)
def interaction_order(
    decoder: Callable,
    latents: np.ndarray,
    blocks: Blocks | int | None = None,
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
        InputError: as `block_hessian`.
    """
    import tensorflow as tf

    from zoo.evaluation import usable
    from zoo.evaluation.higher_derivatives import derivatives
    from zoo.evaluation.jacobians import jacobian

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
    owner = np.zeros(int(np.prod(latent_shape)), int)
    blocks = latent_shape[0] if blocks is None else blocks
    for number, block in enumerate(partition(blocks, len(owner), "blocks")):
        owner[list(block)] = number
    if owner.max() < 1:
        raise InputError("interaction needs at least two blocks of latents")
    return owner
