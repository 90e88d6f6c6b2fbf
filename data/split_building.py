"""TFDS builders of families with training, validation and test images."""

from types import ModuleType
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from data import building, cache
from data.dataset import Dataset


def vector(*shape: int, dtype: type = np.float32) -> tfds.features.Tensor:
    """A feature of fixed shape, stored as plain bytes: written faster than lists of numbers."""
    return tfds.features.Tensor(shape=shape, dtype=dtype, encoding=tfds.features.Encoding.BYTES)


class SplitBuilder(building.MemoryBuilder):
    """`MemoryBuilder` with the splits of the family.

    Attributes:
        MEMORY: the family's module `memory`, with `load(config, directory, split)` and
            `sizes(config)`.
    """

    MEMORY: ClassVar[ModuleType]

    def _datasets(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Dataset]:
        del dl_manager
        config, directory = self.builder_config.name, cache.directory() / "data" / self.name
        splits = self.MEMORY.sizes(config)
        return {split: self.MEMORY.load(config, directory, split) for split in splits}
