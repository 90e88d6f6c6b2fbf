"""What Zietlow 2022 says of optima, in numbers: no model is trained.

In the limit of a decoder without noise a VAE's bound, at its best posterior, is the likelihood
less the IMA contrast of the decoder (section 7.6). Of coordinates u = g(x) of some data, each
mapped to the standard normal prior by itself, the mean bound is therefore below the mean
logarithm of the data's density by

    gap = TC(u) + C(g^-1),

the total correlation of the coordinates and the contrast, both at least 0: what a VAE prefers are
coordinates that are independent and orthogonal.
"""

import dataclasses
import math

import numpy as np
from scipy.optimize import minimize

from zoo.evaluation import ima_contrast


@dataclasses.dataclass(frozen=True)
class Bounds:
    """Numbers of N observations under a decoder, in nats.

    Attributes:
        likelihood: log p(x), `[N]`.
        elbo: the bound at the best diagonal posterior, `[N]`.
        contrast: the IMA contrast where the posterior is largest, `[N]`.
        means: of the best diagonal posteriors, `[N, n]`.
        modes: where the posterior p(z|x) is largest, `[N, n]`.
    """

    likelihood: np.ndarray
    elbo: np.ndarray
    contrast: np.ndarray
    means: np.ndarray
    modes: np.ndarray


def bounds(mixing, observations: np.ndarray, start: np.ndarray, variance: float) -> Bounds:
    """Likelihood and self-consistent bound of a decoder with a standard normal prior.

    Both are integrals over latents by Gauss and Hermite's rule, at the scale of the posterior.

    Args:
        mixing: the decoder's mean, with its `jacobian`, as `zoo.data.renderers.synthetic.Mixing`;
            few latents, as the number of nodes is a power of theirs.
        observations: `[N, D]`.
        start: latents near the posteriors, `[N, n]`.
        variance: of the likelihood.
    """
    modes = _modes(mixing, observations, start, variance)
    jacobians = mixing.jacobian(modes)
    precision = np.eye(modes.shape[1]) + np.swapaxes(jacobians, 1, 2) @ jacobians / variance
    means, elbo = _best_diagonal(mixing, observations, modes, precision, variance)
    return Bounds(
        _log_likelihood(mixing, observations, modes, precision, variance),
        elbo,
        ima_contrast(jacobians)["per_sample"],
        means,
        modes,
    )


def _nodes(count: int, latents: int) -> tuple[np.ndarray, np.ndarray]:
    """Standard normal nodes `[K, n]` and their weights, of sum 1."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    grids = np.meshgrid(*[nodes] * latents, indexing="ij")
    products = np.meshgrid(*[weights / math.sqrt(2 * math.pi)] * latents, indexing="ij")
    return np.stack(grids, -1).reshape(-1, latents), np.prod(products, axis=0).ravel()


def _constant(observations: np.ndarray, variance: float) -> float:
    return observations.shape[1] / 2 * math.log(2 * math.pi * variance)


def _modes(mixing, observations, start, variance, steps: int = 50) -> np.ndarray:
    """Gauss and Newton's steps, halved where they would lessen the posterior."""

    def loss(z):
        errors = np.square(observations - mixing(z)).sum(1) / variance
        return (errors + np.square(z).sum(1)) / 2

    z, size = np.array(start, np.float64), np.ones(len(start))
    value = loss(z)
    for _ in range(steps):
        jacobian = mixing.jacobian(z)
        transposed = np.swapaxes(jacobian, 1, 2)
        slope = z - (transposed @ (observations - mixing(z))[..., None])[..., 0] / variance
        curvature = np.eye(z.shape[1]) + transposed @ jacobian / variance
        moved = z - size[:, None] * np.linalg.solve(curvature, slope[..., None])[..., 0]
        better = loss(moved) <= value
        z, size = np.where(better[:, None], moved, z), np.where(better, 1.0, size / 2)
        value = np.where(better, loss(z), value)
    return z


def _log_likelihood(mixing, observations, modes, precision, variance) -> np.ndarray:
    nodes, weights = _nodes(24, modes.shape[1])
    roots = np.linalg.cholesky(np.linalg.inv(precision))
    z = modes[:, None] + np.einsum("nij,kj->nki", roots, nodes)
    errors = np.square(observations[:, None] - mixing(z)).sum(-1) / variance
    # Divided by the proposal's density, of which the nodes have the exponential part.
    logs = (np.square(nodes).sum(-1) - errors - np.square(z).sum(-1)) / 2
    largest = logs.max(1)
    total = np.log(np.exp(logs - largest[:, None]) @ weights) + largest
    return total + np.linalg.slogdet(roots)[1] - _constant(observations, variance)


