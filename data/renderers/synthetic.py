"""Known mixing functions from latents to observations, with exact Jacobians.

All of them have one form, a layer of tanh units beside a linear path,

    f(z)_d = offset_d + linear_d . z + sum_h outer_dh tanh(inner_dh . z + bias_dh),

so one class computes them and their Jacobians. What differs is where the weights come from.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Mixing:
    """A mixing function from n latents to D observations, with H hidden units an observation.

    Attributes:
        linear: `[D, n]` weights of the linear path.
        offset: `[D]` constants.
        inner: `[D, H, n]` weights into the hidden units.
        bias: `[D, H]` biases of the hidden units.
        outer: `[D, H]` weights out of the hidden units.
    """

    linear: np.ndarray
    offset: np.ndarray
    inner: np.ndarray
    bias: np.ndarray
    outer: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """(observations D, sources n)."""
        return self.linear.shape

    @property
    def pattern(self) -> np.ndarray:
        """`[D, n]` bool: which entries of the Jacobian are not zero everywhere."""
        through_hidden = (self.inner != 0) & (self.outer != 0)[..., None]
        return (self.linear != 0) | through_hidden.any(1)

    def __call__(self, latents: np.ndarray) -> np.ndarray:
        """The observations, `[..., n]` to `[..., D]` float64."""
        latents = np.asarray(latents, np.float64)
        linear = np.einsum("dn,...n->...d", self.linear, latents)
        return self.offset + linear + (self.outer * self._hidden(latents)).sum(-1)

    def jacobian(self, latents: np.ndarray) -> np.ndarray:
        """The exact Jacobian df_d / dz_n, `[..., n]` to `[..., D, n]` float64."""
        slope = self.outer * (1 - self._hidden(np.asarray(latents, np.float64)) ** 2)
        return self.linear + np.einsum("...dh,dhn->...dn", slope, self.inner)

    def _hidden(self, latents: np.ndarray) -> np.ndarray:
        return np.tanh(np.einsum("dhn,...n->...dh", self.inner, latents) + self.bias)

    def standardised(self, latents: np.ndarray) -> "Mixing":
        """The same function but for units: mean 0 and deviation 1 of every observation.

        Args:
            latents: `[N, n]`, on which that holds.
        """
        observations = self(latents)
        mean, scale = observations.mean(0), observations.std(0)
        return dataclasses.replace(
            self,
            linear=self.linear / scale[:, None],
            offset=(self.offset - mean) / scale,
            outer=self.outer / scale[:, None],
        )

    def tensorflow(self) -> Callable:
        """The same function on `[B, n]` tensors of any float type, for scores of decoders."""
        import tensorflow as tf

        def mix(latents):
            linear, offset, inner, bias, outer = (
                tf.constant(getattr(self, field.name), latents.dtype)
                for field in dataclasses.fields(self)
            )
            hidden = tf.tanh(tf.einsum("dhn,bn->bdh", inner, latents) + bias)
            straight = tf.einsum("dn,bn->bd", linear, latents)
            return offset + straight + tf.reduce_sum(outer * hidden, -1)

        return mix


def affine(matrix: np.ndarray, offset: np.ndarray | None = None) -> Mixing:
    """f(z) = matrix z + offset, `matrix` being `[D, n]`."""
    matrix = np.asarray(matrix, np.float64)
    outputs, inputs = matrix.shape
    none = np.zeros((outputs, 0))
    offset = np.zeros(outputs) if offset is None else np.asarray(offset, np.float64)
    return Mixing(matrix, offset, np.zeros((outputs, 0, inputs)), none, none)


def plane(ratio: float = 2.0) -> Mixing:
    """A rectangle in space: (ratio z1, z2, 0), turned by 45 degrees about the line (1, -1, 1).

    The linear data of Zietlow's dissertation (2022), section 3.3: on the unit square, J^T J is
    diag(ratio^2, 1), so PCA finds the latents unless the ratio is 1.
    """
    if not ratio > 0:
        raise ValueError(f"ratio={ratio}: want a positive number")
    from scipy.spatial.transform import Rotation

    axis = np.array([1.0, -1.0, 1.0]) / np.sqrt(3)
    rotation = Rotation.from_rotvec(np.pi / 4 * axis).as_matrix()
    return affine(rotation[:, :2] * [ratio, 1.0])


def random_network(seed: int, sizes: Sequence[int] = (2, 10, 6), ratio: float = 1.0) -> Mixing:
    """A random network of one tanh layer with biases, on latents of which the first is stretched.

    The non-linear data of Zietlow's dissertation (2022), section 3.3. The initialiser is not stated
    there; here weights into the tanh layer and biases are N(0, 1), so that the layer is
    well off its linear range on the unit square, and weights out of it N(0, 1 / hidden).
    """
    inputs, hidden, outputs = sizes
    rng = np.random.Generator(np.random.PCG64(seed))
    inner = rng.standard_normal((hidden, inputs)) * np.r_[ratio, np.ones(inputs - 1)]
    bias = rng.standard_normal(hidden)
    outer = rng.standard_normal((outputs, hidden)) / np.sqrt(hidden)
    return Mixing(
        np.zeros((outputs, inputs)),
        rng.standard_normal(outputs),
        np.broadcast_to(inner, (outputs, hidden, inputs)),
        np.broadcast_to(bias, (outputs, hidden)),
        outer,
    )


def additive(
    nonlinearity: float, seed: int = 0, inputs: int = 2, outputs: int = 10, units: int = 8
) -> Mixing:
    """A sum of functions of one latent each, from linear (0) to curved all over [0, 1] (1).

    `f(z) = sum_k (1 - e) a_k z_k + e sum_h v_kh tanh(4 (z_k - c_kh))` with e the nonlinearity,
    normal a and v, and turning points c spread over [0, 1]. Additive decoders identify latents of
    sufficiently non-linear f alone (Lachapelle et al. 2023, assumption 2): of linear f, any turned
    latents have an additive decoder too.

    Args:
        nonlinearity: e, in [0, 1].
        seed: of the weights, which are the same for every e.
        inputs: latents n.
        outputs: observations D.
        units: tanh units a latent.

    Raises:
        ValueError: the nonlinearity is out of range.
    """
    if not 0 <= nonlinearity <= 1:
        raise ValueError(f"nonlinearity={nonlinearity}: want a number from 0 to 1")
    rng = np.random.Generator(np.random.PCG64(seed))
    linear = rng.standard_normal((outputs, inputs))
    owner = np.repeat(np.eye(inputs), units, axis=0)
    turns = (np.tile(np.arange(units), inputs) + rng.uniform(0, 1, inputs * units)) / units
    outer = rng.standard_normal((outputs, inputs * units)) / np.sqrt(units)
    return Mixing(
        (1 - nonlinearity) * linear,
        np.zeros(outputs),
        np.broadcast_to(4 * owner, (outputs, *owner.shape)),
        np.broadcast_to(-4 * turns, outer.shape),
        nonlinearity * outer,
    )


def gaussian(covariance: np.ndarray) -> Mixing:
    """f(z) = U sqrt(L) z, which gives standard normal latents the covariance C = U L U^T.

    The columns are the principal directions, largest variance first, signed so that the entry of
    largest size is positive. A linear VAE with a diagonal posterior and likelihood variance s finds
    these directions, scaled by sqrt(L - s).

    Args:
        covariance: `[D, D]`, symmetric and positive semi-definite.

    Raises:
        ValueError: it is not.
    """
    covariance = np.asarray(covariance, np.float64)
    square = covariance.ndim == 2 and covariance.shape[0] == covariance.shape[1]
    if not square or not np.allclose(covariance, covariance.T):
        raise ValueError(f"the covariance, {list(covariance.shape)}, is not a symmetric matrix")
    variances, directions = np.linalg.eigh(covariance)
    if variances[0] < -1e-9 * variances[-1]:
        raise ValueError(f"the covariance has a negative eigenvalue, {variances[0]:.3g}")
    variances, directions = np.maximum(variances[::-1], 0), directions[:, ::-1]
    largest = np.abs(directions).argmax(0)
    signs = np.sign(directions[largest, np.arange(len(variances))])
    return affine(directions * signs * np.sqrt(variances))


def sparse(
    pattern: np.ndarray, seed: int, hidden: int = 8, coupling: float = 0.9, scale: float = 1.0
) -> Mixing:
    """A random non-linear mixing whose Jacobian has a given sparsity pattern, and is injective.

    Every source is matched with an observation that depends on it. In every linear path and every
    hidden unit of an observation the matched source outweighs the others: their weights sum up to
    at most `coupling` times its weight. Hence the Jacobian of the matched observations is strictly
    diagonally dominant at every z, which makes the function injective on all of R^n (Gale and
    Nikaido, 1965).

    Args:
        pattern: `[D, n]` bool, which observation depends on which source.
        seed: of the weights.
        hidden: tanh units an observation.
        coupling: how strongly sources mix, in [0, 1).
        scale: the size of typical latents; the tanh units bend within 3 times it.

    Raises:
        ValueError: no injective function has this pattern, or `coupling` is out of range.
    """
    pattern = np.asarray(pattern, bool)
    own = _matched(pattern)
    if not 0 <= coupling < 1:
        raise ValueError(f"coupling={coupling}: want 0 <= coupling < 1")
    outputs, _ = pattern.shape
    rng = np.random.Generator(np.random.PCG64(seed))

    # A source acts in one direction through all units of an observation: otherwise they cancel.
    signs = rng.choice([-1.0, 1.0], pattern.shape) * pattern

    def dominated(units: int) -> np.ndarray:
        weights = rng.uniform(0.2, 1, (outputs, units, pattern.shape[1])) * signs[:, None]
        weights[np.arange(outputs), :, own] = 0
        total = np.abs(weights).sum(-1, keepdims=True)
        share = rng.uniform(0.2, 1, total.shape) * coupling
        weights *= share / np.where(total > 0, total, 1)
        weights[np.arange(outputs), :, own] = 1
        return weights

    return Mixing(
        linear=0.3 * dominated(1)[:, 0],
        offset=np.zeros(outputs),
        inner=dominated(hidden) * rng.uniform(0.5, 1.5, (outputs, hidden, 1)) / scale,
        bias=rng.uniform(-3, 3, (outputs, hidden)),
        outer=scale * rng.uniform(0.2, 1.0, (outputs, hidden)),
    )


def _matched(pattern: np.ndarray) -> np.ndarray:
    """`[D]`: the source that each observation belongs to; every source has an observation."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    if pattern.ndim != 2 or not pattern.any(1).all():
        raise ValueError(
            f"pattern {list(pattern.shape)}: want a matrix in which every observation (row) "
            "depends on a source (column)"
        )
    own = maximum_bipartite_matching(csr_array(pattern.astype(np.int8)), perm_type="column")
    if (own >= 0).sum() < pattern.shape[1]:
        raise ValueError(
            f"pattern {list(pattern.shape)}: some sources have no observation of their own, so no "
            "function with this Jacobian is injective"
        )
    return np.where(own >= 0, own, pattern.argmax(1))


def banded(sources: int, parents: int = 2) -> np.ndarray:
    """`[n, n]` bool pattern: observation i depends on sources i, ..., i + parents - 1 modulo n.

    With 2 <= parents < n every source is the only one that all its observations share, the
    structural sparsity that identifiability results ask for (Zheng et al., NeurIPS 2022).
    """
    if not 1 <= parents <= sources:
        raise ValueError(f"parents={parents}: want 1 <= parents <= {sources}, the sources")
    return (np.arange(sources) - np.arange(sources)[:, None]) % sources < parents
