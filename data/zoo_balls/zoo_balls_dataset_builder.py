"""Images of two balls for TFDS: `tfds.load("zoo_balls/l_shape")` after `import zoo`."""

import numpy as np
import tensorflow_datasets as tfds

from zoo.data import building
from zoo.data.dataset import Dataset
from zoo.data.zoo_balls import memory


class Builder(building.MemoryBuilder, building.FileReaderBuilder):
    """The configs of `zoo.data.zoo_balls.memory`, with latents and positions."""

    VERSION = tfds.core.Version(memory.VERSION)
    RELEASE_NOTES = {memory.VERSION: "Initial release."}
    BUILDER_CONFIGS = building.configs(memory.CONFIGS)
    HOMEPAGE = "https://github.com/divyat09/additive_decoder_extrapolation"

    def _features(self) -> dict[str, tfds.features.FeatureConnector]:
        return super()._features() | {
            "latents": building.vector(len(memory.latent_names(self.builder_config.name))),
            "positions": building.vector(2, 2),
        }

    def _counts(self) -> dict[str, int]:
        return memory.sizes(self.builder_config.name)

    def _targets(self) -> str:
        return "latents"

    def _columns(self, dataset: Dataset, ids: np.ndarray) -> dict[str, np.ndarray]:
        return super()._columns(dataset, ids) | {
            "latents": dataset.latents[ids],
            "positions": dataset.extras["positions"][ids],
        }
