"""What to run, as data, and how far it has come, as its folder tells."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Iterable, Mapping

from zoo.scheduling.claims import CLAIM
from zoo.scheduling.tries import Tries

DONE, RUNNING, FAILED, LEFT = "done", "running", "failed", "left"
STATES = (DONE, RUNNING, FAILED, LEFT)
LOG = "run.log"


@dataclasses.dataclass(frozen=True)
class Step:
    """A command of a run.

    Attributes:
        product: the file of the run's folder that it writes last.
        module: whose `main` takes its arguments, such as `zoo.train`.
        arguments: of the command.
    """

    product: str
    module: str
    arguments: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Job:
    """A run: commands, one after another, until all their products are in its folder.

    Attributes:
        name: what messages call it.
        folder: of the run, in which nothing else is run.
        steps: the commands.
    """

    name: str
    folder: pathlib.Path
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return self.name

    @property
    def log(self) -> pathlib.Path:
        """What its commands print."""
        return self.folder / LOG

    def left(self) -> list[Step]:
        """The commands whose products are missing."""
        there = self._files()
        return [step for step in self.steps if step.product not in there]

    def state(self) -> str:
        """`done`, `failed` (set aside), `running` (claimed) or `left`."""
        there = self._files()
        if all(step.product in there for step in self.steps):
            return DONE
        if Tries.FILE in there and Tries.of(self.folder).set_aside:
            return FAILED
        return RUNNING if CLAIM in there else LEFT

    def seen(self, before: str = LEFT) -> str:
        """As `state`; what it was before where the folder cannot be listed now.

        File systems have bad moments (ESTALE, EIO), which no command is to end with.
        """
        try:
            return self.state()
        except OSError:
            return before

    def _files(self) -> set[str]:
        try:
            return set(os.listdir(self.folder))
        except (FileNotFoundError, NotADirectoryError):
            return set()


def count(states: Iterable[str]) -> dict[str, int]:
    """How many runs are in each state."""
    counts = dict.fromkeys(STATES, 0)
    for state in states:
        counts[state] += 1
    return counts


def dump(jobs: Iterable[Job]) -> str:
    """A table as JSON, for workers on other machines."""
    rows = ({**dataclasses.asdict(job), "folder": str(job.folder.resolve())} for job in jobs)
    return json.dumps(list(rows))


def load(text: str) -> list[Job]:
    """The table that `dump` wrote."""
    return [_job(row) for row in json.loads(text)]


def _job(row: Mapping) -> Job:
    steps = (Step(s["product"], s["module"], tuple(s["arguments"])) for s in row["steps"])
    return Job(row["name"], pathlib.Path(row["folder"]), tuple(steps))
