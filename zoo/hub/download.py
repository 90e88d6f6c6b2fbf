"""From a model's name to a verified directory: cache, mirrors, the store of the package.

A model is assembled in a hidden folder of the cache and renamed when all its files have the
registry's hashes. The hidden folder outlives a killed process, and the next one goes on from it.
"""

import contextlib
import os
import pathlib
import shutil
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

import filelock
from absl import logging

from zoo.data import cache
from zoo.errors import UserError
from zoo.hub import package, registry

# Seconds to connect and to wait for the next bytes; how often one file is asked of one mirror.
TIMEOUT = (10.0, 30.0)
ATTEMPTS = 3
PAUSE = 1.0


class FetchError(UserError):
    """A pretrained model cannot be had from the cache or any mirror."""


class _Unavailable(Exception):
    """Why one mirror did not give one file."""


def offline() -> bool:
    """Whether `ZOO_OFFLINE` forbids the network."""
    return os.environ.get("ZOO_OFFLINE", "").strip().lower() not in ("", "0", "false", "no")


def mirrors() -> list[str]:
    """The mirrors of `ZOO_MIRRORS`, in order.

    Raises:
        FetchError: one is neither an http(s) address nor a directory's path.
    """
    chosen = [m.strip().rstrip("/") for m in os.environ.get("ZOO_MIRRORS", "").split(",")]
    for mirror in filter(None, chosen):
        if "://" in mirror and not _is_address(mirror):
            raise FetchError(f"ZOO_MIRRORS: {_shown(mirror)} is neither http(s) nor a directory")
    return [mirror for mirror in chosen if mirror]


def fetch(name: str, version: str | None = None) -> pathlib.Path:
    """The local directory of a pretrained model, every file of it as the registry says.

    Args:
        name: for example `beta_vae/dsprites`.
        version: the newest if None.

    Raises:
        RegistryError: there is no such model.
        FetchError: no mirror has it intact, or it cannot be written.
    """
    entry = registry.find(name, version)
    target = cache.directory() / "models" / entry.folder
    if _fault(target, entry) is None:
        return target
    stage = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target.with_name(f".{target.name}.lock"), entry):
            # Looked at again: another process may have completed it meanwhile.
            fault = _fault(target, entry)
            if fault is not None:
                if os.path.lexists(target):
                    logging.warning("%s; fetching it again", fault)
                    _remove(stage)
                    os.replace(target, stage)
                _assemble(stage, entry, f"the cache: {fault}")
                os.replace(stage, target)
    except OSError as error:
        raise FetchError(
            f"cannot write {entry.name} {entry.version} to {target.parent}: "
            f"{error.strerror or error}; make room or set ZOO_CACHE to another directory"
        ) from error
    return target


def _fault(directory: pathlib.Path, entry: registry.Entry) -> str | None:
    try:
        package.check(directory, entry.files)
    except package.PackageError as error:
        return str(error)
    return None


