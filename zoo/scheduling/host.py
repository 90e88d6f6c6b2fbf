"""What every engine hosts: a worker process, replaced where it is lost."""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping

from zoo.scheduling import worker
from zoo.scheduling.claims import LEASE

# Workers that die before they begin, this many in a row, would do so for ever.
_OFTEN = 3
# Seconds for saving; after that a worker is ended by force.
_SAVING = worker.GRACE


@dataclasses.dataclass(frozen=True)
class Work:
    """What a worker is told.

    Attributes:
        jobs: the table, as `jobs.dump` returns it.
        deadline: when the work is to stop, in seconds of `time.time()`; None for never.
        lease: see `claims.Claim`.
        threads: of TensorFlow, in each worker; None leaves it to it.
        place: the working directory of workers, that of the command by default, which the paths of
            its settings may be relative to; on a machine that lacks it, the host's own.
    """

    jobs: str
    deadline: float | None = None
    lease: float = LEASE
    threads: int | None = None
    place: str = dataclasses.field(default_factory=os.getcwd)


class Host:
    """Keeps a worker process at a table until that is finished.

    Args:
        work: what to do.
        environment: variables of the worker beside those of this process.
    """

    def __init__(self, work: Work, environment: Mapping[str, str] | None = None):
        self._work = work
        self._environment = {**os.environ, **_threads(work.threads), **(environment or {})}
        self._environment["PYTHONPATH"] = search_path()
        # Slurm's queue may hold the work of an earlier version, which had none.
        place = getattr(work, "place", "")
        self._place = place if os.path.isdir(place) else None
        self._process: subprocess.Popen | None = None
        self._stopped = threading.Event()

    def run(self) -> int:
        """Works until all runs are done or set aside (0), some are left (75), or fails (1)."""
        died = 0
        while not (self._stopped.is_set() or self._late()):
            ready, code = self._run_process()
            if code in (worker.FINISHED, worker.UNFINISHED, 1):
                return code
            # Deaths at a run are counted there.
            died = 0 if ready else died + 1
            if died == _OFTEN and not self._stopped.is_set():
                print(f"workers die before they begin (exit code {code})", file=sys.stderr)
                return 1
        return worker.UNFINISHED

    def stop(self) -> None:
        """Lets the worker save its run and end, and does not replace it."""
        self._stopped.set()
        process = self._process
        if process is None or process.poll() is not None:
            return
        _ask_to_stop(process)
        try:
            process.wait(_SAVING)
        except subprocess.TimeoutExpired:
            process.kill()

    def _late(self) -> bool:
        return self._work.deadline is not None and time.time() >= self._work.deadline

    @property
    def pid(self) -> int | None:
        """The number of the worker's process."""
        return self._process.pid if self._process else None

    def _run_process(self) -> tuple[bool, int]:
        """Whether a worker came to its table, and its exit code."""
        self._process = process = subprocess.Popen(
            [sys.executable, "-m", worker.__name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._environment,
            cwd=self._place,
            # Ctrl-C is for the command alone, which ends its workers itself.
            start_new_session=True,
        )
        with process:
            if self._stopped.is_set():
                _ask_to_stop(process)
            told = {name: getattr(self._work, name) for name in ("jobs", "deadline", "lease")}
            # A ValueError: it is closed.
            with contextlib.suppress(BrokenPipeError, ValueError):
                process.stdin.write(json.dumps(told).encode() + b"\n")
                process.stdin.flush()
            ready = process.stdout.readline()
            # Standard input stays open: the worker ends once it is closed.
            return bool(ready), process.wait()


def _ask_to_stop(process: subprocess.Popen) -> None:
    """Closes the input of a worker, which signals itself then, unless it is stopping already."""
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


def search_path() -> str:
    """`PYTHONPATH` for a process that is to find what this one does."""
    return os.pathsep.join(filter(None, sys.path))


def _threads(number: int | None) -> dict[str, str]:
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    return {} if number is None else dict.fromkeys(names, str(number))
