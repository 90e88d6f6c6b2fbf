"""The commands as a user runs them, on a toy training."""

import contextlib
import functools
import json
import pathlib
import shlex
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest

import zoo
from zoo import evaluate as evaluate_command
from zoo import evaluation, loading, runs, scoring
from zoo import export as export_command
from zoo import import_loop as import_command
from zoo import train as train_command
from zoo.errors import UserError
from zoo.explorer import making
from zoo.hub import package
from zoo.report import comparison

FIXTURES = pathlib.Path(__file__).parent / "fixtures"


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> pathlib.Path:
    """The folder of a finished toy training."""
    folder = tmp_path_factory.mktemp("runs") / "toy"
    train_command.main([f"--gin_file={FIXTURES / 'toy.gin'}", f"--run_dir={folder}"])
    return folder


def test_a_run_folder_holds_everything(run):
    names = {path.name for path in run.iterdir()}
    assert names >= {
        "config.gin", "manifest.json", "checkpoints", "metrics.jsonl", "scores.json",
        "saved_model", "report", "images", "tensorboard", "DONE",
    }  # fmt: skip
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["seed"] == 0 and manifest["steps"] == 60 and manifest["dataset"] == "toy"
    assert manifest["factors"] == ["size", "x", "y"] and len(manifest["dataset_fingerprint"]) == 16
    assert manifest["versions"]["tensorflow"] and manifest["timings"]["train_s"] > 0
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [*range(5, 61, 5)]
    assert all(len(record["kl_per_latent"]) == 4 for record in records)
    assert records[-1]["loss"] < records[0]["loss"]
    assert "VAE.latent_dim = 4" in (run / "config.gin").read_text()
    assert list((run / "tensorboard").glob("events.*"))


def test_its_model_loads_with_its_card(run):
    model = zoo.load(run)
    assert model.card["dataset"] == "toy" and model.card["config"].startswith("import toy")
    assert set(model.card["scores"]) >= {"mig"}
    codes = model.encode(np.zeros((2, 16, 16, 1), np.uint8))
    assert codes.shape == (2, 4) and model.decode(codes).shape == (2, 16, 16, 1)
    assert model.jacobian(codes).shape == (2, 16, 16, 1, 4)


def test_saved_model_works_without_this_package(run):
    code = f"""
import sys
sys.modules["zoo"] = None
import tensorflow as tf
model = tf.saved_model.load({str(run / "saved_model")!r})
images = model.sample(tf.constant(3), tf.constant([1, 2]))
print(model.jacobian(model.encode(images)).shape)
"""
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=run, check=True
    )
    assert answer.stdout.strip() == "(3, 16, 16, 1, 4)"


def test_evaluate_prints_and_keeps_the_scores(run, capsys, tmp_path):
    out = tmp_path / "scores.json"
    evaluate_command.main([f"--run={run}", "--metrics=mig,dto,sap", f"--out={out}"])
    table = capsys.readouterr().out
    assert "mig" in table and "dto" in table and "sap" in table
    written = json.loads(out.read_text())
    kept = json.loads((run / "scores.json").read_text())
    assert written["dto"]["score"] == kept["dto"]["score"] and "modularity" in kept
    assert {row["step"] for row in kept.values()} == {60}
    assert f"{written['mig']['score']:.4f}" in table
    assert 0 <= written["mig"]["score"] <= 1 and len(written["mig"]["per_factor"]) == 3
    card = package.verify(run / "saved_model")
    assert card["scores"]["dto"] == written["dto"]["score"]
    page = (run / "report" / "index.html").read_text()
    assert "dto" in page.lower() and "Traversals by variance" in page


def test_a_score_that_fails_now_leaves_the_card(run, tmp_path, caplog):
    copy = shutil.copytree(run, tmp_path / "copy")
    before = zoo.load(copy).card["scores"]
    nothing = {"score": None, "reason": "too few images", "seconds": 0.0, "encoding_seconds": 0.0}
    scoring.keep(copy, {"mig": {**nothing, "parts": {}}})
    assert "mig" in before and len(before) > 1
    card = package.verify(copy / "saved_model")
    assert card["scores"] == {name: score for name, score in before.items() if name != "mig"}
    assert "mig has no value now and leaves the card: too few images" in caplog.text


