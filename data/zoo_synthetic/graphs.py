"""Mixing graphs, which observation depends on which source, and how sparse they might be."""

import itertools
from collections.abc import Callable

import numpy as np

from zoo.data.renderers import synthetic

SOURCES = 4
_SHARED_PAIR = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 1]], bool)


def has_matching(graph: np.ndarray) -> bool:
    """Whether every source (column) has an observation (row) of its own."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    own = maximum_bipartite_matching(csr_array(graph.astype(np.int8)), perm_type="row")
    return bool((own >= 0).all())


def random(rng: np.random.Generator, probability: float, outputs: int) -> np.ndarray:
    """`[outputs, 4]` bool, edges of a probability each.

    Drawn until every observation has one, and every source an observation of its own.
    """
    while True:
        graph = rng.random((outputs, SOURCES)) < probability
        if graph.any(1).all() and has_matching(graph):
            return graph


def _repeated(graph: np.ndarray) -> Callable:
    return lambda rng, outputs: np.concatenate([graph] * (outputs // len(graph)))


def _pure_child(rng: np.random.Generator, outputs: int) -> np.ndarray:
    return np.concatenate([np.eye(SOURCES, dtype=bool), random(rng, 0.5, outputs - SOURCES)])


# Name -> (generator, observations) -> `[observations, 4]` bool.
GRAPHS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "banded": _repeated(synthetic.banded(SOURCES)),
    "shared_pair": _repeated(_SHARED_PAIR),
    "pure_child": _pure_child,
    **{
        f"random_{percent}": lambda rng, outputs, p=percent / 100: random(rng, p, outputs)
        for percent in (25, 50, 75, 100)
    },
    "dense_turned": _repeated(np.ones((SOURCES, SOURCES), bool)),
}


def fewest_edges(graph: np.ndarray) -> int:
    """The edges of the sparsest graph by which the same observations depend on one another.

    Two observations depend on each other where they share a source. Of all graphs with as many
    sources that give the same pairs, and in which every source has an observation of its own, the
    one of fewest edges is what a penalty on edges prefers where nothing but dependence within one
    domain is known. If it has fewer edges than the true graph, sparsity alone misleads.

    The sources of such a graph are cliques of the graph of dependences that cover all its edges;
    they are searched exhaustively, with bounds: quick for up to some ten observations.

    Args:
        graph: `[D, n]` bool.
    """
    graph = np.asarray(graph, bool)
    outputs, sources = graph.shape
    shared = graph.astype(int) @ graph.T > 0
    # An observation without a partner needs a source, too: its pair with itself.
    pairs = [p for p in itertools.combinations_with_replacement(range(outputs), 2) if shared[p]]
    cliques = [
        subset
        for size in range(1, outputs + 1)
        for subset in itertools.combinations(range(outputs), size)
        if shared[np.ix_(subset, subset)].all()
    ]
    covers = [frozenset(itertools.combinations_with_replacement(c, 2)) for c in cliques]
    choices = {pair: sum(pair in cover for cover in covers) for pair in pairs}
    best = int(graph.sum())

    def search(left: frozenset, chosen: tuple[int, ...], edges: int) -> None:
        nonlocal best
        spare = sources - len(chosen)
        if not left:
            # A source that is not needed takes one observation.
            if edges + spare < best and _distinct([cliques[c] for c in chosen]):
                best = edges + spare
            return
        if not spare:
            return
        pair = min(left, key=lambda p: (choices[p], p))
        for number, cover in enumerate(covers):
            size = len(cliques[number])
            if edges + size + spare - 1 >= best:
                break
            if pair in cover:
                search(left - cover, (*chosen, number), edges + size)

    search(frozenset(pairs), (), 0)
    return best


def _distinct(cliques: list[tuple[int, ...]]) -> bool:
    """Whether every clique has a member of its own."""
    size = 1 + max(max(clique) for clique in cliques)
    columns = [[row in clique for clique in cliques] for row in range(size)]
    return has_matching(np.array(columns, bool))
