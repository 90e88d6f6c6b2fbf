"""Which pretrained models there are: the registries of all hubs.

    {"format": 1, "models": {name: {version: {"files": {path: {"sha256", "size"}}, "description",
                                              "licence", "command", "config", "scores"}}}}

A published version never changes; a better model is a new version. The registry of a hub elsewhere
is read again whenever one of its models is looked up, and cached for use without a network.
"""

import contextlib
import dataclasses
import difflib
import hashlib
import json
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from absl import logging

from zoo import files
from zoo.hub import package, places
from zoo.hub.places import Place, RegistryError, UnknownModel
from zoo.hub.transfer import Unavailable

FORMAT = 1

# A part of a name holds a letter and a version none, so that a version's folder is never the
# folder of another name.
_NAME = re.compile(r"[0-9]*[a-z][a-z0-9_-]*(/[0-9]*[a-z][a-z0-9_-]*)*")
_VERSION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,9}")
# Characters of a name in a message.
_SHOWN = 200
_TEXTS = ("description", "licence", "command")

# Beside the cached registry of a hub: a registry of all versions that it has ever listed, where it
# no longer lists one.
_SEEN = "seen.json"

# Name -> version -> entry as in the file.
Models = dict[str, dict[str, dict[str, Any]]]


@dataclasses.dataclass(frozen=True)
class Entry:
    """One version of a pretrained model.

    Attributes:
        name: for example `beta_vae/dsprites`.
        version: numbers and dots, for example `1.0.0`.
        hub: where it is published.
        files: relative path -> `{"sha256", "size"}`, the card included.
        facts: all that the registry says of it but the files, by the keys of the card.
    """

    name: str
    version: str
    hub: Place = dataclasses.field(compare=False)
    files: Mapping[str, Mapping[str, Any]]
    facts: Mapping[str, Any]

    @property
    def description(self) -> str:
        """One line."""
        return self.facts["description"]

    @property
    def licence(self) -> str:
        """Of the weights, an SPDX identifier."""
        return self.facts["licence"]

    @property
    def command(self) -> str:
        """The command that trained it."""
        return self.facts["command"]

    @property
    def config(self) -> Any:
        """Its configuration, as in its card."""
        return self.facts.get("config")

    @property
    def scores(self) -> Any:
        """Its scores, as in its card."""
        return self.facts.get("scores")

    @property
    def folder(self) -> str:
        """Where it lies in a hub: `name/version`."""
        return f"{self.name}/{self.version}"

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(expected["size"] for expected in self.files.values())


def names(hub: str | None = None) -> list[str]:
    """The names of all pretrained models of all hubs or of one, sorted.

    Hubs that are silent are left out, and said; one that was asked for is an error.

    Args:
        hub: a folder, an https address, or `hf://owner/repo`; all hubs if None.

    Raises:
        RegistryError: there is no such hub, or it cannot be read.
    """
    answers = _answering(_asked(hub), strict=hub is not None)
    return sorted({name for _, models in answers for name in models})


def versions(name: str, hub: str | None = None) -> list[str]:
    """The versions of a model, the newest last, of all hubs or of one: all that `find` takes.

    Raises:
        RegistryError: there is no such model; the message names the nearest.
    """
    asked = _asked(hub)
    answers = _answering(asked, strict=hub is not None)
    known = {version for _, models in answers for version in models.get(name, ())}
    return in_order(known or _first(name, None, asked)[1][name])


def entries(hub: str | None = None) -> list[Entry]:
    """Every version of every model, of all hubs or of one.

    A version that several hubs have is the first one's. Hubs that are silent are left out, and
    said; one that was asked for is an error.

    Raises:
        RegistryError: the hub asked for cannot be read.
    """
    found: dict[tuple[str, str], Entry] = {}
    for place, models in _answering(_asked(hub), strict=hub is not None):
        for name in sorted(models):
            for version in in_order(models[name]):
                found.setdefault((name, version), entry(place, models, name, version))
    return list(found.values())


