"""The TFDS builder of dSprites, on five images."""

from unittest import mock

import numpy as np
import tensorflow_datasets as tfds

from data import catalog
from data.dataset import Dataset, DenseImages
from data.noise import NoisyImages
from data.renderers import dsprites
from data.zoo_dsprites import memory, zoo_dsprites_dataset_builder

FIRST = dsprites.render(dsprites.SPACE.factors(np.arange(5)))


def first_five(name):
    """The first five images of a config, in place of `data.load`."""
    images = DenseImages(FIRST, maximum=1.0)
    if name.endswith("noisy"):
        images = NoisyImages(images, 0.1)
    return Dataset(name, images, dsprites.SPACE)


class BuilderTest(tfds.testing.DatasetBuilderTestCase):
    """TFDS's own checks, and what the examples hold."""

    DATASET_CLASS = zoo_dsprites_dataset_builder.Builder
    SPLITS = {"train": 5}
    DL_DOWNLOAD_RESULT = memory.OFFICIAL_FILE

    def setUp(self):
        """Replaces the full data set."""
        super().setUp()
        patcher = mock.patch.object(catalog, "load", first_five)
        patcher.start()
        self.addCleanup(patcher.stop)

    def test_every_example_has_its_image_labels_and_values(self):
        for config in ("rendered", "noisy"):
            builder = self._make_builder(config)
            builder.download_and_prepare()
            # What another project reads, which has none of this package.
            builder = tfds.builder_from_directory(builder.data_dir)
            expected = first_five(config).images[:]
            seen = []
            for example in tfds.as_numpy(builder.as_dataset("train")):
                labels = [example[f"label_{name}"] for name in dsprites.SPACE.names]
                values = [example[f"value_{name}"] for name in dsprites.SPACE.names]
                number = int(dsprites.SPACE.index(labels))
                np.testing.assert_array_equal(example["image"], expected[number])
                np.testing.assert_allclose(values, dsprites.SPACE.values(labels), rtol=1e-6)
                seen.append(number)
            self.assertCountEqual(seen, range(5))

    def test_features_are_those_of_tfds_dsprites(self):
        own = self._make_builder("rendered").info.features
        theirs = tfds.builder("dsprites", data_dir=self.tmp_dir).info.features
        self.assertEqual(own.get_tensor_info(), theirs.get_tensor_info())

    def test_checksum_is_that_of_tfds(self):
        theirs = tfds.builder_cls("dsprites").url_infos
        self.assertEqual(self.DATASET_CLASS.url_infos, theirs)


if __name__ == "__main__":
    tfds.testing.test_main()
