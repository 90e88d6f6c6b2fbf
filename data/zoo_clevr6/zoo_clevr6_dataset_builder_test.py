"""The TFDS builder of CLEVR6, on a few images that stand in for rendered and official ones."""

import os
import pathlib
import tempfile
from unittest import mock

import numpy as np
import tensorflow_datasets as tfds

from zoo.data.zoo_clevr6 import memory, store, zoo_clevr6_dataset_builder
from zoo.errors import SettingError

_SIZES = {"train": 8, "validation": 1, "test": 1}


def _scenes():
    generator = np.random.default_rng(0)
    for number in range(10):
        image = generator.integers(0, 256, (128, 128, 3), np.uint8)
        factors = generator.uniform(1, 2, (6, 7)).astype(np.float32)
        yield image, image[..., 0] % 7, factors, number % 5 + 2


class ZooClevr6Test(tfds.testing.DatasetBuilderTestCase):
    """Both configs, from sets in a temporary cache."""

    DATASET_CLASS = zoo_clevr6_dataset_builder.Builder
    SPLITS = _SIZES
    EXAMPLE_DIR = os.path.dirname(__file__)  # nothing is downloaded
    # The set is memory-mapped from a local cache, which `tf.io.gfile` cannot do.
    MOCK_OUT_FORBIDDEN_OS_FUNCTIONS = False

    def setUp(self):
        """Makes the sets."""
        cache = tempfile.TemporaryDirectory()
        self.addCleanup(cache.cleanup)
        for patch in (
            mock.patch.dict(memory.OFFICIAL_SIZES, _SIZES),
            mock.patch.dict(os.environ, {"ZOO_CACHE": cache.name}),
        ):
            patch.start()
            self.addCleanup(patch.stop)
        self.family = family = pathlib.Path(cache.name) / "data" / "zoo_clevr6"
        store.write(family / f"rendered-{memory.VERSION}-10", _scenes(), 10)
        store.write(family / f"official-{memory.VERSION}", _scenes(), 10)
        super().setUp()

    def test_examples_are_those_of_the_set(self):
        """Images, masks and factors come back as they were, each once."""
        builder = self._make_builder("rendered")
        builder.download_and_prepare()
        expected = {factors.tobytes(): rest for *rest, factors, _ in list(_scenes())[:8]}
        for example in tfds.as_numpy(builder.as_dataset("train")):
            image, mask = expected.pop(example["factors"].tobytes())
            np.testing.assert_array_equal(example["image"], image)
            np.testing.assert_array_equal(example["mask"][..., 0], mask)
            self.assertIn(example["count"], range(2, 7))
        self.assertEmpty(expected)

    def test_files_of_fewer_images_than_are_rendered_are_refused(self):
        """Until they are deleted; files that were cut off on purpose are read."""
        builder = self._make_builder("rendered")
        builder.download_and_prepare()
        part = self.dataset_class(data_dir=os.path.join(self.tmp_dir, "part"), config="rendered")
        few = tfds.download.DownloadConfig(max_examples_per_split=3)
        part.download_and_prepare(download_config=few)
        (self.family / f"rendered-{memory.VERSION}-10").rename(
            self.family / f"rendered-{memory.VERSION}-13"
        )
        for read in (builder.as_dataset, builder.as_data_source):
            with self.assertRaisesRegex(SettingError, "holds 10 images of .*, and 13 are rendered"):
                read("train")
        self.assertLen(list(part.as_dataset("train")), 3)


if __name__ == "__main__":
    tfds.testing.test_main()
