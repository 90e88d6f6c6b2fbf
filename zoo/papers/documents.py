"""Tables as Markdown and CSV: the paper beside ours, with what made each row."""

import csv
import io
import pathlib
import sys

import numpy as np

from zoo import evaluation, runs
from zoo.errors import UserError
from zoo.papers import catalog, claims, departures, illustrations, results
from zoo.papers.claims import Verdict
from zoo.papers.results import Result
from zoo.papers.spec import PAPER, Column, Published, Row, Table

MARK = "(!)"
LEGEND = (
    f"Mean ± standard deviation over seeds (n - 1). {MARK}: outside two of the paper's standard "
    "deviations, its rounding allowed for. Orders: one-sided Mann-Whitney U test over seeds; "
    f"*holds* means p <= {claims.LEVEL}. Optimisers have their rates; those of the paper's gin "
    "file are given, too, where they are others. All that reduced runs bind otherwise than that "
    "file, whose comments say what the paper leaves open, is below each table."
)
INTRO = """# Results

Tables of papers beside what this package makes of them. Every row names its optimiser, its seeds,
its budget and the command that made it; a row without runs says so. Made by
`python -m zoo.reproduce --results`.
"""


def write(table: Table, out: pathlib.Path) -> list[pathlib.Path]:
    """Writes `<out>/<table>.md` and `.csv`, and `.png` where it is a figure with runs."""
    found = results.of_table(table, out)
    path = out / table.name
    written = [path.with_name(f"{path.name}.md"), path.with_name(f"{path.name}.csv")]
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = _draw(table, found, path.with_name(f"{path.name}.png"))
    shown = _shown(table, found, picture.name) if picture else ""
    runs.write_text(written[0], "# " + markdown(table, found, shown))
    runs.write_text(written[1], as_csv(table, found))
    return [*written, *([picture] if picture else [])]


def write_results(file: pathlib.Path, out: pathlib.Path) -> list[str]:
    """Writes all tables that have runs into one file, their pictures below `results/figures`.

    A figure that cannot be drawn here, for want of its data, is left out and told.

    Args:
        file: what is written; the folder `results` is beside it.
        out: the folder of all runs.

    Returns:
        The names of the tables.

    Raises:
        UserError: there is no run, and the file may tell of others.
    """
    sections, names = [INTRO, LEGEND + "\n"], []
    for table in catalog.tables().values():
        found = results.of_table(table, out)
        if any(found.values()):
            names.append(table.name)
            shown = _illustrate(table, found, file.parent)
            sections.append("## " + markdown(table, found, shown, legend=False))
    if not names:
        if file.exists():
            raise UserError(f"{out} has no finished run of any table; {file} is left as it is")
        sections.append("No run has finished yet.\n")
    runs.write_text(file, "\n".join(sections))
    return names


