"""Draws a whole Sprites set into two files: in parallel, resumable, complete or not there at all.

Images are drawn in blocks. `done` holds one byte a block, set when the block is on disk, so that an
interrupted run resumes; every image depends on its number alone, so the bytes do
not depend on who drew it. The folder gets its name when all of it is there.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import filelock
import numpy as np
from tqdm import tqdm

import zoo
from zoo import cores, files
from zoo.data import tables
from zoo.data.renderers import sprites
from zoo.errors import UserError

BLOCK = 500
SIDE = 64
_FILES = ("images.npy", "masks.npy")


@dataclasses.dataclass(frozen=True)
class Config:
    """What one set holds.

    Attributes:
        sizes: the number of images of each split, in the order of `splits.NAMES`.
        objects: the least and the most objects of an image.
        seed: names the sequence of scenes.
        wrap: whether colours wrap around as in the original, or clip.
        pairs: `diagonal` or `off_diagonal`, for two objects as `sprites.sample_pairs` has them.
    """

    sizes: dict[str, int]
    objects: tuple[int, int]
    seed: int
    wrap: bool = True
    pairs: str | None = None

    @property
    def total(self) -> int:
        """The number of images of all splits."""
        return sum(self.sizes.values())

    def scenes(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """Factors and numbers of objects of a range of ids; see `sprites.sample`."""
        if self.pairs:
            return sprites.sample_pairs(self.seed, start, stop, self.pairs == "diagonal")
        return sprites.sample(self.seed, start, stop, self.objects)


def draw(config: Config, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Images `[N, 64, 64, 3]` and masks `[N, 64, 64]`, uint8, of a range of ids."""
    images = np.empty((stop - start, SIDE, SIDE, 3), np.uint8)
    masks = np.empty((stop - start, SIDE, SIDE), np.uint8)
    scenes = zip(*config.scenes(start, stop), strict=True)
    for i, (factors, count) in enumerate(scenes):
        images[i], masks[i] = sprites.render(factors, count, config.wrap, SIDE)
    return images, masks


# A module run with `-m` could be shadowed by a folder in the working directory, and
# multiprocessing would run a user's script again, or fork a process with TensorFlow's threads.
_WORKER = """
import sys
sys.path.insert(0, sys.argv[1])
from zoo.data.zoo_sprites import prepare
prepare.work(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
"""


def prepare(folder: pathlib.Path, config: Config, workers: int | None = None) -> pathlib.Path:
    """Draws a set into `folder/images.npy` and `folder/masks.npy`, unless they are there.

    Args:
        folder: where the set belongs; `folder.partial` beside it holds an unfinished one.
        config: the set.
        workers: number of processes; one a core if None.

    Returns:
        `folder`.

    Raises:
        UserError: the disk is too small, a worker failed, or one of the files is not what was
            drawn.
    """
    folder = pathlib.Path(folder)
    if folder.is_dir():
        tables.require(*(folder / name for name in _FILES))
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f"{folder.name}.partial")
    with filelock.FileLock(f"{folder}.lock"):
        if folder.is_dir():
            return folder
        if not (partial / "done").exists():
            _allocate(partial, config.total)
        _run(partial, config, workers or cores.count())
        for name in _FILES:
            tables.seal(partial / name)
        (partial / "done").unlink()
        partial.rename(folder)
    return folder


def _allocate(partial: pathlib.Path, total: int) -> None:
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    files.require_room(partial.parent, total * SIDE * SIDE * 4)
    for name, shape in (("images", (total, SIDE, SIDE, 3)), ("masks", (total, SIDE, SIDE))):
        np.lib.format.open_memmap(partial / f"{name}.npy", "w+", np.uint8, shape).flush()
    (partial / "done").write_bytes(bytes(-(-total // BLOCK)))


def _run(partial: pathlib.Path, config: Config, workers: int) -> None:
    workers = min(workers, -(-config.total // BLOCK))
    root = str(pathlib.Path(zoo.__file__).resolve().parents[1])
    argument = json.dumps(dataclasses.asdict(config))
    command = [sys.executable, "-c", _WORKER, root, str(partial), argument]
    processes = [
        subprocess.Popen([*command, str(part), str(workers)], stderr=subprocess.PIPE, text=True)
        for part in range(workers)
    ]
    try:
        with tqdm(
            total=config.total, unit="image", desc=f"drawing {partial.stem}", disable=None
        ) as bar:
            while any(process.poll() is None for process in processes):
                time.sleep(0.1)
                done = (partial / "done").read_bytes().count(1)
                bar.update(min(done * BLOCK, config.total) - bar.n)
    finally:
        for process in processes:
            process.terminate()
        errors = [process.communicate()[1] for process in processes]
    for process, error in zip(processes, errors, strict=True):
        if process.returncode:
            reason = (error.strip().splitlines() or ["it was killed"])[-1]
            raise UserError(f"drawing into {partial} stopped: {reason}; run again to resume")


def work(partial: str, config: str, part: int, parts: int) -> None:
    """Draws the missing ones of every `parts`-th block; what a worker process runs.

    Args:
        partial: the unfinished folder.
        config: the set, as the JSON of its fields.
        part: the first block, counted from 0.
        parts: the number of workers.
    """
    parent = os.getppid()
    config = Config(**json.loads(config))
    paths = [pathlib.Path(partial) / name for name in _FILES]
    offsets = [np.load(path, mmap_mode="r").offset for path in paths]
    with contextlib.ExitStack() as stack:
        # Plain writes: a full disk is an error here, and a crash with a memory map.
        files = [stack.enter_context(open(path, "r+b")) for path in paths]
        done = stack.enter_context(open(pathlib.Path(partial) / "done", "r+b"))
        missing = [i for i, byte in enumerate(done.read()) if not byte]
        for block in missing:
            if block % parts != part:
                continue
            if os.getppid() != parent:  # it was killed, and another may be at work
                return
            start = block * BLOCK
            drawn = draw(config, start, min(start + BLOCK, config.total))
            for file, offset, array in zip(files, offsets, drawn, strict=True):
                file.seek(offset + start * array[0].nbytes)
                file.write(array.tobytes())
                file.flush()
                os.fsync(file.fileno())
            done.seek(block)
            done.write(b"\1")
            done.flush()
