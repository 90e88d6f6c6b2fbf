"""A worker: a process that takes run after run of a table, `python -m zoo.scheduling.worker`.

A `host.Host` starts it, whatever the engine. It reads its table from standard input and ends, with
its run saved, once that is closed: so it outlives no parent, however that dies. TensorFlow is
imported once, by the first command that needs it.
"""

import collections
import contextlib
import gc
import importlib
import json
import os
import pathlib
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence

import psutil

from zoo import runs, stopping
from zoo.errors import UserError
from zoo.scheduling import jobs
from zoo.scheduling.claims import LEASE, Claim
from zoo.scheduling.jobs import DONE, FAILED, LEFT, RUNNING, Job, Step
from zoo.scheduling.tries import Tries

# Exit codes of a worker: nothing is left to do, it takes a new process, some is left undone.
FINISHED, RENEW, UNFINISHED = 0, os.EX_SOFTWARE, os.EX_TEMPFAIL
_STOPPED = {128 + number for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
# Between looks at runs that others are at, and for saving before a worker is ended by force.
_PAUSE, GRACE = 1.0, 600.0
# After how many of these pauses a run is tried again that a process which is no worker has locked.
_LOCKED = 30
# How often in a row a run's folder cannot be read or written before it is passed over.
_LOOKS = 60
# Bytes that a worker may gain after its first run before it makes way for a new process:
# TensorFlow keeps the XLA programs of finished runs, about 35 MB for each of a CG-VAE.
GROWTH = 2 << 30
_asked = threading.Event()


class Spoilt(Exception):
    """The process is to be replaced: a failure may have harmed it (a lost GPU), or it has grown."""


def work(table: Sequence[Job], lease: float = LEASE, pause: float = _PAUSE) -> bool:
    """Takes run after run until all are done or set aside, waiting for those of other workers.

    Runs that failed are tried again after the others.

    Args:
        table: the runs, in the order in which to take them.
        lease: see `Claim`.
        pause: seconds between looks at runs that others are at.

    Returns:
        Whether all are done or set aside; else folders cannot be written.

    Raises:
        Spoilt: see there.
        SystemExit: a signal asked to stop; the run is saved.
    """
    left = sorted(table, key=lambda job: len(Tries.of(job.folder).failures))
    refused, claims, locked, first = [], {}, {}, None
    bad = collections.Counter()
    while left:
        later, tried = [], False
        for job in left:
            if _told_to_end():
                sys.exit(128 + signal.SIGTERM)
            try:
                if job.state() in (DONE, FAILED):
                    continue
                if time.monotonic() < locked.get(job.folder, 0.0):
                    later.append(job)
                    continue
                if job.folder not in claims:
                    claims[job.folder] = Claim(job.folder, lease)
                state = attempt(job, claims[job.folder])
            except runs.InUse:
                locked[job.folder] = time.monotonic() + _LOCKED * pause
                state = RUNNING
            except OSError as error:
                # A file system has bad moments (ESTALE, EIO); a folder that stays so is left to
                # workers with a better disk. A try that has begun counts, even if it cannot be
                # noted that it failed.
                bad[job.folder] += 1
                if bad[job.folder] < _LOOKS:
                    later.append(job)
                else:
                    print(f"{job} is passed over: {reason(error)}", file=sys.stderr, flush=True)
                    refused.append(job)
                continue
            bad[job.folder] = 0
            tried |= state != RUNNING
            if state != RUNNING:
                del claims[job.folder]
            if state in (RUNNING, LEFT):
                later.append(job)
            if state == DONE:
                size = psutil.Process().memory_info().rss
                first = first or size
                if size - first > GROWTH:
                    raise Spoilt(f"grown by {size - first:,} bytes")
        left = later
        if left and not tried:
            time.sleep(pause)
    return not refused


def attempt(job: Job, claim: Claim) -> str:
    """Does what is left of a run, unless another is at it; returns its state after that.

    Raises:
        InUse: a process that is no worker is at it, such as a zoo.train by hand.
        OSError: its folder cannot be written.
        Spoilt: it failed, which is noted, and so may whatever follows in this process.
        SystemExit: a signal asked to stop.
    """
    if not claim.take():
        return RUNNING
    try:
        tries = Tries.of(job.folder)
        if job.left():
            tries.begin()
            if tries.set_aside:
                tries.stop()
                return FAILED
            try:
                with _printing_to(job.log):
                    _call_all(job.left())
                if missing := job.left():
                    raise UserError(f"{missing[0].module} left no {missing[0].product}")
            except (Exception, SystemExit) as error:
                stopped = isinstance(error, SystemExit) and error.code in _STOPPED
                if stopped or isinstance(error, runs.InUse):
                    tries.stop()
                    raise
                tries.fail(reason(error))
                if not isinstance(error, UserError | SystemExit):
                    raise Spoilt(reason(error)) from error
                return FAILED if tries.set_aside else LEFT
            except BaseException:
                tries.stop()
                raise
        tries.forget()
        return DONE
    finally:
        claim.release()


def reason(error: BaseException) -> str:
    """An error in a line."""
    lines = str(error).strip().splitlines()
    text = lines[0] if lines else type(error).__name__
    if isinstance(error, UserError):
        return text
    if isinstance(error, SystemExit):
        return text if isinstance(error.code, str) else f"exit code {error.code}"
    return text if text == type(error).__name__ else f"{type(error).__name__}: {text}"


def _call_all(steps: Sequence[Step]) -> None:
    """Calls commands as their own processes would be, and tells the log of errors as they do.

    Not of a run that is in use: the log is another's, too.
    """
    try:
        for step in steps:
            try:
                importlib.import_module(step.module).main(list(step.arguments))
            except SystemExit as stop:
                if stop.code not in (None, 0):
                    raise
    except UserError as error:
        if not isinstance(error, runs.InUse):
            print(f"error: {reason(error)}", file=sys.stderr)
        raise
    except Exception as error:
        traceback.print_exception(error)
        raise
    finally:
        _clear()


def _clear() -> None:
    """Leaves nothing of a run to the next."""
    if "gin" in sys.modules:
        sys.modules["gin"].clear_config()
    if "keras" in sys.modules:
        sys.modules["keras"].backend.clear_session()
        # The graphs of a training run refer to themselves in a circle.
        gc.collect()


@contextlib.contextmanager
def _printing_to(log: pathlib.Path) -> Iterator[None]:
    """Adds what is printed, by libraries in other languages too, to a file."""
    with log.open("ab", 0) as file, contextlib.ExitStack() as after:
        for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
            stream.flush()
            kept = os.dup(number)
            after.callback(os.close, kept)
            after.callback(os.dup2, kept, number)
            after.callback(stream.flush)
            os.dup2(file.fileno(), number)
        yield


def _watch_parent() -> None:
    """Stops this process once standard input is closed."""
    while os.read(0, 4096):
        pass
    _stop()


def _told_to_end() -> bool:
    # A signal comes to `_on_signal`, or to a run, whose error in saving is all that is raised then.
    return _asked.is_set() or stopping.asked()


def _stop() -> None:
    # The deadline, the host and the machine may all ask, and a second signal ends a run unsaved.
    if not _told_to_end():
        _asked.set()
        os.kill(os.getpid(), signal.SIGTERM)
    forced = threading.Timer(GRACE, os._exit, (128 + signal.SIGTERM,))
    forced.daemon = True
    forced.start()


def _on_signal(number: int, frame) -> None:
    del frame
    # Python drops what is raised while it tidies up: `work` looks again before the next run.
    _asked.set()
    sys.exit(128 + number)


def _read_line() -> bytes:
    """The first line of standard input; what follows stays there for `_watch_parent`."""
    parts = []
    while not parts or not parts[-1].endswith(b"\n"):
        part = os.read(0, 1 << 16)
        if not part:
            sys.exit(UNFINISHED)
        parts.append(part)
    return b"".join(parts)


def main() -> None:
    """Works at the table on standard input, a line of JSON: `jobs`, `lease`, `deadline`."""
    try:
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _on_signal)
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            # Slurm's are for the host, which then asks this process; by default they would end it.
            signal.signal(number, signal.SIG_IGN)
        finished = _work_as_told()
    except Spoilt:
        sys.exit(UNFINISHED if _told_to_end() else RENEW)
    except SystemExit as stop:
        sys.exit(UNFINISHED if stop.code in _STOPPED else stop.code)
    sys.exit(FINISHED if finished else UNFINISHED)


def _work_as_told() -> bool:
    from absl import flags

    flags.FLAGS.mark_as_parsed()
    told = json.loads(_read_line())
    threading.Thread(target=_watch_parent, daemon=True).start()
    # Tells the host that nothing is wrong with the process; what is printed later nobody reads.
    os.write(1, b"\n")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if told["deadline"] is not None:
        timer = threading.Timer(max(0.0, told["deadline"] - time.time()), _stop)
        timer.daemon = True
        timer.start()
    return work(jobs.load(told["jobs"]), told["lease"])


if __name__ == "__main__":
    main()
