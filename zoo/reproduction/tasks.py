"""The runs of a table, each with its seed and folder, none twice."""

import dataclasses
import pathlib
import sys
from collections.abc import Iterable

from zoo import runs
from zoo.reproduction import settings
from zoo.reproduction.spec import Row, Run

LOG, FAILED = "reproduce.log", "FAILED"


@dataclasses.dataclass(frozen=True)
class Task:
    """One seed of a run at a budget.

    Attributes:
        run: what is trained.
        seed: of the training.
        budget: a name in `BUDGETS`; that in which the run is kept.
        out: the folder of all runs.
    """

    run: Run
    seed: int
    budget: str
    out: pathlib.Path

    @property
    def folder(self) -> pathlib.Path:
        """The run folder, which all tables share."""
        return self.out / self.budget / self.run.name / str(self.seed)

    @property
    def log(self) -> pathlib.Path:
        """What its processes print."""
        return self.folder / LOG

    def __str__(self) -> str:
        return f"{self.budget}/{self.run.name} seed {self.seed}"

    def commands(self) -> list[list[str]]:
        """What is left to be done, one process each: the training, scores on further data."""
        gin_file, bindings = self.run.config(self.budget, self.seed)
        train = [
            *("zoo.train", f"--gin_file={gin_file}", f"--run_dir={self.folder}"),
            *(f"--gin_bindings={binding}" for binding in bindings),
        ]
        commands = [] if (self.folder / "DONE").exists() else [train]
        for extra in self.run.evaluations:
            out = self.folder / f"{extra.name}.json"
            if not out.exists():
                commands.append(
                    [
                        *("zoo.evaluate", f"--run={self.folder}", f"--dataset={extra.dataset}"),
                        *(f"--metrics={extra.scores}", f"--seed={self.seed}", f"--out={out}"),
                    ]
                )
        return [[sys.executable, "-m", *command] for command in commands]

    def state(self) -> str:
        """`done`, `partial (step k)`, `failed`, `stale` or `missing`.

        A stale run is one of other settings than the table's of today.
        """
        if not (self.folder / "config.gin").exists():
            return "failed" if (self.folder / FAILED).exists() else "missing"
        if self.differences():
            return "stale"
        if (self.folder / FAILED).exists():
            return "failed"
        return "done" if not self.commands() else f"partial (step {self.step()})"

    def step(self) -> int:
        """The last step that the log of the training has."""
        found = runs.records(self.folder / "metrics.jsonl")
        return found[-1]["step"] if found else 0

    def differences(self) -> list[str]:
        """What the folder's run binds otherwise than the run of today, as lines."""
        wanted = settings.of_config(*self.run.config(self.budget, self.seed))
        return settings.differences(wanted, settings.of_file(self.folder / "config.gin"))


def tasks(
    rows: Iterable[Row], budget: str, out: pathlib.Path, seeds: int | None = None
) -> list[Task]:
    """The runs of some rows, every one once; the first seed of all, then the second, and so on.

    Args:
        rows: those without a run are passed over.
        budget: a name in `BUDGETS`.
        out: the folder of all runs.
        seeds: how many; by default as many as the budget of each run says.
    """
    runs = {row.run.name: row.run for row in rows if row.run}
    counts = {name: seeds or run.budget(budget).seeds for name, run in runs.items()}
    return [
        Task(run, seed, run.effective(budget), out)
        for seed in range(max(counts.values(), default=0))
        for name, run in runs.items()
        if seed < counts[name]
    ]
