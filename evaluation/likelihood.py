"""The likelihood side of disentanglement: what the noise of the posterior costs, and why it aligns.

For a Gaussian VAE p(x|z) = N(d(z), variance I) with prior N(0, I). The optimal posterior precision
is I + J^T J / (beta variance) - C / (beta variance) with the curvature term C_ij =
sum_k (x_k - d_k) d^2 d_k / d z_i d z_j, so that a diagonal posterior asks for a diagonal J^T J and
a diagonal C (Allen 2024, "Unpicking Data at the Seams").
"""

import math
from collections.abc import Callable

import numpy as np

from zoo.evaluation import facts
from zoo.evaluation.arrays import checked_latents, finite
from zoo.evaluation.errors import InputError


@facts.score(
    needs=("decoder", "posterior_means", "posterior_variances", "observations"),
    settings=("seed",),
    source="Zietlow 2022",
    higher_is_better=None,
    range=(0, 1),
)
def reconstruction_split(
    decoder: Callable,
    means: np.ndarray,
    variances: np.ndarray,
    images: np.ndarray,
    *,
    samples: int = 16,
    seed: int = 0,
    dtype: str = "float32",
) -> dict:
    """The reconstruction loss split into a deterministic and a stochastic part.

    deterministic = ||d(mu) - x||^2, stochastic = E ||d(mu) - d(z)||^2 with z ~ N(mu, Sigma)
    (Zietlow 2022, eq. 3.8-3.10), summed over outputs and averaged over data.

    Args:
        decoder: a TensorFlow callable from `[n, d]` to `[n, *output_shape]`.
        means: posterior means `[N, d]`.
        variances: posterior variances `[N, d]`, or covariances `[N, d, d]`.
        images: `[N, *output_shape]`, in the decoder's units.
        samples: how many z are drawn for each x.
        seed: of the draws.
        dtype: as in `zoo.evaluation.jacobian`.

    Returns:
        `score`: the stochastic share of the two, in [0, 1]; `deterministic`; `stochastic`; `total`,
        E ||d(z) - x||^2; `linear`, the first-order stochastic part tr(J Sigma J^T) (3.13).

    Raises:
        InputError: wrong shapes, negative variances, or what `zoo.evaluation.jacobian` raises.
    """
    # Here, and below: everything but derivatives does without TensorFlow.
    from zoo.evaluation.curvature import flat_decoder
    from zoo.evaluation.jacobians import jacobian

    means, images, decode = flat_decoder(decoder, means, images, dtype)
    covariances, roots = _covariances(variances, means)
    if samples < 1:
        raise InputError(f"samples {samples}: must be at least 1")
    centre = decode(means)
    generator = np.random.default_rng(seed)
    stochastic, total = 0.0, 0.0
    for _ in range(samples):
        noise = np.einsum("nij,nj->ni", roots, generator.standard_normal(means.shape))
        drawn = decode(means + noise)
        stochastic += np.square(drawn - centre).sum(1).mean() / samples
        total += np.square(drawn - images).sum(1).mean() / samples
    deterministic = np.square(centre - images).sum(1).mean()
    grams = jacobian(decoder, means, reduction="gram", dtype=dtype)
    both = deterministic + stochastic
    return {
        "score": float(stochastic / both) if both > 0 else 0.0,
        "deterministic": float(deterministic),
        "stochastic": float(stochastic),
        "total": float(total),
        "linear": float(np.einsum("nij,nij->n", grams, covariances).mean()),
    }


