"""The precision of a run is decided once, written into its config, and kept wherever it resumes."""

import json
import pathlib

import pytest

from zoo import config, machine
from zoo import train as train_command

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"
SHORT = [f"--gin_file={FIXTURES / 'toy.gin'}", "--gin_bindings=train.steps = 5"]
AUTO = [*SHORT, "--gin_bindings=train.precision = 'auto'"]


@pytest.fixture
def best(monkeypatch):
    """Makes this a machine whose best precision is the given one."""

    def become(name: str):
        monkeypatch.setattr(machine, "_best", lambda: machine.Precision(name, "this one is best"))
        monkeypatch.setattr(machine, "_speedup", lambda: 0.125 if name == "float32" else 2.0)

    return become


def test_auto_is_settled_in_the_config_and_kept_elsewhere(best, fails, tmp_path, capsys):
    run = tmp_path / "run"
    best("mixed_bfloat16")
    train_command.main([*AUTO, f"--run_dir={run}"])
    assert "precision: mixed_bfloat16 (this one is best)" in capsys.readouterr().err
    text = (run / "config.gin").read_text()
    assert config.recorded(text, "train.precision") == "mixed_bfloat16"
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["precision"] == "mixed_bfloat16"
    assert manifest["machine"] == machine.describe()
    card = json.loads((run / "saved_model" / "card.json").read_text())
    assert card["precision"] == "mixed_bfloat16" and card["machine"]["processor"]

    # On another machine the same command keeps it, and says what that costs.
    best("float32")
    train_command.main([*AUTO, f"--run_dir={run}"])
    said = capsys.readouterr().err
    assert "precision: mixed_bfloat16 (the run began in it)" in said
    assert "warning: mixed_bfloat16 is 8.0 times slower" in said and "is finished" in said
    assert (run / "config.gin").read_text() == text

    # Asking for another one is another configuration.
    other = "--gin_bindings=train.precision = 'float32'"
    line = fails(train_command.main, *SHORT, other, f"--run_dir={run}")
    assert "train.precision: 'mixed_bfloat16' -> 'float32'" in line


def test_another_setting_of_onednn_is_warned_of(tmp_path, capsys):
    run = tmp_path / "run"
    train_command.main([*SHORT, f"--run_dir={run}"])
    path = run / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["machine"]["onednn"] = not machine.onednn()
    path.write_text(json.dumps(manifest))
    (run / "DONE").unlink()
    capsys.readouterr()
    train_command.main([*SHORT, f"--run_dir={run}"])
    assert "warning: the run began with" in capsys.readouterr().err
    # What it was begun with is kept, once, and goes with the model.
    (run / "DONE").unlink()
    train_command.main([*SHORT, f"--run_dir={run}"])
    first = {key: manifest[key] for key in ("machine", "versions", "git_commit")}
    resumed = json.loads(path.read_text())
    assert resumed["machine"] == machine.describe() and resumed["earlier_starts"] == [first]
    card = json.loads((run / "saved_model" / "card.json").read_text())
    assert card["earlier_starts"] == [first]
