"""Pictures of what each slot of a model does: its part of the image, attention, Jacobian."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from zoo.drawing import palette, sheets

# Rows of a picture; Jacobians take seconds an image.
_IMAGES = 6


def pictures(
    model,
    images: np.ndarray,
    masks: np.ndarray | None = None,
    *,
    jacobian: Callable[[Callable, np.ndarray], np.ndarray],
) -> Iterator[tuple[str, np.ndarray]]:
    """Pictures of a model with slots, by name.

    `slot_images`: image, reconstruction and each slot's part; `slot_attention`: which slot each
    pixel is made of; `slot_jacobian`: how strongly each pixel depends on each slot, as a share of
    all slots, on the objects where masks are known (Brady et al. 2025, Figs. 6 and 7).

    Args:
        model: has `encode`, `decode`, `attention` and `slot_images`.
        images: `[N, H, W, C]` float32 in [0, 1]; the first six are shown.
        masks: `[N, H, W]` integers, 0 for the background.
        jacobian: (`decode`, slots `[n, K, D]`) to magnitudes `[n, H, W, K]`, as
            `zoo.evaluation.slot_jacobian`.
    """
    images = np.asarray(images[:_IMAGES])
    masks = None if masks is None else np.asarray(masks[:_IMAGES])
    slots = np.asarray(model.encode(images))
    images = sheets.coloured(images)
    parts = sheets.coloured(model.slot_images(slots))
    cells = np.concatenate([images[:, None], parts.sum(1, keepdims=True), parts], axis=1)
    names = [f"slot {k + 1}" for k in range(parts.shape[1])]
    yield "slot_images", sheets.sheet(cells, columns=["image", "decoded", *names])
    attention = np.asarray(model.attention(slots))
    yield "slot_attention", panels(images, attention, masks)
    magnitudes = jacobian(model.decode, slots)
    yield "slot_jacobian", panels(images, _shares(magnitudes, masks), masks)


def panels(
    images: np.ndarray,
    magnitudes: np.ndarray,
    masks: np.ndarray | None = None,
    *,
    names: Sequence[str] | None = None,
    scale: int | None = None,
) -> np.ndarray:
    """Images with what each slot does to them: one row per image, one column per slot.

    The slots of an image share one colour scale, from 0 to the largest value in that image.

    Args:
        images: `[N, H, W]`, `[N, H, W, 1]` or `[N, H, W, 3]`, floats in [0, 1] or uint8.
        magnitudes: `[N, H, W, slots]` non-negative: slot-wise Jacobians, attention, soft masks.
        masks: `[N, H, W]` integers, which object a pixel is of, 0 the background.
        names: the slots' labels.
        scale: see `zoo.drawing.sheets.sheet`.

    Returns:
        `[height, width, 3]` uint8.

    Raises:
        ValueError: shapes that do not fit, or magnitudes below zero.
    """
    import matplotlib

    images, magnitudes = sheets.pixels(images), np.asarray(magnitudes, np.float64)
    if magnitudes.ndim != 4 or magnitudes.shape[:3] != images.shape[:3]:
        raise ValueError(
            f"panels {magnitudes.shape} must be [N, H, W, slots] of {images.shape[:3]}"
        )
    if not np.isfinite(magnitudes).all() or (magnitudes < 0).any():
        raise ValueError("panels must be finite and not below zero")
    columns, parts = ["image"], [images]
    if masks is not None:
        masks = np.asarray(masks)
        if masks.shape != images.shape[:3]:
            raise ValueError(f"masks {masks.shape} must be [N, H, W] = {images.shape[:3]}")
        columns.append("objects")
        parts.append(palette.of_objects(masks))
    peak = magnitudes.max(axis=(1, 2, 3), keepdims=True)
    heat = matplotlib.colormaps["inferno"](magnitudes / np.where(peak > 0, peak, 1))[..., :3]
    columns += names or [f"slot {k + 1}" for k in range(magnitudes.shape[-1])]
    cells = [*parts, *sheets.pixels(np.moveaxis(heat, 3, 0))]
    return sheets.sheet(np.stack(cells, axis=1), columns=columns, scale=scale)


def _shares(magnitudes: np.ndarray, masks: np.ndarray | None) -> np.ndarray:
    """Each slot's share of a pixel's dependence, 0 outside of objects and where there is none."""
    total = magnitudes.sum(-1, keepdims=True)
    shares = np.divide(magnitudes, total, out=np.zeros_like(magnitudes), where=total > 0)
    return shares if masks is None else shares * (masks > 0)[..., None]
