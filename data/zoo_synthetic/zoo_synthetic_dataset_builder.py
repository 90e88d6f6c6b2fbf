"""Synthetic vectors for TFDS: `tfds.load("zoo_synthetic/linear")` after `import zoo`."""

import numpy as np
import tensorflow_datasets as tfds

from zoo.data import building
from zoo.data.dataset import Dataset
from zoo.data.zoo_synthetic import memory


class Builder(building.MemoryBuilder, building.FileReaderBuilder):
    """The configs of `memory`; every sample has a domain, 0 if there is one."""

    VERSION = tfds.core.Version(memory.VERSION)
    RELEASE_NOTES = {
        "1.0.0": "Initial release.",
        "1.1.0": "Sets of sources that change over domains, mixed by graphs; others as before.",
    }
    BUILDER_CONFIGS = building.configs(memory.CONFIGS)
    HOMEPAGE = "https://arxiv.org/abs/1812.06775"

    def _features(self) -> dict[str, tfds.features.FeatureConnector]:
        outputs, inputs = memory.source(self.builder_config.name).mixing.shape
        return {
            "observation": building.vector(outputs),
            "latents": building.vector(inputs),
            "domain": building.vector(dtype=np.int32),
        }

    def _counts(self) -> dict[str, int]:
        source = memory.source(self.builder_config.name)
        domains = len(source.domains.means) if source.domains else 1
        return {name: size * domains for name, size in source.sizes.items()}

    def _targets(self) -> str:
        return "latents"

    def _columns(self, dataset: Dataset, ids: np.ndarray) -> dict[str, np.ndarray]:
        domain = dataset.extras.get("domain", np.zeros(len(dataset.images), np.int32))
        return {
            "observation": dataset.images[ids],
            "latents": dataset.latents[ids],
            "domain": domain[ids],
        }
