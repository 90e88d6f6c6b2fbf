"""A run belongs to one process, also where somebody removes its lock."""

import json
import os
import pathlib
import subprocess
import sys

import filelock
import pytest

from zoo import locks, runs
from zoo import train as command

_OWNER = """
import pathlib, sys
from zoo import runs
with runs.opened(sys.argv[1]):
    print("ready", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def owner(tmp_path):
    """Another process that has the run folder."""
    code = [sys.executable, "-c", _OWNER, str(tmp_path / "run")]
    process = subprocess.Popen(code, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()


def _open(folder: pathlib.Path) -> None:
    with runs.opened(folder):
        pass


@pytest.mark.parametrize("removed", [False, True])
def test_a_living_owner_is_respected_whether_its_lock_is_there_or_not(tmp_path, owner, removed):
    folder = tmp_path / "run"
    if removed:
        (folder / ".lock").unlink()
    with pytest.raises(runs.RunError, match="in use by another process.*--run_dir"):
        _open(folder)
    assert json.loads((folder / ".owner.json").read_text())["pid"] == owner.pid


def test_a_killed_owner_is_no_owner(tmp_path, owner):
    owner.kill()
    owner.wait()
    assert (tmp_path / "run" / ".owner.json").exists()
    _open(tmp_path / "run")
    assert not (tmp_path / "run" / ".owner.json").exists()


@pytest.mark.parametrize(
    "changes", [{"started": 5.0}, {"host": "elsewhere"}, {"pid": "one"}, {"pid": -1}, {"pid": None}]
)
def test_a_record_of_no_living_process_is_taken_over(tmp_path, changes):
    with runs.opened(tmp_path) as folder:
        record = json.loads((folder.path / ".owner.json").read_text())
    (tmp_path / ".owner.json").write_text(json.dumps(record))
    with pytest.raises(runs.RunError, match=f"process {os.getpid()} on "):
        _open(tmp_path)
    (tmp_path / ".owner.json").write_text(json.dumps(record | changes))
    _open(tmp_path)
    for text in ("", "[]", "\xff"):
        (tmp_path / ".owner.json").write_text(text)
        _open(tmp_path)


def test_an_owner_notices_that_it_is_one_no_more(tmp_path):
    with runs.opened(tmp_path) as folder:
        folder.require_own()
        (tmp_path / ".owner.json").unlink()
        folder.require_own()
        taken = json.loads((tmp_path / ".owner.json").read_text()) | {"pid": 7, "id": "other"}
        (tmp_path / ".owner.json").write_text(json.dumps(taken))
        for write in (folder.require_own, folder.finish, folder.describe):
            with pytest.raises(locks.LockError, match="belongs to process 7 on "):
                write()
    # It is the other's to remove.
    assert (tmp_path / ".owner.json").exists()
    assert not (tmp_path / "DONE").exists() and not (tmp_path / "manifest.json").exists()


def test_a_training_whose_folder_was_taken_saves_no_more(tmp_path, toy_gin, monkeypatch, fails):
    from zoo.training.loop import Loop

    folder, advance = tmp_path / "run", Loop.advance

    def taken(self, start, steps, totals=None):
        if start >= 10:
            (folder / ".lock").unlink(missing_ok=True)
            (folder / ".owner.json").write_text('{"pid": 7, "host": "here", "id": "other"}')
        return advance(self, start, steps, totals)

    monkeypatch.setattr(Loop, "advance", taken)
    line = fails(command.main, f"--gin_file={toy_gin}", f"--run_dir={folder}")
    assert line.startswith(f"error: {folder} belongs to process 7 on here now")
    assert [p.name for p in (folder / "checkpoints").glob("*.index")] == ["ckpt-10.index"]
    steps = [json.loads(x)["step"] for x in (folder / "metrics.jsonl").read_text().splitlines()]
    assert steps == [5, 10]


@pytest.mark.parametrize("error", [OSError(37, "No locks available"), OSError(5, "I/O error")])
def test_a_file_system_that_cannot_lock_is_one_line(tmp_path, monkeypatch, error):
    def acquire(*_, **__):
        raise error

    monkeypatch.setattr(filelock.FileLock, "acquire", acquire)
    with pytest.raises(runs.RunError, match=f"{error.strerror}.*--run_dir"):
        _open(tmp_path)
