"""Sets of sources that change with the domain, mixed by a graph; each with what is known of it."""

import dataclasses
import functools

import numpy as np

from zoo.data.renderers import mixings, synthetic
from zoo.data.zoo_synthetic import graphs, sources
from zoo.errors import SettingError

DOMAIN_COUNTS = (1, 2, 3, 4, 5, 7, 9)
TOTAL = 40_000
# What a drawn set must keep: the least ratio of singular values of its Jacobian, unless it is
# injective by construction, and the most that raw observations may score where they must be no
# solution.
LEAST_RATIO, MOST_RAW = 0.1, 0.85
DRAWS = 200
_UNSOLVED = ("banded", "shared_pair", "random_50", "random_75", "random_100", "dense_turned")
_LATENTS, _FEW = 10_000, 500
_TURNS = 5


@dataclasses.dataclass(frozen=True)
class DomainSet:
    """A kind of set; `draw` makes one of every seed.

    Attributes:
        graph: a key of `graphs.GRAPHS`.
        domains: how many.
        changes: what changes with the domain, see `sources.changing_sources`.
        wide: twice as many observations as sources, instead of as many.
        total: the training samples of all domains are 40,000 together, instead of 10,000 each.
    """

    graph: str
    domains: int
    changes: str = "both"
    wide: bool = False
    total: bool = False

    @property
    def name(self) -> str:
        """The config."""
        parts = [self.graph, str(self.domains)]
        parts += [self.changes] if self.changes != "both" else []
        parts += ["wide"] if self.wide and self.graph != "pure_child" else []
        return "_".join([*parts, *(["total"] if self.total else [])])

    @property
    def description(self) -> str:
        """One line."""
        changing = {"both": "means and deviations change", "mean": "means change"}
        changing = changing.get(self.changes, "deviations change")
        outputs = 2 * graphs.SOURCES if self.wide else graphs.SOURCES
        return (
            f"{graphs.SOURCES} sources whose {changing} over {self.domains} domain(s), "
            f"{outputs} observations, graph {self.graph.replace('_', ' ')}"
            + (f"; {TOTAL:,} training samples in all" if self.total else "")
        )

    @functools.cache  # noqa: B019  a few hundred small arrays at most
    def draw(self, seed: int) -> "DrawnSet":
        """The set of a seed, which draws graph, mixing and sources.

        Draws are repeated until the Jacobian's least and largest singular values have a ratio of
        0.1 at all of 10,000 latents (`dense_turned` is injective whatever they are, and exempt),
        and, for the graphs `banded`, `shared_pair`, `dense_turned` and random ones of probability
        1/2 on, the raw observations score at most 0.85, whichever of `DOMAIN_COUNTS` is taken:
        then a set is the same mixing of the same sources for every number of domains. Observations
        have mean 0 and deviation 1 over nine domains, however many are taken.

        Raises:
            SettingError: 200 draws gave none; with the best of them.
        """
        best = {"ratio": 0.0, "raw": 1.0}
        for attempt in range(DRAWS):
            drawn = self._attempt(seed, attempt, best)
            if drawn is not None:
                return drawn
        raise SettingError(
            f"zoo_synthetic/{self.name}/seed={seed}: of {DRAWS} draws the best ratio of singular "
            f"values is {best['ratio']:.3f} ({LEAST_RATIO} is needed) and, where it was reached, "
            f"the least score of raw observations {best['raw']:.3f} ({MOST_RAW} is allowed); "
            "choose another seed"
        )

    def _attempt(self, seed: int, attempt: int, best: dict[str, float]) -> "DrawnSet | None":
        rng = np.random.Generator(np.random.PCG64([seed, attempt]))
        count = graphs.SOURCES
        outputs = 2 * count if self.wide else count
        graph = graphs.GRAPHS[self.graph](rng, outputs)
        every = sources.changing_sources(count, max(DOMAIN_COUNTS), rng, self.changes)
        if self.graph == "dense_turned":
            mixing = mixings.turned(outputs, count, rng)
        else:
            mixing = mixings.tangled(graph, rng)
        domain = np.arange(_LATENTS) % max(DOMAIN_COUNTS)
        latents = every.sample(rng, domain)
        mixing = mixing.standardised(latents)
        needed = 0.0 if self.graph == "dense_turned" else LEAST_RATIO
        for some in (latents[:_FEW], latents):
            ratio = _singular_ratio(mixing, some)
            if ratio < needed:
                best["ratio"] = max(best["ratio"], ratio)
                return None
        best["ratio"] = max(best["ratio"], ratio)
        observations = mixing(latents)
        if self.graph in _UNSOLVED:
            raw = max(
                matched(observations[domain < n], latents[domain < n], domain[domain < n])
                for n in DOMAIN_COUNTS
            )
            best["raw"] = min(best["raw"], raw)
            if raw > MOST_RAW:
                return None
        first = sources.DomainSources(every.means[: self.domains], every.deviations[: self.domains])
        return DrawnSet(self, seed, attempt, graph, mixing, first, ratio)


