"""The two rank conditions of interaction asymmetry: independence across slots, and none within.

Brady et al. 2025, "Interaction Asymmetry: A General Principle for Learning Composable
Abstractions". Slots are blocks of latents here, as in `zoo.evaluation.block_hessian`.
"""

import itertools
from collections.abc import Callable

import numpy as np
from scipy.linalg import qr
from scipy.sparse.csgraph import connected_components

from zoo.evaluation import facts
from zoo.evaluation.arrays import checked_latents
from zoo.evaluation.blocks import Blocks
from zoo.evaluation.errors import InputError
from zoo.evaluation.hessian import block_owners

ORDERS = (0, 1, 2)


@facts.score(
    needs=("decoder", "points"),
    settings=("blocks",),
    source="Brady et al. 2025",
    higher_is_better=True,
    range=(0, 1),
)
def sufficient_independence(
    decoder: Callable,
    latents: np.ndarray,
    blocks: Blocks | int | None = None,
    *,
    order: int = 1,
    tolerance: float = 1e-6,
    dtype: str = "float64",
) -> dict:
    """How far the slots' highest derivatives are from depending on one another and on lower ones.

    A decoder with at most n-th order interaction across slots is sufficiently independent where

        rank [D_n, D^(n+1) f_1, ..., D^(n+1) f_K] = rank D_n + sum_k rank D^(n+1) f_k

    with D_n all its derivatives of the orders 1 to n and D^(n+1) f_k those of order n + 1 by
    latents of slot k alone, as vectors over the outputs (Brady et al. 2025, definitions A.8, A.9
    and 4.2, in the form that the proofs of theorems A.20, A.22 and A.24 use). Together with
    interaction asymmetry it lets models of the same order identify the slots.

    The score is the least singular value of the orthonormal bases of these parts side by side: 1
    where they are orthogonal, 0 where the ranks do not add up. Derivatives are exact.

    Args:
        decoder: a TensorFlow callable from `[n, *latent_shape]` to `[n, *output_shape]`; its own
            interaction across slots should be of at most `order` (see `interaction_order`).
        latents: `[N, *latent_shape]`.
        blocks: a partition of the positions 0, 1, ... of the flattened latents, or the number of
            equal contiguous blocks; without it, the first axis of `latent_shape`: each latent, or
            each slot, is a block. Of a model, `zoo.evaluation.evaluate` takes its `blocks`, where
            it has two or more.
        order: n, 0 to 2.
        tolerance: singular values of a part up to this share of its largest are zeros.
        dtype: as in `zoo.evaluation.jacobian`. Ranks need float64; of a decoder that has operations
            for float32 only, give `"float32"` and a `tolerance` of 1e-4, above its rounding.

    Returns:
        `score`, the least over latents, in [0, 1]; `per_sample` `[N]`; `ranks` `[N, 1 + K]` of the
        lower derivatives (none for n = 0) and of each slot's; `outputs`, how many numbers a decoder
        makes, which bounds the sum of ranks.

    Raises:
        InputError: an order beyond 2, blocks that are not a partition, fewer than two, or what
            `zoo.evaluation.jacobian` raises.
    """
    from zoo.evaluation.higher_derivatives import partials

    if order not in ORDERS:
        raise InputError(f"order {order!r}: must be one of {', '.join(map(str, ORDERS))}")
    latents = checked_latents(latents, dtype)
    owner = block_owners(blocks, latents.shape[1:])
    every = range(len(owner))
    lower = [
        column
        for n in range(1, order + 1)
        for column in itertools.combinations_with_replacement(every, n)
    ]
    highest = [
        list(itertools.combinations_with_replacement(np.flatnonzero(owner == slot), order + 1))
        for slot in range(owner.max() + 1)
    ]
    columns = [*lower, *itertools.chain(*highest)]
    ends = np.cumsum([len(lower), *map(len, highest)])
    parts = np.split(partials(decoder, latents, dtype, columns), ends[:-1], axis=2)
    least, ranks = np.ones(len(latents)), np.zeros((len(latents), len(parts)), int)
    for sample in range(len(latents)):
        bases = [_basis(part[sample], tolerance) for part in parts]
        ranks[sample] = [basis.shape[1] for basis in bases]
        beside = np.concatenate(bases, axis=1)
        outputs, count = beside.shape
        if count > outputs:
            least[sample] = 0.0
        elif count:
            found = np.linalg.svd(beside, compute_uv=False)[-1]
            least[sample] = found if found > tolerance else 0.0
    return {
        "score": float(np.minimum(least, 1.0).min()),
        "per_sample": np.minimum(least, 1.0),
        "ranks": ranks,
        "outputs": int(parts[-1].shape[1]),
    }


