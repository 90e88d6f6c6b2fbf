"""Synthetic vectors in memory: latents from a seed through a known mixing; nothing on disk."""

import dataclasses
import functools
import pathlib
from collections.abc import Callable

import numpy as np

from zoo.data import splits
from zoo.data.dataset import Dataset, DenseImages
from zoo.data.renderers import mixings, synthetic
from zoo.data.zoo_balls.supports import SUPPORTS
from zoo.data.zoo_synthetic import domain_sets, graphs, sources
from zoo.errors import SettingError

VERSION = "1.2.0"
SOURCES = graphs.SOURCES
DOMAINS = 2 * SOURCES + 1
# Decaying variances, so that every principal direction is determined.
VARIANCES = (4.0, 2.0, 1.0, 0.5, 0.25)
NONLINEARITIES = (0.0, 0.1, 0.3, 1.0)

SIZES = {"train": 40_000, "validation": 5_000, "test": 5_000}
DOMAIN_SIZES = {"train": 10_000, "validation": 1_000, "test": 1_000}


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """Where the vectors of a data set come from.

    Attributes:
        mixing: latents to observations, with its exact Jacobian.
        draw: `(rng, domain [N])` to `[N, n]` latents.
        sizes: the number of samples of each split, in one domain.
        domains: what is known of the sources in each domain; None where there is one only.
        drawn: the set of `domain_sets` that it is, with its `facts`; None where it is none.
    """

    mixing: synthetic.Mixing | mixings.Turned | mixings.Quadratic
    draw: Callable[[np.random.Generator, np.ndarray], np.ndarray]
    sizes: dict[str, int]
    domains: sources.DomainSources | None = None
    drawn: domain_sets.DrawnSet | None = None

    def sample(self, seed: int) -> dict[str, np.ndarray]:
        """`observations` `[N, D]`, `latents` `[N, n]`, both float32, `domain` and `split` `[N]`.

        Observations are the mixing of the float32 latents, rounded once.
        """
        count = 1 if self.domains is None else len(self.domains.means)
        totals = {name: size * count for name, size in self.sizes.items()}
        domain = [np.repeat(np.arange(count), size) for size in self.sizes.values()]
        # A stream for each split, so that no split depends on the size of another.
        streams = [np.random.Generator(np.random.PCG64([seed, i])) for i in range(len(domain))]
        latents = [self.draw(r, d).astype(np.float32) for r, d in zip(streams, domain, strict=True)]
        latents = np.concatenate(latents)
        return {
            "observations": self.mixing(latents).astype(np.float32),
            "latents": latents,
            "domain": np.concatenate(domain).astype(np.int32),
            "split": splits.labels(totals),
        }


def unit_square(mixing: synthetic.Mixing) -> Source:
    """50,000 latents uniform on the unit square (or cube), mixed."""
    inputs = mixing.linear.shape[1]
    return Source(mixing, lambda rng, domain: rng.random((len(domain), inputs)), SIZES)


def standard_normal(mixing: synthetic.Mixing) -> Source:
    """50,000 standard normal latents, mixed."""
    inputs = mixing.linear.shape[1]
    return Source(mixing, lambda rng, domain: rng.standard_normal((len(domain), inputs)), SIZES)


def l_shape(mixing: synthetic.Mixing | mixings.Quadratic) -> Source:
    """50,000 latents uniform on the L of the unit square that lacks (1/2, 1]^2, mixed."""
    draw = SUPPORTS["bump_l_shape"]
    return Source(mixing, lambda rng, domain: draw(rng, len(domain)), SIZES)


def multi_domain(
    domains: int,
    pattern: np.ndarray | None = None,
    changing: int | None = None,
    seed: int = 0,
) -> Source:
    """Multi-domain non-linear ICA: sources that change with the domain, mixed sparsely.

    Args:
        domains: 1 to 2n + 1; 10,000 + 1,000 + 1,000 samples each.
        pattern: `[D, n]` bool sparsity pattern of the Jacobian; a band of two parents if None.
        changing: how many sources change between domains; all if None.
        seed: of the mixing and of the sources' distributions.
    """
    pattern = synthetic.banded(SOURCES) if pattern is None else np.asarray(pattern, bool)
    drawn = sources.domain_sources(pattern.shape[1], domains, seed, changing)
    mixing = synthetic.sparse(pattern, seed, scale=2.0)
    return Source(mixing, drawn.sample, DOMAIN_SIZES, drawn)


def domain_set(kind: domain_sets.DomainSet, seed: int) -> Source:
    """The set of a kind that a seed draws; see `domain_sets.DomainSet.draw`."""
    drawn = kind.draw(seed)
    sizes = dict(DOMAIN_SIZES)
    if kind.total:
        sizes["train"] = domain_sets.TOTAL // kind.domains
    return Source(drawn.mixing, drawn.sources.sample, sizes, drawn.sources, drawn)


def covariance(variances: tuple[float, ...] = VARIANCES, seed: int = 0) -> np.ndarray:
    """`[D, D]` covariance with given eigenvalues and random directions."""
    rng = np.random.Generator(np.random.PCG64(seed))
    directions, _ = np.linalg.qr(rng.standard_normal((len(variances), len(variances))))
    return directions * variances @ directions.T


_DENSE = np.ones((SOURCES, SOURCES), bool)

