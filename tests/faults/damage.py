"""Damaged inputs: each ends in a result or in one line with exit code 2, and damages nothing else.

A promise is a function of a folder, numbers that seed its trials, and the folder of a finished toy
run. It yields a trial at a time: None where the promise was held, else what happened.
"""

import contextlib
import hashlib
import io
import json
import pathlib
import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from unittest import mock

import h5py
import numpy as np

import zoo
from tests.faults import mutations
from tests.faults.commands import defect, here
from zoo import train as train_command
from zoo.data import tables
from zoo.data.zoo_dsprites import memory as dsprites
from zoo.errors import UserError
from zoo.hub import __main__ as hub_command
from zoo.hub import package, places
from zoo.report import page

TOY = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "toy.gin"
Trials = Iterator[str | None]


def toy_gin(folder: pathlib.Path) -> pathlib.Path:
    """A gin file of a short training on toy data."""
    gin_file = folder / "toy.gin"
    text = TOY.read_text().replace("steps = 60", "steps = 20").replace("every = 30", "every = 20")
    gin_file.write_text(text + "train.scores = 'mig'\n")
    return gin_file


def short_run(folder: pathlib.Path) -> pathlib.Path:
    """A finished run of the toy, and the gin file beside it that made it."""
    gin_file = toy_gin(folder)
    said = command(train_command.main, f"--gin_file={gin_file}", f"--run_dir={folder / 'run'}")
    assert said is None, said
    return folder / "run"


def command(main: Callable, *arguments: str) -> str | None:
    """Runs a command in this process; what is wrong with its end, None if it kept its promise."""
    code, line = here(main, *arguments)
    if code == 0 or (code == 2 and line.startswith("error: ")):
        return None
    return f"exit code {code}: {line}"


