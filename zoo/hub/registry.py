"""Which pretrained models there are: `registry.json`, written by `register`.

    {"models": {name: {version: {"files": {path: {"sha256", "size"}}, "description", "licence",
                                 "command", "config", "scores"}}}}

A published version never changes; a better model is a new version.
"""

import dataclasses
import difflib
import json
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Mapping
from typing import Any

import filelock

from zoo.data import cache
from zoo.errors import UserError
from zoo.files import FileError, atomic, read_json
from zoo.hub import package

PATH = pathlib.Path(__file__).with_name("registry.json")
STORE = pathlib.Path(__file__).with_name("store")

# A part of a name holds a letter and a version none, so that a version's folder is never the
# folder of another name.
_NAME = re.compile(r"[0-9]*[a-z][a-z0-9_-]*(/[0-9]*[a-z][a-z0-9_-]*)*")
_VERSION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,9}")
# Characters of a name in a message.
_SHOWN = 200


class RegistryError(UserError):
    """There is no such model, or it cannot be registered."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One version of a pretrained model.

    Attributes:
        name: for example `beta_vae/dsprites`.
        version: numbers and dots, for example `1.0.0`.
        files: relative path -> `{"sha256", "size"}`, the card included.
        description: one line.
        licence: of the weights, an SPDX identifier.
        command: the command that trained it.
        config: its configuration, as in its card.
        scores: its scores, as in its card.
    """

    name: str
    version: str
    files: Mapping[str, Mapping[str, Any]]
    description: str = ""
    licence: str = ""
    command: str = ""
    config: Any = None
    scores: Any = None

    @property
    def folder(self) -> str:
        """Where it lies in a mirror: `name/version`."""
        return f"{self.name}/{self.version}"

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(expected["size"] for expected in self.files.values())


def names() -> list[str]:
    """The names of all pretrained models, sorted."""
    return sorted(_read())


def versions(name: str) -> list[str]:
    """The versions of a model, the newest last.

    Raises:
        RegistryError: there is no such model; the message names the nearest.
    """
    return _versions(_read(), name)


def find(name: str, version: str | None = None) -> Entry:
    """The entry of a model: of one version, or of the newest.

    Raises:
        RegistryError: there is no such model or version; the message names the nearest.
    """
    models = _read()
    known = _versions(models, name)
    version = version or known[-1]
    if version not in known:
        raise RegistryError(f"{name} has no version {version!r}; it has {', '.join(known)}")
    fields = dict(models[name][version])
    fields["files"] = package.table(fields.get("files"), f"registry entry {name} {version}")
    known_fields = {field.name for field in dataclasses.fields(Entry)} - {"name", "version"}
    for key in ("description", "licence", "command"):
        fields[key] = fields.get(key) or ""
        if not isinstance(fields[key], str):
            raise RegistryError(f"registry entry {name} {version}: its {key} is no text")
    return Entry(name, version, **{k: v for k, v in fields.items() if k in known_fields})


def nearest(name: str) -> str:
    """`the nearest is 'x' (all: x, y)`, or that there are none: the end of an error line."""
    known = names()
    if not known:
        return "no model is registered"
    near = difflib.get_close_matches(name[:_SHOWN], known, n=1, cutoff=0.0)[0]
    return f"the nearest is {near!r} (all: {', '.join(known)})"


def register(
    directory: str | os.PathLike,
    name: str,
    version: str,
    *,
    licence: str | None = None,
    description: str | None = None,
    command: str | None = None,
) -> Entry:
    """Publishes an exported model: copies it to the bundled store and adds it to the registry.

    The copy's card also holds the name, the version and what is given here; the entry's other
    fields are the card's.

    Args:
        directory: an exported model, sealed.
        name: for example `beta_vae/dsprites`.
        version: numbers and dots, for example `1.0.0`.
        licence: of the weights, an SPDX identifier; the card's if None.
        description: one line; the card's if None.
        command: the command that trained it; the card's if None.

    Raises:
        PackageError: the model is incomplete or altered.
        RegistryError: the name or version is malformed or taken, or a text is missing.
    """
    _check_name(name, version)
    card = package.verify(directory)
    given = {"licence": licence, "description": description, "command": command}
    card |= {"name": name, "version": version}
    card |= {key: value for key, value in given.items() if value}
    if lacking := [key for key in given if not card.get(key)]:
        raise RegistryError(f"cannot register {name} {version} without its {lacking[0]}")
    PATH.parent.mkdir(parents=True, exist_ok=True)
    STORE.mkdir(parents=True, exist_ok=True)
    cache.directory().mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(cache.directory() / "registry.lock"):
        models = _read() if PATH.exists() else {}
        if version in models.get(name, {}):
            raise RegistryError(f"{name} {version} is registered already: take a new version")
        target = STORE / name / version
        with tempfile.TemporaryDirectory(prefix=".", dir=STORE) as stage:
            copy = pathlib.Path(stage) / "model"
            for relative in card["files"]:
                path = package.inside(copy, relative)
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(package.inside(directory, relative), path)
            files = package.seal(copy, card)["files"]
            files[package.CARD] = package.digest(copy / package.CARD)
            shutil.rmtree(target, ignore_errors=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(copy, target)
        kept = {key: card.get(key) for key in (*given, "config", "scores")}
        models.setdefault(name, {})[version] = {**kept, "files": files}
        with atomic(PATH) as path:
            path.write_text(json.dumps({"models": models}, indent=2, sort_keys=True) + "\n")
    return find(name, version)


def _read() -> dict[str, dict[str, Any]]:
    """The models of the registry, whose form is checked: names, versions and an object of each."""
    try:
        models = read_json(PATH).get("models")
    except FileError as error:
        raise RegistryError(f"the registry {PATH} cannot be read: {error}") from None
    levels = [("models", models)]
    levels += [(name, known) for name, known in models.items()] if _is_object(models) else []
    for where, value in levels:
        if not _is_object(value) or not all(map(_is_object, value.values())):
            raise RegistryError(f"the registry {PATH} is malformed: {where} holds no objects")
    for name, known in models.items():
        for version in known:
            _check_name(name, version)
    return models


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _versions(models: Mapping[str, Any], name: str) -> list[str]:
    if not models.get(name):
        shown = str(name)[:_SHOWN]
        raise RegistryError(f"no pretrained model is named {shown!r}; {nearest(shown)}")
    return sorted(models[name], key=lambda version: [int(n) for n in version.split(".")])


def _check_name(name: str, version: str) -> None:
    if not _NAME.fullmatch(name):
        raise RegistryError(
            f"{name!r} is not a model's name: lower-case words joined by '/', as beta_vae/dsprites"
        )
    if not _VERSION.fullmatch(version):
        raise RegistryError(f"{version!r} is not a version: numbers and dots, as 1.0.0")
