"""`zoo COMMAND` is `python -m zoo.COMMAND`."""

import pathlib
import re
import subprocess
import sys

import pytest

import zoo
from zoo import __main__ as console

ROOT = pathlib.Path(__file__).resolve().parents[1]


def test_without_a_command_all_are_listed(capsys):
    console.main([])
    listed = re.findall(r"^  (\w+) ", capsys.readouterr().out, re.M)
    assert listed == [*console.COMMANDS]


def test_the_version(capsys):
    console.main(["--version"])
    assert capsys.readouterr().out.strip() == zoo.__version__


def test_an_unknown_command_is_one_line(capsys):
    with pytest.raises(SystemExit) as ended:
        console.main(["tarin", "--gin_file=x"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "zoo: error: no command is named 'tarin'; the nearest is train\n"
    )


def test_a_command_gets_its_arguments_and_gives_its_exit_code():
    answer = subprocess.run(
        [sys.executable, "-m", "zoo", "preview", "zoo_dsprite"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert answer.returncode == 2
    assert "no data set is named 'zoo_dsprite'" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


def test_every_command_of_the_package_is_there():
    texts = {path: path.read_text() for path in (ROOT / "zoo").glob("*.py")}
    found = {path.stem for path, text in texts.items() if "@cli.command(" in text} - {"cli"}
    assert found <= set(console.COMMANDS)
    assert len(found) >= 7