def test_a_score_that_fails_by_a_defect_leaves_what_was_there(run, tmp_path, caplog):
    copy = shutil.copytree(run, tmp_path / "copy")
    before, card = (copy / "scores.json").read_text(), zoo.load(copy).card["scores"]
    nothing = {"score": None, "reason": "MemoryError", "seconds": 0.0, "encoding_seconds": 0.0}
    broken = {**nothing, "parts": {"traceback": "..."}}
    scoring.keep(copy, {"mig": broken, "dci_es": broken})
    after = json.loads((copy / "scores.json").read_text())
    assert {name: row for name, row in after.items() if name != "dci_es"} == json.loads(before)
    assert after["dci_es"]["reason"] == "MemoryError"
    assert package.verify(copy / "saved_model")["scores"] == card
    assert f"mig failed: what {copy} has of it stays" in caplog.text


def test_evaluate_prints_the_table_of_a_defective_score_and_fails(
    run, tmp_path, monkeypatch, capsys
):
    @functools.wraps(evaluation.sap)
    def broken(*halves):
        raise KeyError("not there")

    monkeypatch.setattr(evaluation, "sap", broken)
    out = tmp_path / "scores.json"
    with pytest.raises(SystemExit) as stopped:
        evaluate_command.main([f"--run={run}", "--metrics=mig,sap,irs", f"--out={out}"])
    assert "error: sap failed" in str(stopped.value.code)
    shown = capsys.readouterr()
    assert "KeyError" in shown.out and 'raise KeyError("not there")' in shown.err
    written = json.loads(out.read_text())
    assert written["sap"]["score"] is None and written["irs"]["score"] is not None
    # What a user can mend is a reason, and no failure.
    evaluate_command.main([f"--run={run}", "--metrics=mig,j_ari"])


def test_report_shows_the_runs_of_a_folder_against_each_other(run, tmp_path):
    for name in ("one", "two"):
        shutil.copytree(run, tmp_path / name)
        assert "DtO against DS" not in (tmp_path / name / "report" / "index.html").read_text()
        evaluate_command.main([f"--run={tmp_path / name}", "--metrics=dto,disentanglement_score"])
    assert "DtO against DS" not in (tmp_path / "one" / "report" / "index.html").read_text()
    assert "DtO against DS" in (tmp_path / "two" / "report" / "index.html").read_text()


def test_evaluate_an_exported_folder_on_a_named_data_set(run, capsys, tmp_path):
    page = tmp_path / "scores.html"
    evaluate_command.main(
        [f"--model={run}/saved_model", "--dataset=toy/squares", "--metrics=mig", f"--html={page}"]
    )
    assert "mig" in capsys.readouterr().out
    assert "toy/squares" in page.read_text() and "mutual information in nats" in page.read_text()


def test_export_of_the_newest_checkpoint(run, tmp_path, capsys):
    export_command.main([f"--run={run}", f"--out={tmp_path / 'exported'}", "--trust"])
    assert str(tmp_path / "exported") in capsys.readouterr().out
    first, second = zoo.load(run), zoo.load(tmp_path / "exported")
    images = np.random.default_rng(0).integers(0, 2, (4, 16, 16, 1), np.uint8)
    np.testing.assert_allclose(first.encode(images), second.encode(images), atol=1e-6)
    assert second.card["steps"] == 60


@pytest.mark.parametrize("half", [(), ("--half",)])
def test_an_export_replaces_no_folder_of_something_else(run, tmp_path, fails, half):
    (tmp_path / "results.csv").write_text("mine")
    line = fails(export_command.main, *half, f"--run={run}", f"--out={tmp_path}", "--trust")
    assert f"{tmp_path} is there and is no exported model" in line
    assert [path.name for path in tmp_path.iterdir()] == ["results.csv"]


