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
        return {**_parsed(_SEED.sub("", text)), "train.seed": seeds[0]}
    return dict(_parsed(text))


@functools.lru_cache(maxsize=1024)
def _parsed(text: str) -> dict[str, str]:
    found = {}
    for statement in config_parser.ConfigParser(text, _Delegate(skip_unknown=True)):
        if isinstance(statement, config_parser.IncludeStatement):
            found.update(of_file(config.find(statement.filename)))
        elif isinstance(statement, config_parser.BindingStatement) and statement.arg_name:
            scope = f"{statement.scope}/" if statement.scope else ""
            # Sorts the keys of dictionaries, as gin's own record of a config does.
            value = pprint.saferepr(statement.value)
            found[f"{scope}{statement.selector}.{statement.arg_name}"] = value
    return found


def of_file(path: pathlib.Path) -> dict[str, str]:
    """`of_text` of a file."""
    return of_text(gin_files.read(path))


def of_config(gin_file: str, bindings: Sequence[str] = ()) -> dict[str, str]:
    """What a gin file, as `--gin_file` takes it, and further bindings bind."""
    return {**_found(gin_file), **of_text("\n".join(bindings))}


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
