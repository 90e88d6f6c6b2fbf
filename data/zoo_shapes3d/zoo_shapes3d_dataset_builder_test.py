"""The TFDS builder of 3D Shapes, on five images."""

from unittest import mock

import numpy as np
import tensorflow_datasets as tfds

from data import catalog
from data.dataset import Dataset, DenseImages
from data.noise import NoisyImages
from data.renderers import shapes3d
from data.zoo_shapes3d import memory, zoo_shapes3d_dataset_builder

FIRST = shapes3d.render(shapes3d.SPACE.factors(np.arange(5)))


def first_five(name):
    """The first five images of a config, in place of `data.load`."""
    images = DenseImages(FIRST)
    if name.endswith("noisy"):
        images = NoisyImages(images, 0.175)
    return Dataset(name, images, shapes3d.SPACE)


class BuilderTest(tfds.testing.DatasetBuilderTestCase):
    """TFDS's own checks, and what the examples hold."""

    DATASET_CLASS = zoo_shapes3d_dataset_builder.Builder
    SPLITS = {"train": 5}
    DL_DOWNLOAD_RESULT = memory.OFFICIAL_FILE

    def setUp(self):
        """Replaces the full data set."""
        super().setUp()
        patcher = mock.patch.object(catalog, "load", first_five)
        patcher.start()
        self.addCleanup(patcher.stop)

    def _check(self, builder, expected):
        # What another project reads, which has none of this package.
        builder = tfds.builder_from_directory(builder.data_dir)
        seen = []
        for example in tfds.as_numpy(builder.as_dataset("train")):
            labels = [example[f"label_{name}"] for name in shapes3d.SPACE.names]
            values = [example[f"value_{name}"] for name in shapes3d.SPACE.names]
            number = int(shapes3d.SPACE.index(labels))
            np.testing.assert_array_equal(example["image"], expected[number])
            np.testing.assert_allclose(values, shapes3d.SPACE.values(labels), rtol=1e-6)
            seen.append(number)
        self.assertCountEqual(seen, range(5))

    def test_every_example_has_its_image_labels_and_values(self):
        for config in ("rendered", "noisy"):
            builder = self._make_builder(config)
            builder.download_and_prepare()
            self._check(builder, first_five(config).images[:])

    def test_official_examples_are_those_of_the_file_and_no_table_stays(self):
        builder = self._make_builder("official")
        file = self.dummy_data / memory.OFFICIAL_FILE
        with mock.patch.object(tfds.download.DownloadManager, "download", return_value=file):
            builder.download_and_prepare()
        self._check(builder, FIRST)
        left = {path.suffix for path in tfds.core.Path(builder.data_dir).iterdir()}
        self.assertEqual({s for s in left if "tfrecord" not in s}, {".json"})

    def test_features_are_those_of_tfds_shapes3d(self):
        own = self._make_builder("rendered").info.features
        theirs = tfds.builder("shapes3d", data_dir=self.tmp_dir).info.features
        self.assertEqual(own.get_tensor_info(), theirs.get_tensor_info())

    def test_checksum_is_that_of_tfds(self):
        theirs = tfds.builder_cls("shapes3d").url_infos
        self.assertEqual(self.DATASET_CLASS.url_infos, theirs)


if __name__ == "__main__":
    tfds.testing.test_main()