def test_half_precision_takes_half_the_space_and_tells_the_scores_of_what_is_written(
    run, tmp_path, capsys, monkeypatch, fails
):
    folder = tmp_path / "toy"
    shutil.copytree(run, folder)
    with (folder / "saved_model" / "config.gin").open("a") as config:
        # A score that had no value is not on the card.
        config.write("train.scores = 'mig,lms_tree'\n")
        config.write("train.score_options = {'lms_tree': {'blocks': 2}}\n")
    package.seal(folder / "saved_model", package.read_card(folder / "saved_model"))
    size = sum(path.stat().st_size for path in (folder / "saved_model" / "variables").iterdir())
    before = package.verify(folder / "saved_model")
    monkeypatch.setattr(loading, "TOLERANCE", -1.0)
    line = fails(export_command.main, "--half", "--trust", f"--run={folder}")
    assert "with weights in half precision and" in line and "nothing was written" in line
    assert package.verify(folder / "saved_model") == before
    monkeypatch.undo()
    export_command.main(["--half", "--trust", f"--run={folder}"])
    card = package.verify(folder / "saved_model")
    assert json.dumps(card["scores"]) in capsys.readouterr().out
    assert card["weights"] == "float16" and card["scores"].keys() == before["scores"].keys()
    assert sum(p.stat().st_size for p in (folder / "saved_model" / "variables").iterdir()) < (
        0.6 * size
    )
    images = np.random.default_rng(0).integers(0, 2, (8, 16, 16, 1), np.uint8)
    exact, rounded = (zoo.load(path).encode(images) for path in (run, folder))
    assert 0 < np.abs(exact - rounded).max() < 1e-2
    assert "neither --format nor --half" in fails(
        export_command.main, "--half", "--loop", "--run=x", "--out=y"
    )


@pytest.mark.parametrize("name", ["train", "evaluate", "export", "import_loop"])
def test_help_needs_no_tensorflow(name):
    code = (
        f"import sys\nfrom zoo import {name}\n"
        f"try:\n    {name}.main(['--help'])\n"
        "except SystemExit as stop:\n    assert stop.code == 0\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert f"python -m zoo.{name}" in answer.stdout


def test_a_binding_without_effect_is_told(toy_gin, tmp_path, capsys):
    bindings = ("train.steps = 5", "objectives.BetaVAE.beta = 2.0", "AE.latent_dim = 3")
    arguments = [f"--gin_bindings={binding}" for binding in bindings]
    train_command.main([f"--gin_file={toy_gin}", f"--run_dir={tmp_path / 'run'}", *arguments])
    warned = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert warned == ["warning: 'AE.latent_dim = 3' has no effect: nothing in this run uses it"]


def test_a_parameter_added_since_is_no_other_configuration(run, tmp_path, capsys, fails):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    text = (folder / "config.gin").read_text()
    line = next(line for line in text.splitlines() if line.startswith("train.devices"))
    (folder / "config.gin").write_text(text.replace(line + "\n", ""))
    arguments = [f"--gin_file={FIXTURES / 'toy.gin'}", f"--run_dir={folder}"]
    train_command.main(arguments)
    assert "is finished" in capsys.readouterr().err
    other = fails(train_command.main, *arguments, "--gin_bindings=train.devices = 'one'")
    assert "train.devices: default -> 'one'" in other


def test_printed_commands_hold_for_folders_with_spaces(monkeypatch, capsys):
    about = {"name": "toy", "start": 0, "steps": 10}
    found = types.SimpleNamespace(facts={"step": 5}, job=about)
    settings = contextlib.nullcontext((types.SimpleNamespace(prefix="train"), {}))
    monkeypatch.setattr("zoo.portable.settings.settings_of", lambda *_: settings)
    monkeypatch.setattr("zoo.portable.job.export_loop", lambda *_: about)
    monkeypatch.setattr("zoo.portable.returned.read", lambda *_: found)
    monkeypatch.setattr("zoo.portable.returned.bring_back", lambda *_: None)
    export_command.main(["--loop", "--run=a run", "--gin_file=toy.gin", "--out=b job"])
    import_command.main(["b job", "--run_dir=a run"])
    commands = [shlex.split(line) for line in capsys.readouterr().out.splitlines()]
    # Beside the folder, as it is copied.
    assert commands[1] == ["there:", "python", "b job/run_loop.py", "b job"]
    assert commands[2][-2:] == ["b job", "--run_dir=a run"]
    assert commands[4][-2:] == ["--gin_file=a run/config.gin", "--run_dir=a run"]


def test_printed_options_hold_for_folders_with_spaces(tmp_path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "config.gin").touch()
    with runs.opened(folder):
        for call, option in (
            (lambda: making.make([], folder, 1.0), f"--out={folder}/page.html"),
            (lambda: comparison.write([], folder), f"--out={folder}/runs.html"),
            (lambda: evaluate_command._require_unused(folder), f"--model={folder}/saved_model"),
        ):
            with pytest.raises(UserError) as error:
                call()
            assert option in shlex.split(str(error.value))
