"""What is kept of runs: a CSV file a table, from which results are written without the runs."""

import csv
import dataclasses
import io
import math
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from zoo.errors import UserError
from zoo.evaluation import median_interval
from zoo.papers.spec import BUDGETS, Column, Row, Table

# Between what differs among the runs of one result.
AND = " and "
# What stands for the processor of runs that do not say it, beside others that do.
_UNRECORDED = "one that is not recorded"


@dataclasses.dataclass(frozen=True)
class Facts:
    """What made the runs of a result, as text is written of it.

    Attributes:
        steps: of each run.
        batch_size: images or pairs a step.
        precision: the runs' own.
        optimiser: see `departures.optimisers`.
        images_share: the images seen, as a share of those of the paper's gin file.
        differences: see `departures.differences`, joined by semicolons.
        dataset: what they are trained on.
        test_dataset: what they are scored on.
        finished: when the last of them was.
        processor: of the machines that trained them.
        images: the fingerprint of what they are trained on, or the several; empty where none is
            recorded, or each seed draws its own.
        superseded: why they are no longer what the table's definition makes, one line; empty where
            they are.
    """

    steps: int
    batch_size: int
    precision: str = ""
    optimiser: str = ""
    images_share: float = 1.0
    differences: str = ""
    dataset: str = ""
    test_dataset: str = ""
    finished: str = ""
    processor: str = ""
    images: str = ""
    superseded: str = ""

    def apart(self, other: "Facts") -> list[str]:
        """Which facts say that runs of both are not seeds of one training; none where they are."""
        keys = (
            *("steps", "batch_size", "precision", "optimiser", "differences", "dataset"),
            "superseded",
        )
        found = [key for key in keys if getattr(self, key) != getattr(other, key)]
        return found + ["images"] * (len({self.images, other.images} - {""}) == 2)


@dataclasses.dataclass(frozen=True)
class Result:
    """What the finished runs of a row give at one budget.

    Attributes:
        row: of the table.
        budget: where the runs are kept.
        numbers: column name -> seed -> number, of the seeds that have it and are not discarded.
        facts: what made them.
        seeds: of these runs.
        folders: of those that are not discarded, as far as they are at hand.
        discarded: the seeds of the others.
    """

    row: Row
    budget: str
    numbers: Mapping[str, Mapping[int, float]]
    facts: Facts | None
    seeds: Sequence[int]
    folders: list[pathlib.Path] = dataclasses.field(default_factory=list)
    discarded: Sequence[int] = ()

    @property
    def values(self) -> dict[str, np.ndarray]:
        """Column name -> its numbers, in the order of the seeds."""
        return {name: np.array([*found.values()]) for name, found in self.numbers.items()}

    @property
    def left(self) -> list[int]:
        """The seeds that are not discarded."""
        return [seed for seed in self.seeds if seed not in set(self.discarded)]


def path(table: Table, folder: pathlib.Path) -> pathlib.Path:
    """Where the results of a table are kept below a folder."""
    return folder / f"{table.name}.csv"


def read(table: Table, folder: pathlib.Path) -> dict[str, list[Result]]:
    """Row name -> what is kept of it at each budget.

    Rows and columns that the table no longer has are passed over; columns that it has since have
    no numbers.

    Raises:
        UserError: the file is not one that `as_csv` wrote.
    """
    file = path(table, folder)
    if not file.exists():
        return {}
    rows = {row.name: row for row in table.rows}
    columns = [column.name for column in table.columns] or [""]
    groups: dict[tuple[str, str], list[dict]] = {}
    try:
        for record in csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))):
            if record["budget"] in BUDGETS and record["row"] in rows:
                groups.setdefault((record["row"], record["budget"]), []).append(record)
        found: dict[str, list[Result]] = {}
        for (name, budget), records in groups.items():
            records = [record for record in records if record["column"] in columns]
            if records:
                parsed = _parsed(rows[name], budget, records, columns)
                found.setdefault(name, []).append(parsed)
    except (KeyError, ValueError, TypeError) as error:
        raise UserError(
            f"{file} is no file of results ({error!r}); restore it, or remove it and write it "
            "again with python -m zoo.reproduce --results"
        ) from error
    return found


