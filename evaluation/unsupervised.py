"""Scores that need no ground truth: dependence between codes, and agreement between models."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

from zoo.evaluation import checks, columns, facts
from zoo.evaluation.errors import InputError
from zoo.evaluation.information import histogram_bins, mutual_information


@facts.score(
    needs=("codes",),
    source="Locatello et al. 2019",
    higher_is_better=False,
    subsampled=0.9,
    suites=facts.FAST,
    axes={"correlation": "latent latent"},
)
def gaussian_total_correlation(codes) -> dict:
    """Total correlation of a Gaussian with the covariance C of the codes, in nats.

    TC = 1/2 (sum_j log C_jj - log det C), the KL divergence from the product of the marginals
    (disentanglement_lib, `unsupervised_metrics.py`; Locatello et al. 2019). A constant code is
    independent of everything and left out. Codes that determine each other linearly have an
    infinite total correlation; eigenvalues of the correlation matrix are kept above float64's
    machine precision, which caps it at about 18 nats a redundant code.

    Args:
        codes: `[N, D]` float.

    Returns:
        `score` >= 0 in nats, 0 for uncorrelated codes; `correlation` `[D, D]`, zeros in the rows
        and columns of constant codes; `redundant`, how many eigenvalues were kept up.

    Raises:
        InputError: wrong shape, NaN.
    """
    codes = checks.varying(codes, "codes", "[N, D]")
    correlation = columns.correlations(codes, codes)
    kept = np.flatnonzero(np.diag(correlation))  # A constant code has no correlation with itself.
    floor = np.finfo(float).eps
    eigenvalues = np.linalg.eigvalsh(correlation[np.ix_(kept, kept)])
    score = -0.5 * np.log(np.maximum(eigenvalues, floor)).sum()
    return {
        "score": float(max(0.0, score)),
        "correlation": correlation,
        "redundant": int((eigenvalues < floor).sum()),
    }


@facts.score(
    needs=("codes",),
    source="Locatello et al. 2019",
    higher_is_better=False,
    subsampled=0.9,
    suites=facts.STANDARD,
)
def gaussian_wasserstein_correlation(codes) -> dict:
    """Squared 2-Wasserstein distance of a Gaussian from the product of its marginals.

    With the covariance C of the codes and its diagonal D:
    W = 2 tr C - 2 tr (D^1/2 C D^1/2)^1/2 (disentanglement_lib, `unsupervised_metrics.py`), by the
    eigenvalues of the symmetric matrix under the root.

    Args:
        codes: `[N, D]` float.

    Returns:
        `score` >= 0 in squared units of the codes, 0 for uncorrelated codes; `normalized`, the
        same divided by tr C, which does not change when all codes are scaled together, 0 where
        all codes are constant.

    Raises:
        InputError: wrong shape, NaN.
    """
    codes = checks.varying(codes, "codes", "[N, D]")
    correlation = columns.correlations(codes, codes)
    std = np.sqrt(len(codes) / max(len(codes) - 1, 1)) * codes.std(0) * np.diag(correlation).round()
    # Relative to the largest, so that fourth powers neither overflow nor vanish.
    largest = float(std.max())
    std = std / (largest or 1.0)
    # D^1/2 C D^1/2 has the entries std_i^2 corr_ij std_j^2.
    eigenvalues = np.linalg.eigvalsh(std[:, None] ** 2 * correlation * std**2)
    trace = float((std**2).sum())
    distance = max(0.0, 2 * trace - 2 * float(np.sqrt(np.maximum(eigenvalues, 0)).sum()))
    return {
        "score": distance * largest**2,
        "normalized": distance / trace if trace > 0 else 0.0,
    }


@facts.score(
    needs=("codes",),
    source="Locatello et al. 2019",
    higher_is_better=False,
    subsampled=0.9,
    suites=facts.STANDARD,
    axes={"mutual_information": "latent latent"},
)
def average_mutual_information(codes, num_bins: int = 20) -> dict:
    """Mean mutual information of two different codes, in nats.

    Every code is discretised into equal-width bins over its observed range (disentanglement_lib,
    `unsupervised_metrics.py`, where it is called the mutual information score).

    Args:
        codes: `[N, D]` float.
        num_bins: how many bins.

    Returns:
        `score` >= 0 in nats, 0 for a single code; `mutual_information` `[D, D]`, symmetric, with
        zeros on the diagonal.

    Raises:
        InputError: wrong shape, NaN, fewer than 2 bins.
    """
    codes = checks.varying(codes, "codes", "[N, D]")
    information = mutual_information(codes, histogram_bins(codes, num_bins), num_bins)
    np.fill_diagonal(information, 0)
    size = codes.shape[1]
    pairs = size * (size - 1)
    return {
        "score": float(information.sum() / pairs) if pairs else 0.0,
        "mutual_information": information,
    }


@facts.score(
    needs=("codes_of_models",),
    settings=("kl_of_models", "scored_model"),
    source="Duan et al. 2020",
    higher_is_better=True,
    range=(0, 1),
)
def udr(
    codes_of_models: Sequence,
    kl_of_models: Sequence | None = None,
    correlation: str = "lasso",
    kl_threshold: float = 0.01,
    alpha: float = 0.1,
    scored_model: int | None = None,
) -> dict:
    """Unsupervised disentanglement ranking: how well the latents of several models agree.

    Defined in Duan et al. 2020.

    For two models the matrix R holds absolute Lasso coefficients that predict the standardised
    codes of the second from those of the first, or absolute rank correlations. The pair's score is
    the mean over rows and over columns, averaged, of max^2 / sum; a model's score is the median
    over the pairs in which it is predicted. Codes with a mean KL divergence from the prior of at
    most `kl_threshold`, and constant ones, are left out; a pair with none left scores 0.

    Args:
        codes_of_models: M >= 2 arrays `[N, D_m]` float, codes of the same N observations.
        kl_of_models: M arrays `[D_m]` float, the mean KL divergence of every latent in nats; None
            where unknown: then every code that is not constant takes part.
        correlation: `lasso` or `spearman`.
        kl_threshold: in nats.
        alpha: the Lasso's penalty.
        scored_model: the number of the model whose score is `score`; None for the mean over models.
            In a table of `zoo.evaluation.evaluate` it is 0, the model that the table is of.

    Returns:
        `score`, the mean over models or that of `scored_model`; `model_scores` `[M]`; `pairwise`
        `[M, M]`, row predicts column, zeros on the diagonal.

    Raises:
        InputError: fewer than two models, different numbers of rows, wrong shapes, NaN, an unknown
            correlation, no model of that number.
    """
    if correlation not in ("lasso", "spearman"):
        raise InputError(f"correlation {correlation!r} is unknown: use 'lasso' or 'spearman'")
    count = len(codes_of_models)
    if count < 2:
        raise InputError(f"udr compares models: give at least 2, not {count}")
    if kl_of_models is not None and len(kl_of_models) != count:
        raise InputError(f"there are {count} models but KL divergences of {len(kl_of_models)}")
    if scored_model is not None:
        checks.whole(0, scored_model=scored_model)
        if scored_model >= count:
            raise InputError(f"scored_model is {scored_model}: there are {count} models, from 0")
    informative = []
    for m, codes in enumerate(codes_of_models):
        codes = checks.varying(codes, f"codes of model {m}", "[N, D]")
        if len(codes) != len(codes_of_models[0]):
            raise InputError("the models' codes must be of the same observations, row by row")
        kept = ~checks.constant_columns(codes)
        if kl_of_models is not None:
            kl = checks.matrix([kl_of_models[m]], f"kl of model {m}", "[D]")[0]
            if kl.shape != kept.shape:
                raise InputError(f"model {m} has {kept.size} codes but {kl.size} KL divergences")
            kept &= kl > kl_threshold
        codes = codes[:, kept]
        if correlation == "spearman":
            codes = rankdata(codes, axis=0)
        informative.append(columns.standardized(codes))
    pairwise = np.zeros((count, count))
    for i, first in enumerate(informative):
        for j, second in enumerate(informative):
            if i != j and first.size and second.size:
                pairwise[i, j] = _relative_strength(_strengths(first, second, correlation, alpha))
    others = ~np.eye(count, dtype=bool)
    model_scores = np.array([np.median(pairwise[others[:, m], m]) for m in range(count)])
    score = model_scores.mean() if scored_model is None else model_scores[scored_model]
    return {
        "score": float(score),
        "model_scores": model_scores,
        "pairwise": pairwise,
    }


def _strengths(first: np.ndarray, second: np.ndarray, correlation: str, alpha: float) -> np.ndarray:
    """`[D_first, D_second]` absolute strengths of standardised codes."""
    if correlation == "spearman":
        return np.abs(first.T @ second) / len(first)
    from sklearn.linear_model import Lasso

    coefficients = Lasso(alpha=alpha).fit(first, second).coef_
    return np.abs(coefficients.reshape(second.shape[1], first.shape[1])).T


def _relative_strength(strengths: np.ndarray) -> float:
    """Mean over columns and over rows, averaged, of max^2 / sum; 0 where a sum is 0."""
    scores = []
    for axis in (0, 1):
        total = strengths.sum(axis)
        scores.append((strengths.max(axis) ** 2 / np.where(total > 0, total, 1)).mean())
    return float(np.mean(scores))
