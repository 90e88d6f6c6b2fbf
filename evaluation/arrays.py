"""What scores on arrays of more than two axes ask of their input."""

import numpy as np


def finite(array, name: str) -> np.ndarray:
    """A finite, non-empty float64 array made of `array`.

    Raises:
        ValueError: it is empty, not made of real numbers, or holds NaN or infinity.
    """
    array = np.asarray(array)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} is of type {array.dtype}: give real numbers")
    if not array.size:
        raise ValueError(f"{name} of shape {array.shape} is empty")
    array = array.astype(np.float64, copy=False)
    if not np.isfinite(array).all():
        where = tuple(int(index) for index in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name} holds {array[where]} at index {where}: give finite numbers")
    return array


def labels(array, name: str) -> np.ndarray:
    """Integer labels `[N, ...]` as int64, made of integers or of floats that are whole.

    Raises:
        ValueError: no leading axis of samples, or entries that are not integers.
    """
    values = finite(array, name)
    if values.ndim < 2 or (values != np.round(values)).any():
        raise ValueError(f"{name} of shape {values.shape}: must be integers [N, H, W]")
    return values.astype(np.int64)
