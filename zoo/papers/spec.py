"""What a table of a paper is made of: data, no behaviour beyond looking things up."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

PAPER, CPU = "paper", "cpu"
BUDGETS = (PAPER, CPU)


@dataclasses.dataclass(frozen=True)
class Budget:
    """How a run is made smaller.

    Attributes:
        bindings: what is bound beyond the run's own; none for the paper's budget.
        seeds: how many seeds are run unless the user says otherwise.
        gin_file: another gin file than the run's.
    """

    bindings: tuple[str, ...] = ()
    seeds: int = 10
    gin_file: str | None = None


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Scores of a finished run on a further data set, kept as `<name>.json` in its folder."""

    name: str
    dataset: str
    scores: str


@dataclasses.dataclass(frozen=True)
class Run:
    """A training run that tables take numbers from, whatever its seed.

    Attributes:
        name: its folder; two runs of one name are the same run.
        gin_file: as `zoo.train` takes it.
        bindings: further bindings; `{seed}` in one is the seed, for data that it draws.
        cpu: the budget for two CPU cores; the paper's where it suits them as it is.
        seeds: of the paper's budget.
        evaluations: scores on further data sets.
    """

    name: str
    gin_file: str
    bindings: tuple[str, ...] = ()
    cpu: Budget = Budget()
    seeds: int = 10
    evaluations: tuple[Evaluation, ...] = ()

    @property
    def published(self) -> bool:
        """Whether its gin file is a paper's, not one of an experiment of ours."""
        return self.gin_file.startswith("gin/papers/")

    def budget(self, name: str) -> Budget:
        """The budget of a name in `BUDGETS`."""
        return self.cpu if name == CPU else Budget(seeds=self.seeds)

    def effective(self, name: str) -> str:
        """The budget whose folder holds the run: the paper's where `name` reduces nothing."""
        chosen = self.budget(name)
        return name if chosen.bindings or chosen.gin_file else PAPER

    def config(self, budget: str, seed: int) -> tuple[str, tuple[str, ...]]:
        """The gin file and all bindings of one seed."""
        chosen = self.budget(budget)
        bindings = (*self.bindings, *chosen.bindings, f"train.seed = {seed}")
        filled = tuple(binding.replace("{seed}", str(seed)) for binding in bindings)
        return chosen.gin_file or self.gin_file, filled


@dataclasses.dataclass(frozen=True)
class Column:
    """A number taken from a run.

    Attributes:
        name: the heading.
        path: keys into the JSON of `file` (into lists, numbers); for a `.jsonl`, into each of its
            records.
        file: of the run's folder.
        reduce: makes one number of the records' values and steps, for a `.jsonl`.
        scale: what the number is multiplied by, 100 for per cent.
        decimals: as the paper rounds.
        compared: whether it is the UDR of the run among the finished seeds of its row, which has no
            `path`.
    """

    name: str
    path: tuple[str, ...]
    file: str = "scores.json"
    reduce: Callable[[Sequence[float], Sequence[int]], float] | None = None
    scale: float = 1.0
    decimals: int = 2
    compared: bool = False


Published = tuple[float, float | None]
"""The paper's mean and standard deviation; None where it gives no deviation."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        name: for example `beta_vae/synth_lin`.
        run: what it is made of; None where this package has no config for it.
        paper: what the paper gives, by column; None for a dash.
        group: the series it belongs to in a figure.
        x: its abscissa in a figure.
        note: what to know about it alone, one line.
    """

    name: str
    run: Run | None
    paper: Mapping[str, Published | None] = dataclasses.field(default_factory=dict)
    group: str = ""
    x: float | None = None
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Claim:
    """An order that the paper states or shows: `column` is lower in row `lower`.

    Attributes:
        column: of both rows.
        lower: the row's name.
        higher: the other row's.
        paired: whether the runs of one seed share what it draws, such as data: then they are
            compared seed by seed.
        first_seed: seeds below it were looked at when the recipe was chosen, and do not count.
    """

    column: str
    lower: str
    higher: str
    paired: bool = False
    first_seed: int = 0

    @property
    def rows(self) -> tuple[str, ...]:
        """The names of both."""
        return self.lower, self.higher

    def __str__(self) -> str:
        return f"{self.column}: {self.lower} < {self.higher}"


@dataclasses.dataclass(frozen=True)
class Equal:
    """A prediction that `column` is about the same in two rows.

    Attributes:
        column: of both rows.
        rows: their names.
        margin: what counts as no difference, in units of the column; named before the runs.
        paired: see `Claim`.
        first_seed: see `Claim`.
    """

    column: str
    rows: tuple[str, str]
    margin: float = 0.05
    paired: bool = False
    first_seed: int = 0

    def __str__(self) -> str:
        return f"{self.column}: {self.rows[0]} = {self.rows[1]}, within {self.margin:g}"


@dataclasses.dataclass(frozen=True)
class Trend:
    """A prediction that `column` rises along rows, seed by seed.

    Attributes:
        column: of all rows.
        rows: their names, in the order in which it rises.
        first_seed: see `Claim`.
    """

    column: str
    rows: tuple[str, ...]
    first_seed: int = 0
    paired: ClassVar[bool] = True

    def __str__(self) -> str:
        return f"{self.column} rises: {', '.join(self.rows)}"


@dataclasses.dataclass(frozen=True)
class Headline:
    """A claim that a work is known for, with the one outcome that decides it.

    Attributes:
        text: the claim, one line.
        table: where its runs are.
        orders: what must be seen, all of it.
        margin: what counts as no difference, in units of the columns: of all orders, or of each.
        ours: whether the settings, and so the budget, are of our choice: the work gives none.
    """

    text: str
    table: str
    orders: tuple[Claim, ...]
    margin: float | tuple[float, ...] = 0.05
    ours: bool = False

    @property
    def margins(self) -> tuple[float, ...]:
        """The margin of each order."""
        if isinstance(self.margin, tuple):
            return self.margin
        return (self.margin,) * len(self.orders)


@dataclasses.dataclass(frozen=True)
class Discard:
    """Which finished runs a table leaves out, but counts: those whose `column` is below a number.

    Attributes:
        column: where the number is.
        below: what a run that stays reaches.
        why: what is wrong with the others, a few words.
    """

    column: Column
    below: float
    why: str


@dataclasses.dataclass(frozen=True)
class Table:
    """A table or a figure of a paper.

    Attributes:
        name: `<paper>/<number>`.
        title: one line.
        columns: the numbers of every row.
        rows: in the paper's order.
        claims: orders, equalities and trends that are tested.
        notes: what differs from the paper, one line each.
        figure: `(results by row, columns) -> matplotlib figure`, for figures.
        computed: whether the figure is computed and takes no runs; then there are no rows.
        from_numbers: whether the figure takes no more than the results' numbers, not the runs'
            folders: then those that are kept of earlier runs are drawn, too.
        first_seed: whether the figure shows the first run of every row alone.
        discard: which finished runs are left out, or None.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    claims: tuple[Claim | Equal | Trend, ...] = ()
    notes: tuple[str, ...] = ()
    figure: Callable | None = None
    discard: Discard | None = None
    computed: bool = False
    from_numbers: bool = False
    first_seed: bool = False

    def row(self, name: str) -> Row:
        """The row of that name."""
        return next(row for row in self.rows if row.name == name)
