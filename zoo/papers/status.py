"""Tables and the state of runs, printed."""

import collections
from collections.abc import Iterable, Sequence

from zoo.papers.spec import BUDGETS, Table
from zoo.papers.tasks import Task


def show_tables(tables: Iterable[Table]) -> None:
    """Prints every table, its rows, and what each budget makes of a row."""
    for table in tables:
        print(f"{table.name}: {table.title}")
        for row in table.rows:
            if row.run is None:
                print(f"  {row.name}: no configuration yet")
                continue
            budgets = (f"{name}: {_budget(row.run, name)}" for name in BUDGETS)
            print(f"  {row.name}: {row.run.gin_file}; {'; '.join(budgets)}")


def show_status(tasks: Sequence[Task]) -> None:
    """Prints every run by number with its state, then how many are in each."""
    states = [task.state() for task in tasks]
    for k, (task, state) in enumerate(zip(tasks, states, strict=True)):
        print(f"{k:4d}  {task}: {state}")
    counts = collections.Counter(state.split()[0] for state in states)
    print(", ".join(f"{count} {state}" for state, count in sorted(counts.items())))


def _budget(run, name: str) -> str:
    budget = run.budget(name)
    made = [*([budget.gin_file] if budget.gin_file else []), *budget.bindings]
    return f"{budget.seeds} seeds" + (f", {', '.join(made)}" if made else "")