def markdown(
    table: Table,
    found: dict[str, list[Result]],
    picture: str = "",
    legend: bool = True,
) -> str:
    """A section of a table, without the marks of its heading.

    Args:
        table: whose section it is.
        found: its results.
        picture: Markdown of its picture.
        legend: whether it explains its numbers.
    """
    heads = [f"{c.name}, {who}" for c in table.columns for who in ("paper", "ours")]
    heads = ["row", *heads, "seeds", *_discarded(table), "optimiser", "budget", "command", "date"]
    lines = [_line(heads), _line("---" for _ in heads)]
    for row in table.rows:
        lines += [_line(_cells(table, row, result)) for result in found[row.name] or [None]]
    parts = [f"{table.name}: {table.title}\n", "\n".join(lines) + "\n"]
    if legend:
        parts.append(LEGEND + "\n")
    reduced = {n: r.differences for n, rs in found.items() for r in rs if r.budget != PAPER}
    notes = [
        *table.notes,
        *(f"{row.name}: {row.note}" for row in table.rows if row.note),
        *departures.notes(reduced, [row.name for row in table.rows]),
    ]
    if notes:
        parts.append("\n".join(f"- {note}" for note in notes) + "\n")
    if picture:
        parts.append(picture + "\n")
    if table.claims:
        heads = ("order in the paper", "budget", "seeds", "p", "verdict")
        lines = [_line(heads), _line("---" for _ in heads)]
        lines += [_line(_tested(v)) for v in claims.verdicts(table, found)]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def as_csv(table: Table, found: dict[str, list[Result]]) -> str:
    """One line a row, column and budget, with the numbers of all seeds.

    The median has a 95 % interval, that of `zoo.evaluation.median_interval`, over seeds.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ("table row column budget paper_mean paper_std mean std "
         "median median_low median_high outside seeds values "
         "steps batch_size precision optimiser images_share differences dataset test_dataset "
         "finished discarded").split()
    )  # fmt: skip
    for row in table.rows:
        for result in found[row.name] or [None]:
            for column in table.columns:
                writer.writerow([table.name, row.name, column.name, *_record(result, column, row)])
    return text.getvalue()


def _record(result: Result | None, column: Column, row: Row) -> list:
    mean, std = row.paper.get(column.name) or (None, None)
    if result is None:
        return ["", mean, std, *[""] * 18]
    values, facts = result.values[column.name], result.manifests[-1]
    ours = [""] * 5
    if len(values):
        finite = np.isfinite(values).all()
        median = evaluation.median_interval(values) if finite else [""] * 3
        ours = [values.mean(), _deviation(values), *median]
    far = len(values) and results.outside(values.mean(), row.paper.get(column.name), column)
    return [
        *(result.budget, mean, std, *ours, "yes" if far else "no"),
        *(" ".join(map(str, result.seeds)), " ".join(map(repr, values.tolist()))),
        *(facts.get(key, "") for key in ("steps", "batch_size", "precision")),
        *(result.optimisers, result.images_share, "; ".join(result.differences)),
        *(facts.get(key, "") for key in ("dataset", "test_dataset", "finished")),
        " ".join(map(str, result.discarded)),
    ]


def _cells(table: Table, row: Row, result: Result | None) -> list[str]:
    cells = [row.name]
    for column in table.columns:
        cells += [_published(row, column), _ours(row, column, result)]
    if result is None:
        state = "not run" if row.run else "no configuration yet"
        none = ("-" for _ in _discarded(table))
        return [*cells, "0", *none, _optimisers(row, result), state, "", ""]
    command = (
        f"`python -m zoo.reproduce --table={table.name} --budget={result.budget} "
        f"--rows={row.name} --seeds={max(result.seeds) + 1}`"
    )
    date = max(manifest.get("finished", "") for manifest in result.manifests)[:10]
    discarded = [str(len(result.discarded)) for _ in _discarded(table)]
    made = (_optimisers(row, result), illustrations.budget(result), command, date)
    return [*cells, str(len(result.seeds)), *discarded, *made]


def _optimisers(row: Row, result: Result | None) -> str:
    """Ours, and the paper's where they are others or nothing has been run."""
    if row.run is None:
        return "-"
    published = departures.optimisers(row.run, PAPER)
    if result is None:
        return f"(paper: {published})" if row.run.published else published
    ours = result.optimisers
    return ours if ours == published else f"{ours} (paper: {published})"


def _discarded(table: Table) -> list[str]:
    """The heading of the column of discarded runs, where the table discards any."""
    return [f"discarded ({table.discard.why})"] if table.discard else []


def _published(row: Row, column: Column) -> str:
    published: Published | None = row.paper.get(column.name)
    if published is None:
        return "-"
    mean, std = published
    text = f"{mean:.{column.decimals}f}"
    return text if std is None else f"{text} ± {std:.{column.decimals}f}"


def _ours(row: Row, column: Column, result: Result | None) -> str:
    if result is None or not len(result.values[column.name]):
        return "-"
    values = result.values[column.name]
    text = f"{values.mean():.{column.decimals}f}"
    if len(values) > 1:
        text += f" ± {_deviation(values):.{column.decimals}f}"
    if results.outside(values.mean(), row.paper.get(column.name), column):
        text += f" {MARK}"
    return text


def _deviation(values: np.ndarray) -> float | str:
    return float(values.std(ddof=1)) if len(values) > 1 else ""


def _tested(verdict: Verdict) -> list[str]:
    p = "-" if verdict.p is None else f"{verdict.p:.2g}"
    counts = f"{verdict.counts[0]}, {verdict.counts[1]}"
    return [str(verdict.claim), verdict.budget, counts, p, verdict.text]


def _line(cells) -> str:
    return "| " + " | ".join(cells) + " |"


def _illustrate(table: Table, found: dict[str, list[Result]], folder: pathlib.Path) -> str:
    """Draws a table's figure for the file of results in a folder: its Markdown, or nothing."""
    path = pathlib.Path("results", "figures", f"{table.name.replace('/', '_')}.png")
    try:
        drawn = _draw(table, found, folder / path, illustrations.LIMIT)
    except UserError as error:
        print(f"{table.name} is not drawn: {error}", file=sys.stderr)
        return ""
    return _shown(table, found, path.as_posix()) if drawn else ""


def _draw(
    table: Table, found: dict[str, list[Result]], path: pathlib.Path, limit: int | None = None
) -> pathlib.Path | None:
    if table.figure is None or not any(r[0].folders for r in found.values() if r):
        return None
    illustrations.save(table.figure(found, table.columns), path, limit)
    return path


def _shown(table: Table, found: dict[str, list[Result]], address: str) -> str:
    """A picture and what it is made of."""
    return f"![{table.title}]({address})\n\nRuns drawn: {illustrations.caption(found)}."
