"""Gin configs: parsing with checks, and the operative config of a run.

What gin files can name must have been imported before they are parsed; `zoo.configurables` imports
all of it. This module knows none of it.
"""

import ast
import contextlib
import importlib
import importlib.util
import inspect
import os
import pathlib
import re
import sys
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import gin
from gin import config_parser

from zoo.gin_checks import check, function_of, holds_reference, require, suggestion
from zoo.gin_files import ConfigError, find, opened, place_of, shipped, statements, statements_of

__all__ = [
    "ConfigError",
    "apart",
    "as_bindings",
    "bindings_of",
    "bound",
    "defaults",
    "differences",
    "find",
    "import_module",
    "made",
    "operative",
    "parse",
    "read",
    "recorded",
    "shipped",
    "unused",
]

# The bindings of the last `parse`, as given on the command line, and its files.
_given: list[str] = []
_files: list[str] = []


def parse(files: Sequence[str], bindings: Sequence[str] = (), trust: bool = True) -> None:
    """Replaces the current configuration by that of gin files and bindings, checked.

    Modules that they import are found in the working directory, too. What such a module raises is
    passed on as it is.

    Args:
        files: gin files.
        bindings: further gin bindings, which win over the files.
        trust: whether they may import modules, and so execute what they like. False for files that
            were found, in a run's folder say, rather than named by the user.

    Raises:
        ConfigError: a missing file or module, a syntax error, an unknown name or parameter, a
            value of the wrong type, or an import that is not trusted, with file and line.
    """
    paths = [find(file) for file in files]
    # All is read before gin forgets what it held.
    imports = [s for path in paths for s in statements(path)]
    imports += [s for binding in bindings for s in statements_of(binding)]
    if not trust:
        _refuse_imports(imports)
    gin.clear_config()
    _import_modules(imports)
    for path in paths:
        _guarded(gin.parse_config_file, str(path))
    for binding in bindings:
        _guarded(gin.parse_config, binding)
    for path in paths:
        check(statements(path))
    for binding in bindings:
        check(statements_of(binding), binding)
    _guarded(gin.finalize)
    _given[:], _files[:] = bindings, map(str, paths)


def made(configurable: Callable[[], typing.Any]):
    """Calls a configurable with all that the parsed files and bindings bind.

    Raises:
        ConfigError: one of its required parameters is bound nowhere; the message names the file.
    """
    known = gin.config._inverse_lookup(configurable, allow_decorators=True)
    require(gin.config._REGISTRY.minimal_selector(known.selector), _files)
    return configurable()


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """Gives gin back afterwards what it held before: bindings of a caller's own, locked or not."""
    state = gin.config
    held = (state._CONFIG, state._OPERATIVE_CONFIG, state._IMPORTS, state._SINGLETONS)
    before, locked = [each.copy() for each in held], gin.config_is_locked()
    parsed = _given.copy(), _files.copy()
    try:
        yield
    finally:
        for each, values in zip(held, before, strict=True):
            each.clear()
            each.update(values)
        state._set_config_is_locked(locked)
        _given[:], _files[:] = parsed


def bound() -> str:
    """All that gin is bound to now, as gin text that imports what it names; "" if nothing is."""
    if not gin.config._CONFIG:
        return ""
    return _imports(gin.config._CONFIG, ("gin", "__main__")) + gin.config_str(max_line_length=90)


@contextlib.contextmanager
def read(text: str) -> Iterator[None]:
    """Within, gin is bound to what a text says and to nothing else; what is unknown is left out.

    A text of unknown origin executes no module: it may import what has been imported already, the
    script that is running, and modules of this package.

    Raises:
        ConfigError: it imports another module, or cannot be parsed.
    """
    with apart():
        gin.clear_config()
        for statement in statements_of(text):
            if not isinstance(statement, config_parser.ImportStatement):
                continue
            if statement.module in sys.modules or statement.module.startswith("zoo."):
                continue
            if _is_script(statement.module):
                import_module(statement.module)
                continue
            raise ConfigError(
                f"the configuration imports {statement.module}; import it first, if you trust it"
            )
        _guarded(gin.parse_config, text, True)
        # `bound` finds them again, and gin would give those of one package names of its own.
        gin.config._IMPORTS.clear()
        yield


def as_bindings(values: Mapping[str, typing.Any] | Sequence[str]) -> list[str]:
    """Bindings as text, from text or from values by the names that they are bound to.

    A string that begins with `@` or `%` is a reference; a class or function that is registered with
    gin becomes one.

    Raises:
        ConfigError: a value that no gin file can hold.
    """
    if isinstance(values, str):
        raise ConfigError(f"bindings are {values!r}; give a list of such strings, or a dict")
    if not isinstance(values, Mapping):
        return list(values)
    return [f"{name} = {_as_text(name, value)}" for name, value in values.items()]


