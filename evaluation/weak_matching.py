"""MCC where codes and latents agree only after an affine map, or only within domains."""

import numpy as np

from zoo.evaluation import arrays, assignment, checks, facts, regressors
from zoo.evaluation.errors import InputError
from zoo.evaluation.matching import MATCHED_AXES, mcc


@facts.score(
    needs=("codes", "latents", "codes_test", "latents_test"),
    source="Khemakhem et al. 2020",
    higher_is_better=True,
    range=(0, 1),
    axes={**MATCHED_AXES, "correlations": "true_latent true_latent"},
)
def weak_mcc(codes, latents, codes_test, latents_test, correlation: str = "pearson") -> dict:
    """Weak MCC: the mean correlation coefficient of latents with an affine map of the codes.

    After Khemakhem et al. 2020 (ICE-BeeM): weak identifiability is that up to an affine
    map, so that one is undone first.

    The map is that of least squares from the training codes to the training latents; its outputs
    for the test codes are then matched to the test latents as in `mcc`, with textbook coefficients.
    The authors map codes and latents both, by canonical correlation analysis: see `cca`.

    Args:
        codes: `[N, D]` float, training rows.
        latents: `[N, K]` float, training rows.
        codes_test: `[M, D]` float.
        latents_test: `[M, K]` float.
        correlation: `pearson` or `spearman`.

    Returns:
        `score` in [0, 1]; `per_latent` `[K]`; `code_of_latent` `[K]`, the output of the map matched
        to each latent, and `correlations` `[K, K]` of outputs and latents.

    Raises:
        InputError: wrong shapes, NaN, a constant latent, fewer than 3 test rows, an unknown
            correlation.
    """
    codes, latents, codes_test, latents_test = assignment.halves(
        codes, latents, codes_test, latents_test
    )
    code_scale, latent_scale = (regressors.Standardisation(rows) for rows in (codes, latents))
    mapped = regressors.affine(code_scale(codes), latent_scale(latents), code_scale(codes_test))
    result = mcc(mapped, latents_test, correlation, covariance_ddof=0)
    return {name: part for name, part in result.items() if name != "per_batch"}


@facts.score(
    needs=("codes", "latents", "domains"),
    source="Hyvärinen & Morioka 2016",
    higher_is_better=True,
    range=(0, 1),
    axes=MATCHED_AXES,
)
def within_domain_mcc(codes, latents, domains, correlation: str = "pearson") -> dict:
    """Within-domain MCC: the mean over domains of correlations within them, under one matching.

    The mean correlation coefficient of Hyvärinen & Morioka 2016, within domains.

    Where the means of latents differ from domain to domain, codes that know no more than the domain
    correlate with them. Here correlations are taken within each domain and their absolute values
    averaged over domains, which count alike; one matching for all domains maximises the sum, and
    the score is the mean over latents. A latent that gets no code counts 0, and so does a code
    that is constant in a domain; a domain in which a latent is constant does not count for it.

    Args:
        codes: `[N, D]` float.
        latents: `[N, K]` float.
        domains: `[N]` integers, which domain each row is of; at least 3 rows each.
        correlation: `pearson` or `spearman`, ranks within the domain.

    Returns:
        `score` in [0, 1]; `per_latent` `[K]`; `code_of_latent` `[K]` int, -1 where none;
        `correlations` `[D, K]`, absolute, averaged over domains; `domains`, their labels in order,
        and `per_domain`, the mean of the matched correlations of the latents that vary in each,
        NaN where none does.

    Raises:
        InputError: wrong shapes, NaN, domains that are not integers or of fewer than 3 rows, a
            latent that is constant in every domain, an unknown correlation.
    """
    codes, latents = assignment.codes_and_latents(codes, latents)
    names, domain_of_row = _domains(domains, len(codes))
    matrices = np.zeros((len(names), codes.shape[1], latents.shape[1]))
    varies = np.zeros((len(names), latents.shape[1]), bool)
    for i in range(len(names)):
        rows = domain_of_row == i
        matrices[i] = np.abs(assignment.correlations(codes[rows], latents[rows], correlation))
        varies[i] = ~checks.constant_columns(latents[rows])
    if not varies.any(0).all():
        number = (~varies.any(0)).argmax()
        raise InputError(f"latents column {number} is constant in every domain: leave it out")
    matrix = (matrices * varies[:, None]).sum(0) / varies.sum(0)
    per_latent, code_of_latent = assignment.best_matching(matrix)
    chosen = matrices[:, code_of_latent, range(len(per_latent))] * (code_of_latent >= 0)
    counted = varies.sum(1)
    per_domain = (chosen * varies).sum(1) / np.where(counted, counted, np.nan)
    return {
        "score": float(np.minimum(per_latent, 1).mean()),
        "per_latent": per_latent,
        "code_of_latent": code_of_latent,
        "correlations": matrix,
        "domains": names,
        "per_domain": per_domain,
    }


def _domains(domains, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """The labels of domains, and the number of the label of each row."""
    labels = arrays.finite(domains, "domains")
    if labels.shape != (rows,) or (labels != np.round(labels)).any():
        raise InputError(f"domains of shape {labels.shape}: give one integer a row, [{rows}]")
    names, domain_of_row, counts = np.unique(
        labels.astype(np.int64), return_inverse=True, return_counts=True
    )
    if counts.min() < 3:
        raise InputError(
            f"domain {names[counts.argmin()]} has {counts.min()} rows: give at least 3 of each, "
            "two always correlate"
        )
    return names, domain_of_row