def _best_diagonal(mixing, observations, modes, precision, variance):
    """Means `[N, n]` and bounds `[N]` of the best diagonal normal posteriors."""
    nodes, weights = _nodes(8, modes.shape[1])
    scales = 1 / np.sqrt(np.diagonal(precision, axis1=1, axis2=2))
    constant = _constant(observations, variance)

    def parts(parameters):
        """Moves of means and logarithms of deviations, in units of `scales`."""
        moves, logs = parameters.reshape(2, *modes.shape)
        means, deviations = modes + scales * moves, scales * np.exp(logs)
        z = means[:, None] + deviations[:, None] * nodes
        errors = observations[:, None] - mixing(z)
        kl = (means**2 + deviations**2 - 1).sum(1) / 2 - np.log(deviations).sum(1)
        values = np.square(errors).sum(-1) @ weights / (2 * variance) + kl + constant
        return means, deviations, z, errors, values

    def loss(parameters):
        means, deviations, z, errors, values = parts(parameters)
        slopes = -np.einsum("nkdi,nkd->nki", mixing.jacobian(z), errors) / variance
        of_means = np.einsum("nki,k->ni", slopes, weights) + means
        of_deviations = np.einsum("nki,ki,k->ni", slopes, nodes, weights)
        of_logs = (of_deviations + deviations) * deviations - 1
        return values.sum(), np.stack([of_means * scales, of_logs]).ravel()

    options = {"maxiter": 500, "ftol": 1e-13, "gtol": 1e-8}
    found = minimize(loss, np.zeros(2 * modes.size), jac=True, method="L-BFGS-B", options=options)
    means, *_, values = parts(found.x)
    return means, -values


def kl(mean, deviation):
    """KL of N(mean, deviation^2) to N(0, 1) in nats, of one latent (Zietlow 2022, eq. 2.6)."""
    return (mean**2 + deviation**2 - 1) / 2 - np.log(deviation)


def turned_kl(weights: np.ndarray, angles: np.ndarray, cost: float) -> np.ndarray:
    """The KL that noise of a given cost takes, against the rotation of the latents, `[angles]`.

    Of a linear decoder W with rotated latents, W R, in the polarised regime: the noise adds
    `sum_j |c_j|^2 sigma_j^2 = cost` to the square error, at best in equal shares, and the KL is
    then `-1/2 sum_j log sigma_j^2` up to what rotations leave alone (Zietlow 2022, eq. 3.21).

    Args:
        weights: W, `[D, 2]`.
        angles: of R, in radians.
        cost: in squared units of the observations.
    """
    cosine, sine = np.cos(angles), np.sin(angles)
    turns = np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], -2)
    squares = np.square(weights @ turns).sum(-2)
    return np.log(2 * squares / cost).sum(-1) / 2


def superellipse(power: float, points: int = 40_001) -> tuple[float, float]:
    """The gaps of Cartesian and of polar coordinates on `|x|^p + |y|^p <= 1`, in nats.

    Both are orthogonal, so each gap is a total correlation alone: 0 for Cartesian coordinates of a
    square (p to infinity), and for polar ones of a disc (p = 2). That the angle is cut open
    somewhere is left out.

    Args:
        power: p, at least 2.
        points: of the grids that integrals are taken on.
    """
    if power < 2:
        raise ValueError(f"power {power}: must be at least 2")
    # x = 1 - t^2, where the density's slope at x = 1 is no longer steep.
    t = np.linspace(0, 1, points)
    height = (1 - np.clip(1 - t**2, 0, 1) ** power) ** (1 / power)
    area = 4 * np.trapezoid(height * 2 * t, t)
    marginal = 2 * height / area
    of_x = -2 * np.trapezoid(_plogp(marginal) * 2 * t, t)
    cartesian = 2 * of_x - math.log(area)

    angles = np.linspace(0, math.pi / 4, points)
    radius = (np.cos(angles) ** power + np.sin(angles) ** power) ** (-1 / power)
    of_angle = -8 * np.trapezoid(_plogp(radius**2 / (2 * area)), angles)
    mean_log = 8 * np.trapezoid(radius**2 * (np.log(radius) / 2 - 0.25), angles) / area
    # The radius grows from 1 at 0 to its largest at 45 degrees: up to 1 every angle has it.
    r = np.linspace(1e-9, 1, points)
    inner = _plogp(2 * math.pi * r / area)
    outer = _plogp(radius * 8 * (math.pi / 4 - angles) / area)
    of_radius = -np.trapezoid(inner, r) - np.trapezoid(outer, radius)
    return cartesian, of_radius + of_angle - math.log(area) + mean_log


def parallelogram(angle: float, ratio: float = 2.0) -> tuple[float, float]:
    """The gaps of the sides and of the principal directions of a uniform parallelogram, in nats.

    The sides are independent and not orthogonal, their gap is the contrast `-log sin(angle)`; the
    principal directions are orthogonal and not independent.

    Args:
        angle: between the sides, in radians.
        ratio: of their lengths.
    """
    sides = np.array([[ratio, math.cos(angle)], [0.0, math.sin(angle)]])
    widths = np.abs(np.linalg.eigh(sides @ sides.T)[1].T @ sides)
    longer, shorter = widths.max(1), widths.min(1)
    # The entropy of a sum of two uniform variables of these widths.
    entropies = np.log(longer) + shorter / (2 * longer)
    return -math.log(math.sin(angle)), float(entropies.sum() - math.log(np.linalg.det(sides)))


def _plogp(density: np.ndarray) -> np.ndarray:
    positive = np.maximum(density, np.finfo(float).tiny)
    return np.where(density > 0, density * np.log(positive), 0.0)
