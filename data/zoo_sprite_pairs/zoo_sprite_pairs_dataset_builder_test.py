"""The TFDS builder of the pairs of sprites, on a few images."""

import os
from unittest import mock

import numpy as np
import tensorflow_datasets as tfds

from zoo.data.zoo_sprite_pairs import memory, zoo_sprite_pairs_dataset_builder

_SIZES = {"train": 6, "validation": 3, "test": 2}


class ZooSpritePairsTest(tfds.testing.DatasetBuilderTestCase):
    """One config of each kind."""

    DATASET_CLASS = zoo_sprite_pairs_dataset_builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["apart", "occluding_corner"]
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
        builder = self._make_builder("occluding_l")
        builder.download_and_prepare()
        dataset = memory.load("occluding_l", None)
        written = sorted(tfds.as_numpy(builder.as_dataset("train")), key=_key)
        order = sorted(range(_SIZES["train"]), key=lambda k: tuple(dataset.latents[k]))
        for example, number in zip(written, order, strict=True):
            np.testing.assert_array_equal(example["image"], dataset.images[number])
            np.testing.assert_array_equal(example["latents"], dataset.latents[number])


def _key(example: dict) -> tuple[float, ...]:
    return tuple(example["latents"])


if __name__ == "__main__":
    tfds.testing.test_main()
