"""How far a table is, in the terminal or as lines of JSON."""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence

import rich.console
import rich.progress

from zoo.scheduling import jobs
from zoo.scheduling.jobs import DONE, FAILED, LEFT, RUNNING, Job
from zoo.scheduling.tries import Tries

_TAIL = 1 << 16


class Progress:
    """Tells what is done, running, failed and left, the time that is left, and images a second.

    In a terminal that is a bar on standard error; elsewhere a line where something changed.

    Args:
        as_json: lines of JSON on standard output instead.
        noun: what the jobs are, in the plural.
    """

    def __init__(self, as_json: bool = False, noun: str = "runs"):
        self._json, self._noun = as_json, noun
        self._console = rich.console.Console(stderr=True, highlight=False)
        self._bar: rich.progress.Progress | None = None
        self._table: dict[str, Job] = {}
        self._states: dict[str, str] = {}
        self._begun, self._done_before = 0.0, 0

    def begin(self, table: Sequence[Job], states: Mapping[str, str]) -> None:
        """Tells of a table that is about to be worked at."""
        self._table = {job.name: job for job in table}
        self._states, self._begun = dict(states), time.monotonic()
        self._done_before = jobs.count(states.values())[DONE]
        if self._done_before:
            self._say(f"{self._done_before} of {len(table)} {self._noun} are finished already")
        if self._json:
            self._write_json(states)
        elif self._console.is_terminal:
            columns = ("[progress.description]{task.description}", "{task.fields[counts]}")
            bar, elapsed = rich.progress.BarColumn(), rich.progress.TimeElapsedColumn()
            self._bar = rich.progress.Progress(
                columns[0], bar, columns[1], elapsed, console=self._console
            )
            self._bar.start()
            self._bar.add_task(self._noun, total=len(table), counts="")

    def show(self, states: Mapping[str, str]) -> None:
        """Tells of the states of all runs as they are now."""
        changed = {n: s for n, s in states.items() if s != self._states.get(n)}
        for name, state in changed.items():
            if state in (DONE, FAILED):
                job = self._table[name]
                # A run that has just succeeded may still have the failures of earlier tries.
                failures = Tries.of(job.folder).failures if state == FAILED else []
                why = "".join(f": {reason}" for reason in failures[-1:])
                self._say(f"{name}: {state}{why}" + (f" (log: {job.log})" if why else ""))
        self._states = dict(states)
        if self._bar:
            now = self._now(states)
            counts = f"{now[DONE]} done, {now[RUNNING]} running, {now[FAILED]} failed, {now[LEFT]} "
            counts += "left" + _rest(now)
            self._bar.update(rich.progress.TaskID(0), completed=now[DONE], counts=counts)
        elif self._json and changed:
            self._write_json(states)

    def end(self) -> None:
        """Takes the bar away."""
        if self._bar:
            self._bar.stop()

    def _now(self, states: Mapping[str, str]) -> dict:
        counts = jobs.count(states.values())
        new = counts[DONE] - self._done_before
        rest = counts[LEFT] + counts[RUNNING]
        seconds = (time.monotonic() - self._begun) / new * rest if new else None
        running = [self._table[name] for name, state in states.items() if state == RUNNING]
        return {**counts, "eta_s": seconds, "images_per_s": sum(map(images_per_s, running))}

    def _write_json(self, states: Mapping[str, str]) -> None:
        now = self._now(states)
        rounded = {k: round(v, 1) if isinstance(v, float) else v for k, v in now.items()}
        print(json.dumps(rounded), flush=True)

    def _say(self, line: str) -> None:
        if self._json:
            print(line, file=sys.stderr, flush=True)
        else:
            self._console.print(line, soft_wrap=True, markup=False)


def images_per_s(job: Job) -> float:
    """How fast a run trains, by the newest record of its log; 0 where there is none."""
    try:
        with (job.folder / "metrics.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            lines = file.read().splitlines()
    except OSError:
        return 0.0
    for line in reversed(lines):
        try:
            return float(json.loads(line)["images_per_s"])
        except (ValueError, TypeError, KeyError):
            continue
    return 0.0


def _rest(now: Mapping) -> str:
    parts = []
    if now["images_per_s"]:
        parts.append(f"{now['images_per_s']:,.0f} images/s")
    if now["eta_s"] is not None:
        hours, seconds = divmod(round(now["eta_s"]), 3600)
        parts.append(f"about {hours}:{seconds // 60:02d}:{seconds % 60:02d} to go")
    return "".join(f", {part}" for part in parts)
