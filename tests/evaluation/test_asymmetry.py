"""Sufficient independence and irreducibility of decoders whose ranks can be counted by hand."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo import evaluation
from zoo.evaluation.asymmetry import _parts

GENERATOR = np.random.default_rng(0)
POINTS = GENERATOR.uniform(0.5, 1.5, (3, 2))
PAIRS = GENERATOR.uniform(0.5, 1.5, (3, 4))


def stacked(*terms):
    return tf.stack(terms, axis=1)


def powers(z, *degrees):
    """Every power of every latent has an output of its own."""
    return stacked(*(z[:, k] ** n for n in degrees for k in (0, 1)))


def test_slots_without_interaction_are_independent_where_the_jacobian_has_full_rank():
    def independence(decoder):
        return evaluation.sufficient_independence(decoder, POINTS, order=0, dtype="float64")

    apart = independence(lambda z: stacked(z[:, 0], 2 * z[:, 0] ** 2, z[:, 1]))
    assert apart["score"] == pytest.approx(1) and (apart["ranks"] == [0, 1, 1]).all()
    alike = independence(lambda z: stacked(z[:, 0] + z[:, 1], 2 * (z[:, 0] + z[:, 1])))
    assert alike["score"] == 0


def test_of_additive_decoders_it_is_first_and_second_derivatives():
    def independence(decoder):
        return evaluation.sufficient_independence(decoder, POINTS, dtype="float64")

    curved = independence(lambda z: powers(z, 1, 2))
    # The first derivatives (1, 2 z) and the second (0, 2) of a latent are not orthogonal: of the
    # two unit vectors the least singular value is sqrt(1 - cos).
    cosine = 2 * POINTS / np.sqrt(1 + 4 * POINTS**2)
    np.testing.assert_allclose(curved["per_sample"], np.sqrt(1 - cosine.max(1)), rtol=1e-6)
    assert (curved["ranks"] == [2, 1, 1]).all() and curved["outputs"] == 4
    # One output too few: the slots' curvatures are the same vector.
    shared = independence(lambda z: stacked(z[:, 0], z[:, 1], z[:, 0] ** 2 + z[:, 1] ** 2))
    assert shared["score"] == 0 and (shared["ranks"] == [2, 1, 1]).all()


def test_straight_slots_have_no_curvature_to_be_confused():
    # Which is why sufficient non-linearity asks for more (theorem E.6): there it is 0.
    def straight(z):
        return stacked(z[:, 0], z[:, 1])

    found = evaluation.sufficient_independence(straight, POINTS, dtype="float64")
    assert found["score"] == pytest.approx(1) and (found["ranks"] == [2, 0, 0]).all()
    assert evaluation.sufficient_nonlinearity(straight, POINTS, dtype="float64")["score"] == 0


def test_sufficient_nonlinearity_implies_it():
    # Theorem E.6, on blocks of two latents: every latent, and every product within a block, has an
    # output of its own. Few operations, which are traced faster.
    units, blocks = np.eye(4), [[0, 1], [2, 3]]
    pairs = [(i, j) for block in blocks for i in block for j in block if i <= j]
    left = np.concatenate([units, units[[i for i, _ in pairs]]]).T
    right = np.concatenate([0 * units, units[[j for _, j in pairs]]]).T
    one = np.repeat([1.0, 0.0], [4, len(pairs)])

    def decoder(z):
        return (z @ tf.constant(left)) * (z @ tf.constant(right) + one)

    z = PAIRS[:1]
    assert evaluation.sufficient_nonlinearity(decoder, z, blocks, dtype="float64")["score"] > 0
    found = evaluation.sufficient_independence(decoder, z, blocks, dtype="float64")
    assert found["score"] > 0 and (found["ranks"] == [4, 3, 3]).all()


def test_it_does_not_see_scales_of_latents_or_orthogonal_maps_of_outputs():
    rotation = np.linalg.qr(GENERATOR.normal(size=(6, 6)))[0]

    def other(z):
        return powers(z * tf.constant([3.0, 0.2], z.dtype), 1, 2, 3) @ tf.constant(rotation)

    given_, changed = (
        evaluation.sufficient_independence(decoder, at, dtype="float64")["per_sample"]
        for decoder, at in ((lambda z: powers(z, 1, 2, 3), POINTS), (other, POINTS / [3, 0.2]))
    )
    np.testing.assert_allclose(changed, given_, rtol=1e-6)


def parts_by_partitions(rows):
    """Into how many parts the rows fall, by trying all splits into two."""
    count = len(rows)
    rank = np.linalg.matrix_rank
    for size in range(1, count // 2 + 1):
        for chosen in itertools.combinations(range(count), size):
            rest = [k for k in range(count) if k not in chosen]
            one, two = rows[list(chosen)], rows[rest]
            if rank(rows) == rank(one) + rank(two):
                return parts_by_partitions(one) + parts_by_partitions(two)
    return 1


@settings(max_examples=60)
@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(1, 3))
def test_parts_are_those_of_all_partitions(seed, outputs, latents):
    # Small whole numbers, many of them zeros: all cases occur, and ranks are exact.
    rows = np.random.default_rng(seed).integers(-1, 2, (outputs, latents)).astype(float)
    rows = rows[np.abs(rows).sum(1) > 0]
    assert _parts(rows, 1e-6) == (parts_by_partitions(rows) if len(rows) else 0)


def test_objects_of_two_parts_are_reducible():
    def decoder(z):
        # Slot 0: three outputs of both latents. Slot 1: each latent has outputs of its own.
        whole = [z[:, 0], z[:, 1], z[:, 0] + z[:, 1]]
        halves = [z[:, 2], z[:, 2] ** 2, z[:, 3], tf.sin(z[:, 3])]
        return stacked(*whole, *halves)

    blocks = [[0, 1], [2, 3]]
    found = evaluation.irreducibility(decoder, PAIRS, blocks, dtype="float64")
    assert found["score"] == 0.5 and (found["parts"] == [1, 2]).all()
    # Another basis of the second slot's latents does not put it together (theorem E.3).
    turn = tf.constant(np.array([[0.6, -0.8], [0.8, 0.6]]))

    def turned(z):
        return decoder(tf.concat([z[:, :2], z[:, 2:] @ turn], axis=1))

    found = evaluation.irreducibility(turned, PAIRS, blocks, dtype="float64")
    assert (found["parts"] == [1, 2]).all()


def test_slots_stay_reducible_where_rows_are_sums_over_hidden_units():
    # Directions of the two parts in a slot's latents, and outputs that have hidden units in common
    # with those of their own part only.
    generator = np.random.default_rng(0)
    parts = np.array([[0.6, 0.8], [-0.8, 0.6]])
    first = np.repeat(parts, 128, axis=1) * generator.normal(size=256)
    last = generator.normal(size=(256, 12)) * np.kron(np.eye(2), np.ones((128, 6)))

    def decoder(z):
        into, out = (tf.constant(matrix.astype("float32")) for matrix in (first, last))
        return tf.concat([tf.tanh(z[:, k : k + 2] @ into) @ out for k in (0, 2)], axis=1)

    found = evaluation.irreducibility(decoder, PAIRS, [[0, 1], [2, 3]])
    assert found["score"] == 0 and (found["parts"] == 2).all()


def test_slots_of_one_latent_are_irreducible_and_dead_ones_are_not():
    found = evaluation.irreducibility(
        lambda z: stacked(z[:, 0], z[:, 0] ** 2, 0 * z[:, 1]), POINTS, dtype="float64"
    )
    assert (found["parts"] == [1, 0]).all() and found["score"] == 0.5


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="order 3: must be one of 0, 1, 2"):
        evaluation.sufficient_independence(tf.identity, POINTS, order=3)
    for score in (evaluation.sufficient_independence, evaluation.irreducibility):
        with pytest.raises(ValueError, match="at least two blocks"):
            score(tf.identity, POINTS, [[0, 1]])
