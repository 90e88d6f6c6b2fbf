"""A data set in memory: images by number, and what is known about each."""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np

from zoo.data.space import FactorSpace

if TYPE_CHECKING:
    import tensorflow as tf


class Images(Protocol):
    """Observations by number, never all of them decoded at once.

    `images[i]` with an integer, a slice or an integer array gives numpy arrays `[..., *shape[1:]]`
    of `dtype`. Inside a TensorFlow graph the same observations come from `gather(tables, index)`,
    where `tables` are the arrays of `self.tables` as tensors: the training loop takes them as
    arguments, so that no data set is ever baked into a graph. Both must give the same bytes.

    Attributes:
        shape: `(N, H, W, C)`, or `(N, D)` for vectors.
        dtype: uint8 for images, float32 for vectors.
        maximum: the value that becomes 1.0 in float images (255, 1 for binary images).
        tables: what is kept in memory, by name; memory-mapped where it is large.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    maximum: float
    tables: Mapping[str, np.ndarray]

    def __len__(self) -> int: ...

    def __getitem__(self, index) -> np.ndarray: ...

    def gather(self, tables: Mapping[str, "tf.Tensor"], index: "tf.Tensor") -> "tf.Tensor":
        """`[B]` integer numbers to `[B, *shape[1:]]` observations of `dtype`, XLA-compilable."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in memory.

    Attributes:
        name: as given to `zoo.data.load`, for example `zoo_dsprites/rendered[train]`.
        images: the observations by number; of a split too they are all those of the whole set.
        space: the factor grid whose numbering is that of the images, or None.
        latents: `[N, K]` float32 continuous ground-truth latents, or None.
        extras: further arrays with one entry an image (masks, domain labels, object counts).
        numbers: `[n]` int32, the numbers of the images that belong to the split; None: all.
    """

    name: str
    images: Images
    space: FactorSpace | None = None
    latents: np.ndarray | None = None
    extras: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    numbers: np.ndarray | None = None

    def __len__(self) -> int:
        """The number of images that belong to the split."""
        return len(self.images if self.numbers is None else self.numbers)

    def number(self, positions) -> np.ndarray:
        """The numbers of the images at positions 0..len(self)-1 of the split."""
        return np.asarray(positions if self.numbers is None else self.numbers[positions])

    def some(self, count: int, seed: int = 0) -> np.ndarray:
        """The numbers of `count` images of the split, or of all if there are fewer; ascending."""
        count = min(count, len(self))
        drawn = np.random.default_rng(seed).choice(len(self), count, replace=False)
        return np.sort(self.number(drawn))

    @property
    def fingerprint(self) -> str:
        """A short hash of the name, the shape, the split and 64 images spread over it."""
        spread = self.number(np.linspace(0, len(self) - 1, 64).astype(np.int64))
        digest = hashlib.sha256(f"{self.name} {self.images.shape}".encode())
        if self.numbers is not None:
            digest.update(np.ascontiguousarray(self.numbers, "<i4").tobytes())
        digest.update(np.ascontiguousarray(self.images[spread]).tobytes())
        return digest.hexdigest()[:16]


class DenseImages:
    """Observations kept as one array, `[N, ...]`; a memory-mapped one stays on disk."""

    def __init__(self, array: np.ndarray, maximum: float = 255.0):
        self._array = array
        self.shape, self.dtype, self.maximum = array.shape, array.dtype, maximum
        self.tables = {"images": array}

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index) -> np.ndarray:
        return np.asarray(self._array[index])

    def gather(self, tables, index):
        """See `Images.gather`."""
        import tensorflow as tf

        return tf.gather(tables["images"], index)
