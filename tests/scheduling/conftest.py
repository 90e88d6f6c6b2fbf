"""Tables of stub runs, and a driver in a process of its own."""

import json
import os
import pathlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from zoo import stopping
from zoo.scheduling.jobs import Job, Step

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"


@pytest.fixture(autouse=True)
def _no_signal_came(monkeypatch):
    """To this process: those of other tests would end workers in it."""
    monkeypatch.setattr(stopping, "_came", threading.Event())


@pytest.fixture
def stub(tmp_path) -> Callable[..., Job]:
    """Makes a stub run of a name and words for `stub_runs.main`."""

    def make(name: str, *words: str) -> Job:
        folder = tmp_path / "runs" / name
        return Job(name, folder, (Step("DONE", "stub_runs", (str(folder), *words)),))

    return make


@pytest.fixture
def driver_process(tmp_path) -> Callable[..., subprocess.Popen]:
    """Starts a driver of a table in a process of its own."""
    from zoo.scheduling import jobs

    started = []

    def start(
        table, workers: int = 1, lease: float = 60.0, engine: str = "local", where: str = ""
    ) -> subprocess.Popen:
        path = tmp_path / f"table{len(started)}.json"
        path.write_text(jobs.dump(table))
        arguments = (engine, path, str(workers), str(lease), *filter(None, [where]))
        process = subprocess.Popen(
            [sys.executable, FIXTURES / "drive.py", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{FIXTURES}:{FIXTURES.parents[1]}"},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def calls() -> Callable[[Job], list[int]]:
    """The processes that called a stub run, one a call."""

    def read(job: Job) -> list[int]:
        path = job.folder / "count"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    return read


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Waits for a condition; fails where it does not come."""

    def wait(condition: Callable[[], bool], seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not come"
            time.sleep(0.02)

    return wait


@pytest.fixture
def printed_states() -> Callable[[subprocess.Popen], dict[str, str]]:
    """What a driver printed at its end."""

    def read(process: subprocess.Popen) -> dict[str, str]:
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        return json.loads(out)

    return read
