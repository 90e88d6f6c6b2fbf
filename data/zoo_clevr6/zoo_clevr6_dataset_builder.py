"""CLEVR6 for TFDS: `tfds.load("zoo_clevr6/rendered")` after `import data`."""

import numpy as np
import tensorflow_datasets as tfds

from data import building, split_building
from data.dataset import Dataset
from data.renderers import clevr
from data.zoo_clevr6 import memory


class Builder(split_building.SplitBuilder, building.FileReaderBuilder):
    """The configs of `data.zoo_clevr6.memory`, with masks and the factors of every object."""

    VERSION = tfds.core.Version(memory.VERSION)
    RELEASE_NOTES = {memory.VERSION: "Initial release."}
    BUILDER_CONFIGS = building.configs(memory.CONFIGS)
    MEMORY = memory
    IMAGE_SHAPE = (clevr.SIDE, clevr.SIDE, 3)
    HOMEPAGE = "https://github.com/google-deepmind/multi_object_datasets"

    def _features(self) -> dict[str, tfds.features.FeatureConnector]:
        mask = tfds.features.Image(shape=(clevr.SIDE, clevr.SIDE, 1), encoding_format="png")
        return super()._features() | {
            "mask": mask,
            "factors": split_building.vector(clevr.MOST, len(clevr.FACTORS)),
            "count": split_building.vector(dtype=np.uint8),
        }

    def _columns(self, dataset: Dataset, numbers: np.ndarray) -> dict[str, np.ndarray]:
        return super()._columns(dataset, numbers) | {
            "mask": dataset.extras["masks"][numbers][..., None],
            "factors": dataset.extras["factors"][numbers],
            "count": dataset.extras["count"][numbers],
        }
