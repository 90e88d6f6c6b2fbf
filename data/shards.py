"""The examples of some ids as a file of TFDS, written by this process or by Beam's workers."""

from collections.abc import Iterator

import numpy as np
import tensorflow_datasets as tfds

from zoo.data import png
from zoo.data.dataset import Dataset

_BATCH = 2048


def order_of(dataset: Dataset) -> np.ndarray:
    """The ids of the images of a data set in the order of writing, always the same."""
    return dataset.ids[np.random.Generator(np.random.Philox(0)).permutation(len(dataset))]


def write_shard(builder, encode, path: str, ids: np.ndarray, mapping=map) -> int:
    """Writes examples as one file.

    Args:
        builder: whose files they are.
        encode: the `Encoder`.
        path: of the file.
        ids: `[N]` which images, in this order.
        mapping: like `map`; calls `encode` on batches.

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

    tfds.core.ExampleWriter(builder.info.file_format).write(path, examples())
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
            if isinstance(self._features[name], tfds.features.Image):
                parts.append([_image_feature(name, image) for image in png.encode(column)])
            else:
                parts.append([self._serialised({name: item}) for item in column])
        if self._space:
            for table, indices in zip(self._factors, self._space.factors(ids).T, strict=True):
                parts.append([table[i] for i in indices.tolist()])
        return [_field(1, b"".join(pieces)) for pieces in zip(*parts, strict=True)]

    def _serialised(self, record: dict) -> bytes:
        """Some features of an example as a serialised `tf.train.Features`.

        Joined, several are one: concatenated Protocol Buffers are read as their union.
        """
        names = {name: self._features[name] for name in record}
        encoded = {name: feature.encode_example(record[name]) for name, feature in names.items()}
        specs = {name: feature.get_serialized_info() for name, feature in names.items()}
        example = tfds.core.example_serializer.ExampleSerializer(specs).get_tf_example(encoded)
        return example.features.SerializeToString()


def _image_feature(name: str, image: bytes) -> bytes:
    """A serialised `tf.train.Features` of one bytes feature; the library takes 6 us for it."""
    return _field(1, _field(1, name.encode()) + _field(2, _field(1, _field(1, image))))


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a Protocol Buffers message."""
    size, prefix = len(content), bytearray([number << 3 | 2])
    while size > 127:
        prefix.append(size & 127 | 128)
        size >>= 7
    prefix.append(size)
    return bytes(prefix) + content
