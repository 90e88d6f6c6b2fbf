"""TFDS files written by Apache Beam, for clusters; `zoo.data.building` does without on one machine.

Workers are told the builder and the ranges of examples, a file each, and load the data set by its
name: give them one `ZOO_CACHE`, or they prepare its tables each for themselves. The files are the
same as without Beam.
"""

import apache_beam as beam
import tensorflow_datasets as tfds
from tensorflow_datasets.core.utils import py_utils

from zoo.data import catalog, shards
from zoo.data.dataset import Dataset

_BYTES = "example_bytes"


def write(
    builder: tfds.core.DatasetBuilder,
    dataset: Dataset,
    parts: list[tuple[str, int, int]],
    config: tfds.download.DownloadConfig,
) -> int:
    """Writes the files of one split.

    Args:
        builder: whose files they are.
        dataset: the split.
        parts: path, first and last position (exclusive) in `shards.order_of`, of every file.
        config: its `beam_runner` and `beam_options` say where it runs.

    Returns:
        The number of bytes of all examples.
    """
    pipeline = beam.Pipeline(runner=config.beam_runner, options=config.beam_options)
    # Redistributed, or a runner may hand all files to one worker.
    files = pipeline | beam.Create(parts) | beam.Reshuffle()
    _ = files | beam.ParDo(_Shards(builder, dataset.name))
    result = pipeline.run()
    result.wait_until_finish()
    counters = result.metrics().query(beam.metrics.MetricsFilter().with_name(_BYTES))["counters"]
    return sum(counter.result for counter in counters)


class _Shards(beam.DoFn):
    """Writes files on a worker."""

    def __init__(self, builder: tfds.core.DatasetBuilder, name: str):
        # A builder is pickled as the arguments it was made of.
        self._builder, self._name = builder, name
        # Not among those arguments.
        self._format = builder.info.file_format

    def setup(self):
        """Loads the data set, once a worker."""
        dataset = catalog.load(self._name)
        self._order = shards.order_of(dataset)
        self._encode = shards.Serialiser(self._builder, dataset)

    def process(self, part: tuple[str, int, int]):
        """Writes one file; Beam may do so twice."""
        path, start, stop = part
        with py_utils.incomplete_file(tfds.core.Path(path)) as temporary:
            total = shards.write_shard(
                self._format, self._encode, str(temporary), self._order[start:stop]
            )
        beam.metrics.Metrics.counter("disentanglement_zoo", _BYTES).inc(total)
