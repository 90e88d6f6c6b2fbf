"""What scores are computed from, given as arrays: nobody's model and no data set is needed."""

import difflib
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
from absl import logging

from zoo.evaluation import arrays as conversion
from zoo.evaluation import facts
from zoo.evaluation.errors import InputError

# What no array can be.
_FUNCTIONS = {"decoder": "a function of codes", "represent": "codes of factors that are chosen"}
# The share of the rows that scores are fitted on, as 10,000 of 15,000 in Locatello et al. 2019.
_TRAIN = 2 / 3
_TEST = "_test"


class ArrayInputs:
    """What scores need, by name (`needs` and `settings` of their facts), taken from arrays.

    `latents` are the factors where there are none, and `targets` the factors, or the latents where
    there are none. Scores that need a test half have the rows divided at random where the arrays
    have none; all others are computed from all rows.

    Attributes:
        seed: of the division, and of every score that samples.
        encoding_seconds: 0, as nothing is encoded.
    """

    encoding_seconds = 0.0

    def __init__(self, arrays: Mapping[str, Any], seed: int):
        self.seed, self._arrays = seed, arrays
        _check_names(arrays)
        self._has_test = any(name.endswith(_TEST) for name in arrays)
        if self._has_test and f"codes{_TEST}" not in arrays:
            raise InputError(
                f"the test half has no codes{_TEST}: give it too, or no test half at all"
            )
        for name in arrays:
            if (base := name.removesuffix(_TEST)) not in arrays:
                raise InputError(f"there is {name} without {base}: give both, or neither")
        self._given = dict(arrays)
        _check_lengths(self._given)
        for suffix in ("", _TEST):
            if "latents" not in arrays and f"factors{suffix}" in arrays:
                self._given[f"latents{suffix}"] = arrays[f"factors{suffix}"]
        if "targets" not in arrays and "factors" in arrays:
            self._given["targets"] = arrays["factors"]
        elif "targets" not in arrays and "latents" in arrays:
            self._given["targets"] = arrays["latents"]
            self._given.setdefault("categorical", False)

    def reseeded(self, seed: int) -> "ArrayInputs":
        """The same arrays with another seed."""
        return ArrayInputs(self._arrays, seed)

    def arguments(self, known: facts.Facts) -> tuple[list, dict]:
        """The arguments of a score: what it needs, and those settings that are known.

        Raises:
            InputError: something that it needs is not among the arrays.
        """
        divides = not self._has_test and any(need.endswith(_TEST) for need in known.needs)
        for need in known.needs:
            if need in _FUNCTIONS:
                raise InputError(f"needs {need} ({_FUNCTIONS[need]}), which is no array")
            base = need.removesuffix(_TEST) if divides else need
            if base not in self._given:
                raise InputError(f"needs {base}, which is not among the arrays")
        given = self._halves if divides else self._given
        settings = {"seed": self.seed, **given}
        if "images" in given:
            settings["clamped"] = np.ndim(given["images"]) > 2
        chosen = {name: settings[name] for name in known.settings if name in settings}
        return [given[need] for need in known.needs], chosen

    def are_enough_for(self, known: facts.Facts) -> bool:
        """Whether all that a score needs is here, but perhaps a test half."""
        names = {need.removesuffix(_TEST) if not self._has_test else need for need in known.needs}
        return names <= set(self._given)

    @functools.cached_property
    def _halves(self) -> dict[str, Any]:
        """The arrays with the rows of training and test apart."""
        count = _length(self._given["codes"])
        train, test = np.split(
            np.random.default_rng(self.seed).permutation(count), [round(count * _TRAIN)]
        )
        if not (len(train) and len(test)):
            raise InputError(f"{count} rows are too few to divide into training and test")
        logging.info(
            "no test half is given: scores that need one have %d rows for training and %d for "
            "testing, divided at random by seed %d",
            *(len(train), len(test), self.seed),
        )
        halves = dict(self._given)
        for name in _divisible() & set(self._given):
            values = conversion.real(self._given[name], name)
            halves[name], halves[name + _TEST] = values[train], values[test]
        return halves


@functools.cache
def names() -> tuple[str, ...]:
    """The names of the arrays that some score needs."""
    needs = [need for name in facts.names() for need in facts.of(name).needs]
    return tuple(dict.fromkeys(n for n in needs if n not in {*_FUNCTIONS, "sizes"}))


def _divisible() -> set[str]:
    """The names of arrays that some score needs in two halves."""
    return {name.removesuffix(_TEST) for name in names() if name.endswith(_TEST)}


def _check_names(arrays: Mapping[str, Any]) -> None:
    """Raises an InputError that names the nearest where an array is none of a score's."""
    for name in arrays:
        if name not in names():
            near = difflib.get_close_matches(name, names(), 1)
            hint = f"did you mean {near[0]}?" if near else f"arrays are {', '.join(names())}"
            raise InputError(f"no score takes an array named {name!r}: {hint}")
    if not arrays:
        raise InputError(f"there are no arrays: give some of {', '.join(names())}")


def _check_lengths(arrays: Mapping[str, Any]) -> None:
    """Raises an InputError where rows that describe the same observations differ in number."""
    for suffix in ("", _TEST):
        found = [name + suffix for name in sorted(_divisible()) if name + suffix in arrays]
        lengths = {name: _length(arrays[name]) for name in found}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise InputError(f"the arrays are of different numbers of rows: {told}")


def _length(values) -> int:
    return (np.shape(values) or (1,))[0]
