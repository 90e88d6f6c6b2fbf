"""The report of a run: one HTML page that needs nothing but itself.

Pictures are inlined, there are no scripts, and a content security policy keeps the page from
asking any server for anything.
"""

import base64
import io
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

import jinja2
import numpy as np
from absl import logging
from markupsafe import Markup
from PIL import Image

from zoo import runs
from zoo.drawing import charts, palette, sheets
from zoo.errors import UserError
from zoo.evaluation.intervals import LABEL
from zoo.files import atomic
from zoo.report import contents

# How many runs of the same folder a report is compared with.
_NEIGHBOURS = 50
# The page of `zoo.explore` beside a report.
EXPLORER = "explorer.html"
_EXPLORE = "Explore the model: sliders for its latents, your own pictures"
# What a figure is given as: a PNG file, pixels, or SVG text.
Figure: TypeAlias = bytes | np.ndarray | str
CAPTIONS = {
    "reconstructions": "Images, and below each its reconstruction.",
    "traversals": "One code with each latent varied in turn, the most informative latent first.",
    "traversals_by_variance": "The same, the latent of the smallest posterior variance first.",
    "dto_against_ds": "Runs beside this one that have both scores, at most the newest 50.",
    "slot_images": "Images, their reconstructions, and the part that each slot draws.",
    "slot_attention": "Which slot draws each pixel.",
    "slot_jacobian": "How strongly each slot changes each pixel, on one scale per image.",
}


class Picture(NamedTuple):
    """One figure of the page: a caption, the markup, and its natural width."""

    caption: str
    markup: Markup
    width: int


class Section(NamedTuple):
    """Figures below one heading: the heading, what all of them are, and the figures."""

    title: str
    caption: str
    pictures: Sequence[Picture]


