"""What gin texts bind, to be compared without importing what they name."""

import functools
import pathlib
import pprint
import re
from collections.abc import Sequence

import gin
from gin import config_parser

from zoo import config, gin_files


def of_text(text: str) -> dict[str, str]:
    """`scope/name.parameter` -> value of a gin text; the last wins, includes are followed."""
    # Texts of thousands of runs differ by their seeds: those of one table are parsed once.
    seeds = _SEED.findall(text)
    if len(seeds) == 1 and "include" not in text:
        return {**_without_macros(_parsed(_SEED.sub("", text))), "train.seed": seeds[0]}
    return _without_macros(_parsed(text))


@functools.lru_cache(maxsize=1024)
def _parsed(text: str) -> dict[str, str]:
    found = {}
    for statement in config_parser.ConfigParser(text, _Delegate(skip_unknown=True)):
        if isinstance(statement, config_parser.IncludeStatement):
            included = config.find(statement.filename)
            with gin_files.told(str(included)):
                found.update(_parsed(gin_files.read(included)))
        elif isinstance(statement, config_parser.BindingStatement):
            scope = f"{statement.scope}/" if statement.scope else ""
            parameter = f".{statement.arg_name}" if statement.arg_name else ""
            # Sorts the keys of dictionaries, as gin's own record of a config does.
            found[f"{scope}{statement.selector}{parameter}"] = pprint.saferepr(statement.value)
    return found


def _without_macros(found: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in found.items() if "." in name.rpartition("/")[2]}


def of_file(path: pathlib.Path) -> dict[str, str]:
    """`of_text` of a file.

    Raises:
        ConfigError: it cannot be read, or is no gin.
    """
    with gin_files.told(str(path)):
        return of_text(gin_files.read(path))


def of_config(gin_file: str, bindings: Sequence[str] = ()) -> dict[str, str]:
    """What a gin file, as `--gin_file` takes it, and further bindings bind."""
    return {**_found(gin_file), **of_text("\n".join(bindings))}


def of_files(names: Sequence[str]) -> dict[str, str]:
    """What gin files bind together, macros included, as they are now.

    Raises:
        ConfigError: one is missing, or is no gin.
    """
    found = {}
    for path in map(config.find, names):
        # Their syntax is told of in one line there.
        for _ in gin_files.statements(path):
            pass
        found |= _parsed(gin_files.read(path))
    return found


def differences(wanted: dict[str, str], found: dict[str, str]) -> list[str]:
    """What both bind and bind differently, as `name: found -> wanted`."""
    both = sorted(wanted.keys() & found.keys())
    return [f"{n}: {found[n]} -> {wanted[n]}" for n in both if found[n] != wanted[n]]


@functools.cache
def _found(gin_file: str) -> dict[str, str]:
    return of_file(config.find(gin_file))


_SEED = re.compile(r"^train\.seed = (\d+)$", re.M)


class _Reference:
    """A reference as it is written, without the brackets of a call."""

    def __init__(self, selector: str):
        self._selector = selector

    def __repr__(self) -> str:
        return f"@{self._selector}"


class _Delegate(gin.config.ParserDelegate):
    """Keeps the scope of a reference, which gin drops where it does not know the name."""

    def configurable_reference(self, scoped_configurable_name, should_evaluate):
        """See gin."""
        del should_evaluate
        return _Reference(scoped_configurable_name)
