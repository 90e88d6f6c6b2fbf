"""What commands that make many runs share: their flags, and the call that they lead to."""

import argparse
import collections
import dataclasses
import json
import os
import pathlib
import re
import sys
import time
from collections.abc import Mapping, Sequence

from zoo import cores
from zoo.errors import UserError
from zoo.scheduling import driver, jobs, local
from zoo.scheduling.host import Work
from zoo.scheduling.jobs import Job
from zoo.scheduling.progress import Progress
from zoo.scheduling.tries import LIMIT, Tries

ENGINES = ("local", "ray", "slurm")
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
    # A number without its unit behind others is as likely meant to be of minutes.
    text += "s" if text.isdecimal() else ""
    parts = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text)
    if not text or parts is None or not any(parts.groups()):
        raise ValueError(text)
    return float(sum(int(n or 0) * u for n, u in zip(parts.groups(), _UNITS.values(), strict=True)))


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that `run` takes."""
    parser.add_argument("--engine", choices=ENGINES, default="local", help="who runs them (local)")
    parser.add_argument("--address", help="of a Ray cluster, such as host:6379 (one made here)")
    parser.add_argument(
        "--slurm",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="of each Slurm job, such as partition=gpu or timeout_min=600; repeatable",
    )
    parser.add_argument(
        "--jobs",
        type=positive,
        help="runs at a time (one a GPU, or a core where there is none; with slurm, one)",
    )
    parser.add_argument("--threads", type=positive, help="of each run (the cores, shared evenly)")
    parser.add_argument(
        "--devices", help="the GPUs to use, such as 0,1 or none; each run has one of them (all)"
    )
    parser.add_argument(
        "--for", dest="time", type=duration, metavar="2h30m", help="stop and save after this time"
    )
    # Whatever a command has done in several parts ends at one time.
    parser.set_defaults(begun=time.time())
    parser.add_argument("--retry", action="store_true", help=f"try again what failed {LIMIT} times")
    parser.add_argument("--json", action="store_true", help="progress as lines of JSON")
    parser.add_argument("--status", action="store_true", help="only say how far the runs are")


def require_engine(options: argparse.Namespace) -> None:
    """Raises a UserError where flags ask for an engine that cannot be, before anything is done."""
    _engine(options, [])


def environment(options: argparse.Namespace) -> dict[str, str]:
    """The variables of a worker beside those of this process: which GPU it sees, if any.

    Of several workers it is the first; those on other machines have what is there.
    """
    return _local(options, 1)[0].environments[0] if options.engine == "local" else {}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a command that made many runs ends.

    Attributes:
        code: its exit code: 0 where all are done, 75 where some are left, else 1.
        lines: what to say about runs that failed or are left.
    """

    code: int
    lines: tuple[str, ...] = ()

    def then(self, next_: "Outcome") -> "Outcome":
        """What to say of both; the first that is not all done decides the code."""
        return Outcome(self.code or next_.code, (*self.lines, *next_.lines))

    def end(self) -> None:
        """Says it on standard error and ends the process, unless all is done."""
        for line in self.lines:
            print(line, file=sys.stderr)
        if self.code:
            sys.exit(self.code)


