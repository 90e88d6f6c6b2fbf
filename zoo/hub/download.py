"""From a model's name to a verified directory: its hub if that is a folder, else the cache.

A model is assembled in a hidden folder of the cache and renamed when all its files have the
registry's hashes. The hidden folder outlives a killed process, and the next one resumes from it.
"""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Iterator

import filelock
from absl import logging

from zoo.errors import UserError
from zoo.hub import package, places, registry
from zoo.hub.places import Place
from zoo.hub.transfer import Unavailable


class FetchError(UserError):
    """A pretrained model is not available from its hub, the cache or any mirror."""


def fetch(name: str, version: str | None = None, hub: str | None = None) -> pathlib.Path:
    """The local directory of a pretrained model, every file of it as the registry says.

    Args:
        name: for example `beta_vae/dsprites`.
        version: the newest if None.
        hub: the address of the only hub that is asked; all if None.

    Raises:
        RegistryError: there is no such model or hub.
        FetchError: neither hub nor mirror has it intact, or it cannot be written.
    """
    entry = registry.find(name, version, hub)
    faults = []
    if entry.hub.folder:
        in_place = entry.hub.folder / entry.folder
        fault = _fault(in_place, entry)
        if fault is None:
            return in_place
        faults.append(fault)
    target = places.kept(entry.hub) / entry.folder
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
                _assemble(stage, entry, [*faults, f"the cache: {fault}"])
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


def _assemble(stage: pathlib.Path, entry: registry.Entry, reasons: list[str]) -> None:
    """Completes `stage`; `reasons` tell why what is here was not enough."""
    _clear(stage, entry)
    for place in [*places.mirrors(), entry.hub]:
        try:
            _complete(stage, entry, place)
            package.check(stage, entry.files)
            return
        except Unavailable as error:
            reasons.append(f"{place.address}: {error}")
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


def _complete(stage: pathlib.Path, entry: registry.Entry, place: Place) -> None:
    """Gets from one place the files that `stage` lacks."""
    lacking = {
        relative: expected
        for relative, expected in entry.files.items()
        if package.fault(package.inside(stage, relative), expected)
    }
    for relative in lacking:
        package.inside(stage, relative).parent.mkdir(parents=True, exist_ok=True)
    place.fill(stage, entry.folder, lacking)
