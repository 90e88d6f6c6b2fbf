"""R2 of regressions from codes to true latents: identifiability up to a class of maps."""

from collections.abc import Sequence

import numpy as np

from zoo.evaluation import assignment, checks, columns, facts, regressors
from zoo.evaluation.blocks import Blocks, of_both
from zoo.evaluation.errors import InputError

_FACTS = {
    "needs": ("codes", "latents", "codes_test", "latents_test"),
    "higher_is_better": True,
    "range": (0, 1),
    "chance": 0.0,
    "axes": {"per_latent": "true_latent", "per_block": "block", "r2": "block block"},
}


@facts.score(source="Zimmermann et al. 2021", **_FACTS)
def affine_r2(
    codes,
    latents,
    codes_test,
    latents_test,
    *,
    blocks: Blocks | int | None = None,
    latent_blocks: Blocks | int | None = None,
) -> dict:
    """R2 of the best affine map from codes to latents: identifiability up to affine maps.

    As Zimmermann et al. 2021 measure it.

    Least squares with an intercept is fitted on the training rows for every latent, and
    `R2 = 1 - sum (z - predicted)^2 / sum (z - mean z)^2` taken on the test rows, at least 0; the
    score is the mean over latents.

    With `blocks` every block of latents is predicted from every block of codes alone, and R2, the
    mean over the latents of a block and at least 0, fills a matrix. Blocks are matched one to one
    to maximise its sum, and the score is the mean over blocks of latents; one that gets no block
    of codes counts 0. The matched entries say whether each block of latents is found, `r2` what
    leaks into other blocks of codes.

    Args:
        codes: `[N, D]` float, training rows.
        latents: `[N, K]` float, training rows.
        codes_test: `[M, D]` float.
        latents_test: `[M, K]` float.
        blocks: the code indices of every block, for example `[[0, 1], [2, 3]]`, or the number of
            equal contiguous blocks; None for all codes together.
        latent_blocks: the same for latents; None where `blocks` is also for them.

    Returns:
        `score` in [0, 1], about 0 for codes that know nothing; `per_latent` `[K]`, at least 0, from
        all codes, or from the matched block of codes; with `blocks` also `per_block`,
        `r2` `[code blocks, latent blocks]` and `code_block_of_latent_block`, -1 where none.

    Raises:
        InputError: wrong shapes, NaN, a constant latent, blocks that are no partition,
            `latent_blocks` without `blocks`.
    """
    rows = assignment.halves(codes, latents, codes_test, latents_test)
    return _scored(regressors.affine, rows, blocks, latent_blocks)


@facts.score(source="von Kügelgen et al. 2021", settings=("seed",), **_FACTS)
def kernel_r2(
    codes,
    latents,
    codes_test,
    latents_test,
    *,
    blocks: Blocks | int | None = None,
    latent_blocks: Blocks | int | None = None,
    alphas: Sequence[float] = (1.0, 0.1, 0.01, 0.001),
    gammas: Sequence[float] = (0.01, 0.1, 1.0),
    max_rows: int = 2000,
    seed: int = 0,
) -> dict:
    """R2 of kernel ridge regression from codes to latents: identifiability up to smooth maps.

    As von Kügelgen et al. 2021 measure it: blocks of latents are identified when a nonlinear
    regression from the block of codes predicts them, and no other.

    As `affine_r2`, with ridge regression on the kernel `exp(-gamma |x - y|^2)` of standardised
    codes. The penalty and the width are chosen for each latent by its R2 over three folds of the
    training rows.

    Args:
        codes: as in `affine_r2`.
        latents: as in `affine_r2`.
        codes_test: as in `affine_r2`.
        latents_test: as in `affine_r2`.
        blocks: as in `affine_r2`.
        latent_blocks: as in `affine_r2`.
        alphas: the penalties to choose from, positive.
        gammas: the inverse squared widths to choose from, positive.
        max_rows: of more training rows a random subset of this size is fitted: the memory of a
            kernel grows with the square, the time with the cube. At least 6. All test rows count.
        seed: chooses the subset.

    Returns:
        As `affine_r2`.

    Raises:
        InputError: as `affine_r2`; fewer than 6 training rows; `alphas`, `gammas` or `max_rows`
            out of range.
    """
    checks.whole(6, max_rows=max_rows)
    codes, latents, *test = assignment.halves(codes, latents, codes_test, latents_test)
    # In random order, so that the folds are alike however the rows were sorted.
    order = np.random.default_rng(seed).permutation(len(codes))[:max_rows]
    fit = regressors.kernel_ridge(alphas, gammas)
    return _scored(fit, (codes[order], latents[order], *test), blocks, latent_blocks)


