"""What every score on codes and factors asks of its input, said in one clear line otherwise."""

import numbers
import types
import typing
from collections.abc import Sequence

import numpy as np

from zoo.evaluation import arrays
from zoo.evaluation.errors import InputError

# Solvers square what they are given, and some never end on what overflows.
_LARGEST = 1e100
# A code is dead that varies by no more than so many times the rounding error of its own type; in
# float64, whose codes are often computed from others, by no more than 1e-12 of its magnitude,
# unless they are whole numbers.
_ULPS = 8
_CONSTANT = 1e-12
# Whole numbers of float64 are exact up to this.
_EXACT = 2**53


def codes_and_factors(
    codes, factors, suffix: str = "", continuous: bool | Sequence[bool] = False
) -> tuple[np.ndarray, np.ndarray]:
    """Checks and converts a representation and the factors it is scored against.

    Args:
        codes: `[N, D]` finite numbers, an array or a tensor.
        factors: `[N, F]` integer factor indices, no column constant.
        suffix: what follows `codes` and `factors` in messages, for example `_test`.
        continuous: which factors may hold any finite number, one flag or `[F]` flags.

    Returns:
        `[N, D]` float64 codes; `[N, F]` int64 factors, or float64 where any is continuous.

    Raises:
        InputError: a wrong shape or length, NaN, a fractional index, or a constant factor.
    """
    codes = varying(codes, f"codes{suffix}", "[N, D]")
    factors = varying(factors, f"factors{suffix}", "[N, F]")
    if len(codes) != len(factors):
        raise InputError(
            f"codes{suffix} has {len(codes)} rows and factors{suffix} {len(factors)}: "
            "row n of both must describe the same observation"
        )
    ordered = flags(continuous, "continuous", factors.shape[1])
    fractional = (factors != np.round(factors)).any(0) & ~ordered
    if fractional.any():
        raise InputError(
            f"factors{suffix} column {fractional.argmax()} is not made of integers: "
            "give factor indices, not values"
        )
    if (beyond := (np.abs(factors) > _EXACT).any(0) & ~ordered).any():
        raise InputError(
            f"factors{suffix} column {beyond.argmax()} holds integers beyond 2^53, which float64 "
            "cannot tell apart: number its values from 0"
        )
    constant = (factors == factors[0]).all(0)
    if constant.any():
        raise InputError(
            f"factors{suffix} column {constant.argmax()} is constant: leave it out, "
            "or sample more rows"
        )
    return codes, factors if ordered.any() else factors.astype(np.int64)


