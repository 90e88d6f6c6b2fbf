"""Tables, printed."""

from collections.abc import Iterable

from zoo.papers.spec import BUDGETS, Table


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


def _budget(run, name: str) -> str:
    budget = run.budget(name)
    made = [*([budget.gin_file] if budget.gin_file else []), *budget.bindings]
    return f"{budget.seeds} seeds" + (f", {', '.join(made)}" if made else "")
