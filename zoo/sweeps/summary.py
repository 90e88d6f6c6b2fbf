"""What a sweep writes: a table of all runs as CSV, medians as Markdown, and a page with charts."""

import collections
import csv
import dataclasses
import io
import math
import pathlib
from collections.abc import Sequence

import numpy as np
import scipy.stats
from absl import logging

from zoo import runs
from zoo.drawing import charts, strengths
from zoo.drawing.palette import SERIES
from zoo.errors import UserError
from zoo.report import contents, page
from zoo.scheduling.jobs import Job
from zoo.sweeps import comparisons
from zoo.sweeps.comparisons import UDR
from zoo.sweeps.grid import PRECISION, Axis, Point, Sweep

_COVERAGE = 0.95


@dataclasses.dataclass(frozen=True)
class Row:
    """A finished run: where it stands, and its scores by name."""

    point: Point
    seed: int
    scores: dict[str, float]


def agreements(sweep: Sweep) -> list[Job]:
    """The comparisons of the finished seeds of each point, where there are two at least."""
    found = []
    for point in sweep.points():
        folders = [sweep.folder(point, seed) for seed in range(sweep.seeds)]
        bindings = (*sweep.bindings, *point.bindings)
        found.append(comparisons.job(f"{point.name} UDR", folders, sweep.gin_files, bindings))
    return list(filter(None, found))


def read(sweep: Sweep) -> list[Row]:
    """The finished runs."""
    rows = []
    for point in sweep.points():
        folders = {seed: sweep.folder(point, seed) for seed in range(sweep.seeds)}
        done = {seed: folder for seed, folder in folders.items() if (folder / "DONE").exists()}
        udr = comparisons.udr(list(done.values()))
        for seed, folder in done.items():
            try:
                table = runs.RunFolder(folder).scored()
            except UserError as error:
                logging.warning("the sweep's tables leave out the scores of a run: %s", error)
                table = {}
            scores = {name: row.get("score") for name, row in table.items()}
            scores[UDR] = udr.get(folder.name)
            known = {n: float(s) for n, s in scores.items() if isinstance(s, int | float)}
            rows.append(Row(point, seed, known))
    return rows


def write(sweep: Sweep) -> list[pathlib.Path]:
    """Writes `sweep.csv`, `sweep.md` and `index.html` into the folder of a sweep."""
    rows = read(sweep)
    found = dict.fromkeys(name for row in rows for name in row.scores)
    names = sorted(found, key=lambda name: name == UDR)
    paths = [sweep.out / name for name in ("sweep.csv", "sweep.md", "index.html")]
    runs.write_text(paths[0], as_csv(sweep, rows, names))
    runs.write_text(paths[1], markdown(sweep, rows, names))
    _write_page(sweep, rows, names)
    return paths


