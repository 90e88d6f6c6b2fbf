"""What a run was made with."""

import importlib.metadata
import pathlib
import platform
import subprocess

_PACKAGES = ("tensorflow", "keras", "tensorflow-probability", "numpy", "gin-config")


def describe() -> dict:
    """`versions` of Python and deciding packages, and the checkout's `git_commit`."""
    import zoo

    versions = {"disentanglement-zoo": zoo.__version__, "python": platform.python_version()}
    versions |= {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"versions": versions, "git_commit": _commit()}


def _commit() -> str | None:
    """The commit of the checkout this package is imported from; `+` after it: changed files."""
    here = pathlib.Path(__file__).parent
    try:
        answer = subprocess.run(
            ["git", "-C", here, "describe", "--always", "--abbrev=40", "--dirty=+"],
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None
