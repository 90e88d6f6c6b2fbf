"""A training run that is exported, stopped and resumed under JAX, and brought back."""

import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import sys
import time
import types

import gin
import numpy as np
import pytest
import tensorflow as tf

from zoo import export as export_command
from zoo import import_loop as import_command
from zoo import perturb as perturb_command
from zoo import runs
from zoo import train as train_command
from zoo.portable import job, runner

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"
FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"
# Adam divides by the gradient's size; with a small epsilon it would amplify rounding.
BINDINGS = (
    *("train.steps = 10", "train.log_every = 4", "train.scores = 'mig'", "Adam.epsilon = 1e-3"),
    *("train.checkpoint_every = 10", "train.pictures_every = 10"),
)
TRAINING = [f"--gin_file={FIXTURES / 'toy.gin'}", *(f"--gin_bindings={b}" for b in BINDINGS)]


@pytest.fixture(autouse=True)
def _clean(_jax):
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    _jax.config.update("jax_enable_x64", False)
    gin.clear_config()


def _stopped(folder: pathlib.Path, calls: int) -> int:
    """Trains a job until it is sent SIGTERM in a call of the program; gives the exit code."""
    advance, made = runner.Training.advance, []

    def counted(training, compiled, data, count):
        made.append(count)
        if len(made) == calls:
            os.kill(os.getpid(), signal.SIGTERM)
        return advance(training, compiled, data, min(count, 2))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner.Training, "advance", counted)
        return runner.main([str(folder)])


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> pathlib.Path:
    """A folder with `whole`, trained here, and `run`, exported to `job` and stopped there."""
    pytest.importorskip("jax", reason="JAX runs exported loops")
    folder = tmp_path_factory.mktemp("portable")
    train_command.main([*TRAINING, f"--run_dir={folder / 'whole'}"])
    exported = [f"--run_dir={folder / 'run'}", f"--out={folder / 'job'}"]
    export_command.main(["--loop", *TRAINING, *exported])
    assert _stopped(folder / "job", calls=4) == 128 + signal.SIGTERM
    shutil.copytree(folder / "job" / "result", folder / "first")
    assert runner.main([str(folder / "job")]) == 0
    return folder


def _weights(folder: pathlib.Path) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(folder / "checkpoints"))
    names = reader.get_variable_to_shape_map()
    values = {name: np.asarray(reader.get_tensor(name)) for name in names}
    return {n: v for n, v in values.items() if v.dtype.kind in "fi" and "save_counter" not in n}


def _require_equal(folder: pathlib.Path, whole: pathlib.Path) -> None:
    expected, got = _weights(whole), _weights(folder)
    assert expected.keys() == got.keys() and len(expected) > 20
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, atol=1e-5, err_msg=name)
    curves = [runs.records(each / "metrics.jsonl") for each in (folder, whole)]
    for record, other in zip(*curves, strict=True):
        assert record.keys() == other.keys()
        for name in record.keys() - {"time_s", "images_per_s"}:
            # Sums of float32 in another order.
            np.testing.assert_allclose(record[name], other[name], 1e-5, 1e-4, err_msg=name)


def _import(made, folder, *arguments: str) -> None:
    import_command.main([str(made / "job"), f"--run_dir={folder}", "--trust", *arguments])


