"""Checks of what gin binds, before anything is called: types, references, what must be bound."""

import ast
import collections.abc
import difflib
import inspect
import re
import types
import typing
import unittest.mock
from collections.abc import Callable, Iterable, Sequence

import gin
from gin import config_parser

from zoo.gin_files import ConfigError, place_of

# What no tensor and no file format of ours holds is a slip of the keyboard.
_LARGEST = 2**63
# Characters of a value in a message.
_SHOWN = 80


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
        if not _effective(statement):
            continue
        problem = _recursion(statement) or _problem(statement.value, wanted)
        if problem:
            raise ConfigError(f"{place_of(statement.location, binding)}{name} {problem}")


def require(selector: str, files: Sequence[str]) -> None:
    """Raises a ConfigError unless gin binds every required parameter of a configurable."""
    known = inspect.signature(function_of(selector)).parameters
    complete = gin.config._REGISTRY.get_match(selector).selector
    # Not within a scope: it is called in none.
    bound = gin.config._CONFIG.get(("", complete), {})
    lacking = [
        f"{selector}.{name}"
        for name, parameter in known.items()
        if parameter.default is gin.REQUIRED and name not in bound
    ]
    if lacking:
        where = files[-1] if files else "--gin_bindings"
        verb = "is" if len(lacking) == 1 else "are"
        raise ConfigError(
            f"{where}: {', '.join(lacking)} {verb} bound nowhere; add the line "
            f"{lacking[0]} = ... there"
        )


def suggestion(message: str) -> str:
    """What to do about a gin error: the nearest name to the first that it quotes, or a full one."""
    if name := unknown(message):
        name = name.split(".")[-1]
        known = [s.split(".")[-1] for s, _ in gin.config._REGISTRY.items()]
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        return f" Did you mean {near[0]!r}?" if near else ""
    if message.startswith("Ambiguous selector"):
        return " Write one of them in full."
    parameter = re.search(r"'(\S+)' (?:doesn't|does not) have a parameter named '(\S+?)'", message)
    if parameter:
        names = list(parameters(parameter[1]))
        near = difflib.get_close_matches(parameter[2], names, n=1, cutoff=0.4)
        return f" Did you mean {near[0]!r}?" if near else f" It has {', '.join(names)}."
    return ""


def unknown(message: str) -> str | None:
    """The name that a gin error says is not registered; None where it says something else."""
    found = re.search(r"No configurable matching '(.+?)'|matching reference '@(.+?)[(']", message)
    return found and (found[1] or found[2])


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
    if (large := _largest(value)) >= _LARGEST:
        return f"is of {len(str(large))} digits, more than a number of 64 bits has"
    # To Python, and to typeguard, a truth value is a number.
    if isinstance(value, bool) and not _takes(wanted, lambda atom: atom in (bool, object)):
        return f"is {value}, a truth value; it takes {_shown(wanted)}"
    import typeguard

    called: list = []
    try:
        typeguard.check_type(_without_references(value, called), wanted)
    except typeguard.TypeCheckError:
        return f"is {_short(value)} ({type(value).__name__}); it takes {_shown(wanted)}"
    return next(filter(None, (_problem_of_reference(each, typing.Any) for each in called)), None)


def _recursion(statement: config_parser.BindingStatement) -> str | None:
    """Whether a configurable would be made of itself, and that again of itself."""
    value = statement.value
    if not isinstance(value, gin.config.ConfigurableReference):
        return None
    own = gin.config._REGISTRY.get_match(statement.selector)
    scope = [part for part in statement.scope.split("/") if part]
    if own is value.configurable and value.scopes[: len(scope)] == scope:
        return f"is {value!r} itself, without end"
    return None


def _without_references(value, found: list):
    """A value whose references, put into `found`, have become what passes every check of types."""
    if isinstance(value, gin.config.ConfigurableReference):
        found.append(value)
        return unittest.mock.Mock()
    if isinstance(value, dict):
        return {k: _without_references(v, found) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_without_references(each, found) for each in value)
    return value


