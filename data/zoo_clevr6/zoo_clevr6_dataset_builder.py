"""CLEVR6 for TFDS: `tfds.load("zoo_clevr6/rendered")` after `import zoo`."""

import tensorflow_datasets as tfds

from zoo.data import building
from zoo.data.renderers import clevr
from zoo.data.zoo_clevr6 import memory


class Builder(building.SceneBuilder, building.FileReaderBuilder):
    """The configs of `zoo.data.zoo_clevr6.memory`, with masks and the factors of every object."""

    VERSION = tfds.core.Version(memory.VERSION)
    RELEASE_NOTES = {memory.VERSION: "Initial release."}
    BUILDER_CONFIGS = building.configs(memory.CONFIGS)
    IMAGE_SHAPE = (clevr.SIDE, clevr.SIDE, 3)
    HOMEPAGE = "https://github.com/google-deepmind/multi_object_datasets"

    def _counts(self) -> dict[str, int]:
        return memory.OFFICIAL_SIZES if self.builder_config.name == "official" else {}

    def _factors_shape(self) -> tuple[int, int]:
        return clevr.MOST, len(clevr.FACTORS)
