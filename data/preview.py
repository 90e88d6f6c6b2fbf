"""Contact sheets: `python -m zoo.data.preview NAME [--out FILE.png] [--seed N]`.

A data set with a factor space gets one row per factor: that factor over its range, the others fixed
at a random combination. Others get a random grid, with the masks beside the images where there are
any; data sets of vectors get scatter plots of their latents and their observations.
"""

import argparse
import dataclasses
import pathlib
from collections.abc import Sequence

import numpy as np

from zoo import cli
from zoo.data import catalog
from zoo.data.dataset import Dataset
from zoo.drawing import palette, sheets
from zoo.errors import UserError

_COLUMNS = 16
_GRID = 8
_POINTS, _PLOT = 4000, 128


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a contact sheet.

    Attributes:
        title: what stands left of it.
        captions: what stands over every tile.
        tiles: `[n, H, W, 3]` uint8.
    """

    title: str
    captions: Sequence[str]
    tiles: np.ndarray


def rows(dataset: Dataset, seed: int = 0) -> list[Row]:
    """What a contact sheet of a data set shows.

    Args:
        dataset: any data set of the catalog.
        seed: which combination of the other factors, or which random images.
    """
    rng = np.random.default_rng(seed)
    if len(dataset.images.shape) == 2:
        return _plots(dataset, rng)
    if dataset.space is None or not dataset.space.is_grid:
        return _grid(dataset, rng)
    base = rng.integers(dataset.space.sizes)
    return [_varied(dataset, base, i) for i in range(len(base))]


def sheet(content: Sequence[Row]) -> np.ndarray:
    """Draws rows of tiles under their captions: `[height, width, 3]` uint8."""
    columns = max(len(row.tiles) for row in content)
    cells = np.empty((len(content), columns, *content[0].tiles.shape[1:]), np.uint8)
    cells[:] = palette.GROUND
    for places, row in zip(cells, content, strict=True):
        places[: len(row.tiles)] = row.tiles
    return sheets.sheet(
        cells, [row.title for row in content], captions=[row.captions for row in content]
    )


def _varied(dataset: Dataset, base: np.ndarray, which: int) -> Row:
    factor = dataset.space.axes[which]
    places = np.unique(np.linspace(0, factor.size - 1, min(factor.size, _COLUMNS)).round())
    places = places.astype(int)
    factors = np.tile(base, (len(places), 1))
    factors[:, which] = places
    captions = [f"{factor.values[i]:.3g}" for i in places]
    return Row(factor.name, captions, _tiles(dataset.whole, dataset.space.index(factors)))


def _grid(dataset: Dataset, rng: np.random.Generator) -> list[Row]:
    count = min(len(dataset), _GRID * _GRID)
    ids = np.sort(dataset.ids[rng.choice(len(dataset), count, replace=False)])
    parts = [ids[i : i + _GRID] for i in range(0, count, _GRID)]
    return [Row("", [str(n) for n in part], _tiles(dataset.whole, part)) for part in parts]


def _tiles(dataset: Dataset, ids: np.ndarray) -> np.ndarray:
    """Images of any channels and range as colour images, masks beside them."""
    scaled = dataset.images[ids] * np.float32(255 / dataset.images.maximum)
    images = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    tiles = sheets.coloured(images)
    pixels = images.shape[1:3]
    # Masks of one's own may have any shape.
    if np.shape(dataset.extras.get("masks"))[1:] in (pixels, (*pixels, 1)):
        masks = np.asarray(dataset.extras["masks"][ids])
        masks = palette.of_objects(masks.reshape(images.shape[:-1]))
        gap = np.broadcast_to(np.uint8(palette.GROUND), (*masks.shape[:2], 2, 3))
        tiles = np.concatenate([tiles, gap, masks], axis=2)
    return tiles


def _plots(dataset: Dataset, rng: np.random.Generator) -> list[Row]:
    """Scatter plots of consecutive dimensions, of a single one against its rank.

    Colours show the first two latents.
    """
    positions = rng.choice(len(dataset), min(len(dataset), _POINTS), replace=False)
    observations = dataset.images[positions]
    latents = observations if dataset.latents is None else dataset.latents[positions]
    ranks = latents[:, :2].argsort(0).argsort(0) / len(positions)
    colours = (255 * np.stack([ranks[:, 0], ranks[:, -1], 1 - ranks[:, 0]], -1)).astype(np.uint8)
    return [
        _scatter("latents", "z", latents, colours),
        _scatter("observations", "x", observations, colours),
    ]


def _scatter(title: str, symbol: str, points: np.ndarray, colours: np.ndarray) -> Row:
    captions = [f"{symbol}{i + 1}, {symbol}{i + 2}" for i in range(points.shape[1] - 1)]
    if points.shape[1] == 1:
        points, captions = np.hstack([points.argsort(0).argsort(0), points]), [f"rank, {symbol}1"]
    low, high = points.min(0), points.max(0)
    places = ((points - low) / np.maximum(high - low, 1e-12) * (_PLOT - 1)).astype(int)
    pairs = [(i, i + 1) for i in range(points.shape[1] - 1)]
    tiles = np.full((len(pairs), _PLOT, _PLOT, 3), 245, np.uint8)
    for tile, (i, j) in zip(tiles, pairs, strict=True):
        tile[_PLOT - 1 - places[:, j], places[:, i]] = colours
    return Row(title, captions, tiles)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser(prog="python -m zoo.data.preview", description="Draws a contact sheet.")
    parser.add_argument("name", help="a data set, for example zoo_shapes3d/rendered")
    cli.add_imports(parser)
    parser.add_argument("--out", type=pathlib.Path, help="the PNG file (default: by the name)")
    parser.add_argument("--seed", type=int, default=0, help="which images (default: 0)")
    options = parser.parse_args(argv)
    if options.seed < 0:
        parser.error(f"--seed is {options.seed}: give a number from 0")
    return options


@cli.command(_parse)
def main(options: argparse.Namespace) -> None:
    """Draws a contact sheet and says where it is; see the module."""
    cli.do_imports(options.imports)
    dataset = catalog.load(options.name)
    out = options.out or pathlib.Path(dataset.name.replace("/", "-") + ".png")
    drawn = sheet(rows(dataset, options.seed))
    try:
        sheets.write(out, drawn)
    except OSError as error:
        raise UserError(" ".join(str(error).split())) from error
    print(out)


if __name__ == "__main__":
    cli.run(main)
