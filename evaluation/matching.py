"""Scores that match codes to the true latents: MCC, LMS and slot identifiability."""

import numpy as np

from zoo.evaluation import arrays, assignment, checks, columns, facts
from zoo.evaluation.batches import consecutive, lengths
from zoo.evaluation.blocks import Blocks, of_both, partitions
from zoo.evaluation.errors import InputError

# The axes of the parts of scores that give each true latent a code.
MATCHED_AXES = {
    "per_latent": "true_latent",
    "code_of_latent": "true_latent",
    "correlations": "latent true_latent",
}


@facts.score(
    needs=("codes", "latents"),
    subsampled=0.9,
    source="Hyvärinen & Morioka 2016",
    higher_is_better=True,
    range=(0, 1),
    suites=facts.FAST,
    axes=MATCHED_AXES,
)
def mcc(
    codes,
    latents,
    correlation: str = "pearson",
    covariance_ddof: int = 1,
    batch_size: int | None = None,
) -> dict:
    """Mean correlation coefficient of the best one-to-one matching of codes to latents.

    The matching maximises the sum of absolute correlations (solved exactly); the score is their
    mean over the true latents. A latent that gets no code, because there are fewer codes than
    latents, counts 0; surplus codes are left over. A constant code correlates with nothing.

    The Pearson variant follows the authors of additive decoders (Lachapelle et al. 2023,
    `utils/metrics.py`), who divide a covariance with N - 1 by standard deviations with N, which
    raises every correlation by the factor N / (N - 1); the score is kept within 1. Give
    `covariance_ddof=0` for the textbook coefficient. Parts are always textbook coefficients.

    Args:
        codes: `[N, D]` float.
        latents: `[N, K]` float, or factor indices.
        correlation: `pearson` or `spearman` (ranks, ties averaged).
        covariance_ddof: what is subtracted from N in the covariance, for `pearson`: from 0 to
            less than the rows of a batch.
        batch_size: score consecutive batches of this many rows, at least 3, and average, as the
            authors do with 1,024 test rows; None for all rows at once. Batches count by their
            rows, and a last one of fewer than half as many joins the one before it: a few rows of
            noise correlate strongly.

    Returns:
        `score` in [0, 1]; `per_latent` `[K]`, the matched absolute correlations; `code_of_latent`
        `[K]` int, -1 where none; `correlations` `[D, K]`, signed; `per_batch`, the score of each
        batch.

    Raises:
        InputError: wrong shapes, NaN, a latent that is constant, in one batch even, fewer than 3
            rows, an unknown correlation, `covariance_ddof` or `batch_size` out of range.
    """
    codes, latents = assignment.codes_and_latents(codes, latents)
    if len(codes) < 3:
        raise InputError(f"there are {len(codes)} rows, and two always correlate: give at least 3")
    batches = _batches(latents, batch_size, least=3)
    checks.whole(0, covariance_ddof=covariance_ddof)
    if covariance_ddof >= lengths(batches).min():
        raise InputError(
            f"covariance_ddof is {covariance_ddof}: it must be less than the "
            f"{lengths(batches).min()} rows of a batch"
        )
    ddof = covariance_ddof if correlation == "pearson" else 0
    matrix = assignment.correlations(codes, latents, correlation)
    per_latent, code_of_latent = assignment.best_matching(np.abs(matrix))
    per_batch = []
    for rows, count in zip(batches, lengths(batches), strict=True):
        part = matrix
        if count < len(codes):
            part = assignment.correlations(codes[rows], latents[rows], correlation)
        factor = count / (count - ddof)
        per_batch.append(min(1.0, factor * assignment.best_matching(np.abs(part))[0].mean()))
    return {
        "score": float(np.average(per_batch, weights=lengths(batches))),
        "per_latent": per_latent,
        "code_of_latent": code_of_latent,
        "correlations": matrix,
        "per_batch": np.asarray(per_batch),
    }


@facts.score(
    needs=("codes", "latents"),
    subsampled=0.9,
    source="Lachapelle et al. 2023",
    higher_is_better=True,
    range=(0, 1),
    suites=facts.FAST,
    axes=MATCHED_AXES,
)
def lms_spearman(codes, latents, batch_size: int | None = None) -> dict:
    """Latent matching score with Spearman's rank correlation.

    Defined in Lachapelle et al. 2023, section 5.

    `mcc` with `correlation="spearman"`: 1 when every latent is a monotone function of its own
    code. The paper averages over test batches of 1,024 rows: `batch_size=1024`.

    Args:
        codes: `[N, D]` float.
        latents: `[N, K]` float.
        batch_size: see `mcc`.

    Returns:
        As `mcc`: `score` in [0, 1] and its parts.

    Raises:
        InputError: as `mcc`.
    """
    return mcc(codes, latents, correlation="spearman", batch_size=batch_size)


