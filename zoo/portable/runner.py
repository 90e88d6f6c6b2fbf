"""Trains what `python -m zoo.export --loop` exported, with JAX and numpy alone.

    python run_loop.py JOB [JOB ...] [--out=FOLDER] [--minutes=N]

Jobs are trained one after the other on the first device that JAX finds. JOB/result, or with --out
FOLDER/<name of JOB>, gets what has been trained: once a minute, at the end, at SIGTERM, and within
N minutes. The same command resumes from there. A job whose loss is no longer finite stops, and the
next one goes on. Jobs of several seeds share one compilation; they
are not trained as one batch, because JAX cannot map an exported program over one.
"""

import argparse
import dataclasses
import hashlib
import io
import json
import os
import pathlib
import signal
import sys
import time

FORMAT = 1
# Versions of JAX with which loops were trained to the same weights as by TensorFlow.
TESTED = ("0.6.2", "0.10.2")
OLDEST = (0, 6)
RESULT = "result.json"
PART_BYTES = 15 * 2**20
# A call of the program takes about so long, so that signals and the deadline are heard.
_PIECE_SECONDS = 5.0
_SAVE_SECONDS, _SHOWN_SECONDS = 60.0, 10.0
# Kept for saving before the deadline.
_MARGIN_SECONDS = 5.0


class JobError(Exception):
    """A job or a result that cannot be used, in one line."""


def digest(content):
    """The sha256 of bytes."""
    return hashlib.sha256(content).hexdigest()


def read_job(folder):
    """What `job.json` says, and its digest; all files of the job are checked.

    Raises:
        JobError: this is no job, or a file is not as it was exported.
    """
    path = folder / "job.json"
    try:
        content = path.read_bytes()
        job = json.loads(content)
        files = job["files"]
    except (OSError, ValueError, KeyError, TypeError):
        raise JobError(
            f"{folder} is no exported loop: it has no readable job.json; "
            "give the folder that python -m zoo.export --loop wrote"
        ) from None
    if job["format"] != FORMAT:
        raise JobError(
            f"{folder} is a job of format {job['format']}, and this program reads format {FORMAT}; "
            "use the run_loop.py in that folder, and the version of the package that exported it"
        )
    for name, expected in files.items():
        file = folder / name
        if not file.is_file() or digest(file.read_bytes()) != expected:
            raise JobError(f"{file} is missing or damaged; copy the job's folder again")
    return job, digest(content)


def read_result(folder, job_digest):
    """The facts and arrays of a result; None where the folder holds none.

    Raises:
        JobError: a part is missing or damaged, or the result is another job's.
    """
    path = folder / RESULT
    if not path.exists():
        return None
    import numpy as np

    try:
        facts = json.loads(path.read_text())
        parts = [(part["file"], part["sha256"]) for part in facts["parts"]]
    except (ValueError, KeyError, TypeError):
        raise JobError(f"{path} is damaged; copy the result again, or delete {folder}") from None
    if facts["job"] != job_digest:
        raise JobError(f"{folder} is the result of another job; give the one of this job")
    contents = []
    for name, expected in parts:
        content = (folder / name).read_bytes() if (folder / name).is_file() else b""
        if digest(content) != expected:
            raise JobError(
                f"{folder / name} is missing or truncated; copy the result again, or delete "
                f"{folder} to start again"
            )
        contents.append(content)
    with np.load(io.BytesIO(b"".join(contents))) as arrays:
        return facts, dict(arrays)


def write_result(folder, facts, arrays):
    """Writes a result in parts, its manifest last; then removes the parts of the one before."""
    import numpy as np

    folder.mkdir(parents=True, exist_ok=True)
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    content, parts = stream.getvalue(), []
    for k, begin in enumerate(range(0, len(content), PART_BYTES)):
        part = content[begin : begin + PART_BYTES]
        name = f"step{facts['step']}-{k}.part"
        _write(folder / name, part)
        parts.append({"file": name, "bytes": len(part), "sha256": digest(part)})
    _write(folder / RESULT, json.dumps({**facts, "parts": parts}, indent=1).encode())
    for old in {*folder.glob("step*.part")} - {folder / part["file"] for part in parts}:
        old.unlink()


def _write(path, content):
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


@dataclasses.dataclass
class Record:
    """The sums of all losses over the steps from `first` on to before `last`."""

    first: int
    last: int
    seconds: float
    sums: list

    def add(self, count, seconds, sums):
        """Counts `count` more steps in."""
        self.last, self.seconds = self.last + count, self.seconds + seconds
        self.sums = [a + b for a, b in zip(self.sums, sums, strict=True)]


def unfinished(job, record):
    """Whether a record ends where none is due."""
    every = job["record_every"]
    return record.last < job["steps"] and all(record.last % number for number in every)


