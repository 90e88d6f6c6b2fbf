"""Where and how this package writes files: at once or not at all, on the disk when it says so.

And how it reads those that others may have altered: what is wrong with one is a `FileError`.
"""

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import re
import shlex
import shutil
import stat
import tempfile
from collections.abc import Iterator

import platformdirs

from zoo.errors import SettingError, UserError

# What `temporary_prefix` begins; `tempfile` adds eight characters, and `atomic` the suffix.
_MARK = ".zoo-tmp."
_TEMPORARY = re.compile(rf"\.(?P<name>.+){re.escape(_MARK)}[a-z0-9_]{{8}}(\.[^.]*)?")


class FileError(UserError):
    """A file that is not what this package, or its user, has written there."""


def read_text(path: pathlib.Path) -> str:
    """The text of a file.

    Raises:
        FileError: it cannot be read, or is no text in UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FileError(
            f"{path} is damaged: byte {error.start} is no character of UTF-8; restore it from a "
            "copy, or delete it"
        ) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise FileError(f"{path} cannot be read: {why}") from None


def read_json(path: pathlib.Path, missing: dict | None = None) -> dict:
    """The object of a JSON file.

    Args:
        path: of the file.
        missing: what is returned where there is no such file; None refuses that, too.

    Raises:
        FileError: it cannot be read, is no JSON, or holds no object.
    """
    if missing is not None and not os.path.lexists(path):
        return missing
    try:
        content = json.loads(read_text(path))
    except FileError:
        raise
    except (ValueError, RecursionError) as error:
        raise FileError(
            f"{path} is damaged ({error}); restore it from a copy, or delete it"
        ) from None
    if not isinstance(content, dict):
        raise FileError(
            f"{path} is damaged: a JSON object belongs there, no {type(content).__name__}; restore "
            "it from a copy, or delete it"
        )
    return content


def cache_directory() -> pathlib.Path:
    """`$ZOO_CACHE`, or the user's cache directory of this package."""
    chosen = os.environ.get("ZOO_CACHE")
    return pathlib.Path(chosen or platformdirs.user_cache_dir("disentanglement-zoo")).expanduser()


def offline() -> bool:
    """Whether `ZOO_OFFLINE` forbids the network."""
    return os.environ.get("ZOO_OFFLINE", "").strip().lower() not in ("", "0", "false", "no")


def require_room(folder: pathlib.Path, needed: int) -> None:
    """Finds before the work that the disk of a folder has less than `needed` bytes left.

    Raises:
        SettingError: it has.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SettingError(
            f"{folder}: {needed / 1e9:.2f} GB are needed and {free / 1e9:.2f} GB are free; make "
            "room, or choose another folder with ZOO_CACHE"
        )


def require_writable(path: str | os.PathLike) -> None:
    """Finds before the work that its result could not be written.

    Args:
        path: of a file to be written; what is missing of its folders would be made.

    Raises:
        FileError: it is a folder or a device, or no file can be made there.
    """
    path = pathlib.Path(path)
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is a pipe, a socket or a device")
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        # A ValueError is a character that no path can hold.
        why = getattr(error, "strerror", None) or error
        raise FileError(f"{path} cannot be written: {why}; name another file") from None
    folder = next(each for each in path.absolute().parents if each.exists())
    if not os.access(folder, os.W_OK | os.X_OK):
        raise FileError(f"{path} cannot be written: {folder} is read-only; name another file")


def require_no_folder(path: pathlib.Path, name: str) -> None:
    """Raises a UserError where a page would have to take the place of a folder.

    Args:
        path: given as `--out`.
        name: of a page that could be written there.
    """
    if path.is_dir():
        named = shlex.quote(str(path / name))
        raise UserError(f"{path} is a folder; give the page a name, --out={named}")


def temporary_prefix(name: str) -> str:
    """What the names begin with of all that is written beside a file or folder to become it."""
    return f".{name}{_MARK}"


@contextlib.contextmanager
def atomic(path: str | os.PathLike, new: bool = False) -> Iterator[pathlib.Path]:
    """Gives a temporary path beside `path`; what is written there becomes `path` at a clean exit.

    After an error nothing is left behind and an older `path` stays as it was. After a crash of the
    machine there is the old file or the whole new one.

    Args:
        path: of the file.
        new: whether an older `path` stays; of processes on any machines that write it at once, one
            does.

    Raises:
        FileExistsError: there is an older `path`, which is to stay.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = temporary_prefix(path.name)
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = pathlib.Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        sync(temporary)
        (_link if new else os.replace)(temporary, path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _link(source: pathlib.Path, target: pathlib.Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        # Some file systems have no hard links. There the file is empty for a moment.
        os.close(os.open(target, os.O_CREAT | os.O_EXCL))
        os.replace(source, target)


def sync(path: str | os.PathLike) -> None:
    """Waits until a file, or the list of the files of a folder, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems know no such thing for folders.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def sync_tree(folder: pathlib.Path) -> None:
    """Waits until a folder with everything below it is on the disk."""
    for path in (folder, *folder.rglob("*")):
        sync(path)


@contextlib.contextmanager
def literal(folder: str | os.PathLike) -> Iterator[str]:
    """Gives a path of a folder that TensorFlow can read from, while the context lasts.

    TensorFlow takes the paths of checkpoints and SavedModels for patterns when it reads them: where
    one has `*`, `?`, brackets or a backslash, the folder is given through a link.
    """
    if not set("*?[]\\") & set(os.fspath(folder)):
        yield os.fspath(folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        link = pathlib.Path(temporary) / "link"
        link.symlink_to(pathlib.Path(folder).absolute())
        yield str(link)


def digest(path: str | os.PathLike) -> dict:
    """`{"sha256": hexadecimal digest, "size": bytes}` of a file."""
    sha256, size = hashlib.sha256(), 0
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            sha256.update(block)
            size += len(block)
    return {"sha256": sha256.hexdigest(), "size": size}


def remove_leftovers(folder: pathlib.Path, name: str | None = None) -> list[pathlib.Path]:
    """Removes the temporary files and folders that killed processes left in a folder.

    Whoever calls it holds a lock, so that no living process is at work on them.

    Args:
        folder: not searched below its first level.
        name: of the file whose leftovers are meant; those of all files if None.

    Returns:
        What was removed.
    """
    removed = []
    for path in folder.iterdir() if folder.is_dir() else ():
        found = _TEMPORARY.fullmatch(path.name)
        if found and name in (None, found["name"]):
            remove(path)
            removed.append(path)
    return removed


def remove(path: pathlib.Path) -> None:
    """Removes a file, a link or a whole folder; one that is not there is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def reason(error: Exception) -> str:
    """What an error of the system or of TensorFlow says, in one line without its graph's names."""
    said = getattr(error, "message", None) or str(error) or type(error).__name__
    return re.sub(r"\{\{.*?\}\} *| *\[Op:\w+\].*", "", said.splitlines()[0])


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
