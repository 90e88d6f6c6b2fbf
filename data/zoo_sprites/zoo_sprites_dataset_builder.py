"""Multi-object Sprites for TFDS: `tfds.load("zoo_sprites/full")` after `import zoo`."""

import tensorflow_datasets as tfds

from zoo.data import building
from zoo.data.renderers import sprites
from zoo.data.zoo_sprites import memory


class Builder(building.SceneBuilder, building.FileReaderBuilder):
    """The configs of `zoo.data.zoo_sprites.memory`, with masks and the factors of every object."""

    VERSION = tfds.core.Version(memory.VERSION)
    RELEASE_NOTES = {memory.VERSION: "Initial release."}
    BUILDER_CONFIGS = building.configs(memory.CONFIGS)
    HOMEPAGE = "https://github.com/JackBrady/interaction-asymmetry"

    def _counts(self) -> dict[str, int]:
        return memory.SETS[self.builder_config.name].sizes

    def _factors_shape(self) -> tuple[int, int]:
        return memory.SETS[self.builder_config.name].objects[1], len(sprites.FACTORS)
