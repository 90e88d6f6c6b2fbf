"""Relatives of the mutual information gap: of codes, of joint entropies, of shares."""

from collections.abc import Sequence

import numpy as np

from zoo.evaluation import checks, facts
from zoo.evaluation.errors import InputError
from zoo.evaluation.importance import concentration, weighted_mean
from zoo.evaluation.information import (
    checked,
    discrete_information,
    entropy,
    histogram_bins,
    symbols,
    top_two_gap,
)

# Informations that differ by less are equal but for rounding.
_TIE = 1e-12


@facts.score(
    needs=("codes", "factors"),
    source="Do & Tran 2020",
    higher_is_better=True,
    range=(0, 1),
    suites=facts.FULL,
    axes={
        "per_factor": "factor",
        "raw_per_factor": "factor",
        "mutual_information": "latent factor",
    },
)
def jemmig(
    codes,
    factors,
    num_bins: int = 20,
    categorical: bool | Sequence[bool] = True,
    discrete_codes: bool = False,
) -> dict[str, float | np.ndarray]:
    """JEMMIG: the information gap less what the best code holds besides its factor.

    Joint entropy minus mutual information gap, of Do & Tran 2020.

    For each factor v, of the two codes that tell most about it,
    `raw = H(z_first, v) - I(z_first; v) + I(z_second; v)`, which is 0 at best and
    `H(v) + log(bins)` at most. The score is the mean over factors of
    `1 - raw / (H(v) + log(bins))`. Of codes that tell a factor equally well, the one with the
    least joint entropy is first.

    By that formula a collapsed encoder, whose constant codes have no entropy, scores
    `log(bins) / (H(v) + log(bins))`, more than many an informative one; its `mig` is 0.

    Other than for `mig`, a code must not tell more than the factor: a code with many values per
    value of the factor has a large joint entropy. Noise that spreads over many bins counts, too,
    so that scores are comparable for the same number of bins only.

    Args:
        codes: `[N, D]` real codes.
        factors: `[N, F]` factor indices; any numbers where not categorical.
        num_bins: the equal-width bins over the observed range of each code and each quantity.
        categorical: which factors are values to be told apart, rather than quantities, which are
            binned as codes are: one flag or `[F]` flags.
        discrete_codes: whether the values of codes are symbols, each a bin of its own; `bins` above
            is then the largest number of symbols of a code.

    Returns:
        `score` in [0, 1]; `per_factor` `[F]`; `raw`, the mean of `raw_per_factor` `[F]`, in nats,
        which the paper calls JEMMIG; `mutual_information` `[D, F]`, in nats.

    Raises:
        InputError: see `checks.codes_and_factors`; discrete codes with more values than half the
            rows.
    """
    bins, factors, information = _binned(codes, factors, num_bins, categorical, discrete_codes)
    of_factors = _entropies(factors)
    joint = _entropies(bins)[:, None] + of_factors - information
    equal = information >= information.max(0) - _TIE
    least = np.where(equal, joint, np.inf).min(0)
    raw = np.maximum(least - top_two_gap(information), 0.0)
    most = of_factors + np.log(bins.max() + 1 if discrete_codes else num_bins)
    per_factor = np.clip(1 - raw / most, 0.0, 1.0)
    return {
        "score": float(per_factor.mean()),
        "per_factor": per_factor,
        "raw": float(raw.mean()),
        "raw_per_factor": raw,
        "mutual_information": information,
    }


@facts.score(
    needs=("codes", "factors"),
    source="Sepliarskaia et al. 2019",
    higher_is_better=True,
    range=(0, 1),
    suites=facts.FULL,
    axes={"per_factor": "factor", "gap": "latent", "mutual_information": "latent factor"},
)
def dcimig(
    codes,
    factors,
    num_bins: int = 20,
    categorical: bool | Sequence[bool] = True,
    discrete_codes: bool = False,
) -> dict[str, float | np.ndarray]:
    """DCIMIG: how much of the factors is told by codes of their own.

    Defined in Sepliarskaia et al. 2019, in the form of Carbonneau et al. 2022.

    The gap of a code is the difference of its largest and second largest information about a
    factor, and belongs to the factor of the largest. The score is the sum over factors of the
    largest gap that belongs to each, 0 where none does, over the sum of their entropies.

    Args:
        codes: `[N, D]` real codes.
        factors: `[N, F]` factor indices; any numbers where not categorical.
        num_bins: as in `jemmig`.
        categorical: as in `jemmig`.
        discrete_codes: as in `jemmig`.

    Returns:
        `score` in [0, 1]; `per_factor` `[F]`, each largest gap over the entropy of its factor;
        `gap` `[D]` and `mutual_information` `[D, F]`, in nats.

    Raises:
        InputError: as `jemmig`.
    """
    _, factors, information = _binned(codes, factors, num_bins, categorical, discrete_codes)
    gap, of_factors = top_two_gap(information.T), _entropies(factors)
    best = np.zeros(len(of_factors))
    np.maximum.at(best, information.argmax(1), gap)
    return {
        "score": float(min(best.sum() / of_factors.sum(), 1.0)),
        "per_factor": np.minimum(best / of_factors, 1.0),
        "gap": gap,
        "mutual_information": information,
    }


