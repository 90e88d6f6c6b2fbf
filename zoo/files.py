"""Where this package keeps files, and how it writes them: at once or not at all."""

import contextlib
import os
import pathlib
import tempfile
from collections.abc import Iterator

import platformdirs


def cache_directory() -> pathlib.Path:
    """`$ZOO_CACHE`, or the user's cache directory of this package."""
    chosen = os.environ.get("ZOO_CACHE")
    return pathlib.Path(chosen or platformdirs.user_cache_dir("disentanglement-zoo")).expanduser()


@contextlib.contextmanager
def atomic(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Gives a temporary path beside `path`; what is written there becomes `path` at a clean exit.

    After an error nothing is left behind and an older `path` stays as it was.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = pathlib.Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
