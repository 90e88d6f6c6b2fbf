"""Arrays on disk that are too large for memory, written block after block."""

import os
from collections.abc import Iterable

import numpy as np


class Mapped(np.memmap):
    """An array in a file, mapped read-only, that travels to other processes as the file's path.

    NumPy's own would be copied byte for byte, 5.9 GB to every worker of a `DataLoader`. Parts of it
    travel as plain arrays.
    """

    _path: str | None = None

    def __reduce_ex__(self, protocol):
        if self._path is None:
            return np.asarray(self).__reduce_ex__(protocol)
        return mapped, (self._path,)


def mapped(path: str | os.PathLike) -> Mapped:
    """The array of an `.npy` file, read when it is used."""
    array = np.lib.format.open_memmap(path, mode="r").view(Mapped)
    array._path = os.path.abspath(path)
    return array


def write(path: str | os.PathLike, blocks: Iterable[np.ndarray]) -> int:
    """Writes arrays `[B, ...]` of one shape and dtype after each other as one `.npy` file.

    Plain writes: a full disk is an error here, and a crash with a memory map.

    Returns:
        The number of rows of all blocks.

    Raises:
        ValueError: there is no block.
    """
    count, block = 0, None
    with open(path, "wb") as file:
        for block in blocks:
            if not count:
                _header(file, block, 0)
            file.write(np.ascontiguousarray(block).data)
            count += len(block)
        if not count:
            raise ValueError(f"nothing to write into {path}: there are no rows")
        # NumPy pads the header so that the number of rows can grow in place.
        file.seek(0)
        _header(file, block, count)
    return count


def _header(file, block: np.ndarray, count: int) -> None:
    descr = np.lib.format.dtype_to_descr(block.dtype)
    header = {"descr": descr, "fortran_order": False, "shape": (count, *block.shape[1:])}
    np.lib.format.write_array_header_1_0(file, header)