def run(
    table: Sequence[Job],
    options: argparse.Namespace,
    refused: Mapping[str, str] | None = None,
    noun: str = "runs",
) -> Outcome:
    """Does a table as flags say.

    Args:
        table: the runs.
        options: what `add_flags` added.
        refused: runs of the table that must not be resumed, by name, and why.
        noun: what the jobs are, in the plural.

    Raises:
        UserError: an engine that is not there.
        SystemExit: a signal asked to stop; the runs are saved.
    """
    refused = refused or {}
    table = [job for job in table if job.name not in refused]
    if options.retry:
        for job in table:
            if job.seen() == jobs.FAILED:
                Tries.of(job.folder).forget()
    # Finished runs need no worker.
    left = [job for job in table if job.seen() in (jobs.LEFT, jobs.RUNNING)]
    engine, threads = _engine(options, left)
    deadline = None if options.time is None else options.begun + options.time
    work = Work(jobs.dump(table), deadline, threads=threads)
    progress = Progress(options.json, noun)
    try:
        states = driver.drive(table, engine, work, progress)
    finally:
        progress.end()
    failed = [job for job in table if states[job.name] == jobs.FAILED]
    lines = [f"failed: {name}: {why}" for name, why in refused.items()]
    for job in failed:
        # None where another command's --retry has just removed them.
        why = (*Tries.of(job.folder).failures[-1:], "its failures were removed meanwhile")[0]
        lines.append(f"failed: {job}: {why} ({LIMIT} times, see {job.log}; --retry tries it again)")
    counts = jobs.count(states.values())
    if rest := counts[jobs.LEFT] + counts[jobs.RUNNING]:
        lines.append(f"{rest} of {len(table)} {noun} are left; the same command resumes them")
        return Outcome(RUNS_LEFT, tuple(lines))
    return Outcome(RUN_FAILED if lines else 0, tuple(lines))


def say(line: str, options: argparse.Namespace) -> None:
    """Prints what a command says of its files; on standard error beside lines of JSON."""
    print(line, file=sys.stderr if options.json else sys.stdout)


def show_status(table: Sequence, as_json: bool = False) -> None:
    """Prints every run by number with its state, then how many are in each; or the latter as JSON.

    Args:
        table: what has a name, by `str`, and a `state`.
        as_json: one line.
    """
    states = [entry.state() for entry in table]
    counts = collections.Counter(state.split()[0] for state in states)
    if as_json:
        print(json.dumps(dict(sorted(counts.items()))))
        return
    lines = (f"{k:4d}  {e}: {s}" for k, (e, s) in enumerate(zip(table, states, strict=True)))
    print("\n".join([*lines, ", ".join(f"{n} {state}" for state, n in sorted(counts.items()))]))


def _engine(options: argparse.Namespace, table: Sequence[Job]) -> tuple[driver.Engine, int | None]:
    """The engine, and how many threads each of its workers is to have; None leaves it to Slurm."""
    if options.engine != "ray" and options.address:
        raise UserError("--address is of --engine=ray")
    if options.engine != "slurm" and options.slurm:
        raise UserError("--slurm is of --engine=slurm")
    if options.engine == "local":
        return _local(options, len(table))
    if options.devices:
        raise UserError(f"--devices is of --engine=local; {options.engine} assigns GPUs itself")
    if options.engine == "ray":
        from zoo.scheduling.on_ray import Ray

        threads = options.threads or 1
        return Ray(options.address, options.jobs, len(table), threads), threads
    from zoo.scheduling.on_slurm import Slurm

    parameters = dict(map(_parameter, options.slurm))
    if options.threads:
        parameters.setdefault("cpus_per_task", options.threads)
    folder = pathlib.Path(options.out) / "slurm"
    return Slurm(folder, max(1, min(options.jobs or 1, len(table))), parameters), options.threads


def _local(options: argparse.Namespace, count: int) -> tuple[local.Local, int]:
    gpus = local.gpus()
    if options.devices == "none":
        devices, gpus = local.NO_GPU, ()
    else:
        devices = tuple(options.devices.split(",")) if options.devices else gpus
        if unknown := [device for device in devices if device not in gpus]:
            raise UserError(
                f"--devices={options.devices}: there is no GPU {unknown[0]!r} here; it takes none "
                f"or some of {', '.join(gpus) or 'none'}, comma-separated"
            )
    workers = max(1, min(options.jobs or len(gpus and devices) or cores.count(), count))
    own = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    threads = options.threads or int(own if own.isdecimal() else 0)
    return local.Local(workers, devices), threads or max(1, cores.count() // workers)


def _parameter(text: str) -> tuple[str, str | int]:
    """A `--slurm`, with whole numbers as such."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier() or not value:
        raise UserError(f"--slurm={text!r}: give key=value, such as partition=gpu")
    return name, int(value) if value.isdecimal() else value
