"""Brady et al. 2025: decoders of bounded interaction, which latents they identify, on which sets.

What is fitted is fitted by least squares on a basis that holds the functions in question, so that
a residual of zero or above says whether a decoder of that form exists.
"""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo import evaluation
from zoo.data.renderers import mixings, synthetic
from zoo.data.zoo_balls.supports import SUPPORTS
from zoo.networks.interaction import Interaction, cross_monomials

POINTS = SUPPORTS["bump_l_shape"](np.random.default_rng(0), 400)


def cubes(seed: int = 0) -> mixings.Quadratic:
    """Slots of third order within, and products across: f is of second order of interaction."""

    class Cubes(mixings.Quadratic):
        def __call__(self, latents):
            weights = np.random.default_rng(seed + 1).normal(size=(10, 2))
            return super().__call__(latents) + np.asarray(latents) ** 3 @ weights.T

    parts = mixings.squares(seed)
    return Cubes(parts.straight, parts.forms + mixings.interacting(parts.straight, seed).forms)


def residual(observations: np.ndarray, latents: np.ndarray, order: int, degree: int = 5) -> float:
    """The share of variance that no decoder of an order of interaction of the latents explains.

    Decoders are polynomials: of up to a degree in each latent, of up to `order` across them.
    """
    powers = [latents[:, k] ** n for k in (0, 1) for n in range(1, degree + 1)]
    across = [latents[:, m].prod(1) for m in cross_monomials([[0], [1]], order)]
    basis = np.stack([np.ones(len(latents)), *powers, *across], axis=1)
    basis /= np.linalg.norm(basis, axis=0)
    fitted = basis @ np.linalg.lstsq(basis, observations, rcond=None)[0]
    return float(np.square(observations - fitted).sum() / observations.var(0).sum() / len(latents))


def turn(angle: float) -> np.ndarray:
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def test_monomials_are_of_two_blocks_and_up_to_a_degree():
    assert cross_monomials([[0], [1]], 1) == []
    assert cross_monomials([[0], [1]], 3) == [(0, 1), (0, 0, 1), (0, 1, 1)]
    assert cross_monomials([[0, 2], [1, 3]], 2) == [(0, 1), (0, 3), (1, 2), (2, 3)]
    # All of degree 3 in four latents, without those within a block: 20 - 4 - 4.
    assert len(cross_monomials([[0, 2], [1, 3]], 3)) - 4 == 20 - 4 - 4


def test_products_are_all_that_a_decoder_of_second_order_has_across_slots():
    layer = Interaction([[0], [1]], 2, (3,))
    own = tf.constant(np.random.default_rng(1).normal(size=(2, 3)).astype(np.float32))

    def across():
        return evaluation.block_hessian(lambda z: layer(z) + tf.tanh(2 * z) @ own, POINTS[:3])

    assert across()["score"] == 0
    layer.coefficients.assign(np.float32([[0.5, -2.0, 1.0]]))
    np.testing.assert_allclose(across()["per_sample"], 2.0, rtol=1e-5)


@given(st.integers(0, 2**31), st.lists(st.floats(-3, 3), min_size=4, max_size=4))
def test_theorem_c_2_across_slots_second_order_is_a_product(seed, corners):
    # The second difference over a rectangle is that of c z1 z2, whatever the slots' own functions.
    generator = np.random.default_rng(seed)
    c, phase = generator.normal(), generator.normal(size=4)
    a, b, left, right = corners

    def f(x, y):
        return math.sin(3 * x + phase[0]) * phase[1] + abs(y) ** 3 * phase[2] + c * x * y

    difference = f(a, left) - f(a, right) - f(b, left) + f(b, right)
    assert difference == pytest.approx(c * (a - b) * (left - right), abs=1e-9)


