"""Scores from the mutual information of single codes and single factors."""

from collections.abc import Sequence

import numpy as np

from zoo.evaluation import checks, facts
from zoo.evaluation.errors import InputError


@facts.score(
    needs=("codes", "factors"),
    source="Chen et al. 2018",
    higher_is_better=True,
    range=(0, 1),
    suites=facts.FAST,
    axes={"per_factor": "factor", "mutual_information": "latent factor"},
)
def mig(
    codes,
    factors,
    num_bins: int = 20,
    estimator: str = "histogram",
    seed: int = 0,
    categorical: bool | Sequence[bool] = True,
) -> dict[str, float | np.ndarray]:
    """Mutual information gap: how much more one code tells of each factor than any other.

    Defined in Chen et al. 2018, eq. 6.

    For each factor: `(I(z_first; v) - I(z_second; v)) / H(v)`, of the two codes that tell most
    about it; the score is the mean over factors. Information is measured in nats.

    Factors that are quantities (not `categorical`, `estimator="knn"` only) have no entropy to
    divide by: there the gap is that of `1 - exp(-2 I)`, the squared informational correlation of
    Linfoot (1957), which for a Gaussian pair is the squared correlation.

    Args:
        codes: `[N, D]` real codes.
        factors: `[N, F]` factor indices; any numbers where not categorical.
        num_bins: the equal-width bins over the observed range of each code (`histogram`).
        estimator: `histogram`, or `knn`: 3 nearest neighbours, after Kraskov et al. (2004) for
            quantities and Ross (2014) for categorical factors.
        seed: of the tiny noise by which `knn` breaks ties.
        categorical: which factors are values to be told apart, as the histogram takes all, rather
            than quantities: one flag or `[F]` flags.

    Returns:
        `score` in [0, 1]; `per_factor` `[F]`; `mutual_information` `[D, F]`.

    Raises:
        InputError: see `checks.codes_and_factors`; an unknown estimator; quantities for the
            histogram.
    """
    codes, factors, discrete = _checked(codes, factors, categorical, estimator)
    information = mutual_information(codes, factors, num_bins, estimator, seed, discrete)
    bounded = np.where(discrete, information, -np.expm1(-2 * information))
    entropy = [
        _entropy(column) if d else 1.0 for d, column in zip(discrete, factors.T, strict=True)
    ]
    per_factor = np.clip(top_two_gap(bounded) / entropy, 0.0, 1.0)
    return {
        "score": float(per_factor.mean()),
        "per_factor": per_factor,
        "mutual_information": information,
    }


@facts.score(
    needs=("codes", "factors"),
    source="Ridgeway & Mozer 2018",
    higher_is_better=True,
    range=(0, 1),
    suites=facts.FAST,
    axes={"per_code": "latent", "mutual_information": "latent factor"},
)
def modularity(
    codes,
    factors,
    num_bins: int = 20,
    estimator: str = "histogram",
    seed: int = 0,
    categorical: bool | Sequence[bool] = True,
) -> dict[str, float | np.ndarray]:
    """Modularity: whether each code tells about one factor only.

    Defined in Ridgeway & Mozer 2018, sec. 3.

    For each code with informations `m` about the F factors:
    `1 - (sum m^2 - max m^2) / (max m^2 * (F - 1))`, and 0 for a code that tells nothing; the score
    is the mean over codes, dead ones included.

    Args:
        codes: `[N, D]` real codes.
        factors: `[N, F]` factor indices; any numbers where not categorical.
        num_bins: as in `mig`.
        estimator: as in `mig`.
        seed: as in `mig`.
        categorical: as in `mig`.

    Returns:
        `score` in [0, 1]; `per_code` `[D]`; `mutual_information` `[D, F]`, in nats.

    Raises:
        InputError: see `checks.codes_and_factors`; an unknown estimator; quantities for the
            histogram.
    """
    codes, factors, discrete = _checked(codes, factors, categorical, estimator)
    information = mutual_information(codes, factors, num_bins, estimator, seed, discrete)
    largest = information.max(1, keepdims=True)
    # Relative to the largest first: the square of a tiny information would vanish.
    share = np.square(information / np.where(largest > 0, largest, 1))
    others = (share.sum(1) - 1) / max(factors.shape[1] - 1, 1)
    per_code = np.where(largest[:, 0] > 0, 1 - others, 0.0)
    return {
        "score": float(per_code.mean()),
        "per_code": per_code,
        "mutual_information": information,
    }


