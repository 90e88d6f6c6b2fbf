"""How orthogonal, and how well identified, the columns of a decoder's Jacobian are.

Jacobians are `[N, *output_shape, d]`; only J^T J matters, so that the factor R of J = QR, as
`zoo.evaluation.jacobian(decoder, latents, reduction="triangular")` computes in bounded memory, is
as good as J. Dead latents are left out of every score instead of making it undefined: those whose
column has at most 1e-6 of the norm of the sample's largest one, which float32 hardly tells from
zero. Fewer than two live latents are orthogonal whatever the decoder: that is warned of.
"""

import warnings

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linear_sum_assignment, milp

from zoo.evaluation import checks, facts
from zoo.evaluation.arrays import epsilon, finite
from zoo.evaluation.errors import InputError

# The norm of a column, relative to the largest of its sample, up to which its latent is dead.
_DEAD = 1e-6


@facts.score(
    needs=("jacobians",),
    source="Rolinek et al. 2019",
    higher_is_better=False,
    suites=facts.STANDARD,
)
def dto(jacobians, solver: str = "assignment") -> dict:
    """Distance to Orthogonality: how far the right singular vectors are from the latent axes.

    DtO = mean over samples of ||V - P(V)||_F with J = U S V^T and P(V) the signed permutation that
    is closest to V in the entrywise L1 norm (Rolinek et al. 2019, "Variational Autoencoders Pursue
    PCA Directions (by Accident)"; Zietlow 2022, eq. 3.25-3.29). Lower is better; 0 where the
    columns of J are orthogonal and of distinct norms. A matched entry changes the L1 cost by
    1 - 2 |V_ij|, so that the closest one is an assignment problem, solved exactly.

    Args:
        jacobians: `[N, *output_shape, d]`.
        solver: `"assignment"`, or `"milp"`: the dissertation's mixed-integer programme (3.29)
            solved by HiGHS, slower, for reference.

    Returns:
        `score` in [0, sqrt(2 d)]; `per_sample` `[N]`; `permutation` `[N, d]`, the singular
        direction (by decreasing singular value) matched with each latent, -1 for dead latents;
        `live` `[N]`, how many latents are live, with a warning where it is at most one.

    Raises:
        InputError: wrong shapes, values that are not finite, or an unknown solver.
    """
    jacobians, live = _checked(jacobians)
    if not isinstance(solver, str) or solver not in ("assignment", "milp"):
        given = repr(solver) if isinstance(solver, str) else f"of type {type(solver).__name__}"
        raise InputError(f"solver {given}: must be 'assignment' or 'milp'")
    nearest = _nearest_by_assignment if solver == "assignment" else _nearest_by_milp
    distances, permutation = _distances(jacobians, live, nearest)
    return {
        "score": float(distances.mean()),
        "per_sample": distances,
        "permutation": permutation,
        "live": live.sum(1),
    }


@facts.score(
    needs=("jacobians",),
    source="Gresele et al. 2021",
    higher_is_better=False,
    suites=facts.STANDARD,
)
def ima_contrast(jacobians) -> dict:
    """Independent mechanism analysis contrast: how far the columns are from orthogonal.

    C = 1/2 (log det diag(J^T J) - log det J^T J) = sum_i log ||J_i|| - sum_i log s_i, averaged over
    samples (Gresele et al. 2021, "Independent Mechanism Analysis, a New Concept?", eq. 8, for
    non-square J). 0 exactly where columns are orthogonal; invariant to scaling columns.

    Linearly dependent columns have an infinite contrast: singular values of the column-normalised
    Jacobian are raised to the rounding error of the type that the Jacobians come in, at most 36
    nats for each lost dimension in float64 and 16 in float32.

    Args:
        jacobians: `[N, *output_shape, d]`.

    Returns:
        `score` in nats, at least 0; `per_sample` `[N]`; `rank_deficient` `[N]`, whether columns of
        the sample are dependent, dead latents aside; `live` `[N]`, how many latents are live, with
        a warning where it is at most one.

    Raises:
        InputError: wrong shapes or values that are not finite.
    """
    floor = epsilon(jacobians)
    jacobians, live = _checked(jacobians)
    contrasts, deficient = np.zeros(len(jacobians)), np.zeros(len(jacobians), bool)
    for sample, matrix in enumerate(jacobians):
        alive = matrix[:, live[sample]]
        if not alive.size:
            continue
        singular = np.zeros(alive.shape[1])
        found = np.linalg.svd(_unit_columns(alive), compute_uv=False)
        singular[: len(found)] = found
        deficient[sample] = singular[-1] < _negligible(matrix.shape, floor)
        contrasts[sample] = max(0.0, -np.log(np.maximum(singular, floor)).sum())
    return {
        "score": float(contrasts.mean()),
        "per_sample": contrasts,
        "rank_deficient": deficient,
        "live": live.sum(1),
    }