def test_a_loop_stopped_elsewhere_is_gone_on_with_here(made, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(made / "run", run)
    assert not (run / "checkpoints").exists() and runs.RunFolder(run).config.exists()
    _import(made, run, f"--result={made / 'first'}")
    assert "is at step 6 of 10" in capsys.readouterr().out
    assert [record["step"] for record in runs.records(run / "metrics.jsonl")] == [4]
    train_command.main([*TRAINING, f"--run_dir={run}"])
    _require_equal(run, made / "whole")
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["trained_elsewhere"][0] | {"seconds": 0, "jax": ""} == {
        "from": 0, "step": 6, "device": "cpu", "seconds": 0, "jax": "",
    }  # fmt: skip
    assert list((run / "tensorboard").glob("events.*"))


def test_a_loop_trained_elsewhere_is_scored_and_exported_here(made, tmp_path):
    fresh = tmp_path / "fresh"
    _import(made, fresh)
    _require_equal(fresh, made / "whole")
    train_command.main([*TRAINING, f"--run_dir={fresh}"])
    assert (fresh / "DONE").exists() and (fresh / "images" / "reconstructions.png").exists()
    scores = [
        json.loads((folder / "scores.json").read_text())["mig"]["score"]
        for folder in (fresh, made / "whole")
    ]
    assert scores[0] == pytest.approx(scores[1], abs=0.05)


def test_seeds_in_turn_share_a_compilation(made, tmp_path, capsys):
    for name in ("one", "two"):
        shutil.copytree(made / "job", tmp_path / name, ignore=shutil.ignore_patterns("result"))
    out = tmp_path / "out"
    folders = [str(tmp_path / name) for name in ("one", "two")]
    assert runner.main([*folders, f"--out={out}", "--minutes=5"]) == 0
    assert capsys.readouterr().out.count("compiled for") == 1
    one, two = (np.load(out / name / "step10-0.part") for name in ("one", "two"))
    for name in one.files:
        if name != "record/seconds":
            np.testing.assert_array_equal(one[name], two[name], err_msg=name)
    assert runner.main([*folders, f"--out={out}"]) == 0
    assert capsys.readouterr().out.count("step 10 of 10, finished") == 2


def test_a_negative_time_is_one_line(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        runner.main([str(tmp_path), "--minutes=-1"])
    assert stopped.value.code == 2
    assert "--minutes=-1 is no time to train; give 0 or more" in capsys.readouterr().err


def test_results_are_cut_into_parts_and_nothing_is_begun_too_late(
    made, tmp_path, monkeypatch, capsys
):
    shutil.copytree(made / "job", tmp_path / "job", ignore=shutil.ignore_patterns("result"))
    monkeypatch.setattr(runner, "PART_BYTES", 10_000)
    assert runner.main([str(tmp_path / "job"), "--minutes=0"]) == 0
    assert "step 0 of 10, not resumed: the time is over" in capsys.readouterr().out
    assert _stopped(tmp_path / "job", calls=1) == 128 + signal.SIGTERM
    assert runner.main([str(tmp_path / "job")]) == 0
    facts = json.loads((tmp_path / "job/result/result.json").read_text())
    names = {path.name for path in (tmp_path / "job/result").iterdir()}
    assert names == {"result.json", *(part["file"] for part in facts["parts"])} and len(names) > 2
    assert all(part["bytes"] <= 10_000 for part in facts["parts"])
    both = [
        runner.read_result(folder / "result", facts["job"])[1]
        for folder in (tmp_path / "job", made / "job")
    ]
    for name in both[0].keys() - {"record/seconds"}:
        np.testing.assert_allclose(both[0][name], both[1][name], atol=1e-5, err_msg=name)


def test_a_loss_that_is_not_finite_stops_with_the_state_before(made, tmp_path, capsys):
    folder = tmp_path / "job"
    shutil.copytree(made / "job", folder, ignore=shutil.ignore_patterns("result"))
    with np.load(folder / "state.npz") as arrays:
        state = {n: v * np.nan if v.dtype.kind == "f" else v for n, v in arrays.items()}
    np.savez(folder / "state.npz", **state)
    _rewrite(folder, files={"state.npz": runner.digest((folder / "state.npz").read_bytes())})
    assert runner.main([str(folder)]) == 2
    assert "the loss became nan between steps 0 and 1" in capsys.readouterr().err
    assert json.loads((folder / "result/result.json").read_text())["step"] == 0
    # Jobs after it are trained.
    shutil.copytree(made / "job", tmp_path / "next", ignore=shutil.ignore_patterns("result"))
    assert runner.main([str(folder), str(tmp_path / "next")]) == 2
    assert "next: step 10 of 10" in capsys.readouterr().out


def _rewrite(folder: pathlib.Path, files: dict | None = None, **changes) -> None:
    """Changes what the manifest of a job says, and the job that its result is of."""
    facts = json.loads((folder / "job.json").read_text())
    facts |= {**changes, "files": {**facts["files"], **(files or {})}}
    (folder / "job.json").write_text(json.dumps(facts))
    result = folder / "result" / "result.json"
    if result.exists():
        digest = runner.digest((folder / "job.json").read_bytes())
        result.write_text(json.dumps({**json.loads(result.read_text()), "job": digest}))


def _tree(folder: pathlib.Path) -> dict:
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


def test_what_does_not_belong_together_is_refused_and_the_run_stays(made, tmp_path, fails):
    run, other = tmp_path / "run", tmp_path / "job"
    shutil.copytree(made / "run", run)
    before = _tree(run)

    def refused(change) -> str:
        shutil.rmtree(other, ignore_errors=True)
        shutil.copytree(made / "job", other)
        change(other)
        line = fails(import_command.main, str(other), f"--run_dir={run}", "--trust")
        assert _tree(run) == before
        return line

    def shortened(name: str):
        return lambda f: (f / name).write_bytes((f / name).read_bytes()[:-100])

    part = json.loads((made / "job/result/result.json").read_text())["parts"][0]["file"]
    line = refused(shortened(f"result/{part}"))
    assert f"{part} is missing or truncated; copy the result again" in line
    assert "result.json is damaged" in refused(shortened("result/result.json"))
    assert "state.npz is missing or damaged" in refused(shortened("state.npz"))
    assert "no readable job.json" in refused(lambda f: (f / "job.json").unlink())
    line = refused(lambda f: shutil.rmtree(f / "result"))
    _, command = line.split("holds no result; train first: ")
    assert shlex.split(command) == ["python", str(other / "run_loop.py"), str(other)]
    line = refused(lambda f: _rewrite(f, package="0.0.1"))
    assert "was exported by disentanglement-zoo 0.0.1, and this is" in line
    line = refused(lambda f: _rewrite(f, fingerprint="0123456789abcdef"))
    assert "is not the data set that the loop was exported with (0123456789abcdef)" in line
    line = refused(lambda f: _rewrite(f, format=99))
    assert "job of format 99" in line
    stranger = json.loads((made / "job" / "job.json").read_text()) | {"seed": 7}
    line = refused(lambda f: (f / "job.json").write_text(json.dumps(stranger)))
    assert "is the result of another job" in line


def test_another_run_or_one_that_is_further_is_refused(made, tmp_path, fails):
    before = _tree(made / "whole")
    arguments = [str(made / "job"), "--trust"]
    line = fails(import_command.main, *arguments, f"--run_dir={made / 'whole'}")
    assert "is finished" in line and _tree(made / "whole") == before
    run = tmp_path / "run"
    shutil.copytree(made / "run", run)
    config = run / "config.gin"
    config.write_text(config.read_text().replace("VAE.latent_dim = 4", "VAE.latent_dim = 5"))
    before = _tree(run)
    line = fails(import_command.main, str(made / "job"), f"--run_dir={run}")
    assert "this config imports toy" in line and _tree(run) == before
    line = fails(import_command.main, *arguments, f"--run_dir={run}")
    assert "latent_dim: 5 -> 4" in line and _tree(run) == before


def test_an_export_that_cannot_be_is_refused_and_leaves_nothing(made, tmp_path, fails, monkeypatch):
    def refused(run, *arguments):
        out = tmp_path / "job"
        named = [f"--run_dir={run}", f"--out={out}", "--trust"]
        line = fails(export_command.main, "--loop", *named, *arguments)
        assert not out.exists() and not [*tmp_path.glob(".job*")]
        return line

    assert "is finished" in refused(made / "whole")
    assert "is not the folder of a run" in refused(tmp_path / "none")
    select = "--gin_bindings=train.select = 'loss'"
    validation = "--gin_bindings=train.validation_dataset = 'toy'"
    line = refused(tmp_path / "new", *TRAINING, select, validation)
    assert "train.select scores between steps, which an exported loop cannot" in line
    monkeypatch.setattr(job, "LARGEST", 10_000)
    line = refused(made / "run")
    assert "MiB of at most 0, its data set toy" in line
    arguments = ["--loop", "--trust", f"--run_dir={made / 'run'}", f"--out={made / 'job'}"]
    assert "exists; choose another --out" in fails(export_command.main, *arguments)
    monkeypatch.setitem(sys.modules, "jax", None)
    assert "exporting a loop needs JAX: pip install" in refused(made / "run")


@pytest.mark.parametrize("version", ["0.5.3", "0.99.0"])
def test_other_versions_of_jax(made, tmp_path, capsys, monkeypatch, version, _jax):
    monkeypatch.setattr(_jax, "__version__", version)
    code = runner.main([str(made / "job")])
    line = capsys.readouterr().err.strip().splitlines()[-1]
    if version == "0.5.3":
        assert code == 2 and line.startswith("error: JAX 0.5.3 is too old; install one of 0.")
    else:
        assert code == 0 and "warning: JAX 0.99.0 has not been tested; 0." in line


def test_a_clock_whose_ticks_are_longer_than_a_step(made, tmp_path, monkeypatch):
    """As `time.monotonic` on Windows, of 16 ms."""
    job = shutil.copytree(made / "job", tmp_path / "job", ignore=lambda *_: ["result"])
    clocks = types.SimpleNamespace(monotonic=lambda: 0.0, perf_counter=time.perf_counter)
    monkeypatch.setattr(runner, "time", clocks)
    assert runner.main([str(job)]) == 0


def test_without_jax_the_runner_says_so(made, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    assert runner.main([str(made / "job")]) == 2
    assert "pip install jax" in capsys.readouterr().err


def test_the_perturbation_of_a_data_set_goes_out_and_comes_back(tmp_path, capsys):
    gin_file = pathlib.Path(__file__).resolve().parents[1] / "perturbation" / "perturb_toy.gin"
    bindings = (f"perturb.restarts = '{FIXTURES / 'toy.gin'}'", "Adam.epsilon = 1e-3")
    arguments = [f"--gin_file={gin_file}", *(f"--gin_bindings={binding}" for binding in bindings)]
    run, out = tmp_path / "run", tmp_path / "job"
    export_command.main(["--loop", *arguments, f"--run_dir={run}", f"--out={out}"])
    choice = (run / "choice.json").read_text()
    assert runner.main([str(out)]) == 0
    import_command.main([str(out), f"--run_dir={run}", "--trust"])
    assert "python -m zoo.perturb --gin_file=" in capsys.readouterr().out
    assert runs.records(run / "metrics.jsonl")[-1]["step"] == 24
    assert json.loads((run / "manifest.json").read_text())["choice"] == json.loads(choice)
    perturb_command.main([*arguments, f"--run_dir={run}"])
    assert (run / "perturbation" / "saved_model.pb").exists() and (run / "DONE").exists()


def test_the_commands_of_the_readme(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    block = re.search(r"^(python -m zoo.export --loop.*?)^```", README.read_text(), re.M | re.S)[1]
    commands = {
        "-m zoo.export": export_command.main,
        "job/run_loop.py": runner.main,
        "-m zoo.import_loop": import_command.main,
        "-m zoo.train": train_command.main,
    }
    for line in block.splitlines():
        start = next(start for start in commands if line.startswith(f"python {start} "))
        arguments = shlex.split(line.removeprefix(f"python {start} "))
        if start in ("-m zoo.export", "-m zoo.train"):
            arguments.append("--gin_bindings=train.steps = 200")
        commands.pop(start)(arguments)
    assert not commands and (tmp_path / "runs/linear_vae/DONE").exists()
    assert "runs/linear_vae is at step 200 of 200" in capsys.readouterr().out
