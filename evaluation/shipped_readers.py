"""Networks that read the factors of two data sets and come with the package.

A distance of features compares only by the same network: these are the same for everybody.

    from zoo import data
    from zoo.evaluation import shipped_readers
    shipped_readers.make("dsprites", data.load("zoo_dsprites/rendered"))  # Trains it again.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.evaluation.encoding import images_in_unit_range
from zoo.evaluation.factor_reader import FactorReader

FOLDER = pathlib.Path(__file__).parent / "readers"
# A tenth of the weights of a reader that is trained on demand, 130 kB in float16.
_WIDTH, _FEATURES = 8, 64
HELD_OUT = 5000


@dataclasses.dataclass(frozen=True)
class Shipped:
    """What a shipped reader is for.

    Attributes:
        shape: of images.
        sizes: the numbers of values of the factors that vary, in their order.
        steps: batches of 128 that it was trained on.
        accuracy: the share of held-out images of which it reads each factor right; see `make`.
    """

    shape: tuple[int, ...]
    sizes: tuple[int, ...]
    steps: int
    accuracy: tuple[float, ...]


READERS = {
    # Orientation can be read in .971 of the images at best: the last repeats the first, and some
    # small sprites are the same pixels at several. A reader that sees no difference between
    # quarter turns of a square and half turns of an ellipse, which are 2.3 and 4.6 degrees from
    # the nearest orientation of the grid, has .57.
    "dsprites": Shipped((64, 64, 1), (3, 6, 40, 32, 32), 3000, (0.926, 0.532, 0.167, 0.744, 0.730)),
    "shapes3d": Shipped(
        (64, 64, 3),
        (10, 10, 10, 8, 4, 15),
        1200,
        (0.999, 1.000, 0.999, 0.946, 0.988, 0.982),
    ),
}


def find(shape: Sequence[int], sizes: Sequence[int]) -> tuple[str, FactorReader] | None:
    """The name of the reader of such images and factors, and the reader; None if there is none."""
    for name, shipped in READERS.items():
        if (shipped.shape, shipped.sizes) == (tuple(shape), tuple(sizes)):
            return name, load(name)
    return None


def load(name: str, folder: pathlib.Path = FOLDER) -> FactorReader:
    """A reader by its name.

    Raises:
        FileNotFoundError: its weights are not there, or are not those of this network.
    """
    shipped = READERS[name]
    reader = FactorReader(shipped.shape, shipped.sizes, 0, _WIDTH, _FEATURES)
    if not reader.load(folder / f"{name}.npz"):
        raise FileNotFoundError(f"{folder / name}.npz does not hold the weights of the reader")
    return reader


def make(name: str, dataset: Any, folder: pathlib.Path = FOLDER) -> np.ndarray:
    """Trains a reader on all but 5,000 images of a data set and writes its weights as float16.

    Args:
        name: of the reader.
        dataset: has `images` and `space`, the grid that numbers them.
        folder: where the weights are written.

    Returns:
        The share `[F]` of the 5,000 images of which each factor is read right.
    """
    shipped = READERS[name]
    ids = np.random.default_rng(0).permutation(len(dataset.images))
    held_out, seen = np.split(ids, [HELD_OUT])
    factors = dataset.space.factors(seen)[:, np.asarray(dataset.space.sizes) > 1]
    reader = FactorReader(shipped.shape, shipped.sizes, 0, _WIDTH, _FEATURES)
    reader.fit(
        lambda rows: images_in_unit_range(dataset.images, seen[rows]), factors, shipped.steps
    )
    reader.save(folder / f"{name}.npz", "float16")
    return accuracy(load(name, folder), dataset, held_out)


def accuracy(reader: FactorReader, dataset: Any, ids: np.ndarray) -> np.ndarray:
    """The share `[F]` of the images of these ids of which each factor is read right."""
    factors = dataset.space.factors(ids)[:, np.asarray(dataset.space.sizes) > 1]
    batches = np.array_split(ids, max(1, len(ids) // 512))
    read = [reader(images_in_unit_range(dataset.images, batch))[1] for batch in batches]
    return (np.concatenate(read) == factors).mean(0)
