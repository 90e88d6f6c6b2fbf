"""How a model was made: what Keras keeps of it as its config, and makes it of again.

A model is made of functions (networks, likelihoods, objectives) and of what gin binds, when it is
made and inside these functions. Its config holds all of it: the arguments that were given, the
names of those that gin gave, and gin's configuration at that time.
"""

import ast
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import gin
import keras

from zoo import config
from zoo.errors import SettingError

Made = TypeVar("Made")

# Past Keras and TensorFlow, which would track what they find in it.
_RECIPE = "_zoo_recipe"


def record(model: Any, args: tuple, kwargs: Mapping[str, Any]) -> None:
    """Notes what a model is about to be made of."""
    recipe = {
        "arguments": (args, dict(kwargs)),
        "gin": config.bound(),
        "of_gin": _of_gin(type(model), kwargs),
        "scope": gin.config.current_scope_str(),
        "policy": keras.config.dtype_policy().name,
    }
    object.__setattr__(model, _RECIPE, recipe)


def written(model: Any) -> dict[str, Any]:
    """What a model was made of, as JSON values.

    Raises:
        SettingError: an argument that no file can hold.
    """
    recipe = getattr(model, _RECIPE)
    args, kwargs = recipe["arguments"]
    given = {n: v for n, v in _named(model, args, kwargs).items() if n not in recipe["of_gin"]}
    arguments = {n: _written(v, f"{type(model).__name__}.{n}") for n, v in given.items()}
    return {**recipe, "arguments": arguments}


def _named(model: Any, args: tuple, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that a model was made of, by name."""
    signature = inspect.signature(type(model).__init__)
    bound = signature.bind(model, *args, **kwargs).arguments
    kinds = {name: parameter.kind for name, parameter in signature.parameters.items()}
    named = {}
    for name, value in list(bound.items())[1:]:
        if kinds[name] == inspect.Parameter.VAR_POSITIONAL:
            raise SettingError(
                f"{type(model).__name__}.__init__ takes *{name}, and no file can hold arguments "
                "without names; give them by name"
            )
        named |= value if kinds[name] == inspect.Parameter.VAR_KEYWORD else {name: value}
    return named


def made(cls: Callable[..., Made], recipe: Mapping[str, Any]) -> Made:
    """A model of a class made of what `written` gave, with weights of its own.

    Raises:
        ConfigError: modules are missing that the model was made of; they have to be imported first.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(recipe["policy"])
    try:
        with config.read(recipe["gin"]), gin.config_scope(recipe["scope"] or None):
            names = recipe["of_gin"]
            bound = gin.get_bindings(cls) if names else {}
            arguments = {n: _read(v) for n, v in recipe["arguments"].items()}
            return cls(**arguments, **{name: bound[name] for name in names})
    finally:
        keras.config.set_dtype_policy(before)


def _of_gin(cls: type, kwargs: Mapping[str, Any]) -> list[str]:
    """The arguments that gin gave."""
    if gin.config._inverse_lookup(cls) is None:
        return []
    bound = gin.get_bindings(cls, resolve_references=False)
    return [n for n, v in kwargs.items() if n in bound and _is_value_of(v, bound[n])]


def _is_value_of(value: Any, bound: Any) -> bool:
    """Whether an argument is what a binding stands for; a called reference makes a new one."""
    if not isinstance(bound, gin.config.ConfigurableReference):
        return bool(value == bound)
    return bound.evaluate or value is bound.scoped_configurable_fn


def _written(value: Any, name: str) -> dict[str, Any]:
    if isinstance(value, functools.partial) and not value.args:
        inner = _written(value.func, name)
        return {**inner, "keywords": {k: _written(v, name) for k, v in value.keywords.items()}}
    known = gin.config._inverse_lookup(value) if callable(value) else None
    if known:
        return {"configurable": known.selector, "plain": value is known.wrapped}
    if _is_literal(value):
        return {"literal": repr(value)}
    raise SettingError(
        f"{name} is {value!r}, which no file can hold: give numbers, words or what is registered "
        "with gin (a functools.partial of it, too), or keep weights alone by model.save_weights"
    )


def _read(entry: Mapping[str, Any]) -> Any:
    if "literal" in entry:
        return ast.literal_eval(entry["literal"])
    known = gin.config._REGISTRY.get_match(entry["configurable"])
    if known is None:
        module = entry["configurable"].rpartition(".")[0]
        raise config.ConfigError(
            f"{entry['configurable']} is not registered with gin; import {module} first"
        )
    value = known.wrapped if entry["plain"] else known.wrapper
    keywords = entry.get("keywords")
    if keywords is None:
        return value
    return functools.partial(value, **{key: _read(entry) for key, entry in keywords.items()})


def _is_literal(value: Any) -> bool:
    try:
        return ast.literal_eval(repr(value)) == value
    except (ValueError, SyntaxError):
        return False
