"""Domain flows: increasing, with the derivatives and inverses that they say, stable far out."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import SettingError
from zoo.networks.flows import KINDS, DomainFlow, Monotone

tfd = tfp.distributions
INVERTIBLE = ("affine", "sigmoidal")


def random_flow(kind, seed=0, domains=3, latents=2, size=0.5, **options):
    """A flow with random parameters, as training would leave it."""
    layer = DomainFlow(domains, latents, kind, **options)
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal(w.shape) / np.sqrt(len(w)) for w in layer.get_weights()[:-1]]
    layer.set_weights(
        [*(size * w for w in weights), size * rng.standard_normal(layer.last_layer.bias.shape)]
    )
    return layer


def latents(count=200, width=5.0, latents=2):
    return np.linspace(-width, width, count, dtype=np.float32)[:, None] * np.ones((1, latents))


def in_domain(layer, domain, count):
    return layer(tf.fill([count], domain))


@pytest.mark.parametrize("kind", KINDS)
def test_the_log_slope_is_that_of_automatic_differentiation(kind):
    flow = in_domain(random_flow(kind), 1, 200)
    z = tf.constant(latents(), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(z)
        value, log_slope = flow.forward_and_log_slope(z)
    np.testing.assert_allclose(tf.exp(log_slope), tape.gradient(value, z), rtol=2e-5)
    np.testing.assert_array_equal(flow.forward(z), value)
    np.testing.assert_allclose(flow.forward_log_det_jacobian(z), log_slope)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), size=st.floats(0.1, 1.0), domain=st.integers(0, 2))
def test_increases_everywhere(kind, seed, size, domain):
    flow = in_domain(random_flow(kind, seed, size=size), domain, 100)
    value, log_slope = flow.forward_and_log_slope(tf.constant(latents(100, 50.0), tf.float32))
    assert np.isfinite(value).all() and np.isfinite(log_slope).all()
    steps = np.diff(value, axis=0)
    # Where float32 can tell the steps: it cannot where a function is flat but far from 0.
    least = np.exp(np.minimum(log_slope[:-1], log_slope[1:])) * 100 / 99
    told = least > 4e-6 * np.abs(value).max()
    assert (steps >= 0).all() and (steps[told] > 0).all() and (kind == "selu" or told.any())


@pytest.mark.parametrize("kind", INVERTIBLE)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 1000), size=st.floats(0.1, 1.0))
def test_the_inverse_undoes_it(kind, seed, size):
    flow = in_domain(random_flow(kind, seed, size=size), 2, 60)
    z = tf.constant(latents(60, 6.0), tf.float32)
    value, log_slope = flow.forward_and_log_slope(z)
    back = flow.inverse(tf.identity(value))
    # What one unit in the last place of the value amounts to in z.
    resolution = 1e-6 * (1 + np.abs(value)) / np.exp(log_slope)
    assert (np.abs(back - z) <= 1e-5 + 10 * resolution).all()


@pytest.mark.parametrize("kind", INVERTIBLE)
def test_is_the_identity_at_the_start_also_far_out(kind):
    flow = in_domain(DomainFlow(5, 2, kind), 3, 201)
    z = tf.constant(latents(201, 50.0), tf.float32)
    value, log_slope = flow.forward_and_log_slope(z)
    np.testing.assert_allclose(value, z, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(log_slope, tf.zeros_like(z), atol=3e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_float32_and_float64_agree_far_out(kind):
    """The float32 result at |z| up to 50 is that of float64 with the same parameters."""
    layer = random_flow(kind, 3)
    flow, z = in_domain(layer, 0, 101), latents(101, 50.0)
    found = flow.forward_and_log_slope(tf.constant(z, tf.float32))
    wide = [np.zeros_like(z), np.zeros_like(z)]
    if kind == "selu":
        exact = type(flow)(tf.nest.map_structure(lambda p: tf.cast(p, tf.float64), flow._blocks))
    else:
        parts = tf.nest.map_structure(
            lambda p: tf.cast(p, tf.float64), (flow._shift, flow._log_scale, flow._layers)
        )
        exact = Monotone(*parts)
    wide = exact.forward_and_log_slope(tf.constant(z, tf.float64))
    np.testing.assert_allclose(found[0], wide[0], rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(found[1], wide[1], rtol=2e-5, atol=1e-4)


def test_gradients_far_out_are_finite():
    layer = random_flow("sigmoidal", 5)
    z = tf.constant(latents(11, 50.0), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(z)
        value, log_slope = in_domain(layer, 1, 11).forward_and_log_slope(z)
        loss = tf.reduce_sum(value**2 / 2 - log_slope)
    for gradient in tape.gradient(loss, [z, *layer.trainable_variables]):
        assert np.isfinite(gradient).all()


def test_the_inverse_has_the_gradients_of_the_implicit_function():
    layer = random_flow("sigmoidal", 7, domains=1, latents=1)
    epsilon = tf.constant([[0.7]])
    offset = layer.last_layer.bias
    with tf.GradientTape() as tape:
        tape.watch(epsilon)
        z = layer(tf.constant([0])).inverse(epsilon)
    by_epsilon, by_offset = tape.gradient(z, [epsilon, offset])
    log_slope = layer(tf.constant([0])).forward_log_det_jacobian(z)
    np.testing.assert_allclose(by_epsilon, tf.exp(-log_slope), rtol=1e-5)
    # The shift is the first parameter, the first layer's first offset the third from it.
    start, step = offset.numpy(), 1e-2
    for number in (0, 2 + layer.units):
        ends = []
        for sign in (1, -1):
            offset.assign(start + sign * step * np.eye(len(start))[number])
            ends.append(float(layer(tf.constant([0])).inverse(epsilon)[0, 0]))
        np.testing.assert_allclose((ends[0] - ends[1]) / (2 * step), by_offset[number], rtol=2e-2)
    offset.assign(start)


def test_a_prior_density_integrates_to_one():
    flow = random_flow("sigmoidal", 11, domains=2, latents=1, size=0.3)
    z = np.linspace(-60, 60, 60_001, dtype=np.float32)[:, None]
    for domain in range(2):
        value, log_slope = in_domain(flow, domain, len(z)).forward_and_log_slope(z)
        density = tf.exp(tfd.Normal(0.0, 1.0).log_prob(value) + log_slope)
        assert np.sum(density, dtype=np.float64) * 120 / 60_000 == pytest.approx(1, abs=1e-3)


def test_learns_a_density_with_two_modes():
    """An affine function cannot; the units, equal at the start, part."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    z = tf.constant(
        rng.choice([-2, 2], 500)[:, None] + 0.4 * rng.standard_normal((500, 1)), tf.float32
    )
    layer, domain = DomainFlow(1, 1), tf.zeros([500], tf.int32)
    optimizer = keras.optimizers.Adam(0.05)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value, log_slope = layer(domain).forward_and_log_slope(z)
            loss = -tf.reduce_mean(tfd.Normal(0.0, 1.0).log_prob(value) + log_slope)
        optimizer.apply(tape.gradient(loss, layer.trainable_variables), layer.trainable_variables)
        return loss

    for _ in range(150):
        loss = step()
    # One mode has the entropy log(0.4 sqrt(2 pi e)) = 0.503, either one log 2 more.
    assert 1.1 < loss < 1.3
    assert loss < 0.5 * np.log(2 * np.pi * np.e * np.var(z)) - 0.5


