"""Scores of generated and reconstructed images: Frechet inception distance, RMSE."""

from collections.abc import Callable

import numpy as np

from zoo.errors import UserError
from zoo.evaluation import arrays, checks, facts
from zoo.evaluation.batches import consecutive, lengths
from zoo.evaluation.errors import InputError

Features = Callable[[np.ndarray], np.ndarray]

# Covariances of float32 features are symmetric and positive up to their rounding.
_ASYMMETRY = 1e-5
_NEGATIVE = 1e-4


@facts.score(
    needs=("images", "generated_images"),
    source="Heusel et al. 2017",
    higher_is_better=False,
)
def fid(real, generated, features: Features | None = None, batch_size: int = 64) -> dict:
    """Frechet distance of two sets of images between Gaussians fitted to their features.

    |m_1 - m_2|^2 + tr(C_1 + C_2 - 2 (C_1 C_2)^1/2) with the means and (N - 1) covariances of the
    features (Heusel et al. 2017, eq. 6); see `frechet_distance`. Only batches of images are held
    as floats. The distance is biased upwards in small samples: compare equal numbers of images
    (the usual choice is 50,000), and only distances of the same feature extractor: Keras'
    InceptionV3 is not the network of the original implementation.

    Args:
        real: images `[N, H, W, C]`, uint8 or float in [0, 1], or anything with a length that gives
            such arrays by slices (and may say its `maximum`); or ready features `[N, F]`.
        generated: the same, any number of them.
        features: maps float32 images `[B, H, W, C]` in [0, 1] to features `[B, F]`; None for the
            2,048 pooled features of Keras' InceptionV3, whose weights must be in the Keras cache
            or reachable.
        batch_size: how many images are mapped at once.

    Returns:
        `score` >= 0; `mean_term` and `covariance_term`, its two summands.

    Raises:
        InputError: wrong shapes or types, NaN, images out of range, fewer than 2 images.
        UserError: the weights of InceptionV3 are not available.
    """
    checks.whole(1, batch_size=batch_size)
    if features is None and not (is_matrix(real) and is_matrix(generated)):
        features = inception_features()
    moments = []
    for name, images in (("real", real), ("generated", generated)):
        moments += _moments(images, name, features, batch_size)
    if moments[0].shape != moments[2].shape:
        raise InputError(
            f"real images have {moments[0].size} features but generated ones {moments[2].size}"
        )
    return frechet_distance(*moments)


@facts.score(
    needs=("mean_1", "covariance_1", "mean_2", "covariance_2"),
    source="Dowson & Landau 1982",
    higher_is_better=False,
)
def frechet_distance(mean_1, covariance_1, mean_2, covariance_2) -> dict:
    """Squared Frechet (2-Wasserstein) distance of two Gaussians, in float64.

    The trace of (C_1 C_2)^1/2 is the sum of the singular values of C_1^1/2 C_2^1/2 with symmetric
    square roots: real and stable also for singular covariances, where a general matrix square
    root turns complex or fails.

    Args:
        mean_1: `[F]`.
        covariance_1: `[F, F]`, symmetric and positive semidefinite, up to rounding.
        mean_2: `[F]`.
        covariance_2: `[F, F]`, the same.

    Returns:
        `score` >= 0; `mean_term` and `covariance_term`, its two summands.

    Raises:
        InputError: sizes that differ, values that are not finite, no covariance.
    """
    mean_1, covariance_1 = _gaussian(mean_1, covariance_1, "1")
    mean_2, covariance_2 = _gaussian(mean_2, covariance_2, "2")
    if mean_1.shape != mean_2.shape:
        raise InputError(f"mean_1 has {mean_1.size} entries and mean_2 {mean_2.size}")
    product = _square_root(covariance_1, "1") @ _square_root(covariance_2, "2")
    root = np.linalg.svd(product, compute_uv=False).sum()
    spread = np.trace(covariance_1) + np.trace(covariance_2) - 2 * root
    mean_term, covariance_term = float(((mean_1 - mean_2) ** 2).sum()), float(max(0.0, spread))
    return {
        "score": mean_term + covariance_term,
        "mean_term": mean_term,
        "covariance_term": covariance_term,
    }


def inception_features() -> Features:
    """The pooled 2,048 features of Keras' InceptionV3: images in [0, 1] `[B, H, W, 1 or 3]` in.

    Images are resized to 299 x 299 (bilinear, antialiased) and scaled to [-1, 1]; grey ones are
    repeated over three channels.

    Raises:
        UserError: the weights are neither in the Keras cache nor can they be downloaded.
    """
    import keras
    import tensorflow as tf

    try:
        network = keras.applications.InceptionV3(include_top=False, pooling="avg")
    except Exception as error:
        # Keras raises a bare Exception where a download fails.
        if type(error) is not Exception and not isinstance(error, OSError):
            raise
        raise UserError(
            "the Inception features need the weights of Keras' InceptionV3, which are not in its "
            f"cache and could not be downloaded ({_first_line(error)}); connect once, take "
            "reader_fid and reader_kid, or give `features` in Python"
        ) from error

    @tf.function(autograph=False, reduce_retracing=True)
    def features(images):
        images = tf.image.resize(images, (299, 299), antialias=True)
        if images.shape[-1] == 1:
            images = tf.image.grayscale_to_rgb(images)
        return network(images * 2 - 1, training=False)

    return lambda images: features(tf.constant(images, tf.float32)).numpy()


