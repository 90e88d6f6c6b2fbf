"""How fast the data sets are made and read: `python benchmarks/datasets.py [PART ...]`.

Every part runs in a process of its own, with a cache and TFDS folder that are empty at first (the
parts of one family share theirs), and reports its peak of resident memory, workers included where
there are any. Without arguments all parts run, `clevr` only if it finds the environment of
`python -m zoo.data.render_clevr --setup`. The exit code is 1 if a part failed.
"""

import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np

BATCH = 256
# part -> what its figure is, and the target.
TARGETS = {
    "dsprites": "s for the tables of 737,280 images, with the read of one batch",
    "dsprites_tfds": "s for the TFDS files, tables there (60)",
    "shapes3d": "s for the tables of 480,000 images, with the read of one batch",
    "shapes3d_tfds": "s for the TFDS files, tables there (60)",
    "sprites": "images/s drawn, masks too (800)",
    "balls": "images/s composed (5,000)",
    "clevr": "images/s rendered (3)",
    "read_dsprites": "images/s, sampler in a graph (20,000)",
    "read_shapes3d": "images/s, sampler in a graph (20,000)",
    "read_balls": "images/s, sampler in a graph (20,000)",
    "read_tfds": "images/s of dSprites' TFDS files, decoded, as float32 (20,000)",
}


def tables(name: str) -> float:
    """Seconds until the images of a data set can be read by number."""
    from zoo import data

    start = time.perf_counter()
    data.load(name).images[np.arange(0, 100_000, 1000)]
    return time.perf_counter() - start


def files(name: str) -> float:
    """Seconds to write the TFDS files of a data set whose tables are there."""
    import tensorflow_datasets as tfds

    from zoo import data

    data.load(name)
    builder = tfds.builder(name)
    start = time.perf_counter()
    builder.download_and_prepare()
    return time.perf_counter() - start


def sprites(count: int = 20_000) -> float:
    """Images drawn a second."""
    from zoo.data import cache
    from zoo.data.zoo_sprites import memory, prepare

    config = prepare.Config({"train": count}, (2, 4), memory.SEED)
    start = time.perf_counter()
    prepare.prepare(cache.directory() / "sprites", config)
    return count / (time.perf_counter() - start)


def balls(count: int = 20_000) -> float:
    """Images composed a second, by one thread."""
    from zoo import data

    images = data.load("zoo_balls/independent").images
    images[:100]
    start = time.perf_counter()
    for first in range(0, count, 1000):
        images[first : first + 1000]
    return count / (time.perf_counter() - start)


def clevr(count: int = 60) -> float:
    """Images rendered a second by a worker a core, their start included."""
    from zoo import cores
    from zoo.data.zoo_clevr6 import environment, rendering

    worker, workers = rendering.command(environment.python()), cores.count()
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        rendering.render(pathlib.Path(folder), count, worker, workers)
        return count / (time.perf_counter() - start)


def sampled(name: str, batches: int = 60) -> float:
    """Images a second that the compiled part of a training loop takes from a sampler."""
    import tensorflow as tf

    from zoo import data
    from zoo.data import sampling

    dataset = data.load(name)
    sampler, tables = sampling.Independent(dataset, BATCH), sampling.tensors(dataset)

    @tf.function
    def run(tables, first):
        total = tf.constant(0.0)
        for step in tf.range(first, first + batches):
            total += tf.reduce_sum(sampler(tables, 0, step)["image"][:, 0, 0, 0])
        return total

    run(tables, tf.constant(0))
    start = time.perf_counter()
    run(tables, tf.constant(batches)).numpy()
    return batches * BATCH / (time.perf_counter() - start)


def prepared(name: str, batches: int = 300) -> float:
    """Images a second read from TFDS files as float32 batches."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    from zoo import data  # noqa: F401, registers the builder

    builder = tfds.builder(name)
    builder.download_and_prepare()
    decoders = tfds.decode.PartialDecoding({"image": True})
    examples = builder.as_dataset("train", decoders=decoders)
    examples = examples.batch(BATCH, num_parallel_calls=tf.data.AUTOTUNE)
    examples = examples.map(lambda e: tf.cast(e["image"], tf.float32)).prefetch(2)
    iterator = iter(examples)
    for _ in range(20):
        next(iterator)
    start = time.perf_counter()
    for _ in range(batches):
        next(iterator)
    return batches * BATCH / (time.perf_counter() - start)


PARTS: dict[str, Callable[[], float]] = {
    "dsprites": lambda: tables("zoo_dsprites/rendered"),
    "dsprites_tfds": lambda: files("zoo_dsprites/rendered"),
    "shapes3d": lambda: tables("zoo_shapes3d/rendered"),
    "shapes3d_tfds": lambda: files("zoo_shapes3d/rendered"),
    "sprites": sprites,
    "balls": balls,
    "clevr": clevr,
    "read_dsprites": lambda: sampled("zoo_dsprites/rendered"),
    "read_shapes3d": lambda: sampled("zoo_shapes3d/rendered"),
    "read_balls": lambda: sampled("zoo_balls/l_shape"),
    "read_tfds": lambda: prepared("zoo_dsprites/rendered"),
}


def alone(part: str) -> None:
    """Runs one part in this process and prints its record."""
    start = time.process_time()
    value = PARTS[part]()
    own, workers = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    record = {
        "part": part,
        "value": round(value, 2),
        "peak_mb": round(own.ru_maxrss / 1024),
        "worker_peak_mb": round(workers.ru_maxrss / 1024),
        "cpu_s": round(time.process_time() - start + workers.ru_utime + workers.ru_stime, 1),
    }
    print(json.dumps(record), flush=True)


def runnable() -> list[str]:
    """The parts that run without arguments: all, without Blender all but `clevr`."""
    from zoo.data.zoo_clevr6 import environment

    try:
        environment.python()
    except OSError as error:
        print(f"clevr left out: {error}", flush=True)
        return [part for part in PARTS if part != "clevr"]
    return list(PARTS)


def main() -> None:
    """The command; see the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--folder", type=pathlib.Path, help="keep caches and files here")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = sorted(set(options.parts) - set(PARTS))
    if unknown:
        parser.error(f"no part is named {unknown[0]}; there are {', '.join(PARTS)}")
    if options.alone:
        alone(options.parts[0])
        return
    failed = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or pathlib.Path(temporary)
        for part in options.parts or runnable():
            root = str(pathlib.Path(__file__).resolve().parents[1])
            environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONPATH": root}
            if part != "clevr":  # which finds Blender in the user's cache
                environment["ZOO_CACHE"] = str(folder / "cache")
                environment["TFDS_DATA_DIR"] = str(folder / "tfds")
            command = [sys.executable, __file__, part, "--alone"]
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            if done.returncode:
                failed.append(part)
                print(f"{part} failed: {done.stderr.strip().splitlines()[-1]}", flush=True)
            else:
                print(done.stdout.strip().splitlines()[-1], TARGETS[part], flush=True)
    if failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