def pack(state, records, losses):
    """The arrays of a result: `state/<name>`, and by record `record/<what>` and `sum/<loss>`."""
    import numpy as np

    return {
        **{f"state/{name}": np.asarray(value) for name, value in state.items()},
        "record/first": np.array([record.first for record in records], np.int64),
        "record/last": np.array([record.last for record in records], np.int64),
        "record/seconds": np.array([record.seconds for record in records]),
        **{f"sum/{name}": np.array([r.sums[k] for r in records]) for k, name in enumerate(losses)},
    }


def unpack(arrays, losses):
    """The state and the records that `pack` was given."""
    columns = (arrays[f"record/{key}"] for key in ("first", "last", "seconds"))
    records = [
        Record(int(first), int(last), float(seconds), [arrays[f"sum/{n}"][k] for n in losses])
        for k, (first, last, seconds) in enumerate(zip(*columns, strict=True))
    ]
    state = {n[len("state/") :]: a for n, a in arrays.items() if n.startswith("state/")}
    return state, records


class Training:
    """A job as far as it has been trained.

    Args:
        folder: of the job.
        out: where its result goes.

    Attributes:
        job: what `job.json` says.
        done: the number of updates made.
    """

    def __init__(self, folder, out):
        import numpy as np

        self.folder, self.name, self._out = folder, folder.name, out
        self.job, self._digest = read_job(folder)
        self._losses = list(self.job["losses"])
        with np.load(folder / "state.npz") as arrays:
            state, self.done = dict(arrays), self.job["start"]
        self._records = []
        if pending := self.job["pending"]:
            sums = [np.array(pending["totals"][name]) for name in self._losses]
            record = Record(pending["begun"], self.done, pending["seconds"], sums)
            self._records.append(record)
        for place in (folder / "result", out):
            found = read_result(place, self._digest)
            if found and found[0]["step"] > self.done:
                self.done = found[0]["step"]
                state, self._records = unpack(found[1], self._losses)
        self._names, self.state = list(state), list(state.values())

    @property
    def finished(self):
        """Whether nothing is left to train."""
        return self.done >= self.job["steps"]

    @property
    def left(self):
        """The number of steps up to the next record."""
        ends = ((self.done // every + 1) * every for every in self.job["record_every"])
        return min(self.job["steps"], *ends) - self.done

    def advance(self, compiled, data, count):
        """Makes `count` steps; returns their mean loss and the seconds they took.

        Raises:
            JobError: the loss is no longer finite; the state is that of before.
        """
        import numpy as np

        numbers = (np.int32(number) for number in (self.job["seed"], self.done, count))
        begun = time.perf_counter()
        state, sums = compiled(self.state, data, *numbers)
        sums = [np.asarray(value, np.float64) for value in sums]
        seconds = time.perf_counter() - begun
        loss = float(sums[self._losses.index("loss")]) / count
        if not np.isfinite(loss):
            raise JobError(
                f"{self.name}: the loss became {loss} between steps {self.done} and "
                f"{self.done + count}; {self._out} holds the state before; lower the learning rate "
                "or change the precision, in another run"
            )
        if self._records and unfinished(self.job, self._records[-1]):
            self._records[-1].add(count, seconds, sums)
        else:
            self._records.append(Record(self.done, self.done + count, seconds, sums))
        self.state, self.done = state, self.done + count
        return loss, seconds

    def save(self, jax):
        """Writes the result."""
        facts = {
            "job": self._digest,
            "step": self.done,
            "steps": self.job["steps"],
            "jax": jax.__version__,
            "device": jax.devices()[0].device_kind,
            "seconds": sum(record.seconds for record in self._records),
        }
        state = dict(zip(self._names, self.state, strict=True))
        write_result(self._out, facts, pack(state, self._records, self._losses))


class Runner:
    """Trains jobs on one device, until it is told to stop.

    Args:
        jax: the module.
        deadline: by when all must be saved, in seconds of `time.perf_counter`.

    Attributes:
        signal: the number of the signal that came, or None.
    """

    def __init__(self, jax, deadline):
        self._jax, self._deadline, self._device = jax, deadline, jax.devices()[0]
        self._compiled, self._tables = {}, {}
        self.signal = None

    def stop(self, number, frame):
        """Handles a signal: the step that runs is the last."""
        self.signal = number

    def train(self, training):
        """Trains a job as far as it goes, and saves it."""
        if training.finished:
            self._print(training, "finished")
            return
        if time.perf_counter() > self._deadline:
            self._print(training, "not resumed: the time is over")
            return
        training.state = self._put(training.state)
        data, compiled = self._data(training), self._program(training)
        saved, shown, rate = time.perf_counter(), 0.0, 0.0
        try:
            while not (training.finished or self.signal):
                spare = self._deadline - time.perf_counter() - _MARGIN_SECONDS
                if spare < 2 * rate:
                    break
                # The first step tells how long one takes.
                count = int(min(_PIECE_SECONDS, spare / 2) / rate) if rate else 1
                count = max(1, min(training.left, count))
                loss, seconds = training.advance(compiled, data, count)
                rate, now = seconds / count, time.perf_counter()
                if training.finished or now - shown > _SHOWN_SECONDS:
                    images = training.job["batch_size"] / rate
                    self._print(training, f"loss {loss:.6g}, {images:.0f} images/s")
                    shown = now
                if now - saved > _SAVE_SECONDS:
                    training.save(self._jax)
                    saved = now
        finally:
            training.save(self._jax)
        if not training.finished:
            self._print(training, "stopped; the same command resumes from there")

    def _print(self, training, text):
        step = f"step {training.done} of {training.job['steps']}"
        print(f"{training.name}: {step}, {text}", flush=True)

    def _put(self, arrays):
        return [self._jax.device_put(array, self._device) for array in arrays]

    def _data(self, training):
        """The tables of a job on the device; jobs may share them."""
        import numpy as np

        key = training.job["files"]["data.npz"]
        if key not in self._tables:
            self._tables.clear()
            with np.load(training.folder / "data.npz") as arrays:
                self._tables[key] = self._put(arrays.values())
        return self._tables[key]

    def _program(self, training):
        """The compiled function of a job; jobs may share it."""
        key = training.job["files"]["program.bin"]
        if key not in self._compiled:
            artifact, begun = (training.folder / "program.bin").read_bytes(), time.perf_counter()
            arrays = (training.state, self._data(training))
            self._compiled[key] = _compiled(self._jax, artifact, *arrays, training.job["losses"])
            seconds = time.perf_counter() - begun
            self._print(training, f"compiled for {self._device.device_kind} in {seconds:.1f} s")
        return self._compiled[key]


def _compiled(jax, artifact, state, data, losses):
    """(state, data, seed, start, steps) -> (state, sums), compiled for the device."""
    import numpy as np
    from jax import export

    def like(state, data, seed, start, steps):
        return state, [jax.numpy.zeros(shape, "float32") for shape in losses.values()]

    number = jax.ShapeDtypeStruct((), np.int32)
    specs = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), (state, data))
    # A function of the same signature, whose program is then replaced by ours.
    stub = export.export(jax.jit(like, keep_unused=True))(*specs, number, number, number)
    exported = dataclasses.replace(stub, mlir_module_serialized=artifact)
    return jax.jit(exported.call).lower(*specs, number, number, number).compile()


