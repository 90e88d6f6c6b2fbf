"""The TFDS builder of the balls, on a few images."""

import os
from unittest import mock

import numpy as np
import tensorflow_datasets as tfds

from zoo.data.zoo_balls import memory, zoo_balls_dataset_builder

_SIZES = {"train": 6, "validation": 3, "test": 2}


class ZooBallsTest(tfds.testing.DatasetBuilderTestCase):
    """One config of every kind that is sampled."""

    DATASET_CLASS = zoo_balls_dataset_builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["l_shape", "dependent_linear_subpixel", "bump_l_shape"]
    SPLITS = _SIZES
    EXAMPLE_DIR = os.path.dirname(__file__)  # nothing is downloaded

    def setUp(self):
        """Makes the sets small."""
        patch = mock.patch.object(memory, "SIZES", _SIZES)
        patch.start()
        self.addCleanup(patch.stop)
        super().setUp()

    def test_examples_are_those_in_memory(self):
        """Images and latents come back as they are composed, each once."""
        builder = self._make_builder("u_shape_subpixel")
        builder.download_and_prepare()
        dataset = memory.load("u_shape_subpixel", None)
        written = sorted(tfds.as_numpy(builder.as_dataset("train")), key=_key)
        order = np.argsort(dataset.latents[: _SIZES["train"], 0])
        for example, number in zip(written, order, strict=True):
            np.testing.assert_array_equal(example["image"], dataset.images[number])
            np.testing.assert_array_equal(example["latents"], dataset.latents[number])
            np.testing.assert_array_equal(example["positions"], dataset.extras["positions"][number])


class ZooBallsTraversalTest(tfds.testing.DatasetBuilderTestCase):
    """The grids, which have a test split only."""

    DATASET_CLASS = zoo_balls_dataset_builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["traversal_x"]
    SPLITS = {"test": 81}
    EXAMPLE_DIR = os.path.dirname(__file__)


def _key(example: dict) -> float:
    return example["latents"][0]


if __name__ == "__main__":
    tfds.testing.test_main()