def find(name: str, version: str | None = None, hub: str | None = None) -> Entry:
    """The entry of a model: of one version, or of the newest.

    It is that of the first hub that has it; a later one that has the name, too, is said, and so is
    a hub elsewhere that is taken because an earlier one has other versions only.

    Args:
        name: for example `beta_vae/dsprites`.
        version: the newest of the first hub that has the model, if None.
        hub: the address of the only hub that is asked.

    Raises:
        RegistryError: there is no such model, version or hub; the message names the nearest.
    """
    asked = _asked(hub)
    place, models = _first(name, version, asked)
    if version is not None and not places.is_own(place):
        for other in asked[: asked.index(place)]:
            # One that has this version, too, was refused, which has been said.
            if (known := _remembered(other).get(name)) and version not in known:
                logging.warning(
                    "%s %s is not in %s, which has other versions of it: that of %s is taken",
                    *(name, version, other.address, place.address),
                )
    later = [each for each in asked[asked.index(place) + 1 :] if not places.is_own(each)]
    for other in later:
        if name in _remembered(other):
            logging.warning(
                "%s is in %s and in %s: the first is taken; hub=%r chooses the other",
                *(name, place.address, other.address, other.address),
            )
    return entry(place, models, name, version or in_order(models[name])[-1])


def entry(place: Place, models: Models, name: str, version: str) -> Entry:
    """What a registry says of one version.

    Raises:
        PackageError: the table of its files is malformed.
        RegistryError: a text is none.
    """
    facts = {**dict.fromkeys(_TEXTS, ""), **models[name][version]}
    table = package.table(facts.pop("files", None), f"registry entry {name} {version}")
    for key in _TEXTS:
        facts[key] = facts[key] or ""
        if not isinstance(facts[key], str):
            raise RegistryError(f"registry entry {name} {version}: its {key} is no text")
        # Nothing that a terminal would obey.
        facts[key] = "".join(c if c.isprintable() else " " for c in facts[key])
    return Entry(name, version, place, table, {"name": name, "version": version, **facts})


def read(place: Place) -> Models:
    """The models of a hub now, or as they were last where it does not answer.

    Raises:
        RegistryError: it does not answer and never did, or what it says is no registry.
    """
    if place.folder:
        try:
            return checked(place.registry(), place.address)
        except Unavailable as error:
            raise RegistryError(f"the hub {place.address} cannot be read: {error}") from None
    try:
        content = place.registry()
    except Unavailable as error:
        return _earlier(place, error)
    models = checked(content, place.address, place.pin)
    path, seen_path = (places.kept(place) / name for name in (places.REGISTRY, _SEEN))
    seen = _merged(_sound(seen_path), _sound(path))
    # A pin vouches for its registry, also where that differs from earlier ones.
    if not place.pin:
        _require_unchanged(place, seen, models)
    seen = _merged(seen, models)
    # Where they cannot be kept, as in a read-only cache, the hub is asked again.
    with contextlib.suppress(OSError):
        # First: the registry that is overwritten may be the only one that lists a version.
        if seen != models:
            _keep(seen_path, text(seen).encode())
        _keep(path, content)
    return models


def checked(content: bytes, where: str, pin: str | None = None) -> Models:
    """The models of a registry's text, whose form is checked.

    Raises:
        RegistryError: it has not the hash `pin`, is of another format, or malformed.
    """
    if pin and pin != (found := hashlib.sha256(content).hexdigest()):
        raise RegistryError(
            f"the registry of {where} has the sha256 {found}, not the one that its address was "
            "given with; see what was published there, and give the new one"
        )
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RegistryError(f"the registry of {where} is no JSON: {error}") from None
    if not _is_object(document):
        raise RegistryError(f"the registry of {where} is malformed: it is no object")
    if (version := document.get("format", FORMAT)) != FORMAT:
        raise RegistryError(
            f"the registry of {where} is of format {str(version)[:_SHOWN]}, and this package reads "
            f"{FORMAT}: pip install --upgrade disentanglement-zoo"
        )
    models = document.get("models")
    levels = [("models", models)]
    levels += [(name, known) for name, known in models.items()] if _is_object(models) else []
    for what, value in levels:
        if not _is_object(value) or not all(map(_is_object, value.values())):
            raise RegistryError(f"the registry of {where} is malformed: {what} holds no objects")
    for name, known in models.items():
        for version in known:
            check_name(name, version)
    return models


def text(models: Models) -> str:
    """The text of a registry."""
    return json.dumps({"format": FORMAT, "models": models}, indent=2, sort_keys=True) + "\n"


def nearest(name: str, known: Sequence[str]) -> str:
    """`the nearest is 'x' (all: x, y)`, or that there are none: the end of an error line."""
    if not known:
        return "no model is registered"
    near = difflib.get_close_matches(name[:_SHOWN], known, n=1, cutoff=0.0)[0]
    return f"the nearest is {near!r} (all: {', '.join(known)})"


def is_name(text: Any) -> bool:
    """Whether a text can be the name of a model."""
    return isinstance(text, str) and bool(_NAME.fullmatch(text))


