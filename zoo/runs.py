"""One run's folder: its lock, its files, what may and may not happen to it."""

import contextlib
import json
import os
import pathlib
import shlex
import shutil
from collections.abc import Iterator

from absl import logging

from zoo import config, gin_files, locks
from zoo.errors import UserError
from zoo.files import atomic, read_json, remove_leftovers


class RunError(UserError):
    """A run folder that cannot be used."""


class InUse(RunError):
    """A run folder that another process holds the lock of."""


# What a manifest must hold where it holds it, as later parts of a run read it.
_KINDS = {"machine": dict, "dataset": str, "dataset_fingerprint": str, "timings": dict}
_KINDS["earlier_starts"] = list
# What a run that goes on may do with others than it began with.
_OF_A_START = ("machine", "versions", "git_commit")


class RunFolder:
    """The files of one run; made by `opened`, which holds the lock.

    Attributes:
        path: the folder.
        config, manifest, metrics, scores: its files of these names.
        marker: the file that says that the run has finished.
        checkpoints, images, saved_model, report: its subfolders.
        lock: what `opened` holds.
    """

    def __init__(self, path: pathlib.Path):
        self.path = path
        self.config = path / "config.gin"
        self.manifest = path / "manifest.json"
        self.metrics = path / "metrics.jsonl"
        self.scores = path / "scores.json"
        self.checkpoints = path / "checkpoints"
        self.images = path / "images"
        self.saved_model = path / "saved_model"
        self.report = path / "report"
        self.marker = path / "DONE"
        self.lock: locks.Lock | None = None

    @property
    def done(self) -> bool:
        """Whether the run has finished."""
        return self.marker.exists()

    def finish(self) -> None:
        """Writes the done marker, the last file of a run."""
        self.require_own()
        write_text(self.marker, "")

    def require_own(self) -> None:
        """Raises a LockError where another process has taken the locked folder meanwhile."""
        if self.lock:
            self.lock.check()

    def claim(self, operative: str) -> None:
        """Binds the folder to a configuration.

        Raises:
            RunError: it holds a run of another configuration, and the message shows the difference;
                or checkpoints of one that is lost.
        """
        if self.config.exists():
            changed = config.differences(gin_files.read(self.config), operative)
            if changed:
                raise RunError(
                    f"{self.path} holds a run of another configuration ({'; '.join(changed)}); "
                    "choose another --run_dir or the same settings"
                )
            return
        if any(self.checkpoints.glob("ckpt-*.index")):
            raise RunError(
                f"{self.path} holds checkpoints and no config.gin, which says what they are of; "
                "restore it from a copy, or choose another --run_dir"
            )
        write_text(self.config, operative)

    def require_config(self) -> pathlib.Path:
        """The gin file of the run.

        Raises:
            RunError: there is none.
        """
        if not os.path.isfile(self.config):
            raise RunError(f"{self.path} is not the folder of a run: it holds no config.gin")
        return self.config

    def recorded(self, name: str):
        """The value that its config binds a name to; None before it begins, or for no literal."""
        return config.recorded(gin_files.read(self.config), name) if self.config.exists() else None

    def scored(self) -> dict[str, dict]:
        """What `scores.json` holds, one row per score; nothing where there is none.

        Raises:
            RunError: a row is no row.
        """
        found = read_json(self.scores, missing={})
        for name, row in found.items():
            if not isinstance(row, dict):
                raise RunError(
                    f"{self.scores} is damaged: its {name} is {row!r}; delete it and score again "
                    f"with python -m zoo.evaluate --run={shlex.quote(str(self.path))}"
                )
        return found

    def facts(self) -> dict:
        """What the manifest holds; nothing where there is none."""
        found = read_json(self.manifest, missing={})
        for key, kind in _KINDS.items():
            if not isinstance(found.get(key, kind()), kind):
                raise RunError(
                    f"{self.manifest} is damaged: its {key} is {found[key]!r}; restore it"
                )
        return found

    def describe(self, **facts) -> dict:
        """Adds facts to the manifest and returns all of it."""
        self.require_own()
        known = {**self.facts(), **facts}
        write_text(self.manifest, json.dumps(known, indent=1) + "\n")
        return known

    def describe_start(self, **facts) -> dict:
        """As `describe`, of a run that begins or goes on.

        What these facts replace of machine, versions and commit is added to `earlier_starts`.
        """
        known = self.facts()
        before = {key: known[key] for key in _OF_A_START if key in known}
        earlier = known.get("earlier_starts", [])
        if before and before not in (*earlier, {key: facts.get(key) for key in before}):
            facts["earlier_starts"] = [*earlier, before]
        return self.describe(**facts)