@contextlib.contextmanager
def _locked(path: pathlib.Path, entry: registry.Entry) -> Iterator[None]:
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=1)
    except filelock.Timeout:
        logging.warning("waiting for another process that fetches %s", entry.name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _assemble(stage: pathlib.Path, entry: registry.Entry, reason: str) -> None:
    """Completes `stage`; `reason` tells why the cache was not enough."""
    _clear(stage, entry)
    reasons = [reason]
    for mirror in [*mirrors(), str(registry.STORE)]:
        shown = "the bundled store" if mirror == str(registry.STORE) else _shown(mirror)
        if _is_address(mirror) and offline():
            reasons.append(f"{shown}: not asked, ZOO_OFFLINE is set")
            continue
        try:
            _complete(stage, entry, mirror)
            package.check(stage, entry.files)
            return
        except _Unavailable as error:
            reasons.append(f"{shown}: {error}")
            logging.warning("%s", reasons[-1])
        except OSError:
            # Most likely no room is left: half a model must not keep the rest of it.
            shutil.rmtree(stage, ignore_errors=True)
            raise
    if not package.contents(stage):
        shutil.rmtree(stage)
    raise FetchError(f"cannot get {entry.name} {entry.version}; {'; '.join(reasons)}")


def _clear(stage: pathlib.Path, entry: registry.Entry) -> None:
    """Leaves in `stage` nothing but files of the model, none of them reached through a link."""
    if stage.is_symlink() or not stage.is_dir():
        _remove(stage)
    stage.mkdir(exist_ok=True)
    for path in [*stage.rglob("*")]:
        named = path.relative_to(stage).as_posix() in entry.files
        if path.is_symlink() or (path.is_dir() if named else path.is_file()):
            _remove(path)


def _remove(path: pathlib.Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _complete(stage: pathlib.Path, entry: registry.Entry, mirror: str) -> None:
    """Gets from one mirror the files that `stage` lacks."""
    lacking = {
        relative: expected
        for relative, expected in entry.files.items()
        if package.fault(package.inside(stage, relative), expected)
    }
    for relative in lacking:
        package.inside(stage, relative).parent.mkdir(parents=True, exist_ok=True)
    if not _is_address(mirror):
        for relative, expected in lacking.items():
            path = pathlib.Path(mirror).expanduser() / entry.folder / relative
            _copy(path, stage / relative, expected)
        return
    import requests

    with requests.Session() as session:
        for relative, expected in lacking.items():
            address = f"{mirror}/{urllib.parse.quote(f'{entry.folder}/{relative}')}"
            _download(session, address, stage / relative, expected)


def _copy(path: pathlib.Path, target: pathlib.Path, expected: Mapping[str, Any]) -> None:
    if fault := package.fault(path, expected):
        raise _Unavailable(fault)
    shutil.copyfile(path, target)
    # Read again: the mirror may be written to meanwhile.
    if fault := package.fault(target, expected):
        target.unlink()
        raise _Unavailable(fault)


def _download(
    session: Any, address: str, target: pathlib.Path, expected: Mapping[str, Any]
) -> None:
    """Downloads one file, going on from what `target` already holds where the server can."""
    import requests

    reason = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE)
        resumed = _resume_at(target, expected["size"]) > 0
        try:
            _receive(session, address, target, expected["size"])
        except requests.HTTPError as error:
            reason = f"HTTP {error.response.status_code}"
            if error.response.status_code < 500 and error.response.status_code != 429:
                break
        except requests.RequestException as error:
            late = isinstance(error, requests.Timeout) or "timed out" in str(error)
            reason = f"no answer within {TIMEOUT[1]:g} s" if late else "the connection failed"
        else:
            reason = package.fault(target, expected)
            if reason is None:
                return
            if target.stat().st_size >= expected["size"]:
                target.unlink()
                reason = "the content is not what the registry recorded"
                # What an earlier mirror or process left may be the altered part.
                if not resumed:
                    break
    raise _Unavailable(f"{target.name}: {reason}")


def _resume_at(target: pathlib.Path, size: int) -> int:
    """How many bytes of a file can be kept; a file that cannot be a beginning is removed."""
    held = target.stat().st_size if target.exists() else 0
    if held >= size:
        target.unlink(missing_ok=True)
        return 0
    return held


def _receive(session: Any, address: str, target: pathlib.Path, size: int) -> None:
    """One request; appends to `target` if the server honours the range, else starts it anew."""
    import requests
    from tqdm import tqdm

    held = _resume_at(target, size)
    # Ranges and sizes are those of the file, not of a compressed transfer.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={held}-"} if held else {})
    with session.get(address, headers=headers, stream=True, timeout=TIMEOUT) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            target.unlink()
            raise requests.ConnectionError("the range was refused")
        response.raise_for_status()
        if response.status_code != requests.codes.partial_content:
            held = 0
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {held}-"):
            target.unlink(missing_ok=True)
            raise requests.ConnectionError("another range than asked for")
        offered = response.headers.get("Content-Length", "")
        encoded = "Content-Encoding" in response.headers
        if not encoded and offered.isdecimal() and int(offered) != size - held:
            raise _Unavailable(f"{target.name}: {offered} bytes instead of {size - held}")
        bar = tqdm(
            total=size, initial=held, unit="B", unit_scale=True, desc=target.name, disable=None
        )
        with bar, open(target, "ab" if held else "wb") as file:
            for chunk in response.iter_content(1 << 16):
                file.write(chunk)
                bar.update(len(chunk))
                # A server may send without end.
                if file.tell() > size:
                    break


def _is_address(mirror: str) -> bool:
    return mirror.lower().startswith(("http://", "https://"))


def _shown(mirror: str) -> str:
    """A mirror without the password that its address may hold."""
    scheme, separator, rest = mirror.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}" if separator else mirror
