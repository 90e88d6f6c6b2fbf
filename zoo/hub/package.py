"""An exported model on disk: a SavedModel with its config, sealed by a card.

    saved_model.pb, variables/...   loadable by `tf.saved_model.load` alone
    config.gin                      makes the model that `variables/` are the weights of
    card.json                       what it is, and the sha256 and size of every other file

Older ones hold the weights twice, in `model.weights.h5` too, which nothing reads.
Hidden files (any part of the path begins with a dot) do not belong to the package.
"""

import json
import os
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from zoo.errors import UserError
from zoo.files import FileError, atomic, digest, read_json

CARD = "card.json"
SAVED_MODEL = "saved_model.pb"

# No dot begins a part, so no path climbs, is absolute, or names a hidden file.
_RELATIVE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*")
# What is read of a card, where it is there.
_KINDS = {"name": str, "dataset": str, "test_dataset": str, "scores": dict, "input": dict}
# The files of Keras' models.
_KERAS = (".keras", ".h5", ".hdf5")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# The folder of the exported model in a run's: of a training, and of zoo.perturb.
_IN_RUNS = ("saved_model", "perturbation")


class PackageError(UserError):
    """An exported model is incomplete, altered, or not available."""


def inside(directory: str | os.PathLike, relative: str) -> pathlib.Path:
    """The path of a package's file, which does not leave the package.

    Raises:
        PackageError: `relative` is absolute, climbs, is hidden, or leaves through a link.
    """
    directory = pathlib.Path(directory)
    if not isinstance(relative, str) or not _RELATIVE.fullmatch(relative):
        raise PackageError(f"{directory}: the path {relative!r} is not allowed in a package")
    path = directory / relative
    if not path.resolve().is_relative_to(directory.resolve()):
        raise PackageError(f"{path} is a link that leaves its package")
    return path


def of_run(folder: pathlib.Path) -> pathlib.Path | None:
    """The folder of the exported model that a run's folder holds; None where it holds none."""
    return next((folder / name for name in _IN_RUNS if (folder / name).is_dir()), None)


def of_others(path: pathlib.Path) -> str:
    """How a model that this package has not exported is scored: the end of an error line.

    Empty where there is none at `path`.
    """
    if path.suffix in _KERAS and path.is_file():
        like = f"keras.saving.load_model({str(path)!r})"
    elif (path / SAVED_MODEL).is_file():
        like = f"an endpoint of tf.saved_model.load({str(path)!r})"
    else:
        return ""
    how = "zoo.evaluation.evaluate(function, zoo.data.load(name))"
    return f"; {how} scores any function of images, such as {like}"


def table(files: Any, where: str) -> dict[str, dict[str, Any]]:
    """Checks the form of a file table `{relative path: {"sha256", "size"}}`.

    Raises:
        PackageError: it has another form or names a path outside the package.
    """
    if not isinstance(files, Mapping) or not files:
        raise PackageError(f"{where} lists no files")
    for relative, expected in files.items():
        inside(".", relative)
        sound = (
            isinstance(expected, Mapping)
            and isinstance(expected.get("size"), int)
            and expected["size"] >= 0
            and isinstance(expected.get("sha256"), str)
            and _SHA256.fullmatch(expected["sha256"])
        )
        if not sound:
            raise PackageError(f"{where}: the sha256 or size of {relative!r} is malformed")
    return dict(files)


def fault(path: pathlib.Path, expected: Mapping[str, Any]) -> str | None:
    """What is wrong with one file in one line, or None if it is as expected."""
    try:
        if not path.is_file():
            return f"{path} is missing"
        size = path.stat().st_size
        if size < expected["size"]:
            return f"{path} is truncated: {size} of {expected['size']} bytes"
        if size > expected["size"] or digest(path)["sha256"] != expected["sha256"]:
            return f"{path} was altered: its content is not what was recorded"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return None


def contents(directory: str | os.PathLike) -> list[str]:
    """The relative paths of all files of a directory but the hidden ones, sorted."""
    directory = pathlib.Path(directory)
    paths = (p.relative_to(directory) for p in directory.rglob("*") if not p.is_dir())
    return sorted(p.as_posix() for p in paths if not any(part[0] == "." for part in p.parts))


def check(directory: str | os.PathLike, files: Mapping[str, Mapping[str, Any]]) -> None:
    """Checks that a directory holds exactly the files of a table.

    A file too many is refused too: TensorFlow would prefer a stray `saved_model.cpb`.

    Raises:
        PackageError: a file is missing, truncated, altered or not of the package.
    """
    for relative, expected in files.items():
        if problem := fault(inside(directory, relative), expected):
            raise PackageError(problem)
    if strays := sorted(set(contents(directory)) - set(files)):
        raise PackageError(f"{pathlib.Path(directory) / strays[0]} does not belong to the package")


def seal(directory: str | os.PathLike, card: Mapping[str, Any]) -> dict[str, Any]:
    """Writes the card of an exported model, which completes it.

    Args:
        directory: holds `saved_model.pb` and everything else of the package.
        card: what the model is, JSON values; keys in use: `name`, `version`, `description`,
            `licence`, `command`, `config`, `scores`, `versions`, `input`
            (`{"maximum": value of a white pixel in integer images}`).

    Returns:
        The card as written, with `files`.

    Raises:
        PackageError: there is no SavedModel, or the card is not JSON.
    """
    directory = pathlib.Path(directory)
    if not (directory / SAVED_MODEL).is_file():
        raise PackageError(f"{directory} holds no {SAVED_MODEL}: export a model there first")
    relatives = [relative for relative in contents(directory) if relative != CARD]
    card = {**card, "files": {r: digest(inside(directory, r)) for r in relatives}}
    try:
        text = json.dumps(card, indent=2, allow_nan=False, default=_plain) + "\n"
    except (TypeError, ValueError) as error:
        raise PackageError(f"the card of {directory} is not JSON: {error}") from error
    with atomic(directory / CARD) as path:
        path.write_text(text, encoding="utf-8")
    return json.loads(text)


def read_card(directory: str | os.PathLike) -> dict[str, Any]:
    """The card of an exported model, whose files are not looked at.

    Raises:
        PackageError: there is no card, or it is malformed.
    """
    path = pathlib.Path(directory) / CARD
    if not path.exists():
        raise PackageError(
            f"{path} is missing: not an exported model, or half of one{of_others(path.parent)}"
        )
    try:
        card = read_json(path)
    except FileError as error:
        raise PackageError(str(error)) from None
    for key, kind in _KINDS.items():
        if not isinstance(card.get(key, kind()), kind):
            raise PackageError(f"{path} is no card of a model: its {key} is {card[key]!r}")
    table(card.get("files"), str(path))
    return card


def verify(directory: str | os.PathLike) -> dict[str, Any]:
    """Checks an exported model against its card and returns the card.

    Raises:
        PackageError: the card or a file is missing, truncated, altered or not of the package.
    """
    card = read_card(directory)
    directory = pathlib.Path(directory)
    check(directory, {**card["files"], CARD: digest(directory / CARD)})
    return card


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")
