"""What is executed, and what must be trusted first."""

import json
import pathlib
import sys

import gin
import pytest
import toy  # noqa: F401  registers the data set

import zoo.configurables  # noqa: F401  registers what gin files name
from zoo import config, data
from zoo import export as export_command
from zoo import train as train_command
from zoo.training import publishing

SHELL = """
from __gin__ import dynamic_registration
import os
train.name = @os.system()
os.system.command = "touch {}"
"""

PERTURB = """
perturb.name = 'p'
perturb.dataset = 'toy'
perturb.optimizer = @Adam
perturb.decoder_optimizer = @Adam
perturb.steps = 10
perturb.epsilon = 0.1
perturb.network = @mlp_decoder
"""


@pytest.fixture(autouse=True)
def _clean():
    yield
    gin.clear_config()


@pytest.fixture
def folder(tmp_path, monkeypatch) -> pathlib.Path:
    """A run's folder in the working directory, beside a module that says when it is executed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    sys.modules.pop("foreign_module", None)
    (tmp_path / "foreign_module.py").write_text("open('executed', 'w').close()\n")
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("text", "module"),
    [
        ("import foreign_module\n", "foreign_module"),
        ("from foreign_module import x\n", "foreign_module.x"),
        (SHELL.format("executed"), "__gin__.dynamic_registration"),
        ("include 'other.gin'\n", "foreign_module"),
    ],
)
def test_a_found_config_executes_nothing_unless_trusted(folder, text, module, fails):
    (folder.parent / "other.gin").write_text("\nimport foreign_module\n")
    (folder / "config.gin").write_text(text)
    line = fails(export_command.main, f"--run={folder}", f"--out={folder / 'out'}")
    assert f"this config imports {module}, which " in line and "--trust" in line
    assert "config.gin:" in line or "other.gin:2: " in line
    with pytest.raises(config.ConfigError, match="--trust"):
        publishing.export_run(str(folder), folder / "out")
    assert not (folder.parent / "executed").exists() and not (folder / "out").exists()


@pytest.mark.parametrize("kind", ["restarts", "runs"])
def test_nor_do_the_configs_that_it_names(folder, kind, fails):
    if kind == "restarts":
        found = folder.parent / "restarts.gin"
        named = "perturb.restarts = 'restarts.gin'\nperturb.seeds = (0, 1)\n"
    else:
        found = folder.parent / "1" / "config.gin"
        named = "perturb.runs = ('0', '1')\n"
        for seed in (0, 1):
            _finished(folder.parent / str(seed), seed)
    found.write_text('import foreign_module\ntrain.dataset = "toy"\n')
    (folder / "config.gin").write_text(PERTURB + named)
    line = fails(export_command.main, "--loop", f"--run={folder}", f"--out={folder / 'out'}")
    assert f"{found.name}:1: this config imports foreign_module, which " in line
    assert not (folder.parent / "executed").exists() and not (folder / "out").exists()


def _finished(run: pathlib.Path, seed: int) -> None:
    """What the choice among finished runs reads."""
    run.mkdir()
    about = {"dataset": "toy", "dataset_fingerprint": data.load("toy").fingerprint, "seed": seed}
    (run / "manifest.json").write_text(json.dumps(about))
    (run / "scores.json").write_text(json.dumps({"mig": {"score": float(seed)}}))
    (run / "metrics.jsonl").write_text('{"step": 10, "active_latents": 2}\n')
    (run / "config.gin").write_text('train.dataset = "toy"\n')
    (run / "DONE").touch()


def test_with_trust_it_is_executed(folder, fails):
    (folder / "config.gin").write_text("import foreign_module\n")
    line = fails(export_command.main, f"--run={folder}", "--trust")
    assert "train.name" in line and (folder.parent / "executed").exists()


def test_what_the_user_names_is_trusted(folder, fails):
    (folder.parent / "mine.gin").write_text("import foreign_module\n")
    fails(train_command.main, "--gin_file=mine.gin", f"--run_dir={folder}")
    assert (folder.parent / "executed").exists()


def test_a_run_of_the_package_alone_needs_no_trust():
    config.parse(["gin/beta_vae.gin"], trust=False)