@facts.score(
    needs=("decoder", "posterior_means", "observations"),
    source="Allen 2024",
    higher_is_better=True,
    range=(-math.inf, math.inf),
)
def deterministic_elbo(
    decoder: Callable,
    means: np.ndarray,
    images: np.ndarray,
    *,
    beta: float = 1.0,
    variance: float = 1.0,
    posterior: str = "full",
    curvature: bool = True,
    dtype: str = "float32",
) -> dict:
    """The ELBO of a Gaussian VAE with the optimal posterior, to second order around its mean.

    log p(x|e) - beta/2 (||e||^2 + log det(I - H/beta)) with e the posterior mean and H the Hessian
    of log p(x|z) there; for a diagonal posterior the log determinant becomes the sum of
    log(1 - H_ii/beta), which is never smaller (Hadamard): the two agree exactly where H is diagonal
    (Allen 2024; Kumar and Poole 2020). H = (C - J^T J) / variance, see the module.

    Where I - H/beta is not positive definite (strong curvature, far from an optimum) the expansion
    has no value: such samples are left out of all means and marked.

    Args:
        decoder: a TensorFlow callable from `[n, d]` to `[n, *output_shape]`, the likelihood's mean.
        means: posterior means e `[N, d]`.
        images: `[N, *output_shape]`.
        beta: weight of the KL term.
        variance: variance of the likelihood.
        posterior: `"full"` or `"diagonal"`, which of the two `score` is.
        curvature: include C; without it the precision is always positive definite.
        dtype: as in `zoo.evaluation.jacobian`.

    Returns:
        `score` in nats a sample; `full` and `diagonal`, both values; `gap` = full - diagonal, at
        least 0; `log_likelihood` of e; `per_sample` `[N]`, -inf where indefinite; `precision`
        `[N, d, d]` of the posterior; `indefinite` `[N]`.

    Raises:
        InputError: wrong shapes or parameters, or no sample with a positive definite precision.
    """
    if posterior not in ("full", "diagonal"):
        raise InputError(f"posterior {posterior!r}: must be 'full' or 'diagonal'")
    if not (beta > 0 and variance > 0):
        raise InputError(f"beta {beta} and variance {variance} must be positive")
    from zoo.evaluation.curvature import second_order

    grams, bends, errors, outputs = second_order(decoder, means, images, curvature, dtype)
    means = checked_latents(means, "float64")
    precision = np.eye(means.shape[1]) + (grams - bends) / (beta * variance)
    eigenvalues = np.linalg.eigvalsh(precision)
    indefinite = eigenvalues[:, 0] <= 0
    if indefinite.all():
        raise InputError(
            "the posterior precision is not positive definite at any sample: "
            "use curvature=False, or means nearer to the posterior's"
        )
    valid = ~indefinite
    likelihood = -0.5 * (errors / variance + outputs * np.log(2 * np.pi * variance))
    diagonals = np.diagonal(precision, axis1=1, axis2=2)
    values = {}
    for name, terms in (("full", eigenvalues), ("diagonal", diagonals)):
        values[name] = np.full(len(means), -np.inf)
        penalty = np.square(means[valid]).sum(1) + np.log(terms[valid]).sum(1)
        values[name][valid] = likelihood[valid] - beta / 2 * penalty
    full, diagonal = (float(values[name][valid].mean()) for name in ("full", "diagonal"))
    return {
        "score": full if posterior == "full" else diagonal,
        "full": full,
        "diagonal": diagonal,
        "gap": max(0.0, full - diagonal),
        "log_likelihood": float(likelihood[valid].mean()),
        "per_sample": values[posterior],
        "precision": precision,
        "indefinite": indefinite,
    }


@facts.score(
    needs=("decoder", "posterior_means", "observations"),
    source="Allen 2024",
    higher_is_better=True,
    range=(0, 1),
    axes={"mean_gram": "latent latent", "mean_curvature": "latent latent"},
)
def curvature_diagonality(
    decoder: Callable, means: np.ndarray, images: np.ndarray, *, dtype: str = "float32"
) -> dict:
    """How diagonal J^T J and the curvature term are: what a diagonal posterior asks for.

    The diagonality of a matrix M is sum_i M_ii^2 / sum_ij M_ij^2, in (0, 1] where M has no zero
    diagonal: 1 exactly for diagonal matrices (and the zero matrix). The curvature term is
    C_ij = sum_k (x_k - d_k) d^2 d_k / d z_i d z_j.

    Args:
        decoder: a TensorFlow callable from `[n, d]` to `[n, *output_shape]`.
        means: posterior means `[N, d]`.
        images: `[N, *output_shape]`.
        dtype: as in `zoo.evaluation.jacobian`.

    Returns:
        `score`: mean over samples of the diagonality of C; `gram`: that of J^T J; `precision_term`:
        that of J^T J - C; each also `<name>_per_sample` `[N]` (`curvature_per_sample` for C); and
        the matrices averaged over samples, `mean_gram` and `mean_curvature` `[d, d]`.

    Raises:
        InputError: wrong shapes, or what `zoo.evaluation.jacobian` raises.
    """
    from zoo.evaluation.curvature import second_order

    grams, bends, _, _ = second_order(decoder, means, images, True, dtype)
    parts = {"curvature": bends, "gram": grams, "precision_term": grams - bends}
    per_sample = {name: diagonality(matrices) for name, matrices in parts.items()}
    return {
        "score": float(per_sample["curvature"].mean()),
        "gram": float(per_sample["gram"].mean()),
        "precision_term": float(per_sample["precision_term"].mean()),
        **{f"{name}_per_sample": values for name, values in per_sample.items()},
        "mean_gram": grams.mean(0),
        "mean_curvature": bends.mean(0),
    }


