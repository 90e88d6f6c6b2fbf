"""CLEVR6 for TFDS: `tfds.load("zoo_clevr6/rendered")` after `import zoo`."""

import tensorflow_datasets as tfds

from zoo.data import building, cache
from zoo.data.renderers import clevr
from zoo.data.zoo_clevr6 import memory
from zoo.errors import SettingError


class Builder(building.SceneBuilder, building.FileReaderBuilder):
    """The configs of `zoo.data.zoo_clevr6.memory`, with masks and the factors of every object."""

    VERSION = tfds.core.Version(memory.VERSION)
    RELEASE_NOTES = {memory.VERSION: "Initial release."}
    BUILDER_CONFIGS = building.configs(memory.CONFIGS)
    IMAGE_SHAPE = (clevr.SIDE, clevr.SIDE, 3)
    HOMEPAGE = "https://github.com/google-deepmind/multi_object_datasets"

    def _counts(self) -> dict[str, int]:
        return memory.OFFICIAL_SIZES if self.builder_config.name == "official" else {}

    def _require_current(self) -> None:
        if self.builder_config.name != "rendered" or not self.is_prepared():
            return
        there = {name: split.num_examples for name, split in self.info.splits.items()}
        total, now = sum(there.values()), memory.rendered(cache.directory() / "data" / self.name)
        # Not those that `max_examples_per_split` has cut off.
        if now not in (None, total) and there == memory.sizes(total):
            raise SettingError(
                f"{self.data_dir} holds {total} images of {self.info.full_name}, and {now} are "
                "rendered: delete that folder, and download_and_prepare() writes them all"
            )

    def _factors_shape(self) -> tuple[int, int]:
        return clevr.MOST, len(clevr.FACTORS)
