"""Multi-object Sprites in memory: images and masks in memory-mapped files, drawn on first use."""

import pathlib

from zoo.data import npy, splits
from zoo.data.dataset import Dataset, DenseImages
from zoo.data.zoo_sprites import prepare

# Part of the folder's name: what an older version drew is drawn again, not taken for the new.
VERSION = "1.0.0"
SEED = 20230508


_FULL = {"train": 90_000, "validation": 5_000, "test": 5_000}

SETS = {
    "full": prepare.Config(_FULL, (2, 4), SEED),
    "full_clipped": prepare.Config(_FULL, (2, 4), SEED, wrap=False),
    "small": prepare.Config({"train": 9_000, "validation": 500, "test": 500}, (2, 3), SEED),
    "diagonal": prepare.Config(
        {"train": 18_000, "validation": 1_000, "test": 1_000}, (2, 2), SEED, pairs="diagonal"
    ),
    "off_diagonal": prepare.Config(
        {"validation": 1_000, "test": 1_000}, (2, 2), SEED + 1, pairs="off_diagonal"
    ),
}

CONFIGS = {
    "full": "100,000 images of 2 to 4 objects, colours wrapped as in the original",
    "full_clipped": "the scenes of `full` with colours clipped instead of wrapped",
    "small": "10,000 images of 2 or 3 objects, for quick experiments",
    "diagonal": "20,000 images of 2 objects that resemble each other",
    "off_diagonal": "2,000 images of 2 objects that do not, for what training on `diagonal` lacks",
}


def load(config: str, directory: pathlib.Path) -> Dataset:
    """Loads a Sprites set, drawing it on first use (resumable, on all cores).

    Its `extras` are `masks` `[N, 64, 64]` (0 is background, k the k-th object), `factors`
    `[N, most, 5]` in the order of `renderers.sprites.FACTORS` and padded with zeros, `count` `[N]`
    and `split` `[N]` (numbers in `splits.NAMES`).

    Args:
        config: a key of `CONFIGS`.
        directory: where drawn sets are kept.
    """
    chosen = SETS[config]
    folder = prepare.prepare(directory / f"{config}-{VERSION}", chosen)
    factors, count = chosen.scenes(0, chosen.total)
    return Dataset(
        name=f"zoo_sprites/{config}",
        images=DenseImages(npy.mapped(folder / "images.npy")),
        extras={
            "masks": npy.mapped(folder / "masks.npy"),
            "factors": factors,
            "count": count,
            "split": splits.labels(chosen.sizes),
        },
    )
