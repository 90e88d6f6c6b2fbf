"""Samplers against their distributions by enumeration, and their purity."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from zoo.data import sampling
from zoo.data.dataset import Dataset, DenseImages
from zoo.data.space import Factor, FactorSpace

SPACE = FactorSpace(
    (
        Factor("shape", (0, 1, 2), categorical=True),
        Factor("fixed", (1.0,)),
        Factor("angle", tuple(range(5)), circular=True),
        Factor("x", tuple(range(4))),
    )
)
SIZES = np.array(SPACE.sizes)
DOMAINS = np.repeat([0, 1, 2], [10, 30, 20])


def dataset(space=SPACE, extras=None):
    """One-pixel images that hold their own number."""
    count = len(space)
    images = DenseImages(np.arange(count, dtype=np.uint8)[:, None, None, None], maximum=255.0)
    latents = np.random.default_rng(0).normal(size=(count, 2)).astype(np.float32)
    return Dataset("numbers", images, space, latents, extras or {"domain": DOMAINS})


DATA = dataset()
SAMPLERS = [
    (sampling.Independent, {}),
    (sampling.Domains, {}),
    (sampling.LaplacePairs, {}),
    (sampling.LaplacePairs, {"rate": -1}),
    (sampling.UniformPairs, {"k": 2}),
    (sampling.UniformPairs, {}),
    (sampling.MatchedPairs, {}),
    (sampling.MatchedPairs, {"k": 3}),
    (sampling.MatchedPairs, {"k": -1}),
]
LARGEST = dict(SAMPLERS)


def draw(cls, steps=8, batch_size=4096, **options):
    """Batches of several steps joined, as numpy arrays."""
    sampler = tf.function(cls(DATA, batch_size, **options))
    tables = sampling.tensors(DATA)
    batches = [sampler(tables, tf.constant(7), tf.constant(step)) for step in range(steps)]
    return {k: np.concatenate([batch[k].numpy() for batch in batches]) for k in batches[0]}


def pairs(cls, **options):
    """The factors of both images, `[N, 4]` each, and the rest of the batches."""
    batch = draw(cls, **options)
    return SPACE.factors(batch["index"]), SPACE.factors(batch["partner_index"]), batch


def assert_distributed(outcomes, probabilities):
    """Chi-square of outcome numbers against their probabilities; none outside the support."""
    counts = np.bincount(outcomes, minlength=len(probabilities))
    expected = np.asarray(probabilities) * len(outcomes)
    assert (counts[expected == 0] == 0).all()
    possible = expected > 0
    if possible.sum() == 1:
        return
    assert stats.chisquare(counts[possible], expected[possible]).pvalue > 1e-3


# Compiling takes seconds: XLA once a class, with the options that draw the most.
@pytest.mark.parametrize(("cls", "options"), SAMPLERS)
def test_pure_and_the_same_in_every_mode(cls, options):
    sampler, tables = cls(DATA, 64, **options), sampling.tensors(DATA)
    eager = sampler(tables, 3, 11)
    for compiled in (False, True)[: 1 + (options == LARGEST[cls])]:
        graph = tf.function(sampler, jit_compile=compiled)
        result = graph(tables, tf.constant(3), tf.constant(11))
        assert result.keys() == eager.keys()
        for name, value in result.items():
            np.testing.assert_array_equal(value, eager[name], err_msg=name)
    for other in (sampler(tables, 4, 11), sampler(tables, 3, 12)):
        assert (other["index"].numpy() != eager["index"].numpy()).any()


@pytest.mark.parametrize(("cls", "options"), SAMPLERS)
def test_images_and_latents_belong_to_the_ids(cls, options):
    batch = draw(cls, steps=1, batch_size=64, **options)
    for start in ("", "partner_") if "partner_index" in batch else ("",):
        image = batch["partner" if start else "image"]
        ids = batch[f"{start}index"]
        assert image.dtype == np.float32 and image.shape == (64, 1, 1, 1)
        np.testing.assert_array_equal(np.rint(image[:, 0, 0, 0] * 255), ids)
        np.testing.assert_array_equal(batch[f"{start}latents"], DATA.latents[ids])


@pytest.mark.parametrize(("cls", "options"), [s for s in SAMPLERS if s[0] is not sampling.Domains])
def test_first_images_are_uniform(cls, options):
    assert_distributed(draw(cls, **options)["index"], np.full(60, 1 / 60))


def test_white_is_exactly_one():
    assert float(sampling.as_float(DATA, tf.constant([255], tf.uint8))[0]) == 1.0


def test_steps_are_independent():
    batch = draw(sampling.Independent, steps=2, batch_size=30_000)["index"].reshape(2, -1)
    assert_distributed(batch[0] * 60 + batch[1], np.full(3600, 1 / 3600))


def test_domains_are_equally_likely_and_uniform_within():
    batch = draw(sampling.Domains)
    np.testing.assert_array_equal(batch["domain"], DOMAINS[batch["index"]])
    assert_distributed(batch["index"], 1 / 3 / np.bincount(DOMAINS)[DOMAINS])


@pytest.mark.parametrize("order", [range(59, -1, -1), np.random.default_rng(0).permutation(60)])
def test_domains_in_any_order(order):
    domains = DOMAINS[order]
    shuffled = dataset(extras={"domain": domains})
    batch = sampling.Domains(shuffled, 4096)(sampling.tensors(shuffled), 7, 0)
    index = batch["index"].numpy()
    np.testing.assert_array_equal(batch["domain"], domains[index])
    assert_distributed(index, 1 / 3 / np.bincount(domains)[domains])


def laplace_transitions(rate):
    """`[60, 60]` probabilities of the second image given the first, by enumeration."""
    ordered = [2, 3]
    result = np.zeros((60, 60))
    for first in range(60):
        start = SPACE.factors(first)
        tables = {}
        for axis in ordered:
            density = stats.laplace.pdf(range(SIZES[axis]), start[axis], np.log(SIZES[axis]) / rate)
            tables[axis] = density / density.sum()
        still = np.prod([tables[axis][start[axis]] for axis in ordered])
        for angle, x in itertools.product(range(5), range(4)):
            end = np.array([start[0], 0, angle, x])
            if (end != start).any():
                result[first, SPACE.index(end)] += tables[2][angle] * tables[3][x]
        for axis in ordered:
            again = np.where(np.arange(SIZES[axis]) == start[axis], 0, tables[axis])
            for value, share in enumerate(again / again.sum()):
                end = start.copy()
                end[axis] = value
                result[first, SPACE.index(end)] += still * share / len(ordered)
    return result


@pytest.mark.parametrize("rate", [1.0, 6.0, -1])
def test_laplace_pairs(rate):
    batch = draw(sampling.LaplacePairs, steps=30, rate=rate)
    if rate == -1:
        nodes = np.linspace(1, 10, 30, endpoint=False) + 0.15
        transitions = np.mean([laplace_transitions(r) for r in nodes], axis=0)
    else:
        transitions = laplace_transitions(rate)
    np.testing.assert_allclose(transitions.sum(1), 1)
    assert_distributed(batch["index"] * 60 + batch["partner_index"], transitions.ravel() / 60)


@pytest.mark.parametrize("k", [-1, 1, 2, 3])
def test_uniform_pairs(k):
    first, second, batch = pairs(sampling.UniformPairs, k=k)
    np.testing.assert_array_equal(first != second, batch["changed"])
    # The factor of one value cannot change; of the others every subset is equally likely.
    code = batch["changed"] @ [4, 0, 2, 1]
    assert not batch["changed"][:, 1].any()
    choices = np.array([bin(subset).count("1") for subset in range(8)])
    share = {1: 1 / 3, 2: 1 / 3, 3: 1}
    allowed = (1, 2) if k == -1 else (k,)
    assert_distributed(code, [share[c] / len(allowed) if c in allowed else 0 for c in choices])
    changed = batch["changed"][:, 2]
    jump = (second - first)[changed, 2] % 5
    assert_distributed(jump, [0, 0.25, 0.25, 0.25, 0.25])


@pytest.mark.parametrize("k", [1, 2, -1])
def test_matched_pairs(k):
    first, second, batch = pairs(sampling.MatchedPairs, k=k)
    shared = batch["shared"]
    assert (first == second)[shared].all()
    subsets = np.array([bin(subset).count("1") for subset in range(16)])
    allowed = (1, 2, 3) if k == -1 else (k,)
    ways = {1: 4, 2: 6, 3: 4}
    expected = [1 / ways[c] / len(allowed) if c in allowed else 0 for c in subsets]
    assert_distributed(shared @ [8, 4, 2, 1], expected)
    free = ~shared[:, 2]
    assert_distributed(first[free, 2] * 5 + second[free, 2], np.full(25, 1 / 25))
    if k == 1:
        np.testing.assert_array_equal(batch["label"], shared.argmax(1))
    else:
        assert "label" not in batch


def change_transitions(factor):
    """`[60, 60]` probabilities of the second image given the first, by enumeration."""
    result = np.zeros((60, 60))
    for first in range(60):
        end = SPACE.factors(first)
        for value in range(SIZES[factor]):
            end[factor] = value
            result[first, SPACE.index(end)] += 1 / SIZES[factor]
    return result


def test_change_pairs_share_all_factors_but_one():
    batch = draw(sampling.MatchedPairs, steps=30, k=3)
    changed = (~batch["shared"]).argmax(1)
    joint = np.stack([change_transitions(factor) for factor in range(4)]) / 240
    outcomes = (changed * 60 + batch["index"]) * 60 + batch["partner_index"]
    assert_distributed(outcomes, joint.ravel())


def share_transitions(factor):
    """`[60, 60]` probabilities of the second image given the first, by enumeration."""
    of = SPACE.factors(np.arange(60))[:, factor]
    return (of[:, None] == of) * SIZES[factor] / 60


def test_full_sharing_pairs_agree_in_the_labelled_factor():
    batch = draw(sampling.MatchedPairs, steps=30, k=1)
    joint = np.stack([share_transitions(factor) for factor in range(4)]) / 240
    outcomes = (batch["label"] * 60 + batch["index"]) * 60 + batch["partner_index"]
    assert_distributed(outcomes, joint.ravel())


def test_draws_below_odd_bounds_are_uniform():
    seed = tf.constant([1, 2])
    for bound in (1, 3, 7, 61):
        drawn = sampling._below(seed, [40_000], bound).numpy()
        assert_distributed(drawn, np.full(bound, 1 / bound))
    uniform = sampling._uniform(seed, [100_000]).numpy()
    assert 0 < uniform.min() and uniform.max() < 1
    assert stats.kstest(uniform, "uniform").pvalue > 1e-3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sampling.LaplacePairs(DATA, 4, rate=0), "rate must be positive"),
        (lambda: sampling.UniformPairs(DATA, 4, k=4), r"must be -1 or 1\.\.3"),
        (lambda: sampling.MatchedPairs(DATA, 4, k=0), r"must be -1 or 1\.\.4"),
        (lambda: sampling.Domains(DATA, 4, key="camera"), "has no 'camera'"),
        *(
            (lambda wrong=wrong: sampling.Domains(dataset(extras={"domain": wrong}), 4), message)
            for wrong, message in (
                (DOMAINS * 2, r"\[N\] integers, all of 0, 1, ...; it is int64 .* holds 0, 2, 4"),
                (DOMAINS.astype(str), "it is <U.* of shape .60. and holds 0, 1, 2"),
                (np.array(["a", 1] * 30, object), "it is object of shape .60. and holds 1, a"),
                (np.eye(2, dtype=int)[DOMAINS % 2], "it is int64 of shape .60, 2. and holds 0, 1"),
            )
        ),
        (
            lambda: sampling.MatchedPairs(Dataset("free", DATA.images), 4),
            "no complete factor grid",
        ),
        (
            lambda: sampling.LaplacePairs(dataset(FactorSpace(SPACE.axes[:2])), 4),
            "ordered and has several",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused_at_once(make, message):
    with pytest.raises(ValueError, match=message):
        make()