class Table(NamedTuple):
    """A table of texts: a heading, a caption, the heads of its columns, its rows.

    What follows a line break in a cell is set small below it.
    """

    title: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def write(
    folder: str | os.PathLike,
    *,
    title: str,
    summary: Mapping,
    config: str = "",
    metrics: Sequence[Mapping] = (),
    scores: Mapping[str, Mapping | float] | None = None,
    figures: Mapping[str, Figure | Mapping[str, Figure]] | None = None,
    load: str | None = None,
    links: Mapping[str, str] | None = None,
    name: str = "index.html",
    tables: Sequence[Table] = (),
    charts_by_title: Mapping[str, Sequence[str]] | None = None,
) -> pathlib.Path:
    """Writes `folder/index.html`, a self-contained page. What is empty or missing is left out.

    Args:
        folder: where the page goes; made if absent.
        title: the heading.
        summary: what is known of the run, as in `manifest.json`: model, dataset, seed, steps,
            batch_size, date, images_per_s, timings (train_s), versions, factors and latents of the
            data (their names).
        config: the operative gin config.
        metrics: the rows of `metrics.jsonl`.
        scores: by name what an evaluation function returns, `score` and its parts; or a row of
            `zoo.evaluation.evaluate`, or a number.
        figures: pictures by name in their order: PNG files, `[H, W, 3]` uint8 arrays, or the SVG
            text of `zoo.drawing.charts`, which is trusted; or several of these by caption, which
            stand side by side.
        load: the path of the run; names it in the code that loads it.
        links: addresses of other pages, by their text.
        name: of the file, another one for a page that is not alone in its folder.
        tables: tables of texts, above all else.
        charts_by_title: sections of charts as SVG text, which is trusted, below them.

    Returns:
        The path of the page.
    """
    scores = {score: contents.parts_of(row) for score, row in (scores or {}).items()}
    metrics = sorted({row["step"]: row for row in metrics}.values(), key=lambda row: row["step"])
    names = contents.names_of_axes(summary, metrics, scores)
    maps = contents.heat_maps(scores, names)
    beside = contents.score_columns(scores)
    sections = {**(charts_by_title or {}), "Training": list(charts.curves(metrics).values())}
    manifest = json.dumps(dict(summary), indent=2, ensure_ascii=False, default=str)
    page = _template().render(
        light=palette.LIGHT,
        dark=palette.DARK,
        title=title,
        facts=contents.facts(summary),
        tiles=contents.key_figures(summary, metrics, scores),
        sections=[_section(*figure) for figure in (figures or {}).items()],
        texts=tables,
        charts={title: [_inline(svg) for svg in drawn] for title, drawn in sections.items()},
        maps=[Picture("", _inline(svg), _width(svg)) for svg in maps],
        beside=list(beside.values()),
        interval_label=LABEL if "interval" in beside else "",
        scores=[contents.score_row(*score, list(beside)) for score in scores.items()],
        tables=contents.part_tables(scores, names),
        config=config.strip("\n"),
        manifest=manifest if summary else "",
        links=links or {},
        load=[json.dumps(p, ensure_ascii=False) for p in (load, f"{load}/saved_model") if load],
    )
    path = pathlib.Path(folder) / name
    with atomic(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def write_from_run(run_dir: str | os.PathLike) -> pathlib.Path:
    """Writes `run_dir/report/index.html` of what the run folder holds.

    Reads `manifest.json`, `config.gin`, `metrics.jsonl`, `scores.json` and the pictures
    `images/*.png`: reconstructions, traversals, then the others by name. One of the files is there;
    all else is optional. A damaged picture is left out, with a warning.

    Returns:
        The path of the page.

    Raises:
        UserError: there is no such folder, it is that of no run, or one of its JSON files is
            damaged.
    """
    run = pathlib.Path(run_dir)
    if not os.path.isdir(run):
        raise UserError(f"there is no run folder {run}")
    folder = runs.RunFolder(run)
    parts = (folder.manifest, folder.config, folder.metrics, folder.scores)
    if not any(part.is_file() for part in parts):
        named = ", ".join(part.name for part in parts)
        raise UserError(f"{run} is not the folder of a run: it holds none of {named}")
    manifest = folder.facts()
    config = run / "config.gin"
    figures = pictures(folder)
    if neighbours := _dto_against_ds(run.resolve().parent):
        figures["dto_against_ds"] = neighbours
    return write(
        run / "report",
        title=str(manifest.get("name") or run.resolve().name),
        summary=manifest,
        config=config.read_text(encoding="utf-8", errors="replace") if config.is_file() else "",
        metrics=runs.records(run / "metrics.jsonl"),
        scores=folder.scored(),
        figures=figures,
        load=run.resolve().as_posix() if (run / "saved_model").is_dir() else None,
        links={_EXPLORE: EXPLORER} if (folder.report / EXPLORER).is_file() else {},
    )


def pictures(run: runs.RunFolder) -> dict[str, bytes]:
    """The PNG files in `images` by name, in the order of `CAPTIONS`, then by name.

    What is no PNG or a damaged one is left out, with a warning.
    """
    found = {}
    for path in sorted(run.images.glob("*.png")):
        try:
            with Image.open(path, formats=["PNG"]) as image:
                image.verify()
            found[path.stem] = path.read_bytes()
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            logging.warning("the report leaves out %s, which is no readable PNG: %s", path, error)
    return in_order(found)


def in_order(pictures: Mapping) -> dict:
    """Pictures by name in the order of `CAPTIONS`, then by name."""
    order = [*CAPTIONS, *sorted(pictures)]
    return {name: pictures[name] for name in sorted(pictures, key=order.index)}


def _dto_against_ds(folder: pathlib.Path) -> str | None:
    """DtO against DS, one point per run of a folder; None where fewer than two have both.

    Of many runs only the newest are read: each of hundreds of seeds would read all others.
    """
    points = []
    newest = sorted(folder.glob("*/scores.json"), key=_modified, reverse=True)
    for path in sorted(newest[:_NEIGHBOURS]):
        try:
            run = runs.RunFolder(path.parent)
            scores, name = run.scored(), run.facts().get("name")
        except (UserError, OSError) as error:
            # A run depends on no other.
            logging.warning("the report leaves out a neighbouring run: %s", error)
            continue
        rows = (scores.get(k) for k in ("dto", "disentanglement_score"))
        pair = [contents.parts_of(row).get("score") for row in rows if row is not None]
        if len(pair) == 2 and all(isinstance(score, int | float) for score in pair):
            points.append((*pair, str(name or path.parent.name)))
    if len(points) < 2:
        return None
    dto, ds, groups = zip(*points, strict=True)
    return charts.scatter(dto, ds, title="DtO against DS", groups=groups)


def _modified(path: pathlib.Path) -> float:
    """When a file was written; 0 for one that has gone since it was listed."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("template.html")


def _section(name: str, figure: Figure | Mapping[str, Figure]) -> Section:
    title = name.replace("_", " ").strip().capitalize()
    caption = CAPTIONS.get(name, "")
    if isinstance(figure, Mapping):
        return Section(title, caption, [_picture(title, *one) for one in figure.items()])
    return Section(title, "", [_picture(title, caption, figure)])


def _picture(title: str, caption: str, figure: Figure) -> Picture:
    if isinstance(figure, str):
        return Picture(caption, _inline(figure), _width(figure))
    content = figure if isinstance(figure, bytes) else sheets.png(figure)
    with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
        width, height = image.size
    data = base64.b64encode(content).decode()
    markup = Markup('<img src="data:image/png;base64,{}" width="{}" height="{}" alt="{}">')
    return Picture(caption, markup.format(data, width, height, title), width)


def _width(svg: str) -> int:
    return int(svg.split(' width="', 1)[1].split('"', 1)[0])


def _inline(svg: str) -> Markup:
    """HTML knows SVG by its tag; without the namespace the page names no address at all."""
    return Markup(svg.replace(' xmlns="http://www.w3.org/2000/svg"', "", 1))
