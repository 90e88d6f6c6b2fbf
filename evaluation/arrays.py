"""Arrays made of what users hold, and what scores ask of arrays other than codes and factors."""

import numpy as np

from zoo.evaluation.errors import InputError

# Images in [0, 1] may leave it by what resizing and rounding do.
_SLACK = 1e-3
# Machine epsilon by the name of a type, which all frameworks spell alike. Others count as float64.
_EPSILON = {"bfloat16": 2.0**-7, "float16": 2.0**-10, "float32": 2.0**-23}


def real(values, name: str) -> np.ndarray:
    """A numpy array of real numbers made of an array, a tensor, a data frame or nested lists.

    Tensors of PyTorch are detached from their graph, and bfloat16, which numpy lacks, becomes
    float32. No framework is imported: what an object can do decides.

    Raises:
        InputError: it cannot become an array, or is not made of real numbers.
    """
    # `tf.Variable` has no `detach`; a tensor of PyTorch refuses to become an array without it.
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        if _type_name(values) == "bfloat16":
            values = values.float()
    try:
        array = np.asarray(values)
        if array.dtype == object and hasattr(values, "to_numpy"):
            # Frames with columns of several types, or of types that can lack values.
            array = values.to_numpy(dtype=np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        why = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(
            f"{name} of type {type(values).__name__} is no array of real numbers: {why}; "
            "give a numpy array of numbers"
        ) from error
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    if array.dtype.kind not in "fiub":
        raise InputError(f"{name} is of type {array.dtype}: give real numbers")
    return array


def epsilon(values) -> float:
    """The relative rounding error of the numbers in `values`, of which `real` made an array."""
    return _EPSILON.get(_type_name(values), 2.0**-52)


def finite(array, name: str) -> np.ndarray:
    """A finite, non-empty float64 array made of `array`.

    Raises:
        InputError: it is empty, not made of real numbers, or holds NaN or infinity.
    """
    array = real(array, name)
    if not array.size:
        raise InputError(f"{name} of shape {array.shape} is empty")
    array = array.astype(np.float64, copy=False)
    if not np.isfinite(array).all():
        where = tuple(int(index) for index in np.argwhere(~np.isfinite(array))[0])
        raise InputError(f"{name} holds {array[where]} at index {where}: give finite numbers")
    return array


def plain(value):
    """An array, a tensor or a number of numpy as lists and numbers; a `default` of `json.dumps`."""
    if hasattr(value, "__array__"):
        return np.asarray(value).tolist()
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def labels(array, name: str) -> np.ndarray:
    """Integer labels `[N, ...]` as int64, made of integers or of floats that are whole.

    Raises:
        InputError: no leading axis of samples, entries that are not integers, or one-hot masks.
    """
    values = finite(array, name)
    if values.ndim < 2 or (values != np.round(values)).any():
        raise InputError(f"{name} of shape {values.shape}: must be integers [N, H, W]")
    if values.ndim > 3 and values.min() >= 0 and (values.sum(-1) == 1).all():
        raise InputError(
            f"{name} of shape {values.shape} is one-hot: give labels [N, H, W], the argmax over "
            "the last axis"
        )
    return values.astype(np.int64)


def checked_latents(values, dtype: str) -> np.ndarray:
    """Latents `[N, *latent_shape]`, finite and of the wanted type; an InputError otherwise."""
    latents = real(values, "latents")
    if latents.ndim < 2 or 0 in latents.shape:
        raise InputError(f"latents of shape {latents.shape}: must be [N, *latent_shape], not empty")
    if latents.dtype.kind == "b" or not np.isfinite(latents).all():
        raise InputError("latents must be finite numbers")
    return latents.astype(dtype, copy=False)


def unit_range(images, rows, name: str | None = None) -> np.ndarray:
    """Some images as float32 in [0, 1], from floats in [0, 1] or from integers.

    Args:
        images: what gives arrays by `images[rows]`. Its `maximum`, if it has one, is the integer
            that means 1; else it is 255, and 1 of booleans.
        rows: a slice or numbers.
        name: of the images in messages; without one floats may have any range.

    Raises:
        InputError: another type, no pixels, NaN or infinity, values out of range.
    """
    batch = real(images[rows], name or "reconstructions")
    if not batch.size:
        raise InputError(f"{name or 'reconstructions'} of shape {batch.shape}: nothing to score")
    low, high = batch.min(), batch.max()
    if batch.dtype.kind == "f":
        if name and not np.isfinite([low, high]).all():
            bad = ~np.isfinite(batch.reshape(len(batch), -1)).all(1)
            number = np.arange(len(images))[rows][bad.argmax()]
            raise InputError(f"{name}: image {number} holds NaN or infinity")
        if name and (low < -_SLACK or high > 1 + _SLACK):
            raise InputError(
                f"{name}: floats from {low:g} to {high:g}; give floats in [0, 1], or integers in "
                "0..255"
            )
        return batch.astype(np.float32)
    largest = maximum_of(images)
    if largest is None:
        largest = 1 if batch.dtype == bool else 255
    if low < 0 or high > largest:
        raise InputError(
            f"{name or 'reconstructions'}: integers from {low} to {high}; give integers in "
            f"0..{largest:g}, or floats in [0, 1]"
        )
    return batch.astype(np.float32) / np.float32(largest)


def maximum_of(images) -> float | None:
    """The integer that means 1 in images that state it as `maximum`, None of others.

    Tensors of PyTorch have a method of that name.
    """
    maximum = getattr(images, "maximum", None)
    return None if callable(maximum) else maximum


def _type_name(values) -> str:
    """`float32` of the types `float32`, `torch.float32` and `<dtype: 'float32'>`."""
    dtype = getattr(values, "dtype", None)
    return getattr(dtype, "name", None) or str(dtype).rpartition(".")[2]
