"""What is executed, and what must be trusted first."""

import pathlib

import pytest

import zoo.configurables  # noqa: F401  registers what gin files name
from zoo import config
from zoo import export as export_command
from zoo import train as train_command
from zoo.training import publishing

SHELL = """
from __gin__ import dynamic_registration
import os
train.name = @os.system()
os.system.command = "touch {}"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> pathlib.Path:
    """A run's folder in the working directory, beside a module that says when it is executed."""
    monkeypatch.chdir(tmp_path)
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
