"""`hf://owner/repo` and `hf://owner/repo@revision`: a hub in a repository of the Hugging Face Hub.

Its client does all that there is to do: cache, resumption, revisions, tokens, one commit. What it
gives is copied to this package's cache and checked against the registry as from any other place.
`HF_ENDPOINT`, `HF_TOKEN`, `HF_HOME` and the client's other variables hold.
"""

import os
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from zoo import files
from zoo.errors import UserError
from zoo.hub import transfer

_ADDRESS = re.compile(r"hf://(?P<repo>[\w.-]+/[\w.-]+?)/?(@(?P<revision>[\w./-]+))?")
# Seconds in which the Hub must begin to answer.
_PATIENCE = 10.0
_LOG_IN = "set HF_TOKEN, or log in by: hf auth login"

Answer = TypeVar("Answer")


class AddressError(UserError):
    """An `hf://` address of another form, or one that cannot be used here."""


class HuggingFace:
    """A hub in a repository; see `zoo.hub.places.Place`.

    Raises:
        AddressError: the address is malformed, or `huggingface_hub` is not installed.
    """

    folder = pin = None

    def __init__(self, address: str):
        found = _ADDRESS.fullmatch(address)
        if not found:
            raise AddressError(f"{address} is no address of a hub: write hf://owner/repo@revision")
        try:
            import huggingface_hub  # noqa: F401
        except ImportError:
            raise AddressError(
                f"{address} needs huggingface_hub: pip install 'disentanglement-zoo[hub]'"
            ) from None
        self.address = address
        self._repo, self._revision = found["repo"], found["revision"]
        self._answers = False

    def registry(self) -> bytes:
        """See `zoo.hub.places.Place.registry`."""
        return self._file("registry.json").read_bytes()

    def fill(self, stage: pathlib.Path, folder: str, lacking: Mapping[str, Mapping]) -> None:
        """See `zoo.hub.places.Place.fill`."""
        for relative, expected in lacking.items():
            transfer.copy(self._file(f"{folder}/{relative}"), stage / relative, expected)

    def head(self) -> str | None:
        """The newest commit; None where there is no such repository, or none that may be seen.

        Raises:
            Unavailable: no answer, a refusal, or `ZOO_OFFLINE` is set.
        """
        from huggingface_hub.errors import RepositoryNotFoundError

        def ask() -> str | None:
            try:
                return self._client().repo_info(self._repo, revision=self._revision).sha
            except RepositoryNotFoundError:
                return None

        return self._answered(ask)

    def at(self, commit: str, path: str = "registry.json") -> bytes | None:
        """A file at a commit; None where it has none.

        Raises:
            Unavailable: no answer, a refusal, or `ZOO_OFFLINE` is set.
        """
        from huggingface_hub.errors import RemoteEntryNotFoundError

        def ask() -> bytes | None:
            try:
                found = self._client().hf_hub_download(self._repo, path, revision=commit)
            except RemoteEntryNotFoundError:
                return None
            return pathlib.Path(found).read_bytes()

        return self._answered(ask)

    def create(self) -> None:
        """Makes the repository where it is not there.

        Raises:
            Unavailable: no answer, a refusal, or `ZOO_OFFLINE` is set.
        """
        self._answered(lambda: self._client().create_repo(self._repo, exist_ok=True))

    def commit(self, content: Mapping[str, bytes | pathlib.Path], message: str, parent: str) -> str:
        """Adds files in one commit on `parent`, and gives its address.

        Raises:
            Unavailable: no answer, a refusal, another commit came first, or `ZOO_OFFLINE` is set.
        """
        from huggingface_hub import CommitOperationAdd

        operations = [CommitOperationAdd(path, file) for path, file in content.items()]
        made = self._answered(
            lambda: self._client().create_commit(
                self._repo,
                operations,
                commit_message=message,
                revision=self._revision,
                parent_commit=parent,
            )
        )
        return made.commit_url

    def _client(self) -> Any:
        from huggingface_hub import HfApi

        return HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="disentanglement-zoo")

    def _file(self, path: str) -> pathlib.Path:
        """A file of the repository in the client's cache."""
        silent = None if files.offline() else self._silent()
        options = {"revision": self._revision, "local_files_only": bool(files.offline() or silent)}
        download = self._client().hf_hub_download
        try:
            return pathlib.Path(self._asked(lambda: download(self._repo, path, **options), path))
        except transfer.Unavailable as error:
            raise transfer.Unavailable(silent or str(error)) from None

    def _answered(self, ask: Callable[[], Answer]) -> Answer:
        """What only the network can answer."""
        if files.offline():
            raise transfer.Unavailable("not asked, ZOO_OFFLINE is set")
        if silent := self._silent():
            raise transfer.Unavailable(silent)
        return self._asked(ask)

    def _silent(self) -> str | None:
        """Why the Hub does not answer; None where it does, whatever it says.

        The client itself tries for more than 20 s to reach it, at every file.
        """
        from huggingface_hub import errors, get_session

        if self._answers:
            return None
        try:
            get_session().head(self._client().endpoint, timeout=_PATIENCE)
        except (errors.HTTPError, OSError) as error:
            return f"no answer ({_line(error)})"
        self._answers = True
        return None

    def _asked(self, ask: Callable[[], Answer], path: str = "") -> Answer:
        from huggingface_hub import errors

        known = (errors.HTTPError, errors.EntryNotFoundError, errors.HFValidationError, OSError)
        try:
            return ask()
        except known as error:
            raise transfer.Unavailable(self._why(error, path)) from None
        except ValueError as error:
            # The client's own check of a card that it commits.
            if "metadata" not in str(error).lower():
                raise
            raise transfer.Unavailable(_line(error)) from None

    def _why(self, error: BaseException, path: str) -> str:
        """What a user can do about an error of the client."""
        from huggingface_hub import errors

        # The client names what happened as the cause of what it could not find.
        if isinstance(error, errors.LocalEntryNotFoundError) and error.__cause__:
            error = error.__cause__
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, errors.LocalEntryNotFoundError) and files.offline():
            return f"{path}: not asked, ZOO_OFFLINE is set, and the client has not kept it"
        if isinstance(error, errors.GatedRepoError):
            return f"its owner has to let you in: ask on its page, and {_LOG_IN}"
        if isinstance(error, errors.RepositoryNotFoundError):
            return (
                "there is no such repository, or it is private and the token is missing or not "
                f"entitled: see whether the address is right, and {_LOG_IN}"
            )
        if isinstance(error, errors.RevisionNotFoundError):
            return f"it has no revision {self._revision}: name a branch, a tag or a commit"
        if isinstance(error, errors.EntryNotFoundError):
            return f"it has no {path or _line(error)}"
        if status == 401:
            return f"the token is missing or refused (HTTP 401): {_LOG_IN}"
        if status == 403:
            return f"the token may not do this (HTTP 403): take one with the right, and {_LOG_IN}"
        if status == 412:
            return "another commit came first (HTTP 412): run the same command again"
        if status:
            return f"HTTP {status}: {_line(error)}"
        return f"no answer ({_line(error)})"


def _line(error: BaseException) -> str:
    """An error of the client in one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__