@facts.score(
    needs=("codes", "latents", "codes_test", "latents_test"),
    settings=("seed", "blocks", "latent_blocks"),
    source="Lachapelle et al. 2023",
    higher_is_better=True,
    range=(0, 1),
    axes={"per_block": "block", "r2": "block block"},
)
def lms_tree(
    codes,
    latents,
    codes_test,
    latents_test,
    blocks: Blocks | int,
    *,
    latent_blocks: Blocks | int | None = None,
    best_partition: bool = False,
    max_depth: int = 10,
    batch_size: int | None = None,
    seed: int = 0,
) -> dict:
    """Latent matching score of blocks of latents with decision trees.

    Defined in Lachapelle et al. 2023, section 5.

    A regression tree is fitted on the training rows from every block of codes to every block of
    latents; its coefficient of determination on the test rows, averaged over the block's latents
    and at least 0, is the entry of a matrix; blocks are matched to maximise the sum and the score
    is the mean over latent blocks.

    A decoder that is additive over blocks says which codes belong together. One that is not gets
    the benefit of the doubt: with `best_partition` the score is the best over all ways to divide
    the codes into blocks of the given sizes.

    Args:
        codes: `[N, D]` float, training rows.
        latents: `[N, K]` float, training rows.
        codes_test: `[M, D]` float.
        latents_test: `[M, K]` float.
        blocks: the code indices of every block, for example `[[0, 1], [2, 3]]`, or the number of
            equal contiguous blocks. Of a model with `blocks` of one size, `zoo.evaluation.evaluate`
            takes these, against as many equal contiguous blocks of the latents.
        latent_blocks: the same for latents; None where `blocks` is also for them.
        best_partition: search all partitions of the codes into blocks of these sizes.
        max_depth: of the trees.
        batch_size: score consecutive test batches of this many rows, at least 2, and average as
            `mcc` does (the paper: 1,024); None for all rows at once.
        seed: breaks ties between equally good splits of the trees.

    Returns:
        `score` in [0, 1]; `per_block`, the matched value of every latent block; `r2`
        `[code blocks, latent blocks]`; `blocks`, the partition scored.

    Raises:
        InputError: wrong shapes, NaN, a latent that is constant, in one test batch even, blocks
            that are no partition, too many partitions to search.
    """
    codes, latents, codes_test, latents_test = assignment.halves(
        codes, latents, codes_test, latents_test
    )
    blocks, latent_blocks = of_both(blocks, latent_blocks, codes, latents)
    batches = _batches(latents_test, batch_size, least=2)
    weights = lengths(batches)
    # Scikit-learn's trees ignore differences up to 1e-7.
    codes, codes_test = checks.comparable(codes, codes_test)
    fitted = {}

    def predictability(block: tuple[int, ...]) -> np.ndarray:
        """`[batches, latent blocks]`: how well a block of codes predicts each latent block."""
        if block not in fitted:
            fitted[block] = _tree_r2(
                *(codes[:, block], latents, codes_test[:, block], latents_test),
                *(latent_blocks, batches, max_depth, seed),
            )
        return fitted[block]

    best = None
    for division in partitions(blocks) if best_partition else [blocks]:
        r2 = np.stack([predictability(block) for block in division], axis=1)
        matched = np.stack([assignment.best_matching(matrix)[0] for matrix in r2])
        per_block = np.average(matched, axis=0, weights=weights)
        if best is None or per_block.mean() > best["score"]:
            best = {
                "score": float(per_block.mean()),
                "per_block": per_block,
                "r2": np.average(r2, axis=0, weights=weights),
                "blocks": [list(block) for block in division],
            }
    return best


