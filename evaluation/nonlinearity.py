"""Whether an additive decoder is non-linear enough for its latents to be identified."""

import itertools
from collections.abc import Callable

import numpy as np

from zoo.evaluation import facts
from zoo.evaluation.arrays import checked_latents
from zoo.evaluation.blocks import Blocks
from zoo.evaluation.hessian import block_owners


@facts.score(
    needs=("decoder", "points"),
    settings=("blocks",),
    source="Lachapelle et al. 2023",
    higher_is_better=True,
    range=(0, 1),
)
def sufficient_nonlinearity(
    decoder: Callable,
    latents: np.ndarray,
    blocks: Blocks | int | None = None,
    *,
    dtype: str = "float32",
) -> dict:
    """The volume that the first and second derivatives of an additive decoder span.

    For a decoder f(z) = sum_B f_B(z_B) the matrix W(z) has the columns d f / d z_i of all latents
    and d^2 f / d z_i d z_j of all pairs i <= j within a block. f is sufficiently non-linear where
    they are linearly independent (Lachapelle et al. 2023, assumption 2), and additive decoders
    then identify its blocks. Given is `sqrt(det(W^T W))` with columns of unit norm, as in the
    authors' notebook of example 4.9: 1 where they are orthogonal, 0 where they are dependent, as
    for linear f. Derivatives are exact, by forward differentiation.

    Args:
        decoder: a TensorFlow callable from `[n, *latent_shape]` to `[n, *output_shape]`, additive
            over the blocks (see `block_hessian`).
        latents: `[N, *latent_shape]`.
        blocks: a partition of the positions 0, 1, ... of the flattened latents, or the number of
            equal contiguous blocks; without it, the first axis of `latent_shape`: each latent, or
            each slot, is a block. Of a model, `zoo.evaluation.evaluate` takes its `blocks`, where
            it has two or more.
        dtype: as in `zoo.evaluation.jacobian`.

    Returns:
        `score`, the least over latents, in [0, 1]; `largest`; `per_sample` `[N]`; `columns`, the
        latents that each column of W is differentiated by.

    Raises:
        InputError: blocks that are not a partition, fewer than two, or what
            `zoo.evaluation.jacobian` raises.
    """
    from zoo.evaluation.higher_derivatives import partials

    latents = checked_latents(latents, dtype)
    owner = block_owners(blocks, latents.shape[1:])
    every = range(len(owner))
    columns = [(i,) for i in every]
    for i, j in itertools.combinations_with_replacement(every, 2):
        if owner[i] == owner[j]:
            columns.append((i, j))
    w = partials(decoder, latents, dtype, columns)
    norms = np.linalg.norm(w, axis=1, keepdims=True)
    # A column of zeros depends on the others whatever its direction.
    unit = np.divide(w, norms, out=np.zeros_like(w), where=norms > 0)
    gram = np.swapaxes(unit, 1, 2) @ unit
    volumes = np.sqrt(np.maximum(np.linalg.det(gram), 0.0))
    return {
        "score": float(volumes.min()),
        "largest": float(volumes.max()),
        "per_sample": volumes,
        "columns": columns,
    }
