"""What every score on codes and factors asks of its input, said in one clear line otherwise."""

from collections.abc import Sequence

import numpy as np

# Solvers square what they are given, and some never end on what overflows.
_LARGEST = 1e100


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
        ValueError: a wrong shape or length, NaN, a fractional index, or a constant factor.
    """
    codes = matrix(codes, f"codes{suffix}", "[N, D]")
    factors = matrix(factors, f"factors{suffix}", "[N, F]")
    if len(codes) != len(factors):
        raise ValueError(
            f"codes{suffix} has {len(codes)} rows and factors{suffix} {len(factors)}: "
            "row n of both must describe the same observation"
        )
    flags = np.asarray(continuous, bool)
    if flags.ndim and flags.shape != factors.shape[1:]:
        raise ValueError(
            f"{flags.size} flags were given for {factors.shape[1]} factors: give one a factor"
        )
    fractional = (factors != np.round(factors)).any(0) & ~flags
    if fractional.any():
        raise ValueError(
            f"factors{suffix} column {fractional.argmax()} is not made of integers: "
            "give factor indices, not values"
        )
    constant = (factors == factors[0]).all(0)
    if constant.any():
        raise ValueError(
            f"factors{suffix} column {constant.argmax()} is constant: leave it out, "
            "or sample more rows"
        )
    return codes, factors if flags.any() else factors.astype(np.int64)


def train_and_test(
    codes, factors, codes_test, factors_test, continuous: bool | Sequence[bool] = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """As `codes_and_factors` for a training and a test part, whose columns must correspond."""
    codes, factors = codes_and_factors(codes, factors, continuous=continuous)
    codes_test, factors_test = codes_and_factors(codes_test, factors_test, "_test", continuous)
    for name, train, test in (
        ("codes", codes, codes_test),
        ("factors", factors, factors_test),
    ):
        if train.shape[1] != test.shape[1]:
            raise ValueError(
                f"{name} has {train.shape[1]} columns and {name}_test {test.shape[1]}: "
                "they must be the same ones"
            )
    return codes, factors, codes_test, factors_test


def matrix(array, name: str, shape: str) -> np.ndarray:
    """A finite, non-empty float64 matrix made of `array`; `shape` describes it in messages."""
    array = np.asarray(array)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name} has shape {array.shape}: give a non-empty matrix {shape}")
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} is of type {array.dtype}: give real numbers")
    array = array.astype(np.float64)
    bad = ~np.isfinite(array)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(f"{name} holds {array[row, column]} at row {row}, column {column}")
    if np.abs(array).max() > _LARGEST:
        raise ValueError(f"{name} holds numbers beyond {_LARGEST:g}: scale them down")
    return array


def constant_columns(codes: np.ndarray) -> np.ndarray:
    """`[D]` bool: the columns of `[N, D]` that vary by no more than rounding, as dead codes do."""
    return np.ptp(codes, axis=0) <= 1e-12 * np.abs(codes).max(0)


def comparable(codes: np.ndarray, *more: np.ndarray) -> list[np.ndarray]:
    """Columns of `[N, D]`, and of `more`, times powers of two that bring the first ones near 1.

    Solvers take tiny numbers for zero. A power of two changes no digit, so no score elsewhere.
    """
    exponent = np.frexp(np.abs(codes).max(0))[1]
    return [np.ldexp(each, -exponent) for each in (codes, *more)]
