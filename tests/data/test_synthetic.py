"""Synthetic vectors: exact Jacobians, the promised geometry, and sources that change."""

import hashlib
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from zoo import evaluation
from zoo.data.renderers import mixings, synthetic
from zoo.data.zoo_synthetic import domain_sets, memory, sources

ROOT = pathlib.Path(__file__).resolve().parents[2]
MIXINGS = {
    "plane": synthetic.plane(1.5),
    "network": synthetic.random_network(3, (3, 7, 5), ratio=2.0),
    "gaussian": synthetic.gaussian(memory.covariance()),
    "sparse": synthetic.sparse(synthetic.banded(4), 5, scale=2.0),
    "additive": synthetic.additive(0.6, 2, inputs=3),
    "squares": mixings.squares(2, inputs=3, outputs=4),
    "interacting": mixings.interacting(synthetic.additive(0.6, 2, inputs=3), 4),
    "wide": synthetic.sparse(np.array([[1, 1, 0], [0, 1, 0], [1, 0, 1], [0, 1, 1]]), 6),
}


def normal(mixing, count=40, seed=0, scale=1.0):
    inputs = mixing.shape[1]
    return scale * np.random.default_rng(seed).standard_normal((count, inputs))


@pytest.mark.parametrize("mixing", MIXINGS.values(), ids=MIXINGS)
def test_jacobians_agree_with_finite_differences(mixing):
    latents, step = normal(mixing, scale=2.0), 1e-5
    shifts = step * np.eye(latents.shape[1])
    numeric = [(mixing(latents + s) - mixing(latents - s)) / (2 * step) for s in shifts]
    exact = mixing.jacobian(latents)
    assert exact.shape == (*latents.shape[:1], *mixing.shape)
    np.testing.assert_allclose(exact, np.stack(numeric, -1), atol=1e-8)


@pytest.mark.parametrize("mixing", MIXINGS.values(), ids=MIXINGS)
def test_tensorflow_computes_the_same(mixing):
    latents = normal(mixing)
    with tf.GradientTape() as tape:
        inputs = tf.constant(latents)
        tape.watch(inputs)
        outputs = mixing.tensorflow()(inputs)
    np.testing.assert_allclose(outputs, mixing(latents), atol=1e-12)
    np.testing.assert_allclose(
        tape.batch_jacobian(outputs, inputs), mixing.jacobian(latents), atol=1e-12
    )
    assert mixing.tensorflow()(tf.cast(inputs, tf.float32)).dtype == tf.float32


def test_batches_may_have_any_shape():
    mixing, grid = MIXINGS["network"], normal(MIXINGS["network"], 6).reshape(2, 3, 3)
    np.testing.assert_allclose(mixing(grid)[1, 2], mixing(grid[1, 2]))
    np.testing.assert_allclose(mixing.jacobian(grid)[1, 2], mixing.jacobian(grid[1, 2]))


@pytest.mark.parametrize("ratio", [1.0, 1.2, 2.0])
def test_planes_are_turned_rectangles(ratio):
    jacobian = synthetic.plane(ratio).jacobian(np.zeros(2))
    np.testing.assert_allclose(jacobian.T @ jacobian, np.diag([ratio**2, 1]), atol=1e-12)
    first, second = (jacobian / [ratio, 1]).T
    rotation = np.stack([first, second, np.cross(first, second)], 1)
    axis = np.array([1, -1, 1]) / np.sqrt(3)
    np.testing.assert_allclose(rotation @ axis, axis, atol=1e-12)
    assert np.trace(rotation) == pytest.approx(1 + 2 * np.cos(np.pi / 4))
    # Right-handed about the axis: what is turned stays ahead of where it was.
    side = np.cross(axis, [0, 0, 1.0])
    assert axis @ np.cross(side, rotation @ side) > 0


def test_the_network_is_an_embedding_of_the_square():
    mixing = memory.source("nonlinear").mixing
    assert mixing.linear.shape == (6, 2) and mixing.outer.shape == (6, 10)
    assert (mixing.linear == 0).all() and (mixing.inner == mixing.inner[0]).all()
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, 25)] * 2), -1)
    values = np.linalg.svd(mixing.jacobian(grid), compute_uv=False)
    assert values.min() > 0.2 and values[..., 0].max() > 2 * values[..., 0].min()
    stretched = synthetic.random_network(0, ratio=2.0)
    np.testing.assert_allclose(stretched(grid), mixing(grid * [2, 1]))


@pytest.mark.parametrize("nonlinearity", memory.NONLINEARITIES)
def test_additive_mixings_are_additive_and_as_nonlinear_as_they_say(nonlinearity):
    mixing = synthetic.additive(nonlinearity)
    z = memory.load(f"additive_{nonlinearity}", None).latents[::5000]
    assert (z <= 0.5).any(1).all()
    hessian = evaluation.block_hessian(mixing.tensorflow(), z, dtype="float64")
    assert hessian["score"] < 1e-12
    volume = evaluation.sufficient_nonlinearity(mixing.tensorflow(), z, dtype="float64")["score"]
    assert volume == 0 if nonlinearity == 0 else volume > 0.1


