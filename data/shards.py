"""The examples of some ids as a file of TFDS, written by this process or by Beam's workers."""

import concurrent.futures
import dataclasses
import functools
import itertools
import os
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.file_adapters import FileFormat

from zoo import cores
from zoo.data import png, unfinished
from zoo.data.dataset import Dataset

_BATCH = 512


def order_of(dataset: Dataset) -> np.ndarray:
    """The ids of the images of a data set in the order of writing, always the same."""
    return dataset.ids[np.random.Generator(np.random.Philox(0)).permutation(len(dataset))]


def write_shard(
    file_format: FileFormat,
    encode: "Serialiser",
    path: str,
    ids: np.ndarray,
    mapping=map,
    progress: Callable[[int], None] = lambda count: None,
) -> int:
    """Writes examples as one file.

    Args:
        file_format: of the file.
        encode: makes the examples.
        path: of the file.
        ids: `[N]` which images, in this order.
        mapping: like `map`; calls `encode` on batches.
        progress: is told how many more examples there are.

    Returns:
        The number of bytes of all examples.
    """
    total = 0

    def examples() -> Iterator[tuple[int, bytes]]:
        nonlocal total
        batches = [ids[i : i + _BATCH] for i in range(0, len(ids), _BATCH)]
        for batch, encoded in zip(batches, mapping(encode, batches), strict=True):
            total += sum(map(len, encoded))
            yield from zip(batch.tolist(), encoded, strict=True)
            progress(len(batch))

    tfds.core.ExampleWriter(file_format).write(path, examples())
    return total


class Serialiser:
    """Ids to serialised `tf.train.Example`s."""

    def __init__(self, builder, dataset: Dataset):
        self._whole, self._columns = dataset.whole, builder._columns
        self._space, self._features = builder.SPACE, builder.info.features
        self._factors = []
        for factor in self._space.axes if self._space else ():
            label, value = f"label_{factor.name}", f"value_{factor.name}"
            records = [{label: i, value: v} for i, v in enumerate(factor.values)]
            self._factors.append([self._serialised(record) for record in records])

    def __call__(self, ids: np.ndarray) -> list[bytes]:
        parts = []
        for name, column in self._columns(self._whole, ids).items():
            feature = self._features[name]
            if isinstance(feature, tfds.features.Image):
                parts.append([bytes_feature(name, image) for image in png.encode(column)])
            elif is_plain(feature) and column.dtype == feature.np_dtype:
                parts.append([bytes_feature(name, item.tobytes()) for item in column])
            else:
                made = {value: self._serialised({name: value}) for value in set(column.tolist())}
                parts.append([made[value] for value in column.tolist()])
        if self._space:
            for table, indices in zip(self._factors, self._space.factors(ids).T, strict=True):
                parts.append([table[i] for i in indices.tolist()])
        return [example(pieces) for pieces in zip(*parts, strict=True)]

    def _serialised(self, record: dict) -> bytes:
        """Some features of an example as a serialised `tf.train.Features`.

        Joined, several are one: concatenated Protocol Buffers are read as their union.
        """
        names = {name: self._features[name] for name in record}
        encoded = {name: feature.encode_example(record[name]) for name, feature in names.items()}
        specs = {name: feature.get_serialized_info() for name, feature in names.items()}
        example = tfds.core.example_serializer.ExampleSerializer(specs).get_tf_example(encoded)
        return example.features.SerializeToString()


@dataclasses.dataclass(frozen=True)
class Split:
    """What the files of one split are to hold.

    Attributes:
        dataset: the split.
        order: the ids of its images in the order of writing.
        encode: makes examples of them.
        bounds: where files begin in that order, and its length.
        names: of the files.
    """

    dataset: Dataset
    order: np.ndarray
    encode: Serialiser
    bounds: list[int]
    names: list[str]

    def files(self) -> Iterator[tuple[str, int, int]]:
        """Name, first and last position (exclusive) of every file."""
        for name, (start, stop) in zip(self.names, itertools.pairwise(self.bounds), strict=True):
            yield name, start, stop

    def write(
        self,
        workspace: unfinished.Workspace,
        file_format: FileFormat,
        progress: Callable[[int], None],
    ) -> int:
        """Writes the files that are not there yet, on all cores; the bytes of all examples."""
        workers = cores.count()
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            ahead = functools.partial(_ahead, pool, workers)
            for name, start, stop in self.files():
                if name in workspace.done:
                    progress(stop - start)
                    continue
                path, ids = os.path.join(workspace.folder, name), self.order[start:stop]
                workspace.add(
                    name, write_shard(file_format, self.encode, path, ids, ahead, progress)
                )
        return sum(workspace.done[name] for name in self.names)


def _ahead(pool: concurrent.futures.Executor, count: int, function, items: list) -> Iterator:
    """Like `pool.map`, but only a few more than `count` results ahead of their use."""
    waiting = []
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > count + 1:
            yield waiting.pop(0).result()
    yield from (future.result() for future in waiting)


def is_plain(feature: tfds.features.FeatureConnector) -> bool:
    """Whether an array of a feature is stored as the bytes that it has in memory."""
    return (
        type(feature) is tfds.features.Tensor
        and feature.get_serialized_info().shape == ()
        and None not in feature.shape
    )


def example(features: Iterable[bytes]) -> bytes:
    """A serialised `tf.train.Example` of several serialised `tf.train.Features`."""
    return _field(1, b"".join(features))


def bytes_feature(name: str, content: bytes) -> bytes:
    """A serialised `tf.train.Features` of one bytes feature; the library takes 6 us for it."""
    return _field(1, _field(1, name.encode()) + _field(2, _field(1, _field(1, content))))


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a Protocol Buffers message."""
    size, prefix = len(content), bytearray([number << 3 | 2])
    while size > 127:
        prefix.append(size & 127 | 128)
        size >>= 7
    prefix.append(size)
    return bytes(prefix) + content
