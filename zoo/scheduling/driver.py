"""Starts an engine on a table, watches the folders of its runs, and tells how far they are."""

import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from zoo import stopping
from zoo.scheduling.host import Work
from zoo.scheduling.jobs import LEFT, RUNNING, Job
from zoo.scheduling.progress import Progress
from zoo.scheduling.worker import GRACE

_SHORTEST_PAUSE, _TIDYING = 0.2, 10.0


class Engine(Protocol):
    """What starts workers, each a `host.Host` somewhere. Runs are none of its business."""

    def start(self, work: Work) -> None:
        """Starts workers; a UserError where that cannot be."""

    def alive(self) -> bool:
        """Whether any worker is still at the table, or may come to it."""

    def stop(self, finished: bool) -> None:
        """Ends the workers, with their runs saved, and waits for that.

        An engine whose workers need no driver may leave them, unless the table is finished.
        """


def drive(table: Sequence[Job], engine: Engine, work: Work, progress: Progress) -> dict[str, str]:
    """Has an engine do a table.

    Args:
        table: the runs.
        engine: not started yet.
        work: of the same table.
        progress: is told.

    Returns:
        The state of each run by its name.

    Raises:
        UserError: the engine cannot be started.
        SystemExit: a signal asked to stop; the runs are saved.
    """
    states = {job.name: job.seen() for job in table}
    progress.begin(table, states)
    left = [job for job in table if states[job.name] in (LEFT, RUNNING)]
    if not left:
        return states
    # By an exception, so that workers are ended in an orderly way.
    with stopping.handled((signal.SIGTERM, signal.SIGHUP), _end):
        try:
            engine.start(work)
            while left and not _late(work, states) and _watch(engine, left, states, progress):
                left = [job for job in left if states[job.name] in (LEFT, RUNNING)]
        finally:
            engine.stop(not left)
    return states


def _late(work: Work, states: Mapping[str, str]) -> bool:
    """Whether the deadline is over for workers that have no place yet, and so do not end by it."""
    if work.deadline is None:
        return False
    saving = RUNNING in states.values()
    return time.time() > work.deadline + (GRACE if saving else _TIDYING)


def _watch(engine: Engine, left: Sequence[Job], states: dict, progress: Progress) -> bool:
    """Brings states up to date after a pause; returns whether workers are still there."""
    begun = time.monotonic()
    # Asked first: what a worker did before it ended is seen after that.
    alive = engine.alive()
    for job in left:
        states[job.name] = job.seen(states[job.name])
    progress.show(states)
    if not any(states[job.name] in (LEFT, RUNNING) for job in left):
        # A worker that has just done the last run ends by itself.
        _wait(lambda: not engine.alive(), _TIDYING)
    elif alive:
        time.sleep(max(_SHORTEST_PAUSE, 10 * (time.monotonic() - begun)))
    return alive


def _wait(condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)


def _end(number: int, frame) -> None:
    del frame
    raise SystemExit(128 + number)
