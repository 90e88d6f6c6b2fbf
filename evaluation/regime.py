"""The polarised regime of a variational autoencoder: which latents carry information."""

from collections.abc import Sequence

import numpy as np

from zoo.evaluation import checks, facts
from zoo.evaluation.errors import InputError

# A latent whose posterior variance, averaged over the data, stays below this is active
# (the criterion by which Zietlow 2022, chapter 4, discards over-pruned runs).
ACTIVE_VARIANCE = 0.8
# A latent that carries at least this share of the largest KL divergence is not dead, whatever its
# variance: early in training all variances are near 1, and one latent leads the others already.
_ALIVE_SHARE = 0.1
# A latent is clear-cut when this share of the data agrees on it.
_AGREEMENT = 0.95


@facts.score(
    needs=("means", "variances"),
    source="Zietlow 2022",
    higher_is_better=False,
    suites=facts.FULL,
    axes={
        part: "latent"
        for part in (
            *("kl_per_latent", "mean_std", "mean_variance"),
            *("varies", "active", "passive", "mixed"),
        )
    },
)
def polarized_regime(means, variances, threshold: float = 0.5) -> dict:
    """Relative error of the KL divergence of a polarised posterior: which latents are in use.

    Defined in Zietlow 2022, definition 1 and eq. 3.38.

    Latent j varies when the standard deviation of its posterior mean over the data exceeds
    `threshold`. In the polarised regime the KL divergence from the standard normal prior,

        L_KL = 1/2 sum_j (mu_j^2 + s_j^2 - log s_j^2 - 1),

    is approximated by the sum over varying latents of 1/2 (mu_j^2 - log s_j^2 - 1); the relative
    error |L_KL - L_approx| / L_KL, of means over the data, is the score.

    A posterior counts as narrow where its variance is below 1 - threshold^2, the variance left to
    a posterior whose means spread by `threshold` when all together match the prior. A latent is
    active when it varies and is narrow on at least 95 % of the data, passive when it neither
    varies nor is narrow on more than 5 %, and mixed otherwise.

    Args:
        means: `[N, D]` float, posterior means.
        variances: `[N, D]` float, posterior variances, positive.
        threshold: the standard deviation of the means above which a latent varies.

    Returns:
        `score`, the relative KL error (0 is perfectly polarised); `kl` and `approximate_kl` in
        nats; `kl_per_latent`, `mean_std` and `mean_variance` `[D]`; boolean masks `varies`,
        `active`, `passive` and `mixed` `[D]`.

    Raises:
        InputError: wrong shapes, NaN, a variance that is not positive.
    """
    means = checks.matrix(means, "means", "[N, D]")
    variances = checks.matrix(variances, "variances", "[N, D]")
    if means.shape != variances.shape:
        raise InputError(f"means {means.shape} and variances {variances.shape} differ in shape")
    if (variances <= 0).any():
        raise InputError(f"a variance is {variances.min():g}: give variances, not their logarithms")
    surplus = (means**2 - np.log(variances) - 1).mean(0) / 2
    mean_variance, mean_std = variances.mean(0), means.std(0)
    kl_per_latent = surplus + mean_variance / 2
    varies = mean_std > threshold
    kl, approximate_kl = kl_per_latent.sum(), surplus[varies].sum()
    difference = abs(kl - approximate_kl)
    narrow = (variances < 1 - threshold**2).mean(0)
    active = varies & (narrow >= _AGREEMENT)
    passive = ~varies & (narrow <= 1 - _AGREEMENT)
    return {
        # Everything collapsed onto the prior: both sums are 0 and agree.
        "score": float(difference / kl) if difference > 0 else 0.0,
        "kl": float(kl),
        "approximate_kl": float(approximate_kl),
        "kl_per_latent": kl_per_latent,
        "mean_std": mean_std,
        "mean_variance": mean_variance,
        "varies": varies,
        "active": active,
        "passive": passive,
        "mixed": ~active & ~passive,
    }


def kl_per_latent(means: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """KL divergence of each latent from N(0, 1), the mean over images: (m^2 + s^2 - log s^2 - 1)/2.

    Args:
        means: of diagonal posteriors, `[N, D]`.
        variances: the same shape.

    Returns:
        `[D]`, in nats.
    """
    return (means**2 + variances - np.log(variances) - 1).mean(0) / 2


def dead_latents(mean_variances, kl_per_latent=None) -> np.ndarray:
    """`[D]` bool: the latents that carry nothing.

    These have a posterior variance, averaged over the data, of at least `ACTIVE_VARIANCE`, and, as
    far as the KL divergences are known, less than a tenth of the largest one.

    Args:
        mean_variances: `[D]` posterior variances.
        kl_per_latent: `[D]` KL divergences from the prior, in nats, or None.

    Raises:
        InputError: shapes that differ.
    """
    variances = np.asarray(mean_variances, np.float64)
    dead = variances >= ACTIVE_VARIANCE
    if kl_per_latent is None:
        return dead
    kl = np.asarray(kl_per_latent, np.float64)
    if kl.shape != variances.shape:
        raise InputError(f"mean_variances {variances.shape} and kl_per_latent {kl.shape} differ")
    # No divergence anywhere, as before training: then none stands out.
    leading = (kl > 0) & (kl >= _ALIVE_SHARE * kl.max(initial=0))
    return dead & ~leading


@facts.score(
    needs=("relative_kl_errors",),
    source="Zietlow 2022",
    higher_is_better=True,
    range=(0, 1),
)
def polarized_share(
    errors: Sequence[float], steps: Sequence[float] | None = None, threshold: float = 0.03
) -> dict:
    """The share of training from which the relative KL error stays below a threshold.

    Each evaluation stands for the time since the one before it (Zietlow 2022, section 3.3.2 and
    table 3.2: evaluated every 500 batches, threshold 3 %).

    Args:
        errors: `[T]` relative KL errors (`polarized_regime(...)["score"]`) in order of time.
        steps: `[T]` increasing training steps of the evaluations; None where equally spaced.
        threshold: the largest error that counts as polarised is below this.

    Returns:
        `score`, the share in [0, 1]; `first`, the number of the first evaluation from which the
        error stays below (T where there is none).

    Raises:
        InputError: no evaluations, NaN, steps that do not increase from above 0.
    """
    errors = checks.matrix([errors], "errors", "[T]")[0]
    ends = np.arange(1, len(errors) + 1)
    if steps is not None:
        ends = checks.matrix([steps], "steps", "[T]")[0]
    starts = np.concatenate([[0], ends[:-1]])
    if len(ends) != len(errors) or (ends <= starts).any():
        raise InputError(f"steps must be {len(errors)} increasing numbers above 0, one an error")
    above = np.flatnonzero(errors >= threshold)
    first = int(above[-1]) + 1 if len(above) else 0
    share = 0.0 if first == len(errors) else 1 - starts[first] / ends[-1]
    return {"score": float(share), "first": first}
