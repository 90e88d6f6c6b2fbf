"""Files are there at once or not at all; what killed processes left can be told and removed."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from zoo import files, runs

_KILLED = """
import os, signal, sys
from zoo import files
with files.atomic(sys.argv[1]) as path:
    path.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("name", ["scores.json", "weights.tar.gz", "DONE", ".hidden"])
def test_a_killed_writer_leaves_the_old_file_and_what_is_removed(tmp_path, name):
    path, other = tmp_path / name, tmp_path / f"another-{name}"
    path.write_text("old")
    command = [sys.executable, "-c", _KILLED, str(path)]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 2
    assert not files.remove_leftovers(tmp_path, other.name)
    assert len(files.remove_leftovers(tmp_path, path.name)) == 1
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_run_removes_leftovers_and_nothing_else(tmp_path):
    kept = (
        ".notes",
        ".lock.txt",
        ".cache/a",
        "images/one.png",
        ".a.b",
        "config.gin",
        ".x.12345678z",
        ".env.template",
        ".a.zoo-tmp.1234567",
    )
    left = (
        ".saved_model.zoo-tmp.ab_0129z/variables/x",
        ".config.gin.zoo-tmp.abcdefgh.gin",
        "images/.one.png.zoo-tmp.zyxwvuts.png",
        "report/.index.html.zoo-tmp.00000000.html",
    )
    for name in (*kept, *left):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    with runs.opened(tmp_path):
        pass
    found = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert found - {".lock"} == set(kept)


@pytest.mark.parametrize("linked", [True, False])
def test_of_writers_of_a_new_file_one_writes_it(tmp_path, monkeypatch, linked):
    def refused(*_):
        raise PermissionError(errno.EPERM, "no hard links here")

    if not linked:
        monkeypatch.setattr(os, "link", refused)
    path = tmp_path / "a.json"
    with files.atomic(path, new=True) as first:
        first.write_text("first")
    with pytest.raises(FileExistsError), files.atomic(path, new=True) as second:
        second.write_text("second")
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"] and path.read_text() == "first"


def test_what_is_written_is_on_the_disk_before_it_is_named(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: events.append("sync") or fsync(fd))
    monkeypatch.setattr(os, "replace", lambda *to: events.append("name") or replace(*to))
    with files.atomic(tmp_path / "a") as path:
        path.write_text("a")
    assert events == ["sync", "name", "sync"]


def test_the_reason_of_an_error_is_one_line():
    class Error(Exception):
        message = (
            "{{function_node __wrapped__SaveV2}} /a/b; File too large [Op:SaveV2] name: x\nmore"
        )

    assert files.reason(Error()) == "/a/b; File too large"
    assert files.reason(OSError(28, "No space left")) == "[Errno 28] No space left"
    assert files.reason(OSError()) == "OSError"


_DAMAGED = b'{"step": 1}\n{"step": 2, "loss\xff\n\n{"step": 4}\n[5]\n{"ste'


def test_damaged_lines_of_a_log_are_said_and_the_rest_is_kept(tmp_path, caplog):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(_DAMAGED)
    assert [record["step"] for record in runs.records(path)] == [1, 4]
    (message,) = caplog.messages
    assert message.startswith(f"{path}: 3 of its lines cannot be read") and "line 2)" in message
    caplog.clear()
    for fine in (b"", b'{"step": 1}\n', b'{"step": 1}\n{"st'):
        path.write_bytes(fine)
        assert len(runs.records(path)) == fine.count(b"1}")
    path.unlink()
    assert runs.records(path) == [] and not caplog.messages


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("there", errno.EISDIR),
        ("there/file/page.html", errno.ENOTDIR),
        ("n" * 300, errno.ENAMETOOLONG),
    ],
)
def test_what_cannot_be_written_is_found_before(tmp_path, name, number):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("mine")
    with pytest.raises(files.FileError, match=f"cannot be written: {os.strerror(number)}; name"):
        files.require_writable(tmp_path / name)
    for fine in ("there/file", "new", "a/b/new"):
        files.require_writable(tmp_path / fine)
    assert {path.name for path in tmp_path.rglob("*")} == {"there", "file"}


def test_a_folder_that_is_read_only_is_found_before(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)
    with pytest.raises(files.FileError, match=f"{tmp_path} is read-only; name another file"):
        files.require_writable(tmp_path / "new" / "page.html")


def test_what_is_no_regular_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/null"):
        with pytest.raises(files.FileError, match="a pipe, a socket or a device; name another"):
            files.require_writable(path)


def test_texts_are_utf_8_in_any_locale(tmp_path):
    code = "import pathlib, sys; from zoo import runs; "
    code += "runs.write_text(pathlib.Path(sys.argv[1]), '\\u03b2-VAE')"
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    path = tmp_path / "config.gin"
    subprocess.run([sys.executable, "-c", code, path], env=environment, check=True)
    assert path.read_text(encoding="utf-8") == "\u03b2-VAE"