@contextlib.contextmanager
def opened(path: str | pathlib.Path) -> Iterator[RunFolder]:
    """Locks a run folder, made if absent, for as long as the context lasts.

    What killed processes left there of half-written files is removed.

    Raises:
        RunError: another process has it, or it cannot be made.
    """
    folder = RunFolder(pathlib.Path(path))
    with contextlib.ExitStack() as stack:
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            folder.lock = stack.enter_context(locks.held(folder.path))
        except locks.LockError as error:
            raise InUse(f"{error}; wait for it or choose another --run_dir") from None
        except (OSError, ValueError) as error:
            # A ValueError is a character that no path can hold.
            why = getattr(error, "strerror", None) or error
            raise RunError(
                f"{path} cannot be used as a run folder ({why}); choose another --run_dir"
            ) from None
        _require_layout(folder)
        for place in (folder.path, folder.images, folder.report):
            remove_leftovers(place)
        yield folder


@contextlib.contextmanager
def locked_around(path: pathlib.Path) -> Iterator[None]:
    """Locks the run in whose folder a file or a folder is written; elsewhere there is no lock.

    Raises:
        InUse: another process has it.
    """
    with contextlib.ExitStack() as stack:
        folders = (RunFolder(parent) for parent in path.absolute().parents)
        if run := next((f for f in folders if f.config.is_file() and f.manifest.is_file()), None):
            try:
                stack.enter_context(opened(run.path))
            except InUse:
                raise InUse(
                    f"{run.path} is in use by another process, and {path} is in it; wait for it or "
                    "name a folder outside of it"
                ) from None
        yield


def _require_layout(folder: RunFolder) -> None:
    """Raises a RunError where a run cannot write what it will have to, after hours of training."""
    for place in (folder.checkpoints, folder.images, folder.report, folder.path / "tensorboard"):
        if os.path.lexists(place) and not place.is_dir():
            raise RunError(f"{place} is a file, and a run has a folder there; move it away")
        if place.is_dir() and not os.access(place, os.W_OK | os.X_OK):
            raise RunError(f"{place} cannot be written to; change its rights, or take a copy")
    for place in (folder.config, folder.manifest, folder.metrics, folder.scores, folder.marker):
        if os.path.lexists(place) and not place.is_file():
            raise RunError(f"{place} is no file, and a run has one there; move it away")


def records(path: pathlib.Path) -> list[dict]:
    """The records of a `metrics.jsonl`.

    What a crash left of the last line is passed over; of other damaged lines a warning tells.
    """
    lines = path.read_bytes().split(b"\n") if path.is_file() else [b""]
    found = [_record(line) for line in lines]
    # What comes after the last line break is no line, or the beginning of one.
    damaged = [number for number, record in enumerate(found[:-1], 1) if record is None]
    if damaged:
        logging.warning(
            "%s: %d of its lines cannot be read and are passed over (the first: line %d)",
            *(path, len(damaged), damaged[0]),
        )
    return [record for record in found if record is not None]


def _record(line: bytes) -> dict | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    valid = isinstance(record, dict) and isinstance(record.get("step"), int | float)
    return record if valid else None


def require_space(path: pathlib.Path, needed: int) -> None:
    """Raises a RunError where the disk of `path` has less than `needed` bytes left."""
    free = shutil.disk_usage(path).free
    if free < needed:
        raise RunError(
            f"{path}: the run needs about {needed / 1e6:.0f} MB and the disk has "
            f"{free / 1e6:.0f} MB left; free some or choose another --run_dir"
        )


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a file at once or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
