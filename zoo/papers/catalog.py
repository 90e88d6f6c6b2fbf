"""Which tables there are, and where to find one."""

import difflib
import fnmatch
import importlib
import sys
from collections.abc import Sequence

from zoo.errors import UserError
from zoo.papers.spec import BUDGETS, Headline, Row, Run, Table, Trend

# One line a paper; each module has `TABLES` and may have `HEADLINES`.
PAPERS = (
    "zoo.papers.zietlow.tables",
    "zoo.papers.additive_decoders.tables",
    "zoo.papers.interaction_asymmetry.tables",
    "zoo.papers.seams.tables",
    "zoo.papers.synergy.tables",
    "zoo.papers.disentanglement_lib.tables",
)
# Modules of users.
_OWN: list[str] = []


def tables() -> dict[str, Table]:
    """All tables by name."""
    found = [t for module in (*PAPERS, *_OWN) for t in importlib.import_module(module).TABLES]
    return {table.name: table for table in found}


def add(module: str) -> None:
    """Adds the tables of a user's module that has been imported: its `TABLES`, if it has any.

    Raises:
        UserError: they are no tables, one has the name of another, or what `check` raises.
    """
    if module in _OWN or not hasattr(sys.modules[module], "TABLES"):
        return
    known = set(tables())
    made = {row.run.name: row.run for t in tables().values() for row in t.rows if row.run}
    for table in sys.modules[module].TABLES:
        if not isinstance(table, Table):
            raise UserError(
                f"{module}.TABLES holds a {type(table).__name__}; give zoo.papers.spec.Table"
            )
        if table.name in known or "/" not in table.name:
            raise UserError(
                f"{module}.TABLES: a table cannot be named {table.name!r}; give '<work>/<number>', "
                "which no other has"
            )
        known.add(table.name)
        check(table, made)
    _OWN.append(module)


def check(table: Table, made: dict[str, Run]) -> None:
    """Checks that a table can be written once its runs are there.

    Args:
        table: what is checked.
        made: the runs of other tables by name, to which its own are added.

    Raises:
        UserError: two rows, columns or trainings share a name, or a claim names what is not there.
    """
    rows, columns = ([each.name for each in part] for part in (table.rows, table.columns))
    for kind, names in (("row", rows), ("column", columns)):
        if twice := [name for name in names if names.count(name) > 1]:
            raise UserError(f"{table.name} has two {kind}s named {twice[0]!r}; rename one")
    for claim in table.claims:
        _require(table, claim, "column", [claim.column], columns)
        _require(table, claim, "row", claim.rows, rows)
        if isinstance(claim, Trend) and len(claim.rows) < 3:
            raise UserError(
                f"{table.name}, '{claim}': a trend needs three rows or more; of two give a Claim"
            )
    for row in (row for row in table.rows if row.run):
        other = made.setdefault(row.run.name, row.run)
        if any(row.run.config(budget, 0) != other.config(budget, 0) for budget in BUDGETS):
            raise UserError(
                f"{table.name}, row {row.name}: a run named {row.run.name!r} with another gin file "
                "or bindings is there; give this one a name of its own"
            )


def _require(table: Table, claim, kind: str, wanted: Sequence[str], names: Sequence[str]) -> None:
    for name in wanted:
        if name not in names:
            raise UserError(
                f"{table.name}, '{claim}': no {kind} is named {name!r}; there are "
                f"{', '.join(names) or 'none'}"
            )


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