def mutual_information(
    codes: np.ndarray,
    factors: np.ndarray,
    num_bins: int = 20,
    estimator: str = "histogram",
    seed: int = 0,
    categorical: np.ndarray | None = None,
) -> np.ndarray:
    """`[D, F]` mutual information, in nats, of checked `[N, D]` codes and `[N, F]` factors.

    `categorical` `[F]` says which factors are no quantities, for `knn`; None: those of an integer
    type.
    """
    if estimator == "histogram":
        return _histogram_information(codes, factors, num_bins)
    if estimator == "knn":
        if categorical is None:
            categorical = np.full(factors.shape[1], factors.dtype.kind in "iu")
        return _neighbour_information(codes, factors, seed, categorical)
    raise InputError(f"no estimator is named {estimator!r}: choose 'histogram' or 'knn'")


def histogram_bins(values: np.ndarray, num_bins: int) -> np.ndarray:
    """`[N, D]` bin numbers from 0, of equal-width bins over each column's range."""
    checks.whole(2, num_bins=num_bins)
    bins = np.zeros(values.shape, np.int64)
    # A column that varies by rounding only has no range that could be divided.
    for d in np.flatnonzero(~checks.constant_columns(values)):
        edges = np.histogram_bin_edges(values[:, d], num_bins)
        bins[:, d] = np.searchsorted(edges[1:-1], values[:, d], side="right")
    return bins


def top_two_gap(matrix: np.ndarray) -> np.ndarray:
    """`[F]` differences of the largest and second largest entries of the columns of `[D, F]`.

    One code alone is compared with zero.
    """
    if len(matrix) == 1:
        return matrix[0].copy()
    second, first = np.partition(matrix, -2, axis=0)[-2:]
    return first - second


def _checked(codes, factors, categorical, estimator):
    """Codes, factors, and which factors are categorical."""
    factors = checks.varying(factors, "factors", "[N, F]")
    flags = checks.flags(categorical, "categorical", factors.shape[1])
    if estimator == "histogram" and not flags.all():
        raise InputError('a histogram takes factor indices: quantities need estimator="knn"')
    return *checks.codes_and_factors(codes, factors, continuous=~flags), flags


def _entropy(labels: np.ndarray) -> float:
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(-(shares * np.log(shares)).sum())


def _histogram_information(codes, factors, num_bins):
    bins = histogram_bins(codes, num_bins)
    information = np.zeros((codes.shape[1], factors.shape[1]))
    for f, column in enumerate(factors.T):
        values, labels = np.unique(column, return_inverse=True)
        for d in range(codes.shape[1]):
            joint = np.bincount(
                bins[:, d] * len(values) + labels, minlength=num_bins * len(values)
            ).reshape(num_bins, len(values))
            independent = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
            seen = joint > 0
            share = joint[seen] / len(codes)
            ratio = joint[seen] * (len(codes) / independent[seen])
            information[d, f] = (share * np.log(ratio)).sum()
    return np.maximum(information, 0.0)


def _neighbour_information(codes, factors, seed, categorical):
    from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

    alive = ~checks.constant_columns(codes)
    (codes,) = checks.comparable(codes)
    information = np.zeros((codes.shape[1], factors.shape[1]))
    if not alive.any():
        return information
    for f, column in enumerate(factors.T):
        estimate = mutual_info_classif if categorical[f] else mutual_info_regression
        information[alive, f] = estimate(
            codes[:, alive], column, discrete_features=False, random_state=seed
        )
    return information
