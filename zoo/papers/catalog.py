"""Which tables there are, and where to find one."""

import difflib
import fnmatch
import importlib
from collections.abc import Sequence

from zoo.errors import UserError
from zoo.papers.spec import BUDGETS, Headline, Row, Table

# One line a paper; each module has `TABLES` and may have `HEADLINES`.
PAPERS = (
    "zoo.papers.zietlow.tables",
    "zoo.papers.additive_decoders.tables",
    "zoo.papers.interaction_asymmetry.tables",
    "zoo.papers.seams.tables",
    "zoo.papers.synergy.tables",
)


def tables() -> dict[str, Table]:
    """All tables by name."""
    found = [t for module in PAPERS for t in importlib.import_module(module).TABLES]
    return {table.name: table for table in found}


def headlines() -> dict[str, tuple[Headline, ...]]:
    """The headline claims of every work that names any, by the work's name."""
    found = {}
    for module in PAPERS:
        claims = getattr(importlib.import_module(module), "HEADLINES", ())
        if claims:
            found[module.split(".")[2]] = claims
    return found


def table(name: str) -> Table:
    """The table of a name.

    Raises:
        UserError: there is none; the message names the nearest.
    """
    known = tables()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
        raise UserError(f"no table is named {name!r}; the nearest is {near[0]} (see --list)")
    return known[name]


def rows(table: Table, globs: Sequence[str] = ()) -> list[Row]:
    """The rows of a table that any of some patterns matches; all without a pattern.

    Raises:
        UserError: a pattern matches none.
    """
    for glob in globs:
        if not fnmatch.filter([row.name for row in table.rows], glob):
            names = ", ".join(row.name for row in table.rows)
            raise UserError(f"no row of {table.name} matches {glob!r}; it has {names}")
    chosen = [r for r in table.rows if any(fnmatch.fnmatchcase(r.name, g) for g in globs)]
    return chosen if globs else list(table.rows)


def check_budget(name: str) -> str:
    """A budget's name.

    Raises:
        UserError: there is none of that name.
    """
    if name not in BUDGETS:
        raise UserError(f"no budget is named {name!r}; there are {', '.join(BUDGETS)}")
    return name
