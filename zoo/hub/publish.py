"""Puts a trained model into a hub: all of it, or nothing.

In a folder the model is copied to a hidden folder, renamed, and made known by the registry, which
is written last. On the Hugging Face Hub model and registry are one commit on the one that was read.
"""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import filelock

from zoo import files
from zoo.hub import model_card, package, places, registry, submission
from zoo.hub.hugging_face import HuggingFace
from zoo.hub.submission import PublishError
from zoo.hub.transfer import Unavailable

README = "README.md"
# Marks a README of a repository as written here, so that it may be overwritten.
_MARK = "<!-- written by python -m zoo.hub publish -->"
# Names the hidden folder that a model is put together in.
_STAGE = "publishing"
# What an entry of a registry has of a card.
_KEPT = ("licence", "description", "command", "config", "scores", "seeds", "model", "dataset")
_KEPT += ("test_dataset", "steps", "batch_size", "seed", "precision", "weights", "machine")
_KEPT += ("versions", "earlier_starts")

# Takes a model's whole folder, its place in the hub and the registry with it; says where it is.
Put = Callable[[pathlib.Path, str, registry.Models], str]


def publish(
    run: str | os.PathLike,
    to: str | os.PathLike,
    *,
    name: str | None = None,
    version: str | None = None,
    licence: str | None = None,
    description: str | None = None,
    command: str | None = None,
    dry_run: Callable[[str], Any] | None = None,
) -> registry.Entry:
    """Publishes a run's model, with a card as `README.md`, its pictures and its scores over seeds.

    The published `card.json` also holds the name, the version and what is given here.

    Args:
        run: a finished run's folder, or an exported model's, sealed.
        to: a folder, made if it is not there, or `hf://owner/repo`, the same.
        name: for example `beta_vae/dsprites`; the card's if None.
        version: numbers and dots; if None `1.0.0`, or the next minor one of a published name.
        licence: of the weights, an SPDX identifier; the card's if None.
        description: one line; the card's if None, and made of the card where it has none.
        command: the command that trained it; the card's if None, or `zoo.train` with its config.
        dry_run: takes the lines that say what would be published, and nothing is.

    Returns:
        What the registry says of it.

    Raises:
        PackageError: the model is incomplete or altered.
        RegistryError: the name or version is malformed, or the hub cannot be read or written.
        PublishError: the run has not finished, the version is taken, the newest version is of the
            same files and no version is given, or a text is missing.
    """
    given = {"name": name, "licence": licence, "description": description, "command": command}
    submitted = submission.read(run)
    card = _completed(submitted.card, given, run)
    hub = places.of(to)
    with _opened(hub, dry_run is not None) as (models, put):
        known = models.get(card["name"], {})
        card["version"] = version or _next(known)
        registry.check_name(card["name"], card["version"])
        if card["version"] in known:
            raise PublishError(
                f"{card['name']} {card['version']} is published already, and a published version "
                "never changes: take a new --version"
            )
        beside = hub.folder if hub.folder and not dry_run else None
        prefix = files.temporary_prefix(_STAGE)
        with tempfile.TemporaryDirectory(prefix=prefix, dir=beside) as temporary:
            stage = pathlib.Path(temporary) / "model"
            table = _staged(stage, submitted, card, hub.address)
            if known and not version:
                newest = registry.entry(hub, models, card["name"], registry.in_order(known)[-1])
                _require_another(newest, card["version"], table)
            kept = {key: card[key] for key in _KEPT if card.get(key) is not None}
            models.setdefault(card["name"], {})[card["version"]] = {**kept, "files": table}
            entry = registry.entry(hub, models, card["name"], card["version"])
            if dry_run:
                _tell(dry_run, stage, entry)
            else:
                put(stage, entry.folder, models)
    return entry


def _completed(card: Mapping[str, Any], given: Mapping[str, str | None], run: Any) -> dict:
    """A card with the texts that were given, or made of it where it lacks one."""
    card = {**card, **{key: value for key, value in given.items() if value}}
    steps = ""
    if {"steps", "batch_size"} <= card.keys():
        steps = f", {card['steps']} steps of {card['batch_size']}"
    if card.get("model") and card.get("dataset"):
        card.setdefault("description", f"{card['model']} on {card['dataset']}{steps}")
        card.setdefault("command", "python -m zoo.train --gin_file=config.gin")
    for key in given:
        if not isinstance(card.get(key), str) or not card[key].strip():
            option = "training_command" if key == "command" else key
            raise PublishError(f"{run} cannot be published without a {key}: give --{option}")
        card[key] = " ".join(card[key].split())
    return card


def _staged(
    stage: pathlib.Path, submitted: submission.Submission, card: Mapping[str, Any], address: str
) -> dict[str, dict]:
    """Writes a sealed copy of a model with README and pictures; gives the table of its files."""
    for relative in submitted.card["files"]:
        _copy(package.inside(submitted.folder, relative), package.inside(stage, relative))
    for relative, source in submitted.pictures.items():
        _copy(source, package.inside(stage, relative))
    try:
        # Where a folder lies is nobody else's business, and another's when it is served.
        shown = address if address.startswith("hf://") else "the address of this hub"
        text = model_card.text(card, shown, package.contents(stage))
    except ImportError:
        raise PublishError(
            "publishing needs huggingface_hub, which writes the card's metadata: pip install "
            "'disentanglement-zoo[hub]'"
        ) from None
    (stage / README).write_text(text, encoding="utf-8")
    table = package.seal(stage, card)["files"]
    table[package.CARD] = files.digest(stage / package.CARD)
    files.sync_tree(stage)
    return table