@facts.score(source="von Kügelgen et al. 2021", settings=("seed",), **_FACTS)
def mlp_r2(
    codes,
    latents,
    codes_test,
    latents_test,
    *,
    blocks: Blocks | int | None = None,
    latent_blocks: Blocks | int | None = None,
    hidden: Sequence[int] = (64, 64),
    max_epochs: int = 200,
    seed: int = 0,
) -> dict:
    """R2 of a multilayer perceptron from codes to latents: identifiability up to any map.

    The measure of von Kügelgen et al. 2021, by networks instead of kernels.

    As `affine_r2`, with one network of rectified linear units for every latent, trained by Adam
    on standardised codes until its error on a tenth of the training rows has not fallen for ten
    epochs. It fits all rows, in a time proportional to their number.

    Args:
        codes: as in `affine_r2`.
        latents: as in `affine_r2`.
        codes_test: as in `affine_r2`.
        latents_test: as in `affine_r2`.
        blocks: as in `affine_r2`.
        latent_blocks: as in `affine_r2`.
        hidden: the units of each hidden layer.
        max_epochs: the most epochs to train.
        seed: of the networks' weights, and of the rows they stop by.

    Returns:
        As `affine_r2`.

    Raises:
        InputError: as `affine_r2`; fewer than 20 training rows; `hidden` or `max_epochs` out of
            range.
    """
    rows = assignment.halves(codes, latents, codes_test, latents_test)
    fit = regressors.perceptron(hidden, max_epochs, seed)
    return _scored(fit, rows, blocks, latent_blocks)


@facts.score(
    needs=("codes", "latents", "codes_test", "latents_test"),
    source="Hotelling 1936",
    higher_is_better=True,
    range=(0, 1),
    axes={"correlations": "rank"},
)
def cca(codes, latents, codes_test=None, latents_test=None) -> dict:
    """Mean canonical correlation of codes and latents: how much of them is the same linearly.

    Defined by Hotelling 1936.

    The directions `a_i` in the codes and `b_i` in the latents, each uncorrelated with those before
    it, whose projections correlate most. They are the singular vectors of `A^-1/2 C B^-1/2`, with
    A and B the covariances of codes and latents and C that between them. The score is the mean
    over as many directions as the latents have; those that the codes lack count 0.

    With test rows the directions are those of the training rows and the correlations those of the
    test rows, at least 0: on the rows that they were fitted to, D codes of N rows of noise reach
    about `sqrt(D / N)`.

    Args:
        codes: `[N, D]` float.
        latents: `[N, K]` float.
        codes_test: `[M, D]` float; None to score the rows that are fitted, as is often published.
        latents_test: `[M, K]` float.

    Returns:
        `score` in [0, 1]; `correlations` of the canonical directions, in their order.

    Raises:
        InputError: wrong shapes, NaN, a constant latent, or codes without latents for testing.
    """
    if (codes_test is None) != (latents_test is None):
        raise InputError("codes_test was given without latents_test, or it without that: give both")
    if codes_test is None:
        codes_test, latents_test = codes, latents
    codes, latents, codes_test, latents_test = assignment.halves(
        codes, latents, codes_test, latents_test
    )
    (codes, codes_test), (latents, latents_test) = (
        _standardised(*pair) for pair in ((codes, codes_test), (latents, latents_test))
    )
    code_base, latent_base = regressors.Whitening(codes), regressors.Whitening(latents)
    cross = code_base(codes).T @ latent_base(latents)
    left, _, right = np.linalg.svd(cross, full_matrices=False)
    first, second = code_base(codes_test) @ left, latent_base(latents_test) @ right.T
    first, second = first - first.mean(0), second - second.mean(0)
    size = np.linalg.norm(first, axis=0) * np.linalg.norm(second, axis=0)
    found = (first * second).sum(0) / np.where(size > 0, size, 1)
    correlations = np.zeros(cross.shape[1])
    correlations[: len(found)] = np.clip(found, 0, 1)
    return {"score": float(correlations.mean()), "correlations": correlations}


def _scored(
    fit: regressors.Regression,
    rows: Sequence[np.ndarray],
    blocks: Blocks | int | None,
    latent_blocks: Blocks | int | None,
) -> dict:
    """The result of any of the scores made of R2, by a regression of `regressors`."""
    codes, latents, codes_test, latents_test = rows
    codes, codes_test = _standardised(codes, codes_test)
    latents, latents_test = _standardised(latents, latents_test)
    if blocks is None:
        if latent_blocks is not None:
            raise InputError("latent_blocks were given without blocks: give both")
        r2 = columns.r2(latents_test, fit(codes, latents, codes_test))
        per_latent = np.maximum(r2, 0)
        return {"score": float(per_latent.mean()), "per_latent": per_latent}
    blocks, latent_blocks = of_both(blocks, latent_blocks, codes, latents)
    each = np.stack(
        [
            columns.r2(latents_test, fit(codes[:, block], latents, codes_test[:, block]))
            for block in blocks
        ]
    )
    r2 = np.stack([each[:, block].mean(1) for block in latent_blocks], axis=1).clip(min=0)
    per_block, origin = assignment.best_matching(r2)
    per_latent = np.zeros(latents.shape[1])
    for block, source in zip(latent_blocks, origin, strict=True):
        if source >= 0:
            per_latent[list(block)] = each[source, block].clip(min=0)
    return {
        "score": float(per_block.mean()),
        "per_latent": per_latent,
        "per_block": per_block,
        "r2": r2,
        "code_block_of_latent_block": origin,
    }


def _standardised(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both parts, by means and standard deviations of the first."""
    scale = regressors.Standardisation(train)
    return scale(train), scale(test)
