"""Stateless samplers: the batch of a step is a pure function of (seed, step).

A sampler is called as `sampler(tables, seed, step)` with `tables = tensors(dataset)`, inside or
outside a graph, and returns a dict of tensors with a leading batch axis: the batch of all replicas
together, the same however many share it. Resuming a run at step k therefore needs only k, and a
whole training loop over a data set in memory compiles under XLA.

Every batch holds `image` `[B, ...]` float32 and `index` `[B]` int32, the ids of the images;
pairs also `partner` and `partner_index`, of the same shapes. A data set with continuous latents
adds `latents` `[B, K]` float32.

Of a split (`zoo.data.load(name, split="train")`) only its own images are drawn. Pairs start from
them too, but a partner that is made from its first image's factors is any image of the grid: almost
no two images of a random part of a grid differ in one factor only.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from zoo.data.dataset import Dataset
from zoo.errors import SettingError

_LATENTS, _IDS = "dataset/latents", "dataset/ids"


def tensors(dataset: Dataset) -> dict[str, tf.Tensor]:
    """The tables of a data set as tensors, to be passed to a sampler."""
    whole = dataset.whole
    arrays = dict(whole.images.tables)
    if whole.latents is not None:
        arrays[_LATENTS] = whole.latents
    if dataset is not whole:
        arrays[_IDS] = dataset.ids
    return {name: tf.convert_to_tensor(array) for name, array in arrays.items()}


def as_float(dataset: Dataset, images: tf.Tensor) -> tf.Tensor:
    """Observations as float32; images scaled to [0, 1]."""
    images = tf.cast(images, tf.float32)
    # Not a division: XLA would make this multiplication of it, and other bits.
    return images if dataset.images.maximum == 1 else images * (1 / dataset.images.maximum)


def observations(dataset: Dataset, ids: np.ndarray) -> tf.Tensor:
    """The observations of some ids as samplers give them, `[n, ...]` float32."""
    return as_float(dataset, tf.constant(dataset.whole.images[ids]))


def fold(seed, step) -> tf.Tensor:
    """The stateless seed, `[2]` int32, of one step of one run; different streams fold in more."""
    base = tf.stack([tf.cast(seed, tf.int32), tf.constant(0x5A00, tf.int32)])
    return tf.random.fold_in(base, tf.cast(step, tf.int32), alg="philox")


@dataclasses.dataclass(frozen=True, eq=False)
class Independent:
    """Single images drawn uniformly with replacement from a data set or split."""

    dataset: Dataset
    batch_size: int

    def __call__(self, tables: dict[str, tf.Tensor], seed, step) -> dict[str, tf.Tensor]:
        """The batch of one step."""
        index = _drawn(self.dataset, tables, fold(seed, step), self.batch_size)
        return _batch(self.dataset, tables, index)


@dataclasses.dataclass(frozen=True, eq=False)
class Domains:
    """Images of several domains, every domain being drawn equally often on average.

    Gives `domain` `[B]` int32 beside the image: a domain is drawn uniformly, then one of its
    images.

    Args:
        dataset: its `extras[key]` holds the domain of every image, `[N]` integers 0, 1, ...
        batch_size: images a batch.
        key: the name of the extra.

    Raises:
        SettingError: there is no such extra, or it does not hold the integers from 0 without a gap.
    """

    dataset: Dataset
    batch_size: int
    key: str = "domain"

    def __post_init__(self):
        if self.key not in self.dataset.extras:
            raise SettingError(
                f"{self.dataset.name} has no {self.key!r} for every image; it has "
                f"{sorted(self.dataset.extras) or 'nothing'}"
            )
        domains = np.asarray(self.dataset.extras[self.key])
        numbers = domains.ndim == 1 and domains.dtype.kind in "biuf"
        values, counts = np.unique(domains, return_counts=True) if numbers else ([], [])
        if [*values] != [*range(max(len(values), 1))]:
            some = sorted({str(value) for value in domains.ravel().tolist()})[:8]
            raise SettingError(
                f"the {self.key!r} of {self.dataset.name} must be [N] integers, all of 0, 1, ...; "
                f"it is {domains.dtype} of shape {list(domains.shape)} and holds {', '.join(some)}"
            )
        starts = np.cumsum(counts) - counts
        object.__setattr__(self, "_spans", np.stack([starts, counts]).astype(np.int32))
        order = np.argsort(domains, kind="stable").astype(np.int32)
        # Most sets are in order, and need no table of it in their graph.
        object.__setattr__(self, "_order", order if (np.diff(order) < 0).any() else None)

    def __call__(self, tables: dict[str, tf.Tensor], seed, step) -> dict[str, tf.Tensor]:
        """The batch of one step."""
        seeds = _seeds(seed, step, 2)
        domain = _below(seeds[0], [self.batch_size], self._spans.shape[1])
        starts, counts = tf.unstack(tf.gather(self._spans, domain, axis=1))
        positions = starts + _below(seeds[1], [self.batch_size], counts)
        if self._order is not None:
            positions = tf.gather(self._order, positions)
        index = _ids(self.dataset, tables, positions)
        return {**_batch(self.dataset, tables, index), "domain": domain}


@dataclasses.dataclass(frozen=True, eq=False)
class LaplacePairs:
    """Pairs whose factors change a little: the transitions of SlowVAE (Klindt et al. 2021).

    The first image is drawn uniformly. Each ordered factor of the second, with n values, is drawn
    on its grid with probability proportional to exp(-rate |j - i| / ln n), i being its index in
    the first; categorical factors are kept. If nothing changed, one ordered factor drawn uniformly
    is drawn again from the same probabilities without i. Circular factors are not treated as such,
    as in the authors' code.

    Args:
        dataset: has a factor grid with an ordered factor of at least two values.
        batch_size: pairs a batch.
        rate: of the Laplace distribution; -1 draws one uniformly from [1, 10] for every pair.

    Raises:
        SettingError: the data set has no such grid, or the rate is neither positive nor -1.
    """

    dataset: Dataset
    batch_size: int
    rate: float = 1.0

    def __post_init__(self):
        sizes = _sizes(self.dataset)
        if self.rate <= 0 and self.rate != -1:
            raise SettingError(f"the Laplace rate must be positive, or -1 to draw it: {self.rate}")
        ordered = (sizes > 1) & ~np.array(self.dataset.space.categorical)
        if not ordered.any():
            raise SettingError(
                f"no factor of {self.dataset.name} is ordered and has several values"
            )
        object.__setattr__(self, "_ordered", ordered)

    def __call__(self, tables: dict[str, tf.Tensor], seed, step) -> dict[str, tf.Tensor]:
        """The batch of one step."""
        seeds = _seeds(seed, step, 5)
        sizes, batch = _sizes(self.dataset), self.batch_size
        first = _drawn(self.dataset, tables, seeds[0], batch)
        start = _factors(self.dataset, first)
        rate = tf.fill([batch], float(self.rate))
        if self.rate == -1:
            rate = 1.0 + 9.0 * _uniform(seeds[1], [batch])
        grid = np.arange(sizes.max())
        distance = tf.cast(tf.abs(grid - start[..., None]), tf.float32)
        # A factor of one value has distance 0 only; its scale ln 1 = 0 must not divide it.
        logits = -distance * (rate[:, None] / np.log(np.maximum(sizes, 2)))[..., None]
        logits = tf.where(grid < sizes[:, None], logits, -np.inf)
        moved = tf.where(self._ordered, _categorical(seeds[2], logits), start)
        elsewhere = _categorical(seeds[3], tf.where(distance == 0, -np.inf, logits))
        axes = tf.constant(np.flatnonzero(self._ordered), tf.int32)
        axis = tf.gather(axes, _below(seeds[4], [batch], axes.shape[0]))
        still = tf.reduce_all(moved == start, axis=1, keepdims=True)
        again = still & (axis[:, None] == np.arange(len(sizes)))
        return _pair(self.dataset, tables, first, tf.where(again, elsewhere, moved))


@dataclasses.dataclass(frozen=True, eq=False)
class UniformPairs:
    """Pairs that differ in exactly k factors, each changed to another value uniformly.

    The `uniform` pairs of SlowVAE (Klindt et al. 2021), after Locatello et al. (2020). Gives
    `changed` `[B, F]` bool beside the pair: which factors differ.

    Args:
        dataset: has a factor grid.
        batch_size: pairs a batch.
        k: how many factors change; -1 draws it uniformly from 1..F-1 for every pair, F being the
            number of factors with at least two values.

    Raises:
        SettingError: the data set has no grid, or too few factors for k.
    """

    dataset: Dataset
    batch_size: int
    k: int = -1

    def __post_init__(self):
        _require_count("k", self.k, int((_sizes(self.dataset) > 1).sum()), self.dataset)

    def __call__(self, tables: dict[str, tf.Tensor], seed, step) -> dict[str, tf.Tensor]:
        """The batch of one step."""
        seeds = _seeds(seed, step, 4)
        sizes, batch = _sizes(self.dataset), self.batch_size
        first = _drawn(self.dataset, tables, seeds[0], batch)
        start = _factors(self.dataset, first)
        changed = _subset(seeds[1:3], batch, self.k, sizes > 1)
        steps = 1 + _below(seeds[3], [batch, len(sizes)], np.maximum(sizes - 1, 1))
        factors = tf.where(changed, (start + steps) % sizes, start)
        return {**_pair(self.dataset, tables, first, factors), "changed": changed}


@dataclasses.dataclass(frozen=True, eq=False)
class MatchedPairs:
    """Pairs that share some factors, all others being drawn independently for both images.

    With one shared factor this is share pairing (Shu et al. 2020, "full sharing"): `label` `[B]`
    int32 is the factor. With all factors but one it is their change pairing. `shared` `[B, F]` bool
    says which factors are shared on purpose; others may agree by chance.

    Args:
        dataset: has a factor grid.
        batch_size: pairs a batch.
        k: how many factors are shared, drawn uniformly for every pair; -1 draws k uniformly from
            1..F-1, F being the number of factors.

    Raises:
        SettingError: the data set has no grid, or too few factors for k.
    """

    dataset: Dataset
    batch_size: int
    k: int = 1

    def __post_init__(self):
        _require_count("k", self.k, len(_sizes(self.dataset)), self.dataset)

    def __call__(self, tables: dict[str, tf.Tensor], seed, step) -> dict[str, tf.Tensor]:
        """The batch of one step."""
        seeds = _seeds(seed, step, 4)
        sizes, batch = _sizes(self.dataset), self.batch_size
        first = _drawn(self.dataset, tables, seeds[0], batch)
        shared = _subset(seeds[1:3], batch, self.k, np.ones(len(sizes), bool))
        drawn = _below(seeds[3], [batch, len(sizes)], sizes)
        factors = tf.where(shared, _factors(self.dataset, first), drawn)
        pair = {**_pair(self.dataset, tables, first, factors), "shared": shared}
        if self.k == 1:
            pair["label"] = tf.argmax(tf.cast(shared, tf.int32), axis=1, output_type=tf.int32)
        return pair


def _seeds(seed, step, count: int) -> list[tf.Tensor]:
    return tf.unstack(tf.random.split(fold(seed, step), count, alg="philox"))


def _bits(seed: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    # Floats from TensorFlow differ between its kernels and XLA; these bits do not.
    return tf.random.stateless_uniform(shape, seed, None, None, tf.uint32, alg="philox")


def _uniform(seed: tf.Tensor, shape: Sequence[int]) -> tf.Tensor:
    """Uniform float32 numbers strictly between 0 and 1: odd multiples of 2^-24, all exact."""
    top = tf.bitwise.right_shift(_bits(seed, shape), tf.constant(9, tf.uint32))
    return (tf.cast(tf.cast(top, tf.int32), tf.float32) + 0.5) * 2.0**-23


def _below(seed: tf.Tensor, shape: Sequence[int], bound) -> tf.Tensor:
    """Uniform integers `0 <= i < bound`, int32; `bound` broadcasts to `shape`."""
    bits = _bits(seed, shape)
    # The upper half of a 64-bit product: no bound's share is off by more than bound / 2^32.
    return tf.cast(tf.cast(bits, tf.int64) * tf.cast(bound, tf.int64) // 2**32, tf.int32)


def _ids(dataset: Dataset, tables: dict[str, tf.Tensor], positions: tf.Tensor) -> tf.Tensor:
    """The ids of the images at given positions of the split."""
    return positions if dataset is dataset.whole else tf.gather(tables[_IDS], positions)


def _drawn(dataset: Dataset, tables: dict[str, tf.Tensor], seed: tf.Tensor, count: int):
    """The ids of images drawn uniformly from the split, `[count]` int32."""
    return _ids(dataset, tables, _below(seed, [count], len(dataset)))


def _categorical(seed: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """One draw from each row of unnormalised log-probabilities `[..., M]`, by the Gumbel trick."""
    gumbel = -tf.math.log(-tf.math.log(_uniform(seed, logits.shape)))
    return tf.argmax(logits + gumbel, axis=-1, output_type=tf.int32)


def _subset(seeds: Sequence[tf.Tensor], batch: int, k: int, allowed: np.ndarray) -> tf.Tensor:
    """`[batch, F]` bool: k factors of each row, drawn uniformly; k = -1 draws k first."""
    noise = _uniform(seeds[0], [batch, len(allowed)])
    ranks = tf.argsort(tf.argsort(tf.where(allowed, noise, 2.0), stable=True))
    if k == -1:
        k = 1 + _below(seeds[1], [batch, 1], int(allowed.sum()) - 1)
    return ranks < k


def _sizes(dataset: Dataset) -> np.ndarray:
    """`[F]` int32 sizes of the factors of a data set that covers its grid."""
    space = dataset.space
    if space is None or not space.is_grid or len(space) != len(dataset.whole):
        raise SettingError(f"{dataset.name} has no complete factor grid to draw pairs from")
    return np.array(dataset.space.sizes, np.int32)


def _require_count(name: str, k: int, factors: int, dataset: Dataset) -> None:
    if not (1 <= k <= factors or (k == -1 and factors > 1)):
        raise SettingError(
            f"{name} = {k} must be -1 or 1..{factors}, the factors of {dataset.name} that vary"
        )


def _factors(dataset: Dataset, index: tf.Tensor) -> tf.Tensor:
    strides = dataset.space.strides.astype(np.int32)
    return index[:, None] // strides % np.array(dataset.space.sizes, np.int32)


def _batch(dataset: Dataset, tables: dict[str, tf.Tensor], index: tf.Tensor) -> dict:
    batch = {"image": as_float(dataset, dataset.whole.images.gather(tables, index)), "index": index}
    if dataset.latents is not None:
        batch["latents"] = tf.gather(tables[_LATENTS], index)
    return batch


def _pair(dataset: Dataset, tables, first: tf.Tensor, factors: tf.Tensor) -> dict:
    second = tf.reduce_sum(factors * dataset.space.strides.astype(np.int32), axis=1)
    both = _batch(dataset, tables, tf.concat([first, second], axis=0))
    halves = {name: tf.split(value, 2) for name, value in both.items()}
    return {
        **{name: half[0] for name, half in halves.items()},
        **{
            "partner" if name == "image" else f"partner_{name}": half[1]
            for name, half in halves.items()
        },
    }
