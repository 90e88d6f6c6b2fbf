"""Compiled functions that are kept between calls, as long as what they were traced from lives.

Tracing a decoder takes longer than the derivative of a batch. But a trace freezes what Python code
read on the way, so that it may be kept only where that is known not to change, or is compared:

- Methods of Keras objects, of `tf.Module`s, and these objects themselves where they are called.
  `tf.Variable`s are read at every call. What is frozen and can be seen is compared, and a change
  means a new trace: which variables there are, dtype policies, and the public attributes, of the
  object and of its layers and submodules, that are numbers, strings or arrays, or lists, tuples and
  dicts of these. Other attributes are frozen (an object of one's own, or a private attribute), and
  so are global variables.
- Functions of loaded SavedModels and other `tf.function`s, which are frozen anyhow.
- Methods of any object with an attribute `keeps_traces = True`, by which a class says that the
  above is true of it.

Every other callable is traced at each call: a closure may have other arrays by then.
"""

import inspect
import sys
import weakref
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import numpy as np

Made = TypeVar("Made")

# What `compile` and `fit` set on a Keras model, which says nothing about its methods.
_TRAINING = ("compiled", "history", "jit_compile", "loss", "optimizer", "steps_per_execution")
_TRAINING += ("stop_training",)
# By the id of an object, which is its own until the finaliser takes the entry out.
_KEPT: dict[int, dict[Hashable, tuple["_State", Any]]] = {}


def kept(function: Callable, key: Hashable, make: Callable[[Callable], Made]) -> Made:
    """`make(function)`, made once for each key where the function may be kept; see the module.

    Args:
        function: what to compile.
        key: everything else that the result depends on.
        make: compiles a function; it is given one that holds its object weakly, so that what is
            kept does not keep the object alive.
    """
    target = _target(function)
    if target is None:
        return make(function)
    owner, method = target
    if id(owner) not in _KEPT:
        try:
            weakref.finalize(owner, _KEPT.pop, id(owner), None).atexit = False
        except TypeError:  # Not everything can be referenced weakly.
            return make(function)
        _KEPT[id(owner)] = {}
    entries, key = _KEPT[id(owner)], (method, key)
    if key not in entries or not entries[key][0].is_of(owner):
        made = make(_weakly(owner, method))
        # Tracing may build layers: what is compared is the object as the trace left it.
        entries[key] = _State(owner), made
    return entries[key][1]


def may_be_kept(function: Callable) -> bool:
    """Whether a trace of the function may be used again; see the module."""
    return _target(function) is not None


def _target(function: Callable) -> tuple[Any, Callable | None] | None:
    """The object whose traces are kept, and which method (None: itself); None where none are."""
    bound = inspect.ismethod(function)
    owner = function.__self__ if bound else function
    if isinstance(owner, type):
        return None
    if getattr(owner, "keeps_traces", False) is not True:
        tf = sys.modules.get("tensorflow")
        if tf is None or not isinstance(owner, tf.__internal__.tracking.Trackable):
            return None
        if isinstance(owner, tf.types.experimental.ConcreteFunction):
            # Signatures are inlined with copies of their weights: see `zoo.evaluation.precision`.
            return None
    return owner, function.__func__ if bound else None


def _weakly(owner: Any, method: Callable | None) -> Callable:
    reference = weakref.ref(owner)
    if method is None:
        return lambda *arguments: reference()(*arguments)
    return lambda *arguments: method(reference(), *arguments)


class _State:
    """What a trace has frozen of an object, as far as it can be seen."""

    def __init__(self, owner: Any):
        self._plain = _plain_state(owner)
        # Not ids: those of deleted variables are given to new ones.
        self._variables = [weakref.ref(variable) for variable in _variables(owner)]

    def is_of(self, owner: Any) -> bool:
        """Whether a trace made now would freeze the same."""
        variables = _variables(owner)
        return (
            len(variables) == len(self._variables)
            and all(ref() is new for ref, new in zip(self._variables, variables, strict=True))
            and _plain_state(owner) == self._plain
        )


def _parts(owner: Any) -> tuple:
    """The object with its layers and submodules."""
    if hasattr(owner, "_flatten_layers"):
        return tuple(owner._flatten_layers())
    tf = sys.modules.get("tensorflow")
    return (owner, *owner.submodules) if tf and isinstance(owner, tf.Module) else (owner,)


def _variables(owner: Any) -> list:
    tf = sys.modules.get("tensorflow")
    has_them = hasattr(owner, "_flatten_layers") or (tf and isinstance(owner, tf.Module))
    return list(owner.variables) if has_them else []


def _plain_state(owner: Any) -> tuple:
    return tuple(_plain_attributes(part) for part in _parts(owner) if hasattr(part, "__dict__"))


def _plain_attributes(part: Any) -> tuple:
    policy = getattr(part, "dtype_policy", None)
    unseen = () if policy is None else _TRAINING
    return getattr(policy, "name", None), tuple(
        (name, _plain(value))
        for name, value in vars(part).items()
        if not name.startswith("_") and name not in unseen
    )


def _plain(value: Any) -> Hashable:
    """A value to compare by, None where it cannot be."""
    if isinstance(value, np.ndarray) and value.dtype.kind != "O":
        return value.shape, value.dtype.str, hash(value.tobytes())
    if isinstance(value, list | tuple):
        return tuple(_plain(item) for item in value)
    if isinstance(value, dict):
        return tuple((str(name), _plain(item)) for name, item in value.items())
    return value if isinstance(value, bool | int | float | complex | str | np.generic) else None
