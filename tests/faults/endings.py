"""Runs that are killed or told to stop before their end; they resume bit for bit.

A run is ended in a process of its own and resumed in this one, which has run others before.
"""

import functools
import hashlib
import itertools
import json
import pathlib
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import psutil
import tensorflow as tf

import zoo
from tests.faults import commands
from tests.faults.commands import Process, forks, here
from zoo import train

Trials = Iterator[str | None]
_PAIRS = ("train.sampler = @LaplacePairs", "LaplacePairs.rate = 1.0")
# What a run of each family binds beside the toy.
FAMILIES = {
    "WeakGAN": (
        *("train.model = @WeakGAN", "train.sampler = @MatchedPairs", "WeakGAN.latent_dim = 3"),
        *("WeakGAN.encoder = @spectral_encoder", "WeakGAN.decoder = @mlp_decoder"),
        *("spectral_encoder.filters = (4,)", "spectral_encoder.units = (8,)"),
        *("match_discriminator.filters = (4,)", "match_discriminator.units = 8"),
    ),
    "slots": (
        *("train.model = @SlotAutoencoder", "SlotAutoencoder.slots = 2"),
        *("SlotAutoencoder.latent_dim = 4", "SlotAutoencoder.alpha = 0.0"),
        "SlotAutoencoder.slot_encoder = @slot_attention_encoder",
        "SlotAutoencoder.slot_decoder = @broadcast_slot_decoder",
        *("slot_attention_encoder.channels = 4", "broadcast_slot_decoder.channels = 4"),
        *("broadcast_slot_decoder.start = 8", "broadcast_slot_decoder.doublings = 1"),
    ),
    "BetaVAE": (),
    "FactorVAE": (
        "VAE.objective = @FactorVAE",
        "FactorVAE.discriminator_optimizer = @d/Adam",
        "d/Adam.learning_rate = 1e-4",
    ),
    "SlowVAE": ("VAE.objective = @SlowVAE", *_PAIRS),
    "PCL": ("train.model = @PCL", "PCL.latent_dim = 3", "PCL.encoder = @mlp_encoder", *_PAIRS),
    "additive": (
        *("train.model = @AdditiveAutoencoder", "AdditiveAutoencoder.latent_dim = 4"),
        *("AdditiveAutoencoder.blocks = ((0, 1), (2, 3))", "object_decoder.units = (8,)"),
        *("AdditiveAutoencoder.encoder = @mlp_encoder", "object_decoder.filters = (4,)"),
    ),
    "CG-VAE": (
        *("train.dataset = 'zoo_synthetic/shared_pair_5[test]'", "train.sampler = @Domains"),
        *("VAE.likelihood = @Gaussian", "VAE.prior = @FlowPrior", "Gaussian.variance = 0.01"),
        *("FlowPrior.domains = 5", "FlowPrior.flow = @DomainFlow"),
        *("DomainFlow.kind = 'sigmoidal'", "DomainFlow.units = 2", "DomainFlow.layers = 2"),
    ),
}
SHORT = (
    *("train.steps = 24", "train.log_every = 3", "train.checkpoint_every = 6"),
    *("train.pictures_every = 24", "train.scores = 'mig'", "train.precision = 'float32'"),
)
# Beginnings of the paths of what is written, and how many operations on files it takes at least.
PHASES = {
    "saving": (18, ("checkpoints",)),
    "exporting": (30, ("saved_model", ".saved_model")),
    "reporting": (7, ("report",)),
}
# What is done to one run, one after the other.
KILLS = (None, None, "saving", "exporting", "reporting")
TERMS = (None,) * 5


class Whole(NamedTuple):
    """A run that nothing disturbed: its results, and its processor time."""

    result: dict
    seconds: float


def killed(folder: pathlib.Path, seeds: Iterable[int], run: pathlib.Path) -> Trials:
    """Runs that get SIGKILL twice at random moments, then while saving, exporting, reporting."""
    yield from _ended(folder, seeds, run, signal.SIGKILL, KILLS)


def told_to_end(folder: pathlib.Path, seeds: Iterable[int], run: pathlib.Path) -> Trials:
    """Runs that get SIGTERM five times at random moments."""
    yield from _ended(folder, seeds, run, signal.SIGTERM, TERMS)


