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
    # A package that is installed below another repository is no part of it.
    if not _git("ls-files", "--error-unmatch", pathlib.Path(__file__).name):
        return None
    return _git("describe", "--always", "--abbrev=40", "--dirty=+")


def _git(*arguments: str) -> str | None:
    """What a command of git prints in this file's folder; None where it fails."""
    here = pathlib.Path(__file__).parent
    try:
        answer = subprocess.run(
            ["git", "-C", here, *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None