@facts.score(
    needs=("decoder", "points"),
    settings=("blocks",),
    source="Brady et al. 2023",
    higher_is_better=True,
    range=(0, 1),
)
def irreducibility(
    decoder: Callable,
    latents: np.ndarray,
    blocks: Blocks | int | None = None,
    *,
    tolerance: float = 1e-6,
    dtype: str = "float64",
) -> dict:
    """The share of slots whose outputs cannot be split into two parts that share no information.

    With I the outputs that depend on a slot, the slot is irreducible where for every partition of I
    into two parts rank J_I < rank J_1 + rank J_2, with J the derivatives by the slot's latents
    (Brady et al. 2023, "Provably Learning Object-Centric Representations", definition 5; Brady et
    al. 2025, definition E.2: first-order interaction within slots, in any of their bases).

    That is whether the matroid of the rows of J_I is connected, for which no partition has to be
    tried: all rows are written in a basis that consists of some of them, and rows of the basis are
    joined with those whose coefficient is not zero.

    Args:
        decoder: as in `sufficient_independence`.
        latents: as in `sufficient_independence`.
        blocks: as in `sufficient_independence`.
        tolerance: numbers up to this share of the largest of a slot's derivatives, and
            coefficients up to this, are zeros.
        dtype: as in `sufficient_independence`.

    Returns:
        `score`, the share of latents and slots, in [0, 1]; `parts` `[N, slots]`, into how many
        parts the outputs of a slot fall: 1 where it is irreducible, 0 of a slot that no output
        depends on, which does not count as irreducible.

    Raises:
        InputError: blocks that are not a partition, fewer than two, or what
            `zoo.evaluation.jacobian` raises.
    """
    from zoo.evaluation.higher_derivatives import partials

    latents = checked_latents(latents, dtype)
    owner = block_owners(blocks, latents.shape[1:])
    columns = [(latent,) for latent in range(len(owner))]
    jacobians = partials(decoder, latents, dtype, columns)
    parts = np.array(
        [
            [_parts(matrix[:, owner == slot], tolerance) for slot in range(owner.max() + 1)]
            for matrix in jacobians
        ]
    )
    return {"score": float((parts == 1).mean()), "parts": parts}


def _basis(columns: np.ndarray, tolerance: float) -> np.ndarray:
    """Orthonormal columns that span those given, each of which counts alike."""
    norms = np.linalg.norm(columns, axis=0)
    left, values, _ = np.linalg.svd(columns[:, norms > 0] / norms[norms > 0], full_matrices=False)
    return left[:, values > tolerance * values.max(initial=0.0)]


def _parts(rows: np.ndarray, tolerance: float) -> int:
    """The connected components of the matroid of rows that are not zero, `[outputs, latents]`."""
    sizes = np.linalg.norm(rows, axis=1)
    rows = rows[sizes > tolerance * sizes.max(initial=0.0)]
    if not len(rows):
        return 0
    # Directions only: the matroid does not see the scale of a row.
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    triangle, order = qr(rows.T, mode="r", pivoting=True)[:2]
    diagonal = np.abs(np.diag(triangle))
    rank = int((diagonal > tolerance * diagonal[0]).sum())
    basis, others = rows[order[:rank]], rows[order[rank:]]
    coefficients = np.linalg.lstsq(basis.T, others.T, rcond=None)[0]
    joined = np.zeros((len(rows), len(rows)), bool)
    joined[:rank, rank:] = np.abs(coefficients) > tolerance
    return int(connected_components(joined, directed=False)[0])
