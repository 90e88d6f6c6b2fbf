"""InfoM, InfoC and InfoE: what codes share with factors, for quantised codes and for real ones."""

from collections.abc import Sequence

import numpy as np

from zoo.evaluation import checks, facts
from zoo.evaluation.columns import standardized
from zoo.evaluation.errors import InputError
from zoo.evaluation.information import checked, mutual_information, on_common_scale, symbols
from zoo.evaluation.parallel import over_factors

_NEIGHBOURS = 10


@facts.score(
    needs=("codes", "factors"),
    source="Hsu et al. 2023",
    higher_is_better=True,
    range=(0, 1),
    suites=facts.FULL,
    axes={"per_code": "latent", "normalised_information": "latent factor"},
)
def info_m(
    codes,
    factors,
    discrete_codes: bool = False,
    categorical: bool | Sequence[bool] = True,
    least_range: float | None = None,
    seed: int = 0,
) -> dict[str, float | np.ndarray]:
    """InfoM: modularity, the share of a code's information that is about one factor.

    Defined in Hsu et al. 2023.

    With `N[d, f] = I(z_d; v_f) / H(v_f)`, `(mean_d max_f N[d, f] / sum_f N[d, f] - 1/F) /
    (1 - 1/F)`, over the active codes. A code that tells nothing counts as one that tells the same
    of all factors, and one factor alone as one beside another of which nothing is told.

    Information is that of counts for discrete codes, else of 10 nearest neighbours, as the authors
    estimate it. A quantity has no entropy: its `N` is `1 - exp(-2 I)`, as in `mig`.

    Args:
        codes: `[N, D]` codes.
        factors: `[N, F]` factor indices; any numbers where not categorical.
        discrete_codes: whether the values of codes are symbols, as those of a quantised
            representation.
        categorical: which factors are values to be told apart, rather than quantities: one flag or
            `[F]` flags.
        least_range: a code is active whose range exceeds that share of the largest range of a code.
            None: 0 for discrete codes and 1/20 for others, as the authors have it; scores of these
            depend on the relative scale of codes.
        seed: of the tiny noise by which the neighbours' estimate breaks ties.

    Returns:
        `score` in [0, 1], 0 without an active code; `per_code` `[D]`, 0 where not active; `active`,
        how many are; `normalised_information` `[D, F]`, N of all codes.

    Raises:
        InputError: see `checks.codes_and_factors`; discrete codes with more values than half the
            rows; a `least_range` outside [0, 1).
    """
    share, active = _shares(codes, factors, discrete_codes, categorical, least_range, seed)
    per_code = np.where(active, _largest_share(share), 0.0)
    return {
        "score": float(per_code[active].mean()) if active.any() else 0.0,
        "per_code": per_code,
        "active": float(active.sum()),
        "normalised_information": share,
    }


@facts.score(
    needs=("codes", "factors"),
    source="Hsu et al. 2023",
    higher_is_better=True,
    range=(0, 1),
    suites=facts.FULL,
    axes={"per_factor": "factor", "normalised_information": "latent factor"},
)
def info_c(
    codes,
    factors,
    discrete_codes: bool = False,
    categorical: bool | Sequence[bool] = True,
    least_range: float | None = None,
    seed: int = 0,
) -> dict[str, float | np.ndarray]:
    """InfoC: compactness, the share of the information about a factor that is in a single code.

    Defined in Hsu et al. 2023.

    With N as in `info_m` and A active codes, `(mean_f max_d N[d, f] / sum_d N[d, f] - 1/A) /
    (1 - 1/A)`, over the active codes. A factor of which nothing is told counts as one of which all
    codes tell the same, and one active code alone as one beside another that tells nothing.

    Args:
        codes: as in `info_m`.
        factors: as in `info_m`.
        discrete_codes: as in `info_m`.
        categorical: as in `info_m`.
        least_range: as in `info_m`.
        seed: as in `info_m`.

    Returns:
        `score` in [0, 1], 0 without an active code; `per_factor` `[F]`; `active`, how many codes
        are; `normalised_information` `[D, F]`, N of all codes.

    Raises:
        InputError: as `info_m`.
    """
    share, active = _shares(codes, factors, discrete_codes, categorical, least_range, seed)
    per_factor = _largest_share(share[active].T) if active.any() else np.zeros(share.shape[1])
    return {
        "score": float(per_factor.mean()),
        "per_factor": per_factor,
        "active": float(active.sum()),
        "normalised_information": share,
    }


