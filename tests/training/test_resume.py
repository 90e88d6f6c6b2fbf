"""A run killed at any moment resumes exactly: same weights, same curve, to the bit."""

import json
import multiprocessing
import multiprocessing.forkserver
import os
import pathlib
import random
import signal
import time

import numpy as np
import pytest
import tensorflow as tf

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"
# Every step is a chunk and ends in a checkpoint, so that a kill often falls into saving.
BINDINGS = [
    *("train.steps = 30", "train.log_every = 1", "train.checkpoint_every = 1"),
    "train.scores = 'mig'",
]


def _train(folder: str) -> None:
    from zoo import cli
    from zoo import train as command

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    arguments = [f"--gin_file={FIXTURES / 'toy.gin'}", f"--run_dir={folder}"]
    cli.run(command.main, arguments + [f"--gin_bindings={binding}" for binding in BINDINGS])


def _lines(folder: pathlib.Path) -> int:
    path = folder / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _curve(folder: pathlib.Path) -> list[dict]:
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in r.items() if k not in ("time_s", "images_per_s")} for r in records]


def _weights(folder: pathlib.Path) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(folder / "checkpoints"))
    names = reader.get_variable_to_shape_map()
    return {n: reader.get_tensor(n) for n in names if "OBJECT_GRAPH" not in n and "save_c" not in n}


@pytest.mark.parametrize("onednn", ["0", "1"])
def test_killed_runs_end_as_an_uninterrupted_one(tmp_path, monkeypatch, onednn):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", onednn)
    # Forks of one process that has imported everything but started nothing; it must be a new one,
    # as TensorFlow reads that setting once.
    multiprocessing.forkserver._forkserver._stop()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["zoo.configurables", "zoo.report.page"])
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    process = context.Process(target=_train, args=(str(whole),))
    process.start()
    process.join()
    assert process.exitcode == 0

    moments = random.Random(0)
    kills = 0
    while True:
        process = context.Process(target=_train, args=(str(broken),))
        process.start()
        target = _lines(broken) + moments.randint(2, 8)
        while process.is_alive() and _lines(broken) < target:
            time.sleep(0.001)
        time.sleep(moments.random() * 0.03)
        if process.is_alive() and kills < 2:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
            process.join()
            continue
        process.join()
        assert process.exitcode == 0
        if (broken / "DONE").exists():
            break

    assert kills == 2
    for folder in (whole, broken):
        manifest = json.loads((folder / "manifest.json").read_text())
        assert manifest["machine"]["onednn"] is (onednn == "1")
    assert _curve(broken) == _curve(whole)
    expected, got = _weights(whole), _weights(broken)
    assert expected.keys() == got.keys() and len(expected) > 20
    for name, value in expected.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)
