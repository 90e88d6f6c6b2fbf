"""A data set in memory made of a user's arrays, checked."""

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

from zoo.data import splits
from zoo.data.dataset import Dataset, DenseImages, PickedImages
from zoo.data.space import Factor, FactorSpace, ListedFactors
from zoo.errors import SettingError

# Pixels a side from which images are told from channels.
_LEAST = 8


def dataset(
    name: str,
    images: Any,
    factors: Any,
    space: FactorSpace | None,
    latents: Any,
    extras: Mapping[str, Any] | None,
    maximum: float | None,
) -> Dataset:
    """See `zoo.data.register`, which has the same arguments but for functions."""
    try:
        if maximum is not None and not (isinstance(maximum, Real) and 0 < maximum < math.inf):
            raise SettingError(f"maximum is {maximum!r}; give the value of white, above 0")
        if not isinstance(space, FactorSpace | None):
            raise SettingError(f"space is {space!r}; give a zoo.data.FactorSpace")
        if not isinstance(extras, Mapping | None):
            raise SettingError(f"extras are {extras!r}; give a dict of arrays by name")
        observed = _images(images, maximum)
        count = len(observed)
        more = {n: _own(_entries(n, v, count)) for n, v in (extras or {}).items()}
        if "split" in more:
            _require_splits(more["split"])
        if latents is not None:
            latents = _own(_numbers("latents", _entries("latents", latents, count)))
        found, rows = _factors(factors, space, count)
        known = {"image": observed, "index": count, "factors": found, "latents": latents}
        for extra in more:
            if known.get(extra) is not None:
                raise SettingError(
                    f"extras[{extra!r}] would hide the {extra} of an entry; give it another name"
                )
    except SettingError as error:
        raise SettingError(f"the data set {name!r}: {error}") from None
    if rows is not None:
        order = _order(found, rows)
        if order is None:
            found = ListedFactors(found.axes, rows)
        elif (order != np.arange(count)).any():
            observed = PickedImages(observed, order)
            latents = None if latents is None else latents[order]
            more = {n: values[order] for n, values in more.items()}
    return Dataset(name, observed, found, latents, more)


def _images(images: Any, maximum: float | None) -> DenseImages:
    array = _array("images", images)
    given = f"images are {array.dtype} of shape {list(array.shape)}"
    if not array.size:
        raise SettingError(f"{given}: there is nothing in them")
    if array.ndim == 2 and array.dtype.kind == "f":
        return DenseImages(_own(_numbers("images", array)), 1.0)
    if array.ndim == 3:
        raise SettingError(f"{given}; give [N, H, W, C]: add an axis, images[..., None]")
    if array.ndim == 4 and array.dtype.kind == "f":
        raise SettingError(
            f"{given}; give uint8: (255 * images).round().astype('uint8') of floats in [0, 1]"
        )
    if array.ndim != 4 or array.dtype not in (np.uint8, bool):
        raise SettingError(f"{given}; give [N, H, W, C] uint8 or bool, or [N, D] floats")
    _, first, second, last = array.shape
    # 1 or 3 rows of as many pixels as channels are no images of anybody's.
    if first in (1, 3) and second == last >= _LEAST:
        raise SettingError(
            f"{given}, channels first; give [N, H, W, C]: images.transpose(0, 2, 3, 1)"
        )
    if array.dtype == bool:
        if maximum not in (None, 1):
            raise SettingError(f"maximum is {maximum:g}, and white is 1 in images that are bool")
        return DenseImages(_own(array.view(np.uint8)), 1.0)
    if maximum is not None and array.max() > maximum:
        raise SettingError(f"images go up to {array.max()}, and maximum is {maximum:g}")
    return DenseImages(_own(array), float(maximum or 255))


def _own(array: np.ndarray) -> np.ndarray:
    """What nobody can change: the array if it is read-only, else a copy."""
    if array.flags.writeable:
        array = np.array(array, order="C")
        array.flags.writeable = False
    return array


def _array(name: str, values: Any) -> np.ndarray:
    if np.ma.is_masked(values):
        raise SettingError(f"{name} are masked; leave these entries out")
    try:
        return np.asarray(values)
    except ValueError as error:
        raise SettingError(f"{name} cannot be made an array: {error}") from None


def _entries(name: str, values: Any, count: int) -> np.ndarray:
    array = _array(name, values)
    if array.shape[:1] != (count,):
        raise SettingError(
            f"{name} has the shape {list(array.shape)} and there are {count} images; give one "
            "entry an image, in the same order"
        )
    return array


def _require_splits(labels: np.ndarray) -> None:
    """Refuses what `splits.labelled` would leave out."""
    names = [f"{i} for {name}" for i, name in enumerate(splits.NAMES)]
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        found = f"is {labels.dtype} of shape {list(labels.shape)}"
    elif (wrong := (labels < 0) | (labels >= len(names))).any():
        found = f"has {labels[wrong.argmax()]} at row {wrong.argmax()}"
    else:
        return
    raise SettingError(f"extras['split'] {found}; give [N] integers, {', '.join(names)}")