def test_gaussian_data_has_its_covariance():
    covariance = memory.covariance((4.0, 1.0, 0.5), seed=3)
    np.testing.assert_allclose(np.linalg.eigvalsh(covariance), [0.5, 1, 4])
    mixing = synthetic.gaussian(covariance)
    np.testing.assert_allclose(mixing.linear @ mixing.linear.T, covariance, atol=1e-12)
    # Columns are orthogonal, longest first.
    np.testing.assert_allclose(mixing.linear.T @ mixing.linear, np.diag([4, 1, 0.5]), atol=1e-12)
    drawn = memory.standard_normal(mixing).sample(seed=0)
    assert drawn["observations"].shape == (50_000, 3)
    np.testing.assert_allclose(np.cov(drawn["observations"].T), covariance, atol=0.08)


@pytest.mark.parametrize(
    ("covariance", "message"),
    [
        (np.ones((2, 3)), "not a symmetric matrix"),
        ([[1, 0.5], [0, 1]], "not a symmetric matrix"),
        ([[1, 2], [2, 1]], "negative eigenvalue, -1"),
    ],
)
def test_what_is_no_covariance_is_refused(covariance, message):
    with pytest.raises(ValueError, match=message):
        synthetic.gaussian(covariance)


@st.composite
def patterns(draw):
    inputs = draw(st.integers(1, 5))
    outputs = draw(st.integers(inputs, 6))
    rows = st.lists(st.booleans(), min_size=inputs, max_size=inputs)
    return np.array(draw(st.lists(rows, min_size=outputs, max_size=outputs)))


def has_perfect_matching(pattern):
    """Every set of sources reaches at least as many observations (Hall's theorem)."""
    inputs = pattern.shape[1]
    subsets = ((np.arange(2**inputs)[:, None] >> np.arange(inputs)) & 1).astype(bool)
    return all(pattern[:, s].any(1).sum() >= s.sum() for s in subsets)


@settings(max_examples=80, deadline=None)
@given(patterns(), st.integers(0, 100), st.sampled_from([0.0, 0.5, 0.9]))
def test_sparse_mixings_have_their_pattern_and_are_injective(pattern, seed, coupling):
    if not pattern.any(1).all() or not has_perfect_matching(pattern):
        with pytest.raises(ValueError, match="pattern"):
            synthetic.sparse(pattern, seed)
        return
    assume(pattern.any())
    mixing = synthetic.sparse(pattern, seed, coupling=coupling)
    latents = normal(mixing, 30, seed, scale=3.0)
    jacobian = mixing.jacobian(latents)
    assert (jacobian[:, ~pattern] == 0).all()
    if coupling:
        np.testing.assert_array_equal((jacobian != 0).all(0), pattern)
        np.testing.assert_array_equal(mixing.pattern, pattern)
    own = synthetic._matched(pattern)
    main = jacobian[:, np.arange(len(own)), own]
    assert (main > np.abs(jacobian).sum(-1) - main).all()
    # Injective: points apart stay apart, however far.
    others = latents + normal(mixing, 30, seed + 1) * 10.0 ** np.linspace(-3, 1, 30)[:, None]
    ratio = np.linalg.norm(mixing(latents) - mixing(others), axis=1)
    assert (ratio > 1e-3 * np.linalg.norm(latents - others, axis=1)).all()


def test_sparse_mixings_are_not_additive():
    """Sources that share an observation interact: their second derivative is not zero."""
    mixing, step = MIXINGS["sparse"], 1e-4
    latents = normal(mixing)
    changed = mixing.jacobian(latents + step * np.eye(4)[1]) - mixing.jacobian(latents)
    assert np.abs(changed[:, 0, 0] / step).max() > 0.01
    assert (changed[:, 0, 2] == 0).all()


def test_bands():
    np.testing.assert_array_equal(synthetic.banded(3), [[1, 1, 0], [0, 1, 1], [1, 0, 1]])
    for sources_count, parents in ((4, 2), (5, 3), (4, 3)):
        pattern = synthetic.banded(sources_count, parents)
        for source in range(sources_count):
            shared = pattern[pattern[:, source]].all(0)
            np.testing.assert_array_equal(np.flatnonzero(shared), [source])
    with pytest.raises(ValueError, match="parents=5: want 1 <= parents <= 4"):
        synthetic.banded(4, 5)


