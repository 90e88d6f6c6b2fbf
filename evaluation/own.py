"""Scores of users: registered by a decorator, then like those of this package."""

import difflib
import functools
import inspect
import json
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from zoo.evaluation import array_inputs, arrays, facts, index
from zoo.evaluation.errors import InputError, UndefinedScoreError
from zoo.evaluation.inputs import Inputs

_SUITES = {"fast": facts.FAST, "standard": facts.STANDARD, "full": facts.FULL}
# What `Inputs` has besides.
_NO_NEEDS = {"arguments", "encoding_seconds", "lacking", "reseeded", "seed"}


def score(
    *,
    higher_is_better: bool | None,
    needs: Sequence[str] | None = None,
    settings: Sequence[str] | None = None,
    range: tuple[float, float] = (-math.inf, math.inf),
    suites: str | Sequence[str] = (),
    axes: Mapping[str, str] | None = None,
    chance: float | None = None,
    source: str = "",
) -> Callable[[facts.Function], facts.Function]:
    """Makes a function a score that `evaluate`, suites, `train.select`, reports and tables know.

        @zoo.evaluation.score(higher_is_better=True, range=(0, 1), suites="fast")
        def first_code_r2(codes, factors):
            '''How much of the first factor the first code tells.'''
            return {"score": np.corrcoef(codes[:, 0], factors[:, 0])[0, 1] ** 2}

    The function is called by its name, which no other score has; defined again in the same place,
    as in a notebook, it replaces itself. It returns a dict with the number as `score`; whatever
    else is in it is kept beside it, in JSON. Where it has no value it raises an `InputError`.

    Args:
        higher_is_better: None where neither end is better.
        needs: what its first arguments are, by the names of `zoo.evaluation.evaluate_arrays` and
            `decoder`, `represent`, `points`, `slots`; the names of its positional arguments
            without a default if left out.
        settings: which further arguments are made, too (`seed`, `categorical`, `sizes`); those
            of its other arguments if left out.
        range: the least and the largest value; a largest of 1 is drawn as a bar.
        suites: those it belongs to, `fast` (and so the larger ones), `standard`, `full`, `slots`,
            or one of your own.
        axes: of its parts, `{"per_factor": "factor"}`, words of `zoo.evaluation.facts.AXES`.
        chance: the value for codes without information, where it is known.
        source: what defines it.

    Returns:
        A decorator.

    Raises:
        InputError: a name that exists, or a need, a suite or an axis that cannot be.
    """
    suites = (suites,) if isinstance(suites, str) else suites

    def mark(function: facts.Function) -> facts.Function:
        name = function.__name__
        _check_name(name, function)
        parameters = inspect.signature(function).parameters.values()
        named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        required = [p.name for p in named if p.default is p.empty and p.kind != p.KEYWORD_ONLY]
        optional = [p.name for p in named if p.name not in required]
        needed = tuple(required if needs is None else needs)
        _check_needs(name, needed)
        set_too = [o for o in optional if o == "seed" or hasattr(Inputs, o)]
        for over in (axes or {}).values():
            if unknown := set(over.split()) - set(facts.AXES):
                raise InputError(
                    f"the score {name!r}: an axis is one of {', '.join(facts.AXES)}, not "
                    f"{', '.join(sorted(unknown))}"
                )
        members = [member for suite in suites for member in _SUITES.get(suite, (suite,))]
        if taken := [member for member in members if member in (name, *facts.names())]:
            raise InputError(f"the score {name!r}: a suite cannot be named as the score {taken[0]}")
        checked = facts.score(
            needs=needed,
            settings=tuple(set_too if settings is None else settings),
            source=source,
            higher_is_better=higher_is_better,
            range=range,
            suites=tuple(dict.fromkeys(members)),
            axes=axes,
            chance=chance,
        )(_checked(function))
        facts.OWN[name] = checked
        return checked

    return mark


def _checked(function: Callable[..., dict]) -> Callable[..., dict]:
    """The function with its result checked."""

    @functools.wraps(function)
    def call(*args, **kwargs) -> dict:
        found = function(*args, **kwargs)
        if not isinstance(found, Mapping) or "score" not in found:
            holds = f" of {', '.join(found) or 'nothing'}" if isinstance(found, Mapping) else ""
            raise InputError(
                f"{function.__name__} returned a {type(found).__name__}{holds}; let it return a "
                "dict with the number as 'score'"
            )
        value = np.asarray(found["score"])
        if value.ndim or value.dtype.kind not in "fiub":
            raise InputError(
                f"{function.__name__} returned {value.dtype} of shape {list(value.shape)} as "
                "'score'; let it be one number"
            )
        if not np.isfinite(value):
            raise UndefinedScoreError(f"{function.__name__} is {float(value)}")
        for part in set(found) - {"score"}:
            _check_part(function.__name__, part, found[part])
        return {**found, "score": float(value)}

    return call


def _check_part(name: str, part: str, value) -> None:
    try:
        json.dumps({part: value}, default=arrays.plain)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{name} returned what scores.json cannot hold as {part!r}, of type "
            f"{type(value).__name__}: {error}; give numbers, texts, arrays, or lists and dicts of "
            "them"
        ) from error


def _check_name(name: str, function: Callable) -> None:
    if not name.isidentifier():
        raise InputError(f"a score needs a name, and {name!r} is none: define it by def")
    known = facts.OWN.get(name)
    if name in index.MODULE_OF or (known and not _places(known) & _places(function)):
        raise InputError(f"there is a score or a function named {name!r}: choose another name")


def _places(function: Callable) -> set[tuple[str, str]]:
    """Where a function is defined: its module, its file."""
    inner = inspect.unwrap(function)
    file = getattr(getattr(inner, "__code__", None), "co_filename", "")
    return {(inner.__module__, inner.__qualname__), (file, inner.__qualname__)}


def _check_needs(name: str, needs: Sequence[str]) -> None:
    made = [need for need in dir(Inputs) if not need.startswith("_")]
    known = sorted({*array_inputs.names(), *made} - _NO_NEEDS)
    for need in needs:
        if need not in known:
            near = difflib.get_close_matches(need, known, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise InputError(f"the score {name!r} needs {need!r}, which nothing makes: {hint}")