@facts.score(
    needs=("slots", "true_slots"),
    source="Brady et al. 2023",
    higher_is_better=True,
    range=(0, 1),
    axes={"r2": "slot slot", "matched": "slot", "largest_other": "slot"},
)
def slot_identifiability_score(
    codes,
    latents,
    *,
    alpha: float = 1.0,
    train_share: float = 0.8,
    max_rows: int = 5000,
    seed: int = 0,
) -> dict:
    """Slot identifiability score: whether each slot tells all of one true slot, and no other's.

    Defined in Brady et al. 2023, section 5 and `eval_model.py`.

    Kernel ridge regression (radial basis functions of width 1 / d) predicts every true slot from
    every inferred slot, both standardised; its coefficient of determination on held-out rows, at
    least 0, fills a matrix. After the best matching of slots the score is the mean over true slots
    of the matched entry minus the largest entry of the other inferred slots, at least 0: 1 when
    each inferred slot holds all about one true slot and nothing about the others.

    One matching holds for all rows. Slots in another order in every image, as those of Slot
    Attention, score low whatever they hold; matching them image by image was found unstable (Brady
    et al. 2025, app. G.2). `j_ari` and `jis` are of the decoder and know no order.

    Args:
        codes: `[N, slots, d]` float, inferred slots, or blocks of latents of one size.
        latents: `[N, true slots, k]` float. `zoo.evaluation.evaluate` takes the latents of data
            without true slots in as many equal parts as the model has blocks.
        alpha: the ridge penalty.
        train_share: the share of rows, taken from the start, that is fitted.
        max_rows: with more rows a random subset of this size is scored, in the given order: the
            memory of a kernel grows with the square.
        seed: chooses the subset.

    Returns:
        `score` in [0, 1]; `r2` `[true slots, slots]`; `slot_of_latent` `[true slots]`, -1 where
        none; `matched` and `largest_other` `[true slots]`.

    Raises:
        InputError: wrong shapes, NaN, a constant latent, too few rows.
    """
    from sklearn.kernel_ridge import KernelRidge

    codes, latents = arrays.real(codes, "codes"), arrays.real(latents, "latents")
    for name, slots in (("codes", codes), ("latents", latents)):
        if slots.ndim != 3 or not slots.size:
            raise InputError(f"{name} has shape {slots.shape}: give slots [N, slots, dimensions]")
    shapes = codes.shape, latents.shape
    codes, latents = assignment.codes_and_latents(
        *(slots.reshape(len(slots), -1) for slots in (codes, latents))
    )
    codes = codes.reshape(shapes[0])
    if not 0 < train_share < 1:
        raise InputError(f"train_share is {train_share}: it must lie between 0 and 1")
    if len(codes) > max_rows:
        rows = np.sort(np.random.default_rng(seed).choice(len(codes), max_rows, replace=False))
        codes, latents = codes[rows], latents[rows]
    if not alpha >= 0:
        raise InputError(f"alpha is {alpha}: it must be at least 0")
    train = int(train_share * len(codes))
    if train < 2 or len(codes) - train < 2:
        raise InputError(f"{len(codes)} rows are too few to fit and score; give at least 10")
    slots, true_slots = shapes[0][1], shapes[1][1]
    targets = columns.standardized(latents)
    r2 = np.zeros((true_slots, slots))
    for j in range(slots):
        inputs = columns.standardized(codes[:, j])
        model = KernelRidge(kernel="rbf", alpha=alpha).fit(inputs[:train], targets[:train])
        values = columns.r2(targets[train:], model.predict(inputs[train:]))
        r2[:, j] = np.maximum(0, values.reshape(true_slots, -1).mean(1))
    matched, slot_of_latent = assignment.best_matching(r2.T)
    others = r2.copy()
    taken = slot_of_latent >= 0
    others[np.flatnonzero(taken), slot_of_latent[taken]] = 0
    largest_other = others.max(1)
    return {
        "score": float(np.clip((matched - largest_other).mean(), 0, 1)),
        "r2": r2,
        "slot_of_latent": slot_of_latent,
        "matched": matched,
        "largest_other": largest_other,
    }


def _batches(latents: np.ndarray, batch_size: int | None, least: int) -> list[slice]:
    """Consecutive batches of `[N, K]` latents, none of which is constant in a batch.

    Nothing tells a constant latent: it would count 0 there, whatever the codes.
    """
    if batch_size is None:
        return consecutive(len(latents), None)
    checks.whole(least, batch_size=batch_size)
    batches = consecutive(len(latents), batch_size)
    for rows in batches:
        constant = checks.constant_columns(latents[rows])
        if constant.any():
            raise InputError(
                f"latent {constant.argmax()} is constant in rows {rows.start} to {rows.stop - 1}: "
                "shuffle the rows or leave batch_size off"
            )
    return batches


def _tree_r2(
    codes, latents, codes_test, latents_test, latent_blocks, batches, max_depth, seed
) -> np.ndarray:
    """`[batches, latent blocks]`: one block of codes against every block of latents."""
    from sklearn.tree import DecisionTreeRegressor

    scores = np.zeros((len(batches), len(latent_blocks)))
    for j, block in enumerate(latent_blocks):
        tree = DecisionTreeRegressor(max_depth=max_depth, random_state=seed)
        tree.fit(codes, latents[:, block])
        predicted = tree.predict(codes_test).reshape(len(codes_test), -1)
        for i, rows in enumerate(batches):
            r2 = columns.r2(latents_test[rows][:, block], predicted[rows])
            scores[i, j] = max(0.0, r2.mean())
    return scores
