"""Decoders of two slots whose interaction is known, and what the scores of it give of them.

Brady et al. 2025, definitions 3.2 to 3.4, and its examples C.6 and C.7. No model is trained.
"""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from zoo import evaluation

# Numbers that a decoder of polynomials makes: at least 4 + 10 + 4 + 4, the ranks of order 2.
OUTPUTS = 32
CANVAS, RADIUS = 16, 5.0


@dataclasses.dataclass(frozen=True)
class Known:
    """A decoder and what is known of it.

    Attributes:
        name: a few words.
        decoder: TensorFlow, `[N, 2, d]` to `[N, ...]`.
        points: where it is differentiated, `[N, 2, d]` float64.
        order: of interaction across slots, 0 to 2, or 3 for more.
        irreducible: the share of slots that cannot be split.
        within: whether derivatives of the next order within every slot are not zero: interaction
            asymmetry. None beyond order 2.
    """

    name: str
    decoder: Callable
    points: np.ndarray
    order: int
    irreducible: float
    within: bool | None


@dataclasses.dataclass(frozen=True)
class Scores:
    """What the scores give of a decoder; None where a score takes orders up to 2 alone.

    Attributes:
        order: `interaction_order`.
        hessian: `block_hessian`, 0 for order 0.
        contrast: `compositional_contrast`.
        independence: `sufficient_independence` at that order.
        rank: the least rank of a slot's derivatives of the next order.
        irreducible: `irreducibility`.
    """

    order: int
    hessian: float
    contrast: float
    independence: float | None
    rank: int | None
    irreducible: float


def measured(known: Known) -> Scores:
    """The scores of a decoder at its points."""

    def score(function, **options):
        return function(known.decoder, known.points, dtype="float64", **options)

    interaction = score(evaluation.interaction_order)
    order, independence, rank = interaction["score"], None, None
    if order <= 2:
        found = score(evaluation.sufficient_independence, order=order)
        independence, rank = found["score"], int(found["ranks"][:, 1:].min())
    return Scores(
        order,
        interaction["second"],
        score(evaluation.compositional_contrast)["score"],
        independence,
        rank,
        score(evaluation.irreducibility)["score"],
    )


def decoders(count: int = 4) -> list[Known]:
    """The decoders, each with some points.

    Args:
        count: of points.
    """
    generator = np.random.default_rng(0)
    cube = generator.uniform(0.5, 1.5, (count, 2, 2))
    products = [(i, j) for i in (0, 1) for j in (2, 3)]
    apart, near = np.array([[4.5, 4.0], [11.0, 11.5]]), np.array([[6.5, 7.5], [9.0, 8.0]])
    jitter = generator.uniform(-0.4, 0.4, (count, 2, 2))
    return [
        Known("slots with outputs of their own", _separate(_own(3)), cube, 0, 1, True),
        Known("latents with outputs of their own", _separate(_alone(3)), cube, 0, 0, True),
        Known("linear", polynomial(_own(1)), cube, 1, 1, False),
        Known("sum over slots, of degree 3", polynomial(_own(3)), cube, 1, 1, True),
        Known("the same with products", polynomial([*_own(3), *products]), cube, 2, 1, True),
        Known("degree 2 with products", polynomial([*_own(2), *products]), cube, 2, 1, False),
        Known("sprites apart", occluding, apart + jitter, 0, 1, True),
        Known("sprites, one before the other", occluding, near + jitter, 3, 1, None),
        Known("example C.6", difference_of_angles, _annulus(count), 1, 1, True),
        Known("example C.7", cube_on_one_side, _arm(count), 0, 0.5, False),
    ]


def _own(degree: int) -> list[tuple[int, ...]]:
    """The monomials of a degree, from 1, that have latents of one slot alone."""
    return [
        chosen
        for slot in ((0, 1), (2, 3))
        for n in range(1, degree + 1)
        for chosen in itertools.combinations_with_replacement(slot, n)
    ]


