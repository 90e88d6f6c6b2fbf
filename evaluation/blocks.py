"""Divisions of the columns of codes, or of latents, into blocks."""

import itertools
import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from zoo.evaluation.errors import InputError

Blocks = Sequence[Sequence[int]]

# A search over more partitions than this would fit trees for hours: blocks must be given instead.
_MAX_PARTITIONS = 10_000


def partition(blocks: Blocks | int, size: int, name: str) -> list[tuple[int, ...]]:
    """Blocks as tuples of column numbers, every column in exactly one."""
    if isinstance(blocks, int | np.integer):
        if blocks < 1 or size % blocks:
            raise InputError(f"{name}: {size} columns do not divide into {blocks} equal blocks")
        return [tuple(b.tolist()) for b in np.arange(size).reshape(blocks, -1)]
    try:
        result = [tuple(int(i) for i in block) for block in blocks]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{name} is {blocks!r}: give the number of equal blocks, or lists of columns"
        ) from error
    if not all(result) or sorted(itertools.chain(*result)) != list(range(size)):
        raise InputError(f"{name} {result} must hold each of the {size} columns exactly once")
    return result


def of_both(
    blocks: Blocks | int, latent_blocks: Blocks | int | None, codes: np.ndarray, latents: np.ndarray
) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Blocks of the columns of codes and of latents; without the latter `blocks` is for both."""
    of_codes = partition(blocks, codes.shape[1], "blocks")
    if latent_blocks is not None:
        return of_codes, partition(latent_blocks, latents.shape[1], "latent_blocks")
    return of_codes, partition(blocks, latents.shape[1], "without latent_blocks, blocks")


def of_model(model: Any) -> list[list[int]] | None:
    """The latents of each block of a model, its `blocks`, where it has two or more of them."""
    try:
        blocks = [[operator.index(latent) for latent in block] for block in model.blocks]
    except (AttributeError, TypeError, ValueError):
        return None  # It has none, or something else of that name.
    latents = sorted(itertools.chain(*blocks))
    partition = all(blocks) and latents == list(range(len(latents)))
    return blocks if len(blocks) > 1 and partition else None


def partitions(blocks: list[tuple[int, ...]]) -> Iterator[list[tuple[int, ...]]]:
    """Every way to divide the same columns into blocks of the same sizes, each once."""

    def divide(free: tuple[int, ...], sizes: tuple[int, ...]):
        if not sizes:
            yield []
            return
        # The smallest free column goes into one block of each size in turn: no division twice.
        for size in sorted(set(sizes)):
            left = list(sizes)
            left.remove(size)
            for others in itertools.combinations(free[1:], size - 1):
                block = (free[0], *others)
                rest = tuple(i for i in free if i not in block)
                yield from ([block, *tail] for tail in divide(rest, tuple(left)))

    sizes = tuple(map(len, blocks))
    every = divide(tuple(range(sum(sizes))), sizes)
    found = list(itertools.islice(every, _MAX_PARTITIONS + 1))
    if len(found) > _MAX_PARTITIONS:
        raise InputError(
            f"there are over {_MAX_PARTITIONS} partitions of {sum(sizes)} codes into blocks of "
            "these sizes: give the blocks and leave best_partition off"
        )
    yield from found
