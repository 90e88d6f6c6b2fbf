"""Agreement of segmentations: adjusted Rand index, on all pixels or the foreground, and overlap."""

import warnings
from collections.abc import Callable

import numpy as np
from sklearn.metrics import adjusted_rand_score

from zoo.evaluation import facts
from zoo.evaluation.arrays import finite, labels
from zoo.evaluation.assignment import best_matching
from zoo.evaluation.errors import InputError


@facts.score(
    needs=("masks", "predicted_masks"),
    source="Hubert & Arabie 1985",
    higher_is_better=True,
    range=(-0.5, 1),
    chance=0.0,
)
def ari(masks, predicted) -> dict:
    """Adjusted Rand index between two segmentations of each image.

    The share of pixel pairs on which the segmentations agree, corrected for chance (Hubert and
    Arabie 1985): 1 for equal partitions, about 0 for independent ones; labels may be permuted.

    Args:
        masks: true labels, integer `[N, ...]`.
        predicted: predicted labels, integer, of the same shape.

    Returns:
        `score` in [-0.5, 1], the mean over images; `per_image` `[N]`.

    Raises:
        InputError: wrong shapes, labels that are not integers, or one-hot masks.
    """
    masks, predicted = _pair(masks, predicted)
    values = [_index(true, other) for true, other in zip(masks, predicted, strict=True)]
    return {"score": float(np.mean(values)), "per_image": np.array(values)}


@facts.score(
    needs=("masks", "predicted_masks"),
    source="Hubert & Arabie 1985",
    higher_is_better=True,
    range=(-0.5, 1),
    chance=0.0,
)
def foreground_ari(masks, predicted, background: int = 0) -> dict:
    """FG-ARI: the adjusted Rand index on the pixels of true objects only.

    As `ari`, leaving out pixels whose true label is `background`: how the predictions treat the
    background does not count. Images without any object are left out of the mean.

    Returns:
        `score` in [-0.5, 1], the mean over images; `per_image` `[N]`, 0 for images without objects;
        `empty` `[N]`, which those are.

    Raises:
        InputError: wrong shapes, labels that are not integers, or no object in any image.
    """

    def of_image(true, other):
        pixels = true != background
        return _index(true[pixels], other[pixels])

    return _mean_of_objects(masks, predicted, background, of_image)


@facts.score(
    needs=("slot_attention", "masks"),
    source="Hubert & Arabie 1985",
    higher_is_better=True,
    range=(-0.5, 1),
    chance=0.0,
    suites=facts.SLOTS,
)
def attention_ari(attention, masks, background: int = 0) -> dict:
    """Foreground adjusted Rand index of the segmentation that attention maps make.

    A pixel belongs to the slot that attends to it most. Maps of lower resolution are enlarged, each
    value repeated, where the masks' sides are multiples of theirs.

    Args:
        attention: non-negative weights `[N, h, w, slots]`; average heads and layers before.
        masks: integer `[N, H, W]`, with `background` for no object.
        background: the label of no object.

    Returns:
        As `foreground_ari`, and `predicted` `[N, H, W]`.

    Raises:
        InputError: wrong shapes, negative weights, or no object in any image.
    """
    attention, masks = finite(attention, "attention"), labels(masks, "masks")
    if (attention < 0).any():
        raise InputError("attention has negative weights: give weights, not logits")
    if attention.ndim != 4 or masks.ndim != 3 or len(attention) != len(masks):
        raise InputError(
            f"attention of shape {attention.shape} and masks of shape {masks.shape}: must be "
            "[N, h, w, slots] and [N, H, W]"
        )
    predicted = attended(attention, masks.shape)
    return {**foreground_ari(masks, predicted, background), "predicted": predicted}


