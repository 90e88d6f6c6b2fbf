"""Tables as Markdown and CSV: the paper beside ours, with what made each row."""

import pathlib
import sys
from collections.abc import Sequence

from zoo import runs
from zoo.errors import UserError
from zoo.papers import catalog, claims, departures, headlines, illustrations, kept, results
from zoo.papers.claims import Verdict
from zoo.papers.kept import Result
from zoo.papers.spec import PAPER, Column, Published, Row, Table

MARK = "(!)"
LEGEND = (
    f"Mean ± standard deviation over seeds (n - 1). {MARK}: outside two of the paper's standard "
    "deviations, its rounding allowed for. Orders: one-sided Mann-Whitney U test over seeds, or, "
    "marked as paired, exact test of sign flips where the runs of one seed share their data. "
    "Equalities: two one-sided t tests (the 90 % interval of the difference lies within the "
    "margin). Trends: Page's exact test over seeds, their difference is the mean rank correlation. "
    f"*holds* means p <= {claims.LEVEL}. Optimisers have their rates; those of the paper's gin "
    "file are given, too, where they are others. All that reduced runs bind otherwise than that "
    "file, whose comments say what the paper leaves open, is below each table."
)
INTRO = """# Results

What this package makes of the papers' claims and tables. Written by `python -m zoo.reproduce
--results=RESULTS.md` from the numbers of single seeds in `results/`, to which it adds the runs that
are at hand (`--out`). Those of another training, be it a processor's precision, replace them.
"""
RECORDS = "results"
COMPUTED = "none, it is computed"


def write(table: Table, out: pathlib.Path) -> list[pathlib.Path]:
    """Writes `<out>/<table>.md` and `.csv`, and `.png` where it is a figure with runs."""
    found = results.of_table(table, out)
    path = out / table.name
    written = [path.with_name(f"{path.name}.md"), path.with_name(f"{path.name}.csv")]
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = _drawn(table, found, path.with_name(f"{path.name}.png"))
    shown = _shown(table, picture, picture.name) if picture else ""
    runs.write_text(written[0], "# " + markdown(table, found, shown))
    runs.write_text(written[1], kept.as_csv(table, found))
    return [*written, *([picture] if picture else [])]


def write_results(file: pathlib.Path, out: pathlib.Path) -> list[str]:
    """Writes the claims of all papers into a file, and their tables beside it.

    Beside it is the folder `results`: a CSV file a table, to which the runs in `out` are added, a
    Markdown file a paper, and `figures`. A figure of numbers draws the kept ones, too. One that
    cannot be drawn here, for want of its data or of the runs of a row that it shows, stays as it
    was drawn before; so does one that is computed, until it is deleted.

    Args:
        file: what is written.
        out: the folder of all runs.

    Returns:
        The names of the tables that have runs, and of those whose figure needs none.

    Raises:
        UserError: there is no run, and the file may tell of others.
    """
    folder = file.parent / RECORDS
    found = {t.name: results.of_table(t, out, folder) for t in catalog.tables().values()}
    drawn = {name for name in found if (folder / _figure(name)).exists()}
    names = [name for name, rows in found.items() if any(rows.values()) or name in drawn]
    if not names:
        if file.exists():
            raise UserError(
                f"{out} has no finished run of any table, nor has {folder}; {file} is left as it is"
            )
        runs.write_text(file, INTRO + "\nNo run has finished yet.\n")
        return names
    computed = {name for name, table in catalog.tables().items() if table.computed}
    names = [name for name in found if name in {*names, *computed}]
    sections: dict[str, list[str]] = {}
    for name in names:
        table = catalog.tables()[name]
        if any(_is_at_hand(result) for row in found[name].values() for result in row):
            kept.path(table, folder).parent.mkdir(parents=True, exist_ok=True)
            runs.write_text(kept.path(table, folder), kept.as_csv(table, found[name]))
        section = markdown(table, found[name], _illustrate(table, found[name], folder), False)
        sections.setdefault(name.partition("/")[0], []).append("## " + section)
    for paper, texts in sections.items():
        runs.write_text(folder / f"{paper}.md", "\n".join([f"# {paper}\n", LEGEND + "\n", *texts]))
    index = [
        f"- [{name}]({RECORDS}/{name.partition('/')[0]}.md): {catalog.tables()[name].title}"
        for name in names
    ]
    parts = [
        INTRO,
        headlines.markdown(found, RECORDS, sections),
        "## Tables\n",
        "\n".join(index) + "\n",
    ]
    runs.write_text(file, "\n".join(parts))
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
    parts = [f"{table.name}: {table.title}\n"]
    if table.columns or any(found.values()):
        parts.append("\n".join(lines) + "\n")
    if legend:
        parts.append(LEGEND + "\n")
    told = [(name, result) for name, rows in found.items() for result in rows]
    reduced = {
        name: result.facts.differences.split("; ")
        for name, result in told
        if result.budget != PAPER and result.facts.differences
    }
    notes = [
        *table.notes,
        *(f"{row.name}: {row.note}" for row in table.rows if row.note),
        *_superseded(told),
        *_of_several(told),
        *departures.notes(reduced, [row.name for row in table.rows]),
        *_unrecorded(told, [row.name for row in table.rows]),
    ]
    if notes:
        parts.append("\n".join(f"- {note}" for note in notes) + "\n")
    if picture:
        parts.append(picture + "\n")
    if table.claims:
        heads = ("order, equality or trend", "budget", "seeds", "difference", "p", "verdict")
        lines = [_line(heads), _line("---" for _ in heads)]
        lines += [_line(_tested(v)) for v in claims.verdicts(table, found)]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _cells(table: Table, row: Row, result: Result | None) -> list[str]:
    cells = [row.name]
    for column in table.columns:
        cells += [_published(row, column), _ours(row, column, result)]
    if result is None:
        state = "not run" if row.run else "no configuration yet"
        none = ("-" for _ in _discarded(table))
        return [*cells, "0", *none, _optimisers(row, result), state, "", ""]
    discarded = [str(len(result.discarded)) for _ in _discarded(table)]
    date = result.facts.finished[:10]
    made = (_optimisers(row, result), illustrations.budget(result), _command(table, result), date)
    return [*cells, str(len(result.seeds)), *discarded, *made]


