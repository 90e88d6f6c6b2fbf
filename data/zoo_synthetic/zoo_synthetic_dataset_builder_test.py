"""The TFDS builder of the synthetic vectors, on a few samples."""

import os
from unittest import mock

import numpy as np
import tensorflow_datasets as tfds

from zoo.data.zoo_synthetic import memory, zoo_synthetic_dataset_builder

_SIZES = {"train": 6, "validation": 3, "test": 2}


class ZooSyntheticTest(tfds.testing.DatasetBuilderTestCase):
    """One config of every kind."""

    DATASET_CLASS = zoo_synthetic_dataset_builder.Builder
    BUILDER_CONFIG_NAMES_TO_TEST = ["linear_1.2", "nonlinear", "gaussian", "domains_1"]
    SPLITS = _SIZES
    EXAMPLE_DIR = os.path.dirname(__file__)  # nothing is downloaded

    def setUp(self):
        """Makes the sets small."""
        for name in ("SIZES", "DOMAIN_SIZES"):
            patch = mock.patch.object(memory, name, _SIZES)
            patch.start()
            self.addCleanup(patch.stop)
        super().setUp()

    def test_examples_are_the_mixing_of_their_latents(self):
        """All domains come back, with observations that belong to the latents."""
        builder = self._make_builder("domains_3")
        builder.download_and_prepare()
        mixing = memory.source("domains_3").mixing
        examples = list(tfds.as_numpy(builder.as_dataset("train")))
        self.assertEqual(np.bincount([e["domain"] for e in examples]).tolist(), [6, 6, 6])
        for example in examples:
            expected = mixing(example["latents"]).astype(np.float32)
            np.testing.assert_array_equal(example["observation"], expected)


if __name__ == "__main__":
    tfds.testing.test_main()
