"""Two-domain images for TFDS: `tfds.load("zoo_domains/dsprites_two")` after `import zoo`."""

import numpy as np
import tensorflow_datasets as tfds

from zoo.data import building
from zoo.data.dataset import Dataset
from zoo.data.zoo_domains import memory


class Builder(building.MemoryBuilder, building.FileReaderBuilder):
    """The configs of `memory`, with the domain and the factors or the digit."""

    VERSION = tfds.core.Version(memory.VERSION)
    RELEASE_NOTES = {
        "1.0.0": "Initial release.",
        memory.VERSION: "Rendered sets at 32x32; CelebA.",
    }
    BUILDER_CONFIGS = building.configs(memory.CONFIGS)
    HOMEPAGE = "https://github.com/jozerozero/Synergy_Disentanglement"

    def _features(self) -> dict[str, tfds.features.FeatureConnector]:
        rendered = memory.RENDERED.get(self.builder_config.name)
        config = self.builder_config.name
        shape = rendered.image_shape if rendered else memory.PHOTOGRAPHS[config]
        features = {
            "image": tfds.features.Image(shape=shape, encoding_format="png"),
            "domain": tfds.features.ClassLabel(num_classes=memory.DOMAINS),
        }
        if rendered:
            count = len(rendered.space.axes)
            features["factors"] = building.vector(count, dtype=np.int32)
            features["latents"] = building.vector(count)
        elif config == "two_colour_mnist":
            features["label"] = tfds.features.ClassLabel(num_classes=10)
        return features

    def _counts(self) -> dict[str, int]:
        if self.builder_config.name not in memory.RENDERED:
            return {}
        return {name: size * memory.DOMAINS for name, size in memory.SIZES.items()}

    def _licence(self) -> str:
        photographs = {
            "two_colour_mnist": "https://creativecommons.org/licenses/by-sa/3.0/",
            "celeb_a_two": "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html",
        }
        return photographs.get(self.builder_config.name) or super()._licence()

    def _targets(self) -> dict[str, str]:
        return {n: n for n in ("domain", "factors", "label") if n in self._features()}

    def _columns(self, dataset: Dataset, ids: np.ndarray) -> dict[str, np.ndarray]:
        columns = super()._columns(dataset, ids)
        for key in ("domain", "factors", "label"):
            if key in dataset.extras:
                columns[key] = dataset.extras[key][ids]
        if dataset.latents is not None:
            columns["latents"] = dataset.latents[ids]
        return columns
