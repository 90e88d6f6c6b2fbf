"""Two sprites on one canvas for TFDS: `tfds.load("zoo_sprite_pairs/apart")` after `import zoo`."""

import numpy as np
import tensorflow_datasets as tfds

from zoo.data import building
from zoo.data.dataset import Dataset
from zoo.data.zoo_sprite_pairs import memory


class Builder(building.MemoryBuilder, building.FileReaderBuilder):
    """The configs of `zoo.data.zoo_sprite_pairs.memory`, with latents."""

    VERSION = tfds.core.Version(memory.VERSION)
    RELEASE_NOTES = {memory.VERSION: "Initial release."}
    BUILDER_CONFIGS = building.configs(memory.CONFIGS)
    HOMEPAGE = "https://github.com/google-deepmind/dsprites-dataset"

    def _features(self) -> dict[str, tfds.features.FeatureConnector]:
        return super()._features() | {"latents": building.vector(len(memory.LATENTS))}

    def _counts(self) -> dict[str, int]:
        return memory.SIZES

    def _targets(self) -> str:
        return "latents"

    def _columns(self, dataset: Dataset, ids: np.ndarray) -> dict[str, np.ndarray]:
        return super()._columns(dataset, ids) | {"latents": dataset.latents[ids]}
