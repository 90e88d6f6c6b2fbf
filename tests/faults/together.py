"""Two processes on one thing: one does the work, the other waits or says so."""

import functools
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from tests.faults import endings
from tests.faults.commands import Process, forks
from zoo.data import tables

Trials = Iterator[str | None]
ROOT = pathlib.Path(__file__).resolve().parents[2]


def on_a_run(folder: pathlib.Path, seeds: Iterable[int], run: pathlib.Path) -> Trials:
    """Two training runs in one folder: one trains, the other says so, or finds it finished."""
    arguments, whole = endings.arguments_of(run, "BetaVAE"), endings.whole_of(run, "BetaVAE")
    for seed in seeds:
        place, random_ = folder / f"shared{seed}", random.Random(seed)
        first = Process(arguments, place)
        # Mostly while the first one starts, sometimes while it trains or publishes.
        first.wait_for(random_.choice((0, 0, random_.uniform(0, 1) * whole.seconds)))
        second = Process(arguments, place, log=folder / f"second{seed}.log")
        codes = sorted(process.end() for process in (first, second))
        changed = [] if 0 not in codes else endings.differences(place, whole)
        right = codes in ([0, 0], [0, 2]) and not changed
        yield None if right else f"exit codes {codes}; in the end other {', '.join(changed)}"
        shutil.rmtree(place)


def on_a_table(folder: pathlib.Path, seeds: Iterable[int], run: pathlib.Path) -> Trials:
    """Two to four makers of a table of the cache, one of which may be killed: it is made once."""
    del run
    for seed in seeds:
        place, random_ = folder / f"cache{seed}", random.Random(seed)
        place.mkdir()
        makers = [forks().Process(target=_make, args=(place, seed)) for _ in range(2 + seed % 3)]
        for maker in makers:
            maker.start()
        victim = makers[0] if seed % 2 else None
        if victim:
            time.sleep(random_.uniform(0, 0.4))
            if victim.is_alive():
                os.kill(victim.pid, signal.SIGKILL)
        for maker in makers:
            maker.join(60)
        codes = [maker.exitcode for maker in makers if maker is not victim]
        made = len((place / "made").read_text().split())
        left = sorted(p.name for p in place.iterdir() if p.name.startswith(".table.npy."))
        wrong = [
            any(codes) and f"exit codes {codes}",
            made > 1 + bool(victim) and f"made {made} times",
            left != [".table.npy.lock"] and f"left {left}",
            not np.array_equal(np.load(place / "table.npy"), _content(seed)) and "other content",
        ]
        yield "; ".join(filter(None, wrong)) or None


def _content(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (200, 1000), dtype=np.uint8)


def _make(place: pathlib.Path, seed: int) -> None:
    def make(temporary: pathlib.Path) -> None:
        with (place / "made").open("a") as file:
            file.write("once\n")
        with temporary.open("wb") as file:
            np.save(file, _content(seed)[:100])
            # Whoever is killed here leaves a half.
            time.sleep(0.2)
            file.seek(0)
            np.save(file, _content(seed))

    tables.kept(make, place / "table.npy")


def tests(
    file: str,
    chosen: str,
    count: int,
    folder: pathlib.Path,
    seeds: Iterable[int],
    run: pathlib.Path,
) -> Trials:
    """Tests of the suite that try it, each a trial; one that is skipped or renamed is missed."""
    del folder, run
    if not seeds:
        return
    with tempfile.TemporaryDirectory() as temporary:
        report = pathlib.Path(temporary, "report.xml")
        command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider"]
        command += [f"--junitxml={report}", "-k", chosen, file]
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        cases = [*ElementTree.parse(report).getroot().iter("testcase")] if report.exists() else []
    cases = [case for case in cases if case.find("skipped") is None]
    for seed in seeds:
        if len(cases) != count:
            yield f"{file}: {len(cases)} tests, not {count}: {said.stdout[-500:]}"
        else:
            failed = any(cases[seed].find(kind) is not None for kind in ("failure", "error"))
            yield f"{file}::{cases[seed].get('name')} fails" if failed else None


def _suite(file: str, chosen: str, count: int) -> tuple[Callable, int, int]:
    return functools.partial(tests, file, chosen, count), count, 0


_DOWNLOAD, _DRIVERS = "tests/hub/test_hub_download.py", "tests/scheduling/test_local.py"
PROMISES: dict[str, tuple[Callable, int, int]] = {
    "two training runs in one folder: one trains, one says so": (on_a_run, 6, 0),
    "several processes on a table of the cache: made once": (on_a_table, 60, 6),
    "two commands on a table of a paper: each run once": _suite(
        _DRIVERS, "two_drivers or end_with_their_driver or taken_over or waited_for", 7
    ),
    "two processes on an entry of the hub: fetched once": _suite(
        _DOWNLOAD, "two_processes or killed_download", 2
    ),
    "hostile server: the whole model, or one line": _suite(
        _DOWNLOAD, "bad_server or temporary_errors or breaks_off or another_mirror_left", 16
    ),
}
