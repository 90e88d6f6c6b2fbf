"""A run's manifest names the commit of this package, and no other repository's."""

import importlib.util
import pathlib
import shutil
import subprocess

from zoo import versions


def test_a_package_below_another_repository_has_no_commit_of_it(tmp_path):
    def git(*arguments: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
        return subprocess.check_output(command, cwd=tmp_path, text=True).strip()

    path = pathlib.Path(shutil.copy(versions.__file__, tmp_path))
    spec = importlib.util.spec_from_file_location("copied_versions", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / ".gitignore").write_text("versions.py\n__pycache__\n")
    git("init", "-q")
    git("add", ".gitignore")
    git("commit", "-qm", "mine")
    assert module._commit() is None
    git("add", "-f", "versions.py")
    git("commit", "-qm", "with it")
    assert module._commit() == git("rev-parse", "HEAD")
