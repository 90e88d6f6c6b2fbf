"""Signals: the step is finished, saved and named, and the run resumes to the bit."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import tensorflow as tf

from zoo import stopping
from zoo import train as command
from zoo.training.loop import Loop

STEPS = 600
CODES = {"SIGTERM": 143, "SIGHUP": 129, "SIGINT": 130}
pytestmark = pytest.mark.usefixtures("nothing_ignored")


def _arguments(toy_gin: str, folder: pathlib.Path) -> list[str]:
    # One chunk, no checkpoint but the last.
    bindings = (f"train.steps = {STEPS}", f"train.log_every = {STEPS}",
                f"train.checkpoint_every = {STEPS}", "train.scores = 'mig'")  # fmt: skip
    bound = [f"--gin_bindings={binding}" for binding in bindings]
    return [f"--gin_file={toy_gin}", f"--run_dir={folder}", *bound]


def _record(folder: pathlib.Path) -> dict:
    (line,) = (folder / "metrics.jsonl").read_text().splitlines()
    return {k: v for k, v in json.loads(line).items() if k not in ("time_s", "images_per_s")}


def _weights(folder: pathlib.Path) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(folder / "checkpoints" / f"ckpt-{STEPS}"))
    names = reader.get_variable_to_shape_map()
    return {name: reader.get_tensor(name) for name in names if "OBJECT_GRAPH" not in name}


@pytest.fixture
def at(monkeypatch):
    """Sends this process signals, each once so many updates are done."""

    def plan(*signals: tuple[int, int]) -> None:
        advance, left = Loop.advance, list(signals)

        def signalled(self, start, steps, totals=None):
            totals = advance(self, start, steps, totals)
            while left and start + steps >= left[0][0]:
                os.kill(os.getpid(), left.pop(0)[1])
            return totals

        monkeypatch.setattr(Loop, "advance", signalled)

    return plan


def test_a_stopped_run_is_saved_at_the_step_that_is_said_and_ends_as_an_uninterrupted_one(
    tmp_path, toy_gin, at, capfd
):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    command.main(_arguments(toy_gin, whole))
    handlers = [signal.getsignal(number) for number in stopping.SIGNALS]
    at((3, signal.SIGTERM))
    with pytest.raises(SystemExit) as ended:
        command.main(_arguments(toy_gin, stopped))
    assert ended.value.code == 143
    errors = capfd.readouterr().err
    assert "SIGTERM: finishing the step and saving" in errors
    said = re.search(
        r"stopped by SIGTERM at step (\d+) of 600, which is saved; the same command resumes it",
        errors,
    )
    step = int(said[1])
    assert 3 <= step < STEPS
    assert [p.name for p in (stopped / "checkpoints").glob("*.index")] == [f"ckpt-{step}.index"]
    # The record comes when the chunk is whole.
    assert (stopped / "metrics.jsonl").read_text() == ""
    assert [signal.getsignal(number) for number in stopping.SIGNALS] == handlers
    command.main(_arguments(toy_gin, stopped))
    assert (stopped / "DONE").exists()
    assert _record(stopped) == _record(whole)
    expected, got = _weights(whole), _weights(stopped)
    assert expected.keys() == got.keys() and len(expected) > 20
    for name, value in expected.items():
        np.testing.assert_array_equal(got[name], value, err_msg=name)


_PROCESS = """
import os, signal, sys, time
from zoo import cli, stopping
def main(_):
    mode = sys.argv[1]
    if mode == "unwinding":
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            raise RuntimeError("left in the middle")
    if hasattr(signal, mode):
        os.kill(os.getpid(), getattr(signal, mode))
    with stopping.watched() as signals, signals.finishing():
        os.kill(os.getpid(), signal.SIGTERM)
        print("noted", signals.signal, flush=True)
        if mode == "twice":
            time.sleep(1.1)
        if mode != "once":
            os.kill(os.getpid(), signal.SIGTERM)
    print("never", flush=True)
cli.run(main, [])
"""


@pytest.mark.parametrize(
    ("mode", "code", "said"),
    [
        *((name, code, "") for name, code in CODES.items()),
        ("once", 143, "noted SIGTERM\n"),
        ("together", 143, "noted SIGTERM\n"),
        ("twice", -15, "noted SIGTERM\n"),
        ("unwinding", 143, ""),
    ],
)
def test_the_exit_code_is_the_signals_and_the_second_ends_at_once(mode, code, said):
    ended = subprocess.run([sys.executable, "-c", _PROCESS, mode], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout) == (code, said)
    assert "Traceback" not in ended.stderr
    assert (mode if mode in CODES else "SIGTERM") in ended.stderr


def test_a_signal_that_was_ignored_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping.watched() as signals:
            os.kill(os.getpid(), signal.SIGHUP)
            assert signals.signal is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_leaves_the_handlers_alone():
    found = []

    def work():
        with stopping.watched():
            found.extend(signal.getsignal(number) for number in stopping.SIGNALS)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(number) for number in stopping.SIGNALS]


_HUNG_UP = """
import os, signal, sys, time
from zoo import cli, stopping
def main(_):
    with stopping.watched() as signals, signals.finishing():
        open(sys.argv[1] + ".ready", "w").close()
        while not signals.signal:
            time.sleep(0.01)
        print("this terminal is gone", file=sys.stderr, flush=True)
        open(sys.argv[1], "w").close()
cli.run(main, [])
"""


def test_what_is_saved_when_the_terminal_goes_away(tmp_path):
    parent, child = os.openpty()
    command = [sys.executable, "-c", _HUNG_UP, str(tmp_path / "saved")]
    process = subprocess.Popen(command, stdout=child, stderr=child)
    os.close(child)
    while not (tmp_path / "saved.ready").exists():
        time.sleep(0.02)
    os.close(parent)
    process.send_signal(signal.SIGHUP)
    assert process.wait(30) == 129
    assert (tmp_path / "saved").exists()
