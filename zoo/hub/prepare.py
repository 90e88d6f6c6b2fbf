"""Images as a model takes them, of images as others have them."""

from typing import Any

import numpy as np

from zoo.hub.load import OVERSHOOT, InputError, Pretrained

# Pillow's modes of one or three numbers a pixel that are neither grey nor red, green and blue.
_NO_BRIGHTNESS = ("P", "HSV", "LAB", "YCbCr")


def prepare(images: Any, model: Pretrained) -> np.ndarray:
    """Converts images to float32 in [0, 1] of the model's shape.

        model.encode(zoo.prepare(images, model))

    | what differs | what is done |
    | --- | --- |
    | `[B, C, H, W]` or `[C, H, W]` | channels come last |
    | no axis of the channel, where it is one; no axis of the batch | added |
    | integers | divided by the maximum of the data in `card`; by 255 if they exceed it |
    | booleans | 0 and 1 |
    | floats of which one exceeds 1.5 | divided by 255 |

    What would be a guess is refused: another size, grey images of a model in colour, negative
    values, Pillow's images of a palette or of another colour space.

    Args:
        images: what NumPy takes for an array: an array, a tensor of any library on the CPU, a list
            of them or of Pillow's images.
        model: what `zoo.load` gave.

    Returns:
        `[B, H, W, C]`, or a batch of what else the model observes.

    Raises:
        InputError: the images cannot be converted; the message says why.
    """
    for image in images if isinstance(images, list | tuple) else [images]:
        if (mode := getattr(image, "mode", None)) in _NO_BRIGHTNESS:
            raise InputError(
                f"prepare: images of Pillow's mode {mode}, whose numbers are no brightness; "
                "image.convert('L') or image.convert('RGB') first"
            )
    try:
        array = np.asarray(images)
    except (TypeError, ValueError, RuntimeError) as error:
        line = " ".join(str(error).split())
        raise InputError(f"prepare: the images are not one array: {line}") from None
    if array.dtype.kind not in "biuf":
        raise InputError(f"prepare: images of type {array.dtype}, wanted numbers")
    shape = model.image_shape
    array = _arranged(array, shape)
    if len(shape) != 3:
        return np.ascontiguousarray(array, np.float32)
    maximum = float((model.card.get("input") or {}).get("maximum", 255))
    return np.ascontiguousarray(_scaled(array, maximum))


def _arranged(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The array as `[B, *shape]`."""
    if array.shape[1:] == shape and array.ndim == len(shape) + 1:
        return array
    if len(shape) == 3:
        height, width, channels = shape
        first = (channels, height, width)
        if array.ndim == 4 and array.shape[1:] == first:
            return np.moveaxis(array, 1, -1)
        if array.shape == first:
            return np.moveaxis(array, 0, -1)[None]
        if channels == 1 and array.ndim in (2, 3) and array.shape[-2:] == (height, width):
            return array.reshape(-1, height, width, 1)
    if array.shape == shape:
        return array[None]
    axes = ", ".join(map(str, shape))
    advice = ""
    if len(shape) == 3:
        sizes = {array.shape[-3:-1], array.shape[-2:]} if array.ndim > 2 else {array.shape}
        fits = (shape[0], shape[1]) in sizes
        advice = (
            f"; the model has {shape[2]} channel{'s' if shape[2] > 1 else ''}: convert colour first"
            if fits
            else f"; resize them to {shape[0]} x {shape[1]} first"
        )
    raise InputError(f"prepare: images of shape {array.shape}, the model's are [B, {axes}]{advice}")


def _scaled(array: np.ndarray, maximum: float) -> np.ndarray:
    """Pixels as float32 in [0, 1]."""
    scaled = array.astype(np.float32)
    if not array.size or array.dtype.kind == "b":
        return scaled
    least, most = float(scaled.min()), float(scaled.max())
    if array.dtype.kind in "iu":
        lowest, highest, span = (0, maximum, maximum) if most <= maximum else (0, 255, 255)
    else:
        inside = most <= 1 + OVERSHOOT
        lowest, highest, span = (-OVERSHOOT, 1 + OVERSHOOT, 1) if inside else (0, 255, 255)
    # Negated, so that NaN is refused, too.
    if not lowest <= least <= most <= highest:
        advice = "images in [-1, 1] are (images + 1) / 2" if least < 0 else "scale them to [0, 1]"
        raise InputError(
            f"prepare: {array.dtype} images in {least:g}..{most:g} are neither in [0, 1] nor in "
            f"0..255; {advice}"
        )
    return scaled / np.float32(span)
