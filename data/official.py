"""Official data files: downloaded once and verified, or put into the cache by hand."""

import pathlib

from zoo.errors import SettingError
from zoo.files import digest

# What h5py raises of a file that is damaged, or another than expected: a missing name, a group for
# an array, a type or a size that cannot be.
DAMAGED = (
    *(OSError, KeyError, ValueError, TypeError, AttributeError, IndexError, RuntimeError),
    *(OverflowError, MemoryError),
)


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
        import requests
        import tensorflow_datasets as tfds

        url, expected = _registered(checksums, file)
        try:
            asked(url).raise_for_status()
        except requests.RequestException as error:
            raise _unreachable(file, directory, error) from error
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
    """
    import requests

    return requests.head(url, timeout=20, allow_redirects=True)


def _registered(checksums: pathlib.Path, file: str):
    """The address of a file, and its `tfds.core.download.checksums.UrlInfo`."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import checksums as tables

    infos = tables.load_url_infos(tfds.core.Path(checksums))
    return next((url, info) for url, info in infos.items() if info.filename == file)


def _unreachable(file: str, directory: pathlib.Path, error: Exception) -> SettingError:
    return SettingError(
        f"{file} could not be downloaded ({type(error).__name__}): use the config `rendered`, "
        f"or put the file into {directory}"
    )
