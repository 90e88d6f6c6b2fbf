"""The TFDS builder of dSprites, on five images."""

import numpy as np
import tensorflow_datasets as tfds

from zoo.data import grid_testing
from zoo.data.renderers import dsprites
from zoo.data.zoo_dsprites import memory, zoo_dsprites_dataset_builder


class BuilderTest(grid_testing.GridTests, tfds.testing.DatasetBuilderTestCase):
    """TFDS's own checks, and what the examples hold."""

    DATASET_CLASS = zoo_dsprites_dataset_builder.Builder
    DL_DOWNLOAD_RESULT = memory.OFFICIAL_FILE
    MEMORY, THEIRS, MAXIMUM = memory, "dsprites", 1.0
    IMAGES = dsprites.render(dsprites.SPACE.factors(np.arange(5)))


if __name__ == "__main__":
    tfds.testing.test_main()
