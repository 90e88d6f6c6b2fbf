"""How much the slots of a decoder interact: each pixel should depend on one slot only.

Measured by the magnitude of the decoder's derivatives with respect to each slot (Brady et al. 2023,
"Provably Learning Object-Centric Representations"; Brady et al. 2025, "Interaction Asymmetry").
"""

from collections.abc import Callable

import numpy as np

from zoo.evaluation import facts
from zoo.evaluation.arrays import finite, labels
from zoo.evaluation.errors import InputError
from zoo.evaluation.segmentation import foreground_ari


def slot_jacobian(
    decoder: Callable,
    slots: np.ndarray,
    *,
    mode: str = "auto",
    dtype: str = "float32",
    memory: int = 2**29,
) -> np.ndarray:
    """How strongly every pixel depends on every slot, in bounded memory.

    Entry (n, h, w, k) is the sum of |d output(n, h, w, c) / d slots(n, k, l)| over channels c and
    the slot's latents l. Columns of the Jacobian are folded as they come: J is never held.

    Args:
        decoder: a TensorFlow callable from `[n, slots, slot_dim]` to images `[n, H, W, channels]`.
        slots: `[N, slots, slot_dim]`.
        mode: as in `zoo.evaluation.jacobian`.
        dtype: as in `zoo.evaluation.jacobian`.
        memory: as in `zoo.evaluation.jacobian`.

    Returns:
        `[N, H, W, slots]`, what `j_ari` and `jis` take.

    Raises:
        InputError: wrong shapes, or what `zoo.evaluation.jacobian` raises.
    """
    from zoo.evaluation.jacobians import jacobian

    if np.ndim(slots) != 3:
        raise InputError(f"slots of shape {np.shape(slots)}: must be [N, slots, slot_dim]")
    sums = jacobian(decoder, slots, mode=mode, reduction="slot_sums", dtype=dtype, memory=memory)
    if sums.ndim != 5:
        raise InputError(
            f"the decoder makes outputs of shape {sums.shape[1:-1]}: "
            "must be images [H, W, channels]"
        )
    return sums.sum(3)


@facts.score(
    needs=("slot_jacobian", "masks"),
    source="Brady et al. 2025",
    higher_is_better=True,
    range=(-0.5, 1),
    chance=0.0,
    suites=facts.SLOTS,
)
def j_ari(slot_jacobian, masks) -> dict:
    """Jacobian ARI: do the slots that pixels depend on most segment the objects?

    A foreground pixel is given to the slot of largest magnitude; the score is the adjusted Rand
    index of that against the objects, on foreground pixels, averaged over images (Brady et al.
    2025, section 6.1). Images without objects are left out.

    Args:
        slot_jacobian: non-negative magnitudes `[N, H, W, slots]`, see the function of that name.
        masks: integer `[N, H, W]`, 0 for the background.

    Returns:
        `score` in [-0.5, 1]; `per_image` `[N]`; `empty` `[N]`; `predicted` `[N, H, W]` slots.

    Raises:
        InputError: wrong shapes, negative magnitudes, fewer than two slots, or no object anywhere.
    """
    magnitudes, masks = _magnitudes_and_masks(slot_jacobian, masks)
    predicted = magnitudes.argmax(-1)
    return {**foreground_ari(masks, predicted), "predicted": predicted}


@facts.score(
    needs=("slot_jacobian", "masks"),
    source="Brady et al. 2025",
    higher_is_better=True,
    range=(0, 1),
    suites=facts.SLOTS,
)
def jis(slot_jacobian, masks) -> dict:
    """Jacobian Interaction Score: does every foreground pixel depend on one slot only?

    With m the mean over all foreground pixels of the largest slot's share of the magnitude, the
    score is (m - 1/K) / (1 - 1/K) for K slots: 1 where each pixel depends on one slot, 0 where on
    all alike (Brady et al. 2025, section 6.1). The mean is over the pixels of all images together;
    pixels that depend on no slot have no share and are left out, as in the authors' code.

    Args:
        slot_jacobian: non-negative magnitudes `[N, H, W, slots]`.
        masks: integer `[N, H, W]`, 0 for the background.

    Returns:
        `score` in [0, 1], 0 where no foreground pixel depends on any slot; `per_image` `[N]`;
        `share` `[N, H, W]`, the largest slot's share, 0 outside; `undefined`, how many foreground
        pixels depend on no slot.

    Raises:
        InputError: wrong shapes, negative magnitudes, fewer than two slots, or no object anywhere.
    """
    magnitudes, masks = _magnitudes_and_masks(slot_jacobian, masks)
    foreground = masks != 0
    if not foreground.any():
        raise InputError("masks hold only background: nothing to score")
    # Divided by the largest first, so that the sum of huge magnitudes cannot overflow.
    largest = magnitudes.max(-1)
    counted = foreground & (largest > 0)
    relative = magnitudes[counted] / largest[counted][:, None]
    share = np.zeros(masks.shape)
    share[counted] = 1 / relative.sum(-1)

    slots = magnitudes.shape[-1]

    def rescaled(total, count):
        mean = np.divide(total, count, out=np.full(np.shape(total), 1 / slots), where=count > 0)
        return np.clip((mean - 1 / slots) / (1 - 1 / slots), 0, 1)

    totals, counts = share.sum((1, 2)), counted.sum((1, 2))
    return {
        "score": float(rescaled(totals.sum(), counts.sum())),
        "per_image": rescaled(totals, counts),
        "share": share,
        "undefined": int(foreground.sum() - counted.sum()),
    }


