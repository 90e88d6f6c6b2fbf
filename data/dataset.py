"""A data set in memory: images by number, and what is known about each."""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np

from data.space import FactorSpace

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
        name: as given to `data.load`, for example `zoo_dsprites/rendered`.
        images: the observations by number.
        space: the factor grid whose numbering is that of the images, or None.
        latents: `[N, K]` float32 continuous ground-truth latents, or None.
        extras: further arrays with one entry an image (masks, domain labels, object counts).
    """

    name: str
    images: Images
    space: FactorSpace | None = None
    latents: np.ndarray | None = None
    extras: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def fingerprint(self) -> str:
        """A short hash of the name, the shape and 64 images spread over the whole set."""
        spread = np.linspace(0, len(self) - 1, 64).astype(np.int64)
        digest = hashlib.sha256(f"{self.name} {self.images.shape}".encode())
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