def test_out_of_range_parameters_are_refused():
    with pytest.raises(ValueError, match="coupling=1.0"):
        synthetic.sparse(np.eye(2), 0, coupling=1.0)
    with pytest.raises(ValueError, match="ratio=0"):
        synthetic.plane(0)
    with pytest.raises(ValueError, match="nonlinearity=1.5: want a number from 0 to 1"):
        synthetic.additive(1.5)
    with pytest.raises(ValueError, match="domains=10: want 1 to 9 for 4 sources"):
        sources.domain_sources(4, 10, seed=0)
    with pytest.raises(ValueError, match="changing=5"):
        sources.domain_sources(4, 9, seed=0, changing=5)


@pytest.mark.parametrize("changing", [0, 1, 2, 4])
@pytest.mark.parametrize("domains", range(1, 10))
def test_sufficient_changes_grow_with_the_domains(domains, changing):
    drawn = sources.domain_sources(4, domains, seed=2, changing=changing)
    assert drawn.sufficient_changes() == min(domains - 1, 2 * changing)


def test_sources_are_gaussians_of_their_domain():
    drawn = sources.domain_sources(3, 7, seed=4, changing=2)
    assert np.abs(drawn.means).max() <= 4 and (drawn.means[:, 0] == 0).all()
    assert (drawn.deviations[:, 0] == 1).all()
    assert drawn.deviations.min() >= 0.1 and drawn.deviations.max() <= 1
    domain = np.repeat(np.arange(7), 20_000)
    latents = drawn.sample(np.random.default_rng(0), domain).reshape(7, 20_000, 3)
    np.testing.assert_allclose(latents.mean(1), drawn.means, atol=0.03)
    np.testing.assert_allclose(latents.std(1), drawn.deviations, rtol=0.03)
    # Fewer domains are the first of more.
    np.testing.assert_array_equal(sources.domain_sources(3, 2, 4, 2).means, drawn.means[:2])


def test_log_densities_integrate_to_one():
    drawn = sources.domain_sources(2, 3, seed=1)
    axis = np.linspace(-10, 10, 1001)
    grid = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    for domain in range(3):
        density = np.exp(drawn.log_density(grid, np.full(len(grid), domain)))
        assert density.sum() * (axis[1] - axis[0]) ** 2 == pytest.approx(1, abs=1e-3)


def test_multi_domain_takes_any_pattern():
    pattern = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 1], [1, 1, 1]], bool)
    source = memory.multi_domain(7, pattern, seed=9)
    drawn = source.sample(seed=0)
    assert drawn["observations"].shape == (84_000, 4) and drawn["latents"].shape == (84_000, 3)
    np.testing.assert_array_equal(np.bincount(drawn["domain"]), [12_000] * 7)
    validation = drawn["domain"][drawn["split"] == 1]
    np.testing.assert_array_equal(validation, np.repeat(np.arange(7), 1_000))
    np.testing.assert_array_equal(source.mixing.pattern, pattern)


# Of the sets that differ in the number of domains only, some of those with three.
_SETS = ("dense_turned_3", "shared_pair_3", "shared_pair_3_wide", "shared_pair_3_total")
_WALKED = [c for c in memory.CONFIGS if c not in domain_sets.SETS or c in _SETS]


@pytest.mark.parametrize("config", _WALKED)
def test_every_config_is_its_mixing_of_its_latents(config):
    dataset = memory.load(config, None)
    source = memory.source(config)
    assert dataset.images.dtype == dataset.latents.dtype == np.float32
    part = slice(None, None, 997)
    expected = source.mixing(dataset.latents[part]).astype(np.float32)
    np.testing.assert_array_equal(dataset.images[part], expected)
    if config.endswith("_total"):
        assert np.bincount(dataset.extras["domain"]).tolist() == [13_333 + 2_000] * 3
    elif source.domains is not None:
        domains = len(source.domains.means)
        of_train = dataset.extras["domain"][dataset.extras["split"] == 0]
        np.testing.assert_array_equal(of_train, np.repeat(np.arange(domains), 10_000))
        assert len(dataset) == 12_000 * domains
    else:
        assert "domain" not in dataset.extras and np.bincount(dataset.extras["split"]).tolist() == [
            *memory.SIZES.values()
        ]


def test_another_process_gives_the_same_bytes():
    code = (
        "import hashlib; from zoo.data.zoo_synthetic import memory;"
        "print([hashlib.sha256(memory.load(c, None).images[:].tobytes()).hexdigest()"
        " for c in ('nonlinear', 'gaussian', 'domains_3')])"
    )
    theirs = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT)
    sets = [memory.load(c, None).images[:] for c in ("nonlinear", "gaussian", "domains_3")]
    assert theirs.strip() == str([hashlib.sha256(x.tobytes()).hexdigest() for x in sets])


def test_slots_meet_in_products_or_not_at_all():
    z = memory.load("squares", None).latents[::10_000]
    for config in ("squares", "interacting"):
        mixing = memory.source(config).mixing
        found = evaluation.block_hessian(mixing.tensorflow(), z, dtype="float64")["per_sample"]
        np.testing.assert_allclose(found, np.abs(mixing.forms[:, 0, 1]).max(), atol=1e-12)