def test_the_released_flow_is_bounded_below_and_has_no_inverse():
    flow = in_domain(random_flow("selu", latents=1), 0, 3)
    low = flow.forward(tf.constant([[-1e3], [-2e3], [-3e3]]))
    assert np.ptp(low) < 1e-6
    with pytest.raises(NotImplementedError, match="sigmoidal"):
        flow.inverse(tf.identity(low))


@pytest.mark.parametrize("kind", KINDS)
def test_tensorflow_finds_every_variable_as_what_loads_a_model_does(kind):
    layer = DomainFlow(2, 3, kind)
    found = {id(part) for part in tf.train.TrackableView(layer).descendants()}
    assert {id(variable) for variable in layer.variables} <= found


def test_the_released_flow_has_the_released_number_of_parameters():
    """Li, Fan et al. 2025, their code: 31 and 40 a latent with ten units."""
    layer = DomainFlow(2, 3, "selu", units=10)
    assert layer.parameters().shape == (2, 3, 31 + 40)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "spline"}, "DomainFlow.kind is 'spline'; it takes affine, sigmoidal, selu"),
        ({"units": 0}, "DomainFlow.units is 0; give at least 1"),
        ({"domains": 0}, "DomainFlow.domains is 0; give at least 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(options, message):
    with pytest.raises(SettingError, match=message):
        DomainFlow(**{"domains": 2, "latent_dim": 1, **options})