def united(fresh: Result, earlier: Result | None) -> Result:
    """A result with the further seeds of an earlier one of the same training."""
    if earlier is None or fresh.facts.apart(earlier.facts):
        return fresh
    seeds = sorted({*fresh.seeds, *earlier.seeds})
    numbers = {}
    for name, ours in fresh.numbers.items():
        both = {
            **{s: v for s, v in earlier.numbers.get(name, {}).items() if s not in fresh.seeds},
            **ours,
        }
        numbers[name] = {seed: both[seed] for seed in sorted(both)}
    late = max(fresh.facts.finished, earlier.facts.finished)
    left = [earlier] if set(earlier.seeds) - set(fresh.seeds) else []
    return dataclasses.replace(
        fresh,
        numbers=numbers,
        seeds=seeds,
        facts=dataclasses.replace(
            fresh.facts,
            finished=late,
            processor=machines([result.facts.processor for result in (*left, fresh)]),
            images=fresh.facts.images or earlier.facts.images,
        ),
        discarded=sorted({*fresh.discarded, *set(earlier.discarded) - set(fresh.seeds)}),
    )


def machines(processors: Sequence[str]) -> str:
    """Every processor once; empty where none is recorded."""
    named = dict.fromkeys(name for processor in processors for name in processor.split(AND))
    if not any(named):
        return ""
    known = [name for name in named if name not in ("", _UNRECORDED)]
    return AND.join([*known, *[_UNRECORDED] * (len(known) < len(named))])


def as_csv(table: Table, found: Mapping[str, Sequence[Result]]) -> str:
    """One line a row, column and budget, with the numbers of all seeds.

    A table that is a picture has no columns, and one line a row and budget.

    `values` are those of `seeds` without `discarded`, `nan` where a run has no such number. The
    median has a 95 % interval over seeds, that of `zoo.evaluation.median_interval`.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    facts = [field.name for field in dataclasses.fields(Facts)]
    numbers = ("paper_mean", "paper_std", "mean", "std", "median", "median_low", "median_high")
    runs = ("seeds", "discarded", "values")
    writer.writerow(("table", "row", "column", "budget", *numbers, *runs, *facts))
    for row in table.rows:
        for result in found[row.name] or [None]:
            for column in table.columns or [Column("", ())]:
                writer.writerow([table.name, row.name, column.name, *_written(result, column, row)])
    return text.getvalue()


def deviation(values: np.ndarray) -> float | str:
    """The standard deviation over seeds (n - 1); nothing of a single one."""
    return float(values.std(ddof=1)) if len(values) > 1 else ""


def _written(result: Result | None, column: Column, row: Row) -> list:
    mean, std = row.paper.get(column.name) or ("", "")
    paper = ["" if mean is None else mean, "" if std is None else std]
    if result is None:
        return ["", *paper, *[""] * (8 + len(dataclasses.fields(Facts)))]
    numbers = result.numbers.get(column.name, {})
    values = np.array([*numbers.values()])
    return [
        result.budget,
        *paper,
        *([values.mean(), deviation(values)] if len(values) else ["", ""]),
        *(median_interval(values) if len(values) and np.isfinite(values).all() else [""] * 3),
        " ".join(map(str, result.seeds)),
        " ".join(map(str, result.discarded)),
        " ".join(repr(float(numbers.get(seed, math.nan))) for seed in result.left),
        *dataclasses.astuple(result.facts),
    ]


def _parsed(row: Row, budget: str, records: Sequence[dict], columns: Sequence[str]) -> Result:
    first = records[0]
    seeds, discarded = ([int(s) for s in first[key].split()] for key in ("seeds", "discarded"))
    left = [seed for seed in seeds if seed not in set(discarded)]
    numbers = {column: {} for column in columns}
    for record in records:
        values = dict(zip(left, map(float, record["values"].split()), strict=True))
        numbers[record["column"]] = {s: v for s, v in values.items() if not math.isnan(v)}
    return Result(row, budget, numbers, _facts(first), seeds, [], discarded)


def _facts(record: Mapping[str, str]) -> Facts:
    """What a record says; of facts that were not kept yet when it was written, the default."""
    kinds = {field.name: field.type for field in dataclasses.fields(Facts)}
    return Facts(**{n: kind(record[n]) for n, kind in kinds.items() if n in record})
