"""dSprites in memory: rendered here, the official file, and what is made of the rendered images."""

import functools
import os
import pathlib

import numpy as np

from zoo import files
from zoo.data import npy, official, tables, variants
from zoo.data.dataset import Dataset, Images
from zoo.data.renderers import dsprites
from zoo.data.zoo_dsprites import study
from zoo.errors import SettingError

CONFIGS = {
    "rendered": "The 737,280 images drawn from the measured geometry; nothing is downloaded.",
    "official": "The 737,280 images of the original file (28 MB, downloaded once).",
    "noisy": "`rendered` with uniform pixel noise in [-0.1, 0.1], folded back into [0, 1].",
    "perturbed": "`rendered` plus 0.1 times a network of the factors, of the hub or your own.",
    "color": "Color-dSprites: `rendered` in a random colour, one an image (Locatello et al. 2019).",
    "noisy_background": "Noisy-dSprites: `rendered` in white on noise (Locatello et al. 2019).",
}
SPACE = dsprites.SPACE
# The largest change of a pixel, of `noisy` and `perturbed`.
EPSILON = 0.1
IMAGE_SHAPE = (dsprites.SIZE, dsprites.SIZE, 1)
_STUDY = {"color": study.ColouredSprites, "noisy_background": study.NoisyBackground}
OFFICIAL_FILE = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.hdf5"
_CHECKSUMS = pathlib.Path(__file__).parent / "checksums.tsv"


def load(config: str, directory: pathlib.Path, network: str | os.PathLike | None = None) -> Dataset:
    """A config of the family; see `zoo.data.load`, and `perturbation.find` for `network`.

    Raises:
        SettingError: the official file cannot be downloaded, or is not the original; or there is no
            such perturbation network, or it does not fit.
    """
    images = functools.partial(_images, directory)
    return variants.load(f"zoo_dsprites/{config}", images, SPACE, EPSILON, directory, network)


def image_shape(config: str) -> tuple[int, int, int]:
    """`(H, W, C)` of a config's images."""
    return (*IMAGE_SHAPE[:2], 3) if config in _STUDY else IMAGE_SHAPE


class SpriteImages:
    """Images on the dSprites grid kept as windows, 116 bytes each (`renderers.dsprites.windows`).

    Implements `zoo.data.dataset.Images`.
    """

    def __init__(self, windows: np.ndarray):
        self._windows = windows
        self.shape = (len(windows), *IMAGE_SHAPE)
        self.dtype, self.maximum = np.dtype(np.uint8), 1.0
        self.tables = {"windows": windows}
        self._ids = np.arange(len(windows), dtype=np.int32)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index) -> np.ndarray:
        ids = self._ids[index]
        y, x = _at(ids.reshape(-1))
        bits = np.asarray(self._windows[index], "<i4").reshape(-1, dsprites.WINDOW).view(np.uint8)
        images = np.zeros((len(y), *self.shape[1:]), np.uint8)
        places = np.lib.stride_tricks.sliding_window_view(
            images[..., 0], (dsprites.WINDOW, dsprites.WINDOW), axis=(1, 2), writeable=True
        )
        pixels = np.unpackbits(bits, axis=-1, bitorder="little")
        pixels = pixels.reshape(-1, dsprites.WINDOW, 32)[..., : dsprites.WINDOW]
        places[np.arange(len(y)), dsprites.origins(y), dsprites.origins(x)] = pixels
        return images.reshape(*ids.shape, *self.shape[1:])

    def gather(self, tables, index):
        """See `Images.gather`."""
        import tensorflow as tf

        index = tf.cast(index, tf.int32)
        y, x = _at(index)
        size = tf.range(dsprites.SIZE)
        down = size - dsprites.origins(y)[:, None]
        right = size - dsprites.origins(x)[:, None]
        rows = tf.gather(
            tf.gather(tables["windows"], index),
            tf.clip_by_value(down, 0, dsprites.WINDOW - 1),
            batch_dims=1,
        )
        rows = tf.where((down >= 0) & (down < dsprites.WINDOW), rows, 0)
        shifts = tf.where(right < 0, 31, tf.minimum(right, 31))
        pixels = tf.bitwise.right_shift(rows[:, :, None], shifts[:, None, :]) & 1
        return tf.cast(pixels, tf.uint8)[..., None]


