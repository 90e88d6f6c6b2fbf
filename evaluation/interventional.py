"""Scores that hold factors fixed, or ask for what changes when others do."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from zoo.evaluation import checks, facts
from zoo.evaluation.encoding import CachedCodes
from zoo.evaluation.errors import InputError
from zoo.evaluation.information import histogram_bins
from zoo.evaluation.parallel import one_thread

# Rows of factors asked of `represent` at a time: bounds the memory of the voting scores.
_CHUNK_ROWS = 1 << 17


def represent(
    encoder: Callable[[np.ndarray], Any], dataset: Any, batch_size: int = 256
) -> Callable[[np.ndarray], np.ndarray]:
    """Makes a function from factor rows to codes, as the voting scores want it.

    Every image of the grid is encoded at most once, when it is first asked for.

    Args:
        encoder: maps `[B, H, W, C]` float32 images in [0, 1] to `[B, D]` codes, an array or a
            tensor; it is always called with `batch_size` images, so it is traced once.
        dataset: has `images`, where `images[numbers]` returns arrays whose value `images.maximum`
            means 1, and `space`, where `space.index(rows)` numbers the images, as the data sets
            of `zoo.data.load` have; of a part of a data set, `whole` has the images.
        batch_size: B.

    Returns:
        A function from `[n, F]` factor indices to `[n, D]` codes.

    Raises:
        InputError: the data set has no factor grid; later, codes that are not `[B, ...]` or not
            finite.
    """
    space = dataset.space
    if space is None:
        raise InputError("this data set has no factor grid: score it on codes and factors instead")
    codes_of = CachedCodes(encoder, getattr(dataset, "whole", dataset).images, batch_size)
    return lambda rows: codes_of(space.index(np.asarray(rows)))


@facts.score(
    needs=("represent", "sizes"),
    settings=("seed",),
    source="Kim & Mnih 2018",
    higher_is_better=True,
    range=(0, 1),
    suites=facts.STANDARD,
    axes={"votes": "factor latent", "active": "latent"},
)
def factor_vae_score(
    represent: Callable[[np.ndarray], Any],
    space: Any,
    seed: int,
    num_train: int = 10_000,
    num_eval: int = 5_000,
    batch_size: int = 64,
    num_variance_estimate: int = 10_000,
    prune_threshold: float = 0.05,
) -> dict[str, float | int | np.ndarray]:
    """FactorVAE score: whether the code that varies least tells which factor was held.

    Defined in Kim & Mnih 2018, sec. 4.

    Each vote holds one random factor fixed in a batch; it goes to the code whose variance in the
    batch, relative to that over the whole grid, is least. The factor voted most often for each code
    classifies the votes; the score is the accuracy on fresh votes. Codes of standard deviation
    below the threshold do not take part; where none is left the score is 0.

    Args:
        represent: maps `[n, F]` factor indices to `[n, D]` codes; see `zoo.evaluation.represent`.
        space: the factor grid: the F numbers of values, or an object that has them as `sizes`.
        seed: of the sampling.
        num_train: votes that make the classifier.
        num_eval: votes that are scored.
        batch_size: rows of one vote.
        num_variance_estimate: rows for the global variances.
        prune_threshold: the least standard deviation of a code that takes part.

    Returns:
        `score` and `train_accuracy` in [0, 1]; `votes` `[F, D]` of the training part; `active`
        `[D]` bool.

    Raises:
        InputError: a bad factor grid, numbers of votes or rows out of range; `represent` returns
            NaN or a wrong shape.
    """
    sizes = _sizes(space)
    checks.whole(1, num_train=num_train, num_eval=num_eval)
    # A variance needs two rows.
    checks.whole(2, num_variance_estimate=num_variance_estimate, batch_size=batch_size)
    rng = np.random.default_rng(seed)
    sample = _codes(represent, _rows(rng, sizes, (num_variance_estimate,)))
    variances = sample.var(0, ddof=1)
    dead = checks.constant_columns(sample)
    active = ~dead & (np.sqrt(variances) >= prune_threshold)
    votes = np.zeros((2, len(sizes), len(variances)), np.int64)
    if not active.any():
        return {"score": 0.0, "train_accuracy": 0.0, "votes": votes[0], "active": active}
    for part, total in enumerate((num_train, num_eval)):
        for count in _chunks(total, batch_size):
            fixed = rng.integers(len(sizes), size=count)
            rows = _rows(rng, sizes, (count, batch_size))
            pick = np.arange(count)
            rows[pick, :, fixed] = rows[pick, :1, fixed]
            codes = _codes(represent, rows)[..., active]
            steady = (codes.var(1, ddof=1) / variances[active]).argmin(1)
            np.add.at(votes[part], (fixed, np.flatnonzero(active)[steady]), 1)
    train, fresh = votes
    winner, code = train.argmax(0), np.arange(len(variances))
    return {
        "score": float(fresh[winner, code].sum() / num_eval),
        "train_accuracy": float(train[winner, code].sum() / num_train),
        "votes": train,
        "active": active,
    }


@facts.score(
    needs=("represent", "sizes"),
    settings=("seed",),
    source="Higgins et al. 2017",
    higher_is_better=True,
    range=(0, 1),
    suites=facts.STANDARD,
    axes={"per_factor": "factor"},
)
def beta_vae_score(
    represent: Callable[[np.ndarray], Any],
    space: Any,
    seed: int,
    num_train: int = 10_000,
    num_eval: int = 5_000,
    batch_size: int = 64,
) -> dict[str, float | np.ndarray]:
    """BetaVAE score: whether differences of pairs of codes tell which factor the pairs share.

    Defined in Higgins et al. 2017, sec. 3.

    Each point is the mean absolute difference of codes over pairs that share one random factor; a
    logistic regression predicts which. The score is its accuracy on fresh points.

    Args:
        represent: maps `[n, F]` factor indices to `[n, D]` codes; see `zoo.evaluation.represent`.
        space: the factor grid: the F numbers of values, or an object that has them as `sizes`.
        seed: of the sampling.
        num_train: points that the regression is fitted on.
        num_eval: points that are scored.
        batch_size: pairs of one point.

    Returns:
        `score` and `train_accuracy` in [0, 1]; `per_factor` `[F]`, the accuracy on each factor's
        points (0 where it had none).

    Raises:
        InputError: a bad factor grid; `represent` returns NaN or a wrong shape.
    """
    from sklearn.linear_model import LogisticRegression

    sizes = _sizes(space)
    checks.whole(1, num_train=num_train, num_eval=num_eval, batch_size=batch_size)
    rng = np.random.default_rng(seed)
    parts = []
    for total in (num_train, num_eval):
        labels, points = [], []
        for count in _chunks(total, 2 * batch_size):
            fixed = rng.integers(len(sizes), size=count)
            rows = _rows(rng, sizes, (count, 2, batch_size))
            pick = np.arange(count)
            rows[pick, 1, :, fixed] = rows[pick, 0, :, fixed]
            codes = _codes(represent, rows)
            labels.append(fixed)
            points.append(np.abs(codes[:, 0] - codes[:, 1]).mean(1))
        parts.append((np.concatenate(points), np.concatenate(labels)))
    (points, labels), (fresh, truth) = parts
    if (labels == labels[0]).all():
        raise InputError(f"{num_train} training points are too few to see two factors")
    with one_thread():
        model = LogisticRegression().fit(points, labels)
        right = model.predict(fresh) == truth
        train_accuracy = model.score(points, labels)
    hits = np.bincount(truth, right, len(sizes))
    return {
        "score": float(right.mean()),
        "train_accuracy": float(train_accuracy),
        "per_factor": hits / np.maximum(np.bincount(truth, minlength=len(sizes)), 1),
    }


@facts.score(
    needs=("codes", "factors"),
    source="Suter et al. 2019",
    higher_is_better=True,
    subsampled=0.9,
    range=(0, 1),
    suites=facts.FULL,
    axes={"per_code": "latent", "matrix": "latent factor", "parents": "latent"},
)
def irs(
    codes, factors, num_bins: int | None = None, diff_quantile: float = 0.99
) -> dict[str, float | np.ndarray]:
    """Interventional robustness score: how little a code moves while its factor is held.

    Defined in Suter et al. 2019, eq. 8 and 9.

    For code l and factor i, `d[l, i]` is the mean over the values of i of a high quantile of
    `|z_l - E[z_l | value]|`, over the largest deviation of z_l from its mean. A code's score is
    `1 - min_i d[l, i]`; codes are weighted by their largest deviation, as published, so that the
    score depends on the scales of the codes relative to each other: one code of large numbers
    decides it alone. Constant codes do not take part; where none is left the score is 0. A value
    that only one row has deviates by 0, as published: against a factor that hardly repeats, such as
    the number of an image, even noise has a score near 1. Leave it out, or give `num_bins`.

    Args:
        codes: `[N, D]` real codes.
        factors: `[N, F]` factor indices.
        num_bins: if given, factors are first put in so many equal-width bins, as the shipped
            configuration of disentanglement_lib does with 20; else each value counts.
        diff_quantile: 1.0 is the maximum, as in the paper; 0.99 is disentanglement_lib's.

    Returns:
        `score` in [0, 1]; `per_code` `[D]`; `matrix` `[D, F]`, `1 - d`; `parents` `[D]`, the factor
        of each code, -1 for a constant one.

    Raises:
        InputError: see `checks.codes_and_factors`; a quantile outside [0, 1].
    """
    codes, factors = checks.codes_and_factors(codes, factors)
    if num_bins is not None:
        checks.whole(2, num_bins=num_bins)
    if not 0 <= diff_quantile <= 1:
        raise InputError(f"diff_quantile is {diff_quantile}: it must lie in [0, 1]")
    alive = ~checks.constant_columns(codes)
    matrix = np.zeros((codes.shape[1], factors.shape[1]))
    largest = np.abs(codes - codes.mean(0)).max(0)
    groups = factors if num_bins is None else histogram_bins(factors.astype(np.float64), num_bins)
    for f, column in enumerate(groups.T):
        deviations = []
        for value in np.unique(column):
            group = codes[column == value][:, alive]
            deviations.append(np.quantile(np.abs(group - group.mean(0)), diff_quantile, axis=0))
        matrix[alive, f] = 1 - np.mean(deviations, axis=0) / largest[alive]
    per_code = np.maximum(matrix.max(1), 0.0)
    weights = np.where(alive, largest, 0.0)
    score = np.average(per_code, weights=weights) if alive.any() else 0.0
    return {
        "score": float(score),
        "per_code": per_code,
        "matrix": matrix,
        "parents": np.where(alive, matrix.argmax(1), -1),
    }


def _sizes(space: Any) -> tuple[int, ...]:
    sizes: Sequence[int] = getattr(space, "sizes", space)
    sizes = tuple(int(size) for size in sizes)
    if len(sizes) < 2:
        raise InputError(f"the factor grid has {len(sizes)} factors: at least 2 are needed")
    if min(sizes) < 2:
        raise InputError(
            f"factor {sizes.index(min(sizes))} of the grid is constant: leave it out of the space"
        )
    return sizes


def _rows(rng: np.random.Generator, sizes: tuple[int, ...], shape: tuple[int, ...]) -> np.ndarray:
    """`[*shape, F]` factor indices, all combinations being equally likely."""
    return rng.integers(sizes, size=(*shape, len(sizes)))


def _chunks(total: int, rows: int) -> list[int]:
    """Splits `total` votes of `rows` rows into parts of bounded memory."""
    most = max(_CHUNK_ROWS // rows, 1)
    return [min(most, total - start) for start in range(0, total, most)]


def _codes(represent: Callable[[np.ndarray], Any], rows: np.ndarray) -> np.ndarray:
    """`[..., F]` factor indices to `[..., D]` float64 codes."""
    flat = rows.reshape(-1, rows.shape[-1])
    codes = checks.varying(represent(flat), "what `represent` returned", "[n, D]")
    if len(codes) != len(flat):
        raise InputError(f"`represent` made {len(codes)} codes from {len(flat)} rows of factors")
    return codes.reshape(*rows.shape[:-1], -1)
