"""What scores of codes against true latents share: input, correlations, matching."""

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata

from zoo.evaluation import checks, columns
from zoo.evaluation.errors import InputError


def codes_and_latents(codes, latents, suffix: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Checked `[N, D]` codes and `[N, K]` latents, of which none is constant."""
    codes = checks.varying(codes, f"codes{suffix}", "[N, D]")
    latents = checks.varying(latents, f"latents{suffix}", "[N, K]")
    if len(codes) != len(latents):
        raise InputError(
            f"codes{suffix} has {len(codes)} rows and latents{suffix} {len(latents)}: "
            "row n of both must describe the same observation"
        )
    constant = checks.constant_columns(latents)
    if constant.any():
        raise InputError(f"latents{suffix} column {constant.argmax()} is constant: leave it out")
    return codes, latents


def halves(codes, latents, codes_test, latents_test) -> tuple[np.ndarray, ...]:
    """As `codes_and_latents` for a training and a test part, whose columns must correspond."""
    codes, latents = codes_and_latents(codes, latents)
    codes_test, latents_test = codes_and_latents(codes_test, latents_test, "_test")
    if codes.shape[1:] != codes_test.shape[1:] or latents.shape[1:] != latents_test.shape[1:]:
        raise InputError(
            f"training and test rows differ: codes {codes.shape} and {codes_test.shape}, "
            f"latents {latents.shape} and {latents_test.shape}"
        )
    return codes, latents, codes_test, latents_test


def correlations(codes: np.ndarray, latents: np.ndarray, kind: str) -> np.ndarray:
    """`[D, K]` correlations in [-1, 1], `pearson` or `spearman`; 0 where a column is constant."""
    if kind not in ("pearson", "spearman"):
        raise InputError(f"correlation {kind!r} is unknown: use 'pearson' or 'spearman'")
    if kind == "spearman":
        codes, latents = rankdata(codes, axis=0), rankdata(latents, axis=0)
    return columns.correlations(codes, latents)


def best_matching(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The matching of rows to columns of greatest weight: what each column gets, and from where."""
    rows, chosen = linear_sum_assignment(weights, maximize=True)
    values = np.zeros(weights.shape[1])
    origin = np.full(weights.shape[1], -1)
    values[chosen], origin[chosen] = weights[rows, chosen], rows
    return values, origin
