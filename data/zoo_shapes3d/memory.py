"""3D Shapes in memory: rendered here, the official file, with pixel noise, or perturbed."""

import contextlib
import functools
import os
import pathlib
from collections.abc import Iterator

import numpy as np

from zoo.data import npy, official, tables, variants
from zoo.data.dataset import Dataset, DenseImages, Images
from zoo.data.renderers import shapes3d
from zoo.errors import SettingError
from zoo.files import atomic

CONFIGS = {
    "rendered": "The 480,000 images ray-traced from the measured geometry; no download.",
    "official": "The 480,000 images of the original file (268 MB, downloaded once).",
    "noisy": "`rendered` with uniform pixel noise in [-0.175, 0.175], folded back into [0, 1].",
    "perturbed": "`rendered` plus 0.175 times a network of the factors, of the hub or your own.",
}
SPACE = shapes3d.SPACE
# The largest change of a pixel, of `noisy` and `perturbed`.
EPSILON = 0.175
IMAGE_SHAPE = (shapes3d.SIZE, shapes3d.SIZE, 3)
OFFICIAL_FILE = "3dshapes.h5"
_TABLE, _DENSE = "official.npy", "official-dense.npy"
_CHECKSUMS = pathlib.Path(__file__).parent / "checksums.tsv"


def load(config: str, directory: pathlib.Path, network: str | os.PathLike | None = None) -> Dataset:
    """A config of the family; see `zoo.data.load`, and `perturbation.find` for `network`.

    Raises:
        SettingError: the official file cannot be downloaded, or is not the original; or there is no
            such perturbation network, or it does not fit.
    """
    images = functools.partial(_images, directory)
    return variants.load(f"zoo_shapes3d/{config}", images, SPACE, EPSILON, directory, network)