def call(action: Callable, *arguments) -> tuple[object, str | None]:
    """The result of a function, and what is wrong with its end."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return action(*arguments), None
    except UserError as error:
        return None, "an error of several lines" if "\n" in str(error).strip() else None
    except Exception as error:
        return None, defect(error)


def gin_files(folder: pathlib.Path, seeds: Iterable[int], run: pathlib.Path) -> Trials:
    """`zoo.train` with a damaged gin file, on the folder of a finished run."""
    text, path = (run.parent / "toy.gin").read_text(), folder / "damaged.gin"
    before = _state(run)
    for seed in seeds:
        path.write_bytes(mutations.of_gin(text, random.Random(seed)))
        wrong = command(train_command.main, f"--gin_file={path}", f"--run_dir={run}")
        yield wrong or (None if _state(run) == before else "the run was changed")


def json_of_a_run(folder: pathlib.Path, seeds: Iterable[int], run: pathlib.Path) -> Trials:
    """The report of a run whose manifest, scores, log or config is damaged."""
    names = ("manifest.json", "scores.json", "metrics.jsonl", "config.gin")
    copy = shutil.copytree(run, folder / "json", dirs_exist_ok=True)
    for seed in seeds:
        path = copy / names[seed % len(names)]
        sound = path.read_bytes()
        path.write_bytes(mutations.of_bytes(sound, random.Random(seed)))
        _, wrong = call(page.write_from_run, copy)
        path.write_bytes(sound)
        yield wrong


def cards(folder: pathlib.Path, seeds: Iterable[int], run: pathlib.Path) -> Trials:
    """`zoo.hub verify` of a model whose card is damaged."""
    copy = shutil.copytree(run / "saved_model", folder / "card", dirs_exist_ok=True)
    path = copy / package.CARD
    sound = path.read_bytes()
    for seed in seeds:
        path.write_bytes(mutations.of_bytes(sound, random.Random(seed)))
        yield command(hub_command.main, "verify", str(copy))


def registries(folder: pathlib.Path, seeds: Iterable[int], run: pathlib.Path) -> Trials:
    """`zoo.hub list` with a damaged registry, and the search for each of its models."""
    del run
    sound, path = (places.BUILT_IN / places.REGISTRY).read_bytes(), folder / places.REGISTRY
    with mock.patch.object(places, "BUILT_IN", folder):
        for seed in seeds:
            random_ = random.Random(seed)
            damaged = _of_json if seed % 2 else mutations.of_bytes
            path.write_bytes(damaged(sound, random_))
            yield command(hub_command.main, "list")


def _of_json(content: bytes, random_: random.Random) -> bytes:
    """A JSON text with one value, at any depth, replaced by one of another kind."""
    tree = json.loads(content)
    places = [(tree, key) for key in tree]
    for parent, key in places:
        value = parent[key]
        if isinstance(value, dict):
            places += [(value, key) for key in value]
    parent, key = random_.choice(places)
    parent[key] = random_.choice((None, 3, -1, 1e300, "x", [], {}, [[]], {"": 3}, True, "../x"))
    return json.dumps(tree).encode()


def npy_tables(folder: pathlib.Path, seeds: Iterable[int], run: pathlib.Path) -> Trials:
    """A table of the cache that was altered: what is read afterwards is what was made."""
    del run
    path, content = folder / "table.npy", np.arange(2000, dtype=np.uint8).reshape(20, 100)

    def make(temporary):
        with open(temporary, "wb") as file:
            np.save(file, content)

    for seed in seeds:
        tables.kept(make, path)
        # Half of the damage is done to the header, of 128 bytes.
        sound, random_ = path.read_bytes(), random.Random(seed)
        half = random_.random() < 0.5
        path.write_bytes(
            mutations.of_bytes(sound[:128], random_) + sound[128:]
            if half
            else mutations.of_bytes(sound, random_)
        )
        _, wrong = call(tables.kept, make, path)
        same = wrong or np.array_equal(np.load(path), content)
        yield wrong or (None if same else "altered data were read")


def hdf5_files(folder: pathlib.Path, seeds: Iterable[int], run: pathlib.Path) -> Trials:
    """A damaged file of the form of the original dSprites: one line, or arrays."""
    del run
    path = folder / "dsprites.h5"
    with h5py.File(path, "w") as file:
        file["imgs"] = np.zeros((50, 64, 64), np.uint8)
        classes = dsprites.SPACE.factors(np.arange(50))
        file["latents/classes"] = np.concatenate([np.zeros((50, 1), int), classes], 1)
    sound = path.read_bytes()
    for seed in seeds:
        path.write_bytes(mutations.of_bytes(sound, random.Random(seed)))
        yield call(dsprites.read_official, path)[1]


def saved_models(folder: pathlib.Path, seeds: Iterable[int], run: pathlib.Path) -> Trials:
    """`zoo.load` of a model of which one file is damaged: refused, whatever the damage."""
    copy = shutil.copytree(run / "saved_model", folder / "model", dirs_exist_ok=True)
    names = sorted(package.read_card(copy)["files"])
    for seed in seeds:
        path = copy / names[seed % len(names)]
        sound = path.read_bytes()
        damaged = mutations.of_bytes(sound, random.Random(seed))
        path.write_bytes(damaged)
        loaded, wrong = call(zoo.load, copy)
        path.write_bytes(sound)
        yield wrong or ("it was loaded" if loaded is not None and damaged != sound else None)


def _state(run: pathlib.Path) -> dict[str, str]:
    """The hash of every file of a run but its lock."""
    files = (path for path in run.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# What is tried, how often in the whole campaign, and how often in the test suite.
PROMISES: dict[str, tuple[Callable, int, int]] = {
    "damaged gin file: result, or one line": (gin_files, 300, 25),
    "damaged manifest, scores, log, config: report, or one line": (json_of_a_run, 150, 12),
    "damaged card: one line": (cards, 150, 30),
    "damaged registry: list, or one line": (registries, 150, 20),
    "altered table in the cache: made again": (npy_tables, 150, 50),
    "damaged HDF5: arrays, or one line": (hdf5_files, 150, 50),
    "altered SavedModel: refused": (saved_models, 150, 20),
}
