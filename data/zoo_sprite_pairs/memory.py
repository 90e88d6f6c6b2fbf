"""Two sprites of dSprites on one canvas, in memory: latents from a seed, images when asked for."""

import pathlib
from collections.abc import Callable

import numpy as np

from zoo.data import splits
from zoo.data.dataset import Dataset
from zoo.data.renderers import dsprites
from zoo.data.zoo_dsprites.memory import SpriteImages

VERSION = "1.0.0"
SEED = 200_000
SIZES = {"train": 50_000, "validation": 12_500, "test": 50_000}
LATENTS = ("x1", "y1", "scale1", "x2", "y2", "scale2")
# Shape, colour, and the distance of the farthest point of scale 1 from its centre, in pixels.
BACK = 2, (2, 156, 154), 11.3
FRONT = 1, (222, 100, 100), 12.8

_APART = "a heart and an ellipse that do not meet"
_OCCLUDING = "a heart and an ellipse, which may cover the heart"
CONFIGS = {
    "apart": f"{_APART}",
    "apart_l": f"{_APART}, without those that are both in the right half",
    "apart_corner": f"{_APART}, both in the right half",
    "occluding": f"{_OCCLUDING}",
    "occluding_l": f"{_OCCLUDING}, without those that are both in the right half",
    "occluding_corner": f"{_OCCLUDING}, both in the right half",
}

# Sprites of one shape, all upright: scale, x, y.
_SIZES = dsprites.SPACE.sizes[1], dsprites.SPACE.sizes[3], dsprites.SPACE.sizes[4]
_VALUES = [np.array(dsprites.SPACE.axes[k].values, np.float32) for k in (1, 3, 4)]


class PairImages:
    """Images of two coloured sprites on black; see `zoo.data.dataset.Images`."""

    def __init__(self, objects: np.ndarray):
        """Draws all sprites of the two shapes.

        Args:
            objects: `[N, 2]`, the numbers of the heart and of the ellipse in the grid (scale, x,
                y).
        """
        self._sprites = [
            SpriteImages(
                np.concatenate(
                    [dsprites.pose_windows(shape, scale, 0) for scale in range(_SIZES[0])]
                ).reshape(-1, dsprites.WINDOW)
            )
            for shape, *_ in (BACK, FRONT)
        ]
        back, front = (sprites.tables["windows"] for sprites in self._sprites)
        self.tables = {"objects": objects.astype(np.int32), "back": back, "front": front}
        self.shape = (len(objects), dsprites.SIZE, dsprites.SIZE, 3)
        self.dtype, self.maximum = np.dtype(np.uint8), 255.0

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index) -> np.ndarray:
        chosen = self.tables["objects"][index]
        back, front = (sprites[chosen[..., k]] for k, sprites in enumerate(self._sprites))
        colours = np.array([BACK[1], FRONT[1]], np.uint8)
        return back * (1 - front) * colours[0] + front * colours[1]

    def gather(self, tables, index):
        """See `Images.gather`."""
        import tensorflow as tf

        chosen = tf.gather(tables["objects"], index)
        back, front = (
            sprites.gather({"windows": tables[name]}, chosen[:, k])
            for k, (name, sprites) in enumerate(zip(("back", "front"), self._sprites, strict=True))
        )
        colours = tf.constant([BACK[1], FRONT[1]], tf.uint8)
        return back * (1 - front) * colours[0] + front * colours[1]


def load(config: str, directory: pathlib.Path) -> Dataset:
    """Loads a set of pairs.

    Its `latents` are `LATENTS`, positions in [0, 1] from left to right and from top to bottom and
    scales as in dSprites; `extras` are `split` `[N]` (numbers in `splits.NAMES`).

    Args:
        config: a key of `CONFIGS`.
        directory: not used: nothing is kept.
    """
    del directory
    rng = np.random.Generator(np.random.PCG64([SEED, list(CONFIGS).index(config)]))
    # Splits are drawn one after the other, so that changing the last leaves the first as it was.
    drawn = np.concatenate([_draw(rng, count, _support(config)) for count in SIZES.values()])
    return Dataset(
        name=f"zoo_sprite_pairs/{config}",
        images=PairImages(np.ravel_multi_index(np.moveaxis(drawn, -1, 0), _SIZES)),
        latents=values(drawn).reshape(len(drawn), -1),
        extras={"split": splits.labels(SIZES)},
    )


def values(drawn: np.ndarray) -> np.ndarray:
    """`[N, 2, 3]` indices of (scale, x, y) to `[N, 2, 3]` float32 (x, y, scale)."""
    scale, x, y = (values[drawn[..., k]] for k, values in enumerate(_VALUES))
    return np.stack([x, y, scale], axis=-1)


def apart(latents: np.ndarray) -> np.ndarray:
    """Which of some pairs, `[N, 2, 3]` (x, y, scale), are surely apart: circles around them are."""
    reach = (latents[..., 2] * (BACK[2], FRONT[2])).sum(1)
    span = dsprites.SIZE / 2
    return np.linalg.norm(span * (latents[:, 0, :2] - latents[:, 1, :2]), axis=1) >= reach


def _support(config: str) -> Callable[[np.ndarray], np.ndarray]:
    kind, _, part = config.partition("_")

    def inside(latents: np.ndarray) -> np.ndarray:
        right = (latents[..., 0] > 0.5).all(1)
        kept = {"": np.ones(len(latents), bool), "l": ~right, "corner": right}[part]
        return kept & apart(latents) if kind == "apart" else kept

    return inside


def _draw(rng: np.random.Generator, count: int, inside: Callable) -> np.ndarray:
    """`[count, 2, 3]` indices of (scale, x, y), uniform on a support."""
    kept = np.empty((0, 2, 3), np.int64)
    while len(kept) < count:
        drawn = rng.integers(0, _SIZES, (count, 2, 3))
        kept = np.concatenate([kept, drawn[inside(values(drawn))]])
    return kept[:count]
