"""Sufficient non-linearity: the authors' two examples in closed form, and decoders without it."""

import numpy as np
import pytest
import tensorflow as tf

from zoo import evaluation

GRID = np.linspace(0, 5, 64)
COLOURS = np.array([[69, 154, 145], [203, 107, 102]]) - 255.0
X = (1.25, 3.75)


def _powers(z):
    """Example 3.8: (z1, ..., z1^4) + (z2 + 1, ..., (z2 + 1)^4)."""
    nodes = z + tf.constant([0.0, 1.0], tf.float64)
    # Products: the second derivative of a power function is undefined at 0.
    powers = [nodes, nodes * nodes, nodes * nodes * nodes, nodes * nodes * nodes * nodes]
    return tf.reduce_sum(tf.stack(powers, axis=1), axis=2)


def test_sums_of_powers_have_the_confluent_vandermonde_determinant():
    """W has the determinant 24 (z2 + 1 - z1)^4: its rows are k x^(k - 1) and their derivatives."""
    z = np.stack(np.meshgrid(np.linspace(-1, 0, 5), np.linspace(0, 1, 5)), -1).reshape(-1, 2)
    found = evaluation.sufficient_nonlinearity(_powers, z, dtype="float64")
    assert found["columns"] == [(0,), (1,), (0, 0), (1, 1)]
    nodes, k = np.stack([z[:, 0], z[:, 1] + 1], axis=1), np.arange(1.0, 5)
    first = np.sqrt(np.sum((k * nodes[..., None] ** (k - 1)) ** 2, axis=-1))
    second = np.sqrt(np.sum((k[1:] * (k[1:] - 1) * nodes[..., None] ** (k[1:] - 2)) ** 2, axis=-1))
    expected = 24 * (z[:, 1] + 1 - z[:, 0]) ** 4 / (first * second).prod(axis=1)
    np.testing.assert_allclose(found["per_sample"], expected, rtol=1e-6)
    # The nodes z1 and z2 + 1 never meet on [-1, 0] x [0, 1].
    assert found["score"] == pytest.approx(expected.min()) and found["score"] > 1e-3


def _bumps(z):
    """Example 4.9: the images before rounding; heights from 0 to 5."""
    image = 0.0
    for ball in (0, 1):
        down = (GRID - z[:, ball, None]) ** 2
        r2 = down[:, :, None] + tf.constant((GRID - X[ball]) ** 2)
        room = tf.where(r2 < 1, 1 - r2, 1.0)
        part = tf.where(r2 < 1, tf.exp(1 - 1 / room), 0.0)
        image += part[..., None] * COLOURS[ball]
    return image


@pytest.mark.parametrize(
    "heights, least, largest",
    [
        (np.arange(0, 5, 0.05)[2::5], 0.9715633, 1.0000002),
        (np.append(np.arange(0.5, 0.7, 0.01), 0.699), 0.9708805, 0.9788254),
    ],
)
def test_bumps_are_as_nonlinear_as_in_the_authors_notebook(heights, least, largest):
    """With both balls at one height, which has both extremes: the balls do not touch."""
    z = np.stack([heights, heights], axis=1)
    found = evaluation.sufficient_nonlinearity(_bumps, z, dtype="float64")
    # The grids are five and ten times coarser than theirs.
    assert found["score"] == pytest.approx(least, abs=2e-5)
    assert found["largest"] == pytest.approx(largest, abs=1e-6)


def test_blocks_have_their_mixed_derivatives_too():
    def decoder(z):
        one, two = z[:, :2], z[:, 2:]
        terms = [one, one**2, one[:, :1] * one[:, 1:], two**3, two, two[:, :1] ** 2 * two[:, 1:]]
        return tf.concat([*terms, tf.exp(two)], axis=1)

    z = np.random.default_rng(0).uniform(0.5, 1, (6, 4))
    found = evaluation.sufficient_nonlinearity(decoder, z, [[0, 1], [2, 3]], dtype="float64")
    pairs = [(0, 0), (0, 1), (1, 1), (2, 2), (2, 3), (3, 3)]
    assert found["columns"] == [(0,), (1,), (2,), (3,), *pairs]
    # The blocks have outputs of their own: the volume is the product of theirs.
    for (a, b, c, d), volume in zip(z, found["per_sample"], strict=True):
        one = [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [2 * a, 0, 2, 0, 0], [0, 2 * b, 0, 0, 2]]
        two = [[3 * c**2, 0, 6 * c, 0, 0], [0, 3 * d**2, 0, 0, 6 * d], [1, 0, 0, 0, 0]]
        two += [[0, 1, 0, 0, 0], [2 * c * d, c**2, 2 * d, 2 * c, 0]]
        two += [np.exp(c) * np.array([1, 0, 1, 0, 0]), np.exp(d) * np.array([0, 1, 0, 0, 1])]
        expected = 1.0
        for w in (np.array([*one, [b, a, 0, 1, 0]]), np.array(two)):
            unit = w / np.linalg.norm(w, axis=0)
            expected *= np.sqrt(np.linalg.det(unit.T @ unit))
        assert volume == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("decoder", ["linear", "dead"])
def test_linear_decoders_and_dead_latents_are_not(decoder):
    def decode(z):
        second = z[:, 1:] if decoder == "linear" else tf.exp(0 * z[:, 1:])
        return tf.concat([z[:, :1] ** 2, z[:, :1] ** 3, second], axis=1)

    found = evaluation.sufficient_nonlinearity(decode, np.ones((3, 2)), dtype="float64")
    np.testing.assert_array_equal(found["per_sample"], 0)
    assert found["score"] == 0


def test_a_block_alone_says_nothing():
    with pytest.raises(ValueError, match="at least two blocks"):
        evaluation.sufficient_nonlinearity(_powers, np.ones((3, 2)), [[0, 1]])
