"""Tests that the TFDS builders of the factor grids share: dSprites and 3D Shapes."""

import os
import tempfile
from types import ModuleType
from typing import ClassVar
from unittest import mock

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from zoo.data import catalog, perturbation
from zoo.data.dataset import Dataset, DenseImages
from zoo.data.noise import NoisyImages


class GridTests:
    """Mixin before `tfds.testing.DatasetBuilderTestCase`, on the first five images of the grid.

    Attributes:
        MEMORY: the family's module `memory`.
        IMAGES: `[5, H, W, C]` uint8, its first images.
        MAXIMUM: their value of white.
        THEIRS: TFDS's own builder of the same data set, by name.
    """

    MEMORY: ClassVar[ModuleType]
    IMAGES: ClassVar[np.ndarray]
    MAXIMUM: ClassVar[float]
    THEIRS: ClassVar[str]
    SPLITS: ClassVar[dict[str, int]] = {"train": 5}

    def setUp(self):
        """Replaces the full data set."""
        super().setUp()
        patches = (
            mock.patch.object(catalog, "load", self._first_five),
            # Files that a user has put there by hand are not read.
            mock.patch.dict(os.environ, {perturbation.ENVIRONMENT: "", "ZOO_CACHE": self.tmp_dir}),
        )
        for patch in patches:
            patch.start()
            self.addCleanup(patch.stop)

    def _first_five(self, name: str) -> Dataset:
        """The first five images of a config, in place of `zoo.data.load`."""
        self.loaded = name
        images = DenseImages(self.IMAGES, maximum=self.MAXIMUM)
        if name.endswith("noisy"):
            images = NoisyImages(images, self.MEMORY.EPSILON)
        return Dataset(name, images, self.MEMORY.SPACE)

    def _check(self, builder: tfds.core.DatasetBuilder, expected: np.ndarray) -> None:
        """Every example has its image, labels and values."""
        # What another project reads, which has none of this package.
        builder = tfds.builder_from_directory(builder.data_dir)
        space, seen = self.MEMORY.SPACE, []
        for example in tfds.as_numpy(builder.as_dataset("train")):
            labels = [example[f"label_{name}"] for name in space.names]
            values = [example[f"value_{name}"] for name in space.names]
            number = int(space.index(labels))
            np.testing.assert_array_equal(example["image"], expected[number])
            np.testing.assert_allclose(values, space.values(labels), rtol=1e-6)
            seen.append(number)
        self.assertCountEqual(seen, range(5))

    def test_every_example_has_its_image_labels_and_values(self):
        for config in ("rendered", "noisy"):
            builder = self._make_builder(config)
            builder.download_and_prepare()
            self._check(builder, self._first_five(config).images[:])

    def test_files_of_another_network_have_a_folder_of_their_own(self):
        plain = self._make_builder("perturbed")
        folders = {plain.data_dir}
        for level in (0.0, 0.5):
            network = tempfile.mkdtemp(dir=self.tmp_dir)
            tf.saved_model.save(_Constant(level, self.IMAGES.shape[1:]), network)
            builder = type(plain)(data_dir=self.tmp_dir, config="perturbed", network=network)
            folders.add(builder.data_dir)
            with mock.patch.dict(os.environ, {perturbation.ENVIRONMENT: network}):
                again = self._make_builder("perturbed")
                plain._dataset(None)
            self.assertEqual(again.data_dir, builder.data_dir)
            hub_name = perturbation.hub_name(builder.name)
            self.assertEqual(self.loaded, f"{builder.name}/perturbed/network={hub_name}")
        self.assertLen(folders, 3)
        builder.download_and_prepare()
        self.assertEqual(self.loaded, f"{builder.name}/perturbed/network={network}")
        self._check(builder, self.IMAGES)

    def test_another_config_takes_no_network(self):
        with self.assertRaisesRegex(ValueError, "rendered takes no network: only perturbed does"):
            self.DATASET_CLASS(data_dir=self.tmp_dir, config="rendered", network="somewhere")

    def test_features_and_checksums_are_those_of_tfds(self):
        own = self._make_builder("rendered").info.features
        theirs = tfds.builder(self.THEIRS, data_dir=self.tmp_dir)
        self.assertEqual(own.get_tensor_info(), theirs.info.features.get_tensor_info())
        self.assertEqual(self.DATASET_CLASS.url_infos, type(theirs).url_infos)


class _Constant(tf.Module):
    """A network that returns one value."""

    def __init__(self, level: float, shape: tuple[int, ...]):
        super().__init__()
        specification = tf.TensorSpec([None, None], tf.float32, name="values")
        self.perturb = tf.function(
            lambda values: tf.fill([tf.shape(values)[0], *shape], level), [specification]
        )