def _as_text(name: str, value) -> str:
    if isinstance(value, str) and value[:1] in ("@", "%"):
        return value
    if callable(value):
        known = gin.config._inverse_lookup(value, allow_decorators=True)
        if known is None:
            raise ConfigError(
                f"the binding of {name} is {value!r}, which gin does not know; put @gin.register "
                "before it, or give its name as '@name'"
            )
        return f"@{gin.config._REGISTRY.minimal_selector(known.selector)}"
    value = _plain(value)
    if holds_reference(value):
        raise ConfigError(
            f"the binding of {name} is {value!r}, which no gin file can hold; give numbers, "
            "strings, None, or tuples, lists and dicts of them"
        )
    return repr(value)


def _plain(value):
    """A value without NumPy's types, also within tuples, lists and dicts."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {_plain(k): _plain(v) for k, v in value.items()}
    # No tuple with names: what gin reads back has none.
    return type(value)(map(_plain, value)) if type(value) in (tuple, list) else value


def defaults(selector: str) -> dict[str, typing.Any]:
    """The parameters of a configurable that have a default, with it."""
    function = function_of(selector)
    parameters = inspect.signature(function).parameters if function else {}
    return {n: p.default for n, p in parameters.items() if p.default is not p.empty}


def binds(configurable: str) -> bool:
    """Whether the current configuration binds a parameter of a configurable, by its short name."""
    return any(name.startswith(f"{configurable}.") for name in bindings_of(gin.config_str()))


def unused() -> list[str]:
    """The bindings of the command line that nothing has used so far.

    Those of gin files are not looked at: a file may include another and replace its model.
    """
    return [b for b in _given if not all(map(_is_used, statements_of(b)))]


def _is_used(statement) -> bool:
    """Whether something has used what a statement binds; macros and imports are not looked at."""
    if not isinstance(statement, config_parser.BindingStatement) or not statement.arg_name:
        return True
    selector = gin.config._REGISTRY.get_match(statement.selector).selector
    return any(
        name == selector
        and statement.arg_name in parameters
        and _scope_that_holds(scope, selector, statement.arg_name) == statement.scope
        for (scope, name), parameters in gin.config._OPERATIVE_CONFIG.items()
    )


def _scope_that_holds(scope: str, selector: str, parameter: str) -> str | None:
    """The scope whose binding of a parameter holds in a scope, the innermost around it; or None."""
    parts = scope.split("/") if scope else []
    around = ("/".join(parts[:count]) for count in range(len(parts), -1, -1))
    bound = (s for s in around if parameter in gin.config._CONFIG.get((s, selector), ()))
    return next(bound, None)


def operative(settled: Mapping[str, object] | None = None, modules: Iterable[str] = ()) -> str:
    """The configuration that the run uses, defaults included, as gin text.

    It imports the modules of others whose classes and functions it names, so that it can be read
    where they have not been imported yet.

    Args:
        settled: what was decided where the configuration left it open, by name of the binding.
        modules: what else it imports, unless a gin file does.
    """
    text = gin.operative_config_str(max_line_length=90)
    for name, value in (settled or {}).items():
        text = re.sub(rf"^{re.escape(name)} = .*$", f"{name} = {value!r}", text, flags=re.M)
    besides = ("zoo", "gin", "keras", "__main__")
    return _imports(gin.config._OPERATIVE_CONFIG, besides, modules) + text


def _imports(configuration: Mapping, besides: Sequence[str], more: Iterable[str] = ()) -> str:
    """Import statements of the modules of the configurables that a configuration has, and of more.

    Not those of what gin files import, which gin adds itself, nor those of some packages.
    """
    used = {gin.config._REGISTRY[selector] for _, selector in configuration}
    used |= {reference.configurable for reference in gin.config.iterate_references(configuration)}
    imported = {statement.module for statement in gin.config._IMPORTS}
    modules = {_by_its_name(configurable.wrapped.__module__) for configurable in used}
    modules = {*modules, *map(_by_its_name, more)} - imported
    found = [m for m in sorted(modules) if m.partition(".")[0] not in besides and _exists(m)]
    lines = "".join(f"import {module}\n" for module in found)
    return lines + "\n" if lines and not imported else lines


def _by_its_name(module: str) -> str:
    """A module's name; of a script that is running the one that it has for others."""
    return (_script_name() or module) if module == "__main__" else module


def _script_name() -> str | None:
    """The name that the script that is running has for others; None where there is none."""
    main = sys.modules["__main__"]
    # What `python -m` has run.
    if spec := getattr(main, "__spec__", None):
        return spec.name
    script = getattr(main, "__file__", None)
    return pathlib.Path(script).stem if script else None


def _is_script(name: str) -> bool:
    """Whether a module of that name is the script that is running."""
    script = getattr(sys.modules["__main__"], "__file__", None)
    if not script or name != _script_name():
        return False
    found = importlib.util.find_spec(name)
    return bool(found and found.origin) and os.path.samefile(found.origin, script)