def attended(attention: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The slot that attends most to each pixel, `[N, H, W]`, of attention `[N, h, w, slots]`.

    Raises:
        InputError: H and W of `shape`, that of the masks, are no multiples of h and w.
    """
    predicted = attention.argmax(-1)
    for axis in (1, 2):
        times, rest = divmod(shape[axis], predicted.shape[axis])
        if rest or not times:
            raise InputError(
                f"masks of shape {shape} are not a multiple of the attention maps' "
                f"{attention.shape[1:3]}"
            )
        predicted = predicted.repeat(times, axis)
    return predicted


@facts.score(
    needs=("masks", "predicted_masks"),
    source="Pont-Tuset et al. 2017",
    higher_is_better=True,
    range=(0, 1),
)
def mbo(masks, predicted, background: int | None = 0) -> dict:
    """Mean best overlap (mBO): how well the best predicted segment covers each true object.

    For every true object the largest intersection over union with any predicted segment, which may
    be the best for several; averaged over the objects of an image, then over images with objects
    (Pont-Tuset et al. 2017). Instance masks give mBO_i, class masks mBO_c.

    Args:
        masks: true labels, integer `[N, ...]`.
        predicted: predicted labels, integer, of the same shape; all count, on all pixels.
        background: the true label of no object; None where every label is an object.

    Returns:
        `score` in [0, 1]; `per_image` `[N]`, 0 for images without objects; `empty` `[N]`, which
        those are.

    Raises:
        InputError: wrong shapes, labels that are not integers, or no object in any image.
    """
    return _mean_of_objects(
        masks,
        predicted,
        background,
        lambda true, other: _overlaps(true, other, background).max(1).mean(),
    )


@facts.score(
    needs=("masks", "predicted_masks"),
    source="Jaccard 1912",
    higher_is_better=True,
    range=(0, 1),
)
def miou(masks, predicted, background: int | None = 0) -> dict:
    """Mean intersection over union (instance mIoU) of objects matched one to one to segments.

    As `mbo`, the mean of indices of Jaccard 1912, but each predicted segment serves one object:
    the matching maximises the sum (solved exactly, as by the Hungarian method). An object that
    gets no segment counts 0; surplus segments do not count.

    Args:
        masks: as in `mbo`.
        predicted: as in `mbo`.
        background: as in `mbo`.

    Returns:
        As `mbo`.

    Raises:
        InputError: as `mbo`.
    """
    return _mean_of_objects(
        masks,
        predicted,
        background,
        lambda true, other: best_matching(_overlaps(true, other, background).T)[0].mean(),
    )


def _mean_of_objects(
    masks, predicted, background: int | None, of_image: Callable[[np.ndarray, np.ndarray], float]
) -> dict:
    """The mean over images with objects of what `of_image` makes of their labels `[pixels]`."""
    masks, predicted = _pair(masks, predicted)
    empty = np.zeros(len(masks), bool) if background is None else (masks == background).all(1)
    if empty.all():
        raise InputError(f"masks hold only the background label {background}: nothing to score")
    values = np.zeros(len(masks))
    for i in np.flatnonzero(~empty):
        values[i] = of_image(masks[i], predicted[i])
    return {"score": float(values[~empty].mean()), "per_image": values, "empty": empty}


def _overlaps(true: np.ndarray, predicted: np.ndarray, background: int | None) -> np.ndarray:
    """`[objects, segments]` intersections over unions of one image's labels `[pixels]`."""
    objects, row = np.unique(true, return_inverse=True)
    segments, column = np.unique(predicted, return_inverse=True)
    cells = np.bincount(row * len(segments) + column, minlength=len(objects) * len(segments))
    both = cells.reshape(len(objects), len(segments))
    either = both.sum(1, keepdims=True) + both.sum(0) - both
    return (both / either)[[background is None or label != background for label in objects]]


def _pair(masks, predicted):
    masks, predicted = labels(masks, "masks"), labels(predicted, "predicted")
    if masks.shape != predicted.shape:
        raise InputError(f"masks of shape {masks.shape} and predicted of shape {predicted.shape}")
    return masks.reshape(len(masks), -1), predicted.reshape(len(predicted), -1)


def _index(true, predicted) -> float:
    with warnings.catch_warnings():
        # Tiny images with one label per pixel are taken for a regression target.
        warnings.filterwarnings("ignore", "The number of unique classes")
        return float(adjusted_rand_score(true, predicted))
