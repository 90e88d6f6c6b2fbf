"""Two methods compared over training seeds: medians with intervals, and a paired test."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from zoo.evaluation import arrays, checks
from zoo.evaluation.errors import InputError

LEVEL = 0.95
# Of so many pairs all changes of sign are tried, of more so many changes.
_EXACT_PAIRS, _FLIPS = 13, 10_000


def median_interval(scores, times: int = 2000, seed: int = 0) -> tuple[float, float, float]:
    """The median over runs and its 95 % interval by the stratified bootstrap.

    Runs are resampled with replacement within each task (Agarwal et al. 2021), and the interval is
    between the 2.5 % and the 97.5 % quantiles of the medians. Of n runs of one task it holds the
    median of the population in at most `1 - 2^(1 - n)` of all cases, whatever the population: in
    75 % for three runs, in 94 % for five.

    Args:
        scores: `[n]` of one task, or `[n, tasks]`, whose medians over runs are averaged.
        times: how many times runs are resampled.
        seed: of the resampling.

    Returns:
        The median, the lower and the upper end.

    Raises:
        InputError: no runs, or scores that are not finite.
    """
    runs = _runs(scores, "scores")
    checks.whole(1, times=times)
    rows = np.random.default_rng(seed).integers(len(runs), size=(times, *runs.shape))
    resampled = np.median(np.take_along_axis(runs[None], rows, axis=1), axis=1).mean(1)
    low, high = np.quantile(resampled, ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(np.median(runs, axis=0).mean()), float(low), float(high)


def compare(first, second, times: int = 2000, seed: int = 0) -> dict[str, Any]:
    """Compares the scores of two methods whose runs are paired by their training seeds.

    The test asks whether the mean difference of pairs could be of either sign just as well: the
    signs of the differences are flipped (all ways for up to 13 pairs, else 9,999 at random), and
    `p` is the two-sided share of ways that give as large a mean. It is never below `least_p`, which
    is `2^(1 - n)` for n pairs up to 13: five seeds cannot show a difference at 5 %.

    Args:
        first: scores of the first method by seed, `{seed: score}`; or `[n]`, paired by position; or
            `[n, tasks]`, of as many runs of several tasks, on scales that may be averaged.
        second: those of the second method.
        times: how many times runs are resampled for intervals.
        seed: of the resampling, and of the flips.

    Returns:
        `first`, `second` and `difference`, each a median and the two ends of its interval, that of
        the differences (second less first) within pairs (see `median_interval`);
        `probability_of_improvement`, the probability that a run of the second scores higher than
        one of the first, ties counting half, mean over tasks; `p`, `least_p`, `pairs`; `unpaired`,
        the seeds that only one of the methods has.

    Raises:
        InputError: fewer than two pairs, different shapes, or scores that are not finite.
    """
    first, second, unpaired = _paired(first, second)
    how = {"times": times, "seed": seed}
    differences = (second - first).ravel()
    count = len(differences)
    return {
        "first": median_interval(first, **how),
        "second": median_interval(second, **how),
        "difference": median_interval(second - first, **how),
        "probability_of_improvement": _improvement(first, second),
        "p": _flipped(differences, seed),
        "least_p": 2 / 2**count if count <= _EXACT_PAIRS else 1 / _FLIPS,
        "pairs": count,
        "unpaired": unpaired,
    }


def _flipped(differences: np.ndarray, seed: int) -> float:
    """The two-sided p of the mean of differences under changes of their signs."""
    sums = np.abs(flipped_sums(differences, _EXACT_PAIRS, _FLIPS, seed))
    # Sums that are equal but for rounding count as large.
    rounding = 1e-12 * np.abs(differences).sum()
    return float(np.mean(sums >= abs(differences.sum()) - rounding))


def flipped_sums(differences: np.ndarray, exact_pairs: int, times: int, seed: int) -> np.ndarray:
    """Sums of differences under changes of their signs.

    Args:
        differences: `[n]`.
        exact_pairs: up to so many all `2^n` ways are tried.
        times: of more, so many: the given signs and others at random.
        seed: of these.
    """
    if len(differences) > exact_pairs:
        flips = np.random.default_rng(seed).integers(2, size=(times - 1, len(differences)))
        return np.append((1 - 2 * flips) @ differences, differences.sum())
    sums = np.zeros(1)
    for each in differences:
        sums = np.concatenate([sums - each, sums + each])
    return sums


def _improvement(first: np.ndarray, second: np.ndarray) -> float:
    """Over all pairs of runs of the same task."""
    sign = np.sign(second[:, None] - first[None])
    return float((1 + sign).mean() / 2)


def _paired(first, second) -> tuple[np.ndarray, np.ndarray, list]:
    unpaired = []
    if isinstance(first, Mapping) != isinstance(second, Mapping):
        raise InputError("give the scores of both methods by seed, or neither's")
    if isinstance(first, Mapping):
        common = sorted(set(first) & set(second), key=_order)
        unpaired = sorted(set(first) ^ set(second), key=_order)
        if len(common) < 2:
            raise InputError(f"{len(common)} seeds are common to both methods: 2 are needed")
        first, second = ([scores[each] for each in common] for scores in (first, second))
    first, second = _runs(first, "first"), _runs(second, "second")
    if first.shape != second.shape:
        raise InputError(f"first is {list(first.shape)} and second {list(second.shape)}: pair them")
    if len(first) < 2:
        raise InputError("one pair alone is no comparison: 2 are needed")
    return first, second, unpaired


def _order(seed) -> tuple:
    """Of seeds, which may be words as well as numbers: JSON has words alone."""
    return isinstance(seed, str), seed


def _runs(scores, name: str) -> np.ndarray:
    """`[n, tasks]` finite scores."""
    runs = arrays.finite(scores, name)
    runs = runs[:, None] if runs.ndim == 1 else runs
    if runs.ndim != 2:
        raise InputError(f"{name} has shape {list(runs.shape)}: give [runs] or [runs, tasks]")
    return runs
