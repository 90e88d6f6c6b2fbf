"""The finished files of a TFDS build that was stopped, kept for the next one.

TFDS writes into a temporary folder and throws it away when it is interrupted. Here files are
written into `<version>.partial` beside the folder that they belong to, and moved when all are
there:

    journal.jsonl    {"plan": ...}, then of each whole file
                     {"file": name, "bytes": of its examples, "size": of the file}

Whoever builds has its turn: `.<version>.lock` beside the folder is held meanwhile.
"""

import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Iterator

import filelock
from absl import logging

from zoo import files

_JOURNAL = "journal.jsonl"


class Workspace:
    """Where files are written, and which are there.

    Attributes:
        folder: where to write.
        done: name of every whole file -> bytes of its examples.
    """

    def __init__(self, folder: str | os.PathLike, kept: bool = False):
        self.folder, self.done, self._kept = os.fspath(folder), {}, kept

    def add(self, name: str, size: int) -> None:
        """Notes a file that is whole, once it is on the disk."""
        self.done[name] = size
        if self._kept:
            path = pathlib.Path(self.folder) / name
            files.sync(path)
            self._note({"file": name, "bytes": size, "size": path.stat().st_size})

    def resume(self, plan: dict) -> None:
        """Takes over what an earlier build of the same plan left, and removes all else."""
        folder = pathlib.Path(self.folder)
        sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
        lines, whole = _lines(folder / _JOURNAL), []
        if lines[:1] == [{"plan": plan}]:
            # Journals of earlier versions lack the size.
            whole = [e for e in lines[1:] if e.get("size", -1) == sizes.get(e["file"])]
        self.done = {line["file"]: line["bytes"] for line in whole}
        for name in sizes.keys() - self.done.keys():
            (folder / name).unlink()
        for line in ({"plan": plan}, *whole):
            self._note(line)

    def _note(self, line: dict) -> None:
        with open(pathlib.Path(self.folder) / _JOURNAL, "a") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())


@contextlib.contextmanager
def workspace(target: str | os.PathLike, name: str, plan: dict) -> Iterator[Workspace]:
    """A folder to write files into; at a clean exit those that were added are in `target`.

    In a bucket it is `target` itself. Else whoever calls it has its `turn`.

    Args:
        target: the folder they belong to.
        name: of the folder beside it, `<name>.partial`.
        plan: all that the files depend on, as JSON; what another plan left is thrown away.
    """
    if "://" in os.fspath(target):
        yield Workspace(target)
        return
    partial = pathlib.Path(target).with_name(f"{name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    found = Workspace(partial, kept=True)
    found.resume(plan)
    yield found
    for file in found.done:
        os.replace(partial / file, pathlib.Path(target) / file)
    files.sync(target)
    shutil.rmtree(partial)


@contextlib.contextmanager
def turn(target: str | os.PathLike, what: str) -> Iterator[None]:
    """Waits until no other process builds a folder; in a bucket nobody is waited for.

    Args:
        target: the folder, which may be there by then.
        what: is built, for the log.
    """
    if "://" in os.fspath(target):
        yield
        return
    target = pathlib.Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(target.with_name(f".{target.name}.lock"))
    try:
        lock.acquire(timeout=1)
    except filelock.Timeout:
        logging.warning("waiting for another process that writes %s to %s", what, target)
        lock.acquire()
    try:
        yield
        # Whoever has waited for it finds the folder. After a failure it stays, for the next one.
        pathlib.Path(lock.lock_file).unlink(missing_ok=True)
    finally:
        lock.release()


def _lines(path: pathlib.Path) -> list[dict]:
    """The lines of a journal; one that was cut off, and what follows it, are left out."""
    found = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            break
    return found
