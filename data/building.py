"""What the TFDS builders share: a data set in memory, written as a TFDS data set.

A family's `zoo_<name>_dataset_builder.py` holds

    class Builder(building.MemoryBuilder, building.FileReaderBuilder):
        VERSION = tfds.core.Version("1.0.0")
        RELEASE_NOTES = {"1.0.0": "Initial release."}
        BUILDER_CONFIGS = building.configs(memory.CONFIGS)
        SPACE = memory.SPACE
        IMAGE_SHAPE = (64, 64, 1)
        HOMEPAGE = "https://..."

and no more, unless it downloads (`_dataset`) or has further features (`_features`, `_columns`).
"""

import concurrent.futures
import dataclasses
import functools
import itertools
import os
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.dataset_builder import FileReaderBuilder
from tensorflow_datasets.core.utils import shard_utils

from zoo.data import catalog, perturbation, shards, splits
from zoo.data.dataset import Dataset
from zoo.data.space import FactorSpace
from zoo.errors import SettingError

__all__ = ["FileReaderBuilder", "MemoryBuilder", "SceneBuilder", "configs", "vector"]


def configs(descriptions: Mapping[str, str]) -> list[tfds.core.BuilderConfig]:
    """The TFDS configs of a family, from its `CONFIGS`."""
    return [tfds.core.BuilderConfig(name=n, description=d) for n, d in descriptions.items()]


def vector(*shape: int, dtype: type = np.float32) -> tfds.features.Tensor:
    """A feature of fixed shape, stored as plain bytes: written faster than lists of numbers."""
    return tfds.features.Tensor(shape=shape, dtype=dtype, encoding=tfds.features.Encoding.BYTES)


@dataclasses.dataclass
class NetworkConfig(tfds.core.BuilderConfig):
    """A perturbed set of a network other than the hub's, in a folder of its own.

    Attributes:
        network: as `perturbation.find` takes it.
    """

    network: str = ""


class PerturbedMixin:
    """Takes the network of the config `perturbed`, as an argument or from `ZOO_PERTURBATION`.

    Its examples are then the config `perturbed-<hash of the network>`, so that no network's files
    are taken for another's.
    """

    def __init__(self, *, config=None, network: str | os.PathLike | None = None, **kwargs):
        """Takes what every builder of TFDS takes, and `network`; see `perturbation.find`."""
        if network and config != "perturbed":
            raise SettingError(
                f"{self.name}/{config or 'rendered'} takes no network: only perturbed does"
            )
        if config == "perturbed":
            network = network or os.environ.get(perturbation.ENVIRONMENT)
            if network:
                folder = perturbation.find(self.name, network)
                config = NetworkConfig(
                    name=f"perturbed-{perturbation.digest(folder)}",
                    description=self.builder_configs["perturbed"].description,
                    network=os.fspath(network),
                )
        super().__init__(config=config, **kwargs)

    def _dataset(self, dl_manager: tfds.download.DownloadManager) -> Dataset:
        if isinstance(self.builder_config, NetworkConfig):
            return catalog.load(f"{self.name}/perturbed/network={self.builder_config.network}")
        return super()._dataset(dl_manager)


