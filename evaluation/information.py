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
    discrete_codes: bool = False,
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
        discrete_codes: whether the values of codes are symbols, as those of a quantised
            representation: each is then a bin of its own, whatever `num_bins`.

    Returns:
        `score` in [0, 1]; `per_factor` `[F]`; `mutual_information` `[D, F]`.

    Raises:
        InputError: see `checks.codes_and_factors`; an unknown estimator; quantities for the
            histogram; discrete codes with more values than half the rows.
    """
    codes, factors, discrete = checked(codes, factors, categorical, estimator, discrete_codes)
    information = mutual_information(
        codes, factors, num_bins, estimator, seed, discrete, discrete_codes
    )
    bounded, largest = on_common_scale(information, factors, discrete)
    per_factor = np.clip(top_two_gap(bounded) / largest, 0.0, 1.0)
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
    subsampled=0.9,
)
def modularity(
    codes,
    factors,
    num_bins: int = 20,
    estimator: str = "histogram",
    seed: int = 0,
    categorical: bool | Sequence[bool] = True,
    discrete_codes: bool = False,
) -> dict[str, float | np.ndarray]:
    """Modularity: whether each code tells about one factor only.

    Defined in Ridgeway & Mozer 2018, sec. 3.

    For each code with informations `m` about the F factors:
    `1 - (sum m^2 - max m^2) / (max m^2 * (F - 1))`, and 0 for a code that tells nothing; the score
    is the mean over codes, dead ones included. One factor alone counts as one beside another of
    which nothing is told: every code that tells the least of it, as noise does in a finite sample,
    has 1.

    Args:
        codes: `[N, D]` real codes.
        factors: `[N, F]` factor indices; any numbers where not categorical.
        num_bins: as in `mig`.
        estimator: as in `mig`.
        seed: as in `mig`.
        categorical: as in `mig`.
        discrete_codes: as in `mig`.

    Returns:
        `score` in [0, 1]; `per_code` `[D]`; `mutual_information` `[D, F]`, in nats.

    Raises:
        InputError: as `mig`.
    """
    codes, factors, discrete = checked(codes, factors, categorical, estimator, discrete_codes)
    information = mutual_information(
        codes, factors, num_bins, estimator, seed, discrete, discrete_codes
    )
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
    discrete_codes: bool = False,
    neighbours: int = 3,
) -> np.ndarray:
    """`[D, F]` mutual information, in nats, of checked `[N, D]` codes and `[N, F]` factors.

    `categorical` `[F]` says which factors are no quantities, for `knn`; None: those of an integer
    type. `discrete_codes` and the other arguments are as in `mig`, `neighbours` those of `knn`.
    """
    if estimator == "histogram":
        bins = symbols(codes) if discrete_codes else histogram_bins(codes, num_bins)
        return discrete_information(bins, factors)
    if estimator == "knn":
        if categorical is None:
            categorical = np.full(factors.shape[1], factors.dtype.kind in "iu")
        return _neighbour_information(codes, factors, seed, categorical, discrete_codes, neighbours)
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


def symbols(values: np.ndarray) -> np.ndarray:
    """`[N, D]` numbers from 0 for the different values of each column of `[N, D]`."""
    return np.stack([np.unique(column, return_inverse=True)[1] for column in values.T], axis=1)


def on_common_scale(
    information: np.ndarray, factors: np.ndarray, categorical: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What `[D, F]` information is, and `[F]` the most it could be, for categories and quantities.

    That is `I` and `H(v)` for a category; a quantity, which has no entropy, has `1 - exp(-2 I)`
    and 1.
    """
    bounded = np.where(categorical, information, -np.expm1(-2 * information))
    columns = zip(categorical, factors.T, strict=True)
    return bounded, np.array([entropy(column) if flag else 1.0 for flag, column in columns])


def top_two_gap(matrix: np.ndarray) -> np.ndarray:
    """`[F]` differences of the largest and second largest entries of the columns of `[D, F]`.

    One code alone is compared with zero.
    """
    if len(matrix) == 1:
        return matrix[0].copy()
    second, first = np.partition(matrix, -2, axis=0)[-2:]
    return first - second


def checked(
    codes, factors, categorical, estimator: str = "knn", discrete_codes: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes, factors, and which factors are categorical; the arguments are those of `mig`."""
    factors = checks.varying(factors, "factors", "[N, F]")
    flags = checks.flags(categorical, "categorical", factors.shape[1])
    if estimator == "histogram" and not flags.all():
        raise InputError('a histogram takes factor indices: quantities need estimator="knn"')
    codes, factors = checks.codes_and_factors(codes, factors, continuous=~flags)
    # Values that hardly repeat tell everything, of every factor.
    for d in range(codes.shape[1]) if discrete_codes else ():
        count = len(np.unique(codes[:, d]))
        if count > max(len(codes) / 2, 2):
            raise InputError(
                f"codes column {d} has {count} values in {len(codes)} rows, too many for symbols: "
                "leave out discrete_codes, or give more rows"
            )
    return codes, factors, flags


def entropy(labels: np.ndarray) -> float:
    """The entropy of `[N]` labels, in nats."""
    shares = np.unique(labels, return_counts=True)[1] / len(labels)
    return float(-(shares * np.log(shares)).sum())


def discrete_information(bins: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`[D, F]` mutual information, in nats, of bins `[N, D]`, integers from 0, and any labels."""
    information = np.zeros((bins.shape[1], labels.shape[1]))
    count = int(bins.max()) + 1
    for f, column in enumerate(labels.T):
        values, values_of = np.unique(column, return_inverse=True)
        for d in range(bins.shape[1]):
            joint = np.bincount(
                bins[:, d] * len(values) + values_of, minlength=count * len(values)
            ).reshape(count, len(values))
            independent = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
            seen = joint > 0
            share = joint[seen] / len(bins)
            ratio = joint[seen] * (len(bins) / independent[seen])
            information[d, f] = (share * np.log(ratio)).sum()
    return np.maximum(information, 0.0)


def _neighbour_information(codes, factors, seed, categorical, discrete_codes, neighbours):
    from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

    alive = ~checks.constant_columns(codes)
    codes = symbols(codes) if discrete_codes else checks.comparable(codes)[0]
    information = np.zeros((codes.shape[1], factors.shape[1]))
    if not alive.any():
        return information
    if len(codes) <= neighbours:
        raise InputError(f"{len(codes)} rows are too few for {neighbours} nearest neighbours")
    for f, column in enumerate(factors.T):
        if categorical[f] and np.unique(column, return_counts=True)[1].max() == 1:
            raise InputError(
                f"factors column {f} has no value twice, so that nearest neighbours of one value "
                "cannot be found: give more rows, or say that it is a quantity by categorical"
            )
        estimate = mutual_info_classif if categorical[f] else mutual_info_regression
        information[alive, f] = estimate(
            codes[:, alive],
            column,
            discrete_features=discrete_codes,
            n_neighbors=neighbours,
            random_state=seed,
        )
    return information
