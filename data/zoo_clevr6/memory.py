"""CLEVR6 in memory: rendered with Blender, or from the official records, in memory-mapped files."""

import pathlib

import filelock

from zoo.data import splits
from zoo.data.dataset import Dataset, DenseImages
from zoo.data.zoo_clevr6 import records, rendering, store
from zoo.errors import SettingError

VERSION = rendering.VERSION
OFFICIAL_FILE = "clevr_with_masks_train.tfrecords"
OFFICIAL_URL = (
    f"https://storage.googleapis.com/multi-object-datasets/clevr_with_masks/{OFFICIAL_FILE}"
)
OFFICIAL_SIZES = {"train": 49_483, "validation": 2_000, "test": 2_000}

CONFIGS = {
    "rendered": "CLEVR-like scenes of 2 to 6 objects, rendered here with Blender (500, or more).",
    "official": "53,483 scenes of at most 6 objects from CLEVR with masks (10.5 GB, put by hand).",
}


def load(config: str, directory: pathlib.Path) -> Dataset:
    """Loads a CLEVR6 set, which must have been rendered or put into `directory` before.

    Its `extras` are `masks` `[N, 128, 128]` (0 is background, k the k-th object), `factors`
    `[N, 6, 7]` in the order of `renderers.clevr.FACTORS` and padded with zeros, `count` `[N]` and
    `split` `[N]` (numbers in `splits.NAMES`).

    Args:
        config: a key of `CONFIGS`.
        directory: where sets are kept.

    Raises:
        SettingError: nothing was rendered, the official file is missing, a file is damaged, or the
            disk is too small for it.
    """
    folder = _folder(config, directory)
    if config == "rendered":
        arrays = rendering.read(folder)
    else:
        arrays = store.read(folder, f"it is made again of {OFFICIAL_FILE}")
    return Dataset(
        name=f"zoo_clevr6/{config}",
        images=DenseImages(arrays.pop("images")),
        extras=arrays | {"split": splits.labels(_sizes(config, folder))},
    )


def rendered(directory: pathlib.Path) -> int | None:
    """The number of images of the largest set that was rendered into a folder, if any."""
    folder = rendering.latest(directory)
    return _total(folder) if folder else None


def _sizes(config: str, folder: pathlib.Path) -> dict[str, int]:
    """The number of images of each split."""
    return OFFICIAL_SIZES if config == "official" else sizes(_total(folder))


def _total(folder: pathlib.Path) -> int:
    """The number of images that a folder of renderings is named after."""
    return int(folder.name.rpartition("-")[2])


def sizes(total: int) -> dict[str, int]:
    """The number of images of each split of what was rendered.

    A tenth is for validation and a tenth for the test, but never more than the paper's 2,000.
    """
    held = min(total // 10, 2_000)
    return {"train": total - 2 * held, "validation": held, "test": held}


def _folder(config: str, directory: pathlib.Path) -> pathlib.Path:
    if config == "rendered":
        folder = rendering.latest(directory)
        if folder is None:
            raise SettingError(
                f"zoo_clevr6/rendered was not rendered yet (nothing in {directory}): run "
                "`python -m zoo.data.render_clevr --setup`, then `python -m zoo.data.render_clevr`"
            )
        return folder
    total = sum(OFFICIAL_SIZES.values())
    folder, source = directory / f"official-{VERSION}", directory / OFFICIAL_FILE
    if folder.is_dir():
        return folder
    if not source.exists():
        raise SettingError(
            f"zoo_clevr6/official needs {source}: get it from {OFFICIAL_URL} (10.5 GB), or use the "
            "config `rendered`"
        )
    with filelock.FileLock(directory / "official.lock"):
        if not folder.is_dir():
            store.write(folder, records.read(source), total)
    return folder
