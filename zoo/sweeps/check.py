"""Assembles one run of every value of a sweep, in a process of its own: `check`.

So mistakes are found before hours of training, and the command itself stays small.
"""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Mapping, Sequence

from zoo import cli
from zoo.errors import UserError
from zoo.scheduling.host import search_path
from zoo.sweeps.grid import Sweep


def check(sweep: Sweep, environment: Mapping[str, str] | None = None) -> None:
    """Raises a UserError for a value that cannot be, or a binding that no run uses.

    Args:
        sweep: what to check.
        environment: of the workers, see `zoo.machine.precision`.
    """
    answer = subprocess.run(
        [sys.executable, "-m", __name__],
        input=json.dumps(told(sweep)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {}), "PYTHONPATH": search_path()},
    )
    if answer.returncode == 2:
        raise UserError(answer.stderr.strip().splitlines()[-1].removeprefix("error: "))
    if answer.returncode:
        sys.stderr.write(answer.stderr)
        raise RuntimeError(f"the check of the sweep ended with exit code {answer.returncode}")


def told(sweep: Sweep) -> dict:
    """What `assemble_all` takes, as JSON has it."""
    points = [[point.name, point.bindings] for point in sweep.probes()]
    return {"gin_files": sweep.gin_files, "bindings": sweep.bindings, "points": points}


def assemble_all(gin_files: Sequence[str], bindings: Sequence[str], points: Sequence) -> None:
    """Assembles a run of each point; nothing is written.

    Args:
        gin_files: of all of them.
        bindings: of all of them.
        points: pairs of a name and the bindings of the point.

    Raises:
        UserError: a value that cannot be, with the point's name, or a binding that none uses.
    """
    import keras

    import zoo.configurables  # noqa: F401  registers what gin files name
    from zoo import config, machine, runs
    from zoo.training import assembly
    from zoo.training.settings import Settings

    used, swept = set(), set()
    for name, own in points:
        names = {_name(binding) for binding in own}
        swept |= names
        try:
            config.parse(gin_files, [*bindings, *own])
            settings = config.made(Settings)
            precision = machine.precision(settings.precision).name
            settings = dataclasses.replace(settings, precision=precision)
            assembly.assemble(settings, runs.RunFolder(pathlib.Path("nowhere")))
        except UserError as error:
            raise UserError(f"{name}: {str(error).splitlines()[0]}") from error
        used |= names - {_name(binding) for binding in config.unused()}
        keras.backend.clear_session()
    if idle := sorted(swept - used):
        raise UserError(f"--set={idle[0]}: nothing in these runs uses it")


def _name(binding: str) -> str:
    return binding.partition("=")[0].strip()


def main(argv: Sequence[str]) -> None:
    """Checks what standard input describes."""
    del argv
    described = json.load(sys.stdin)
    cli.import_tensorflow()
    assemble_all(**described)


if __name__ == "__main__":
    cli.run(main)
