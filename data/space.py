"""The factor space of a data set: every combination of a few discrete factors of variation."""

import collections
import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from zoo.errors import SettingError


@dataclasses.dataclass(frozen=True)
class Factor:
    """One factor of variation.

    Attributes:
        name: what varies, for example `orientation`.
        values: the value of every grid position, in physical units, `size` numbers.
        categorical: the values have no order (a shape).
        circular: the last value is followed by the first (an orientation).
    """

    name: str
    values: tuple[float, ...]
    categorical: bool = False
    circular: bool = False

    @property
    def size(self) -> int:
        """The number of values."""
        return len(self.values)


@dataclasses.dataclass(frozen=True)
class FactorSpace:
    """The grid of all factor combinations, numbered with the last factor varying fastest.

    A combination is a row of factor indices, `[F]` integers with `0 <= row[i] < sizes[i]`; its
    id is `row` read in the mixed radix `sizes`.

    >>> space = FactorSpace((Factor("shape", (0, 1, 2)), Factor("x", (0.0, 0.5))))
    >>> space.factors(3), space.index([1, 1])
    (array([1, 1]), 3)
    """

    axes: tuple[Factor, ...]

    def __post_init__(self):
        """Raises a SettingError for factors of one name."""
        twice = [name for name, count in collections.Counter(self.names).items() if count > 1]
        if twice:
            raise SettingError(f"{len(self.names)} factors, and several are named {twice[0]!r}")

    @property
    def is_grid(self) -> bool:
        """Whether ids number combinations: `ListedFactors` number images."""
        return True

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the factors."""
        return tuple(axis.name for axis in self.axes)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of values of each factor."""
        return tuple(axis.size for axis in self.axes)

    @property
    def categorical(self) -> tuple[bool, ...]:
        """Which factors have no order."""
        return tuple(axis.categorical for axis in self.axes)

    @property
    def circular(self) -> tuple[bool, ...]:
        """Which factors wrap around."""
        return tuple(axis.circular for axis in self.axes)

    def __len__(self) -> int:
        """The number of combinations."""
        return math.prod(self.sizes)

    @property
    def strides(self) -> np.ndarray:
        """`[F]` int64: how far apart in the numbering two neighbours along a factor are.

        Raises:
            SettingError: no int64 is large enough for the last combination's number.
        """
        if math.prod(self.sizes) > 2**63:
            raise SettingError(
                f"the factors {', '.join(self.names)} have too many combinations to be numbered"
            )
        return np.cumprod((1, *self.sizes[:0:-1]), dtype=np.int64)[::-1].copy()

    def index(self, factors: Sequence[int] | np.ndarray) -> np.ndarray:
        """The ids of combinations: `[..., F]` factor indices to `[...]` int64.

        Raises:
            ValueError: as of `indices`.
            SettingError: no int64 is large enough for the last combination's number.
        """
        return (self.indices(factors) * self.strides).sum(-1)

    def indices(self, factors: Sequence[int] | np.ndarray) -> np.ndarray:
        """Factor indices `[..., F]`, checked, as int64.

        Raises:
            ValueError: they are no integers, not F of them, or one is out of its range.
        """
        factors = np.asarray(factors)
        if factors.shape[-1:] != (len(self.axes),):
            raise ValueError(
                f"factors of shape {factors.shape}: the last axis must hold {len(self.axes)} "
                f"indices ({', '.join(self.names)})"
            )
        if factors.dtype.kind not in "biu":
            raise ValueError(f"factors are {factors.dtype}; give integers, the indices of values")
        if ((factors < 0) | (factors >= np.asarray(self.sizes))).any():
            raise ValueError(f"a factor index is outside its range; the sizes are {self.sizes}")
        return factors.astype(np.int64)

    def factors(self, index: int | Sequence[int] | np.ndarray) -> np.ndarray:
        """The combinations of given ids: `[...]` integers to `[..., F]` int64.

        Raises:
            ValueError: an id is outside `0 <= index < len(self)`.
        """
        index = np.asarray(index, np.int64)
        if ((index < 0) | (index >= len(self))).any():
            raise ValueError(f"an index is outside 0..{len(self) - 1}")
        return index[..., None] // self.strides % np.asarray(self.sizes)

    def values(self, factors: np.ndarray) -> np.ndarray:
        """The physical values of combinations: `[..., F]` indices to `[..., F]` float64."""
        factors = np.asarray(factors)
        columns = [np.asarray(a.values, float)[factors[..., i]] for i, a in enumerate(self.axes)]
        return np.stack(columns, axis=-1)


@dataclasses.dataclass(frozen=True, eq=False)
class ListedFactors(FactorSpace):
    """The factors of images that do not fill their grid: some combinations lack, or are repeated.

    An id is the number of an image and no combination, so that factors can be looked up, but not
    set: scores and samplers that hold factors fixed are not available.

    Attributes:
        rows: `[N, F]` integers, the factor indices of every image.
    """

    rows: np.ndarray

    def __len__(self) -> int:
        """The number of images."""
        return len(self.rows)

    @property
    def is_grid(self) -> bool:
        """See `FactorSpace.is_grid`."""
        return False

    def index(self, factors: Sequence[int] | np.ndarray) -> np.ndarray:
        """Raises a SettingError: not every combination has an image of its own."""
        grid = math.prod(self.sizes)
        raise SettingError(
            f"{len(self)} images do not fill the grid of {grid} factor combinations "
            f"({', '.join(self.names)}), so that no factor can be set"
        )

    def factors(self, index: int | Sequence[int] | np.ndarray) -> np.ndarray:
        """The factor indices of images: `[...]` ids to `[..., F]` int64."""
        return self.rows[np.asarray(index, np.int64)]