def _alone(degree: int) -> list[tuple[int, ...]]:
    return [(latent,) * n for latent in range(4) for n in range(1, degree + 1)]


def polynomial(monomials: Sequence[tuple[int, ...]], pattern: np.ndarray | None = None) -> Callable:
    """A random polynomial, `[N, 2, 2]` to `[N, OUTPUTS]`.

    Args:
        monomials: its terms of up to three latents, each by these.
        pattern: `[monomials, OUTPUTS]`, which output has which term; all of them if None.
    """
    weights = np.random.default_rng(1).normal(size=(len(monomials), OUTPUTS))
    weights *= 1 if pattern is None else pattern
    # Of every term a latent, or a one, from each of a few matrices: few operations, which are
    # differentiated thrice in a tenth of the time.
    chosen = [[m[at] if at < len(m) else 4 for m in monomials] for at in range(3)]
    factors = [np.eye(5)[:, latents] for latents in chosen[: max(map(len, monomials))]]

    def decoder(slots):
        import tensorflow as tf

        latents = tf.reshape(slots, [-1, 4])
        product = 1.0
        for factor in factors:
            product *= latents @ tf.constant(factor[:4], slots.dtype) + factor[4]
        return tf.linalg.matmul(product, tf.constant(weights, slots.dtype))

    return decoder


def _separate(monomials: Sequence[tuple[int, ...]]) -> Callable:
    """Outputs fall into one part for each set of latents that some monomial has."""
    joined = (
        [{0, 1}, {2, 3}] if any(len(set(m)) > 1 for m in monomials) else [{k} for k in range(4)]
    )
    part = np.arange(OUTPUTS) % len(joined)
    owner = np.array([next(k for k, p in enumerate(joined) if set(m) <= p) for m in monomials])
    return polynomial(monomials, owner[:, None] == part)


def occluding(slots):
    """Two smooth discs on black, the second in front: `[N, 2, 2]` centres to `[N, 16, 16, 2]`.

    A disc covers `(1 - r^2 / 25)^4` of a pixel within a distance r of 5 pixels; each has a channel
    as its colour.
    """
    import tensorflow as tf

    grid = tf.constant(np.indices((CANVAS, CANVAS)), slots.dtype)
    away = slots[:, :, :, None, None] - grid
    squares = tf.reduce_sum(away * away, axis=2) / RADIUS**2
    covered = tf.nn.relu(1 - squares)
    covered = covered * covered * covered * covered
    back, front = covered[:, 0], covered[:, 1]
    return tf.stack([back * (1 - front), front], axis=-1)


def difference_of_angles(slots):
    """Example C.6: `arg z_1 - arg z_2` for two points of an annulus, `[N, 2, 2]` to `[N, 1]`."""
    import tensorflow as tf

    x, y, u, v = tf.unstack(tf.reshape(slots, [-1, 4]), axis=1)
    return tf.atan2(y * u - x * v, x * u + y * v)[:, None]


def cube_on_one_side(slots):
    """Example C.7: `z_2^3` where both latents are positive, else 0: `[N, 2, 1]` to `[N, 1]`."""
    import tensorflow as tf

    first, second = slots[:, 0], tf.nn.relu(slots[:, 1])
    return tf.cast(first > 0, slots.dtype) * second * second * second


def _annulus(count: int) -> np.ndarray:
    """Pairs of points of radius 1 to 2, less than a quarter turn apart."""
    generator = np.random.default_rng(2)
    angles = generator.uniform(0, 2 * math.pi, (count, 1)) + generator.uniform(0.2, 0.7, (count, 2))
    radii = generator.uniform(1, 2, (count, 2))
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=-1)


def _arm(count: int) -> np.ndarray:
    """Points of that arm of the U where the function is not zero."""
    return np.random.default_rng(3).uniform(0.5, 1.5, (count, 2, 1))
