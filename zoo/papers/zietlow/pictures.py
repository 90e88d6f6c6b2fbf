"""Pictures of Zietlow 2022 that models make: non-linear eigenfaces, planes of two latents."""

import math

import numpy as np
from matplotlib.figure import Figure

from zoo import evaluation
from zoo.drawing import sheets
from zoo.errors import UserError
from zoo.evaluation.encoding import CachedCodes
from zoo.papers import pictures
from zoo.papers.results import number

EIGENFACES, FACES, FACE_SPAN = 5, 300, (-2.5, 2.5)
# How many of the best and of the worst runs are shown, and images that codes are judged on.
SHOWN, JUDGED = 4, 5000


def eigenfaces(found: dict, columns=()) -> Figure:
    """The mean code of 300 images, its latents varied one by one: one panel per row, first seed.

    The latents are the five with the least mean posterior deviation, each over [-2.5, 2.5]
    (Zietlow 2022, Fig. 3.6).
    """
    del columns
    panels = []
    for results in found.values():
        for result in results[:1]:
            model, dataset = pictures.opened(result.folders[0])
            panels.append((result.row.name, _eigenfaces(model, dataset)))
    return pictures.page([panels[k : k + 1] for k in range(len(panels))])


def restarts(found: dict, columns=(), across: int = 6, points: int = 1500) -> Figure:
    """The codes of all restarts in a plane, coloured by the first factor (Fig. 3.5).

    In the first panel the factors themselves.

    Args:
        found: the results of a row, of models with two latents.
        columns: not used.
        across: how many panels are beside one another.
        points: how many codes.
    """
    del columns
    (results,) = (found_[0] for found_ in found.values() if found_)
    folders = sorted(results.folders, key=lambda folder: int(folder.name))
    panels = len(folders) + 1
    width, height = min(panels, across), math.ceil(panels / across)
    figure = Figure(figsize=(2.4 * width, 2.7 * height), layout="constrained")
    axes = [figure.add_subplot(height, width, k + 1) for k in range(panels)]
    for axis, folder in zip(axes[1:], folders, strict=True):
        model, dataset = pictures.opened(folder)
        numbers = dataset.some(points)
        factors = dataset.whole.latents[numbers]
        codes = np.asarray(model.encode(dataset.whole.images[numbers]))
        axis.scatter(*codes.T, c=factors[:, 0], s=3)
        axis.set(title=f"seed {folder.name}", xlabel="$z_1$", ylabel="$z_2$")
    axes[0].scatter(*factors.T, c=factors[:, 0], s=3)
    axes[0].set(title="factors", xlabel="$w_1$", ylabel="$w_2$")
    for axis in axes:
        axis.set_aspect("equal")
    return figure


def planes(found: dict, columns, pair: tuple[str, str], shown: int = SHOWN) -> Figure:
    """Two latents varied together: the runs with the highest first column above the lowest.

    Of every run those two latents that tell most about a pair of factors (Zietlow 2022, Figs. 4.10
    and 4.11), with `layout`'s two numbers above.

    Args:
        found: the results of rows; all their runs are ranked together.
        columns: of the table; runs are ranked by the first.
        pair: the names of two factors.
        shown: how many of the best, and of the worst; no run is among both.
    """
    name = columns[0].name
    folders = [f for results in found.values() for result in results[:1] for f in result.folders]
    runs = [(number(folder, columns[0]), folder) for folder in folders]
    runs = sorted((run for run in runs if run[0] is not None), key=lambda run: -run[0])
    half = (len(runs) + 1) // 2
    rows = []
    for label, part in (("best", runs[:half][:shown]), ("worst", runs[half:][-shown:])):
        rows.append([])
        for value, folder in part:
            picture, (cartesian, polar) = _plane(*pictures.opened(folder), pair)
            title = f"{label}: {name} {value:.2f}, seed {folder.name}"
            measured = f"Cartesian {cartesian:.2f}, polar {polar:.2f}"
            rows[-1].append((f"{title}\n{measured}", picture))
    return pictures.page([row for row in rows if row])


def layout(codes: np.ndarray, factors: np.ndarray) -> tuple[float, float]:
    """How well two latents tell two factors as coordinates, and as angle and radius.

    Each is the mean over the two factors of `I(code; factor) / H(factor)`, every factor told by
    one of the two codes, as they go together best; the informations are those of MIG. Angle and
    radius are around the mean code.

    Args:
        codes: `[N, 2]`.
        factors: `[N, 2]` indices, not constant.

    Returns:
        The Cartesian and the polar number, both in [0, 1].
    """
    right, up = (codes - codes.mean(axis=0)).T
    every = np.stack([right, up, np.arctan2(up, right), np.hypot(right, up)], axis=1)
    shares = _shares(every, factors)

    def matched(part: np.ndarray) -> float:
        return float(max(np.trace(part), np.trace(part[::-1]))) / 2

    return matched(shares[:2]), matched(shares[2:])


def _shares(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """`I(code; factor) / H(factor)`, `[D, F]`."""
    information = evaluation.mig(codes, factors)["mutual_information"]
    frequencies = [np.bincount(column) / len(column) for column in factors.T]
    entropies = [-(p[p > 0] * np.log(p[p > 0])).sum() for p in frequencies]
    return information / np.array(entropies)


def _eigenfaces(model, dataset, steps: int = 9) -> np.ndarray:
    posterior = model.posterior(dataset.whole.images[dataset.some(FACES)])
    moments = (posterior.mean(), posterior.stddev())
    mean, deviation = (np.mean(np.asarray(moment), axis=0) for moment in moments)
    latents = np.argsort(deviation, kind="stable")[:EIGENFACES]
    values = np.linspace(*FACE_SPAN, steps)
    varied = np.tile(mean.astype(np.float32), (len(latents), steps, 1))
    for row, latent in enumerate(latents):
        varied[row, :, latent] = values
    images = np.asarray(model.decode(varied.reshape(-1, len(mean))))
    return sheets.sheet(
        images.reshape(*varied.shape[:2], *images.shape[1:]),
        [f"z{k}\nsigma {deviation[k]:.2f}" for k in latents],
        [f"{value:.1f}" for value in values],
    )


def _plane(model, dataset, pair: tuple[str, str]) -> tuple[np.ndarray, tuple[float, float]]:
    """The picture of the two latents that tell most about a pair of factors, and their `layout`."""
    if dataset.space is None or not {*pair} <= {*dataset.space.names}:
        raise UserError(f"{dataset.name} has no factors {' and '.join(pair)}")
    numbers = dataset.some(JUDGED)
    codes = CachedCodes(model.encode, dataset.whole.images, 512)(numbers)
    columns = [dataset.space.names.index(name) for name in pair]
    factors = dataset.space.factors(numbers)[:, columns]
    told = _shares(codes, factors)
    chosen = np.argsort(-told.sum(axis=1), kind="stable")[:2]
    # The latent that tells more of the pair's first factor goes to the right.
    latents = chosen if told[chosen[0], 0] >= told[chosen[1], 0] else chosen[::-1]
    # The code of an image: between the images a decoder's output may be none.
    middle = np.square(codes - codes.mean(axis=0)).sum(axis=1).argmin()
    picture = sheets.plane(
        lambda z: np.asarray(model.decode(z)),
        codes[middle],
        tuple(int(k) for k in latents),
        steps=7,
    )
    return picture, layout(codes[:, latents], factors)
