"""The explorer of models that are named: loads them, describes them, writes the page."""

import pathlib
from collections.abc import Sequence

from absl import logging

from zoo import hub, runs
from zoo.errors import UserError
from zoo.explorer import contents, page
from zoo.files import require_no_folder
from zoo.report import page as report

# Beside the report of a run, which links to it.
NAME = report.EXPLORER


def place(models: Sequence[str]) -> pathlib.Path:
    """Where the page of one run goes.

    Raises:
        UserError: several models, or one that is no run.
    """
    run = pathlib.Path(models[0])
    if len(models) > 1 or not runs.RunFolder(run).config.is_file():
        raise UserError("give --out, the page to write: it is left out for a single run only")
    return runs.RunFolder(run).report / NAME


def make(models: Sequence[str], out: pathlib.Path, megabytes: float) -> int:
    """Writes the page of some models; that of a run also links to it from then on.

    Args:
        models: as `zoo.hub.load` takes them.
        out: the page.
        megabytes: see `contents.of_model`.

    Returns:
        The size of the page in bytes.

    Raises:
        UserError: a model that there is not, or that cannot be shown.
    """
    require_no_folder(out, "page.html")
    described = []
    for name in models:
        logging.info("%s: loading and describing it", name)
        described.append(contents.of_model(hub.load(name), megabytes))
    page.write(out, _told_apart(described, models))
    run = runs.RunFolder(out.parent.parent)
    if out.name == NAME and out.parent == run.report and run.config.is_file():
        report.write_from_run(run.path)
    return out.stat().st_size


def _told_apart(described: Sequence[dict], models: Sequence[str]) -> list[dict]:
    """The models with names that say which is which: what was typed stands behind equal ones."""
    names = [one["name"] for one in described]
    shown = [
        f"{name} ({typed})" if names.count(name) > 1 and typed != name else name
        for name, typed in zip(names, models, strict=True)
    ]
    return [{**one, "name": name} for one, name in zip(described, shown, strict=True)]