def read_official(path: pathlib.Path) -> np.ndarray:
    """Reads a file in the format of the original into windows, `[N, 29]` int32.

    The file holds `imgs` `[N, 64, 64]` in {0, 1} and `latents/classes` `[N, 6]`, colour first.

    Raises:
        SettingError: the file has another layout, or its images are not sprites on this grid.
    """
    import h5py

    try:
        with h5py.File(path) as file:
            images, classes = file["imgs"], file["latents/classes"][:, 1:]
            if images.shape[1:] != IMAGE_SHAPE[:2]:
                raise SettingError(f"its images are {list(images.shape[1:])}, not 64x64")
            if not np.array_equal(classes, SPACE.factors(np.arange(len(images)))):
                raise SettingError("its factors are not in the official order")
            parts = [
                _cropped(images[start : start + 8192], start)
                for start in range(0, len(images), 8192)
            ]
    except official.DAMAGED as error:
        raise SettingError(f"{path} is not the dSprites file {OFFICIAL_FILE}: {error}") from error
    return np.concatenate(parts)


def download(manager, directory: pathlib.Path) -> pathlib.Path:
    """The original file: put into `directory` by hand, or from a TFDS download manager.

    Raises:
        SettingError: it cannot be downloaded, or is not the original.
    """
    return official.download(manager, _CHECKSUMS, OFFICIAL_FILE, directory)


def _images(directory: pathlib.Path, config: str) -> Images:
    if config in _STUDY:
        return _STUDY[config](_images(directory, "rendered"))
    if config == "official":
        return SpriteImages(_mapped(directory / "official.npy", _convert))
    return SpriteImages(_mapped(directory / f"rendered-{dsprites.VERSION}.npy", _draw))


def _cropped(images: np.ndarray, first: int) -> np.ndarray:
    """`[B, 64, 64]` images, the ids `first + 0..B-1`, to windows `[B, 29]` int32."""
    top, left = (dsprites.origins(p)[:, None] for p in _at(first + np.arange(len(images))))
    span = np.arange(dsprites.WINDOW)
    rows = np.arange(len(images))[:, None, None]
    mask = images[rows, (top + span)[:, :, None], (left + span)[:, None, :]]
    if images.max() > 1:
        raise SettingError("an image has another value than 0 and 1")
    if not np.array_equal(images.sum((1, 2), dtype=int), mask.sum((1, 2), dtype=int)):
        raise SettingError(f"white pixels far from the sprite in an image from number {first} on")
    return np.packbits(mask, axis=-1, bitorder="little").view("<i4")[..., 0]


def _at(ids):
    """The position indices (y, x) of images, from arrays or tensors of their ids."""
    lines = SPACE.sizes[-1]
    return ids % lines, ids // lines % SPACE.sizes[-2]


def _draw(path: pathlib.Path) -> None:
    files.require_room(path.parent, 4 * len(SPACE) * dsprites.WINDOW)
    npy.write(path, [dsprites.windows()])


def _convert(path: pathlib.Path) -> None:
    source = official.fetched(_CHECKSUMS, OFFICIAL_FILE, path.parent)
    windows = read_official(source)
    if len(windows) != len(SPACE):
        raise SettingError(f"{source} holds {len(windows)} images instead of {len(SPACE)}")
    with path.open("wb") as file:
        np.save(file, windows)


def _mapped(path: pathlib.Path, make) -> np.ndarray:
    """The memory-mapped array of a file, which `make(path)` writes."""
    tables.kept(make, path)
    return npy.mapped(path)