def _jax():
    """JAX, once its version has been looked at."""
    try:
        import jax
    except ImportError as error:
        raise JobError(f"JAX cannot be imported ({error}): pip install jax") from None
    version = tuple(int(part) for part in jax.__version__.split(".")[:2])
    tested = ", ".join(TESTED)
    if version < OLDEST:
        raise JobError(f"JAX {jax.__version__} is too old; install one of {tested} or a later one")
    if jax.__version__ not in TESTED:
        print(f"warning: JAX {jax.__version__} has not been tested; {tested} have", file=sys.stderr)
    # Optimisers count their steps in 64 bits.
    jax.config.update("jax_enable_x64", True)
    return jax


def main(argv=None):
    """Trains the jobs of a command line; returns the exit code."""
    begun = time.perf_counter()
    parser = argparse.ArgumentParser(prog="run_loop.py", description=__doc__.split("\n\n")[0])
    parser.add_argument("jobs", nargs="+", type=pathlib.Path, help="folders of exported loops")
    parser.add_argument("--out", type=pathlib.Path, help="where results go, one folder per job")
    parser.add_argument("--minutes", type=float, help="save and stop within so many minutes")
    options = parser.parse_args(argv)
    if options.minutes is not None and not options.minutes >= 0:
        parser.error(f"--minutes={options.minutes:g} is no time to train; give 0 or more")
    deadline = begun + 60 * (float("inf") if options.minutes is None else options.minutes)
    try:
        folders = [folder.resolve() for folder in options.jobs]
        if options.out and len({folder.name for folder in folders}) < len(folders):
            raise JobError("two jobs have folders of one name; with --out give each its own")
        outs = [options.out / f.name if options.out else f / "result" for f in folders]
        trainings = [Training(*pair) for pair in zip(folders, outs, strict=True)]
        runner = Runner(_jax(), deadline)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, runner.stop)
    except JobError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    code = 0
    for training in trainings:
        try:
            runner.train(training)
        except JobError as error:
            # The jobs after it are others.
            print(f"error: {error}", file=sys.stderr)
            code = 2
        if runner.signal:
            return 128 + runner.signal
    return code


if __name__ == "__main__":
    sys.exit(main())