def _exists(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def recorded(text: str, name: str):
    """The value that an operative gin text binds a name to; None where it binds no literal."""
    try:
        return ast.literal_eval(bindings_of(text).get(name, "None"))
    except (ValueError, SyntaxError):
        return None


def differences(old: str, new: str) -> list[str]:
    """What two operative gin texts bind differently, as `name: old -> new`.

    A parameter that only one of them knows, at its default, is no difference: it was added to this
    package after the other was written, with a default that keeps what was.
    """
    before, after = bindings_of(old), bindings_of(new)
    both = {**before, **after}
    return [
        f"{name}: {before.get(name, 'default')} -> {after.get(name, 'default')}"
        for name in sorted(both)
        if before.get(name) != after.get(name)
        and not (None in (before.get(name), after.get(name)) and _is_default(name, both[name]))
    ]


def _is_default(name: str, value: str) -> bool:
    """Whether a parameter, named with any scope, has that value where nothing binds it."""
    selector, _, parameter = name.rpartition("/")[2].rpartition(".")
    function = function_of(selector)
    known = inspect.signature(function).parameters if function else {}
    try:
        return parameter in known and ast.literal_eval(value) == known[parameter].default
    except (ValueError, SyntaxError):
        return False


def bindings_of(text: str) -> dict[str, str]:
    """What an operative gin text binds: values as Python writes them, by name with any scope."""
    # Long values continue in indented lines.
    joined = re.sub(r"\\?\n[ \t]+", " ", text)
    pairs = (line.split("=", 1) for line in joined.splitlines() if re.match(r"^[^#\s].*=", line))
    return {name.strip(): _one_line(value.strip()) for name, value in pairs}


def _one_line(value: str) -> str:
    try:
        return repr(ast.literal_eval(value))
    except (ValueError, SyntaxError):
        return " ".join(value.split())


def _refuse_imports(statements: Iterable) -> None:
    for statement in statements:
        if isinstance(statement, config_parser.ImportStatement):
            module, why = statement.module, "would be executed"
            if module.startswith("__gin__"):
                why = "makes any function of any module callable from it"
            raise ConfigError(
                f"{place_of(statement.location)}this config imports {module}, which {why}; read "
                "it, and give --trust if it may"
            )


def _import_modules(statements: Iterable) -> None:
    """Imports what gin is about to import, so that what a module raises stays as it is."""
    for statement in statements:
        foreign = not getattr(statement, "module", "").startswith("__gin__")
        if isinstance(statement, config_parser.ImportStatement) and foreign:
            import_module(statement.module, place_of(statement.location))


def import_module(name: str, place: str = "") -> None:
    """Imports a module of a user, which may be in the working directory.

    The script that is running is not executed again under its own name. What a module raises is
    passed on as it is.

    Args:
        name: as Python has it.
        place: what stands before a message.

    Raises:
        ConfigError: it is no name of a module, or there is none of that name.
    """
    hint = _module_of(name)
    if not _is_name(name):
        raise ConfigError(f"{place}{name!r} is no name of a module{hint}")
    here = os.getcwd()
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
    if name not in sys.modules and _is_script(name):
        sys.modules[name] = sys.modules["__main__"]
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        # One that the module itself imports is its own affair.
        if not f"{name}.".startswith(f"{error.name}."):
            raise
        raise ConfigError(
            f"{place}there is no module {error.name!r}{hint}; it is sought in the working "
            f"directory ({here}) and among the installed ones"
        ) from None


def _is_name(text: str) -> bool:
    """Whether a module may have that name."""
    return all(part.isidentifier() for part in text.split("."))


def _module_of(name: str) -> str:
    """What to say where a module's file is named instead of it; empty elsewhere."""
    path = pathlib.PurePath(name)
    module = ".".join(path.with_suffix("").parts) if path.suffix == ".py" else ""
    return f"; give {module}" if _is_name(module) else ""


_GINS = (ValueError, TypeError, OSError, ImportError, AttributeError, NameError, KeyError)


def _guarded(action, *arguments) -> None:
    """Calls a gin function; its errors become one line with the place in front."""
    try:
        action(*arguments)
    except SyntaxError as error:
        place = f"{error.filename or 'binding'}:{error.lineno}: "
        raise ConfigError(f"{place}{error.msg}: {(error.text or '').strip()}") from None
    except _GINS as error:
        message, place = str(error).strip(), ""
        found = re.search(r'\n\s*In file "(.+?)", line (\d+)', message)
        if found:
            place = f"{found[1]}:{found[2]}: "
        elif action is gin.parse_config and "\n" not in arguments[0]:
            place = f"binding {arguments[0]!r}: "
        # A KeyError, of a name that several modules have, puts it into quotation marks.
        message = " ".join(message.split("\n")[0].split()).strip('"')
        raise ConfigError(f"{place}{message}{suggestion(message)}") from None


def _readable(path: str) -> bool:
    try:
        find(path)
    except ConfigError:
        return False
    return True


# Before gin's own readers, one of which complains aloud of each file that it does not find.
gin.config._FILE_READERS.insert(0, (opened, _readable))
