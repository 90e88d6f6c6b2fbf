"""Files of a run or of the hub that were damaged: one line that names them, at every reader."""

import contextlib
import io
import json
import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

import zoo
from zoo import files, runs
from zoo.drawing import sheets
from zoo.errors import UserError
from zoo.hub import places, registry
from zoo.report import comparison, page
from zoo.training import selection

DAMAGES = {
    "not utf-8": b'{"name": "\xff"}',
    "half": b'{"name": "a", "steps": ',
    "empty": b"",
    "a list": b"[1, 2]",
    "null": b"null",
    "deep": 100_000 * b"[",
    "a number": b"1" + 5000 * b"0",
    "zeros": bytes(100),
}


@pytest.fixture
def folder(tmp_path) -> runs.RunFolder:
    """A run's folder with nothing but small files."""
    folder = runs.RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.config.write_text("train.steps = 3\n")
    folder.manifest.write_text('{"name": "a", "machine": {}}')
    folder.scores.write_text('{"mig": {"score": 0.5}}')
    folder.metrics.write_text('{"step": 1, "loss": 2.0}\n')
    return folder


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_json_file_is_named(damage, folder):
    readers = {
        folder.manifest: [folder.facts, lambda: folder.describe(a=1)],
        folder.scores: [folder.scored, lambda: page.write_from_run(folder.path)],
    }
    for path, calls in readers.items():
        before = path.read_bytes()
        path.write_bytes(DAMAGES[damage])
        for call in calls:
            with pytest.raises(UserError) as caught:
                call()
            line = str(caught.value)
            assert str(path) in line and "\n" not in line and "restore" in line
        assert path.read_bytes() == DAMAGES[damage]
        path.write_bytes(before)


PICTURES = {
    "a JPEG": lambda content: _jpeg(),
    "cut off": lambda content: content[:-60],
    "half of its header": lambda content: content[:20],
    "another byte": lambda content: content[:60] + b"?" + content[61:],
    "empty": lambda content: b"",
    "zeros": lambda content: bytes(len(content)),
}


def _jpeg() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (8, 8)).save(content, "JPEG")
    return content.getvalue()


@pytest.mark.parametrize("damage", [*PICTURES, "a folder"])
def test_reports_leave_out_damaged_pictures_and_name_them(damage, folder, caplog):
    folder.images.mkdir()
    picture, broken = folder.images / "reconstructions.png", folder.images / "traversals.png"
    picture.write_bytes(sheets.png(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)))
    if damage == "a folder":
        broken.mkdir()
    else:
        broken.write_bytes(PICTURES[damage](picture.read_bytes()))
    other = shutil.copytree(folder.path, folder.path.with_name("other"))
    pages = [
        page.write_from_run(folder.path),
        comparison.write([folder.path, other], folder.path.with_name("both.html")),
    ]
    for number, written in enumerate(pages, 1):
        text = written.read_text()
        assert text.count("<img ") == number and "Traversals" not in text
    left_out = [record.getMessage() for record in caplog.records]
    for path, times in ((broken, 2), (other / "images" / "traversals.png", 1)):
        assert sum(f"leaves out {path}, " in line for line in left_out) == times
    assert len(left_out) == 3 and not any("\n" in line for line in left_out)


@pytest.mark.parametrize("facts", [{"machine": 3}, {"dataset": []}, {"timings": "x"}])
def test_a_manifest_of_another_form_is_named(facts, folder):
    folder.manifest.write_text(json.dumps(facts))
    with pytest.raises(runs.RunError, match="manifest.json is damaged: its "):
        folder.facts()


def test_scores_that_are_no_rows_are_named(folder):
    folder.scores.write_text('{"mig": 0.5}')
    with pytest.raises(runs.RunError, match="its mig is 0.5; delete it and score again"):
        folder.scored()
    spaced = runs.RunFolder(folder.path / "a run")
    spaced.path.mkdir()
    spaced.scores.write_text('{"mig": 0.5}')
    with pytest.raises(runs.RunError, match="--run='.*/a run'"):
        spaced.scored()


def test_a_damaged_config_is_named(folder):
    folder.config.write_bytes(b"train.steps = 3 # \xff\n")
    with pytest.raises(UserError, match="config.gin is damaged: byte 18"):
        folder.claim("train.steps = 3\n")


def test_the_record_of_a_selection(tmp_path):
    record = tmp_path / "best.json"
    assert selection._value(record) == -np.inf
    for text in ("", "{}", '{"value": "x"}', "[3]"):
        record.write_text(text)
        with pytest.raises(files.FileError, match="best.json is damaged"):
            selection._value(record)


@pytest.mark.parametrize("name", ["checkpoints", "images", "report", "tensorboard"])
def test_a_file_where_a_folder_belongs_is_found_at_once(name, folder):
    (folder.path / name).write_text("")
    with pytest.raises(runs.RunError, match=f"{name} is a file, and a run has a folder there"):
        with runs.opened(folder.path):
            pass


@pytest.mark.parametrize("name", ["config.gin", "manifest.json", "metrics.jsonl", "DONE"])
def test_a_folder_where_a_file_belongs_is_found_at_once(name, folder):
    with contextlib.suppress(FileNotFoundError):
        (folder.path / name).unlink()
    (folder.path / name).mkdir()
    with pytest.raises(runs.RunError, match=f"{name} is no file, and a run has one there"):
        with runs.opened(folder.path):
            pass


@pytest.mark.parametrize("path", [5000 * "x", "a\0b", "/proc/nothing/run"])
def test_a_path_that_cannot_be_is_one_line(path):
    with pytest.raises(UserError):
        runs.RunFolder(pathlib.Path(path)).facts() or runs.opened(path).__enter__()


@pytest.mark.parametrize("given", [None, 3, 5000 * "x", "a\0b", "~nobody_of_that_name/x", ""])
def test_what_is_no_model_is_one_line(given):
    with pytest.raises(UserError) as caught:
        zoo.load(given)
    assert len(str(caught.value)) < 1500 and "\n" not in str(caught.value)


_FILES = {"a": {"sha256": 64 * "0", "size": 1}}


@pytest.mark.parametrize(
    "content",
    [
        [],
        {"models": []},
        {"models": None},
        {"models": {"a": []}},
        {"models": {"a": "1.0"}},
        {"models": {"a": {"1.0": None}}},
        {"models": {"a": {"1.0": {"files": []}}}},
        {"models": {"a": {"1.0": {"files": {"a": 3}}}}},
        {"models": {"a": {"1.0": {"files": {"/a": _FILES["a"]}}}}},
        {"models": {"a": {"1.0": {"files": _FILES, "licence": 3}}}},
        {"models": {"a": {"1.0": {"files": _FILES, "description": ["x"]}}}},
        {"models": {"a": {5000 * "9": {"files": _FILES}}}},
        {"models": {"A/..": {"1.0": {"files": _FILES}}}},
        {"other": {}},
    ],
)
def test_a_registry_of_another_form_is_one_line(content, tmp_path, monkeypatch):
    monkeypatch.setattr(places, "BUILT_IN", tmp_path)
    (tmp_path / places.REGISTRY).write_text(json.dumps(content))
    with pytest.raises(UserError) as caught:
        [registry.find(name, version) for name in registry.names() for version in ("1.0", None)]
    assert "\n" not in str(caught.value)
