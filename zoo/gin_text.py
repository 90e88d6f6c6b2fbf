"""What gin texts bind, to be compared without importing what they name."""

import dataclasses
import functools
import pathlib
import pprint
import re
from collections.abc import Mapping, Sequence
from typing import Any

from gin import config_parser

from zoo import config, gin_files


def of_text(text: str) -> dict[str, str]:
    """`scope/name.parameter` -> value of a gin text; the last wins, includes are followed.

    A macro is the value that it has, and is left out itself.
    """
    return _settled(_whole(text))


def of_file(path: pathlib.Path) -> dict[str, str]:
    """`of_text` of a file.

    Raises:
        ConfigError: it cannot be read, or is no gin.
    """
    with gin_files.told(str(path)):
        return of_text(gin_files.read(path))


def of_config(gin_file: str, bindings: Sequence[str] = ()) -> dict[str, str]:
    """What a gin file, as `--gin_file` takes it, and further bindings bind."""
    return _settled(*_texts(gin_file, bindings))


def imports(gin_file: str, bindings: Sequence[str] = ()) -> list[str]:
    """The modules that a gin file and further bindings import."""
    statements = [each for text in _texts(gin_file, bindings) for each in _statements(text)]
    found = (s.module for s in statements if isinstance(s, config_parser.ImportStatement))
    return [module for module in dict.fromkeys(found) if not module.startswith("__gin__")]


def of_files(names: Sequence[str]) -> dict[str, str]:
    """What gin files bind together as it is written, macros included.

    Raises:
        ConfigError: one is missing, or is no gin.
    """
    found = {}
    for path in map(config.find, names):
        # Their syntax is told of in one line there.
        for _ in gin_files.statements(path):
            pass
        found |= _bound(_whole(gin_files.read(path)))
    return _written(found)


def _texts(gin_file: str, bindings: Sequence[str]) -> tuple[str, str]:
    path = config.find(gin_file)
    with gin_files.told(str(path)):
        whole = _whole(gin_files.read(path))
    return whole, _whole("\n".join(bindings))


def _whole(text: str) -> str:
    """A text with those that it includes in the place of these lines."""
    lines = text.split("\n")
    for statement in _statements(text) if "include" in text else ():
        if isinstance(statement, config_parser.IncludeStatement):
            included = config.find(statement.filename)
            with gin_files.told(str(included)):
                lines[statement.location.line_num - 1] = _whole(gin_files.read(included))
    return "\n".join(lines)


def _settled(*texts: str) -> dict[str, str]:
    """What texts without includes bind together, each macro being the value that it has."""
    # Texts of thousands of runs differ by their seeds: those of one table are parsed once.
    *before, last = texts
    seeds = _SEED.findall(last)
    if len(seeds) == last.count("train.seed") == 1:
        return {**_values(*before, _SEED.sub("", last)), "train.seed": seeds[0]}
    return dict(_values(*texts))


@functools.lru_cache(maxsize=4096)
def _values(*texts: str) -> dict[str, str]:
    bound = {name: value for text in texts for name, value in _bound(text).items()}
    parameters = (name for name in bound if "." in name.rpartition("/")[2])
    return _written({name: _without_macros(bound[name], bound) for name in parameters})


def _bound(text: str) -> dict[str, Any]:
    """What a text without includes binds, macros included."""
    found = {}
    for statement in _statements(text):
        if isinstance(statement, config_parser.BindingStatement):
            scope = f"{statement.scope}/" if statement.scope else ""
            parameter = f".{statement.arg_name}" if statement.arg_name else ""
            found[f"{scope}{statement.selector}{parameter}"] = statement.value
    return found


@functools.lru_cache(maxsize=4096)
def _statements(text: str) -> tuple:
    return tuple(config_parser.ConfigParser(text, _Delegate()))


def _without_macros(value: Any, bound: Mapping[str, Any], within: tuple[str, ...] = ()) -> Any:
    """A value with macros replaced, of which those stay that nothing binds, or only themselves."""
    if isinstance(value, _Macro) and value.name in bound and value.name not in within:
        return _without_macros(bound[value.name], bound, (*within, value.name))
    if isinstance(value, dict):
        return {k: _without_macros(v, bound, within) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_without_macros(each, bound, within) for each in value)
    return value


def _written(bound: Mapping[str, Any]) -> dict[str, str]:
    # Sorts the keys of dictionaries, as gin's own record of a config does.
    return {name: pprint.saferepr(value) for name, value in bound.items()}


def differences(wanted: dict[str, str], found: dict[str, str]) -> list[str]:
    """What both bind and bind differently, as `name: found -> wanted`."""
    both = sorted(wanted.keys() & found.keys())
    return [f"{n}: {found[n]} -> {wanted[n]}" for n in both if found[n] != wanted[n]]


_SEED = re.compile(r"^train\.seed = (\d+)$", re.M)


@dataclasses.dataclass(frozen=True)
class _Reference:
    """A reference as it is written, without the brackets of a call."""

    selector: str

    def __repr__(self) -> str:
        return f"@{self.selector}"


@dataclasses.dataclass(frozen=True)
class _Macro:
    """A macro or a constant as it is written."""

    name: str

    def __repr__(self) -> str:
        return f"%{self.name}"


class _Delegate(config_parser.ParserDelegate):
    """Keeps references and macros as they are written, whether or not gin knows them."""

    def configurable_reference(self, scoped_configurable_name, should_evaluate):
        """See gin."""
        del should_evaluate
        return _Reference(scoped_configurable_name)

    def macro(self, macro_name):
        """See gin."""
        return _Macro(macro_name)
