"""The runs of a table, each with its seed and folder, none twice."""

import dataclasses
import pathlib
from collections.abc import Iterable, Mapping, Sequence

from zoo import gin_files, gin_text, machine, runs
from zoo.errors import UserError
from zoo.papers.spec import BUDGETS, Row, Run
from zoo.scheduling.jobs import DONE, FAILED, LEFT, Job, Step

_PRECISION, _TRAINED = "train.precision", "DONE"


@dataclasses.dataclass(frozen=True)
class Task:
    """One seed of a run at a budget.

    Attributes:
        run: what is trained.
        seed: of the training.
        budget: a name in `BUDGETS`; that in which the run is kept.
        out: the folder of all runs.
        precision: of runs that leave it to the machine and have not begun; None leaves it there.
    """

    run: Run
    seed: int
    budget: str
    out: pathlib.Path
    precision: str | None = None

    @property
    def folder(self) -> pathlib.Path:
        """The run folder, which all tables share."""
        return self.out / self.budget / self.run.name / str(self.seed)

    def __str__(self) -> str:
        return f"{self.budget}/{self.run.name} seed {self.seed}"

    def job(self) -> Job:
        """What is called for it: the training, then the scores on further data."""
        gin_file, bindings = self.run.config(self.budget, self.seed)
        if self.precision and self.any_precision:
            precision = self.begun_precision or self.precision
            bindings = (*bindings, f"{_PRECISION} = {precision!r}")
        # Whole paths, as a worker on another machine has its own working directory.
        folder = self.folder.absolute()
        train = (
            *(f"--gin_file={gin_files.absolute(gin_file)}", f"--run_dir={folder}"),
            *(f"--gin_bindings={binding}" for binding in bindings),
        )
        steps = [Step(_TRAINED, "zoo.train", train)]
        for extra in self.run.evaluations:
            product = f"{extra.name}.json"
            arguments = (
                *(f"--run={folder}", f"--dataset={extra.dataset}"),
                *(f"--metrics={extra.scores}", f"--seed={self.seed}"),
                *(f"--import={module}" for module in gin_text.imports(gin_file, bindings)),
                *("--strict", f"--out={folder / product}"),
            )
            steps.append(Step(product, "zoo.evaluate", arguments))
        return Job(str(self), self.folder, tuple(steps))

    def state(self) -> str:
        """As `Job.state`, `stale` or `damaged`; one left may be `partial (step k)` or `missing`.

        A stale run is one of other settings than the table's of today; those of a damaged one
        cannot be read.
        """
        state = self.job().state()
        if not (self.folder / "config.gin").exists():
            return "missing" if state == LEFT else state
        try:
            changed = self.differences()
        except gin_files.ConfigError:
            return "damaged"
        if changed:
            return "stale"
        return f"partial (step {self.step()})" if state == LEFT else state

    @property
    def counts(self) -> bool:
        """Whether the run has numbers for tables: it is done, or set aside after its training.

        Of the latter only scores on further data failed, and only they are missing.
        """
        state = self.state()
        return state == DONE or (state == FAILED and (self.folder / _TRAINED).exists())

    def step(self) -> int:
        """The last step that the log of the training has."""
        found = runs.records(self.folder / "metrics.jsonl")
        return found[-1]["step"] if found else 0

    def differences(self) -> list[str]:
        """What the folder's run binds otherwise than the run of today, as lines."""
        wanted = dict(self._wanted)
        if self.any_precision:
            del wanted[_PRECISION]
        return gin_text.differences(wanted, gin_text.of_file(self.folder / "config.gin"))

    @property
    def damage(self) -> str:
        """Why the settings of the folder's run cannot be read; empty where they can."""
        try:
            gin_text.of_file(self.folder / "config.gin")
        except gin_files.ConfigError as error:
            return str(error)
        return ""

    @property
    def any_precision(self) -> bool:
        """Whether the run leaves its precision to the machine."""
        return self._wanted.get(_PRECISION) == repr(machine.AUTO)

    @property
    def begun_precision(self) -> str | None:
        """The precision that the folder's run has; None before it has begun, and where damaged."""
        try:
            return runs.RunFolder(self.folder).recorded(_PRECISION)
        except gin_files.ConfigError:
            return None

    @property
    def _wanted(self) -> dict[str, str]:
        return gin_text.of_config(*self.run.config(self.budget, self.seed))


def of_one_precision(
    chosen: Iterable[Task], table: Iterable[Task], environment: Mapping[str, str] | None = None
) -> list[Task]:
    """Tasks whose runs that leave their precision to the machine have one and the same.

    It is that of the first run that has begun, of all such runs of the table; else this machine's.

    Args:
        chosen: the tasks.
        table: all tasks of their table.
        environment: of the workers, see `machine.precision`.
    """
    chosen = list(chosen)
    if not any(task.any_precision for task in chosen):
        return chosen
    begun = (task.begun_precision for task in table if task.any_precision)
    precision = machine.common_precision(begun, environment)
    return [dataclasses.replace(task, precision=precision) for task in chosen]


def refused(tasks: Iterable[Task]) -> dict[str, str]:
    """What to say about the stale and the damaged ones, which are not resumed, by name."""
    found = {}
    for task in tasks:
        state = task.state()
        if state == "stale":
            changed = "; ".join(task.differences())
            found[str(task)] = f"{task.folder} holds a run of other settings ({changed}); remove it"
        elif state == "damaged":
            found[str(task)] = f"{task.damage}; {task.folder} is left alone until that is mended"
    return found


def require_any(name: str, rows: Sequence[Row], budget: str) -> None:
    """Raises a UserError where rows of a table have no runs in a budget, and have in another."""
    counts = {b: sum(row.run.budget(b).seeds for row in rows if row.run) for b in BUDGETS}
    others = [f"--budget={b} has {count}" for b, count in counts.items() if count]
    if others and not counts[budget]:
        raise UserError(f"{name} has no runs with --budget={budget}; {', '.join(others)}")


def of_rows(
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
