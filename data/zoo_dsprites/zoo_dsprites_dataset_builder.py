"""dSprites for TFDS: `tfds.load("zoo_dsprites/rendered")` after `import zoo`."""

import tensorflow_datasets as tfds

from zoo.data import building, cache
from zoo.data.dataset import Dataset
from zoo.data.zoo_dsprites import memory


class Builder(building.PerturbedMixin, building.MemoryBuilder, building.FileReaderBuilder):
    """The configs of `zoo.data.zoo_dsprites.memory`, with the features of TFDS's own `dsprites`."""

    VERSION = tfds.core.Version("2.0.0")
    RELEASE_NOTES = {
        "1.0.0": "Initial release.",
        "2.0.0": "perturbed by another network of the hub; others as before.",
    }
    _NEW_NOISE = {**RELEASE_NOTES, "3.0.0": building.NEW_NOISE}
    BUILDER_CONFIGS = building.configs(
        memory.CONFIGS, {"noisy": _NEW_NOISE, "noisy_background": _NEW_NOISE}
    )
    SPACE = memory.SPACE
    IMAGE_SHAPE = memory.IMAGE_SHAPE
    HOMEPAGE = "https://github.com/google-deepmind/dsprites-dataset"

    def _features(self) -> dict[str, tfds.features.FeatureConnector]:
        shape = memory.image_shape(self.builder_config.name)
        image = tfds.features.Image(shape=shape, encoding_format="png")
        return super()._features() | {"image": image}

    def _dataset(self, dl_manager: tfds.download.DownloadManager) -> Dataset:
        if self.builder_config.name != "official":
            return super()._dataset(dl_manager)
        path = memory.download(dl_manager, cache.directory() / "data" / self.name)
        images = memory.SpriteImages(memory.read_official(path))
        return Dataset(f"{self.name}/official", images, self.SPACE)