@facts.score(
    needs=("images", "reconstructions"),
    settings=("clamped",),
    source="Lachapelle et al. 2023",
    higher_is_better=False,
    suites=(*facts.FULL, *facts.SLOTS),
)
def reconstruction_rmse(
    images,
    reconstructions,
    *,
    out_of_support=None,
    batch_size: int | None = 1024,
    clamped: bool = True,
) -> dict:
    """Root mean squared error of reconstructions, in units of the image range.

    Images and reconstructions are mapped to [0, 1] and reconstructions clamped; the square root of
    the mean squared error over each batch's images, pixels and channels is averaged over
    consecutive batches (Lachapelle et al. 2023, `utils/metrics.py`: test batches of 1,024), which
    count by their images; a last one of fewer than half as many joins the one before it.

    Args:
        images: `[N, ...]`, integers in 0..255, booleans, or floats in [0, 1].
        reconstructions: `[N, ...]` of the same shape (and scaled by their own type), or a callable
            that maps float32 batches of images in [0, 1] to reconstructions in [0, 1].
        out_of_support: `[N]` boolean, which images lie outside the support of the training set
            (the extrapolation set); None where none do.
        batch_size: rows of a batch; None for one batch of all.
        clamped: False for observations that are no images: floats may then have any range, and
            are compared as they are.

    Returns:
        `score`, over all images, in [0, 1] where clamped; `per_image` `[N]`; with `out_of_support`
        also `in_support` and `out_of_support`, each over its own images (None where there are
        none).

    Raises:
        InputError: shapes that differ, no images, NaN or infinity, images of another type or range.
    """
    if batch_size is not None:
        checks.whole(1, batch_size=batch_size)
    count = len(images)
    squared = np.empty(count)
    if not count:
        raise InputError("reconstruction_rmse got no images")
    if not callable(reconstructions) and len(reconstructions) != count:
        raise InputError(f"there are {count} images but {len(reconstructions)} reconstructions")
    for rows in consecutive(count, batch_size):
        batch = arrays.unit_range(images, rows, "images" if clamped else None)
        if callable(reconstructions):
            again = arrays.real(reconstructions(batch), "reconstructions")
            if again.dtype.kind in "iu" and again.max(initial=0) > 1:
                raise InputError("reconstructions are integers: make floats in [0, 1] of them")
        else:
            again = arrays.unit_range(reconstructions, rows)
        if again.shape != batch.shape:
            raise InputError(f"images {batch.shape} are reconstructed as {again.shape}")
        if clamped:
            batch, again = batch.clip(0, 1), _clamped(again)
        difference = batch.astype(float) - again
        squared[rows] = (difference.reshape(len(batch), -1) ** 2).mean(1)
    if not np.isfinite(squared).all():
        number = np.isfinite(squared).argmin()
        raise InputError(f"image or reconstruction {number} holds NaN or infinity")

    def rmse(values: np.ndarray) -> float | None:
        if not len(values):
            return None
        batches = consecutive(len(values), batch_size)
        roots = np.sqrt([values[rows].mean() for rows in batches])
        return float(np.average(roots, weights=lengths(batches)))

    result = {"score": rmse(squared), "per_image": np.sqrt(squared)}
    if out_of_support is not None:
        outside = np.asarray(out_of_support)
        if outside.dtype != bool or outside.shape != (count,):
            raise InputError(
                f"out_of_support must be {count} booleans, not {outside.dtype} {outside.shape}"
            )
        result |= {"in_support": rmse(squared[~outside]), "out_of_support": rmse(squared[outside])}
    return result


def _moments(images, name: str, features: Features | None, batch_size: int):
    """Mean `[F]` and covariance `[F, F]` of the features, gathered batch by batch in float64."""
    count = len(images)
    if count < 2:
        raise InputError(f"{name}: a covariance needs at least 2 images, not {count}")
    for start in range(0, count, batch_size):
        rows = slice(start, start + batch_size)
        batch = features(arrays.unit_range(images, rows, name)) if features else images[rows]
        batch = checks.matrix(batch, f"features of {name} images", "[B, F]")
        if start == 0:
            # Deviations from a value near the mean, so that squares do not cancel.
            origin, total = batch.mean(0), np.zeros(batch.shape[1])
            squares = np.zeros((batch.shape[1],) * 2)
        deviation = batch - origin
        total += deviation.sum(0)
        squares += deviation.T @ deviation
    mean = total / count
    covariance = (squares - count * np.outer(mean, mean)) / (count - 1)
    return origin + mean, covariance


def _gaussian(mean, covariance, number: str) -> tuple[np.ndarray, np.ndarray]:
    """Checked mean `[F]` and symmetric covariance `[F, F]`, in float64."""
    mean = arrays.finite(mean, f"mean_{number}")
    covariance = arrays.finite(covariance, f"covariance_{number}")
    if mean.ndim != 1 or covariance.shape != (mean.size, mean.size):
        raise InputError(
            f"mean_{number} of shape {mean.shape} and covariance_{number} of shape "
            f"{covariance.shape}: must be [F] and [F, F]"
        )
    if np.abs(covariance - covariance.T).max() > _ASYMMETRY * np.abs(covariance).max():
        raise InputError(f"covariance_{number} is not symmetric")
    return mean, covariance


def _square_root(covariance: np.ndarray, number: str) -> np.ndarray:
    """The symmetric square root of a symmetric positive semidefinite matrix."""
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
    if values[0] < -_NEGATIVE * np.abs(values).max():
        raise InputError(
            f"covariance_{number} has the eigenvalue {values[0]:g}: must be positive semidefinite"
        )
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def _clamped(images: np.ndarray) -> np.ndarray:
    """Reconstructions within [0, 1], but infinity, which is no overshoot, stays."""
    return np.where(np.isinf(images), np.nan, images.clip(0, 1))


def is_matrix(values) -> bool:
    return len(getattr(values, "shape", ())) == 2


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
