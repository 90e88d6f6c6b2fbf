"""What commands that make many runs share: their flags, and the call that they lead to."""

import argparse
import dataclasses
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence

from zoo.errors import UserError
from zoo.scheduling import driver, jobs, local
from zoo.scheduling.host import Work
from zoo.scheduling.jobs import Job
from zoo.scheduling.progress import Progress
from zoo.scheduling.tries import LIMIT, Tries

ENGINES = ("local",)
# Exit codes of a command: runs failed, or are left to others or to the next time.
RUN_FAILED, RUNS_LEFT = 1, 75
_UNITS = {"h": 3600, "m": 60, "s": 1}


def positive(text: str) -> int:
    """A flag's whole number above zero."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def duration(text: str) -> float:
    """Seconds of a flag such as `2h30m`, `90m`, `45s` or a number of seconds."""
    parts = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", text)
    if not text or parts is None or not any(parts.groups()):
        raise ValueError(text)
    return float(sum(int(n or 0) * u for n, u in zip(parts.groups(), _UNITS.values(), strict=True)))


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that `run` takes."""
    parser.add_argument("--engine", choices=ENGINES, default="local", help="who runs them (local)")
    parser.add_argument(
        "--jobs", type=positive, help="runs at a time (all cores, or one a GPU where there are)"
    )
    parser.add_argument("--threads", type=positive, help="of each run (the cores, shared evenly)")
    parser.add_argument(
        "--devices", help="the GPUs to use, such as 0,1 or none; each run has one of them (all)"
    )
    parser.add_argument(
        "--for", dest="time", type=duration, metavar="2h30m", help="stop and save after this time"
    )
    parser.add_argument("--retry", action="store_true", help=f"try again what failed {LIMIT} times")
    parser.add_argument("--json", action="store_true", help="progress as lines of JSON")
    parser.add_argument("--status", action="store_true", help="only say how far the runs are")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a command that made many runs ends.

    Attributes:
        code: its exit code: 0 where all are done, 75 where some are left, else 1.
        lines: what is to be said of runs that failed or are left.
    """

    code: int
    lines: tuple[str, ...] = ()

    def end(self) -> None:
        """Says it on standard error and ends the process, unless all is done."""
        for line in self.lines:
            print(line, file=sys.stderr)
        if self.code:
            sys.exit(self.code)


def run(
    table: Sequence[Job], options: argparse.Namespace, refused: Mapping[str, str] | None = None
) -> Outcome:
    """Does a table as flags say.

    Args:
        table: the runs.
        options: what `add_flags` added.
        refused: runs of the table that must not be gone on with, by name, and why.

    Raises:
        UserError: an engine that is not there.
        SystemExit: a signal asked to stop; the runs are saved.
    """
    refused = refused or {}
    table = [job for job in table if job.name not in refused]
    if options.retry:
        for job in table:
            if job.state() == jobs.FAILED:
                Tries.of(job.folder).forget()
    engine, threads = _engine(options, len(table))
    deadline = None if options.time is None else time.time() + options.time
    work = Work(jobs.dump(table), deadline, threads=threads)
    progress = Progress(options.json)
    try:
        states = driver.drive(table, engine, work, progress)
    finally:
        progress.end()
    failed = [job for job in table if states[job.name] == jobs.FAILED]
    lines = [f"failed: {name}: {why}" for name, why in refused.items()]
    for job in failed:
        why = Tries.of(job.folder).failures[-1]
        lines.append(f"failed: {job}: {why} ({LIMIT} times, see {job.log}; --retry tries it again)")
    counts = jobs.count(states.values())
    if left := counts[jobs.LEFT] + counts[jobs.RUNNING]:
        lines.append(f"{left} of {len(table)} runs are left; the same command goes on with them")
        return Outcome(RUNS_LEFT, tuple(lines))
    return Outcome(RUN_FAILED if lines else 0, tuple(lines))


def _engine(options: argparse.Namespace, count: int) -> tuple[driver.Engine, int | None]:
    """The engine, and how many threads each of its workers is to have."""
    gpus = local.gpus()
    if options.devices == "none":
        devices, gpus = local.NO_GPU, ()
    else:
        devices = tuple(options.devices.split(",")) if options.devices else gpus
        if unknown := [device for device in devices if device not in gpus]:
            raise UserError(
                f"--devices={options.devices}: there is no GPU {unknown[0]!r} here; it takes none "
                f"or some of {', '.join(gpus) or 'none'}, with commas between"
            )
    workers = max(1, min(options.jobs or len(gpus and devices) or local.cores(), count))
    own = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    threads = options.threads or int(own if own.isdecimal() else 0)
    return local.Local(workers, devices), threads or max(1, local.cores() // workers)
