"""Random mixing functions whose observations lie far from their sources, or whose sources meet."""

import dataclasses
from collections.abc import Callable

import numpy as np

from zoo.data.renderers.synthetic import Mixing, affine

# The slope of a unit of `Turned` far below and far above 0, and how fast it changes.
_LEAST, _RATE = 0.2, 2.0


def tangled(pattern: np.ndarray, rng: np.random.Generator, hidden: int = 6) -> Mixing:
    """A random mixing with a given sparsity pattern in which no source outweighs the others.

    As `synthetic.sparse`, a layer of tanh units an observation beside a linear path, without that
    function's dominant source: weights into every unit are `U(0.1, 1)` for all parents, at unit
    length, times `U(0.5, 1.5)`. A source acts in one direction through all units of an observation.
    Nothing guarantees that the function is injective: look at its singular values.

    Args:
        pattern: `[D, n]` bool, which observation depends on which source.
        rng: draws the weights.
        hidden: tanh units an observation.
    """
    pattern = np.asarray(pattern, bool)
    outputs, inputs = pattern.shape
    signs = rng.choice([-1.0, 1.0], pattern.shape) * pattern
    inner = rng.uniform(0.1, 1, (outputs, hidden, inputs)) * signs[:, None]
    inner /= np.linalg.norm(inner, axis=-1, keepdims=True)
    return Mixing(
        linear=0.3 * rng.uniform(0.3, 1, pattern.shape) * signs,
        offset=np.zeros(outputs),
        inner=inner * rng.uniform(0.5, 1.5, (outputs, hidden, 1)),
        bias=rng.uniform(-2, 2, (outputs, hidden)),
        outer=rng.uniform(0.2, 1, (outputs, hidden)) * 3 / hidden,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Turned:
    """`f(z) = A_2 s(A_1 s(A_0 z)) + c`: dense, and injective where the A_i have full rank.

    `s(t) = 0.2 t + 0.4 log(1 + exp(2 t))` is a leaky rectifier without a corner, of slopes between
    0.2 and 1.

    Attributes:
        matrices: `[D, n]`, then `[D, D]` each.
        offset: c, `[D]`.
    """

    matrices: tuple[np.ndarray, ...]
    offset: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """(observations D, sources n)."""
        return self.matrices[0].shape

    @property
    def pattern(self) -> np.ndarray:
        """`[D, n]` bool: all true."""
        return np.ones(self.shape, bool)

    def __call__(self, latents: np.ndarray) -> np.ndarray:
        """The observations, `[..., n]` to `[..., D]` float64."""
        first, *others = self.matrices
        values = np.asarray(latents, np.float64) @ first.T
        for matrix in others:
            bent = _LEAST * values + (1 - _LEAST) * np.logaddexp(0, _RATE * values) / _RATE
            values = bent @ matrix.T
        return values + self.offset

    def standardised(self, latents: np.ndarray) -> "Turned":
        """See `Mixing.standardised`."""
        observations = self(latents)
        mean, scale = observations.mean(0), observations.std(0)
        *others, last = self.matrices
        return Turned((*others, last / scale[:, None]), (self.offset - mean) / scale)

    def jacobian(self, latents: np.ndarray) -> np.ndarray:
        """The exact Jacobian df_d / dz_n, `[..., n]` to `[..., D, n]` float64."""
        first, *others = self.matrices
        values = np.asarray(latents, np.float64) @ first.T
        columns = np.broadcast_to(first, (*values.shape[:-1], *first.shape))
        for matrix in others:
            slopes = _LEAST + (1 - _LEAST) / (1 + np.exp(-_RATE * values))
            bent = _LEAST * values + (1 - _LEAST) * np.logaddexp(0, _RATE * values) / _RATE
            columns = matrix @ (slopes[..., None] * columns)
            values = bent @ matrix.T
        return columns

    def tensorflow(self) -> Callable:
        """The same function on `[B, n]` tensors of any float type, for scores of decoders."""
        import tensorflow as tf

        def mix(latents):
            first, *others = (tf.constant(m, latents.dtype) for m in self.matrices)
            values = tf.linalg.matmul(latents, first, transpose_b=True)
            for matrix in others:
                bent = tf.nn.softplus(_RATE * values) * ((1 - _LEAST) / _RATE)
                values = tf.linalg.matmul(_LEAST * values + bent, matrix, transpose_b=True)
            return values + tf.constant(self.offset, latents.dtype)

        return mix


def turned(outputs: int, inputs: int, rng: np.random.Generator) -> Turned:
    """A random `Turned` of matrices with orthonormal columns.

    Args:
        outputs: observations D.
        inputs: sources n.
        rng: draws the matrices.
    """
    shapes = ((outputs, inputs), (outputs, outputs), (outputs, outputs))
    matrices = tuple(np.linalg.qr(rng.standard_normal(shape))[0] for shape in shapes)
    return Turned(matrices, np.zeros(outputs))


@dataclasses.dataclass(frozen=True, eq=False)
class Quadratic:
    """`f(z)_d = g(z)_d + sum_i<=j Q_dij z_i z_j`: a mixing g with a quadratic form beside it.

    Attributes:
        straight: g, from n latents to D observations.
        forms: Q, `[D, n, n]`, upper triangular.
    """

    straight: Mixing
    forms: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """(observations D, sources n)."""
        return self.straight.shape

    @property
    def pattern(self) -> np.ndarray:
        """`[D, n]` bool: which entries of the Jacobian are not zero everywhere."""
        return self.straight.pattern | (self.forms != 0).any(1) | (self.forms != 0).any(2)

    def __call__(self, latents: np.ndarray) -> np.ndarray:
        """The observations, `[..., n]` to `[..., D]` float64."""
        latents = np.asarray(latents, np.float64)
        squares = np.einsum("dij,...i,...j->...d", self.forms, latents, latents)
        return self.straight(latents) + squares

    def jacobian(self, latents: np.ndarray) -> np.ndarray:
        """The exact Jacobian df_d / dz_n, `[..., n]` to `[..., D, n]` float64."""
        both = self.forms + np.swapaxes(self.forms, 1, 2)
        slopes = np.einsum("dij,...j->...di", both, np.asarray(latents, np.float64))
        return self.straight.jacobian(latents) + slopes

    def tensorflow(self) -> Callable:
        """The same function on `[B, n]` tensors of any float type, for scores of decoders."""
        import tensorflow as tf

        straight = self.straight.tensorflow()

        def mix(latents):
            forms = tf.constant(self.forms, latents.dtype)
            return straight(latents) + tf.einsum("dij,bi,bj->bd", forms, latents, latents)

        return mix


def squares(seed: int, inputs: int = 2, outputs: int = 10) -> Quadratic:
    """A random sum of quadratic functions of one latent each: slots with no third derivative.

    Its latents interact neither across slots nor, within, to more than second order: a decoder of
    second-order interaction has it with the latents turned as well (Brady et al. 2025).

    Args:
        seed: of the weights, N(0, 1) and, of the squares, N(0, 4).
        inputs: latents n.
        outputs: observations D.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    straight = affine(rng.standard_normal((outputs, inputs)))
    return Quadratic(straight, 2 * rng.standard_normal((outputs, inputs, 1)) * np.eye(inputs))


def interacting(straight: Mixing, seed: int) -> Quadratic:
    """A mixing with the products of any two different latents beside it, of weights N(0, 4).

    Args:
        straight: the mixing.
        seed: of the weights.
    """
    outputs, inputs = straight.shape
    rng = np.random.Generator(np.random.PCG64(seed))
    forms = 2 * rng.standard_normal((outputs, inputs, inputs))
    return Quadratic(straight, forms * np.triu(np.ones((inputs, inputs)), 1))