@settings(max_examples=20)
@given(st.floats(0.1, math.pi / 2 - 0.1))
def test_curved_slots_are_identified_at_first_order_and_not_at_second(angle):
    # Their second order is not above the second order that the model may have across slots.
    x, turned = mixings.squares(0)(POINTS), POINTS @ turn(angle).T
    assert residual(x, POINTS, 1) == pytest.approx(0, abs=1e-16)
    assert residual(x, turned, 1) > 1e-4
    assert residual(x, turned, 2) == pytest.approx(0, abs=1e-16)


@settings(max_examples=20)
@given(st.floats(0.1, math.pi / 2 - 0.1))
def test_slots_of_third_order_that_interact_to_second_are_identified_at_second(angle):
    x, turned = cubes()(POINTS), POINTS @ turn(angle).T
    assert residual(x, POINTS, 1) > 1e-3, "an additive decoder cannot have their product"
    assert residual(x, POINTS, 2) == pytest.approx(0, abs=1e-16)
    assert residual(x, turned, 2) > 1e-6
    # A decoder that may interact as much as slots do within fits anything again.
    assert residual(x, turned, 3) == pytest.approx(0, abs=1e-14)


def test_scores_say_beforehand_which_order_identifies():
    # Squares: independent, and curved within, so identified at first order.
    z = POINTS[:3]
    squares = mixings.squares(0).tensorflow()
    assert evaluation.sufficient_nonlinearity(squares, z, dtype="float64")["score"] > 0.01
    found = evaluation.sufficient_independence(squares, z, order=1, dtype="float64")
    assert found["score"] > 0.01 and (found["ranks"] == [2, 1, 1]).all()
    # A linear decoder is as independent, and no curvature tells its slots from turned ones.
    linear = synthetic.affine(np.random.default_rng(0).normal(size=(10, 2))).tensorflow()
    found = evaluation.sufficient_independence(linear, z, order=1, dtype="float64")
    assert (found["ranks"] == [2, 0, 0]).all()
    assert evaluation.sufficient_nonlinearity(linear, z, dtype="float64")["score"] == 0


def test_example_c_6_around_a_hole_local_additivity_is_not_global():
    """With f = arg z1 - arg z2, of two points of an annulus less than a quarter turn apart.

    Sets of one slot at a fixed other are annular sectors, so the set is aligned-connected; a slot
    by itself goes around the hole, so it is not contractible.
    """

    def f(z):
        (x, y), (u, v) = (tf.unstack(part, axis=1) for part in (z[:, :2], z[:, 2:]))
        return tf.atan2(y * u - x * v, x * u + y * v)[:, None]

    def point(angle, radius=1.5):
        return radius * np.array([math.cos(angle), math.sin(angle)])

    angles = np.linspace(0, 2 * math.pi, 13)
    pairs = np.array([[*point(a), *point(a + 0.5, 1.2)] for a in angles])
    blocks = [[0, 1], [2, 3]]
    assert evaluation.block_hessian(f, pairs, blocks, dtype="float64")["score"] < 1e-12
    # Steps of the first slot alone: of a sum g(z1) + h(z2) they add up to nothing around the hole.
    steps = 0.0
    for before, after in zip(angles, angles[1:], strict=False):
        second = point(before + 0.5, 1.2)
        at = tf.constant([[*point(after), *second], [*point(before), *second]])
        values = f(at).numpy().ravel()
        steps += values[0] - values[1]
    assert steps == pytest.approx(2 * math.pi)


def test_example_c_7_on_a_u_local_additivity_is_not_global():
    """With f = z2^3 where both are positive, on a square without the middle of its upper half."""

    def f(z):
        right = tf.cast(z[:, :1] > 0, z.dtype)
        return right * tf.maximum(z[:, 1:], 0) ** 3

    corners = np.array([[-1.5, -1.0], [-1.5, 1.0], [1.5, -1.0], [1.5, 1.0]])
    assert evaluation.block_hessian(f, corners, dtype="float64")["score"] == 0
    left_low, left_high, right_low, right_high = f(tf.constant(corners)).numpy().ravel()
    assert right_high - right_low - left_high + left_low == 1
