"""Pairs of independent images whose factors are compared."""

import dataclasses

import numpy as np
import tensorflow as tf

from zoo.data.dataset import Dataset
from zoo.data.sampling import Independent
from zoo.errors import SettingError


@dataclasses.dataclass(frozen=True, eq=False)
class RankedPairs:
    """Pairs of independent images: rank pairing (Shu et al. 2020).

    Gives `ranks` `[B, F]` bool beside the pair: which factors are larger in the first image,
    compared by their index, categorical ones too, as in the authors' code.

    Args:
        dataset: has a factor grid.
        batch_size: pairs a batch.

    Raises:
        SettingError: the data set has no grid.
    """

    dataset: Dataset
    batch_size: int

    def __post_init__(self):
        if self.dataset.space is None or not self.dataset.space.is_grid:
            raise SettingError(f"{self.dataset.name} has no factor grid to compare images by")

    def __call__(self, tables: dict[str, tf.Tensor], seed, step) -> dict[str, tf.Tensor]:
        """The batch of one step."""
        both = Independent(self.dataset, 2 * self.batch_size)(tables, seed, step)
        halves = {name: tf.split(value, 2) for name, value in both.items()}
        space = self.dataset.space
        strides, sizes = space.strides.astype(np.int32), np.array(space.sizes, np.int32)
        first, second = (index[:, None] // strides % sizes for index in halves["index"])
        return {
            **{name: half[0] for name, half in halves.items()},
            "partner": halves["image"][1],
            **{f"partner_{name}": half[1] for name, half in halves.items() if name != "image"},
            "ranks": first > second,
        }
