"""Stateless samplers: the batch of a step is a pure function of (seed, step).

A sampler is called as `sampler(tables, seed, step)` with `tables = tensors(dataset)`, inside or
outside a graph, and gives a dict of tensors with a leading batch axis. Resuming a run at step k
therefore needs only k, and a whole training loop over a data set in memory compiles under XLA.
"""

import dataclasses

import tensorflow as tf

from data.dataset import Dataset


def tensors(dataset: Dataset) -> dict[str, tf.Tensor]:
    """The tables of a data set as tensors, to be passed to a sampler."""
    return {name: tf.convert_to_tensor(array) for name, array in dataset.images.tables.items()}


def as_float(dataset: Dataset, images: tf.Tensor) -> tf.Tensor:
    """Observations as float32; images scaled to [0, 1]."""
    images = tf.cast(images, tf.float32)
    return images if dataset.images.maximum == 1 else images / dataset.images.maximum


def fold(seed, step) -> tf.Tensor:
    """The stateless seed, `[2]` int32, of one step of one run; different streams fold in more."""
    base = tf.stack([tf.cast(seed, tf.int32), tf.constant(0x5A00, tf.int32)])
    return tf.random.fold_in(base, tf.cast(step, tf.int32), alg="philox")


@dataclasses.dataclass(frozen=True, eq=False)
class Independent:
    """Single images drawn uniformly with replacement from all of a data set.

    Gives `image` `[B, ...]` float32 and `index` `[B]` int32, the numbers of the images.
    """

    dataset: Dataset
    batch_size: int

    def __call__(self, tables: dict[str, tf.Tensor], seed, step) -> dict[str, tf.Tensor]:
        """The batch of one step."""
        index = tf.random.stateless_uniform(
            [self.batch_size],
            fold(seed, step),
            minval=0,
            maxval=len(self.dataset),
            dtype=tf.int32,
            alg="philox",
        )
        images = self.dataset.images.gather(tables, index)
        return {"image": as_float(self.dataset, images), "index": index}
