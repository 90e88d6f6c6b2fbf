"""A data set in memory: images, and what is known about each."""

import dataclasses
import functools
import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from zoo.data.space import FactorSpace

if TYPE_CHECKING:
    import tensorflow as tf


class Images(Protocol):
    """Observations, never all of them decoded at once.

    `images[i]` with an integer, a slice or an integer array is a numpy array `[..., *shape[1:]]` of
    `dtype`. Inside a TensorFlow graph the same observations come from `gather(tables, index)`,
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
        """`[B]` integers to `[B, *shape[1:]]` observations of `dtype`, XLA-compilable."""
        ...


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in memory, or a part of one.

    `images`, `latents` and `extras` go together: entry i of each belongs to the i-th image, and
    there are `len(dataset)` of them. An image's id is its place in the whole data set, which is
    also its place in the factor grid: `dataset.space.factors(dataset.ids)` are the factors of all
    images, and `dataset.whole.images[ids]` the images of some ids.

    Attributes:
        name: as given to `zoo.data.load`, for example `zoo_dsprites/rendered[train]`.
        images: the observations, `N` of them.
        space: the factor grid whose numbering is that of the ids, or None.
        latents: `[N, K]` float32 continuous ground-truth latents, or None.
        extras: further arrays with one entry per image (masks, domain labels, object counts).
        of: the whole data set that this is a part of; None if it is whole.
    """

    name: str
    images: Images
    space: FactorSpace | None = None
    latents: np.ndarray | None = None
    extras: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    of: "Dataset | None" = None

    def __len__(self) -> int:
        """The number of images."""
        return len(self.images)

    def __getitem__(self, index) -> dict[str, np.ndarray]:
        """What is known of some images, as arrays of their own, by name.

        A data set is a sequence of such dicts, which PyTorch's `DataLoader` takes.

        Args:
            index: an integer, a slice or an integer array: places in this data set.

        Returns:
            `image` as it is stored, `index` (its id), `factors` `[F]` indices where there is a
            `space`, `latents` `[K]` where there are some, and every extra. With a slice or an array
            all have a leading axis.

        Raises:
            IndexError: there is no such place.
        """
        if isinstance(index, slice):
            places = np.arange(*index.indices(len(self)))
        elif np.ndim(index) == 0:
            places = range(len(self))[index]
        else:
            places = np.arange(len(self))[np.asarray(index)]
        found = {"image": self.images[places], "index": self.ids[places]}
        if self.space is not None:
            found["factors"] = self.space.factors(self.ids[places])
        if self.latents is not None:
            found["latents"] = self.latents[places]
        found |= {name: values[places] for name, values in self.extras.items()}
        return {name: np.array(value) for name, value in found.items()}

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, np.ndarray]]:
        """`[self[i] for i in indices]`, read at once: what `DataLoader` asks for, where it can."""
        found = self[np.asarray(indices, np.int64)]
        count = len(found["index"])
        return [{name: values[i, ...] for name, values in found.items()} for i in range(count)]

    def __repr__(self) -> str:
        """Name, number, shape and type of the images, and what is known of them, a line each."""
        size = " x ".join(str(length) for length in self.images.shape[1:])
        lines = [f"Dataset {self.name!r}: {len(self)} observations {size} {self.images.dtype}"]
        if self.of is not None:
            lines[0] += f", part of {len(self.whole)}"
        if self.space is not None:
            kinds = ((a.name, a.size, ", categorical" * a.categorical) for a in self.space.axes)
            listed = ", ".join(f"{name} ({size}{kind})" for name, size, kind in kinds)
            lines.append(f"  factors: {listed}" + "; a grid" * self.space.is_grid)
        arrays = {} if self.latents is None else {"latents": self.latents}
        for name, values in {**arrays, **self.extras}.items():
            lines.append(f"  {name}: {' x '.join(map(str, np.shape(values)))} {values.dtype}")
        return "\n".join(lines)

    @property
    def whole(self) -> "Dataset":
        """The data set that this is a part of, or itself: there ids are places."""
        return self if self.of is None else self.of

    @functools.cached_property
    def ids(self) -> np.ndarray:
        """`[N]` int32, the ids of the images."""
        return np.arange(len(self), dtype=np.int32) if self.of is None else self.images.ids

    def part(self, name: str, ids: np.ndarray) -> "Dataset":
        """The images of some ids, `[n]`, in their order.

        Arrays are views where the ids are consecutive, as in a set with splits of its own.
        """
        ids, whole = np.asarray(ids, np.int32), self.whole
        consecutive = len(ids) > 0 and (np.diff(ids) == 1).all()
        rows = slice(ids[0], ids[-1] + 1) if consecutive else ids
        return Dataset(
            name,
            PickedImages(whole.images, ids),
            whole.space,
            None if whole.latents is None else whole.latents[rows],
            {key: values[rows] for key, values in whole.extras.items()},
            whole,
        )

    def some(self, count: int, seed: int = 0) -> np.ndarray:
        """The ids of `count` of the images, or of all if there are fewer; ascending."""
        count = min(count, len(self))
        drawn = np.random.default_rng(seed).choice(len(self), count, replace=False)
        return np.sort(self.ids[drawn])

    @property
    def fingerprint(self) -> str:
        """A short hash of the name, the shape, the ids and 64 images spread over them."""
        spread = np.linspace(0, len(self) - 1, 64).astype(np.int64)
        digest = hashlib.sha256(f"{self.name} {self.whole.images.shape}".encode())
        if self.of is not None:
            digest.update(np.ascontiguousarray(self.ids, "<i4").tobytes())
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


class PickedImages:
    """Images of others, in the order of given ids, which may repeat.

    Args:
        base: the images to pick from.
        ids: `[n]` integers, which image of `base` each one is.
    """

    def __init__(self, base: Images, ids: np.ndarray):
        self._base, self.ids = base, np.asarray(ids, np.int32)
        self.shape = (len(self.ids), *base.shape[1:])
        self.dtype, self.maximum = base.dtype, base.maximum
        # No key of the images below, which may be picked themselves.
        self._key = f"ids/{len(base.tables)}"
        self.tables = {**base.tables, self._key: self.ids}

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index) -> np.ndarray:
        return self._base[self.ids[index]]

    def gather(self, tables, index):
        """See `Images.gather`."""
        import tensorflow as tf

        return self._base.gather(tables, tf.gather(tables[self._key], index))
