"""The TFDS builder of 3D Shapes, on five images."""

from unittest import mock

import numpy as np
import tensorflow_datasets as tfds

from zoo.data import croissant, grid_testing, shards
from zoo.data.renderers import shapes3d
from zoo.data.zoo_shapes3d import memory, zoo_shapes3d_dataset_builder


class BuilderTest(grid_testing.GridTests, tfds.testing.DatasetBuilderTestCase):
    """TFDS's own checks, and what the examples hold."""

    DATASET_CLASS = zoo_shapes3d_dataset_builder.Builder
    DL_DOWNLOAD_RESULT = memory.OFFICIAL_FILE
    MEMORY, THEIRS, MAXIMUM = memory, "shapes3d", 255.0
    IMAGES = shapes3d.render(shapes3d.SPACE.factors(np.arange(5)))

    def test_official_examples_are_those_of_the_file_and_no_table_stays(self):
        builder = self._make_builder("official")
        file = self.dummy_data / memory.OFFICIAL_FILE
        with mock.patch.object(tfds.download.DownloadManager, "download", return_value=file):
            builder.download_and_prepare()
        self._check(builder, self.IMAGES)
        left = {path.name for path in tfds.core.Path(builder.data_dir).iterdir()}
        texts = {"LICENSE", "croissant.json", "dataset_info.json", "features.json"}
        self.assertEqual({name for name in left if "tfrecord" not in name}, texts)

    def test_a_bucket_takes_files_and_tables_stay_here(self):
        for config in ("rendered", "official"):
            builder = self._make_builder(config)
            manager = mock.Mock(download=lambda _: self.dummy_data / memory.OFFICIAL_FILE)
            bucket = mock.PropertyMock(return_value=f"gs://bucket/{config}")
            with (
                mock.patch.object(type(builder), "data_dir", bucket),
                mock.patch.object(shards, "write_shard", return_value=1) as write,
                mock.patch.object(croissant, "write"),
            ):
                builder._download_and_prepare(manager)
            path = write.call_args.args[2]
            self.assertStartsWith(path, f"gs://bucket/{config}/zoo_shapes3d-train.tfrecord-00000")


if __name__ == "__main__":
    tfds.testing.test_main()
