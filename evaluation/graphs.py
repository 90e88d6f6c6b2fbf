"""Whether a decoder mixes its latents by the true graph: which output depends on which latent."""

import numpy as np

from zoo.evaluation import arrays, assignment, facts
from zoo.evaluation.errors import InputError

# The largest entry of a column, relative to that of all, up to which its latent is dead.
_DEAD = 1e-6


@facts.score(
    needs=("mean_absolute_jacobian", "mixing_graph"),
    source="Lachapelle et al. 2022",
    higher_is_better=True,
    range=(0, 1),
    axes={
        "matching": "true_latent",
        "strengths": "output true_latent",
        "graph": "output true_latent",
    },
)
def mixing_graph_f1(jacobian, graph, threshold: float = 0.1) -> dict:
    """F1 of the edges from latents to outputs, of a decoder's mean absolute Jacobian.

    The graph that a decoder has learned and the true one are compared up to the order of latents,
    as Lachapelle et al. 2022 compare theirs, by the structural Hamming distance.

    An output depends on a latent where the entry of the Jacobian exceeds `threshold` times the
    largest of the latent's column (the scale of a latent is arbitrary). A latent is dead, and has
    no edges, whose entries are all at most 1e-6 of the largest of all. Learned columns are matched
    to true ones so that most edges agree: T of them. With E true and L learned edges,
    `F1 = 2 T / (E + L)`, precision is `T / L`, recall `T / E`, and the structural Hamming distance
    `E + L - 2 T`, the edges to add or remove; the matching is the best for all. Edges of learned
    latents that are left over are false, edges of true latents that get none are missed.

    Args:
        jacobian: `[outputs, latents]`, the mean over examples of absolute derivatives; or
            Jacobians `[N, outputs, latents]`, of which that mean is taken.
        graph: `[outputs, true latents]` booleans, or 0 and 1: whether the output depends on it.
        threshold: from 0 to less than 1.

    Returns:
        `score` in [0, 1], the F1; `precision`, 0 where nothing is learned; `recall`; `shd`, an
        integer; `matching` `[true latents]`, the learned latent of each, -1 where none; `learned`
        `[outputs, latents]`, the graph of the decoder; `graph` and, to be set beside it,
        `strengths`, both `[outputs, true latents]`: of the matched latents the entries of the
        Jacobian over the largest of their column, 0 where a true latent has none or a dead one.

    Raises:
        InputError: wrong shapes, NaN, a graph without edges or with other numbers than 0 and 1,
            `threshold` out of range.
    """
    magnitudes, truth = arrays.finite(jacobian, "jacobian"), arrays.finite(graph, "graph")
    if magnitudes.ndim == 3:
        magnitudes = np.abs(magnitudes).mean(0)
    if magnitudes.ndim != 2 or truth.ndim != 2 or len(magnitudes) != len(truth):
        raise InputError(
            f"jacobian of shape {np.shape(jacobian)} and graph of shape {truth.shape}: "
            "give [outputs, latents], of the same outputs"
        )
    if not np.isin(truth, (0, 1)).all() or not truth.any():
        raise InputError("graph must hold True and False, or 0 and 1, and at least one edge")
    if not 0 <= threshold < 1:
        raise InputError(f"threshold is {threshold}: it must be at least 0 and less than 1")
    magnitudes = np.abs(magnitudes)
    largest = magnitudes.max(0)
    live = largest > _DEAD * largest.max()
    learned = (magnitudes > threshold * largest) & live
    # The numbers of edges do not depend on the matching: whichever agrees most is best for all.
    agreeing, matching = assignment.best_matching(learned.T.astype(float) @ truth)
    found = np.flatnonzero(matching >= 0)
    strengths = np.zeros(truth.shape)
    strengths[:, found] = (magnitudes * live / np.where(live, largest, 1))[:, matching[found]]
    both, of_truth, of_learned = int(agreeing.sum()), int(truth.sum()), int(learned.sum())
    return {
        "score": 2 * both / (of_truth + of_learned),
        "precision": both / max(of_learned, 1),
        "recall": both / of_truth,
        "shd": of_truth + of_learned - 2 * both,
        "matching": matching,
        "learned": learned,
        "graph": truth.astype(int),
        "strengths": strengths,
    }
