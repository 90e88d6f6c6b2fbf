"""Data sets of TFDS in memory, under TFDS's names: MNIST, Fashion-MNIST, CelebA and SmallNORB.

TFDS downloads and prepares them; the first `load` copies what is used into one memory-mapped file,
reading one image at a time, and later ones need neither TFDS nor TensorFlow. Fashion-MNIST is read
from a system package where TFDS has not prepared it.
"""

import dataclasses
import functools
import hashlib
import itertools
import pathlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np
from PIL import Image

from zoo.data import idx, npy, official, splits, tables
from zoo.data.dataset import Dataset, DenseImages
from zoo.data.space import Factor, FactorSpace
from zoo.errors import SettingError

SIDE = 64
CELEB_A_CROP = 148
_BLOCK = 1024
_PACKAGES = {"fashion_mnist": "; on Debian and Ubuntu: apt-get install dataset-fashion-mnist"}

SMALLNORB_SPACE = FactorSpace(
    (
        Factor("category", tuple(range(5)), categorical=True),
        Factor("instance", tuple(range(10)), categorical=True),
        Factor("elevation", tuple(range(30, 75, 5))),
        Factor("azimuth", tuple(range(0, 360, 20)), circular=True),
        Factor("lighting", tuple(range(6)), categorical=True),
    )
)


@dataclasses.dataclass(frozen=True)
class Wrapped:
    """How one of TFDS's data sets is kept.

    Attributes:
        description: one line.
        splits: those of TFDS, in the order in which their images are kept.
        labels: an example of TFDS to its labels by name, all scalars.
        image: an image of TFDS to the image kept, both `[H, W, C]` uint8.
        space: the grid that all images fill; its names are those of labels.
        files: a split's examples of a system package; None where there is no such package.
        version: part of the names of the files kept: what an older version kept is read again.
    """

    description: str
    splits: tuple[str, ...]
    labels: Callable[[Mapping], dict[str, np.generic]]
    image: Callable[[np.ndarray], np.ndarray] = lambda image: image
    space: FactorSpace | None = None
    files: Callable[[str], Iterator[Mapping]] | None = None
    version: int = 1


def celeb_a_crop(image: np.ndarray) -> np.ndarray:
    """The central 148x148 of a 218x178 photograph, brought to 64x64 by an antialiased filter."""
    top, left = (np.array(image.shape[:2]) - CELEB_A_CROP) // 2
    return _resized(image[top : top + CELEB_A_CROP, left : left + CELEB_A_CROP])


def _resized(image: np.ndarray) -> np.ndarray:
    picture = Image.fromarray(image if image.shape[-1] == 3 else image[..., 0])
    small = picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(small).reshape(SIDE, SIDE, -1)


def _smallnorb_labels(example: Mapping) -> dict[str, np.generic]:
    labels = {
        name: example[f"label_{name}"] for name in SMALLNORB_SPACE.names if name != "instance"
    }
    return {**labels, "instance": example["instance"]}


def _digit(example: Mapping) -> dict[str, np.generic]:
    return {"label": example["label"]}


SETS = {
    "mnist": Wrapped(
        "MNIST of TFDS: 70,000 handwritten digits, 28x28x1",
        ("train", "test"),
        _digit,
    ),
    "fashion_mnist": Wrapped(
        "Fashion-MNIST of TFDS or Debian: 70,000 articles of clothing, 28x28x1",
        ("train", "test"),
        _digit,
        files=idx.examples,
        version=2,
    ),
    "celeb_a": Wrapped(
        "CelebA of TFDS: 202,599 faces, the central 148x148 brought to 64x64x3",
        splits.NAMES,
        lambda example: {**example["attributes"], "identity": example["identity"]["Identity_No"]},
        celeb_a_crop,
    ),
    "smallnorb": Wrapped(
        "SmallNORB of TFDS: 48,600 toys (left camera), brought to 64x64x1",
        ("train", "test"),
        _smallnorb_labels,
        _resized,
        SMALLNORB_SPACE,
    ),
}
CONFIGS = {name: wrapped.description for name, wrapped in SETS.items()}


