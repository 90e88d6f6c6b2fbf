"""The toy tables in the catalogue, and finished runs made by hand."""

import json
import pathlib

import pytest
from toy_tables import FIRST, SECOND

from zoo.papers import catalog, tasks


@pytest.fixture
def toy_tables(monkeypatch):
    """The catalogue holds the two toy tables alone."""
    monkeypatch.setattr(catalog, "tables", lambda: {t.name: t for t in (FIRST, SECOND)})
    return FIRST, SECOND


@pytest.fixture
def finish():
    """Makes the folder of a finished run by hand."""

    def make(task: tasks.Task, steps: int = 60, **scores: float) -> None:
        gin_file, bindings = task.run.config(task.budget, task.seed)
        task.folder.mkdir(parents=True)
        text = pathlib.Path(gin_file).read_text() + "\n" + "\n".join(bindings)
        (task.folder / "config.gin").write_text(text)
        table = {name: {"score": score} for name, score in scores.items()}
        (task.folder / "scores.json").write_text(json.dumps(table))
        facts = {"steps": steps, "batch_size": 16, "precision": "float32", "dataset": "toy"}
        facts["finished"] = f"2024-01-{task.seed + 1:02d} 10:00:00"
        (task.folder / "manifest.json").write_text(json.dumps(facts))
        (task.folder / "DONE").touch()

    return make
