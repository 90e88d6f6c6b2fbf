"""Renders a set with worker processes: resumable image by image, the same whoever draws it."""

import contextlib
import json
import pathlib
import queue
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence

import filelock
import numpy as np
from tqdm import tqdm

from zoo.data.renderers import clevr
from zoo.data.zoo_clevr6 import store
from zoo.errors import SettingError
from zoo.files import atomic

# Part of the folder's name: what an older version rendered is not taken for the new.
VERSION = "1.1.0"
SEED = 20250424
SAMPLES = 11
COUNT = 500

_BYTES = clevr.SIDE * clevr.SIDE * 4
_SCRIPT = pathlib.Path(clevr.__file__).with_name("clevr_worker.py")


def command(python: str | pathlib.Path) -> list[str]:
    """The worker's command line.

    Args:
        python: the interpreter of an environment with `bpy`.
    """
    flags = {
        "side": clevr.SIDE,
        "samples": SAMPLES,
        "half_width": clevr.HALF_WIDTH,
        "drop": clevr.DROP,
    }
    return [str(python), str(_SCRIPT), *(f"--{name}={value}" for name, value in flags.items())]


def latest(directory: pathlib.Path) -> pathlib.Path | None:
    """The largest rendered set in a folder, or None."""
    sets = {}
    for path in directory.glob(f"rendered-{VERSION}-*"):
        number = path.name.rpartition("-")[2]
        if number.isdigit():
            sets[int(number)] = path
    return sets[max(sets)] if sets else None


def read(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """The arrays of a rendered set; see `store.read`."""
    count = folder.name.rpartition("-")[2]
    return store.read(folder, f"run `python -m zoo.data.render_clevr --count {count}`")


def render(
    directory: pathlib.Path, count: int, worker: Sequence[str], workers: int = 2
) -> pathlib.Path:
    """Renders images 0 to `count - 1`, but those that are there, into `rendered-VERSION-count`.

    Args:
        directory: the family's cache folder.
        count: the number of images; a smaller set is extended, a larger one left as it is.
        worker: the command line of a worker, see `clevr_worker.py`.
        workers: the number of processes.

    Returns:
        The folder of the set.

    Raises:
        OSError: a worker failed; run again to resume.
        SettingError: the disk is too small, the set that is there is damaged, or the numbers of
            images or workers are not sensible.
    """
    if count < 10 or workers < 1:
        raise SettingError(
            f"count={count}, workers={workers}: want at least 10 images and 1 worker"
        )
    directory.mkdir(parents=True, exist_ok=True)
    frames = directory / f"rendered-{VERSION}.frames"
    with filelock.FileLock(directory / "rendered.lock"):
        old = latest(directory)
        known = len(read(old)["count"]) if old else 0
        if known >= count:
            _remove(frames, known)
            return old
        frames.mkdir(exist_ok=True)
        store.require_room(frames, 2 * count)
        _draw(frames, range(known, count), worker, workers)
        new = directory / f"rendered-{VERSION}-{count}"
        store.write(new, _scenes(old, known, frames, count), count)
        _remove(frames, count)
        if old:
            shutil.rmtree(old, ignore_errors=True)
    return new


def message(number: int) -> tuple[clevr.Scene, str]:
    """The scene of an image, and the line that asks a worker for it."""
    scene = clevr.sample(SEED, number)
    objects = [
        {
            "shape": clevr.SHAPES[int(shape)],
            "metal": clevr.MATERIALS[int(material)] == "metal",
            "rgb": clevr.RGB[int(colour)],
            "size": height,
            "centre": [x, y, height],
            "rotation": rotation,
        }
        for (shape, material, colour, _, x, y, rotation), height in zip(
            scene.factors.tolist(), clevr.heights(scene.factors).tolist(), strict=True
        )
    ]
    record = {
        "seed": number,
        "camera": scene.camera.tolist(),
        "lamps": scene.lamps.tolist(),
        "objects": objects,
    }
    return scene, json.dumps(record) + "\n"


def _remove(frames: pathlib.Path, count: int) -> None:
    """Removes the frames of a set, also those that a process that was killed left there."""
    for number in range(count if frames.is_dir() else 0):
        _frame(frames, number).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # images beyond `count` stay for a larger set
        frames.rmdir()


def _scenes(
    old: pathlib.Path | None, known: int, frames: pathlib.Path, count: int
) -> Iterator[tuple[np.ndarray, ...]]:
    if old:
        yield from zip(*read(old).values(), strict=True)
    for number in range(known, count):
        frame, scene = np.load(_frame(frames, number)), clevr.sample(SEED, number)
        padded = np.zeros((clevr.MOST, len(clevr.FACTORS)), np.float32)
        padded[: len(scene.factors)] = scene.factors
        yield frame[..., :3], frame[..., 3], padded, len(scene.factors)


def _frame(frames: pathlib.Path, number: int) -> pathlib.Path:
    return frames / f"{number:06d}.npy"


def _draw(frames: pathlib.Path, numbers: range, worker: Sequence[str], workers: int) -> None:
    missing = [number for number in numbers if not _frame(frames, number).exists()]
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in missing:
        waiting.put(number)
    stop, errors = threading.Event(), []
    done = threading.Semaphore(0)

    def serve() -> None:
        try:
            with _Worker(worker) as process:
                while not stop.is_set():
                    number = waiting.get_nowait()
                    pixels = process.draw(number)
                    with atomic(_frame(frames, number)) as temporary:
                        np.save(temporary, pixels)
                    done.release()
        except queue.Empty:
            pass
        except Exception as error:  # raised again in the thread that waits
            errors.append(error)
            stop.set()

    threads = [threading.Thread(target=serve) for _ in range(min(workers, len(missing)))]
    for thread in threads:
        thread.start()
    try:
        with tqdm(total=len(numbers), unit="image", desc="rendering", disable=None) as bar:
            bar.update(len(numbers) - len(missing))
            while any(thread.is_alive() for thread in threads):
                if done.acquire(timeout=0.2):
                    bar.update()
    finally:
        stop.set()  # at an interrupt the workers finish their image
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]


class _Worker(contextlib.AbstractContextManager):
    """A worker process."""

    def __init__(self, worker: Sequence[str]):
        self._errors = tempfile.TemporaryFile(mode="w+", errors="replace")
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(worker, stdin=pipe, stdout=pipe, stderr=self._errors)

    def draw(self, number: int) -> np.ndarray:
        """`[128, 128, 4]` uint8: the image, and the number of the object of every pixel."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(message(number)[1].encode())
            self._process.stdin.flush()
        pixels = self._process.stdout.read(_BYTES)
        if len(pixels) < _BYTES:
            self._process.wait()
            self._errors.seek(0)
            reason = (self._errors.read().strip().splitlines() or ["it was killed"])[-1]
            raise OSError(f"rendering image {number} stopped: {reason}; run again to resume")
        return np.frombuffer(pixels, np.uint8).reshape(clevr.SIDE, clevr.SIDE, 4)

    def __exit__(self, *exception) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.terminate()
        self._process.stdout.close()
        self._process.wait()
        self._errors.close()
