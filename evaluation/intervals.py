"""Intervals of a score over images: how much it would differ had other images been drawn.

An interval is `score +- t SE`, clipped to the score's range, with the 97.5 % quantile t of
Student's distribution for the number of resamplings less one. It is meant to hold the mean of the
score over sets of as many images, not its limit for infinitely many: histograms, trees and
neighbours are biased by the number of rows, the same for everybody who takes as many. It says
nothing of other training seeds.

The standard error SE is that of subsamples without replacement (the delete-d jackknife; Shao & Wu
1989): the share q of the rows is scored, and the standard deviation of these scores is multiplied
by `sqrt(q / (1 - q))`. Mostly q is a half, which multiplies by one: whatever a score varies by of
itself, because of trees, neighbours or its own division of the rows, is multiplied, too. Scores
that are smooth, but all but constant where codes are at their best, state 0.9: a half would be too
wide. Rows drawn with replacement, as in the bootstrap, are there twice: nearest neighbours
find themselves. Percentiles of either are centred beside a score that is biased, and seldom hold
its mean (`benchmarks/intervals.py`).
"""

from collections.abc import Callable, Sequence

import numpy as np

from zoo.evaluation import arrays, checks, facts
from zoo.evaluation.errors import InputError, UndefinedScoreError

LEVEL = 0.95
LABEL = "95 % over images, not over training seeds"
# Fewer subsamples give a standard error that is hardly known.
LEAST = 10
# What has one entry per image; with `_test` for the test half, which is resampled apart.
_ROWS = {
    "codes", "factors", "latents", "targets", "domains", "means", "variances", "slots",
    "true_slots", "points", "posterior_means", "posterior_variances", "observations", "data",
    "jacobians", "slot_jacobian", "slot_attention", "masks", "predicted_masks", "images",
    "reconstructions", "generated_images", "codes_of_models", "read_factors", "labelled_factors",
    "reader_features", "generated_reader_features",
}  # fmt: skip
# What is the same for all images.
_WHOLE = {"categorical", "decoder", "weights", "sizes"}


def interval(
    function: Callable[..., dict],
    known: facts.Facts,
    needed: Sequence,
    settings: dict,
    value: float,
    times: int,
    seed: int,
) -> tuple[float, float]:
    """The 95 % interval of a score over images.

    Scores of chosen factors (`represent`) draw their images by their seed: their standard error is
    the standard deviation over `times` other seeds.

    Args:
        function: the score.
        known: its facts.
        needed: the values of what it needs, in that order.
        settings: keyword arguments, as for the value itself.
        value: the score itself.
        times: how many subsamples.
        seed: of the subsamples.

    Returns:
        The least and the largest value.

    Raises:
        InputError: a subsample cannot be scored, for example because a rare value is not in it;
            the score is none of images; no interval of this kind is known to hold its mean.
    """
    if known.no_interval:
        raise UndefinedScoreError(f"no interval: {known.no_interval}")
    generators = np.random.default_rng(seed).spawn(times)
    values = dict(zip(known.needs, needed, strict=True))
    if known.interventional:
        if "seed" not in known.settings:
            raise UndefinedScoreError("no interval: it takes no seed, which draws images")
        seeds = [int(generator.integers(2**31)) for generator in generators]
        scores = [function(*needed, **{**settings, "seed": each})["score"] for each in seeds]
        factor = 1.0
    else:
        neighbours = settings.get("estimator") == "knn"
        subsampled, factor = _subsampling(values, 0.5 if neighbours else known.subsampled)
        scores = [
            function(*subsampled(generator).values(), **settings)["score"]
            for generator in generators
        ]
    from scipy.stats import t

    half = float(t.ppf((1 + LEVEL) / 2, times - 1) * factor * np.std(scores, ddof=1))
    low, high = known.range
    return max(low, value - half), min(high, value + half)


def _subsampling(values: dict, share: float) -> tuple[Callable[[np.random.Generator], dict], float]:
    """What draws from every array the same rows as from its half, and the factor of its spread."""
    unknown = sorted({name.removesuffix("_test") for name in values} - _ROWS - _WHOLE)
    if unknown:
        raise UndefinedScoreError(f"no interval over images: {unknown[0]} are not of single images")
    halves: dict[str, dict] = {}
    for name, array in values.items():
        base = name.removesuffix("_test")
        if base in _ROWS:
            # Images that are generated belong to no others.
            half = name if name.startswith("generated_") else name.removeprefix(base)
            halves.setdefault(half, {})[name] = _converted(array, name)
    counts = {half: _count(given) for half, given in halves.items()}
    if min(counts.values()) < 2 * LEAST:
        raise UndefinedScoreError(f"no interval: {min(counts.values())} rows are too few for one")

    def draw(generator: np.random.Generator) -> dict:
        drawn = dict(values)
        for half, given in halves.items():
            rows = generator.permutation(counts[half])[: round(share * counts[half])]
            drawn |= {name: _taken(array, rows) for name, array in given.items()}
        return drawn

    return draw, np.sqrt(share / (1 - share))


def _converted(array, name: str):
    if name == "codes_of_models":
        return [arrays.real(each, name) for each in array]
    return arrays.real(array, name)


def _count(given: dict) -> int:
    array = next(iter(given.values()))
    return len(array[0]) if isinstance(array, list) else len(array)


def _taken(array, rows: np.ndarray):
    return [each[rows] for each in array] if isinstance(array, list) else array[rows]


def check_times(times: int) -> None:
    """Checks the number of subsamples, 0 meaning no intervals.

    Raises:
        InputError: it is no whole number, or too few for a standard error.
    """
    checks.whole(0, bootstrap=times)
    if 0 < times < LEAST:
        raise InputError(f"bootstrap is {times}: it must be at least {LEAST}, or 0")
