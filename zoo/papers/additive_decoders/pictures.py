"""Pictures of additive decoders: beyond their support, block by block, and their latents."""

import pathlib

import numpy as np
from matplotlib.figure import Figure

from zoo import data, evaluation
from zoo.drawing import sheets
from zoo.drawing.palette import FRAME, SERIES
from zoo.evaluation.encoding import CachedCodes
from zoo.papers import pictures

STEPS, CODED, SHOWN = 7, 10_000, 4
# Of how many codes next to a value of a latent the heights are looked at.
_NEAREST = 25


def extrapolation(found: dict, columns, beyond: str) -> Figure:
    """Every latent over its range, 7x7, decoded, beside true images; for each row its first seed.

    Ball 1 rises to the right and ball 2 upwards: a ball goes with the latent that `lms_spearman`
    matches with it. Framed positions have no image of the data set with its code in the cell
    around. Each true image shows the balls at the heights that images have, by median, whose
    latent of the ball is at the position's: what a decoder that is additive in truth would show.

    Args:
        found: the results of rows.
        columns: not used.
        beyond: a data set of images outside the support, where these are sought too.
    """
    del columns
    rows = []
    for name, folder in _first(found):
        model, dataset = pictures.opened(folder)
        codes, latents = coded(model, dataset)
        grid, heights = aligned_grid(codes, latents)
        decoded = np.asarray(model.decode(grid.reshape(-1, 2).astype(np.float32)))
        decoded = _bytes(decoded).reshape(STEPS, STEPS, *decoded.shape[1:])
        true = _nearest_images(heights.reshape(-1, 2), (dataset, data.load(beyond)))
        outside = ~reached(grid, codes)
        grids = (decoded, true.reshape(decoded.shape))
        titles = (f"{name}, seed {folder.name}: decoded", "true images")
        rows.append(
            [(t, sheets.sheet(framed(s, outside))) for t, s in zip(titles, grids, strict=True)]
        )
    return pictures.page(rows)


def block_renderings(found: dict, columns, beyond: str) -> Figure:
    """Images in and out of the support, as decoded, and what each block adds: first seeds.

    Each block's part is scaled from its least to its greatest number in an image. Rows whose
    decoder is a single block are passed over.

    Args:
        found: the results of rows.
        columns: not used.
        beyond: a data set of images outside the support.
    """
    del columns
    rows = []
    for name, folder in _first(found):
        model, dataset = pictures.opened(folder)
        sets = (dataset, data.load(beyond))
        images = np.concatenate([s.whole.images[s.some(SHOWN)] for s in sets])
        codes = model.encode(images)
        parts = np.asarray(model.model.block_images(codes))
        if parts.shape[1] > 1:
            shown = [images, _bytes(np.asarray(model.decode(codes)))]
            shown += [_bytes(spread(part)) for part in np.moveaxis(parts, 1, 0)]
            labels = ["image", "decoded", *(f"block {k + 1}" for k in range(parts.shape[1]))]
            places = ["inside"] * SHOWN + ["outside"] * SHOWN
            sheet = sheets.sheet(np.stack(shown), labels, places)
            rows.append([(f"{name}, seed {folder.name}", sheet)])
    return pictures.page(rows)


def responses(found: dict, columns, traversal: str) -> Figure:
    """Both latents against the height of a ball, the other in the middle: first seeds.

    Args:
        found: the results of rows.
        columns: not used.
        traversal: a data set of all combinations of heights.
    """
    del columns
    drawn = _first(found)
    dataset = data.load(traversal)
    figure = Figure(figsize=(7.2, 2.7 * len(drawn)), layout="constrained")
    axes = figure.subplots(len(drawn), 2, squeeze=False, sharey="row")
    for down, (name, folder) in enumerate(drawn):
        model, _ = pictures.opened(folder)
        codes, latents = coded(model, dataset)
        for ball, axis in enumerate(axes[down]):
            heights, values = response(codes, latents, ball)
            for latent, colour in enumerate(SERIES[:2]):
                axis.plot(heights, values[:, latent], "o-", color=colour, label=f"z{latent}")
            axis.set(title=f"{name}, seed {folder.name}", xlabel=f"height of ball {ball + 1}")
            axis.grid(alpha=0.3)
        axes[down, 0].set_ylabel("latent")
    axes[0, 0].legend(frameon=False)
    return figure


