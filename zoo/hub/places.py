"""Hubs: places with a `registry.json` and a folder for each version of a model.

    registry.json              {"format": 1, "models": {name: {version: entry}}}
    <name>/<version>/<path>    the files that an entry lists

A place is a folder, an https address, or `hf://owner/repo` with or without `@revision`. What it
gives is checked by others (`zoo.hub.registry`, `zoo.hub.download`).
"""

import hashlib
import os
import pathlib
import re
import urllib.parse
from collections.abc import Mapping
from typing import Protocol

from zoo import files
from zoo.data import cache
from zoo.errors import UserError
from zoo.hub import transfer
from zoo.hub.hugging_face import HuggingFace

REGISTRY = "registry.json"
# In the wheel.
BUILT_IN = pathlib.Path(__file__).with_name("store")
# Beside the package in a checkout.
REPOSITORY = pathlib.Path(__file__).parents[2] / "hub"
# Bytes of a registry.
LIMIT = 1 << 25

_PIN = re.compile(r"sha256=([0-9a-f]{64})")


class RegistryError(UserError):
    """There is no such hub or model, or its registry cannot be read."""


class UnknownModel(RegistryError):
    """No hub has a model of this name."""


class Place(Protocol):
    """A hub, or a mirror, which has folders and no registry.

    Attributes:
        address: as a user would write it, without the password it may hold.
        folder: where it lies on this machine; None where it must be fetched.
        pin: the sha256 that its registry must have; None for any.
    """

    address: str
    folder: pathlib.Path | None
    pin: str | None

    def registry(self) -> bytes:
        """The registry as it is now.

        Raises:
            Unavailable: there is none, or no answer.
        """

    def fill(self, stage: pathlib.Path, folder: str, lacking: Mapping[str, Mapping]) -> None:
        """Gets files of `folder`, a table as an entry's, to `stage`.

        Raises:
            Unavailable: one is not available as the table says.
            OSError: `stage` cannot be written.
        """


class Folder:
    """A hub on this machine; see `Place`."""

    pin = None

    def __init__(self, folder: str | os.PathLike):
        self.folder = pathlib.Path(folder).expanduser()
        self.address = str(folder)
        if self.folder == BUILT_IN:
            self.address = "the bundled store"

    def registry(self) -> bytes:
        """See `Place.registry`."""
        path = self.folder / REGISTRY
        try:
            if path.stat().st_size > LIMIT:
                raise transfer.Unavailable(f"its {REGISTRY} has more than {LIMIT} bytes")
            return path.read_bytes()
        except FileNotFoundError:
            raise transfer.Unavailable(
                f"it has no {REGISTRY}; see whether the address is right"
            ) from None
        except OSError as error:
            raise transfer.Unavailable(f"its {REGISTRY}: {error.strerror}") from None

    def fill(self, stage: pathlib.Path, folder: str, lacking: Mapping[str, Mapping]) -> None:
        """See `Place.fill`."""
        for relative, expected in lacking.items():
            transfer.copy(self.folder / folder / relative, stage / relative, expected)


class Web:
    """A hub on a web server; see `Place`."""

    folder = None

    def __init__(self, address: str):
        self._address, _, fragment = address.partition("#")
        self._address = self._address.removesuffix(f"/{REGISTRY}").rstrip("/")
        self.address = _without_password(self._address)
        pinned = _PIN.fullmatch(fragment)
        if fragment and not pinned:
            raise RegistryError(
                f"{self.address}#{fragment}: what follows # must be sha256= and the 64 digits of "
                "the registry's hash"
            )
        self.pin = pinned[1] if pinned else None

    def registry(self) -> bytes:
        """See `Place.registry`."""
        self._require_network()
        host = urllib.parse.urlsplit(self._address).hostname
        # What anybody on the way may alter vouches for nothing.
        plain = not self._address.lower().startswith("https://")
        if plain and not self.pin and host not in ("127.0.0.1", "::1", "localhost"):
            raise transfer.Unavailable(
                "a registry over plain http can be altered on the way; use https, or append "
                "#sha256= and its hash"
            )
        try:
            return transfer.text(f"{self._address}/{REGISTRY}", LIMIT)
        except transfer.Unavailable as error:
            raise transfer.Unavailable(
                f"{error}; see whether the address is right and has a {REGISTRY}"
            ) from None

    def fill(self, stage: pathlib.Path, folder: str, lacking: Mapping[str, Mapping]) -> None:
        """See `Place.fill`."""
        import requests

        self._require_network()
        with requests.Session() as session:
            for relative, expected in lacking.items():
                address = f"{self._address}/{urllib.parse.quote(f'{folder}/{relative}')}"
                transfer.download(session, address, stage / relative, expected)

    def _require_network(self) -> None:
        if files.offline():
            raise transfer.Unavailable("not asked, ZOO_OFFLINE is set")


def of(address: str | os.PathLike, what: str = "hub") -> Place:
    """The place of an address.

    Args:
        address: a folder, an http(s) address, or `hf://owner/repo@revision`.
        what: named in errors.

    Raises:
        RegistryError: it is none of these.
        AddressError: `hf://` is malformed, or its client is not installed.
    """
    address = os.fspath(address).strip()
    if address.lower().startswith(("http://", "https://")):
        return Web(address)
    if address.startswith("hf://"):
        return HuggingFace(address)
    if "://" in address or not address:
        raise RegistryError(
            f"{what}: {_without_password(address)!r} is neither http(s) nor hf:// nor a directory"
        )
    return Folder(address)


def hubs() -> list[Place]:
    """All hubs in their order: in the wheel, in the checkout, and those of `ZOO_HUB`.

    Raises:
        RegistryError: `ZOO_HUB` names what is no address.
    """
    own = [BUILT_IN]
    if (REPOSITORY / REGISTRY).is_file() and (REPOSITORY.parent / "pyproject.toml").is_file():
        own.append(REPOSITORY)
    return [*map(Folder, own), *_listed("ZOO_HUB")]


def mirrors() -> list[Place]:
    """The mirrors of `ZOO_MIRRORS`, in order.

    Raises:
        RegistryError: one is no address.
    """
    return _listed("ZOO_MIRRORS")


def is_own(place: Place) -> bool:
    """Whether a hub belongs to this package."""
    return place.folder in (BUILT_IN, REPOSITORY)


def kept(place: Place) -> pathlib.Path:
    """Where the cache keeps what it has of a hub, in the layout of a hub."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", place.address).strip("-")[-60:]
    tag = hashlib.sha256(place.address.encode()).hexdigest()[:8]
    return cache.directory() / "hubs" / f"{name}-{tag}"


def _listed(variable: str) -> list[Place]:
    listed = os.environ.get(variable, "").split(",")
    return [of(address, variable) for address in listed if address.strip()]


def _without_password(address: str) -> str:
    scheme, separator, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}" if separator else address