@facts.score(
    needs=("jacobians",),
    source="Zietlow 2022",
    higher_is_better=None,
    range=(0, 1),
    suites=facts.STANDARD,
    axes={"values": "sample rank"},
)
def singular_values(jacobians, tolerance: float = 0.05) -> dict:
    """The singular values of the Jacobians and how degenerate they are.

    Right singular vectors, hence the axes that a VAE aligns to, are determined only where singular
    values differ (Zietlow 2022, proposition 1 and section 3.3.4). The relative gap of neighbours is
    (s_i - s_{i+1}) / s_i, in [0, 1]; zero singular values (below the rounding error of the type
    that the Jacobians come in) have no gap.

    Args:
        jacobians: `[N, *output_shape, d]`.
        tolerance: the relative gap under which two singular values count as equal.

    Returns:
        `score`: mean over samples of the smallest gap (1 where fewer than two values are nonzero);
        `values` `[N, d]` decreasing and their `mean` `[d]`; `smallest_gap` `[N]`; `degenerate`
        `[N]` and `degenerate_share`; `rank` `[N]`; `condition_number` `[N]`, of the nonzero values;
        `live` `[N]`, how many latents are live, with a warning where it is at most one.

    Raises:
        InputError: wrong shapes or values that are not finite.
    """
    rounding = epsilon(jacobians)
    jacobians, live = _checked(jacobians)
    if not live.all():
        jacobians = jacobians * live[:, None]
    values = np.zeros((len(jacobians), jacobians.shape[2]))
    found = np.linalg.svd(jacobians, compute_uv=False)
    values[:, : found.shape[1]] = found
    nonzero = values > values[:, :1] * _negligible(jacobians.shape[1:], rounding)
    rank = nonzero.sum(1)
    gaps = np.ones((len(values), max(values.shape[1] - 1, 1)))
    if values.shape[1] > 1:
        both = nonzero[:, 1:]
        np.divide(values[:, :-1] - values[:, 1:], values[:, :-1], out=gaps, where=both)
    smallest = gaps.min(1)
    least = values[np.arange(len(values)), np.maximum(rank - 1, 0)]
    condition = np.divide(values[:, 0], least, out=np.ones(len(values)), where=rank > 0)
    return {
        "score": float(smallest.mean()),
        "values": values,
        "mean": values.mean(0),
        "smallest_gap": smallest,
        "degenerate": smallest < tolerance,
        "degenerate_share": float((smallest < tolerance).mean()),
        "rank": rank,
        "condition_number": condition,
        "live": live.sum(1),
    }


@facts.score(
    needs=("weights", "data"),
    source="Rolinek et al. 2019",
    higher_is_better=True,
    range=(0, 1),
    axes={"component": "latent", "cosines": "latent rank", "eigenvalues": "rank"},
)
def pca_alignment(weights, data, tolerance: float = 0.05) -> dict:
    """Whether the columns of a linear decoder are the principal directions of the data.

    Theorem 2 of Zietlow 2022 (section 4.2; Rolinek et al. 2019): a linear VAE has U equal to the
    PCA directions and V a signed permutation, so that every column of W = U S V^T is a multiple of
    one principal direction. The alignment is the mean |cosine| between the live columns and the
    principal directions they are matched with one to one, among as many leading ones.

    Args:
        weights: `[*output_shape, d]`, the decoder's matrix, for example its Jacobian anywhere.
        data: `[N, *output_shape]`.
        tolerance: the relative gap of eigenvalues under which principal directions are not unique.

    Returns:
        `score` in [0, 1], 0 without a live column; `component` `[d]`, the principal component of
        each latent (-1: dead); `cosines` `[d, components]`, absolute; `eigenvalues` of the data's
        covariance, decreasing, of these components and the next; `degenerate`, whether two
        neighbours among these are nearly equal; `dto` of W.

    Raises:
        InputError: wrong shapes, values that are not finite, fewer than two rows of data, constant
            data.
    """
    weights, data = finite(weights, "weights"), finite(data, "data")
    if weights.ndim < 2 or data.ndim < 2 or data.shape[1:] != weights.shape[:-1]:
        raise InputError(
            f"weights of shape {weights.shape} and data of shape {data.shape}: must be "
            "[*output_shape, latents] and [N, *output_shape]"
        )
    if len(data) < 2:
        raise InputError("principal directions need at least two rows of data")
    weights, data = weights.reshape(-1, weights.shape[-1]), data.reshape(len(data), -1)
    if checks.constant_columns(data).all():
        raise InputError("the data are constant: they have no principal directions")
    spread, directions = np.linalg.svd(data - data.mean(0), full_matrices=False)[1:]
    eigenvalues = spread**2 / (len(data) - 1)

    live = _live(weights[None])
    alive = np.flatnonzero(live[0])
    count = min(len(alive), len(directions))
    cosines = np.zeros((weights.shape[1], count))
    component = np.full(weights.shape[1], -1)
    score = 0.0
    if count:
        cosines[alive] = np.abs(_unit_columns(weights[:, alive]).T @ directions[:count].T)
        rows, columns = linear_sum_assignment(cosines[alive], maximize=True)
        component[alive[rows]] = columns
        score = float(np.clip(cosines[alive[rows], columns].sum() / len(alive), 0, 1))
    leading = eigenvalues[: count + 1]
    gaps = (leading[:-1] - leading[1:]) / np.maximum(leading[:-1], np.finfo(np.float64).tiny)
    return {
        "score": score,
        "component": component,
        "cosines": cosines,
        "eigenvalues": leading,
        "degenerate": bool((gaps < tolerance).any()),
        "dto": float(_distances(weights[None], live, _nearest_by_assignment)[0][0]),
    }


