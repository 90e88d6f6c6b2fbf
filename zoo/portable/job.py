"""Exports the loop of a run as a folder that trains where there is JAX and no TensorFlow.

| file | what |
| --- | --- |
| `run_loop.py` | trains it: `zoo.portable.runner`, which needs JAX and numpy alone |
| `program.bin` | the loop, a portable artifact of StableHLO |
| `state.npz` | what the model and its optimisers hold, by number |
| `data.npz` | the tables of the data set, compressed |
| `config.gin` | the operative configuration of the run |
| `job.json` | what it is of: package, data set, steps, seed, sizes; the sha256 of the other files |
"""

import contextlib
import dataclasses
import io
import json
import pathlib
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping

import numpy as np
from absl import logging

import zoo
from zoo import runs
from zoo.errors import UserError
from zoo.files import temporary_prefix
from zoo.portable import runner
from zoo.portable.program import Program, program
from zoo.training import assembly
from zoo.training.checkpoints import Checkpoints
from zoo.training.run import described, require_same_data
from zoo.training.settings import Settings

# What can be carried to a borrowed machine.
LARGEST = 48 * 2**20


def training_command(folder: pathlib.Path) -> str:
    """What trains an exported loop that lies in a folder."""
    return shlex.join(("python", str(folder / "run_loop.py"), str(folder)))


def export_loop(
    settings: Settings,
    run_dir: str | pathlib.Path,
    out: str | pathlib.Path,
    facts: Mapping | None = None,
) -> dict:
    """Exports what is left to train of a run, which a fresh folder is at step 0.

    Args:
        settings: of the training; the configuration that gin holds must be theirs.
        run_dir: the run's folder.
        out: the folder to write, at once or not at all.
        facts: what the manifest has beside the usual.

    Returns:
        What `job.json` holds.

    Raises:
        UserError: the run is another one, or has nothing left to train; the loop cannot leave
            TensorFlow, or is too large; `out` exists.
    """
    out = pathlib.Path(out)
    if out.exists():
        raise UserError(f"{out} exists; choose another --out, or delete it")
    if settings.select:
        raise UserError(
            f"{settings.prefix}.select scores between steps, which an exported loop cannot; train "
            f"without it, {settings.prefix}.select = None"
        )
    with runs.opened(run_dir) as folder:
        settings = dataclasses.replace(settings, precision=settings.precision_in(folder).name)
        parts = assembly.assemble(settings, folder)
        text = settings.operative()
        if folder.config.exists():
            folder.claim(text)
        require_same_data(folder, parts)
        checkpoints = Checkpoints(folder.checkpoints, parts.model)
        start = checkpoints.restore()
        if start >= settings.steps or folder.done:
            raise UserError(f"{folder.path} is finished: nothing is left to train")
        if settings.probe:
            logging.warning("%s.probe is left out: its values need TensorFlow", settings.prefix)
        made = program(parts.loop.pure())
        job = {
            "format": runner.FORMAT,
            "package": zoo.__version__,
            "tested_jax": runner.TESTED,
            "name": settings.name,
            "dataset": settings.dataset,
            "fingerprint": parts.dataset.fingerprint,
            "seed": settings.seed,
            "start": start,
            "steps": settings.steps,
            "pending": checkpoints.pending,
            "record_every": [settings.log_every, settings.checkpoint_every],
            "batch_size": settings.batch_size,
            "losses": made.losses,
        }
        with _staged(out) as stage:
            job = _write(stage, job, made, text)
            folder.claim(text)
            folder.describe_start(**described(settings, parts), **(facts or {}))
        return job


def _write(folder: pathlib.Path, job: Mapping, made: Program, text: str) -> dict:
    """Writes all files of a job; returns what `job.json` holds."""
    contents = {
        "run_loop.py": pathlib.Path(runner.__file__).read_bytes(),
        "program.bin": made.artifact,
        "state.npz": _npz(made.state),
        "data.npz": _npz(made.data),
        "config.gin": text.encode(),
    }
    size = sum(map(len, contents.values()))
    if size > LARGEST:
        data = len(contents["data.npz"]) / 2**20
        raise UserError(
            f"the job would take {size / 2**20:.0f} MiB of at most {LARGEST / 2**20:.0f}, its data "
            f"set {job['dataset']} {data:.0f} of them; train on one that is rendered from tables, "
            "or on images of your own that are fewer"
        )
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    job = {**job, "files": {name: runner.digest(c) for name, c in contents.items()}}
    runs.write_text(folder / "job.json", json.dumps(job, indent=1) + "\n")
    return job


def _npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)
    return stream.getvalue()


@contextlib.contextmanager
def _staged(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """A temporary folder beside `folder`, which it becomes at a clean exit."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    prefix = temporary_prefix(folder.name)
    temporary = pathlib.Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
    try:
        made = temporary / folder.name
        made.mkdir()
        yield made
        made.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
