"""The scripts of examples/cluster: their syntax, Slurm's options, and the commands they call."""

import importlib
import pathlib
import re
import shlex
import subprocess

import pytest

from zoo import config
from zoo.papers import catalog
from zoo.scheduling.command import RUNS_LEFT, duration
from zoo.sweeps import grid

CLUSTER = pathlib.Path(__file__).resolve().parents[1] / "examples" / "cluster"
SCRIPTS = sorted(CLUSTER.glob("*.sh"))


def _command(script: pathlib.Path):
    """The options of the zoo's command in a script, as the command itself parses them."""
    text = script.read_text().replace("\\\n", " ")
    (line,) = re.findall(r"python -m (zoo\..*)", text)
    module, *arguments = shlex.split(line)
    return importlib.import_module(module).main.parse(arguments)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_of_sound_syntax(script):
    assert subprocess.run(["bash", "-n", script], capture_output=True).stderr == b""


def test_the_array_stops_before_its_time_and_is_queued_again():
    script = CLUSTER / "slurm_array.sh"
    text = script.read_text()
    slurm = dict(re.findall(r"^#SBATCH --([\w-]+)=?(\S*)$", text, re.M))
    assert {"array", "cpus-per-task", "gpus-per-task", "time", "requeue"} <= slurm.keys()
    options = _command(script)
    hours, minutes, seconds = map(int, slurm["time"].split(":"))
    assert options.time < hours * 3600 + minutes * 60 + seconds
    assert options.time == duration("23h40m") and options.jobs == 1
    assert options.threads == int(slurm["cpus-per-task"])
    assert catalog.table(options.table) and options.budget == "paper"
    assert f"-eq {RUNS_LEFT} ]; then\n  scontrol requeue" in text


def test_the_sweep_on_ray_is_one():
    options = _command(CLUSTER / "ray.sh")
    assert options.engine == "ray" and options.address.endswith(":6379")
    assert grid.axis(*options.set).values == ("1", "2", "4", "8")
    assert config.find(*options.gin_file).exists()