def _require_another(newest: registry.Entry, version: str, table: Mapping[str, Mapping]) -> None:
    """Raises a PublishError where the newest version holds the model of a table of files."""
    if _of_model(newest.files) == _of_model(table):
        raise PublishError(
            f"{newest.name} {newest.version} is this model already, the same in every file; "
            f"--version={version} publishes it again"
        )


def _of_model(table: Mapping[str, Mapping]) -> dict[str, str]:
    """The hashes of a model's files, without what is written about it."""
    about = (README, package.CARD)
    return {
        path: expected["sha256"]
        for path, expected in table.items()
        if path not in about and not path.startswith(f"{model_card.PICTURES}/")
    }


def _copy(source: pathlib.Path, target: pathlib.Path) -> None:
    try:
        open(source, "rb").close()
    except OSError as error:
        # Said here: the hub would be blamed for it.
        raise PublishError(f"{source} cannot be read ({error.strerror})") from None
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _tell(say: Callable[[str], Any], stage: pathlib.Path, entry: registry.Entry) -> None:
    say(f"{entry.hub.address}: {entry.folder}, {len(entry.files)} files, {entry.size} bytes")
    for relative, expected in sorted(entry.files.items()):
        say(f"  {relative}  {expected['size']}")
    say(f"{README}:")
    say((stage / README).read_text(encoding="utf-8"))


@contextlib.contextmanager
def _opened(hub: places.Place, dry: bool) -> Iterator[tuple[registry.Models, Put]]:
    """The models of a hub, and what adds one to them; no other process changes them meanwhile."""
    try:
        if isinstance(hub, HuggingFace):
            yield _of_repository(hub, dry)
        elif hub.folder is None:
            raise PublishError(f"{hub.address} is a web server: publish to its folder")
        elif dry:
            yield _of_folder(hub)
        else:
            hub.folder.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(hub.folder / ".lock"):
                files.remove_leftovers(hub.folder, _STAGE)
                yield _of_folder(hub)
    except Unavailable as error:
        raise PublishError(f"{hub.address}: {error}; nothing was published") from None
    except (PermissionError, NotADirectoryError, FileExistsError, FileNotFoundError) as error:
        raise PublishError(
            f"{hub.address} cannot be written ({error.strerror}): publish to another folder"
        ) from None


def _of_folder(hub: places.Folder) -> tuple[registry.Models, Put]:
    path = hub.folder / places.REGISTRY
    # A link that leads nowhere is a registry that is lost, and the error of reading it.
    known = os.path.lexists(path)
    if not known and (lost := _lost(hub.folder)):
        raise PublishError(
            f"{hub.address} holds {lost}, but no {places.REGISTRY}: restore that from a copy, or "
            "publish to another folder"
        )

    def put(stage: pathlib.Path, folder: str, models: registry.Models) -> None:
        target = hub.folder / folder
        _require_replaceable(target, stage)
        if not known:
            # First: a model without it, where this is killed, would be one of a lost registry.
            with files.atomic(path) as temporary:
                temporary.write_text(registry.text({}), encoding="utf-8")
        files.remove(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(stage, target)
        # Last: until then nobody knows of the folder.
        with files.atomic(path) as temporary:
            temporary.write_text(registry.text(models), encoding="utf-8")

    return (registry.read(hub) if known else {}), put


def _lost(hub: pathlib.Path) -> str | None:
    """The folder of a model that lies in a hub, as `name/version`; None where none does."""
    cards = hub.glob(f"*/**/{package.CARD}") if hub.is_dir() else ()
    folders = (path.parent.relative_to(hub).as_posix() for path in cards)
    return next(filter(registry.is_folder, folders), None)


def _require_replaceable(target: pathlib.Path, stage: pathlib.Path) -> None:
    """Raises a PublishError where a whole model is that no registry names, and not that of `stage`.

    What a killed process has left is half of one, or the same.
    """
    try:
        card = package.verify(target)
    except package.PackageError:
        return
    if card != package.read_card(stage):
        raise PublishError(
            f"{target} holds a whole model that the registry does not name, and is not replaced: "
            "restore the registry from a copy, take another --version, or move the model away"
        )


def _of_repository(hub: HuggingFace, dry: bool) -> tuple[registry.Models, Put]:
    head = hub.head()
    if head is None and not dry:
        hub.create()
        head = hub.head()
    content = hub.at(head) if head else None

    def put(stage: pathlib.Path, folder: str, models: registry.Models) -> None:
        added = {f"{folder}/{path}": stage / path for path in package.contents(stage)}
        added[places.REGISTRY] = registry.text(models).encode()
        readme = hub.at(head, README)
        if readme is None or _MARK in readme.decode(errors="replace"):
            added[README] = _front(hub, stage, folder, models).encode()
        hub.commit(added, f"Add {folder}", head)

    return ({} if content is None else registry.checked(content, hub.address)), put


def _front(hub: HuggingFace, stage: pathlib.Path, folder: str, models: registry.Models) -> str:
    """The card of the repository: that of the newest model, and a list of all."""
    card = package.read_card(stage)
    text = model_card.text(card, hub.address, package.contents(stage), f"{folder}/")
    lines = [f"- [`{n}` {v}]({n}/{v}/{README})" for n in sorted(models) for v in models[n]]
    return "\n".join([text, "## All models here", "", *lines, "", _MARK, ""])


def _next(known: Mapping[str, Any]) -> str:
    """The version after the newest."""
    if not known:
        return "1.0.0"
    major, minor, *_ = [*map(int, registry.in_order(known)[-1].split(".")), 0]
    return f"{major}.{minor + 1}.0"
