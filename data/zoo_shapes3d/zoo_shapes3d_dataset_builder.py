"""3D Shapes for TFDS: `tfds.load("zoo_shapes3d/rendered")` after `import zoo`."""

import os
import pathlib
import tempfile

import tensorflow_datasets as tfds

from zoo.data import building, cache
from zoo.data.dataset import Dataset
from zoo.data.zoo_shapes3d import memory


class Builder(building.PerturbedMixin, building.MemoryBuilder, building.FileReaderBuilder):
    """The configs of `zoo.data.zoo_shapes3d.memory`, with the features of TFDS's own `shapes3d`."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}
    BUILDER_CONFIGS = building.configs(
        memory.CONFIGS, {"noisy": {**RELEASE_NOTES, "2.0.0": building.NEW_NOISE}}
    )
    SPACE = memory.SPACE
    IMAGE_SHAPE = memory.IMAGE_SHAPE
    HOMEPAGE = "https://github.com/google-deepmind/3d-shapes"

    def _download_and_prepare(self, dl_manager, download_config=None) -> None:
        if self.builder_config.name != "official":
            super()._download_and_prepare(dl_manager, download_config)
            return
        # Files for a bucket have their tables here.
        beside = None if "://" in os.fspath(self.data_dir) else self.data_dir
        with tempfile.TemporaryDirectory(dir=beside, prefix="tables.") as folder:
            self._tables = pathlib.Path(folder)
            super()._download_and_prepare(dl_manager, download_config)

    def _dataset(self, dl_manager: tfds.download.DownloadManager) -> Dataset:
        if self.builder_config.name != "official":
            return super()._dataset(dl_manager)
        path = memory.download(dl_manager, cache.directory() / "data" / self.name)
        images = memory.read_official(path, self._tables)
        return Dataset(f"{self.name}/official", images, self.SPACE)