@facts.score(
    needs=("codes", "factors"),
    source="Li et al. 2020",
    higher_is_better=True,
    range=(0, 1),
    suites=facts.FULL,
    axes={"per_code": "latent", "mutual_information": "latent factor"},
)
def mig_sup(
    codes,
    factors,
    num_bins: int = 20,
    categorical: bool | Sequence[bool] = True,
    discrete_codes: bool = False,
    least_variance: float = 0.0,
) -> dict[str, float | np.ndarray]:
    """MIG-sup: how much more each code tells of one factor than of any other.

    Defined in Li et al. 2020, as the supplement of `mig`, which does not see codes that
    several factors share.

    For each active code `I(z; v_first) / H(v_first) - I(z; v_second) / H(v_second)`, of the two
    factors of which it tells the largest shares; the score is the mean over active codes, those
    whose variance exceeds `least_variance`, and 0 if there are none. Codes that vary but tell
    nothing have a gap of 0 and lower the score.

    Args:
        codes: `[N, D]` real codes.
        factors: `[N, F]` factor indices; any numbers where not categorical.
        num_bins: as in `jemmig`.
        categorical: as in `jemmig`.
        discrete_codes: as in `jemmig`.
        least_variance: of active codes; 0 leaves out constant codes only.

    Returns:
        `score` in [0, 1]; `per_code` `[D]`, of all codes; `active`, how many are; and
        `mutual_information` `[D, F]`, in nats.

    Raises:
        InputError: as `jemmig`; a negative variance.
    """
    if not least_variance >= 0:
        raise InputError(f"least_variance is {least_variance!r}: it must not be negative")
    bins, factors, information = _binned(codes, factors, num_bins, categorical, discrete_codes)
    per_code = np.minimum(top_two_gap((information / _entropies(factors)).T), 1.0)
    active = np.var(checks.varying(codes, "codes", "[N, D]"), axis=0) > least_variance
    active &= bins.max(0) > 0
    return {
        "score": float(per_code[active].mean()) if active.any() else 0.0,
        "per_code": per_code,
        "active": float(active.sum()),
        "mutual_information": information,
    }


@facts.score(
    needs=("codes", "factors"),
    source="Cao et al. 2022",
    higher_is_better=True,
    range=(0, 1),
    suites=facts.FULL,
    axes={"per_code": "latent", "importance": "latent factor"},
)
def med(
    codes,
    factors,
    num_bins: int = 20,
    categorical: bool | Sequence[bool] = True,
    discrete_codes: bool = False,
    top_k: int | None = None,
) -> dict[str, float | np.ndarray]:
    """MED: DCI disentanglement with mutual information for importance.

    Defined in Cao et al. 2022.

    The importance `R[d, f]` of a code for a factor is `I(z_d; v_f) / sum_d I(z_d; v_f)`, from which
    disentanglement and completeness are made as in `dci`. No predictor is fitted, so that codes of
    hundreds of dimensions can be compared with those of ten. For them the paper has Top-k MED:
    every code is given to the factor it is most important for, and of each factor only the `top_k`
    most disentangled codes are kept.

    Args:
        codes: `[N, D]` real codes.
        factors: `[N, F]` factor indices; any numbers where not categorical.
        num_bins: as in `jemmig`.
        categorical: as in `jemmig`.
        discrete_codes: as in `jemmig`.
        top_k: how many codes a factor are kept; None for all.

    Returns:
        `score`, which is `disentanglement`, and `completeness`, in [0, 1]; `per_code` `[D]`
        disentanglement; `importance` `[D, F]`, columns of sum 1 (0 of a factor that no code tells
        of); all codes are in these two.

    Raises:
        InputError: as `jemmig`; a `top_k` below 1.
    """
    if top_k is not None:
        checks.whole(1, top_k=top_k)
    _, factors, information = _binned(codes, factors, num_bins, categorical, discrete_codes)
    total = information.sum(0)
    importance = information / np.where(total > 0, total, 1.0)
    per_code = concentration(importance)
    kept = np.arange(len(importance)) if top_k is None else _best(importance, per_code, top_k)
    rest = importance[kept]
    disentanglement = weighted_mean(per_code[kept], rest.sum(1))
    return {
        "score": disentanglement,
        "disentanglement": disentanglement,
        "completeness": weighted_mean(concentration(rest.T), rest.sum(0)),
        "per_code": per_code,
        "importance": importance,
    }


def _best(importance: np.ndarray, per_code: np.ndarray, count: int) -> np.ndarray:
    """The numbers of the `count` most disentangled codes of each factor, in ascending order."""
    order = np.argsort(-per_code, kind="stable")
    owner = importance.argmax(1)[order]
    return np.sort(np.concatenate([order[owner == f][:count] for f in range(importance.shape[1])]))


def _binned(codes, factors, num_bins, categorical, discrete_codes):
    """Bins of codes `[N, D]`, labels of factors `[N, F]`, their information `[D, F]`."""
    codes, factors, flags = checked(codes, factors, categorical, discrete_codes=discrete_codes)
    labels = symbols(factors)
    if not flags.all():
        labels[:, ~flags] = histogram_bins(factors[:, ~flags], num_bins)
    bins = symbols(codes) if discrete_codes else histogram_bins(codes, num_bins)
    return bins, labels, discrete_information(bins, labels)


def _entropies(labels: np.ndarray) -> np.ndarray:
    """`[F]`, in nats, of the columns of `[N, F]`."""
    return np.array([entropy(column) for column in labels.T])
