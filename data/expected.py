"""What is known of TFDS files before they are written: the number of examples, and their bytes.

TFDS checks the free disk space and says what it is about to write only where sizes are known.
`example_bytes.json` holds the mean of 2,048 examples of a `family/config`; vectors are all alike.

    python -m zoo.data.expected zoo_balls/l_shape     measures anew, and prints the entry
"""

import functools
import itertools
import json
import pathlib
import sys
from collections.abc import Mapping

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import units
from tensorflow_datasets.core.utils import shard_utils

from zoo.data import catalog, shards

_SAMPLE = 2048


class SizedInfo(tfds.core.DatasetInfo):
    """A `DatasetInfo` with the sizes that are expected until the files are there.

    Attributes:
        expected: the splits as they will be.
        expected_download: bytes to be downloaded.
    """

    # Of the class, because the constructor of TFDS asks for the splits.
    expected = tfds.core.SplitDict([])
    expected_download = 0

    @property
    def splits(self) -> tfds.core.SplitDict:
        """The splits of the files, or those expected."""
        return super().splits or self.expected

    @property
    def download_size(self) -> units.Size:
        """Bytes that were, or will be, downloaded."""
        if super().splits:
            return super().download_size
        return units.Size(self.expected_download)

    @download_size.setter
    def download_size(self, size: int) -> None:
        self.as_proto.download_size = size


def splits(
    builder: tfds.core.DatasetBuilder,
    features: tfds.features.FeaturesDict,
    counts: Mapping[str, int],
) -> tfds.core.SplitDict:
    """The splits as they will be, 0 bytes where nobody has measured them.

    Args:
        builder: whose files they will be.
        features: of an example.
        counts: the number of examples of every split.
    """
    # A perturbed set of one's own network is as large as that of the hub's.
    config = builder.builder_config.name.partition("-")[0]
    mean = _vector_bytes(features) or _means().get(f"{builder.name}/{config}", 0)
    return tfds.core.SplitDict([_split(n, count, mean) for n, count in counts.items()])


def _vector_bytes(features: tfds.features.FeaturesDict) -> int:
    """The bytes of an example all of whose features have a fixed size; else 0."""
    if not all(shards.is_plain(feature) for feature in features.values()):
        return 0
    zeros = {n: np.zeros(f.shape, f.np_dtype).tobytes() for n, f in features.items()}
    return len(shards.example([shards.bytes_feature(n, zero) for n, zero in zeros.items()]))


@functools.cache
def _means() -> dict[str, float]:
    return json.loads((pathlib.Path(__file__).parent / "example_bytes.json").read_text())


def shard_bounds(config: tfds.download.DownloadConfig, size: float, count: int) -> list[int]:
    """Where files begin and end in the sequence of a split's examples: 0, ..., `count`.

    Args:
        config: may say how many files.
        size: bytes of all examples.
        count: number of examples.
    """
    number = config.get_shard_config().get_number_shards(int(size), count)
    return [0, *shard_utils.get_shard_boundaries(count, number)]


def measure(name: str) -> float:
    """The mean bytes of an example of a data set that can be made here."""
    builder, dataset = tfds.builder(name), catalog.load(name)
    order = shards.order_of(dataset)[:_SAMPLE]
    return round(sum(map(len, shards.Serialiser(builder, dataset)(order))) / len(order), 1)


def _split(name: str, count: int, mean: float) -> tfds.core.SplitInfo:
    size = round(count * mean)
    bounds = shard_bounds(tfds.download.DownloadConfig(), size, count)
    return tfds.core.SplitInfo(
        name=name, shard_lengths=[j - i for i, j in itertools.pairwise(bounds)], num_bytes=size
    )


if __name__ == "__main__":
    import zoo  # noqa: F401  the builders

    print(json.dumps({name: measure(name) for name in sys.argv[1:]}))
