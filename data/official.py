"""Official data files: downloaded once and verified, or put into the cache by hand."""

import contextlib
import pathlib
from collections.abc import Iterator

from zoo.errors import SettingError
from zoo.files import digest, offline

# What h5py raises of a file that is damaged, or another than expected: a missing name, a group for
# an array, a type or a size that cannot be.
DAMAGED = (
    *(OSError, KeyError, ValueError, TypeError, AttributeError, IndexError, RuntimeError),
    *(OverflowError, MemoryError),
)


class Offline(ConnectionError):
    """A server was not asked, as `ZOO_OFFLINE` is set."""


def download(manager, checksums: pathlib.Path, file: str, directory: pathlib.Path) -> pathlib.Path:
    """A verified file: put into `directory` by hand, or from a TFDS download manager.

    Args:
        manager: a `tfds.download.DownloadManager` that knows the file's checksum.
        checksums: the `checksums.tsv` of the family, which has the file's address.
        file: its name.
        directory: the cache folder of the family.

    Raises:
        SettingError: it cannot be downloaded, or is not the original.
    """
    url, expected = _registered(checksums, file)
    path = directory / file
    if not path.exists():
        try:
            with _asking_first(manager):
                return pathlib.Path(manager.download(url))
        except Exception as error:
            raise _unreachable(file, directory, error) from error
    sha256 = digest(path)["sha256"]
    if sha256 != expected.checksum:
        raise SettingError(f"{path} is not the original file (sha256 {sha256}): delete it")
    return path


def fetched(checksums: pathlib.Path, file: str, directory: pathlib.Path) -> pathlib.Path:
    """A verified file: put into `directory` by hand, or downloaded into it.

    Args:
        checksums: the `checksums.tsv` of the family, which has the file's address.
        file: its name.
        directory: the cache folder of the family.

    Raises:
        SettingError: it cannot be downloaded, or is not the original.
    """
    manager = None
    if not (directory / file).exists():
        import tensorflow_datasets as tfds

        url, expected = _registered(checksums, file)
        manager = tfds.download.DownloadManager(
            download_dir=directory / "downloads",
            url_infos={url: expected},
            dataset_name=directory.name,
        )
    return download(manager, checksums, file, directory)


def asked(url: str):
    """A server's answer about a file, whatever its status: a `requests.Response` without content.

    TFDS itself tries for more than three minutes to reach a server.

    Raises:
        requests.RequestException: it cannot be reached.
        Offline: `ZOO_OFFLINE` is set.
    """
    import requests

    if offline():
        raise Offline
    return requests.head(url, timeout=20, allow_redirects=True)


def reason(error: Exception) -> str:
    """Why a download failed, in a few words."""
    return "ZOO_OFFLINE is set" if isinstance(error, Offline) else type(error).__name__


@contextlib.contextmanager
def _asking_first(manager) -> Iterator[None]:
    """Has TFDS's manager ask a server by `asked` before it downloads what it has not kept."""
    connect = manager._download

    def ask(resource):
        asked(resource.url).raise_for_status()
        return connect(resource)

    manager._download = ask
    try:
        yield
    finally:
        del manager._download


def _registered(checksums: pathlib.Path, file: str):
    """The address of a file, and its `tfds.core.download.checksums.UrlInfo`."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import checksums as tables

    infos = tables.load_url_infos(tfds.core.Path(checksums))
    return next((url, info) for url, info in infos.items() if info.filename == file)


def _unreachable(file: str, directory: pathlib.Path, error: Exception) -> SettingError:
    return SettingError(
        f"{file} could not be downloaded ({reason(error)}): use the config `rendered`, "
        f"or put the file into {directory}"
    )