def _command(table: Table, result: Result) -> str:
    """What makes these runs again; nothing does where the table's budget is another today."""
    if not results.of_today(result):
        return "none: the table's budget or definition was another then"
    return (
        f"`python -m zoo.reproduce --table={table.name} --budget={result.budget} "
        f"--rows={result.row.name} --seeds={max(result.seeds) + 1}`"
    )


def _optimisers(row: Row, result: Result | None) -> str:
    """Ours, and the paper's where they are others or nothing has been run."""
    if row.run is None:
        return "-"
    published = departures.optimisers(row.run, PAPER)
    if result is None:
        return f"(paper: {published})" if row.run.published else published
    ours = result.facts.optimiser
    return ours if ours == published else f"{ours} (paper: {published})"


def _superseded(told: Sequence[tuple[str, Result]]) -> list[str]:
    """Notes on runs that the present definitions do not make, each line once."""
    rows: dict[str, list[str]] = {}
    for name, result in told:
        if result.facts.superseded:
            rows.setdefault(result.facts.superseded, []).append(f"`{name}`")
    return [f"The runs of {', '.join(names)}: {line}" for line, names in rows.items()]


def _of_several(told: Sequence[tuple[str, Result]]) -> list[str]:
    """A note on rows whose runs are trained on different images of one name."""
    names = dict.fromkeys(f"`{name}`" for name, r in told if kept.AND in r.facts.images)
    return [f"The runs of {', '.join(names)} are of several versions of the data."] if names else []


def _unrecorded(told: Sequence[tuple[str, Result]], rows: Sequence[str]) -> list[str]:
    """A note on runs that do not say which processor trained them."""
    names = list(dict.fromkeys(name for name, result in told if not result.facts.processor))
    of = departures.named(names, rows)
    return [f"The processor was not recorded then, {of}."] if names else []


def _is_at_hand(result: Result) -> bool:
    """Whether there are folders of its runs, or there may be: of discarded ones none is held."""
    return bool(result.folders or (result.discarded and not result.left))


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
        text += f" ± {kept.deviation(values):.{column.decimals}f}"
    if results.outside(values.mean(), row.paper.get(column.name), column):
        text += f" {MARK}"
    return text


def _tested(verdict: Verdict) -> list[str]:
    p, effect = ("-" if x is None else f"{x:.2g}" for x in (verdict.p, verdict.effect))
    counts = ", ".join(map(str, verdict.counts))
    claim = f"{verdict.claim}{' (paired)' * verdict.claim.paired}"
    return [claim, verdict.budget, counts, effect, p, verdict.text]


def _line(cells) -> str:
    return "| " + " | ".join(cells) + " |"


def _illustrate(table: Table, found: dict[str, list[Result]], folder: pathlib.Path) -> str:
    """Draws a table's figure below a folder of results: its Markdown, or nothing."""
    path = _figure(table.name)
    file = folder / path
    picture = None if _stays(table, found, file) else _drawn(table, found, file, True)
    return _shown(table, picture or file, path.as_posix())


def _stays(table: Table, found: dict[str, list[Result]], file: pathlib.Path) -> bool:
    """Whether a picture that is there stays: it is computed, has all there is, or has more."""
    if not file.exists():
        return False
    if table.figure is None or table.computed:
        return True
    shown = illustrations.drawn(found, table.from_numbers, table.first_seed)
    if table.from_numbers:
        fresh = any(result.folders for rows in found.values() for result in rows)
        return not fresh and illustrations.made_of(file) == illustrations.caption(shown, True)
    without = {row.name for row in table.rows if not shown[row.name]}
    lost = illustrations.rows_of(file) & without
    if lost and any(shown.values()):
        names = ", ".join(sorted(lost))
        print(f"{table.name} is not drawn: the runs of {names} are not here", file=sys.stderr)
    return bool(lost)


def _figure(name: str) -> pathlib.Path:
    """Where a table's figure is kept below the folder of results."""
    return pathlib.Path("figures", f"{name.replace('/', '_')}.png")


def _drawn(
    table: Table, found: dict[str, list[Result]], path: pathlib.Path, small: bool = False
) -> pathlib.Path | None:
    """Draws a table's figure: its file, or None where it has none or it cannot be drawn here."""
    shown = illustrations.drawn(found, table.from_numbers, table.first_seed)
    if table.figure is None or not (any(shown.values()) or table.computed):
        return None
    made_of = COMPUTED if table.computed else illustrations.caption(shown, table.from_numbers)
    try:
        figure = table.figure(shown, table.columns)
    except UserError as error:
        print(f"{table.name} is not drawn: {error}", file=sys.stderr)
        return None
    illustrations.save(figure, path, illustrations.LIMIT if small else None, made_of)
    return path


def _shown(table: Table, picture: pathlib.Path, address: str) -> str:
    """A picture, if it is there, and what it is made of."""
    if table.figure is None or not picture.exists():
        return ""
    return f"![{table.title}]({address})\n\nRuns drawn: {illustrations.made_of(picture)}."
