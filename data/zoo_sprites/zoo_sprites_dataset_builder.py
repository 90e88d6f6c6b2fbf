"""Multi-object Sprites for TFDS: `tfds.load("zoo_sprites/full")` after `import data`."""

import numpy as np
import tensorflow_datasets as tfds

from data import building, split_building
from data.dataset import Dataset
from data.renderers import sprites
from data.zoo_sprites import memory


class Builder(split_building.SplitBuilder, building.FileReaderBuilder):
    """The configs of `data.zoo_sprites.memory`, with masks and the factors of every object."""

    VERSION = tfds.core.Version(memory.VERSION)
    RELEASE_NOTES = {memory.VERSION: "Initial release."}
    BUILDER_CONFIGS = building.configs(memory.CONFIGS)
    MEMORY = memory
    HOMEPAGE = "https://github.com/JackBrady/interaction-asymmetry"

    def _features(self) -> dict[str, tfds.features.FeatureConnector]:
        _, most = memory.SETS[self.builder_config.name].objects
        return super()._features() | {
            "mask": tfds.features.Image(shape=(64, 64, 1), encoding_format="png"),
            "factors": split_building.vector(most, len(sprites.FACTORS)),
            "count": split_building.vector(dtype=np.uint8),
        }

    def _columns(self, dataset: Dataset, numbers: np.ndarray) -> dict[str, np.ndarray]:
        return super()._columns(dataset, numbers) | {
            "mask": dataset.extras["masks"][numbers][..., None],
            "factors": dataset.extras["factors"][numbers],
            "count": dataset.extras["count"][numbers],
        }
