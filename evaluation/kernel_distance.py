"""Distances of sets of images by kernels: no Gaussian is assumed, and small samples do not bias."""

import math

import numpy as np

from zoo.evaluation import arrays, checks, facts
from zoo.evaluation.batches import consecutive
from zoo.evaluation.errors import InputError
from zoo.evaluation.generative import Features, inception_features, is_matrix


@facts.score(
    needs=("images", "generated_images"),
    settings=("seed",),
    source="Bińkowski et al. 2018",
    higher_is_better=False,
    range=(-math.inf, math.inf),
)
def kid(
    real,
    generated,
    features: Features | None = None,
    subsets: int = 100,
    subset_size: int = 1000,
    batch_size: int = 64,
    seed: int = 0,
) -> dict:
    """Kernel inception distance: the squared maximum mean discrepancy of features of two sets.

    Defined in Bińkowski et al. 2018 (arXiv 1801.01401), sec. 4.

    With the kernel `k(x, y) = (x . y / F + 1)^3` of features `[F]`, the mean of k over different
    real images, plus that over different generated ones, less twice that over pairs of both.
    This estimate is unbiased, and so may be below 0 for alike sets; for two samples of the same
    images its mean is 0. It is averaged over random subsets, drawn without replacement. Other than
    for `fid`, sets of different sizes are comparable; distances of different features are not.

    Args:
        real: as in `fid`.
        generated: as in `fid`.
        features: as in `fid`.
        subsets: how many pairs of subsets are drawn; one alone is of all images if they are no
            more than `subset_size`.
        subset_size: the images of a subset, of each set, or as many as the smaller set has.
        batch_size: how many images are mapped at once.
        seed: of the subsets.

    Returns:
        `score`, the mean over subsets; `deviation`, their standard deviation.

    Raises:
        InputError: as `fid`; numbers of subsets or their images that are too small.
        UserError: as `fid`.
    """
    checks.whole(1, batch_size=batch_size, subsets=subsets)
    checks.whole(2, subset_size=subset_size)
    if features is None and not (is_matrix(real) and is_matrix(generated)):
        features = inception_features()
    first = _features_of(real, "real", features, batch_size)
    second = _features_of(generated, "generated", features, batch_size)
    if first.shape[1] != second.shape[1]:
        raise InputError(
            f"real images have {first.shape[1]} features but generated ones {second.shape[1]}"
        )
    size = min(subset_size, len(first), len(second))
    generator = np.random.default_rng(seed)
    found = [
        _discrepancy(*(each[generator.permutation(len(each))[:size]] for each in (first, second)))
        for _ in range(subsets)
    ]
    return {"score": float(np.mean(found)), "deviation": float(np.std(found))}


def _features_of(images, name: str, features: Features | None, batch_size: int) -> np.ndarray:
    """`[N, F]` features of at least two images."""
    if len(images) < 2:
        raise InputError(f"{name}: a distance needs at least 2 images, not {len(images)}")
    if features is None:
        return checks.matrix(images, f"features of {name} images", "[N, F]")
    parts = [features(arrays.unit_range(images, rows, name)) for rows in
             consecutive(len(images), batch_size)]  # fmt: skip
    return checks.matrix(
        np.concatenate([arrays.real(part, "features") for part in parts]),
        f"features of {name} images",
        "[N, F]",
    )


def _discrepancy(first: np.ndarray, second: np.ndarray) -> float:
    """The unbiased squared discrepancy of `[n, F]` and `[m, F]` features."""

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def within(values: np.ndarray) -> float:
        matrix, count = kernel(values, values), len(values)
        return (matrix.sum() - np.trace(matrix)) / (count * (count - 1))

    return float(within(first) + within(second) - 2 * kernel(first, second).mean())