def train_and_test(
    codes,
    factors,
    codes_test,
    factors_test,
    continuous: bool | Sequence[bool] = False,
    unseen: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """As `codes_and_factors` for a training and a test part, whose columns must correspond.

    Indices that only the test part has are an error unless `unseen`: no classifier can name them.
    """
    codes, factors = codes_and_factors(codes, factors, continuous=continuous)
    codes_test, factors_test = codes_and_factors(codes_test, factors_test, "_test", continuous)
    for name, train, test in (
        ("codes", codes, codes_test),
        ("factors", factors, factors_test),
    ):
        if train.shape[1] != test.shape[1]:
            raise InputError(
                f"{name} has {train.shape[1]} columns and {name}_test {test.shape[1]}: "
                "they must be the same ones"
            )
    ordered = flags(continuous, "continuous", factors.shape[1])
    for f in () if unseen else np.flatnonzero(~ordered):
        new = np.setdiff1d(factors_test[:, f], factors[:, f])
        if new.size:
            raise InputError(
                f"factors_test column {f} holds {new[0]:g}, which factors has nowhere: fit on rows "
                "that have every value, or leave such rows out of the test"
            )
    return codes, factors, codes_test, factors_test


def of_kinds(
    codes,
    factors,
    codes_test,
    factors_test,
    categorical: bool | Sequence[bool],
    unseen: bool = False,
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]:
    """As `train_and_test`, and `[F]` flags, where factors are categories or quantities.

    Quantities are scaled as in `comparable`.
    """
    factors = varying(factors, "factors", "[N, F]")
    kinds = flags(categorical, "categorical", factors.shape[1])
    parts = train_and_test(codes, factors, codes_test, factors_test, ~kinds, unseen)
    codes, factors, codes_test, factors_test = parts
    if not kinds.all():
        scaled = comparable(factors[:, ~kinds], factors_test[:, ~kinds])
        factors[:, ~kinds], factors_test[:, ~kinds] = scaled
    return (codes, factors, codes_test, factors_test), kinds


def flags(values, name: str, count: int) -> np.ndarray:
    """`[count]` booleans, one a factor, made of as many or of one for all.

    Raises:
        InputError: another number of them, or values that are neither true nor false.
    """
    given = np.asarray(values)
    if given.dtype.kind not in "biu" or not np.isin(given, (0, 1)).all():
        raise InputError(f"{name} is {values!r}: give True or False, for all factors or for each")
    if given.ndim and given.shape != (count,):
        raise InputError(f"{given.size} flags were given for {count} factors: give one a factor")
    return np.broadcast_to(given.astype(bool), (count,))


def whole(least: int, **numbers) -> None:
    """Checks numbers of rows, bins or the like: integers of at least `least`.

    Raises:
        InputError: another type or a smaller number.
    """
    for name, number in numbers.items():
        if isinstance(number, bool | np.bool_) or not isinstance(number, int | np.integer):
            raise InputError(f"{name} is {number!r}: it must be a whole number")
        if number < least:
            raise InputError(f"{name} is {number}: it must be at least {least}")


def is_of_kind(value, annotation) -> bool:
    """Whether a value is what an annotation says, where that is told of numbers, texts and lists.

    Any value is of another kind of annotation.
    """
    if isinstance(annotation, types.UnionType):
        return any(is_of_kind(value, each) for each in annotation.__args__)
    if typing.get_origin(annotation) is Sequence:
        (kind,) = annotation.__args__
        listed = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
        return listed and all(is_of_kind(each, kind) for each in value)
    if annotation in (int, float):
        number = numbers.Integral if annotation is int else numbers.Real
        return isinstance(value, number) and not isinstance(value, bool)
    if annotation is bool:
        return isinstance(value, numbers.Integral | np.bool_) and value in (0, 1)
    return annotation not in (str, types.NoneType) or isinstance(value, annotation)


def seeds(seed) -> tuple[int, ...]:
    """The seeds that one seed, or a sequence of different ones, stands for.

    Raises:
        InputError: none, one twice, or what is no whole number from 0.
    """
    given = (seed,) if np.ndim(seed) == 0 else tuple(seed)
    for each in given:
        whole(0, seed=each)
    if not given or len(set(given)) < len(given):
        raise InputError(f"seed is {seed!r}: give one, or a list of different ones")
    return given


def varying(array, name: str, shape: str) -> np.ndarray:
    """As `matrix`, but columns that vary by rounding only are made constant.

    Rounding is that of the type in which the numbers came. Without this the noise of a dead code
    would be ranked, binned and split like any other code.
    """
    values = matrix(array, name, shape)
    ulps = _ULPS * arrays.epsilon(array)
    whole_numbers = (values == np.round(values)).all(0)
    rounding = np.where(whole_numbers, ulps, max(_CONSTANT, ulps))
    constant = constant_columns(values, rounding)
    return np.where(constant, values[0], values) if constant.any() else values


def matrix(array, name: str, shape: str) -> np.ndarray:
    """A finite, non-empty float64 matrix made of `array`; `shape` describes it in messages."""
    array = arrays.real(array, name)
    if array.ndim != 2 or not array.size:
        raise InputError(f"{name} has shape {array.shape}: give a non-empty matrix {shape}")
    # Column by column in memory: means and extremes of columns then take a third of the time.
    array = array.astype(np.float64, order="F")
    bad = ~np.isfinite(array)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise InputError(f"{name} holds {array[row, column]} at row {row}, column {column}")
    if max(-array.min(), array.max()) > _LARGEST:
        raise InputError(f"{name} holds numbers beyond {_LARGEST:g}: scale them down")
    return array


def constant_columns(codes: np.ndarray, rounding: float | np.ndarray = _CONSTANT) -> np.ndarray:
    """`[D]` bool: the columns of `[N, D]` that vary by no more than rounding, as dead codes do."""
    low, high = codes.min(0), codes.max(0)
    return high - low <= rounding * np.maximum(np.abs(low), np.abs(high))


def magnitudes(values: np.ndarray) -> np.ndarray:
    """`[D]`: the largest absolute values of `[N, D]` columns, without an array of all of them."""
    return np.maximum(np.abs(values.min(0)), np.abs(values.max(0)))


def comparable(codes: np.ndarray, *more: np.ndarray) -> list[np.ndarray]:
    """Columns of `[N, D]`, and of `more`, times powers of two that bring the first ones near 1.

    Solvers take tiny numbers for zero. A power of two changes no digit, so no score elsewhere.
    """
    exponent = np.frexp(magnitudes(codes))[1]
    return [np.ldexp(each, -exponent) for each in (codes, *more)]