def diagonality(matrices: np.ndarray) -> np.ndarray:
    """sum_i M_ii^2 / sum_ij M_ij^2 of each matrix `[..., d, d]`; 1 for the zero matrix."""
    largest = np.abs(matrices).max((-1, -2), keepdims=True)
    scaled = np.divide(matrices, largest, out=np.zeros_like(matrices), where=largest > 0)
    squares = np.square(scaled)
    total = squares.sum((-1, -2))
    diagonal = np.trace(squares, axis1=-1, axis2=-2)
    return np.divide(diagonal, total, out=np.ones_like(total), where=total > 0)


def optimal_linear_vae(
    covariance: np.ndarray, latents: int, *, beta: float = 1.0, variance: float = 1.0
) -> dict:
    """The optimal linear VAE on Gaussian data, in closed form.

    Columns of the decoder are sqrt(lambda_i - beta variance) times the leading eigenvectors of the
    data's covariance, the posterior variance of latent i is beta variance / lambda_i, and latents
    with lambda_i <= beta variance collapse (Lucas et al. 2019; Allen 2024). A diagonal posterior
    fixes the decoder up to a signed permutation of its columns, a full one up to a rotation.

    Args:
        covariance: of the data, `[outputs, outputs]`.
        latents: how many.
        beta: weight of the KL term.
        variance: variance of the likelihood.

    Returns:
        `decoder` `[outputs, latents]`, zero columns for collapsed latents; `posterior_variances`
        `[latents]`, 1 for collapsed ones; `active` `[latents]`.

    Raises:
        InputError: not a covariance, more latents than outputs, or `beta` or `variance` that is not
            positive.
    """
    covariance = finite(covariance, "covariance")
    square = covariance.ndim == 2 and covariance.shape[0] == covariance.shape[1]
    if not square or not np.allclose(covariance, covariance.T):
        raise InputError(f"covariance of shape {covariance.shape}: must be a symmetric matrix")
    if not 0 < latents <= len(covariance):
        raise InputError(f"{latents} latents: must be 1 to {len(covariance)}, the outputs")
    if not (beta > 0 and variance > 0):
        raise InputError(f"beta is {beta} and variance {variance}: they must be positive")
    eigenvalues, vectors = np.linalg.eigh(covariance)
    if eigenvalues[0] < -1e-6 * np.abs(eigenvalues).max():
        raise InputError("covariance is not positive semidefinite")
    eigenvalues, vectors = eigenvalues[::-1][:latents], vectors[:, ::-1][:, :latents]
    noise = beta * variance
    active = eigenvalues > noise
    return {
        "decoder": vectors * np.sqrt(np.maximum(eigenvalues - noise, 0)),
        "posterior_variances": np.where(active, noise / np.maximum(eigenvalues, noise), 1.0),
        "active": active,
    }


def _covariances(variances, means):
    """Covariances `[N, d, d]` and their matrix square roots."""
    variances = finite(variances, "variances")
    if variances.shape == means.shape:
        if (variances < 0).any():
            raise InputError("variances are negative: give variances, not their logarithms")
        diagonal = np.eye(means.shape[1])
        return variances[:, None] * diagonal, np.sqrt(variances)[:, None] * diagonal
    if variances.shape != (*means.shape, means.shape[1]):
        raise InputError(
            f"variances of shape {variances.shape}: must be {means.shape} or "
            f"{(*means.shape, means.shape[1])}"
        )
    eigenvalues, vectors = np.linalg.eigh(variances)
    if (eigenvalues < -1e-6 * np.abs(eigenvalues).max()).any():
        raise InputError("variances hold a covariance that is not positive semidefinite")
    return variances, vectors * np.sqrt(np.maximum(eigenvalues, 0))[:, None]