@facts.score(
    needs=("decoder", "points"),
    source="Brady et al. 2023",
    higher_is_better=False,
)
def compositional_contrast(
    decoder_or_jacobians, slots=None, *, weighted: bool = False, **engine
) -> dict:
    """Compositional contrast: the products of slot gradient norms over pairs of slots.

    C = mean over samples of sum_n sum_{k<j} ||d f_n / d z_k|| ||d f_n / d z_j||, with n running
    over all outputs: zero exactly where each output depends on one slot at most (Brady et al. 2023,
    definition 5). `weighted` is the authors' variant for images: the norms at each output are
    divided by their mean m_n over slots, and its term is weighted by m_n / max_n m_n.

    Args:
        decoder_or_jacobians: Jacobians `[N, *output_shape, slots, slot_dim]`, or a TensorFlow
            callable from `[n, slots, slot_dim]`, whose Jacobians are then never held.
        slots: `[N, slots, slot_dim]`, where the decoder is differentiated.
        weighted: see above.
        **engine: `mode`, `dtype` and `memory` of `zoo.evaluation.jacobian`.

    Returns:
        `score`, at least 0; `per_sample` `[N]`.

    Raises:
        InputError: wrong shapes, or what `zoo.evaluation.jacobian` raises.
    """
    if callable(decoder_or_jacobians):
        from zoo.evaluation.jacobians import jacobian

        if np.ndim(slots) != 3:
            raise InputError(f"slots of shape {np.shape(slots)}: must be [N, slots, slot_dim]")
        norms = jacobian(decoder_or_jacobians, slots, reduction="slot_norms", **engine)
    else:
        if slots is not None or engine:
            raise InputError("slots and options of the engine belong to decoders, not to Jacobians")
        jacobians = finite(decoder_or_jacobians, "jacobians")
        if jacobians.ndim < 4:
            raise InputError(
                f"jacobians of shape {jacobians.shape}: must be [N, *output_shape, slots, slot_dim]"
            )
        norms = np.linalg.norm(jacobians, axis=-1)
    norms = finite(norms, "slot norms").reshape(len(norms), -1, norms.shape[-1])
    # sum_{k<j} a_k a_j = ((sum a)^2 - sum a^2) / 2, but without the cancellation.
    before = np.cumsum(norms, -1)[..., :-1]
    products = (before * norms[..., 1:]).sum(-1)
    if weighted:
        mean = norms.mean(-1)
        largest = mean.max(1, keepdims=True)
        scale = mean * largest
        products = np.divide(products, scale, out=np.zeros_like(products), where=scale > 0)
    values = products.sum(1)
    return {"score": float(values.mean()), "per_sample": values}


def _magnitudes_and_masks(magnitudes, masks):
    magnitudes, masks = finite(magnitudes, "slot_jacobian"), labels(masks, "masks")
    if magnitudes.ndim != 4 or masks.shape != magnitudes.shape[:3]:
        raise InputError(
            f"slot_jacobian of shape {magnitudes.shape} and masks of shape {masks.shape}: must be "
            "[N, H, W, slots] and [N, H, W]"
        )
    if magnitudes.shape[-1] < 2:
        raise InputError("interaction needs at least two slots")
    if (magnitudes < 0).any():
        raise InputError("slot_jacobian is negative: give sums of absolute values")
    return magnitudes, masks