def as_csv(sweep: Sweep, rows: Sequence[Row], names: Sequence[str]) -> str:
    """One line per run: its values, its seed, its scores."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*(axis.name for axis in sweep.axes), "seed", *names])
    for row in rows:
        scores = (row.scores.get(name, "") for name in names)
        writer.writerow([*row.point.values.values(), row.seed, *scores])
    return text.getvalue()


def markdown(sweep: Sweep, rows: Sequence[Row], names: Sequence[str]) -> str:
    """One line per point: the median over its seeds of each score, with its interval."""
    heads = [*(axis.name for axis in sweep.axes), "seeds", *names]
    lines = [_line(heads), _line("---" for _ in heads)]
    lines += [_line(cells) for cells in _cells(sweep, rows, names)]
    files, bound = ", ".join(sweep.gin_files), "; ".join(sweep.bindings)
    return "\n".join(
        [
            f"# Sweep of {', '.join(axis.name for axis in sweep.axes)}\n",
            f"{files}{f' with {bound}' if bound else ''}; seeds per point: {sweep.seeds}.\n",
            *lines,
            "",
            notes(sweep),
            "",
        ]
    )


def notes(sweep: Sweep) -> str:
    """What stands below the table: its legend, precisions that differ, why points lack a UDR."""
    found = [legend(sweep)]
    begun = sweep.precisions(sweep.points()).items()
    counts = collections.Counter(name for f, name in begun if name and (f / "DONE").exists())
    if len(counts) > 1 and PRECISION not in (axis.name for axis in sweep.axes):
        listed = ", ".join(f"{count} in {name}" for name, count in counts.items())
        found.append(f"The runs began in different precisions: {listed}.")
    for point in sweep.points():
        folders = [sweep.folder(point, seed) for seed in range(sweep.seeds)]
        if why := comparisons.why_not(folders):
            found.append(f"No UDR of {point.name}: {why}.")
    return " ".join(found)


def legend(sweep: Sweep) -> str:
    """What the numbers of the table are."""
    if sweep.seeds == 1:
        return "Scores of one seed each; more seeds give medians and their intervals."
    coverage = median_interval(np.arange(float(sweep.seeds)))[2]
    return (
        "Median over seeds; in brackets an interval for it from order statistics, which assumes "
        f"nothing about the distribution. With {sweep.seeds} seeds it covers the true median with "
        f"probability {coverage:.3g}, and with fewer scores with another."
    )


def median_interval(values: np.ndarray) -> tuple[float, float, float]:
    """The interval of the population's median between two order statistics, and its coverage.

    [x_(k), x_(n+1-k)] covers it with probability 1 - 2 P(B < k), B binomial of n and 1/2, whatever
    the distribution; k is the largest with 95 % at least, and 1 where even the extremes have less.

    Args:
        values: `[n]`, n >= 1.
    """
    ordered = np.sort(np.asarray(values, float))
    n = len(ordered)
    k = max(1, int(scipy.stats.binom.ppf((1 - _COVERAGE) / 2, n, 0.5)))
    while k > 1 and 1 - 2 * scipy.stats.binom.cdf(k - 1, n, 0.5) < _COVERAGE:
        k -= 1
    coverage = max(0.0, 1 - 2 * float(scipy.stats.binom.cdf(k - 1, n, 0.5)))
    return float(ordered[k - 1]), float(ordered[n - k]), coverage


def number(axis: Axis) -> list[float] | None:
    """The values of an axis as numbers; None where one is none."""
    try:
        found = [float(value) for value in axis.values]
    except ValueError:
        return None
    return found if all(map(math.isfinite, found)) else None


def _cells(sweep: Sweep, rows: Sequence[Row], names: Sequence[str]) -> list[list[str]]:
    lines = []
    for point in sweep.points():
        here = [row for row in rows if row.point == point]
        cells = [_shown([r.scores[name] for r in here if name in r.scores]) for name in names]
        lines.append([*point.values.values(), str(len(here)), *cells])
    return lines


def _shown(values: Sequence[float]) -> str:
    if not values:
        return "-"
    if len(values) == 1:
        return f"{values[0]:.3g}"
    low, high, _ = median_interval(np.array(values))
    return f"{np.median(values):.3g} [{low:.3g}, {high:.3g}]"


def _write_page(sweep: Sweep, rows: Sequence[Row], names: Sequence[str]) -> None:
    drawn = {}
    for axis in sweep.axes:
        places = number(axis) or axis.values
        drawn[f"Scores against {axis.name}"] = [
            strengths.chart(
                places, _by_value(axis, rows, name), title=contents.title(name), x_label=axis.name
            )
            for name in names
        ]
    pairs = [row for row in rows if UDR in row.scores and "mig" in row.scores]
    if len(pairs) > 1:
        drawn["UDR against MIG"] = [
            charts.scatter(
                np.array([row.scores["mig"] for row in pairs]),
                np.array([row.scores[UDR] for row in pairs]),
                title="One point per run",
                x_label="MIG",
                y_label="UDR",
                groups=_groups(sweep, pairs),
            )
        ]
    heads = [*sweep.names, "seeds", *map(contents.title, names)]
    cells = [[cell.replace(" [", "\n[") for cell in line] for line in _cells(sweep, rows, names)]
    summary = {"runs": f"{len(rows)} of {len(sweep.points()) * sweep.seeds}"}
    page.write(
        sweep.out,
        title=f"Sweep of {', '.join(axis.name for axis in sweep.axes)}",
        summary={**summary, "gin_files": list(sweep.gin_files), "bindings": list(sweep.bindings)},
        charts_by_title=drawn,
        tables=[page.Table("Scores", notes(sweep), heads, cells)],
    )


def _groups(sweep: Sweep, rows: Sequence[Row]) -> list[str]:
    """What the colours of points tell: all values of a run, or those of one axis if they are many.

    It is the axis of most values that there are colours for; with none there is one colour.
    """
    if len(sweep.points()) <= len(SERIES):
        return [row.point.name for row in rows]
    told = [axis for axis in sweep.axes if len(axis.values) <= len(SERIES)]
    if not told:
        return [""] * len(rows)
    axis = max(told, key=lambda axis: len(axis.values))
    return [f"{axis.name} = {row.point.values[axis.name]}" for row in rows]


def _by_value(axis: Axis, rows: Sequence[Row], name: str) -> list[list[float]]:
    """A score of all runs, a list for each value of an axis."""
    known = [(row.point.values[axis.name], row.scores[name]) for row in rows if name in row.scores]
    return [[score for value, score in known if value == wanted] for wanted in axis.values]


def _line(cells) -> str:
    return "| " + " | ".join(cells) + " |"
