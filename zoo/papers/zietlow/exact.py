"""Figures of Zietlow 2022 that are computed: from `zoo.papers.zietlow.theory`, without runs."""

import math

import numpy as np
from matplotlib.figure import Figure

from zoo.data.renderers import synthetic
from zoo.drawing.palette import SERIES
from zoo.papers.spec import Table
from zoo.papers.zietlow import theory

# The decoder of eq. 3.20.
WORKED = np.array([[4.0, 1.0], [-3.0, 1.0], [5.0, -1.0]])
PRECISIONS = tuple(10.0**k for k in range(7))
OBSERVATIONS = 8


def kl_landscape(found: dict, columns=()) -> Figure:
    """The KL of one latent over its mean and deviation; the KL of two over their rotation."""
    del found, columns
    figure = Figure(figsize=(8.4, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    mean, deviation = np.meshgrid(np.linspace(-2.5, 2.5, 201), np.geomspace(0.05, 2, 201))
    levels = (0.05, 0.2, 0.5, 1, 1.5, 2, 3, 4, 5)
    drawn = left.contour(mean, deviation, theory.kl(mean, deviation), levels, colors=SERIES[0])
    left.clabel(drawn, fontsize=7)
    left.plot(0, 1, "o", color=SERIES[1])
    left.set(xlabel="posterior mean", ylabel="posterior deviation", title="KL of a latent, nats")
    angles = np.linspace(-90, 90, 361)
    costs = theory.turned_kl(WORKED, np.radians(angles), cost=1.0)
    right.plot(angles, costs, color=SERIES[0], label="diagonal posterior")
    orthogonal = math.log(4 * np.linalg.det(WORKED.T @ WORKED)) / 2
    right.axhline(orthogonal, color=SERIES[1], linestyle="--", label="full covariance")
    right.set(xlabel="rotation of the latents, degrees", title="KL at an equal square error, nats")
    right.set_xticks(range(-90, 91, 45))
    right.set_ylim(3.05, 4.3)
    right.legend(frameon=False, loc="upper center", ncols=2)
    right.grid(alpha=0.3)
    return figure


def elbo_gaps(found: dict, columns=()) -> Figure:
    """Bound and regularised likelihood against the decoder's precision, and self-consistency."""
    del found, columns
    generator = np.random.default_rng(0)
    mixing = synthetic.random_network(seed=0)
    latents = generator.normal(size=(OBSERVATIONS, 2))
    noise = generator.normal(size=(OBSERVATIONS, mixing.shape[0]))
    below: dict[str, list[float]] = {"log-likelihood": [], "IMA-regularised": [], "ELBO*": []}
    apart = []
    for precision in PRECISIONS:
        x = mixing(latents) + noise / math.sqrt(precision)
        at = theory.bounds(mixing, x, latents, 1 / precision)
        below["log-likelihood"].append(0.0)
        below["IMA-regularised"].append(-at.contrast.mean())
        below["ELBO*"].append((at.elbo - at.likelihood).mean())
        apart.append(np.linalg.norm(at.means - at.modes, axis=1).mean())
    figure = Figure(figsize=(8.4, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for (name, values), colour in zip(below.items(), SERIES, strict=False):
        left.plot(PRECISIONS, values, "o-", markersize=4, color=colour, label=name)
    left.set(xscale="log", xlabel="precision of the decoder", ylabel="nats above log p(x)")
    left.legend(frameon=False)
    right.plot(PRECISIONS, apart, "o-", markersize=4, color=SERIES[0])
    right.set(xscale="log", yscale="log", xlabel="precision of the decoder")
    right.set(ylabel="|encoder's mean - decoder's inverse|")
    for axis in (left, right):
        axis.grid(alpha=0.3)
    return figure


def coordinates(found: dict, columns=()) -> Figure:
    """The gaps of coordinates: polar against Cartesian, and sides against principal directions."""
    del found, columns
    figure = Figure(figsize=(8.4, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    powers = np.geomspace(2, 64, 41)
    gaps = np.array([theory.superellipse(power, 4001) for power in powers]).T
    for name, values, colour in zip(("Cartesian", "polar"), gaps, SERIES, strict=False):
        left.plot(powers, values, color=colour, label=name)
    left.set(xscale="log", xlabel="p of $|x|^p + |y|^p \\leq 1$", ylabel="gap of the bound, nats")
    left.set_xticks([2, 4, 8, 16, 32, 64], ["2 (disc)", "4", "8", "16", "32", "64"])
    left.minorticks_off()
    angles = np.linspace(15, 90, 301)
    gaps = np.array([theory.parallelogram(math.radians(angle)) for angle in angles]).T
    for name, values, colour in zip(("factors", "principal"), gaps, SERIES[2:], strict=False):
        right.plot(angles, values, color=colour, label=name)
    right.set(xlabel="angle between the factors' directions, degrees")
    for axis in (left, right):
        axis.legend(frameon=False)
        axis.grid(alpha=0.3)
    return figure


TABLES = (
    Table(
        "zietlow/figure_3_3",
        "The KL of a latent over posterior mean and deviation; beside it, ours, the KL that noise "
        "of an equal cost takes, against the rotation of two latents of a linear decoder",
        (),
        (),
        notes=(
            "Written before it was computed: the KL is least, 0, at mean 0 and deviation 1; over "
            "rotations it is least where the decoder's columns are orthogonal, four times in a "
            "full turn, and there it is that of a posterior with full covariance, which rotations "
            "leave alone.",
            "The decoder is that of eq. 3.20; the noise adds 1 to the square error.",
        ),
        figure=kl_landscape,
        computed=True,
    ),
    Table(
        "zietlow/figure_7_6",
        "The self-consistent ELBO*, the IMA-regularised and the plain log-likelihood against the "
        "decoder's precision",
        (),
        (),
        notes=(
            "Written before it was computed: as the precision grows the ELBO* falls to the "
            "regularised likelihood and stays there, a constant below the likelihood, and the "
            "encoder's mean comes to the decoder's inverse, at the same rate as the variance "
            "vanishes.",
            "Seen from a precision of 10,000 on, but that it first falls below the regularised "
            "likelihood and comes up to it again was not foreseen.",
            "The decoder is the network of zoo_synthetic/nonlinear with a standard normal prior; "
            f"means over {OBSERVATIONS} observations that it makes. The encoder's mean is that of "
            "the best diagonal posterior; the decoder's inverse, the mode of the true one.",
        ),
        figure=elbo_gaps,
        computed=True,
    ),
    Table(
        "zietlow/chapter_6",
        "Coordinates that a VAE may choose, in the limit of a decoder without noise: how far each "
        "leaves the bound below the likelihood",
        (),
        (),
        notes=(
            "Ours, of the questions of sections 6.1 and 6.3. The gap is the total correlation of "
            "the coordinates plus the IMA contrast of the decoder.",
            "Left, points uniform in a superellipse, written before it was computed: Cartesian and "
            "polar coordinates are both orthogonal and so both optima; polar ones are better near "
            "the disc and Cartesian ones near the square, with one crossing between. Seen: it is "
            "at p = 3.25.",
            "Right, points uniform in a parallelogram with sides 2 and 1, written before it was "
            "computed: factors that are not orthogonal are still better than the principal "
            "directions, which an orthogonal model is bound to, until their angle is small. Seen: "
            "until 52 degrees.",
        ),
        figure=coordinates,
        computed=True,
    ),
)