def _numbers(name: str, values: np.ndarray) -> np.ndarray:
    """`[N, K]` finite float32."""
    if values.ndim != 2 or not values.size or values.dtype.kind not in "fiub":
        raise SettingError(
            f"{name} are {values.dtype} of shape {list(values.shape)}; give [N, K] numbers"
        )
    with np.errstate(over="ignore"):
        numbers = np.ascontiguousarray(values, np.float32)
    bad = ~np.isfinite(numbers).all(1)
    if bad.any():
        raise SettingError(f"{name} hold NaN or infinity in float32 at row {bad.argmax()}")
    return numbers


def _factors(
    factors: Any, space: FactorSpace | None, count: int
) -> tuple[FactorSpace | None, np.ndarray | None]:
    """The space, and the factor indices `[N, F]` of all images where they are not in its order."""
    if factors is None:
        # Not `len(space)`, which may be larger than Python allows.
        if space is not None and (grid := math.prod(space.sizes)) != count:
            raise SettingError(
                f"space has {grid} combinations and there are {count} images; give the factors of "
                "every image"
            )
        return space, None
    if isinstance(factors, Mapping):
        if space is not None:
            unknown = set(factors) ^ set(space.names)
            if unknown:
                raise SettingError(
                    f"factors are {', '.join(factors)}, and those of space {', '.join(space.names)}"
                )
            columns = [_entries(f"factors[{n!r}]", factors[n], count) for n in space.names]
            for name, column in zip(space.names, columns, strict=True):
                if column.ndim != 1 or column.dtype.kind not in "biu":
                    raise SettingError(
                        f"factors[{name!r}] is {column.dtype} of shape {list(column.shape)}; with "
                        "a space give [N] indices of its values"
                    )
            # Mixed types of integers would be floats.
            columns = [column.astype(np.int64) for column in columns]
            return space, _indices(np.stack(columns, axis=1), space)
        made = [_factor(n, _entries(f"factors[{n!r}]", v, count)) for n, v in factors.items()]
        axes, columns = zip(*made, strict=True) if made else ((), ())
        if not axes:
            raise SettingError("factors are empty; leave them out")
        return FactorSpace(axes), np.stack(columns, axis=1)
    rows = _entries("factors", factors, count)
    if rows.ndim != 2 or rows.dtype.kind not in "iu" or not rows.shape[1] or rows.min() < 0:
        raise SettingError(
            f"factors are {rows.dtype} of shape {list(rows.shape)}; give [N, F] integers from 0, "
            "or a dict of numbers or words by name; continuous quantities are latents"
        )
    if space is None:
        sizes = rows.max(0).astype(np.int64) + 1
        space = FactorSpace(tuple(Factor(f"factor_{i}", (*range(n),)) for i, n in enumerate(sizes)))
    return space, _indices(rows, space)


def _indices(rows: np.ndarray, space: FactorSpace) -> np.ndarray:
    """Factor indices `[N, F]` int64, all within the space."""
    try:
        return space.indices(rows)
    except ValueError as error:
        raise SettingError(f"factors do not fit space: {error}") from None


def _order(space: FactorSpace, rows: np.ndarray) -> np.ndarray | None:
    """Which image each combination of a space has; None unless each has one of its own."""
    if math.prod(space.sizes) != len(rows):
        return None
    numbers = space.index(rows)
    order = np.argsort(numbers)
    return order if (numbers[order] == np.arange(len(rows))).all() else None


def _factor(name: str, values: np.ndarray) -> tuple[Factor, np.ndarray]:
    """A factor made of its value `[N]` at every image, and their indices."""
    if values.ndim == 1 and values.dtype.kind in "OT":
        values = _words(name, values)
    if values.ndim != 1 or values.dtype.kind not in "fiubUS":
        raise SettingError(
            f"factors[{name!r}] is {values.dtype} of shape {list(values.shape)}; give [N] numbers "
            "or words"
        )
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        bad = (~np.isfinite(values)).argmax()
        raise SettingError(f"factors[{name!r}] holds NaN or infinity at row {bad}")
    found, indices = np.unique(values, return_inverse=True)
    if values.dtype.kind == "f" and len(found) == len(values) > 1:
        raise SettingError(
            f"factors[{name!r}] has another value at every image; give continuous quantities as "
            "latents"
        )
    words = values.dtype.kind in "US"
    numbers = range(len(found)) if words else found.tolist()
    return Factor(str(name), tuple(map(float, numbers)), categorical=words), indices


def _words(name: str, values: np.ndarray) -> np.ndarray:
    """Strings, or bytes, that NumPy has as objects, in an array of its own."""
    entries = values.tolist()
    kind = bytes if isinstance(entries[0], bytes) else str
    for row, entry in enumerate(entries):
        if not isinstance(entry, kind):
            raise SettingError(
                f"factors[{name!r}] is {values.dtype} and has {entry!r} at row {row}; give [N] "
                "numbers, or words throughout"
            )
    return np.array(entries)