def coded(model, dataset) -> tuple[np.ndarray, np.ndarray]:
    """Codes `[n, D]` and latents `[n, K]` of up to 10,000 images."""
    numbers = dataset.some(CODED)
    codes = CachedCodes(model.encode, dataset.whole.images, 512)(numbers)
    return codes, np.asarray(dataset.whole.latents[numbers])


def aligned_grid(codes: np.ndarray, latents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes over the range of both, and the balls' heights there: `[7, 7, 2]` each.

    The first true latent grows to the right and the second upwards, whichever code and sign they
    have; the heights are those of an additive reading, each ball's by its own code.

    Args:
        codes: `[n, 2]`.
        latents: `[n, 2]`.
    """
    match = evaluation.lms_spearman(codes, latents)
    grid, heights = np.empty((STEPS, STEPS, 2)), np.empty((STEPS, STEPS, 2))
    for ball, latent in enumerate(match["code_of_latent"]):
        column = codes[:, latent]
        values = np.linspace(column.min(), column.max(), STEPS)
        if match["correlations"][latent, ball] < 0:
            values = values[::-1]
        near = np.argsort(np.abs(column - values[:, None]), axis=1, kind="stable")[:, :_NEAREST]
        median = np.median(latents[near, ball], axis=1)
        if ball == 0:
            grid[:, :, latent], heights[:, :, ball] = values, median
        else:
            grid[:, :, latent], heights[:, :, ball] = values[::-1, None], median[::-1, None]
    return grid, heights


def reached(grid: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Which positions of a grid `[R, C, 2]` have a code of `[n, 2]` in their cell, `[R, C]`."""
    half = np.ptp(grid, axis=(0, 1)) / (STEPS - 1) / 2
    near = np.abs(codes - grid[:, :, None]) <= half
    return near.all(axis=-1).any(axis=-1)


def response(codes: np.ndarray, latents: np.ndarray, ball: int) -> tuple[np.ndarray, np.ndarray]:
    """Heights of a ball, ascending, and the codes there with the other at its middle height.

    Args:
        codes: `[n, D]`.
        latents: `[n, 2]`, all combinations of some heights.
        ball: 0 or 1.
    """
    other = np.unique(latents[:, 1 - ball])
    rows = np.flatnonzero(latents[:, 1 - ball] == other[len(other) // 2])
    rows = rows[np.argsort(latents[rows, ball])]
    return latents[rows, ball], codes[rows]


def spread(images: np.ndarray) -> np.ndarray:
    """Each image of `[n, H, W, C]` from 0 at its least number to 1 at its greatest."""
    axes = (1, 2, 3)
    low, range_ = images.min(axes, keepdims=True), np.ptp(images, axes, keepdims=True)
    return (images - low) / np.where(range_ > 0, range_, 1)


def framed(cells: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Cells `[R, C, H, W, 3]` uint8 with an orange border of two pixels where `which` `[R, C]`."""
    cells = cells.copy()
    inner = np.zeros(cells.shape[2:4], bool)
    inner[2:-2, 2:-2] = True
    cells[which[:, :, None, None] & ~inner] = FRAME
    return cells


def _first(found: dict) -> list[tuple[str, pathlib.Path]]:
    """The name and the first seed's folder of every row with runs."""
    return [(name, r[0].folders[0]) for name, r in found.items() if r and r[0].folders]


def _nearest_images(wanted: np.ndarray, datasets) -> np.ndarray:
    """The images whose latents are nearest to `[n, K]`, `[n, H, W, 3]` uint8."""
    images, distances = [], []
    for dataset in datasets:
        apart = np.square(dataset.latents - wanted[:, None]).sum(axis=-1)
        images.append(dataset.images[apart.argmin(axis=1)])
        distances.append(apart.min(axis=1))
    best = np.argmin(distances, axis=0)
    return np.stack(images)[best, np.arange(len(wanted))]


def _bytes(images: np.ndarray) -> np.ndarray:
    return np.rint(255 * np.clip(images, 0, 1)).astype(np.uint8)
