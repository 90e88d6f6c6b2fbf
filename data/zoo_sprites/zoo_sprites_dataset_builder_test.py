"""The TFDS builder of Sprites, on a few images."""

import dataclasses
import os
import tempfile
from unittest import mock

import numpy as np
import tensorflow_datasets as tfds

from zoo.data.renderers import sprites
from zoo.data.zoo_sprites import memory, zoo_sprites_dataset_builder

_SIZES = {"train": 6, "validation": 3, "test": 2}


class ZooSpritesTest(tfds.testing.DatasetBuilderTestCase):
    """Every config, drawn into a temporary cache."""

    DATASET_CLASS = zoo_sprites_dataset_builder.Builder
    SPLITS = _SIZES
    EXAMPLE_DIR = os.path.dirname(__file__)  # nothing is downloaded
    # The drawn set is memory-mapped from a local cache, which `tf.io.gfile` cannot do.
    MOCK_OUT_FORBIDDEN_OS_FUNCTIONS = False

    def setUp(self):
        """Makes the sets small."""
        small = {
            name: dataclasses.replace(config, sizes=_SIZES) for name, config in memory.SETS.items()
        }
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        for patch in (
            mock.patch.dict(memory.SETS, small),
            mock.patch.dict(os.environ, {"ZOO_CACHE": folder.name}),
        ):
            patch.start()
            self.addCleanup(patch.stop)
        super().setUp()

    def test_examples_are_the_renderer_s(self):
        """Images, masks and factors come back as they are drawn, each once."""
        builder = self._make_builder("full_clipped")
        builder.download_and_prepare()
        factors, count = sprites.sample(memory.SEED, 6, 9)
        scenes = zip(factors, count, strict=True)
        expected = {f.tobytes(): sprites.render(f, n, wrap=False) for f, n in scenes}
        for example in tfds.as_numpy(builder.as_dataset("validation")):
            image, mask = expected.pop(example["factors"].tobytes())
            np.testing.assert_array_equal(example["image"], image)
            np.testing.assert_array_equal(example["mask"][..., 0], mask)
            self.assertEqual(example["count"], (example["factors"][:, 2] > 0).sum())
        self.assertEmpty(expected)


if __name__ == "__main__":
    tfds.testing.test_main()
