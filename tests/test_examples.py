"""The scripts of examples/cluster: their syntax, Slurm's options, and the commands they call."""

import importlib
import os
import pathlib
import re
import shlex
import subprocess

import pytest

from zoo import config
from zoo.papers import catalog
from zoo.scheduling.command import RUNS_LEFT, duration
from zoo.sweeps import grid
from zoo.training import workers

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


def test_each_slurm_worker_has_its_tf_config_and_the_same_command(tmp_path):
    script = CLUSTER / "slurm_workers.sh"
    slurm = dict(re.findall(r"^#SBATCH --([\w-]+)=?(\S*)$", script.read_text(), re.M))
    assert slurm["nodes"] == "2" and slurm["ntasks-per-node"] == "1" and "requeue" in slurm
    # Stand-ins: Slurm's commands, and a python that says what it was called with.
    for name, body in {
        "scontrol": 'printf "node1\\nnode2\\n"',
        "srun": 'shift; for SLURM_PROCID in 0 1; do export SLURM_PROCID; "$@"; done',
        "python": 'echo "$TF_CONFIG"; printf "%s\\0" "$@" >> "$CALLED"; echo >> "$CALLED"',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    called = tmp_path / "called"
    environment = {
        **{"SLURM_JOB_ID": "20123", "SLURM_JOB_NODELIST": "node[1-2]", "CALLED": str(called)},
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
    }
    answer = subprocess.run(
        ["bash", script], env=environment, capture_output=True, text=True, check=True
    )
    found = [workers.parse(line) for line in answer.stdout.splitlines()]
    assert found == [(("node1:20123", "node2:20123"), index) for index in range(2)]
    one, other = called.read_text().splitlines()
    assert one == other
    _, module, *arguments = one.rstrip("\0").split("\0")
    options = importlib.import_module(module).main.parse(arguments)
    assert options.gin_bindings == ["train.devices = 'workers'"]
    assert config.find(*options.gin_file).exists() and options.run_dir == "runs/beta_vae"
