"""Several runs side by side on one page: what they differ in, their scores, curves and pictures."""

import math
import os
import pathlib
import urllib.parse
from collections.abc import Mapping, Sequence

import numpy as np

from zoo import config, gin_files, runs
from zoo.drawing import charts
from zoo.errors import UserError
from zoo.files import require_no_folder
from zoo.report import contents, page

# What is shown of a score beside its value.
_BESIDE = ("interval", "seed_std", "chance")


def write(run_dirs: Sequence[str | os.PathLike], out: str | os.PathLike) -> pathlib.Path:
    """Writes the page of several runs.

    Args:
        run_dirs: the folders of the runs, in the order in which the page has them.
        out: the page.

    Returns:
        Its path.

    Raises:
        UserError: a folder is no run or is given twice, or one of its files is damaged.
    """
    out = pathlib.Path(out)
    require_no_folder(out, "runs.html")
    found = _named([pathlib.Path(run) for run in run_dirs])
    scores = {name: run.scored() for name, run in found.items()}
    summaries = {name: run.facts() for name, run in found.items()}
    configs = {name: gin_files.read(run.require_config()) for name, run in found.items()}
    metrics = {name: runs.records(run.path / "metrics.jsonl") for name, run in found.items()}
    reports = {name: run.report / "index.html" for name, run in found.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    return page.write(
        out.parent,
        name=out.name,
        title=f"{len(found)} runs",
        summary={},
        tables=[
            table
            for table in (_facts(summaries), _settings(configs), _scores(scores))
            if table is not None
        ],
        charts_by_title={"Curves": list(charts.compared(metrics).values())},
        figures=_pictures(found),
        links={
            f"Report of {name}": urllib.parse.quote(os.path.relpath(report, out.parent))
            for name, report in reports.items()
            if report.is_file()
        },
    )


def _named(paths: Sequence[pathlib.Path]) -> dict[str, runs.RunFolder]:
    """The runs by their places below the folder that holds all of them."""
    for path in paths:
        if not path.is_dir():
            raise UserError(f"there is no run folder {path}")
    resolved = [path.resolve() for path in paths]
    for path in resolved:
        if resolved.count(path) > 1:
            raise UserError(f"{path} is given twice; name each run once")
    shared = os.path.commonpath([path.parent for path in resolved])
    return {os.path.relpath(path, shared): runs.RunFolder(path) for path in resolved}


def _facts(summaries: Mapping[str, Mapping]) -> page.Table:
    facts = {name: dict(contents.facts(summary)) for name, summary in summaries.items()}
    heads = list(dict.fromkeys(head for row in facts.values() for head in row))
    rows = [[name, *(row.get(head, "–") for head in heads)] for name, row in facts.items()]
    return page.Table("Runs", "", ["", *heads], rows)


def _settings(configs: Mapping[str, str]) -> page.Table | None:
    """The parameters that are not bound to the same value everywhere."""
    bound = {name: config.bindings_of(text) for name, text in configs.items()}
    every = sorted({key for values in bound.values() for key in values})
    # The name of a run says nothing of how it was trained.
    rows = [
        [key, *(values.get(key, "–") for values in bound.values())]
        for key in every
        if key != "train.name" and len({values.get(key) for values in bound.values()}) > 1
    ]
    caption = "A dash: the model of that run has no such parameter."
    return page.Table("Settings that differ", caption, ["", *bound], rows) if rows else None


def _scores(scores: Mapping[str, Mapping[str, Mapping]]) -> page.Table | None:
    """One row per score, one column per run; chance and, from three runs on, median and range.

    The best run is not marked: without a test over seeds, the larger of two numbers says little.
    """
    names = list(dict.fromkeys(score for rows in scores.values() for score in rows))
    if not names:
        return None
    several = len(scores) > 2
    lines = []
    for score in names:
        rows = [contents.parts_of(found.get(score, {})) for found in scores.values()]
        values = [row["score"] for row in rows if contents.is_number(row.get("score"))]
        values = [value for value in values if math.isfinite(value)]
        shown = [contents.score_row(score, row, _BESIDE) for row in rows]
        cells = [_cell(*one.cells[:2], value=one.value) for one in shown]
        if several:
            ends = [contents.number(end(values)) for end in (min, max) if len(values) > 1]
            cells += [contents.number(np.median(values)), " to ".join(ends)] if ends else ["–"] * 2
        chance = next((one.cells[2] for one in shown if one.cells[2]), "–")
        lines.append([shown[0].title, *cells, chance])
    heads = ["", *scores, *(["Median", "Range"] if several else []), "Chance"]
    cells = "".join(cell for line in lines for cell in line)
    notes = {"[": "in brackets the interval over images", "±": "after ± the deviation over seeds"}
    told = ", ".join(note for mark, note in notes.items() if mark in cells)
    return page.Table("Scores", told and f"Beside a value: {told}.", heads, lines)


def _cell(interval: str, deviation: str, value: str) -> str:
    return value + (f" ± {deviation}" if deviation else "") + (f" [{interval}]" if interval else "")


def _pictures(found: Mapping[str, runs.RunFolder]) -> dict[str, dict[str, bytes]]:
    """The pictures of all runs by their names, then by run."""
    pictures: dict[str, dict[str, bytes]] = {}
    for name, run in found.items():
        for stem, content in page.pictures(run).items():
            pictures.setdefault(stem, {})[name] = content
    return page.in_order(pictures)
