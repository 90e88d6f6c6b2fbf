"""The environment that has Blender: a virtual environment of its own, made once.

Blender comes as the package `bpy`, which needs a Python and a NumPy of its own and is under the
GPL: it is installed beside this package and run as a separate program, never imported.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

from zoo.data import cache

BPY = "5.0.1"
PYTHON = "3.11"
# The shared libraries that Blender opens and a minimal Debian lacks, with their packages.
LIBRARIES = {
    "libX11.so.6": "libx11-6",
    "libXrender.so.1": "libxrender1",
    "libXfixes.so.3": "libxfixes3",
    "libXi.so.6": "libxi6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libXext.so.6": "libxext6",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
    "libGL.so.1": "libgl1",
}
# What marks an environment that is complete, and one in which Blender starts.
_INSTALLED, _READY = "installed", "ready"


def folder() -> pathlib.Path:
    """Where the environment is, or would be."""
    return cache.directory() / f"bpy-{BPY}"


def python() -> pathlib.Path:
    """The interpreter of the environment.

    Raises:
        OSError: it was not set up.
    """
    if not (folder() / _READY).exists():
        raise OSError(
            f"there is no environment with Blender in {folder()}: "
            "run `python -m zoo.data.render_clevr --setup`"
        )
    return _inside(folder())


def setup(interpreter: str | None = None) -> pathlib.Path:
    """Makes the environment, unless it is there; downloads `bpy` (374 MB).

    Args:
        interpreter: a Python 3.11; one from the PATH if None.

    Returns:
        The interpreter of the environment.

    Raises:
        OSError: Python 3.11, the wheel or a library is missing; the message says which.
    """
    marks = (folder() / _INSTALLED, folder() / _READY)
    if not any(mark.exists() for mark in marks):
        chosen = interpreter or find_interpreter()
        _run([chosen, "-m", "venv", "--clear", str(folder())], f"{chosen} made no environment")
        _run(
            [str(_inside(folder())), "-m", "pip", "install", "--quiet", f"bpy=={BPY}"],
            f"pip could not install the wheel of bpy=={BPY} for Python {PYTHON} (without a network "
            "set PIP_FIND_LINKS to a folder that holds it and what it depends on)",
        )
        # A library may be missing, which is no reason to install all of it again.
        (folder() / _INSTALLED).touch()
    require_libraries(_inside(folder()))
    (folder() / _READY).touch()
    return _inside(folder())


def find_interpreter() -> str:
    """A Python 3.11 that can make environments.

    Raises:
        OSError: there is none.
    """
    candidates = [sys.executable, shutil.which(f"python{PYTHON}"), f"/usr/bin/python{PYTHON}"]
    check = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
    for candidate in filter(None, candidates):
        try:
            result = subprocess.run([candidate, "-c", check], capture_output=True, text=True)
        except OSError:
            continue
        if result.stdout.strip() == PYTHON:
            return candidate
    raise OSError(
        f"bpy=={BPY} needs Python {PYTHON} with venv (Debian: python{PYTHON}-venv), and none is on "
        "the PATH: install it, or name one with --python"
    )


def require_libraries(interpreter: str | os.PathLike) -> None:
    """Checks that Blender starts.

    Raises:
        OSError: it does not, mostly for want of a shared library.
    """
    result = subprocess.run([interpreter, "-c", "import bpy"], capture_output=True, text=True)
    if result.returncode:
        raise OSError(_missing(result.stderr))


def _missing(error: str) -> str:
    """One line for the error of an import of bpy."""
    last = (error.strip().splitlines() or ["it was killed"])[-1]
    found = re.search(r"(\S+): cannot open shared object file", last)
    if not found:
        return f"Blender does not start: {last}"
    name = found[1]
    package = f"the Debian package {LIBRARIES[name]}" if name in LIBRARIES else "it"
    return (
        f"Blender needs the library {name}, which is missing: install {package} "
        f"(of all it needs: {' '.join(LIBRARIES.values())})"
    )


def _inside(environment: pathlib.Path) -> pathlib.Path:
    return environment / "bin" / "python"


def _run(command: list[str], failure: str) -> None:
    try:
        result = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise OSError(f"{failure}: {error}") from error
    if result.returncode:
        lines = [line for line in f"{result.stdout}\n{result.stderr}".splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")] or lines
        reason = (errors or ["no reason was given"])[-1].strip()
        raise OSError(f"{failure}: {reason}")
