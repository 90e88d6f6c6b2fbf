"""Cached tables: made once, checked once after each change, never used altered."""

import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys

import filelock
import numpy as np
import pytest

from zoo import files
from zoo.data import tables
from zoo.errors import SettingError

ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = np.arange(300_000, dtype=np.int32).reshape(-1, 3)


@pytest.fixture
def made():
    """How often the table was made, as the length of the list."""
    return []


@pytest.fixture
def keep(tmp_path, made):
    """Keeps and loads the table."""
    path = tmp_path / "cache" / "table.npy"

    def make(temporary):
        made.append(temporary)
        with temporary.open("wb") as file:
            np.save(file, TABLE)

    def call() -> np.ndarray:
        tables.kept(make, path)
        return np.load(path, mmap_mode="r")

    call.path = path
    return call


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def _zero(path):
    with path.open("r+b") as file:
        file.seek(100_000)
        file.write(bytes(1_000_000))


def _append(path):
    path.write_bytes(path.read_bytes() + b"\0")


def _retype(path):
    with path.open("wb") as file:
        np.save(file, TABLE.astype(np.float32))


def _truncate(path):
    os.truncate(path, 1000)


DAMAGES = (_flip, _zero, _append, _retype, _truncate, lambda path: path.write_bytes(b""))


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_altered_table_is_made_again_with_a_line(keep, made, damage, caplog):
    keep()
    damage(keep.path)
    np.testing.assert_array_equal(keep(), TABLE)
    assert len(made) == 2
    assert caplog.messages == [f"{keep.path} is not what was made; it is made again"]
    keep()
    assert len(made) == 2


def test_a_file_is_hashed_once_after_each_change_of_size_or_time(keep, made, monkeypatch):
    hashed, digest = [], files.digest
    monkeypatch.setattr(files, "digest", lambda path: hashed.append(path) or digest(path))
    keep()
    assert len(hashed) == 1
    for _ in range(3):
        keep()
    assert len(hashed) == 1
    os.utime(keep.path)
    for _ in range(3):
        keep()
    assert len(hashed) == 2 and len(made) == 1


def test_a_table_of_an_older_version_is_taken_if_it_is_one(keep, made):
    keep()
    record = keep.path.with_name("table.npy.json")
    record.unlink()
    keep()
    assert len(made) == 1 and record.exists()
    record.unlink()
    _truncate(keep.path)
    keep()
    assert len(made) == 2


def test_an_archive_of_an_older_version_is_taken_if_it_is_one(tmp_path, made):
    path = tmp_path / "labels.npz"

    def make(temporary):
        made.append(temporary)
        np.savez(temporary, table=TABLE)

    for damage in (lambda path: None, _truncate):
        tables.kept(make, path)
        path.with_name("labels.npz.json").unlink()
        damage(path)
    tables.kept(make, path)
    assert len(made) == 2
    with np.load(path) as file:
        np.testing.assert_array_equal(file["table"], TABLE)


@pytest.mark.parametrize("text", ["", "[]", "{}", "\xff", '{"sha256": 5}'])
def test_a_damaged_record_vouches_for_nothing(keep, made, text):
    keep()
    keep.path.with_name("table.npy.json").write_text(text)
    np.testing.assert_array_equal(keep(), TABLE)
    assert len(made) == 2


def test_waiting_for_another_process_is_said(tmp_path, caplog):
    path = tmp_path / "table.npy"
    with concurrent.futures.ThreadPoolExecutor() as pool:
        with filelock.FileLock(tmp_path / ".table.npy.lock"):
            made = pool.submit(tables.kept, lambda temporary: np.save(temporary, TABLE), path)
            with pytest.raises(concurrent.futures.TimeoutError):
                made.result(timeout=1.5)
        made.result()
    assert caplog.messages == [f"waiting for another process that makes {path}"]
    np.testing.assert_array_equal(np.load(path), TABLE)


def test_an_error_while_making_leaves_nothing_behind(keep, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(np, "save", full)
        keep()
    assert not [path for path in keep.path.parent.iterdir() if not path.name.endswith(".lock")]
    np.testing.assert_array_equal(keep(), TABLE)


@pytest.mark.parametrize(
    "name", [".table.npy.zoo-tmp.01234567.npy", ".table.npy.json.zoo-tmp.fuioro9r.json"]
)
def test_parts_of_killed_makers_are_removed(keep, name):
    keep.path.parent.mkdir()
    part = keep.path.with_name(name)
    other = keep.path.with_name(".other.npy.zoo-tmp.01234567.npy")
    part.write_bytes(b"half")
    other.write_bytes(b"somebody is at it")
    keep()
    assert other.exists() and not part.exists()


_MAKER = """
import pathlib, sys, time
import filelock
import numpy as np
from zoo.data import tables

def make(temporary):
    print("made", flush=True)
    time.sleep(1)
    with temporary.open("wb") as file:
        np.save(file, np.ones(1000))

path = pathlib.Path(sys.argv[1])
tables.kept(make, path)
assert np.load(path).sum() == 1000
"""


def test_one_of_two_processes_makes_it(tmp_path):
    command = [sys.executable, "-c", _MAKER, str(tmp_path / "table.npy")]
    makers = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(2)]
    assert sorted(maker.communicate(timeout=60)[0] for maker in makers) == [b"", b"made\n"]
    assert [maker.returncode for maker in makers] == [0, 0]


def test_two_files_stand_or_fall_together(tmp_path):
    made = []

    def make(one, other):
        made.append(1)
        one.write_bytes(b"one")
        other.write_bytes(b"other")

    paths = tmp_path / "a", tmp_path / "b"
    tables.kept(make, *paths)
    paths[1].write_bytes(b"otter")
    tables.kept(make, *paths)
    assert [path.read_bytes() for path in paths] == [b"one", b"other"] and len(made) == 2


def test_a_set_that_takes_hours_is_refused_altered(tmp_path):
    path = tmp_path / "images.npy"
    np.save(path, TABLE)
    tables.require(path)
    assert json.loads((tmp_path / "images.npy.json").read_text())["size"] == path.stat().st_size
    _flip(path)
    with pytest.raises(SettingError, match=f"{path} is not what was made: delete the folder"):
        tables.require(path)