@dataclasses.dataclass(frozen=True, eq=False)
class DrawnSet:
    """One set, and what is known of it before anything is trained.

    Attributes:
        kind: what it is one of.
        seed: that drew it.
        attempt: how many draws before it were refused.
        graph: `[D, n]` bool.
        mixing: the function, with its Jacobian.
        sources: in every domain.
        singular_ratio: the least ratio of the least to the largest singular value of the Jacobian,
            over 10,000 latents of nine domains.
    """

    kind: DomainSet
    seed: int
    attempt: int
    graph: np.ndarray
    mixing: synthetic.Mixing | mixings.Turned
    sources: sources.DomainSources
    singular_ratio: float

    @functools.cached_property
    def facts(self) -> dict:
        """What is known of it, as plain numbers.

        Returns:
            `graph`, rows of 0 and 1; `edges`; `edges_minus_fewest`, see `graphs.fewest_edges`;
            `singular_ratio`; `changes`, see `DomainSources.sufficient_changes`, and
            `sufficient_changes`, whether they are the 2n that changes alone need; `floors`: mean
            correlation coefficients of the raw observations (`raw`) and of the true latents after
            random turns (`turned`, mean of 5, and `turned_most`), `pooled` over domains and
            `within` them, on 10,000 samples; `attempt`.
        """
        rng = np.random.Generator(np.random.PCG64([self.seed, DRAWS]))
        domain = np.arange(_LATENTS) % len(self.sources.means)
        latents = self.sources.sample(rng, domain)
        count = latents.shape[1]
        turns = [np.linalg.qr(rng.standard_normal((count, count)))[0] for _ in range(_TURNS)]
        codes = {"raw": [self.mixing(latents)], "turned": [latents @ turn for turn in turns]}
        floors = {}
        for how, labels in (("pooled", np.zeros(_LATENTS, int)), ("within", domain)):
            scores = {k: [matched(code, latents, labels) for code in v] for k, v in codes.items()}
            floors[how] = {name: float(np.mean(found)) for name, found in scores.items()}
            floors[how]["turned_most"] = float(max(scores["turned"]))
        changes = self.sources.sufficient_changes()
        edges = int(self.graph.sum())
        return {
            "graph": self.graph.astype(int).tolist(),
            "edges": edges,
            "edges_minus_fewest": edges - graphs.fewest_edges(self.graph),
            "singular_ratio": float(self.singular_ratio),
            "changes": changes,
            "sufficient_changes": changes >= 2 * count,
            "floors": floors,
            "attempt": self.attempt,
        }


def matched(codes: np.ndarray, latents: np.ndarray, domain: np.ndarray) -> float:
    """The mean of absolute correlations within domains, averaged over them, of the best matching.

    For floors; the score of models is `zoo.evaluation.within_domain_mcc`, which agrees.
    """
    from scipy.optimize import linear_sum_assignment

    total = 0.0
    numbers = np.unique(domain)
    for number in numbers:
        rows = domain == number
        both = np.corrcoef(codes[rows].T, latents[rows].T)
        total = total + np.abs(both[: codes.shape[1], codes.shape[1] :])
    rows, columns = linear_sum_assignment(total, maximize=True)
    return float(total[rows, columns].sum() / len(numbers) / latents.shape[1])


def _singular_ratio(mixing, latents: np.ndarray) -> float:
    values = np.linalg.svd(mixing.jacobian(latents), compute_uv=False)
    return float((values[:, -1] / values[:, 0]).min())


def _sets() -> list[DomainSet]:
    found = []
    for graph in graphs.GRAPHS:
        for domains in DOMAIN_COUNTS:
            wide = graph == "pure_child"
            found.append(DomainSet(graph, domains, wide=wide))
            if graph == "shared_pair":
                found += [DomainSet(graph, domains, changes) for changes in ("mean", "deviation")]
                found.append(DomainSet(graph, domains, total=True))
            if not wide:
                found.append(DomainSet(graph, domains, wide=True))
    return found


SETS = {kind.name: kind for kind in _sets()}