def _short(value) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _problem_of_reference(reference, wanted) -> str | None:
    target = inspect.unwrap(reference.configurable.wrapped)
    if target is gin.config.macro and reference.evaluate:
        name = "/".join(reference.scopes)
        bound = gin.config._CONFIG.get((name, "gin.macro"), {})
        if "value" not in bound:
            return f"is %{name}, which is bound nowhere; add the line {name} = ..."
        return _problem(bound["value"], wanted)
    if target is inspect.unwrap(gin.config._retrieve_constant):
        return None
    if not reference.evaluate:
        kind = "class" if inspect.isclass(target) else "function"
        if _is_made(target, wanted):
            return (
                f"is {reference!r}, which makes what it takes when it is called; add the brackets"
            )
        if _takes(wanted, lambda atom: isinstance(target, atom)) and _makes(target, wanted):
            return None
        place = _place_for(target)
        hint = f"; {reference!r} belongs to {place}" if place else ""
        return f"is {reference!r}, a {kind}; it takes {_shown(wanted)}{hint}"
    if lacking := _lacking(reference):
        return (
            f"is {reference!r}, a call without its {', '.join(lacking)}; bind "
            f"{reference.selector}.{lacking[0]}, or leave out the brackets"
        )
    made = target if inspect.isclass(target) else _returned(target)
    # A number of any kind may do where another is asked for.
    if not _tells(made) or made.__module__ == "builtins" or _takes_made(wanted, made):
        return None
    brackets = any(issubclass(made, result) for result in _results(wanted))
    hint = "; leave out the brackets" if brackets else ""
    return f"is {reference!r}, made by a call; it takes {_shown(wanted)}{hint}"


def _is_made(function, wanted) -> bool:
    """Whether an annotation asks for a callable that a function does not do for, but returns."""
    returned = _returned(function)
    if typing.get_origin(returned) is not collections.abc.Callable:
        return False
    return returned in (wanted, *_alternatives(wanted))


def _takes_made(wanted, made: type) -> bool:
    """Whether an object of a class may stand where an annotation is."""
    if len(each := _alternatives(wanted)) > 1:
        return any(_takes_made(alternative, made) for alternative in each)
    # What is to make such objects is none of them, although layers can be called.
    if any(issubclass(made, result) for result in _results(wanted)):
        return False
    return _takes(wanted, lambda atom: issubclass(made, atom))


def _makes(target, wanted) -> bool:
    """Whether calls of a class or function may give what an annotation says that they must."""
    made = target if inspect.isclass(target) else _returned(target)
    results = _results(wanted)
    if not inspect.isclass(made) or not results:
        return True
    return any(issubclass(made, result) for result in results)


def _results(wanted) -> list[type]:
    """What the callables of an annotation return; nothing where one of them does not tell."""
    results = [
        typing.get_args(each)[-1]
        for each in _alternatives(wanted)
        if typing.get_origin(each) is collections.abc.Callable
    ]
    return results if all(map(_tells, results)) else []


def _alternatives(wanted) -> tuple:
    """The parts of a union; of another annotation itself alone."""
    union = typing.get_origin(wanted) in (typing.Union, types.UnionType)
    return typing.get_args(wanted) if union else (wanted,)


def _tells(annotation) -> bool:
    """Whether an annotation is a class that others can be compared with."""
    # From Python 3.11 on `Any` is a class, with which nothing can be compared.
    if annotation is typing.Any:
        return False
    return inspect.isclass(annotation) and not getattr(annotation, "_is_protocol", False)


def _returned(function):
    try:
        return typing.get_type_hints(function).get("return")
    except (NameError, TypeError):
        return None


def _place_for(target) -> str | None:
    """The parameter that a class is made for: the one that asks the most of what it takes."""
    if not inspect.isclass(target):
        return None
    found: dict[int, set[str]] = {}
    for selector, _ in gin.config._REGISTRY.items():
        for name, wanted in parameters(selector).items():
            for result in _results(wanted):
                if issubclass(target, result):
                    places = found.setdefault(len(result.__mro__), set())
                    places.add(f"{selector.split('.')[-1]}.{name}")
    best = found[max(found)] if found else set()
    return best.pop() if len(best) == 1 else None


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
    if len(each := _alternatives(wanted)) > 1:
        return any(_takes(alternative, fits) for alternative in each)
    atom = typing.get_origin(wanted) or wanted
    return fits(atom) if _tells(atom) else True


def _largest(value) -> int:
    """The largest magnitude of the integers of a literal."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list | tuple | set):
        return max(map(_largest, value), default=0)
    return abs(value) if isinstance(value, int) else 0


def _shown(wanted) -> str:
    return getattr(wanted, "__name__", str(wanted)) if inspect.isclass(wanted) else str(wanted)
