"""Locks of folders: one process at a time, also where somebody has removed the lock's file.

The lock is that of an open file, which ends with its process. Beside it a record says whose it is:
where the file was removed, the next process would lock a new one, and finds the record of the
living owner; and the owner finds that a record is no longer its own.
"""

import contextlib
import json
import pathlib
import platform
import uuid
from collections.abc import Iterator

import filelock
import psutil

from zoo import files
from zoo.errors import UserError


class LockError(UserError):
    """A folder that another process uses."""


class Lock:
    """A lock that this process holds; made by `held`."""

    def __init__(self, folder: pathlib.Path):
        self._folder, self._record = folder, folder / ".owner.json"
        me = psutil.Process()
        self._own = {"pid": me.pid, "host": platform.node(), "started": me.create_time()}
        self._own["id"] = uuid.uuid4().hex

    def check(self) -> None:
        """Raises a LockError where another process has taken the folder meanwhile."""
        found = _read(self._record)
        if found is None and self._folder.is_dir():
            self._write()
        elif found != self._own:
            whose = _named(found) if found else "nobody, for it was removed"
            raise LockError(
                f"{self._folder} belongs to {whose} now: its lock was removed while this process "
                "used it, which therefore ends and writes no more"
            )

    def take(self) -> None:
        """Writes whose it is.

        Raises:
            LockError: the record is that of a living process.
        """
        found = _read(self._record)
        if found and _lives(found):
            raise LockError(f"{self._folder} is in use by another process, {_named(found)}")
        self._write()

    def release(self) -> None:
        """Removes the record, where it is still this process's."""
        if _read(self._record) == self._own:
            self._record.unlink(missing_ok=True)

    def _write(self) -> None:
        with files.atomic(self._record) as temporary:
            temporary.write_text(json.dumps(self._own) + "\n")


@contextlib.contextmanager
def held(folder: pathlib.Path) -> Iterator[Lock]:
    """Holds the lock of a folder, which must be there.

    Raises:
        LockError: another process has it.
        OSError: the file system cannot lock or write.
    """
    file, lock = filelock.FileLock(folder / ".lock"), Lock(folder)
    try:
        file.acquire(timeout=0)
    except filelock.Timeout:
        raise LockError(f"{folder} is in use by another process") from None
    try:
        lock.take()
        yield lock
    finally:
        lock.release()
        file.release()


def _read(record: pathlib.Path) -> dict | None:
    try:
        found = json.loads(record.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _lives(owner: dict) -> bool:
    """Whether a process of this machine lives that is the owner, not a later one of its number."""
    # Of other machines nothing is known but that their lock was not held.
    if owner.get("host") != platform.node() or not isinstance(owner.get("pid"), int):
        return False
    try:
        started = psutil.Process(owner["pid"]).create_time()
        return abs(started - owner["started"]) < 1
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False


def _named(owner: dict) -> str:
    return f"process {owner.get('pid')} on {owner.get('host')}"
