"""Numbers of rows: from the folders of runs, without TensorFlow, and from what is kept of them."""

import pathlib
import re
import sys
from collections.abc import Sequence

from zoo import files, runs
from zoo.papers import departures, kept
from zoo.papers.kept import Facts, Result
from zoo.papers.spec import BUDGETS, PAPER, Column, Row, Run, Table
from zoo.papers.tasks import Task
from zoo.scheduling.jobs import Job
from zoo.sweeps import comparisons


def of_table(
    table: Table, out: pathlib.Path, records: pathlib.Path | None = None
) -> dict[str, list[Result]]:
    """Row name -> what there is at each budget; an empty list where nothing has finished.

    Args:
        table: whose rows.
        out: the folder of all runs.
        records: the folder of the CSV files of earlier runs (`kept.path`), which count beside
            those in `out` (if these are of another training, not, and a line on stderr says so);
            None for those in `out` alone.
    """
    earlier = kept.read(table, records) if records else {}
    return {
        row.name: _united(table, _of_row(table, row, out), earlier.get(row.name, []))
        for row in table.rows
    }


def of_today(result: Result) -> bool:
    """Whether its runs are what the table's definition of today makes, not an earlier one's."""
    facts = result.facts
    today = departures.differences(result.row.run, result.budget, [facts.precision])
    return not facts.superseded and "; ".join(today) == facts.differences


def at_budget(found: Sequence[Result], budget: str) -> Result | None:
    """Which of a row's results is of a budget, or of the paper's where it reduces nothing."""
    ours = (result for result in found if result.budget == result.row.run.effective(budget))
    return next(ours, None)


def number(folder: pathlib.Path, column: Column) -> float | None:
    """A column's number of one run; None where the run has none."""
    path = folder / column.file
    if path.suffix == ".jsonl":
        steps, values = series(folder, column)
        return column.scale * column.reduce(values, steps) if values else None
    if not path.exists():
        return None
    value = _at(files.read_json(path), column.path)
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


def comparisons_of(table: Table, rows: Sequence[Row], budget: str, out: pathlib.Path) -> list[Job]:
    """The comparisons of the finished seeds of rows, which columns of a table take numbers from."""
    found = []
    if any(column.compared for column in table.columns):
        for name, run in {row.run.name: row.run for row in rows if row.run}.items():
            effective = run.effective(budget)
            left = [t for t in _finished(run, effective, out) if not _is_discarded(table, t)]
            gin_file, bindings = run.config(effective, 0)
            folders = [task.folder for task in left]
            name = f"{effective}/{name} UDR"
            found.append(comparisons.job(name, folders, [gin_file], bindings))
    return list(filter(None, found))


def _numbers(column: Column, tasks: Sequence[Task]) -> dict[int, float | None]:
    """A column's number of each seed."""
    if not column.compared:
        return {task.seed: number(task.folder, column) for task in tasks}
    udr = comparisons.udr([task.folder for task in tasks])
    scaled = {name: column.scale * value for name, value in udr.items()}
    return {task.seed: scaled.get(task.folder.name) for task in tasks}


def _united(table: Table, fresh: list[Result], earlier: list[Result]) -> list[Result]:
    """Fresh results with the earlier ones of the same budgets, which lend their further seeds."""
    found = {result.budget: result for result in earlier}
    for result in fresh:
        before = found.get(result.budget)
        found[result.budget] = kept.united(result, before)
        if before and (lost := sorted(set(before.seeds) - set(found[result.budget].seeds))):
            apart = ", ".join(result.facts.apart(before.facts))
            print(
                f"{table.name}, {result.row.name}: the kept seeds {lost} are dropped: their runs "
                f"and the new ones (seeds {list(result.seeds)}) are of two trainings ({apart})",
                file=sys.stderr,
            )
    return sorted(found.values(), key=lambda result: BUDGETS.index(result.budget))


def _of_row(table: Table, row: Row, out: pathlib.Path) -> list[Result]:
    if row.run is None:
        return []
    found = []
    for budget in dict.fromkeys(row.run.effective(name) for name in BUDGETS):
        tasks = _finished(row.run, budget, out)
        if tasks:
            left = [task for task in tasks if not _is_discarded(table, task)]
            manifests = [files.read_json(t.folder / "manifest.json") for t in tasks]
            numbers = {column.name: _numbers(column, left) for column in table.columns}
            found.append(
                Result(
                    row,
                    budget,
                    {n: {s: v for s, v in x.items() if v is not None} for n, x in numbers.items()},
                    facts(row.run, budget, manifests),
                    [t.seed for t in tasks],
                    [t.folder for t in left],
                    [t.seed for t in tasks if t not in left],
                )
            )
    return found


def facts(run: Run, budget: str, manifests: Sequence[dict]) -> Facts:
    """What made the runs that have these manifests."""
    last = manifests[-1]
    precisions = list(dict.fromkeys(str(m["precision"]) for m in manifests if m.get("precision")))
    starts = (start for m in manifests for start in (*m.get("earlier_starts", ()), m))
    machines = (start.get("machine") or {} for start in starts)
    # Where the seed of a run draws its data, they differ rightly.
    drawn = _of_any_seed(last.get("dataset", "")) != last.get("dataset", "")
    images = {m["dataset_fingerprint"] for m in manifests if m.get("dataset_fingerprint")}
    return Facts(
        steps=last["steps"],
        batch_size=last["batch_size"],
        precision=kept.AND.join(precisions),
        optimiser=departures.optimisers(run, budget),
        images_share=last["steps"] * last["batch_size"] / departures.images(run, PAPER),
        differences="; ".join(departures.differences(run, budget, precisions)),
        dataset=_of_any_seed(last.get("dataset", "")),
        test_dataset=_of_any_seed(last.get("test_dataset", "")),
        finished=max(manifest.get("finished", "") for manifest in manifests),
        processor=kept.machines([m.get("processor", "") for m in machines]),
        images="" if drawn else kept.AND.join(sorted(images)),
    )


def _of_any_seed(dataset: str) -> str:
    """The name of a data set without the seed that draws it, which differs from run to run."""
    return re.sub(r"/seed=\d+", "/seed={seed}", dataset)


def _is_discarded(table: Table, task: Task) -> bool:
    if table.discard is None:
        return False
    found = number(task.folder, table.discard.column)
    return found is not None and found < table.discard.below


def _finished(run: Run, budget: str, out: pathlib.Path) -> list[Task]:
    folder = out / budget / run.name
    seeds = sorted(int(p.name) for p in folder.glob("*") if p.name.isdecimal())
    tasks = [Task(run, seed, budget, out) for seed in seeds]
    found = []
    for task in tasks:
        if task.counts:
            found.append(task)
        elif task.state() == "damaged":
            print(f"{task} is left out of the tables: {task.damage}", file=sys.stderr)
    return found


def _at(record: dict, path: Sequence[str]):
    for key in path:
        if isinstance(record, list) and key.isdecimal() and int(key) < len(record):
            record = record[int(key)]
        else:
            record = record.get(key) if isinstance(record, dict) else None
    return record
