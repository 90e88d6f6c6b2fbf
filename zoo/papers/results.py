"""Numbers from the folders of runs, without TensorFlow."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence

import numpy as np

from zoo import runs
from zoo.papers import departures
from zoo.papers.spec import BUDGETS, PAPER, Column, Row, Table
from zoo.papers.tasks import Task


@dataclasses.dataclass(frozen=True)
class Result:
    """What the finished runs of a row give at one budget.

    Attributes:
        row: of the table.
        budget: where the runs are kept.
        values: column name -> numbers, one a seed that has it and is not discarded.
        manifests: of all finished runs.
        seeds: of these runs.
        folders: of those that are not discarded.
        discarded: the seeds of the others.
    """

    row: Row
    budget: str
    values: dict[str, np.ndarray]
    manifests: list[dict]
    seeds: list[int]
    folders: list[pathlib.Path] = dataclasses.field(default_factory=list)
    discarded: list[int] = dataclasses.field(default_factory=list)

    def recorded(self, key: str) -> list[str]:
        """What the manifests that have a key say there, each once."""
        return list(dict.fromkeys(str(m[key]) for m in self.manifests if m.get(key)))

    @property
    def processors(self) -> str:
        """The processors that the manifests name, each once."""
        machines = (manifest.get("machine") or {} for manifest in self.manifests)
        return " and ".join(dict.fromkeys(m["processor"] for m in machines if "processor" in m))

    @property
    def optimisers(self) -> str:
        """See `departures.optimisers`."""
        return departures.optimisers(self.row.run, self.budget)

    @property
    def differences(self) -> list[str]:
        """See `departures.differences`."""
        return departures.differences(self.row.run, self.budget, self.recorded("precision"))

    @property
    def images_share(self) -> float:
        """The images seen, as a share of those of the paper's gin file."""
        facts = self.manifests[-1]
        published = departures.images(self.row.run, PAPER)
        return facts["steps"] * facts["batch_size"] / published


def of_table(table: Table, out: pathlib.Path) -> dict[str, list[Result]]:
    """Row name -> what there is at each budget; an empty list where nothing has finished."""
    return {row.name: _of_row(table, row, out) for row in table.rows}


def number(folder: pathlib.Path, column: Column) -> float | None:
    """A column's number of one run; None where the run has none."""
    path = folder / column.file
    if path.suffix == ".jsonl":
        steps, values = series(folder, column)
        return column.scale * column.reduce(values, steps) if values else None
    if not path.exists():
        return None
    value = _at(json.loads(path.read_text()), column.path)
    return None if value is None else column.scale * value


def series(folder: pathlib.Path, column: Column) -> tuple[list[int], list[float]]:
    """Steps and values, not scaled, of a `.jsonl`'s column in one run; empty where it has none."""
    records = runs.records(folder / column.file)
    pairs = [(record["step"], _at(record, column.path)) for record in records]
    pairs = [(step, value) for step, value in pairs if value is not None]
    return [step for step, _ in pairs], [value for _, value in pairs]


def share_of_training(errors: Sequence[float], steps: Sequence[int]) -> float:
    """The share of training from which the relative KL error stays below 3 %."""
    from zoo import evaluation

    return evaluation.polarized_share(errors, steps)["score"]


def last(values: Sequence[float], steps: Sequence[int]) -> float:
    """The value of the last record."""
    del steps
    return values[-1]


def outside(mean: float, published, column: Column) -> bool:
    """Whether a mean is outside two of the paper's standard deviations.

    Both of the paper's numbers are given the half unit that they were rounded by.
    """
    if published is None or published[1] is None:
        return False
    half = 0.5 * 10.0**-column.decimals
    return abs(mean - published[0]) > 2 * (published[1] + half) + half


def _of_row(table: Table, row: Row, out: pathlib.Path) -> list[Result]:
    if row.run is None:
        return []
    found = []
    for budget in dict.fromkeys(row.run.effective(name) for name in BUDGETS):
        tasks = _finished(row, budget, out)
        if tasks:
            kept = [task for task in tasks if not _is_discarded(table, task)]
            values = {c.name: [number(t.folder, c) for t in kept] for c in table.columns}
            found.append(
                Result(
                    row,
                    budget,
                    {n: np.array([v for v in x if v is not None]) for n, x in values.items()},
                    [json.loads((t.folder / "manifest.json").read_text()) for t in tasks],
                    [t.seed for t in tasks],
                    [t.folder for t in kept],
                    [t.seed for t in tasks if t not in kept],
                )
            )
    return found


def _is_discarded(table: Table, task: Task) -> bool:
    if table.discard is None:
        return False
    found = number(task.folder, table.discard.column)
    return found is not None and found < table.discard.below


def _finished(row: Row, budget: str, out: pathlib.Path) -> list[Task]:
    folder = out / budget / row.run.name
    seeds = sorted(int(p.name) for p in folder.glob("*") if p.name.isdecimal())
    tasks = [Task(row.run, seed, budget, out) for seed in seeds]
    return [task for task in tasks if task.state() == "done"]


def _at(record: dict, path: Sequence[str]):
    for key in path:
        if isinstance(record, list) and key.isdecimal() and int(key) < len(record):
            record = record[int(key)]
        else:
            record = record.get(key) if isinstance(record, dict) else None
    return record