class ComposedImages:
    """Images on the 3D Shapes grid whose channels are sums of planes (`renderers.shapes3d`).

    Implements `zoo.data.dataset.Images`.

    Args:
        planes: `[480 * P, 64, 64]` uint8, P planes a geometry.
        rows: `[1000, 3, K]`: for every colour combination and channel, which K of the P planes to
            add up. No sum exceeds 255.
        count: the number of images, the first of the grid.
    """

    def __init__(self, planes: np.ndarray, rows: np.ndarray, count: int = len(SPACE)):
        self._planes, self._rows = planes, rows.astype(np.int32)
        self._each = len(planes) // shapes3d.GEOMETRIES
        self._ids = np.arange(count, dtype=np.int32)
        self.shape, self.dtype, self.maximum = (count, *IMAGE_SHAPE), np.dtype(np.uint8), 255.0
        self.tables = {"planes": planes}

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index) -> np.ndarray:
        ids = self._ids[index]
        colours, geometries = np.divmod(ids.reshape(-1), shapes3d.GEOMETRIES)
        rows = self._rows[colours] + (geometries * self._each)[:, None, None]
        images = np.empty((ids.size, *IMAGE_SHAPE), np.uint8)
        # A few images at a time stay in the processor's cache.
        for start in range(0, ids.size, 16):
            some = rows[start : start + 16]
            channels = self._planes[some[..., 0]]
            for k in range(1, some.shape[-1]):
                channels += self._planes[some[..., k]]
            images[start : start + 16] = np.moveaxis(channels, 1, -1)
        return images.reshape(*ids.shape, *IMAGE_SHAPE)

    def gather(self, tables, index):
        """See `Images.gather`."""
        import tensorflow as tf

        index = tf.cast(index, tf.int32)
        rows = tf.gather(tf.constant(self._rows), index // shapes3d.GEOMETRIES)
        rows += (index % shapes3d.GEOMETRIES * self._each)[:, None, None]
        parts = [tf.gather(tables["planes"], rows[..., k]) for k in range(self._rows.shape[-1])]
        return tf.transpose(sum(parts[1:], parts[0]), [0, 2, 3, 1])


def read_official(path: pathlib.Path, directory: pathlib.Path) -> Images:
    """Reads a file in the format of the original: `images` `[N, 64, 64, 3]`, `labels` `[N, 6]`.

    The file is streamed into a table of 377 MB, which is kept in `directory`. A channel of an image
    should depend on that channel of the three colours only, which takes four values over the hues:
    64 planes a channel and geometry then hold all images without loss. Every image is compared
    with its planes; should one differ, the images are kept as they are, 5.9 GB on disk.

    Raises:
        SettingError: the file has another layout, or h5py is missing.
    """
    count = _length(path)
    try:
        with atomic(directory / _TABLE) as temporary:
            npy.write(temporary, _empty_planes())
            _tabulate(path, temporary)
            tables.seal(directory / _TABLE, temporary)
    except _NotComposedError:
        with atomic(directory / _DENSE) as temporary:
            npy.write(temporary, (block for _, block in _blocks(path, slice(None))))
            tables.seal(directory / _DENSE, temporary)
    return _kept(directory, count)


def download(manager, directory: pathlib.Path) -> pathlib.Path:
    """The original file: put into `directory` by hand, or from a TFDS download manager.

    Raises:
        SettingError: it cannot be downloaded, or is not the original.
    """
    return official.download(manager, _CHECKSUMS, OFFICIAL_FILE, directory)


def _images(directory: pathlib.Path, config: str) -> Images:
    if config == "official":
        return _official(directory)
    return _rendered(directory / f"rendered-{shapes3d.VERSION}.npy")


class _NotComposedError(Exception):
    """An image differs from its planes."""


def _official(directory: pathlib.Path) -> Images:
    with tables.alone(directory / _TABLE):
        if kept := _kept(directory, len(SPACE)):
            return kept
        source = official.fetched(_CHECKSUMS, OFFICIAL_FILE, directory)
        if _length(source) != len(SPACE):
            raise SettingError(f"{source} holds {_length(source)} images instead of {len(SPACE)}")
        return read_official(source, directory)


def _kept(directory: pathlib.Path, count: int) -> Images | None:
    if tables.intact(directory / _TABLE):
        planes = npy.mapped(directory / _TABLE)
        return ComposedImages(planes, _official_rows(), count)
    if tables.intact(directory / _DENSE):
        return DenseImages(npy.mapped(directory / _DENSE))
    return None


def _official_rows() -> np.ndarray:
    """The plane of every colour combination and channel, of 192 a geometry: `[1000, 3, 1]`."""
    levels = [np.unique(channel, return_inverse=True)[1] for channel in np.transpose(shapes3d.HUES)]
    hues = np.unravel_index(np.arange(shapes3d.COLOURS), SPACE.sizes[:3])
    floor, wall, thing = (np.stack(levels, axis=-1)[hue] for hue in hues)
    return (64 * np.arange(3) + 16 * floor + 4 * wall + thing)[..., None]


def _empty_planes() -> Iterator[np.ndarray]:
    for _ in range(shapes3d.GEOMETRIES):
        yield np.zeros((192, *IMAGE_SHAPE[:2]), np.uint8)


def _tabulate(path: pathlib.Path, table: pathlib.Path) -> None:
    """Fills a file with the planes of all geometries, `[480 * 192, 64, 64]` uint8.

    Some rows of all images at a time: neither the planes nor many images need to be in memory.

    Raises:
        _NotComposedError: an image differs from its planes.
    """
    all_rows = _official_rows()[..., 0]
    with _opened(path) as file:
        height = _whole(file["images"], 1, 16)
    for top in range(0, IMAGE_SHAPE[0], height):
        band = slice(top, top + height)
        count = min(height, IMAGE_SHAPE[0] - top)
        planes = np.zeros((shapes3d.GEOMETRIES * 192, count, IMAGE_SHAPE[1]), np.uint8)
        known = np.zeros(len(planes), bool)
        for first, block in _blocks(path, band):
            # Within one colour combination no plane occurs twice.
            for start in range(-(first % shapes3d.GEOMETRIES), len(block), shapes3d.GEOMETRIES):
                some = np.moveaxis(block[max(start, 0) : start + shapes3d.GEOMETRIES], -1, 1)
                colour, geometry = divmod(first + max(start, 0), shapes3d.GEOMETRIES)
                rows = all_rows[colour] + 192 * np.arange(geometry, geometry + len(some))[:, None]
                new = ~known[rows]
                planes[rows[new]] = some[new]
                known[rows] = True
                if not np.array_equal(planes[rows[~new]], some[~new]):
                    raise _NotComposedError
        # Mapped again for every part, because pages of a mapped file count as memory.
        for start in range(0, len(planes), 8192):
            part = slice(start, start + 8192)
            np.lib.format.open_memmap(table, mode="r+")[part, band] = planes[part]


def _length(path: pathlib.Path) -> int:
    with _opened(path) as file:
        return len(file["images"])


def _blocks(path: pathlib.Path, rows: slice) -> Iterator[tuple[int, np.ndarray]]:
    """Some rows of all images, with the number of the first image, many images at a time."""
    with _opened(path) as file:
        images = file["images"]
        step = _whole(images, 0, 8192)
        for first in range(0, len(images), step):
            yield first, images[first : first + step, rows]


def _whole(images, axis: int, about: int) -> int:
    """How much to read along an axis, so that no chunk of the file is unpacked twice.

    The original's chunks are a few rows of thousands of images.
    """
    chunk = images.chunks[axis] if images.chunks else 1
    # A chunk larger than all that may be in memory at once is rather unpacked twice.
    return min(chunk * max(1, about // chunk), 2 * about)


@contextlib.contextmanager
def _opened(path: pathlib.Path):
    try:
        import h5py
    except ImportError as error:
        raise SettingError(f"reading {OFFICIAL_FILE} needs h5py: pip install h5py") from error
    try:
        with h5py.File(path) as file:
            images, labels = file["images"], file["labels"]
            if images.shape[1:] != IMAGE_SHAPE or images.dtype != np.uint8:
                raise SettingError(f"its images are {images.dtype} {list(images.shape[1:])}")
            _require_order(labels, len(images))
            yield file
    except official.DAMAGED as error:
        raise SettingError(f"{path} is not the 3D Shapes file {OFFICIAL_FILE}: {error}") from error


def _require_order(labels, count: int) -> None:
    wrong = labels.shape != (count, len(SPACE.axes))
    for start in range(0, 0 if wrong else count, 50_000):
        some = labels[start : start + 50_000]
        ids = start + np.arange(len(some))
        wrong |= not np.allclose(some, SPACE.values(SPACE.factors(ids)))
    if wrong:
        raise SettingError("its factors are not in the official order")


def _rendered(path: pathlib.Path) -> Images:
    tables.kept(lambda temporary: npy.write(temporary, [shapes3d.planes()]), path)
    return ComposedImages(npy.mapped(path), shapes3d.rows())
