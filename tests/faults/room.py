"""No room: disks that are full and files that must not grow, from any moment of a run on.

The command ends with one line and exit code 2; with room again it resumes to the same end.
"""

import contextlib
import errno
import itertools
import os
import pathlib
import random
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator

from tests.faults import endings
from tests.faults.commands import here, operations_on
from zoo import train

Trials = Iterator[str | None]
_FAMILY = "BetaVAE"
_DISK = 16 << 20
# When the disk becomes full: at the operation of a number below this on paths that begin so.
MOMENTS = ((30, ("",)), (18, ("checkpoints",)), (14, ("images",)), *endings.PHASES.values())


def full_disk(folder: pathlib.Path, seeds: Iterable[int], run: pathlib.Path) -> Trials:
    """A disk that another process fills up, but for a few bytes; later it has room again."""
    arguments, whole = endings.arguments_of(run, _FAMILY), endings.whole_of(run, _FAMILY)
    for k, group in itertools.groupby(seeds, lambda seed: seed // len(MOMENTS)):
        random_, count = random.Random(k), len([*group])
        with _disk(folder / f"disk{k}") as disk:
            place = disk.folder / "run"
            said = [_filled(disk, place, arguments, random_, moment) for moment in MOMENTS]
            wrong = endings.end(arguments, place, whole)
        # What becomes of the run is that of all that were tried on it.
        yield from itertools.islice(((each or wrong) for each in said), count)


def _filled(disk: "Disk", place: pathlib.Path, arguments, random_, moment) -> str | None:
    """Goes on with a run until the disk is full; what is wrong with its end."""
    wrong = None
    while not (disk.filled or wrong):
        # A run that came to its end before tried nothing.
        if (place / "DONE").exists():
            shutil.rmtree(place)
        wrong = _once(disk, place, arguments, random_, moment)
    disk.filled = False
    return wrong


def _once(disk: "Disk", place: pathlib.Path, arguments, random_, moment) -> str | None:
    below, begins = moment
    left, free = iter(range(random_.randrange(below), -1, -1)), random_.choice((0, 1, 2, 8, 32))

    def fill(path: str, event: str) -> None:
        if path.startswith(begins) and next(left, None) == 0:
            disk.fill(free)
        disk.check(event)

    with operations_on(place, fill):
        code, line = here(train.main, *arguments, f"--run_dir={place}")
    disk.empty()
    if code not in (0, 2) or (code == 2 and not line.startswith("error: ")):
        return f"full at {begins[0] or 'the start'}, {4 * free} kB left: exit code {code}, {line}"
    return None


class Disk:
    """A file system of `_DISK` bytes; where none can be mounted, a folder that acts like one.

    Attributes:
        folder: where it is.
        filled: whether it was full; to be reset.
    """

    def __init__(self, folder: pathlib.Path, mounted: bool):
        self.folder, self._mounted = folder, mounted
        self.filled = self._full = False
        self._ballast = folder / "ballast"

    def fill(self, free: int) -> None:
        """Leaves so many pages of 4 kB."""
        self.filled = self._full = True
        if self._mounted:
            state = os.statvfs(self.folder)
            with self._ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, max(1, state.f_bavail - free) * state.f_bsize)

    def empty(self) -> None:
        """Has room again."""
        self._full = False
        self._ballast.unlink(missing_ok=True)

    def check(self, event: str) -> None:
        """What a full disk does at an operation, where it does nothing of itself."""
        if self._full and not self._mounted and event in ("write", "os.mkdir"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextlib.contextmanager
def _disk(folder: pathlib.Path) -> Iterator[Disk]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DISK}", "zoo-faults", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    try:
        yield Disk(folder, mounted)
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        shutil.rmtree(folder)


def file_limit(folder: pathlib.Path, seeds: Iterable[int], run: pathlib.Path) -> Trials:
    """A limit on the size of files, below that of the largest; later there is none."""
    arguments, whole = endings.arguments_of(run, _FAMILY), endings.whole_of(run, _FAMILY)
    largest = max(p.stat().st_size for p in (run.parent / "whole" / _FAMILY).rglob("*"))
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    for seed in seeds:
        # Small ones more often: most files are.
        limit, place = int(largest ** random.Random(seed).uniform(0, 1)), folder / f"limit{seed}"
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, unlimited[1]))
        try:
            code, line = here(train.main, *arguments, f"--run_dir={place}")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        if code != 2 or not line.startswith("error: "):
            yield f"limit of {limit} bytes: exit code {code}, {line}"
            continue
        wrong = endings.end(arguments, place, whole)
        yield wrong and f"limit of {limit} bytes: {wrong}"


PROMISES: dict[str, tuple[Callable, int, int]] = {
    "full disk from any moment on: one line, then the same end": (full_disk, 60, 0),
    "limit on the size of files: one line, then the same end": (file_limit, 20, 0),
}