_SOURCES: dict[str, tuple[str, Callable[[], Source]]] = {
    "linear": (
        "the unit square, one side stretched by 2, turned in space",
        lambda: unit_square(synthetic.plane(2.0)),
    ),
    **{
        f"linear_{ratio}": (
            f"the unit square, one side stretched by {ratio}, turned in space",
            functools.partial(lambda r: unit_square(synthetic.plane(r)), ratio),
        )
        for ratio in (1.0, 1.2, 1.5)
    },
    "nonlinear": (
        "the unit square through a random network, 2 to 10 (tanh) to 6",
        lambda: unit_square(synthetic.random_network(seed=0)),
    ),
    # Of the seeds 0 to 299 that whose exact Jacobian has the lowest DtO against the axes, 0.05;
    # that of `nonlinear` has 0.79, where a turn by 45 degrees has 1.08.
    "nonlinear_aligned": (
        "the same, one side stretched by 2; its network keeps the sides nearly orthogonal",
        lambda: unit_square(synthetic.random_network(seed=296, ratio=2.0)),
    ),
    **{
        f"additive_{nonlinearity}": (
            f"an L through a sum of functions of one latent each, of non-linearity {nonlinearity}",
            functools.partial(lambda e: l_shape(synthetic.additive(e)), nonlinearity),
        )
        for nonlinearity in NONLINEARITIES
    },
    "squares": (
        "an L through a sum of quadratic functions of one latent each",
        lambda: l_shape(mixings.squares(0)),
    ),
    "interacting": (
        "an L through the sum of `additive_1.0` and products of the two latents",
        lambda: l_shape(mixings.interacting(synthetic.additive(1.0), 1)),
    ),
    "gaussian": (
        f"a Gaussian in {len(VARIANCES)} dimensions with distinct principal variances",
        lambda: standard_normal(synthetic.gaussian(covariance())),
    ),
    **{
        f"domains_{count}": (
            f"{SOURCES} sources that change over {count} domain(s), mixed with a sparse Jacobian",
            functools.partial(multi_domain, count),
        )
        for count in range(DOMAINS, 0, -1)
    },
    f"domains_{DOMAINS}_dense": (
        f"{SOURCES} sources that change over {DOMAINS} domains, mixed with a dense Jacobian",
        lambda: multi_domain(DOMAINS, _DENSE),
    ),
    f"domains_{DOMAINS}_partial": (
        f"{SOURCES} sources, 2 of which change over {DOMAINS} domains, mixed densely",
        lambda: multi_domain(DOMAINS, _DENSE, changing=2),
    ),
}

CONFIGS = {
    **{name: text for name, (text, _) in _SOURCES.items()},
    **{name: kind.description for name, kind in domain_sets.SETS.items()},
}


def source(config: str, seed: int = 0) -> Source:
    """The mixing, its Jacobian and the sources of a config.

    Args:
        config: a key of `CONFIGS`.
        seed: of those that a seed draws, `domain_sets.SETS`.

    Raises:
        SettingError: a seed of a config that is one fixed set.

    >>> source("linear").mixing.jacobian([0.5, 0.5]).shape
    (3, 2)
    """
    if config in domain_sets.SETS:
        return domain_set(domain_sets.SETS[config], seed)
    if seed:
        raise SettingError(
            f"zoo_synthetic/{config} is one set and takes no seed; those of a graph do, such as "
            f"zoo_synthetic/shared_pair_5/seed={seed}"
        )
    return _SOURCES[config][1]()


def named(name: str) -> Source:
    """The source of a set by its whole name, `zoo_synthetic/shared_pair_5/seed=3`.

    Raises:
        SettingError: there is no such set.
    """
    family, _, rest = name.partition("/")
    config, _, seed = rest.partition("/seed=")
    if family != "zoo_synthetic" or config not in CONFIGS or not (seed or "0").isdecimal():
        raise SettingError(f"{name!r} is no set of zoo_synthetic (without a split)")
    return source(config, int(seed or 0))


def load(config: str, directory: pathlib.Path, seed: str = "0") -> Dataset:
    """Loads a set of synthetic vectors; `source(config)` has their mixing and its Jacobian.

    `images` are the observations, `[N, D]` float32. `extras` are `split` `[N]` (numbers in
    `splits.NAMES`) and, of sets with domains, `domain` `[N]` and `mixing_graph` `[N, D, n]`, which
    observation depends on which source, the same in every row.

    Args:
        config: a key of `CONFIGS`.
        directory: not used: nothing is kept.
        seed: see `source`; a number, as written in a name.
    """
    del directory
    if not seed.isdecimal():
        raise SettingError(f"zoo_synthetic/{config}/seed={seed}: the seed is a whole number from 0")
    number = int(seed)
    chosen = source(config, number)
    drawn = chosen.sample(seed=1 + number)
    extras = {"split": drawn["split"]}
    if chosen.domains is not None:
        extras["domain"] = drawn["domain"]
        pattern = chosen.mixing.pattern
        # One an image, as all extras are, at the price of one.
        extras["mixing_graph"] = np.broadcast_to(pattern, (len(drawn["domain"]), *pattern.shape))
    return Dataset(
        name=f"zoo_synthetic/{config}" + (f"/seed={number}" if number else ""),
        images=DenseImages(drawn["observations"], maximum=1.0),
        latents=drawn["latents"],
        extras=extras,
    )
