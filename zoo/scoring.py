"""Scoring trained models and arrays: the table, how it is shown, and where it is kept."""

import csv
import io
import json
import pathlib
import zipfile
import zlib
from collections.abc import Mapping, Sequence

import numpy as np
from absl import logging

from zoo import config, data, evaluation, gin_files, runs
from zoo.data.dataset import Dataset
from zoo.drawing import sheets
from zoo.errors import UserError
from zoo.evaluation import arrays, suite
from zoo.evaluation.intervals import LABEL
from zoo.hub import Pretrained, load, package
from zoo.report import page


def score(
    model: str,
    dataset: str | None,
    metrics: str,
    seed: int | Sequence[int] | None,
    chance: bool = False,
    bootstrap: int = 0,
    options: Mapping[str, Mapping] | None = None,
) -> dict[str, dict]:
    """The table of `zoo.evaluation.evaluate` for a pretrained model, an exported folder or a run.

    Args:
        model: as `zoo.load` takes it.
        dataset: a name for `zoo.data.load`; by default the one its training was to be scored on.
        metrics: a suite, or comma-separated scores.
        seed: of everything sampled, or several; None for that of the training, with which the
            scores of a run and of a card are computed.
        chance: whether chance levels are computed, too.
        bootstrap: how many times images are resampled for intervals, 0 for none.
        options: of single scores, in place of those of the training.

    Raises:
        UserError: an unknown model, data set, score or option, a data set without images, or one
            that has other images now than in the training that names it.
    """
    pretrained = load(model)
    card = pretrained.card
    name = dataset or card.get("test_dataset") or card.get("dataset")
    if not name:
        raise UserError(f"the card of {model} names no data set; give one with --dataset")
    loaded = data.load(name)
    if not dataset:
        otherwise = f"--dataset={name} scores on these"
        require_same_images(pretrained, loaded, f"{model}: ", otherwise)
    if seed is None:
        seed = card.get("seed", 0)
    options = _options_as_trained(card, model, suite.names_of(metrics), options or {})
    how = {"seed": seed, "chance": chance, "bootstrap": bootstrap, "options": options}
    return evaluation.evaluate(pretrained, loaded, metrics, **how)


def with_other_options(run_dir: pathlib.Path, options: Mapping[str, Mapping]) -> list[str]:
    """The names of the scores whose options are not those that a run's training has for them."""
    trained = _trained_options(gin_files.read(run_dir / "config.gin")) if options else {}
    return [n for n in options if trained is None or options[n] != trained.get(n, {})]


def _trained_options(text: str) -> dict[str, dict] | None:
    """The options of scores that the config of a training has; None where they are no literal."""
    name = "train.score_options"
    options = config.recorded(text, name)
    if options is None and name in config.bindings_of(text):
        return None
    return options or {}


def _options_as_trained(card: Mapping, of: str, names: Sequence[str], given: Mapping) -> dict:
    """The options of scores that are given, or else those of the training."""
    trained = _trained_options(card.get("config") or "")
    if trained is None and (rest := [name for name in names if name not in given]):
        raise UserError(
            f"only the training of {of} can read its train.score_options; give those of {rest[0]} "
            f"with --options, as in '{{\"{rest[0]}\": {{}}}}'"
        )
    return {name: trained[name] for name in names if name in (trained or {})} | dict(given)


def require_same_images(model: Pretrained, dataset: Dataset, of: str, otherwise: str) -> None:
    """Refuses a data set that is no longer what the scores of a model are of.

    Args:
        model: with its card; where neither that nor the manifest of its run says what the images
            were, they are not compared.
        dataset: what its scores were computed on, as it is now.
        of: whose card it is, for the message.
        otherwise: what else can be done.

    Raises:
        UserError: it has other images.
    """
    before, now = _fingerprint(model.card), dataset.fingerprint
    run = runs.RunFolder(model.path.parent)
    if before is None and run.saved_model == model.path:
        # Cards of older runs have none.
        before = _fingerprint(run.facts())
    if before not in (None, now):
        raise UserError(
            f"{of}{dataset.name} has other images now than in its training (fingerprint {before}, "
            f"now {now}); restore them, or {otherwise}"
        )


def _fingerprint(facts: Mapping) -> str | None:
    """Of the images that a model was to be scored on, by its card or manifest."""
    tested = facts.get("test_dataset") or facts.get("dataset")
    known = facts.get("test_dataset_fingerprint")
    # At first that of the training was kept alone; other names have other fingerprints.
    return known or (facts.get("dataset_fingerprint") if tested == facts.get("dataset") else None)


def read_arrays(path: str) -> dict[str, np.ndarray]:
    """The arrays of an npz file by name; a UserError where it is none."""
    if not pathlib.Path(path).is_file():
        raise UserError(f"there is no file {path}")
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path} is no npz file: write one by numpy.savez(path, codes=codes, ...)")
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        why = str(error).partition("\n")[0]
        raise UserError(f"{path} holds what is no array of numbers: {why}") from error


def flat(table: Mapping[str, Mapping], step: int | None = None) -> dict[str, dict]:
    """A table as JSON values, one object a score with its parts beside the headline number.

    Numbers that are not finite are None.

    Args:
        table: as `zoo.evaluation.evaluate` returns it.
        step: of the run whose model was scored, which every row keeps; None where it is not known.
    """
    of_step = {} if step is None else {"step": step}
    rows = {
        name: {**row["parts"], **{key: row[key] for key in row if key != "parts"}, **of_step}
        for name, row in table.items()
    }
    return json.loads(json.dumps(rows, default=arrays.plain), parse_constant=lambda _: None)