def is_folder(text: str) -> bool:
    """Whether a text can be the folder of a version in a hub: `name/version`."""
    name, _, version = text.rpartition("/")
    return is_name(name) and bool(_VERSION.fullmatch(version))


def is_own(name: str) -> bool:
    """Whether a hub of this package has a model of this name."""
    return any(name in read(place) for place in places.hubs() if places.is_own(place))


def check_name(name: str, version: str) -> None:
    """Raises a RegistryError where a model cannot have this name or version."""
    if not is_name(name):
        raise RegistryError(
            f"{name!r} is not a model's name: lower-case words joined by '/', as beta_vae/dsprites"
        )
    if not _VERSION.fullmatch(version):
        raise RegistryError(f"{version!r} is not a version: numbers and dots, as 1.0.0")


def in_order(known: Mapping[str, Any] | Sequence[str]) -> list[str]:
    """Versions, the newest last."""
    return sorted(known, key=lambda version: [int(n) for n in version.split(".")])


def _asked(hub: str | None) -> list[Place]:
    return [places.of(hub)] if hub is not None else places.hubs()


def _answering(asked: Sequence[Place], strict: bool = False) -> Iterator[tuple[Place, Models]]:
    """The hubs that answer with their models; of the others a warning tells.

    The package's own must answer, and where `strict` all.
    """
    for place in asked:
        try:
            models = read(place)
        except RegistryError as error:
            if strict or places.is_own(place):
                raise
            logging.warning("%s", error)
            continue
        yield place, models


def _first(name: str, version: str | None, asked: Sequence[Place]) -> tuple[Place, Models]:
    """The first hub that has a model, in this version where one is given."""
    silent, known, there = [], [], []
    for place in asked:
        try:
            models = read(place)
        except RegistryError as error:
            if len(asked) == 1 or places.is_own(place):
                raise
            silent.append(str(error))
            continue
        if models.get(name) and version in (None, *models[name]):
            for line in silent:
                logging.warning("%s", line)
            return place, models
        known += models
        there += models.get(name, ())
    if there:
        line = f"{name} has no version {version!r}; it has {', '.join(in_order(set(there)))}"
        raise RegistryError("; ".join([line, *silent]))
    shown = str(name)[:_SHOWN]
    line = f"no pretrained model is named {shown!r}; {nearest(shown, sorted(set(known)))}"
    # An installed package has a part of the models that the repository has.
    more = (
        [
            "further models are in hub/ of the repository: set ZOO_HUB to that folder, or to the "
            "address of a hub"
        ]
        if [each.folder for each in asked] == [places.BUILT_IN]
        else []
    )
    raise UnknownModel("; ".join([line, *silent, *more]))


def _earlier(place: Place, why: Unavailable) -> Models:
    """The models of a hub as they were when it last answered."""
    path = places.kept(place) / places.REGISTRY
    line = f"the hub {place.address} cannot be read: {why}"
    try:
        models = checked(path.read_bytes(), str(path), place.pin)
    except OSError:
        raise RegistryError(line) from None
    except RegistryError as error:
        raise RegistryError(f"{line}, and what is kept cannot serve: {error}") from None
    if not files.offline():
        logging.warning("the hub %s: %s; its registry of earlier is used", place.address, why)
    return models


def _keep(path: pathlib.Path, content: bytes) -> None:
    if not path.is_file() or path.read_bytes() != content:
        with files.atomic(path) as temporary:
            temporary.write_bytes(content)


def _merged(older: Models, newer: Models) -> Models:
    """All versions of two registries; the newer one's entry of those that are in both."""
    return {name: {**older.get(name, {}), **newer.get(name, {})} for name in (older | newer)}


def _remembered(place: Place) -> Models:
    """The models of a hub without asking the network; none where nothing sound is known."""
    return _sound((place.folder or places.kept(place)) / places.REGISTRY, place.pin)


def _sound(path: pathlib.Path, pin: str | None = None) -> Models:
    """The models of a registry on this machine; none where it is not there, or not sound."""
    try:
        return checked(path.read_bytes(), str(path), pin)
    except (OSError, RegistryError):
        return {}


def _require_unchanged(place: Place, before: Models, now: Models) -> None:
    """Raises a RegistryError where a version that was seen has other files now."""
    for name, known in before.items():
        for version, entry in known.items():
            later = now.get(name, {}).get(version)
            if later and later.get("files") != entry.get("files"):
                raise RegistryError(
                    f"the hub {place.address} has other files of {name} {version} than before, and "
                    "a published version never changes; ask its publisher, and to take the new "
                    f"ones delete {places.kept(place)}"
                )


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)