def _ended(folder, seeds, run, number: int, moments) -> Trials:
    """A trial is an ending; what becomes of a run is that of all that were tried on it."""
    for k, group in itertools.groupby(seeds, lambda seed: seed // len(moments)):
        count, family = len([*group]), list(FAMILIES)[k % len(FAMILIES)]
        wrong = _one(folder / f"{family}{k}", family, random.Random(k), run, number, moments)
        yield from [wrong and f"{family}: {wrong}"] * count


def _one(place, family: str, random_: random.Random, run, number: int, moments) -> str | None:
    """Ends one run several times, and once not; what is wrong."""
    arguments, whole = arguments_of(run, family), whole_of(run, family)
    for moment in moments:
        code, line = _end(arguments, place, random_, number, whole.seconds, moment)
        while not code:
            # It came to its end first: that tries nothing.
            shutil.rmtree(place)
            code, line = _end(arguments, place, random_, number, whole.seconds, moment)
        # A process that is done handles signals no more.
        done = number == signal.SIGKILL or (place / "DONE").exists()
        if code != 128 + number and not (done and code == -number):
            return f"exit code {code} ({moment or 'at a random moment'}), {line}"
    return end(arguments, place, whole)


def end(arguments: list[str], place: pathlib.Path, whole: Whole) -> str | None:
    """Goes on with a run to its end, and removes it; what is wrong then."""
    code, line = here(train.main, *arguments, f"--run_dir={place}")
    if code:
        return f"in the end exit code {code}, {line}"
    changed = differences(place, whole)
    shutil.rmtree(place)
    return f"in the end other {', '.join(changed)}" if changed else None


def _end(
    arguments, place, random_, number: int, seconds: float, phase: str | None
) -> tuple[int, str]:
    """Goes on with a run until it is ended; the exit code, and the last line that it said."""
    if phase:
        operations, begins = PHASES[phase]
        process = Process(arguments, place, kill_at=(random_.randrange(operations), begins))
    else:
        process = Process(arguments, place)
        # Of a whole run the first half is its start, which each process has.
        process.wait_for(random_.uniform(0.05, 0.7) * seconds)
        process.signal(number)
    code = process.end()
    return code, process.log.read_text().strip().rpartition("\n")[2]


def arguments_of(run: pathlib.Path, family: str) -> list[str]:
    """The arguments of a short training of a family, without its folder."""
    bindings = [f"--gin_bindings={line}" for line in (*SHORT, *FAMILIES[family])]
    return [f"--gin_file={run.parent / 'toy.gin'}", *bindings]


@functools.cache
def whole_of(run: pathlib.Path, family: str) -> Whole:
    """The undisturbed run of a family, which is made once."""
    place, begun = run.parent / "whole" / family, time.process_time()
    code, line = here(train.main, *arguments_of(run, family), f"--run_dir={place}")
    assert code == 0, line
    return Whole(result(place), time.process_time() - begun)


def differences(place: pathlib.Path, whole: Whole) -> list[str]:
    """In what a finished run differs from an undisturbed one: files by name, else what they say."""
    found, wanted = result(place), whole.result
    names = {*found["files"]} ^ {*wanted["files"]}
    return sorted(names) + [k for k in ("weights", "losses", "scores") if found[k] != wanted[k]]


def result(place: pathlib.Path) -> dict:
    """The results of a run: its files, hashes of its weights, its losses and scores."""
    weights = tf.train.load_checkpoint(str(place / "saved_model" / "variables" / "variables"))
    # The graph of objects holds names that count the models of a process.
    kept = sorted(name for name in weights.get_variable_to_shape_map() if name[0] != "_")
    digest = hashlib.sha256()
    for name in kept:
        digest.update(name.encode() + weights.get_tensor(name).tobytes())
    names = (p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file())
    log = [json.loads(line) for line in (place / "metrics.jsonl").read_text().splitlines()]
    timed = ("time_s", "images_per_s")
    losses = [{k: v for k, v in record.items() if k not in timed} for record in log]
    scores = json.loads((place / "scores.json").read_text())
    return {
        # Each process has its own file of events, and one that is killed leaves a lock.
        "files": [n for n in names if not n.startswith(("tensorboard", ".lock"))],
        "weights": digest.hexdigest(),
        "losses": losses,
        "scores": {name: row.get("score") for name, row in scores.items()},
    }


def flat(folder: pathlib.Path, seeds: Iterable[int], run: pathlib.Path) -> Trials:
    """Memory and open files over 5,000 steps: after a fifth of them they do not grow."""
    for seed in seeds:
        seen, told = forks().Pipe(duplex=False)
        process = forks().Process(target=_watched, args=(run, folder / f"long{seed}", told))
        process.start()
        told.close()
        try:
            found = seen.recv()
        except EOFError:
            found = []
        process.join()
        if not found:
            yield f"exit code {process.exitcode}"
            continue
        fifth = found[len(found) // 5]
        memory, files = (max(column) for column in zip(*found[len(found) // 5 :], strict=True))
        grown = files > fifth[1] or memory > 1.03 * fifth[0]
        said = f"at first {fifth[0] >> 20} MiB and {fifth[1]} files, later {memory >> 20}, {files}"
        yield said if grown else None


def _watched(run: pathlib.Path, place: pathlib.Path, told) -> None:
    commands.speak_to(place.with_name(f"{place.name}.log"))
    found, me = [], psutil.Process()

    def look(step, values, model) -> None:
        found.append((me.memory_info().rss, me.num_fds()))

    bindings = {"train.steps": 5000, "train.log_every": 50, "train.checkpoint_every": 500}
    bindings |= {"train.pictures_every": 1000, "train.scores": "mig"}
    zoo.fit(run.parent / "toy.gin", bindings, place, [look])
    told.send(found)


PROMISES: dict[str, tuple[Callable, int, int]] = {
    "memory and open files over 5,000 steps: flat": (flat, 1, 0),
    "SIGTERM at random moments: exit code 143, the same end": (told_to_end, 10, 0),
    "SIGKILL at random moments, while saving, exporting, reporting: the same end": (killed, 50, 0),
}
