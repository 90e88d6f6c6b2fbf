"""What gin texts bind, to be compared without importing what they name."""

import pathlib

import gin
from gin import config_parser

from zoo import config


def of_text(text: str) -> dict[str, str]:
    """`name.parameter` -> value of a gin text; the last binding wins, includes are followed."""
    found = {}
    delegate = gin.config.ParserDelegate(skip_unknown=True)
    for statement in config_parser.ConfigParser(text, delegate):
        if isinstance(statement, config_parser.IncludeStatement):
            found.update(of_file(config.find(statement.filename)))
        elif isinstance(statement, config_parser.BindingStatement) and statement.arg_name:
            found[f"{statement.selector}.{statement.arg_name}"] = _written(statement.value)
    return found


def of_file(path: pathlib.Path) -> dict[str, str]:
    """`of_text` of a file."""
    return of_text(path.read_text())


def differences(wanted: dict[str, str], found: dict[str, str]) -> list[str]:
    """What both bind and bind differently, as `name: found -> wanted`."""
    both = sorted(wanted.keys() & found.keys())
    return [f"{n}: {found[n]} -> {wanted[n]}" for n in both if found[n] != wanted[n]]


def _written(value) -> str:
    return f"@{value.selector}" if hasattr(value, "selector") else repr(value)