def text(table: Mapping[str, Mapping]) -> str:
    """A flat table as JSON, one line per score."""
    lines = (f"{json.dumps(name)}: {json.dumps(row)}" for name, row in table.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def csv_text(table: Mapping[str, Mapping]) -> str:
    """The headline numbers as comma-separated values, one row per score; empty where left out."""
    columns = ["score", "reason", "seconds", "encoding_seconds"]
    columns += [key for key in ("chance", "seed_std") if _has(key, table)]
    with_interval = _has("interval", table)
    ends = ["interval_low", "interval_high", "interval_reason"] if with_interval else []
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(("name", *columns, *ends))
    for name, row in table.items():
        cells = [row[column] for column in columns]
        if with_interval:
            cells += [*(row["interval"] or (None, None)), row["interval_reason"]]
        writer.writerow((name, *cells))
    return lines.getvalue()


def write(path: pathlib.Path, table: Mapping[str, Mapping]) -> None:
    """Writes a table: headline numbers if the file is to end with `.csv`, else all as JSON."""
    as_csv = path.suffix.lower() == ".csv"
    runs.write_text(path, csv_text(table) if as_csv else text(flat(table)))


def write_page(path: pathlib.Path, table: Mapping[str, Mapping], summary: Mapping) -> None:
    """Writes a page that needs nothing but itself: scores, their matrices, their parts.

    Args:
        path: of the page.
        table: what it shows.
        summary: what was scored, as `zoo.report.page.write` takes it.
    """
    title = f"Scores of {summary.get('dataset') or summary.get('model')}"
    page.write(path.parent, title=title, summary=summary, scores=flat(table), name=path.name)


def headline(table: Mapping[str, Mapping]) -> dict[str, float]:
    """The headline number of every score that could be computed."""
    return {name: row["score"] for name, row in table.items() if row["score"] is not None}


def broken(table: Mapping[str, Mapping]) -> list[str]:
    """The names of the scores that failed by a defect, whose traceback has been shown."""
    return [name for name, row in table.items() if "traceback" in row["parts"]]


def keep(run_dir: pathlib.Path, table: Mapping[str, Mapping]) -> None:
    """Adds a table to a run: its scores.json, the card of its model, and its report.

    A score that has no value by its reason replaces what was there, and leaves the card; one that
    failed by a defect, out of memory say, leaves what was there. Both are said.
    """
    with runs.opened(run_dir) as folder:
        before = folder.scored()
        exported = folder.saved_model.is_dir()
        card = package.read_card(folder.saved_model) if exported else {}
        there = {name for name, row in before.items() if row.get("score") is not None}
        if failed := [name for name in broken(table) if name in {*there, *card.get("scores", {})}]:
            logging.warning("%s failed: what %s has of it stays", ", ".join(failed), run_dir)
        table = {name: row for name, row in table.items() if name not in failed}
        step = card.get("selected_step") or card.get("steps")
        runs.write_text(folder.scores, text({**before, **flat(table, step)}))
        if exported:
            on_card = card.get("scores", {})
            for name in on_card:
                if name in table and table[name]["score"] is None:
                    why = table[name]["reason"]
                    logging.warning("%s has no value now and leaves the card: %s", name, why)
            kept = {name: score for name, score in on_card.items() if name not in table}
            card["scores"] = {**kept, **headline(table)}
            package.seal(folder.saved_model, card)
            _draw_traversals(folder)
        page.write_from_run(folder.path)


def _draw_traversals(folder: runs.RunFolder) -> None:
    """Draws the traversals of a run's model, ordered by posterior variance."""
    model = load(folder.saved_model)
    dataset = data.load(model.card["dataset"])
    slotted = hasattr(model.model, "slot_images")
    if slotted or len(model.image_shape) != 3 or not hasattr(model.model, "posterior"):
        return
    picture = model.traversals(dataset.whole.images[dataset.some(256)])
    sheets.write(folder.images / "traversals_by_variance.png", picture)


def show(table: Mapping[str, Mapping]) -> None:
    """Prints a table; scores that could not be computed with their reason."""
    import rich.console
    import rich.table

    columns = {"value": lambda row: _digits(row["score"])}
    if _has("interval", table):
        columns["95 % interval"] = _interval
    if _has("seed_std", table):
        columns["seed std"] = lambda row: _digits(row["seed_std"])
    if _has("chance", table):
        columns["chance"] = lambda row: _digits(row["chance"])
    columns["seconds"] = lambda row: f"{row['seconds']:.1f}"
    shown = rich.table.Table("score", *columns)
    for column in range(1, 1 + len(columns)):
        shown.columns[column].justify, shown.columns[column].no_wrap = "right", True
    for name, row in table.items():
        note = row["reason"] or row.get("chance_reason") or row.get("interval_reason")
        # The first note adds a column for all.
        shown.add_row(name, *(cell(row) for cell in columns.values()), *([note] if note else []))
    total = sum(row["seconds"] for row in table.values())
    encoding = sum(row["encoding_seconds"] for row in table.values())
    shown.caption = f"{total:.1f} s" + (f", and {encoding:.1f} s of encoding" if encoding else "")
    if _has("interval", table):
        shown.caption += f"; intervals: {LABEL}"
    # Reasons hold lists, which markup would take for its own.
    rich.console.Console(markup=False, emoji=False).print(shown)


def _interval(row: Mapping) -> str:
    return " to ".join(map(_digits, row["interval"])) if row["interval"] else "-"


def _digits(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _has(key: str, table: Mapping[str, Mapping]) -> bool:
    return any(key in row for row in table.values())