def _matrices(jacobians) -> np.ndarray:
    """Float64 `[N, outputs, d]`."""
    jacobians = finite(jacobians, "jacobians")
    if jacobians.ndim < 3:
        raise InputError(
            f"jacobians of shape {jacobians.shape}: must be [N, *output_shape, latents]"
        )
    return jacobians.reshape(len(jacobians), -1, jacobians.shape[-1])


def _checked(jacobians) -> tuple[np.ndarray, np.ndarray]:
    """Matrices, and which of their latents are live; warns where these are too few to compare."""
    if callable(jacobians):
        raise InputError(
            "a decoder is given for Jacobians: give zoo.evaluation.jacobian(decoder, latents)"
        )
    jacobians = _matrices(jacobians)
    live = _live(jacobians)
    few = int((live.sum(1) < 2).sum())
    if few:
        warnings.warn(
            f"at {few} of {len(live)} latents the Jacobian has at most one live column: nothing to "
            "compare it with, so that the score says nothing about orthogonality there",
            stacklevel=3,
        )
    return jacobians, live


def _negligible(shape: tuple[int, int], rounding: float) -> float:
    """The share of the largest singular value of `[outputs, d]` up to which others are rounding.

    Args:
        shape: of the matrix.
        rounding: of its entries, which moves singular values by no more than sqrt(d) times as much;
            the decomposition itself is in float64.
    """
    return max(rounding * shape[1], np.finfo(np.float64).eps * max(shape))


def _live(jacobians: np.ndarray) -> np.ndarray:
    """`[N, d]` bool: the columns that are not dead, of `[N, outputs, d]`."""
    live = np.zeros(jacobians.shape[::2], bool)
    for sample, matrix in enumerate(jacobians):
        largest = np.abs(matrix).max()
        if largest > 0:
            # Divided first, so that no square overflows or vanishes.
            norms = np.linalg.norm(matrix / largest, axis=0)
            live[sample] = norms > _DEAD * norms.max()
    return live


def _distances(jacobians, live, nearest) -> tuple[np.ndarray, np.ndarray]:
    """`[N]` distances to the nearest signed permutations, and these, `[N, d]`."""
    distances, permutation = np.zeros(len(jacobians)), np.full(jacobians.shape[::2], -1)
    for sample, matrix in enumerate(jacobians):
        alive = np.flatnonzero(live[sample])
        if not len(alive):
            continue
        # The right singular vectors of fewer outputs than latents have to be completed to a basis.
        complete = len(matrix) < len(alive)
        vectors = np.linalg.svd(matrix[:, alive], full_matrices=complete)[2].T
        signed = nearest(vectors)
        distances[sample] = np.linalg.norm(vectors - signed)
        permutation[sample, alive] = np.abs(signed).argmax(1)
    return distances, permutation


def _unit_columns(matrix):
    # Dividing by the largest entry first keeps the squares of tiny columns from vanishing.
    matrix = matrix / np.abs(matrix).max(0)
    return matrix / np.linalg.norm(matrix, axis=0)


def _signed(rows, columns, vectors):
    nearest = np.zeros_like(vectors)
    nearest[rows, columns] = np.where(vectors[rows, columns] < 0, -1.0, 1.0)
    return nearest


def _nearest_by_assignment(vectors):
    return _signed(*linear_sum_assignment(np.abs(vectors), maximize=True), vectors)


def _nearest_by_milp(vectors):
    """Equation (3.29): variables P+, P- (binary) and D (the absolute differences)."""
    size = vectors.size
    ones = np.eye(size)
    dimension = len(vectors)
    sums = np.concatenate(
        [np.kron(np.eye(dimension), np.ones(dimension)), np.tile(np.eye(dimension), dimension)]
    )
    flat = vectors.ravel()
    solution = milp(
        c=np.concatenate([np.zeros(2 * size), np.ones(size)]),
        integrality=np.concatenate([np.ones(2 * size), np.zeros(size)]),
        bounds=Bounds(0, np.concatenate([np.ones(2 * size), np.full(size, np.inf)])),
        constraints=[
            LinearConstraint(np.hstack([ones, -ones, -ones]), ub=flat),
            LinearConstraint(np.hstack([-ones, ones, -ones]), ub=-flat),
            LinearConstraint(np.hstack([sums, sums, np.zeros_like(sums[:, :size])]), lb=1, ub=1),
        ],
    )
    if not solution.success:
        raise InputError(f"the integer programme was not solved: {solution.message}")
    positive, negative = np.round(solution.x[: 2 * size]).reshape(2, *vectors.shape)
    return positive - negative
