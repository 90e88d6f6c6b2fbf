"""Sets of changing sources mixed by graphs: the graphs, the floors, and that draws keep both."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from zoo import data, evaluation
from zoo.data.renderers import mixings, synthetic
from zoo.data.zoo_synthetic import domain_sets, graphs, memory, sources
from zoo.errors import SettingError

SHARED_PAIR = graphs.GRAPHS["shared_pair"](None, 4)
KINDS = [name for name in domain_sets.SETS if name.split("_")[-1] == "9"]


def fewest_by_enumeration(graph):
    """All graphs with as many sources, one by one."""
    outputs, count = graph.shape
    shared = graph.astype(int) @ graph.T > 0
    subsets = [np.array(bits, int) for bits in itertools.product((0, 1), repeat=outputs)][1:]
    best = graph.size
    for columns in itertools.combinations_with_replacement(subsets, count):
        other = np.stack(columns, 1)
        if other.sum() < best and ((other @ other.T > 0) == shared).all():
            best = other.sum() if graphs.has_matching(other) else best
    return best


@pytest.mark.parametrize(
    ("graph", "fewest"),
    [
        (synthetic.banded(4), 8),
        (SHARED_PAIR, 7),
        (synthetic.banded(3), 5),
        (np.ones((4, 4), bool), 7),
        (np.eye(4, dtype=bool), 4),
    ],
)
def test_fewest_edges_of_known_graphs(graph, fewest):
    assert graphs.fewest_edges(graph) == fewest == fewest_by_enumeration(graph)


@pytest.mark.parametrize("seed", range(6))
def test_fewest_edges_are_those_of_enumeration(seed):
    graph = graphs.random(np.random.default_rng(seed), [0.25, 0.5, 0.75][seed % 3], 4)
    assert graphs.fewest_edges(graph) == fewest_by_enumeration(graph)


def test_the_pair_shares_its_children():
    """Every child of z1 is one of z2, so that no observation depends on z1 without z2."""
    children = [set(np.flatnonzero(SHARED_PAIR[:, k])) for k in range(4)]
    assert children[0] == children[1] and len(children[0]) == 2


def test_pure_children_and_probabilities():
    rng = np.random.default_rng(0)
    pure = graphs.GRAPHS["pure_child"](rng, 8)
    np.testing.assert_array_equal(pure[:4], np.eye(4))
    shares = [graphs.GRAPHS[f"random_{p}"](rng, 8).mean() for p in (25, 50, 75, 100) * 20]
    shares = np.reshape(shares, (20, 4)).mean(0)
    # Drawn again where a row would be empty, the sparsest are less sparse than they say.
    assert 0.25 < shares[0] < 0.4 and shares[3] == 1
    np.testing.assert_allclose(shares[1:3], [0.5, 0.75], atol=0.06)


@pytest.mark.parametrize("kind", KINDS)
def test_a_drawn_set_keeps_what_is_promised(kind):
    drawn = domain_sets.SETS[kind].draw(0)
    facts = drawn.facts
    np.testing.assert_array_equal(drawn.graph, facts["graph"])
    if kind != "dense_turned_9":
        np.testing.assert_array_equal(drawn.mixing.pattern, drawn.graph)
        assert facts["singular_ratio"] >= 0.1
    assert (facts["edges_minus_fewest"] == 0) == (
        kind in ("banded_9", "pure_child_9", "random_25_9")
    )
    assert facts["changes"] == 8 and facts["sufficient_changes"]
    solved = kind in ("pure_child_9", "random_25_9")
    assert solved or facts["floors"]["within"]["raw"] <= 0.87
    for floor in facts["floors"].values():
        assert 0.4 < floor["turned"] <= floor["turned_most"] < 0.95


@pytest.mark.parametrize("mixing", ["tangled", "turned"])
def test_jacobians_agree_with_finite_differences_and_tensorflow(mixing):
    rng = np.random.default_rng(0)
    if mixing == "tangled":
        function = mixings.tangled(SHARED_PAIR, rng)
    else:
        function = mixings.turned(5, 3, rng)
    count = function.shape[1]
    latents, step = 2 * rng.standard_normal((30, count)), 1e-5
    numeric = [
        (function(latents + s) - function(latents - s)) / (2 * step) for s in step * np.eye(count)
    ]
    np.testing.assert_allclose(function.jacobian(latents), np.stack(numeric, -1), atol=1e-8)
    np.testing.assert_allclose(
        function.tensorflow()(tf.constant(latents)), function(latents), atol=1e-12
    )


@pytest.mark.parametrize("kind", ["banded_9", "dense_turned_9_wide"])
def test_observations_are_standardised(kind):
    drawn = memory.source(kind).sample(seed=3)
    observations = drawn["observations"]
    np.testing.assert_allclose(observations.mean(0), 0, atol=0.05)
    np.testing.assert_allclose(observations.std(0), 1, atol=0.05)


def test_turned_mixings_are_injective():
    """Singular values of each layer are at least 0.2, everywhere."""
    function = mixings.turned(4, 4, np.random.default_rng(1))
    latents = 10 * np.random.default_rng(2).standard_normal((200, 4))
    values = np.linalg.svd(function.jacobian(latents), compute_uv=False)
    assert values.min() >= 0.04 - 1e-12 and values.max() <= 1 + 1e-12


def test_more_domains_leave_the_first_and_the_mixing():
    few, many = (memory.source(f"shared_pair_{count}", seed=1) for count in (2, 9))
    np.testing.assert_array_equal(few.domains.means, many.domains.means[:2])
    np.testing.assert_array_equal(few.mixing.linear, many.mixing.linear)


def test_what_changes():
    def drawn(changes):
        return sources.changing_sources(4, 9, np.random.default_rng(0), changes)

    both, deviation, mean = map(drawn, sources.CHANGES)
    assert np.abs(both.means).max() <= 2 and not deviation.means.any()
    assert both.deviations.min() >= 0.2 and both.deviations.max() <= 1.5
    np.testing.assert_array_equal(both.means, mean.means)
    np.testing.assert_array_equal(both.deviations, deviation.deviations)
    assert (mean.deviations == 1).all()
    # Four of the eight changes that are needed: the second derivatives are all the same, or the
    # first ones are multiples of them.
    assert [s.sufficient_changes() for s in (both, deviation, mean)] == [8, 4, 4]
    with pytest.raises(SettingError, match="changes='none': want both, deviation, mean"):
        sources.changing_sources(4, 9, np.random.default_rng(0), "none")


def test_floors_are_the_score_of_models():
    rng = np.random.default_rng(0)
    codes, latents = rng.standard_normal((2, 300, 4))
    domain = np.repeat(np.arange(3), 100)
    codes += latents[:, [1, 0, 3, 2]] * [0.1, 0.5, 1, 2]
    score = evaluation.within_domain_mcc(codes, latents, domain)["score"]
    assert domain_sets.matched(codes, latents, domain) == pytest.approx(score, abs=1e-9)


def test_a_seed_draws_another_set_by_name():
    first, second = (data.load(f"zoo_synthetic/shared_pair_2/seed={k}[test]") for k in (0, 7))
    assert second.name == "zoo_synthetic/shared_pair_2/seed=7[test]"
    assert len(first) == len(second) == 2_000
    assert first.fingerprint != second.fingerprint
    np.testing.assert_array_equal(
        first.images[:], data.load("zoo_synthetic/shared_pair_2[test]").images[:]
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("zoo_synthetic/linear/seed=3", "linear is one set and takes no seed; .*shared_pair_5"),
        ("zoo_synthetic/banded_3/seed=-1", "banded_3/seed=-1: the seed is a whole number from 0"),
        ("zoo_balls/l_shape/seed=1", "takes no seed; those of zoo_synthetic"),
    ],
)
def test_seeds_that_cannot_be_are_refused(name, message):
    with pytest.raises(SettingError, match=message):
        data.load(name)


def test_a_set_that_cannot_be_drawn_names_the_best(monkeypatch):
    monkeypatch.setattr(domain_sets, "MOST_RAW", 0.3)
    monkeypatch.setattr(domain_sets, "DRAWS", 3)
    kind = dataclasses.replace(domain_sets.SETS["dense_turned_9"])
    with pytest.raises(SettingError, match=r"of 3 draws .* raw observations 0\.\d+ \(0.3 is"):
        kind.draw(123)
