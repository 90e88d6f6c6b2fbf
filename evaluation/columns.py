"""Arithmetic on columns that is safe for constant, tiny and huge codes."""

import numpy as np

from zoo.evaluation import checks


def standardized(values: np.ndarray) -> np.ndarray:
    """`[N, D]` columns of mean 0 and (population) standard deviation 1; constant ones become 0."""
    # The rounding noise of a dead code must not be blown up to unit variance.
    values = np.where(checks.constant_columns(values), 0.0, values)
    values = _at_most_one(values)
    values = _at_most_one(values - values.mean(0))
    spread = values.std(0)
    return values / np.where(spread > 0, spread, 1)


def correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """`[D, K]` Pearson correlations of `[N, D]` and `[N, K]`; 0 where a column is constant."""
    left = standardized(first)
    right = left if second is first else standardized(second)
    product = left.T @ right / len(first)
    return np.clip(product, -1, 1)


def determination(truth: np.ndarray, guess: np.ndarray) -> float:
    """R2: the share of the variance of `[N]` numbers that a guess explains, at least 0."""
    return float(max(r2(truth, guess), 0.0))


def r2(truth: np.ndarray, guess: np.ndarray) -> np.ndarray:
    """`[K]` coefficients of determination of `[N, K]` columns, a number of `[N]`.

    0 for a constant column that is not predicted, 1 for one that is.
    """
    residual = ((truth - guess) ** 2).sum(0)
    total = ((truth - truth.mean(0)) ** 2).sum(0)
    return np.where(total > 0, 1 - residual / np.where(total > 0, total, 1), residual == 0)


def _at_most_one(values: np.ndarray) -> np.ndarray:
    """Divides each column by its largest magnitude: its squares neither overflow nor vanish."""
    largest = checks.magnitudes(values)
    return values / np.where(largest > 0, largest, 1)