class MemoryBuilder:
    """Mixin: features from the factor space, examples from the data set in memory.

    Examples are `image`, then `label_<factor>` and `value_<factor>` for every factor, as in TFDS's
    own `dsprites`. They are written in a fixed random order, so that reading the files in sequence
    gives mixed batches; by threads of this process or, if the download config names a runner or
    options of Apache Beam, by Beam's workers: the files are the same. The splits are those that the
    data set has of its own; without, all examples are `train`, as in TFDS's own `dsprites`.

    A mixin rather than a Builder: TFDS finds README.md and the checksums by the builder's class.

    Attributes:
        SPACE: the factor space, or None for a data set without a grid.
        IMAGE_SHAPE: `(H, W, C)`.
        HOMEPAGE: where the data set comes from.
    """

    SPACE: ClassVar[FactorSpace | None] = None
    IMAGE_SHAPE: ClassVar[tuple[int, int, int]] = (64, 64, 3)
    HOMEPAGE: ClassVar[str] = ""

    def _dataset(self, dl_manager: tfds.download.DownloadManager) -> Dataset:
        """The data set in memory; override it where something is downloaded."""
        del dl_manager
        return catalog.load(f"{self.name}/{self.builder_config.name}")

    def _features(self) -> dict[str, tfds.features.FeatureConnector]:
        """The features of an example, by name; override it to add some."""
        features = {"image": tfds.features.Image(shape=self.IMAGE_SHAPE, encoding_format="png")}
        for factor in self.SPACE.axes if self.SPACE else ():
            features[f"label_{factor.name}"] = tfds.features.ClassLabel(num_classes=factor.size)
            features[f"value_{factor.name}"] = tfds.features.Scalar(np.float32)
        return features

    def _columns(self, dataset: Dataset, ids: np.ndarray) -> dict[str, np.ndarray]:
        """`[B, ...]` values of every feature that is neither label nor value, by name."""
        return {"image": dataset.images[ids]}

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(self._features()), homepage=self.HOMEPAGE
        )

    def _download_and_prepare(self, dl_manager, download_config=None) -> None:
        # TFDS's generator route takes 150 us an example for its Python serialiser alone, two
        # minutes on dSprites; here the factors' bytes are made once a value, not once an example.
        config = download_config or tfds.download.DownloadConfig()
        datasets = _parts(self._dataset(dl_manager))
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            written = [self._write(n, dataset, config, pool) for n, dataset in datasets.items()]
        self.info.set_splits(tfds.core.SplitDict(written))

    def _write(
        self,
        split: str,
        dataset: Dataset,
        config: tfds.download.DownloadConfig,
        pool: concurrent.futures.Executor,
    ) -> tfds.core.SplitInfo:
        order = shards.order_of(dataset)[: config.max_examples_per_split]
        encode = shards.Serialiser(self, dataset)
        size = np.mean([len(example) for example in encode(order[:256])])
        count = config.get_shard_config().get_number_shards(int(size * len(order)), len(order))
        bounds = [0, *shard_utils.get_shard_boundaries(len(order), count)]
        template = self._get_filename_template(split)
        parts = [
            (os.fspath(template.sharded_filepath(shard_index=i, num_shards=count)), start, stop)
            for i, (start, stop) in enumerate(itertools.pairwise(bounds))
        ]
        if config.beam_runner or config.beam_options:
            total = _beam_shards().write(self, dataset, parts, config)
        else:
            ahead = functools.partial(_ahead, pool)
            total = sum(shards.write_shard(self, encode, p, order[i:j], ahead) for p, i, j in parts)
        return tfds.core.SplitInfo(
            name=split,
            shard_lengths=np.diff(bounds).tolist(),
            num_bytes=total,
            filename_template=template,
        )


class SceneBuilder(MemoryBuilder):
    """Adds `mask`, `factors` and `count` of the objects in an image, of the extras of those names.

    A mixin as `MemoryBuilder` is; the extra of the masks is called `masks`.
    """

    def _factors_shape(self) -> tuple[int, int]:
        """The most objects of an image, and the factors of an object."""
        raise NotImplementedError

    def _features(self) -> dict[str, tfds.features.FeatureConnector]:
        mask = (*self.IMAGE_SHAPE[:2], 1)
        return super()._features() | {
            "mask": tfds.features.Image(shape=mask, encoding_format="png"),
            "factors": vector(*self._factors_shape()),
            "count": vector(dtype=np.uint8),
        }

    def _columns(self, dataset: Dataset, ids: np.ndarray) -> dict[str, np.ndarray]:
        return super()._columns(dataset, ids) | {
            "mask": dataset.extras["masks"][ids][..., None],
            "factors": dataset.extras["factors"][ids],
            "count": dataset.extras["count"][ids],
        }


def _beam_shards() -> ModuleType:
    try:
        from zoo.data import beam_shards
    except ImportError as error:
        raise SettingError(
            "a Beam runner was given and Apache Beam cannot be imported: install the extra `beam`"
        ) from error
    return beam_shards


def _parts(dataset: Dataset) -> dict[str, Dataset]:
    """The data set of every split that there is in TFDS."""
    own = dataset.extras.get("split")
    if own is None:
        return {"train": dataset}
    return {
        split: dataset.part(f"{dataset.name}[{split}]", ids)
        for split, ids in splits.labelled(own).items()
    }


def _ahead(pool: concurrent.futures.Executor, function, items: list) -> Iterator:
    """Like `pool.map`, but only a few results ahead of their use."""
    waiting = []
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > 4:
            yield waiting.pop(0).result()
    yield from (future.result() for future in waiting)