@facts.score(
    needs=("codes", "factors"),
    source="Hsu et al. 2023",
    higher_is_better=True,
    range=(0, 1),
    suites=facts.FULL,
    axes={"per_factor": "factor"},
)
def info_e(
    codes,
    factors,
    discrete_codes: bool = False,
    categorical: bool | Sequence[bool] = True,
) -> dict[str, float | np.ndarray]:
    """InfoE: explicitness, the share of a factor that a linear predictor gets from all codes.

    Predictive V-information of Xu et al. 2020, as normalised in Hsu et al. 2023.

    For each factor `1 - H_V(v | z) / H_V(v)`, averaged: the cross-entropy of a logistic regression
    without penalty, over that of the best constant guess. For a quantity it is the share of the
    variance that least squares explain. Codes are standardised or, if discrete, one-hot.

    As the authors do it, the regression is scored on the rows it is fitted on (so that random codes
    score above 0 by about the number of parameters over that of rows), it stops after 100 steps,
    and the values of a factor weigh the same however often they occur; here they do so in the
    cross-entropy, too, which makes no difference to factors that are uniform.

    Args:
        codes: as in `info_m`.
        factors: as in `info_m`.
        discrete_codes: as in `info_m`.
        categorical: as in `info_m`.

    Returns:
        `score` in [0, 1]; `per_factor` `[F]`.

    Raises:
        InputError: see `checks.codes_and_factors`; discrete codes with more values than half the
            rows.
    """
    codes, factors, flags = checked(codes, factors, categorical, discrete_codes=discrete_codes)
    if discrete_codes:
        columns = [column[:, None] == np.arange(column.max() + 1) for column in symbols(codes).T]
        inputs = np.concatenate(columns, axis=1).astype(float)
    else:
        inputs = standardized(codes)

    def one(f: int) -> float:
        return (_explained_entropy if flags[f] else _explained_variance)(inputs, factors[:, f])

    per_factor = np.clip(over_factors(one, factors), 0.0, 1.0)
    return {"score": float(per_factor.mean()), "per_factor": per_factor}


def _shares(codes, factors, discrete_codes, categorical, least_range, seed):
    """`[D, F]` normalised information, and `[D]` which codes are active."""
    codes, factors, flags = checked(codes, factors, categorical, discrete_codes=discrete_codes)
    if least_range is None:
        least_range = 0.0 if discrete_codes else 1 / 20
    if not 0 <= least_range < 1:
        raise InputError(f"least_range is {least_range!r}: give a share from 0 to below 1")
    # Counts are for categories: where factors are quantities, neighbours serve both kinds of codes.
    estimator = "histogram" if discrete_codes and flags.all() else "knn"
    information = mutual_information(
        codes, factors, 2, estimator, seed, flags, discrete_codes, _NEIGHBOURS
    )
    bounded, largest = on_common_scale(information, factors, flags)
    extent = np.where(checks.constant_columns(codes), 0.0, np.ptp(codes, axis=0))
    return bounded / largest, extent > least_range * extent.max()


def _largest_share(matrix: np.ndarray) -> np.ndarray:
    """`[n]`: the largest share in each row of `[n, m]`, rescaled from [1/m, 1] to [0, 1]."""
    count = max(matrix.shape[1], 2)
    total = matrix.sum(1)
    share = matrix.max(1) / np.where(total > 0, total, 1.0)
    return np.where(total > 0, np.clip((share * count - 1) / (count - 1), 0.0, 1.0), 0.0)


def _explained_entropy(inputs: np.ndarray, labels: np.ndarray) -> float:
    from sklearn.linear_model import LogisticRegression

    values, labels = np.unique(labels, return_inverse=True)
    model = LogisticRegression(C=np.inf, class_weight="balanced").fit(inputs, labels)
    chance = model.predict_proba(inputs)[np.arange(len(labels)), labels]
    surprise = -np.log(np.maximum(chance, np.finfo(float).eps))
    of_value = np.bincount(labels, surprise) / np.bincount(labels)
    return float(1 - of_value.mean() / np.log(len(values)))


def _explained_variance(inputs: np.ndarray, target: np.ndarray) -> float:
    """The share of the variance of `[N]` that least squares explain, on the rows fitted on."""
    inputs, target = inputs - inputs.mean(0), standardized(target[:, None])[:, 0]
    solution = np.linalg.lstsq(inputs, target, rcond=None)[0]
    return float(1 - np.mean(np.square(target - inputs @ solution)))
