"""Tables in the cache: made once, by one process at a time, and checked by their hash.

Beside a file `x.npy` lies `x.npy.json`, which says what was made:

    {"sha256": hexadecimal digest, "size": bytes, "mtime_ns": of the file when it was last checked}

A file is hashed when it is made and then once after each change of its size or time, so that a
damaged one is noticed before it is used, and an untouched one costs nothing.
"""

import contextlib
import errno
import json
import pathlib
import zipfile
from collections.abc import Callable, Iterator

import filelock
import numpy as np
from absl import logging

from zoo import files
from zoo.errors import SettingError

_READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


def kept(make: Callable[..., None], *paths: pathlib.Path) -> None:
    """Makes files unless they are there as they were made; others wait meanwhile.

    Files without a record, of older versions, are taken for what they were made as.

    Args:
        make: writes the files at as many temporary paths, in the same order.
        paths: where they belong, in one folder.
    """
    if all(_unchanged(path) for path in paths):
        return
    first = paths[0]
    with alone(first):
        wrong = [path for path in paths if not intact(path)]
        if not wrong:
            return
        if damaged := [path for path in wrong if path.exists()]:
            logging.warning("%s is not what was made; it is made again", damaged[0])
        for path in paths:
            for left in (path, _beside(path)):
                files.remove_leftovers(path.parent, left.name)
        with contextlib.ExitStack() as stack:
            temporaries = [stack.enter_context(files.atomic(path)) for path in paths]
            make(*temporaries)
            # Before the files get their names: one without a record would be taken as it is.
            for path, temporary in zip(paths, temporaries, strict=True):
                seal(path, temporary)


def seal(path: pathlib.Path, made: pathlib.Path | None = None, found: dict | None = None) -> None:
    """Records what a file must be from now on.

    Args:
        path: the file.
        made: where it is now, before it gets its name.
        found: its digest, where it is known.
    """
    made = made or path
    facts = {**(found or files.digest(made)), "mtime_ns": made.stat().st_mtime_ns}
    with files.atomic(_beside(path)) as temporary:
        temporary.write_text(json.dumps(facts) + "\n")


def require(*paths: pathlib.Path, again: str = "it is made again") -> None:
    """Checks files that take too long to be made again by themselves.

    Args:
        paths: of the files.
        again: how they come back once their folder is deleted.

    Raises:
        SettingError: one is not what was sealed; it says what to do.
    """
    for path in paths:
        if not intact(path):
            raise SettingError(
                f"{path} is not what was made: delete the folder {path.parent}, and {again}, or "
                "restore it from a copy"
            )


def intact(path: pathlib.Path) -> bool:
    """Whether a file is what was made; hashed where it may have changed."""
    if _unchanged(path):
        return True
    if not path.is_file():
        return False
    record, found = _read(path), files.digest(path)
    if record is not None and any(record.get(key) != found[key] for key in found):
        return False
    if record is None and not _readable(path):
        return False
    try:
        seal(path, found=found)
    except OSError as error:
        # A cache of others: it is hashed each time.
        if error.errno not in _READ_ONLY:
            raise
    return True


@contextlib.contextmanager
def alone(path: pathlib.Path) -> Iterator[None]:
    """Waits until no other process makes a table; nobody makes one in a cache of others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(path.with_name(f".{path.name}.lock"))
    try:
        try:
            lock.acquire(timeout=1)
        except filelock.Timeout:
            logging.warning("waiting for another process that makes %s", path)
            lock.acquire()
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _unchanged(path: pathlib.Path) -> bool:
    """Whether a file is as it was when it was last checked, as far as size and time tell."""
    record = _read(path)
    if record is None or not path.is_file():
        return False
    now = path.stat()
    return (record.get("size"), record.get("mtime_ns")) == (now.st_size, now.st_mtime_ns)


def _readable(path: pathlib.Path) -> bool:
    """Whether NumPy finds in a file as much as its header says."""
    try:
        if path.suffix == ".npz":
            # Given a path, NumPy leaves an archive open that it cannot read.
            with open(path, "rb") as file:
                np.load(file).close()
        else:
            np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError, zipfile.BadZipFile):
        return False
    return True


def _read(path: pathlib.Path) -> dict | None:
    """The record of a file; a damaged one says nothing good of the file."""
    try:
        found = json.loads(_beside(path).read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _beside(path: pathlib.Path) -> pathlib.Path:
    return path.with_name(f"{path.name}.json")
