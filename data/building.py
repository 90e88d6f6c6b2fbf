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

import dataclasses
import functools
import inspect
import os
from collections.abc import Mapping
from types import ModuleType
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core.dataset_builder import FileReaderBuilder
from tensorflow_datasets.core.utils import tqdm_utils

from zoo.data import catalog, croissant, expected, formats, perturbation, shards, splits, unfinished
from zoo.data.dataset import Dataset
from zoo.data.space import FactorSpace
from zoo.errors import SettingError

__all__ = ["FileReaderBuilder", "MemoryBuilder", "SceneBuilder", "configs", "vector"]


# The release note of the configs that have noise.
NEW_NOISE = "The noise of an image is no longer, but for a shift, largely that of another."

# What `zoo.data` takes and files of TFDS have once and for all.
_ELSEWHERE = {
    "seed": ": TFDS files are of seed 0; zoo.data.load has others, as zoo_synthetic/<set>/seed=3",
    "epsilon": ": the perturbed images of TFDS have that of their family; "
    "zoo.data.perturbation.perturbed(dataset, epsilon, ...) takes another",
}


def configs(
    descriptions: Mapping[str, str], release_notes: Mapping[str, dict[str, str]] | None = None
) -> list[tfds.core.BuilderConfig]:
    """The TFDS configs of a family, from its `CONFIGS`.

    Args:
        descriptions: by name.
        release_notes: of configs that have versions of their own, the newest last.
    """
    made = [tfds.core.BuilderConfig(name=n, description=d) for n, d in descriptions.items()]
    for config in made:
        if notes := (release_notes or {}).get(config.name):
            config.release_notes, config.version = notes, [*notes][-1]
    return made


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
        chosen = getattr(config, "name", config)
        if network and chosen != "perturbed":
            raise SettingError(
                f"{self.name}/{chosen or 'rendered'} takes no network: only perturbed does"
            )
        if chosen == "perturbed":
            network = network or os.environ.get(perturbation.ENVIRONMENT)
            if network:
                names = (network, perturbation.hub_name(self.name))
                found, hubs = (
                    perturbation.digest(perturbation.find(self.name, name)) for name in names
                )
                if found != hubs:
                    config = NetworkConfig(
                        name=f"perturbed-{found}",
                        description=self.builder_configs["perturbed"].description,
                        network=os.fspath(network),
                    )
        super().__init__(config=config, **kwargs)

    def _dataset(self, dl_manager: tfds.download.DownloadManager) -> Dataset:
        config, network = self.builder_config, None
        if isinstance(config, NetworkConfig):
            network = config.network
        elif config.name == "perturbed":
            # By name: `ZOO_PERTURBATION` may have been set since this builder was made.
            network = perturbation.hub_name(self.name)
        if network is None:
            return super()._dataset(dl_manager)
        return catalog.load(f"{self.name}/perturbed/network={network}")


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

    def __init__(self, *, file_format=None, **kwargs):
        """Takes what every builder of TFDS takes.

        Args:
            file_format: of files to be written; prepared ones are read in any (`zoo.data.formats`).
            **kwargs: for TFDS.

        Raises:
            SettingError: TFDS knows no such argument.
        """
        _require_known(self.name, kwargs)
        super().__init__(**kwargs)
        if file_format and not self.info.initialized:
            self.info.set_file_format(file_format, override=True)

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

    def _counts(self) -> dict[str, int]:
        """The number of examples of every split; none where it depends on the user."""
        return {"train": len(self.SPACE)} if self.SPACE else {}

    def _licence(self) -> str:
        """The address of the licence of the config's images."""
        return "https://www.apache.org/licenses/LICENSE-2.0"

    def _targets(self) -> object:
        """What `as_supervised=True` gives beside the image: feature names, in dicts or tuples.

        By default the index of every factor of the grid, by the factor's name.
        """
        return {name: f"label_{name}" for name in self.SPACE.names} if self.SPACE else None

    def _info(self) -> tfds.core.DatasetInfo:
        metadata, features = self.get_metadata(), self._features()
        targets = self._targets()
        info = expected.SizedInfo(
            builder=self,
            description=metadata.description,
            citation=metadata.citation,
            homepage=self.HOMEPAGE,
            license=self._licence(),
            features=tfds.features.FeaturesDict(features),
            supervised_keys=targets and (next(iter(features)), targets),
        )
        info.expected = expected.splits(self, info.features, self._counts())
        if self.builder_config.name == "official":
            info.expected_download = sum(url.size for url in (self.url_infos or {}).values())
        return info

    def _require_current(self) -> None:
        """Raises a SettingError where prepared files are not what would be written now.

        Override it where that depends on the user.
        """

    def as_dataset(self, *args, **kwargs):
        """As TFDS's; of files for random access it makes a copy that it can read."""
        self._require_current()
        formats.provide(self, "tf_data")
        return super().as_dataset(*args, **kwargs)

    def as_data_source(self, *args, **kwargs):
        """As TFDS's; of files that are read in sequence it makes a copy for random access."""
        self._require_current()
        formats.provide(self, "random_access")
        return super().as_data_source(*args, **kwargs)

    def download_and_prepare(self, *, download_config=None, **kwargs) -> None:
        """As TFDS's; of two builds of the same at once one writes, and the other waits for it."""
        config = download_config or tfds.download.DownloadConfig()
        anew = config.download_mode.overwrite_dataset
        prepare = functools.partial(super().download_and_prepare, download_config=config, **kwargs)
        if (self.is_prepared() and not anew) or formats.mocked():
            prepare()
            return
        with unfinished.turn(self.data_dir, self.info.full_name):
            if self.is_prepared() and not self.info.initialized and not anew:
                # By another process meanwhile, whose format is that of the files.
                self.info.as_proto.ClearField("file_format")
                self.info.read_from_directory(self.data_dir)
            prepare()

    def _download_and_prepare(self, dl_manager, download_config=None) -> None:
        # TFDS's generator route takes 150 us an example for its Python serialiser alone, two
        # minutes on dSprites; here the factors' bytes are made once a value, not once an example.
        config = download_config or tfds.download.DownloadConfig()
        splits = {
            n: self._split(n, d, config) for n, d in _parts(self._dataset(dl_manager)).items()
        }
        if config.beam_runner or config.beam_options:
            sizes = {name: self._write_by_beam(split, config) for name, split in splits.items()}
        else:
            sizes = self._write(splits)
        self.info.set_splits(
            tfds.core.SplitDict(
                tfds.core.SplitInfo(
                    name=name,
                    shard_lengths=np.diff(split.bounds).tolist(),
                    num_bytes=sizes[name],
                    filename_template=self._get_filename_template(name),
                )
                for name, split in splits.items()
            )
        )
        croissant.write(self, self.data_dir)

    def _split(
        self, name: str, dataset: Dataset, config: tfds.download.DownloadConfig
    ) -> shards.Split:
        order = shards.order_of(dataset)[: config.max_examples_per_split]
        encode = shards.Serialiser(self, dataset)
        size = np.mean([len(example) for example in encode(order[:256])]) * len(order)
        bounds = expected.shard_bounds(config, size, len(order))
        template, count = self._get_filename_template(name), len(bounds) - 1
        paths = (template.sharded_filepath(shard_index=i, num_shards=count) for i in range(count))
        return shards.Split(dataset, order, encode, bounds, [path.name for path in paths])

    def _write(self, splits: dict[str, shards.Split]) -> dict[str, int]:
        """Writes all files; the bytes of the examples of every split."""
        plan = {
            "data": {name: split.dataset.fingerprint for name, split in splits.items()},
            "files": {name: split.bounds for name, split in splits.items()},
            "format": self.info.file_format.value,
        }
        total = sum(len(split.order) for split in splits.values())
        with (
            unfinished.workspace(self.data_dir, str(self.version), plan) as workspace,
            tqdm_utils.tqdm(total=total, unit=" examples", desc=f"writing {self.name}") as bar,
        ):
            return {
                name: split.write(workspace, self.info.file_format, bar.update)
                for name, split in splits.items()
            }

    def _write_by_beam(self, split: shards.Split, config: tfds.download.DownloadConfig) -> int:
        parts = [(os.path.join(self.data_dir, n), i, j) for n, i, j in split.files()]
        return _beam_shards().write(self, split.dataset, parts, config)


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

    def _targets(self) -> dict[str, str]:
        return {name: name for name in ("factors", "count", "mask")}

    def _columns(self, dataset: Dataset, ids: np.ndarray) -> dict[str, np.ndarray]:
        return super()._columns(dataset, ids) | {
            "mask": dataset.extras["masks"][ids][..., None],
            "factors": dataset.extras["factors"][ids],
            "count": dataset.extras["count"][ids],
        }


def _require_known(family: str, arguments: Mapping) -> None:
    """Raises a SettingError where a builder of TFDS takes no such argument."""
    known = inspect.signature(tfds.core.DatasetBuilder.__init__).parameters
    if any(each.kind is each.VAR_KEYWORD for each in known.values()):
        return  # TFDS puts such a constructor there for its mock data.
    for name in arguments:
        if name not in known:
            raise SettingError(
                f"{family} takes no {name}"
                + _ELSEWHERE.get(name, f"; it takes {', '.join([*known][1:])}, file_format")
            )


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
