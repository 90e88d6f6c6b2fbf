"""What benchmarks say of what they measure, and that `make benchmark` runs them all."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import types

import pytest

from benchmarks import datasets, scale

ROOT = pathlib.Path(__file__).resolve().parents[1]


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make")
def test_make_runs_all_and_stops_at_one_that_fails(tmp_path):
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho $2 >> "$CALLS"; [ $2 != "$FAILING" ]\n')
    python.chmod(0o755)
    (tmp_path / ".installed").touch()

    def made(failing: str) -> tuple[int, list[str]]:
        calls = tmp_path / "calls"
        calls.write_text("")
        done = subprocess.run(
            ["make", "--silent", "benchmark", f"VENV={tmp_path}"],
            cwd=ROOT,
            env={**os.environ, "CALLS": str(calls), "FAILING": failing},
            stderr=subprocess.PIPE,
        )
        called = calls.read_text().split()
        return done.returncode, [name for name in called if name.startswith("benchmarks.")]

    code, called = made("nothing")
    scripts = (ROOT / "benchmarks").glob("*.py")
    assert code == 0 and sorted(called) == sorted(f"benchmarks.{path.stem}" for path in scripts)
    code, called = made("benchmarks.metrics")
    assert code != 0 and called[-1] == "benchmarks.metrics"


def test_a_run_takes_what_lies_between_two_that_finish(monkeypatch, capsys):
    def drive(table, *_):
        for k, job in enumerate(table):
            job.folder.mkdir(parents=True)
            (job.folder / "DONE").touch()
            os.utime(job.folder / "DONE", (1000 + k, 1000 + k))
        return {job.name: "done" for job in table}

    monkeypatch.setattr(scale.driver, "drive", drive)
    assert scale.measure(10, workers=2) == 9
    assert capsys.readouterr().out.split()[:2] == ["10", "1000.00"]


def test_time_of_the_processor_has_all_of_the_workers(monkeypatch, capsys):
    used = types.SimpleNamespace(ru_maxrss=1024, ru_utime=200.0, ru_stime=100.0)
    monkeypatch.setitem(datasets.PARTS, "balls", lambda: 1.0)
    monkeypatch.setattr(datasets.resource, "getrusage", lambda _: used)
    datasets.alone("balls")
    assert 300 <= json.loads(capsys.readouterr().out)["cpu_s"] < 310


def test_a_data_set_that_fails_is_the_commands_failure_once_the_others_have_run(
    monkeypatch, capsys
):
    def run(command, **_):
        failed = command[2] == "balls"
        return types.SimpleNamespace(returncode=failed, stdout="{}\n", stderr="no memory\n")

    monkeypatch.setattr(datasets.subprocess, "run", run)
    monkeypatch.setattr(sys, "argv", ["datasets.py", "balls", "sprites"])
    with pytest.raises(SystemExit, match="1"):
        datasets.main()
    first, second = capsys.readouterr().out.splitlines()
    assert first == "balls failed: no memory" and datasets.TARGETS["sprites"] in second


def test_without_blender_all_other_data_sets_are_timed(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    assert set(datasets.PARTS) - set(datasets.runnable()) == {"clevr"}
    assert "zoo.data.render_clevr --setup" in capsys.readouterr().out