def load(config: str, directory: pathlib.Path) -> Dataset:
    """One of TFDS's data sets; see `zoo.data.load`.

    Its `extras` are `split` `[N]` (numbers in `splits.NAMES`) and the labels `[N]`: `label` of the
    two MNISTs; the 40 attributes (bool) and `identity` of CelebA; the indices of the five factors
    of SmallNORB. SmallNORB is numbered along its factor grid, on which its splits are separate in
    `instance`. Fashion-MNIST is numbered by the hash of the image, which is the same of either
    source, and all else in TFDS's order, split after split.

    Args:
        config: a key of `SETS`.
        directory: where the copy is kept.

    Raises:
        SettingError: TFDS has not prepared the data set and cannot download it, nor is a system
            package of it installed.
    """
    chosen = SETS[config]
    images = directory / f"images-{chosen.version}.npy"
    labels = directory / f"labels-{chosen.version}.npz"
    tables.kept(functools.partial(_copy, config, chosen), images, labels)
    with np.load(labels) as file:
        extras = {name: file[name] for name in file.files}
    array = npy.mapped(images)
    space = chosen.space if _fills(chosen.space, extras) else None
    return Dataset(config, DenseImages(array), space, extras=extras)


def _copy(name: str, chosen: Wrapped, images: pathlib.Path, labels: pathlib.Path) -> None:
    """Writes a data set at the two paths."""
    examples = _source(name, chosen)
    kept: list[dict[str, np.ndarray]] = []

    def blocks() -> Iterator[np.ndarray]:
        for split in chosen.splits:
            some = iter(examples(split))
            while block := list(itertools.islice(some, _BLOCK)):
                rows = [chosen.labels(example) for example in block]
                columns = {key: np.array([row[key] for row in rows]) for key in rows[0]}
                columns["split"] = np.full(len(rows), splits.NAMES.index(split), np.uint8)
                kept.append(columns)
                yield np.stack([chosen.image(example["image"]) for example in block])

    npy.write(images, blocks())
    columns = {key: np.concatenate([block[key] for block in kept]) for key in kept[0]}
    order = _order(chosen, columns, images)
    if order is not None:
        columns = {key: values[order] for key, values in columns.items()}
        npy.write(images, [np.load(images)[order]])
    np.savez(labels, **columns)


def _order(chosen: Wrapped, columns: Mapping, images: pathlib.Path) -> np.ndarray | None:
    """In which order the images are kept; None for that in which they were read."""
    if chosen.space:
        return np.argsort(_ids(chosen.space, columns), kind="stable")
    if chosen.files:
        hashes = [hashlib.sha256(image).digest() for image in np.load(images, mmap_mode="r")]
        keys = zip(columns["split"], hashes, columns["label"], strict=True)
        return np.array([number for _, number in sorted(zip(keys, itertools.count()))])
    return None


def _source(name: str, chosen: Wrapped) -> Callable[[str], Iterator[Mapping]]:
    """A split's name to its examples."""
    import tensorflow_datasets as tfds

    if chosen.files and idx.FOLDER.is_dir() and not tfds.builder(name).is_prepared():
        return chosen.files
    builder = _prepared(name)
    return lambda split: tfds.as_numpy(builder.as_dataset(split=split, shuffle_files=False))


def _ids(space: FactorSpace, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    return space.index(np.stack([columns[name] for name in space.names], axis=-1))


def _fills(space: FactorSpace | None, columns: Mapping[str, np.ndarray]) -> bool:
    """Whether the images are those of the grid, in its order."""
    return space is not None and np.array_equal(_ids(space, columns), np.arange(len(space)))


def _prepared(name: str):
    """TFDS's builder of a data set that is ready to be read."""
    import tensorflow_datasets as tfds

    builder = tfds.builder(name)
    if builder.is_prepared():
        return builder
    try:
        official.asked(next(iter(builder.url_infos)))
        builder.download_and_prepare()
    except Exception as error:
        root, why = pathlib.Path(builder.data_dir).parents[1], official.reason(error)
        raise SettingError(
            f"TFDS has no {name} in {root} and could not download it ({why}): run "
            f"tfds.load({name!r}) on a machine with internet and copy the folder {name} to {root}, "
            f"or set TFDS_DATA_DIR to where it is{_PACKAGES.get(name, '')}"
        ) from error
    return builder
