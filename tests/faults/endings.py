"""Runs that end before their end: killed, told to end, or out of room. They go on bit for bit.

Each trial is a process of its own, forked where TensorFlow has been imported but not begun.
"""

import contextlib
import hashlib
import json
import multiprocessing
import os
import pathlib
import random
import resource
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Iterator

Trials = Iterator[str | None]
_FORKS = multiprocessing.get_context("forkserver")
# What a run of each family binds beside the toy.
FAMILIES = {
    "BetaVAE": (),
    "FactorVAE": (
        "VAE.objective = @FactorVAE",
        "FactorVAE.discriminator_optimizer = @d/Adam",
        "d/Adam.learning_rate = 1e-4",
    ),
    "SlowVAE": (
        "VAE.objective = @SlowVAE",
        "train.sampler = @LaplacePairs",
        "LaplacePairs.rate = 1.0",
    ),
}
SHORT = (
    *("train.steps = 40", "train.log_every = 5", "train.checkpoint_every = 10"),
    *("train.pictures_every = 40", "train.scores = 'mig'", "train.precision = 'float32'"),
)


def killed(folder: pathlib.Path, seeds: Iterable[int], run: pathlib.Path) -> Trials:
    """SIGKILL at a random moment, from the first import to the report; then to the end."""
    yield from _ended(folder, seeds, run, signal.SIGKILL)


def told_to_end(folder: pathlib.Path, seeds: Iterable[int], run: pathlib.Path) -> Trials:
    """SIGTERM at a random moment: exit code 143, then to the end."""
    yield from _ended(folder, seeds, run, signal.SIGTERM)


def _ended(folder, seeds, run, number: int) -> Trials:
    whole = {}
    for seed in seeds:
        random_ = random.Random(seed)
        family = sorted(FAMILIES)[seed % len(FAMILIES)]
        arguments = _arguments(run, family)
        if family not in whole:
            begun = time.monotonic()
            code = _train(arguments, folder / family)
            if code != 0:
                yield f"{family}: exit code {code} of the whole run"
                return
            whole[family] = _result(folder / family), time.monotonic() - begun
        wanted, seconds = whole[family]
        place = folder / f"{family}{seed}"
        code = _train(arguments, place, _after(random_.uniform(0, seconds), number))
        # It may have been done already.
        if code not in (0, -number, 128 + number):
            yield f"{family}: exit code {code}"
            continue
        code = _train(arguments, place)
        same = code == 0 and _result(place) == wanted
        yield None if same else f"{family}: exit code {code}, or other weights"
        shutil.rmtree(place)


def out_of_room(folder: pathlib.Path, seeds: Iterable[int], run: pathlib.Path) -> Trials:
    """A limit on the size of files, or on the disk: exit code 2, then to the end without it."""
    arguments = _arguments(run, "BetaVAE")
    code = _train(arguments, folder / "whole")
    wanted = _result(folder / "whole")
    largest = max(p.stat().st_size for p in (folder / "whole").rglob("*") if p.is_file())
    for seed in seeds:
        limit = int(largest * random.Random(seed).uniform(0.01, 0.99))
        place = folder / f"limited{seed}"
        code = _train(arguments, place, limit=limit)
        if code not in (0, 2):
            yield f"limit of {limit} bytes: exit code {code}"
            continue
        code = _train(arguments, place)
        yield None if code == 0 and _result(place) == wanted else f"limit of {limit}: then {code}"
        shutil.rmtree(place)


def two_at_once(folder: pathlib.Path, seeds: Iterable[int], run: pathlib.Path) -> Trials:
    """Two processes on one folder of a run: one trains, the other says so with exit code 2."""
    arguments = _arguments(run, "BetaVAE")
    _train(arguments, folder / "whole")
    wanted = _result(folder / "whole")
    for seed in seeds:
        place = folder / f"shared{seed}"
        both = [_started(arguments, place, None) for _ in range(2)]
        codes = sorted(_code(process) for process in both)
        right = codes in ([0, 0], [0, 2]) and _result(place) == wanted
        yield None if right else f"exit codes {codes}, or other weights"


def flat(folder: pathlib.Path, seeds: Iterable[int], run: pathlib.Path) -> Trials:
    """Memory and open files over 5,000 steps: after a fifth of them they do not grow."""
    for seed in seeds:
        seen = _FORKS.Queue()
        process = _FORKS.Process(target=_watched, args=(run, folder / f"long{seed}", seen))
        process.start()
        found = seen.get(timeout=900)
        process.join()
        (memory, files), (memory_after, files_after) = found[len(found) // 5], found[-1]
        grown = files_after > files or memory_after > 1.05 * memory
        yield f"{memory} bytes, {files} files; then {found[-1]}" if grown else None


def _watched(run: pathlib.Path, place: pathlib.Path, seen) -> None:
    import psutil

    import zoo

    found, me = [], psutil.Process()

    def look(step, values, model) -> None:
        found.append((me.memory_info().rss, me.num_fds()))

    bindings = {"train.steps": 5000, "train.log_every": 50, "train.checkpoint_every": 500}
    zoo.fit(run.parent / "toy.gin", {**bindings, "train.pictures_every": 1000}, place, [look])
    seen.put(found)


def _arguments(run: pathlib.Path, family: str) -> list[str]:
    bindings = [f"--gin_bindings={line}" for line in (*SHORT, *FAMILIES[family])]
    return [f"--gin_file={run.parent / 'toy.gin'}", *bindings]


def _train(arguments: list[str], place, end: Callable | None = None, limit: int | None = None):
    """The exit code of a training in a process of its own."""
    process = _started(arguments, place, limit)
    if end:
        end(process)
    return _code(process)


def _started(arguments: list[str], place: pathlib.Path, limit: int | None):
    log = place.with_name(f"{place.name}.log")
    process = _FORKS.Process(target=_main, args=([*arguments, f"--run_dir={place}"], limit, log))
    process.start()
    return process


def _code(process) -> int:
    process.join(300)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode


def _main(arguments: list[str], limit: int | None, log: pathlib.Path) -> None:
    with log.open("w") as said:
        os.dup2(said.fileno(), 2)
        os.dup2(said.fileno(), 1)
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    from zoo import cli, train

    cli.run(train.main, arguments)


def _after(seconds: float, number: int) -> Callable:
    def end(process) -> None:
        process.join(seconds)
        with contextlib.suppress(ProcessLookupError):
            if process.is_alive():
                os.kill(process.pid, number)

    return end


def _result(place: pathlib.Path) -> tuple[str, str]:
    """The hashes of what a run has come to: weights and scores, and the losses of its log."""
    weights = place / "saved_model" / "variables" / "variables.data-00000-of-00001"
    if not weights.is_file():
        return "", ""
    log = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    losses = [(record["step"], record["loss"]) for record in log]
    return hashlib.sha256(weights.read_bytes()).hexdigest(), str(losses)


_FORKS.set_forkserver_preload(["tests.faults.preloaded"])

PROMISES: dict[str, tuple[Callable, int, int]] = {
    "SIGKILL at a random moment: the same weights and losses in the end": (killed, 50, 0),
    "SIGTERM at a random moment: exit 143, then the same": (told_to_end, 10, 0),
    "file size limit: exit 2, then the same": (out_of_room, 20, 0),
    "memory and open files over 5,000 steps: flat": (flat, 1, 0),
    "two trainings in one folder: one trains, one says so": (two_at_once, 5, 0),
}
