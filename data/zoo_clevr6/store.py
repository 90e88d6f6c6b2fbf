"""A set of scenes on disk: images, masks and factors in files that are complete or not there."""

import contextlib
import pathlib
import shutil
from collections.abc import Iterable

import numpy as np

from zoo import files
from zoo.data import npy, tables
from zoo.data.renderers import clevr
from zoo.errors import SettingError

_ROW = {
    "images": ((clevr.SIDE, clevr.SIDE, 3), np.uint8),
    "masks": ((clevr.SIDE, clevr.SIDE), np.uint8),
    "factors": ((clevr.MOST, len(clevr.FACTORS)), np.float32),
    "count": ((), np.uint8),
}


def write(folder: pathlib.Path, scenes: Iterable[tuple[np.ndarray, ...]], total: int) -> None:
    """Writes a set; the folder gets its name when all of it is there.

    Args:
        folder: where the set belongs; it must not exist.
        scenes: for every scene its image, mask, factors padded with zeros, and number of objects.
        total: how many scenes there will be.

    Raises:
        SettingError: the disk is too small, or there are fewer scenes.
    """
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    require_room(partial, total)
    try:
        written = _fill(partial, scenes, total)
        if written < total:
            raise SettingError(f"{folder.name} wants {total} scenes, and there are {written}")
        for name in _ROW:
            tables.seal(partial / f"{name}.npy")
        files.sync_tree(partial)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _fill(partial: pathlib.Path, scenes: Iterable[tuple[np.ndarray, ...]], total: int) -> int:
    with contextlib.ExitStack() as stack:
        # Plain writes: a full disk is an error here, and a crash with a memory map.
        files = [stack.enter_context(open(partial / f"{name}.npy", "wb")) for name in _ROW]
        for file, (shape, dtype) in zip(files, _ROW.values(), strict=True):
            descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
            header = {"descr": descr, "fortran_order": False, "shape": (total, *shape)}
            np.lib.format.write_array_header_1_0(file, header)
        written = 0
        for written, scene in enumerate(scenes, start=1):
            for file, value, (shape, dtype) in zip(files, scene, _ROW.values(), strict=True):
                file.write(np.broadcast_to(np.asarray(value, dtype), shape).tobytes())
            if written == total:
                break
    return written


def read(folder: pathlib.Path, again: str) -> dict[str, np.ndarray]:
    """The arrays of a set by name, images and masks memory-mapped.

    Args:
        folder: of the set.
        again: how it comes back once it is deleted.

    Raises:
        SettingError: a file is not what was written.
    """
    tables.require(*(folder / f"{name}.npy" for name in _ROW), again=again)
    mapped = {name: npy.mapped(folder / f"{name}.npy") for name in ("images", "masks")}
    return mapped | {name: np.load(folder / f"{name}.npy") for name in ("factors", "count")}


def require_room(folder: pathlib.Path, scenes: int) -> None:
    """Checks that a number of scenes fits on the disk.

    Raises:
        SettingError: it does not.
    """
    each = sum(np.dtype(dtype).itemsize * int(np.prod(shape)) for shape, dtype in _ROW.values())
    files.require_room(folder.parent, scenes * each)
