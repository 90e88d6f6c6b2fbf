"""dSprites in memory: rendered here, the official file, with pixel noise, or perturbed."""

import hashlib
import pathlib

import numpy as np

from data import cache, perturbation
from data.dataset import Dataset
from data.noise import NoisyImages
from data.renderers import dsprites

CONFIGS = {
    "rendered": "The 737,280 images drawn from the measured geometry; nothing is downloaded.",
    "official": "The 737,280 images of the original file (28 MB, downloaded once).",
    "noisy": "`rendered` with uniform pixel noise in [-0.1, 0.1], folded back into [0, 1].",
    "perturbed": "`rendered` plus 0.1 times a network of the factors, which must be given.",
}
SPACE = dsprites.SPACE
IMAGE_SHAPE = (dsprites.SIZE, dsprites.SIZE, 1)
OFFICIAL_FILE = "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.hdf5"
OFFICIAL_URL = f"https://github.com/deepmind/dsprites-dataset/blob/master/{OFFICIAL_FILE}?raw=true"


def load(config: str, directory: pathlib.Path) -> Dataset:
    """A config of the family; see `data.load`.

    Raises:
        ValueError: the official file cannot be downloaded, or is not the original; or there is no
            perturbation network (`data.perturbation`).
    """
    if config == "perturbed":
        network = perturbation.find("zoo_dsprites", directory)
        return perturbation.perturbed(load("rendered", directory), 0.1, network, directory)
    if config == "official":
        images = SpriteImages(_mapped(directory / "official.npy", _convert))
    else:
        images = SpriteImages(_mapped(directory / f"rendered-{dsprites.VERSION}.npy", _draw))
    if config == "noisy":
        images = NoisyImages(images, amplitude=0.1)
    return Dataset(f"zoo_dsprites/{config}", images, SPACE)


class SpriteImages:
    """Images on the dSprites grid kept as windows, 116 bytes each (`renderers.dsprites.windows`).

    Implements `data.dataset.Images`.
    """

    def __init__(self, windows: np.ndarray):
        self._windows = windows
        self.shape = (len(windows), *IMAGE_SHAPE)
        self.dtype, self.maximum = np.dtype(np.uint8), 1.0
        self.tables = {"windows": windows}
        self._numbers = np.arange(len(windows), dtype=np.int32)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index) -> np.ndarray:
        numbers = self._numbers[index]
        y, x = _at(numbers.reshape(-1))
        bits = np.asarray(self._windows[index], "<i4").reshape(-1, dsprites.WINDOW).view(np.uint8)
        images = np.zeros((len(y), *self.shape[1:]), np.uint8)
        places = np.lib.stride_tricks.sliding_window_view(
            images[..., 0], (dsprites.WINDOW, dsprites.WINDOW), axis=(1, 2), writeable=True
        )
        pixels = np.unpackbits(bits, axis=-1, bitorder="little")
        pixels = pixels.reshape(-1, dsprites.WINDOW, 32)[..., : dsprites.WINDOW]
        places[np.arange(len(y)), dsprites.origins(y), dsprites.origins(x)] = pixels
        return images.reshape(*numbers.shape, *self.shape[1:])

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
        ValueError: the file has another layout, or its images are not sprites on this grid.
    """
    import h5py

    try:
        with h5py.File(path) as file:
            images, classes = file["imgs"], file["latents/classes"][:, 1:]
            if images.shape[1:] != IMAGE_SHAPE[:2]:
                raise ValueError(f"its images are {list(images.shape[1:])}, not 64x64")
            if not np.array_equal(classes, SPACE.factors(np.arange(len(images)))):
                raise ValueError("its factors are not in the official order")
            parts = [
                _cropped(images[start : start + 8192], start)
                for start in range(0, len(images), 8192)
            ]
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is not the dSprites file {OFFICIAL_FILE}: {error}") from error
    return np.concatenate(parts)


def download(manager, directory: pathlib.Path) -> pathlib.Path:
    """The original file, through a TFDS download manager that knows its checksum.

    Raises:
        ValueError: it cannot be downloaded, or is not the original.
    """
    try:
        return pathlib.Path(manager.download(OFFICIAL_URL))
    except Exception as error:
        raise _unreachable(directory, error) from error


def _require_connection(directory: pathlib.Path) -> None:
    import requests

    # TFDS itself tries for more than three minutes.
    try:
        requests.head(OFFICIAL_URL, timeout=20, allow_redirects=True).raise_for_status()
    except requests.RequestException as error:
        raise _unreachable(directory, error) from error


def _unreachable(directory: pathlib.Path, error: Exception) -> ValueError:
    return ValueError(
        f"the dSprites file could not be downloaded ({type(error).__name__}): use the config "
        f"`rendered`, or put {OFFICIAL_FILE} into {directory}"
    )


def _cropped(images: np.ndarray, first: int) -> np.ndarray:
    """`[B, 64, 64]` images, the numbers `first + 0..B-1`, to windows `[B, 29]` int32."""
    top, left = (dsprites.origins(p)[:, None] for p in _at(first + np.arange(len(images))))
    span = np.arange(dsprites.WINDOW)
    rows = np.arange(len(images))[:, None, None]
    mask = images[rows, (top + span)[:, :, None], (left + span)[:, None, :]]
    if images.max() > 1:
        raise ValueError("an image has another value than 0 and 1")
    if not np.array_equal(images.sum((1, 2), dtype=int), mask.sum((1, 2), dtype=int)):
        raise ValueError(f"white pixels far from the sprite in an image from number {first} on")
    return np.packbits(mask, axis=-1, bitorder="little").view("<i4")[..., 0]


def _at(numbers):
    """The position indices (y, x) of images, from arrays or tensors of their numbers."""
    lines = SPACE.sizes[-1]
    return numbers % lines, numbers // lines % SPACE.sizes[-2]


def _draw(path: pathlib.Path) -> None:
    shape = (len(SPACE), dsprites.WINDOW)
    out = np.lib.format.open_memmap(path, mode="w+", dtype=np.int32, shape=shape)
    dsprites.windows(out)
    out.flush()


def _convert(path: pathlib.Path) -> None:
    source = _fetched(path.parent)
    windows = read_official(source)
    if len(windows) != len(SPACE):
        raise ValueError(f"{source} holds {len(windows)} images instead of {len(SPACE)}")
    with path.open("wb") as file:
        np.save(file, windows)


def _fetched(directory: pathlib.Path) -> pathlib.Path:
    """The original file, verified: put into `directory` by hand, or downloaded into it."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import checksums

    infos = checksums.load_url_infos(tfds.core.Path(__file__).parent / "checksums.tsv")
    path = directory / OFFICIAL_FILE
    if not path.exists():
        _require_connection(directory)
        manager = tfds.download.DownloadManager(
            download_dir=directory / "downloads", url_infos=infos, dataset_name="zoo_dsprites"
        )
        return download(manager, directory)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != infos[OFFICIAL_URL].checksum:
        raise ValueError(f"{path} is not the original file (sha256 {digest}): delete it")
    return path


def _mapped(path: pathlib.Path, make) -> np.ndarray:
    """The memory-mapped array of a file, which `make(path)` writes if there is none."""
    if not path.exists():
        with cache.atomic(path) as temporary:
            make(temporary)
    return np.load(path, mmap_mode="r")
