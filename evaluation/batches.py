"""How rows are divided into batches that are scored one by one and averaged."""

import numpy as np


def consecutive(rows: int, size: int | None) -> list[slice]:
    """Consecutive batches of `size` rows, and a shorter last one if it has at least half as many.

    Fewer rows than that join the batch before them: the score of a few rows is another score (two
    rows of noise correlate perfectly).

    Args:
        rows: how many there are.
        size: of a batch; None for one batch of all.
    """
    size = size or max(rows, 1)
    starts = list(range(0, rows, size))
    if len(starts) > 1 and 2 * (rows - starts[-1]) < size:
        starts.pop()
    return [slice(*pair) for pair in zip(starts, [*starts[1:], rows], strict=True)]


def lengths(batches: list[slice]) -> np.ndarray:
    """The number of rows of each batch, their weights in a mean over rows."""
    return np.array([rows.stop - rows.start for rows in batches])
