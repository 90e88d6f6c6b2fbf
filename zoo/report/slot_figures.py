"""Pictures of what each slot of a model does: its part of the image, attention, Jacobian."""

from collections.abc import Callable, Iterator

import numpy as np

from zoo import evaluation
from zoo.report import figures

# Rows of a picture; Jacobians take seconds an image.
_IMAGES = 6


def draw(
    model, images: np.ndarray, masks: np.ndarray | None = None, jacobian: Callable | None = None
) -> Iterator[tuple[str, np.ndarray]]:
    """Pictures of a model with slots, by name.

    `slot_images`: image, reconstruction and each slot's part; `slot_attention`: which slot each
    pixel is made of; `slot_jacobian`: how strongly each pixel depends on each slot, as a share of
    all slots, on the objects where masks are known (Brady et al. 2025, Figs. 6 and 7).

    Args:
        model: has `encode`, `decode`, `attention` and `slot_images`.
        images: `[N, H, W, C]` float32 in [0, 1]; the first six are shown.
        masks: `[N, H, W]` integers, 0 for the background.
        jacobian: slots `[n, K, D]` to magnitudes `[n, H, W, K]`, by default those of
            `zoo.evaluation.slot_jacobian`.
    """
    images = np.asarray(images[:_IMAGES])
    masks = None if masks is None else np.asarray(masks[:_IMAGES])
    slots = np.asarray(model.encode(images))
    parts = np.asarray(model.slot_images(slots))
    cells = np.concatenate([images[:, None], parts.sum(1, keepdims=True), parts], axis=1)
    names = [f"slot {k + 1}" for k in range(parts.shape[1])]
    yield "slot_images", figures.sheet(cells, columns=["image", "decoded", *names])
    attention = np.asarray(model.attention(slots))
    yield "slot_attention", figures.slot_panels(images, attention, masks)
    if jacobian is None:
        magnitudes = evaluation.slot_jacobian(model.decode, slots)
    else:
        magnitudes = jacobian(slots)
    yield "slot_jacobian", figures.slot_panels(images, _shares(magnitudes, masks), masks)


def _shares(magnitudes: np.ndarray, masks: np.ndarray | None) -> np.ndarray:
    """Each slot's share of a pixel's dependence, 0 outside of objects and where there is none."""
    total = magnitudes.sum(-1, keepdims=True)
    shares = np.divide(magnitudes, total, out=np.zeros_like(magnitudes), where=total > 0)
    return shares if masks is None else shares * (masks > 0)[..., None]
