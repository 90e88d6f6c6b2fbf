"""Fashion-MNIST of its own files, which are in the IDX format of MNIST.

Debian and Ubuntu have them as a package, `dataset-fashion-mnist`. It recompresses without names and
times; with these put back its four files have the very checksums that TFDS expects of a download.
"""

import gzip
import hashlib
import pathlib
import zlib
from collections.abc import Iterator

import numpy as np

from zoo.errors import SettingError

FOLDER = pathlib.Path("/usr/share/datasets/fashion-mnist")
# Of the files when they are expanded.
SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
_PREFIXES = {"train": "train", "test": "t10k"}
_KINDS = ("images-idx3", "labels-idx1")


def examples(split: str) -> Iterator[dict[str, np.ndarray]]:
    """The images `[28, 28, 1]` uint8 and labels of Fashion-MNIST's `train` or `test`.

    Raises:
        SettingError: a file is missing or not the published one.
    """
    images, labels = (_read(f"{_PREFIXES[split]}-{kind}-ubyte") for kind in _KINDS)
    for image, label in zip(images, labels, strict=True):
        yield {"image": image[..., None], "label": np.int64(label)}


def parse(content: bytes) -> np.ndarray:
    """An array of unsigned bytes in IDX: two zeros, type 8, the rank, the sizes, the values."""
    rank = content[3]
    sizes = np.frombuffer(content, ">u4", rank, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(sizes)


def _read(name: str) -> np.ndarray:
    path = FOLDER / f"{name}.gz"
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise SettingError(f"{path} cannot be read ({error}): install its package again") from error
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise SettingError(
            f"{path} is not the published file of Fashion-MNIST: install "
            f"dataset-fashion-mnist again, or remove {FOLDER}"
        )
    return parse(content)
