"""Checks of what gin binds, before anything is called: types, references, what must be bound."""

import ast
import difflib
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Sequence

import gin
from gin import config_parser

from zoo.gin_files import ConfigError, place_of

# What no tensor and no file format of ours holds is a slip of the keyboard.
_LARGEST = 2**63


def check(statements: Iterable, binding: str | None = None) -> None:
    """Checks bindings against the annotations of what they are bound to.

    Args:
        statements: of a gin text that has been parsed by gin.
        binding: the text, where it is in no file.

    Raises:
        ConfigError: a value or a reference of the wrong kind, or a call without its arguments, with
            file and line.
    """
    for statement in statements:
        if not isinstance(statement, config_parser.BindingStatement) or not statement.arg_name:
            continue
        name = f"{statement.selector}.{statement.arg_name}"
        wanted = parameters(statement.selector).get(statement.arg_name, typing.Any)
        problem = _problem(statement.value, wanted) if _effective(statement) else None
        if problem:
            raise ConfigError(f"{place_of(statement.location, binding)}{name} {problem}")


def require(selector: str, files: Sequence[str]) -> None:
    """Raises a ConfigError unless gin binds every required parameter of a configurable."""
    known = inspect.signature(function_of(selector)).parameters
    lacking = [
        f"{selector}.{name}"
        for name, parameter in known.items()
        if parameter.default is gin.REQUIRED and not _is_bound(selector, name)
    ]
    if lacking:
        where = files[-1] if files else "--gin_bindings"
        verb = "is" if len(lacking) == 1 else "are"
        raise ConfigError(
            f"{where}: {', '.join(lacking)} {verb} bound nowhere; add the line "
            f"{lacking[0]} = ... there"
        )


def suggestion(message: str) -> str:
    """The nearest configurable or parameter to the first quoted name of a gin error."""
    unknown = re.search(r"No configurable matching '(.+?)'|matching reference '@(.+?)[(']", message)
    if unknown:
        name = (unknown[1] or unknown[2]).split(".")[-1]
        known = [s.split(".")[-1] for s, _ in gin.config._REGISTRY.items()]
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        return f" Did you mean {near[0]!r}?" if near else ""
    parameter = re.search(r"'(\S+)' (?:doesn't|does not) have a parameter named '(\S+?)'", message)
    if parameter:
        names = list(parameters(parameter[1]))
        near = difflib.get_close_matches(parameter[2], names, n=1, cutoff=0.4)
        return f" Did you mean {near[0]!r}?" if near else f" It has {', '.join(names)}."
    return ""


def parameters(selector: str) -> dict[str, typing.Any]:
    """Parameter names of a configurable and their annotations, where it has them."""
    function = function_of(selector)
    if function is None:
        return {}
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError):
        hints = {}
    names = [name for name in inspect.signature(function).parameters if name != "self"]
    known = {name: hints.get(name, typing.Any) for name in names}
    # What a protocol describes is given by the code.
    return {name: hint for name, hint in known.items() if not getattr(hint, "_is_protocol", False)}


def function_of(selector: str) -> Callable | None:
    """What the parameters of a configurable are those of; None where there is none of the name."""
    configurable = gin.config._REGISTRY.get_match(selector)
    if configurable is None:
        return None
    target = inspect.unwrap(configurable.wrapped)
    return target.__init__ if inspect.isclass(target) else target


def holds_reference(value) -> bool:
    """Whether a value is, or holds, what no literal of Python is."""
    try:
        return ast.literal_eval(repr(value)) != value
    except (ValueError, SyntaxError):
        return True


def _problem(value, wanted) -> str | None:
    """What is wrong with a value for a parameter, to stand after its name; None if nothing is."""
    if isinstance(value, gin.config.ConfigurableReference):
        return _problem_of_reference(value, wanted)
    if holds_reference(value):
        return None
    if (large := _largest(value)) >= _LARGEST:
        return f"is of {len(str(large))} digits, more than a number of 64 bits has"
    import typeguard

    try:
        typeguard.check_type(value, wanted)
    except typeguard.TypeCheckError:
        return f"is {value!r} ({type(value).__name__}); it takes {_shown(wanted)}"
    return None


def _problem_of_reference(reference, wanted) -> str | None:
    target = inspect.unwrap(reference.configurable.wrapped)
    if target is gin.config.macro and reference.evaluate:
        bound = gin.config._CONFIG.get(("/".join(reference.scopes), "gin.macro"), {})
        return _problem(bound["value"], wanted) if "value" in bound else None
    if target is inspect.unwrap(gin.config._retrieve_constant):
        return None
    if not reference.evaluate:
        kind = "class" if inspect.isclass(target) else "function"
        if _takes(wanted, lambda atom: isinstance(target, atom)):
            return None
        return f"is {reference!r}, a {kind}; it takes {_shown(wanted)}"
    if lacking := _lacking(reference):
        return (
            f"is {reference!r}, a call without its {', '.join(lacking)}; bind "
            f"{reference.selector}.{lacking[0]}, or leave out the brackets"
        )
    if inspect.isclass(target) and not _takes(wanted, lambda atom: issubclass(target, atom)):
        return f"is {reference!r}, made by a call; it takes {_shown(wanted)}"
    return None


def _lacking(reference) -> list[str]:
    """Parameters of a call that neither have a default nor are bound in any scope."""
    function = function_of(reference.configurable.selector)
    return [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if name != "self"
        and parameter.default in (parameter.empty, gin.REQUIRED)
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        and not _is_bound(reference.configurable.selector, name)
    ]


def _is_bound(selector: str, parameter: str) -> bool:
    complete = gin.config._REGISTRY.get_match(selector).selector
    return any(
        name == complete and parameter in bound for (_, name), bound in gin.config._CONFIG.items()
    )


def _effective(statement: config_parser.BindingStatement) -> bool:
    """Whether no later statement has bound the same parameter to something else."""
    configurable = gin.config._REGISTRY.get_match(statement.selector)
    if configurable is None:
        return True
    bound = gin.config._CONFIG.get((statement.scope, configurable.selector), {})
    current = bound.get(statement.arg_name, statement.value)
    return repr(current) == repr(statement.value)


def _takes(wanted, fits: Callable[[type], bool]) -> bool:
    """Whether one of the alternatives of an annotation may fit; those that tell nothing may."""
    if typing.get_origin(wanted) in (typing.Union, types.UnionType):
        return any(_takes(each, fits) for each in typing.get_args(wanted))
    atom = typing.get_origin(wanted) or wanted
    if not inspect.isclass(atom) or getattr(atom, "_is_protocol", False):
        return True
    return fits(atom)


def _largest(value) -> int:
    """The largest magnitude of the integers of a literal."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list | tuple | set):
        return max(map(_largest, value), default=0)
    return abs(value) if isinstance(value, int) else 0


def _shown(wanted) -> str:
    return getattr(wanted, "__name__", str(wanted)) if inspect.isclass(wanted) else str(wanted)
