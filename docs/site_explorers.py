"""Pages in which the hub's models run, made when the site is built.

They are kept in `build/explorers`, and made anew for another version of the model or another
explorer.
"""

import hashlib
import pathlib
import subprocess
import sys

from zoo.hub import registry

ROOT = pathlib.Path(__file__).resolve().parents[1]
SOURCES = ROOT / "zoo/explorer"
# More than by default: pages of the site are loaded when they are scrolled to.
MEGABYTES = 8


def explorers(folder: pathlib.Path = ROOT / "build/explorers") -> dict[str, pathlib.Path]:
    """The page of each pretrained model that can be explored, by its name.

    Raises:
        subprocess.CalledProcessError: a page could not be made, and the user cannot mend that.
    """
    found = {}
    for name in registry.names():
        path = folder / f"{name.replace('/', '_')}-{_digest(name)}.html"
        if path.exists() or _make(name, path):
            found[name] = path
    return found


def _make(name: str, path: pathlib.Path) -> bool:
    """Whether the model has an explorer; says why it has none."""
    arguments = [name, f"--out={path}", f"--megabytes={MEGABYTES}", "--verbosity=-2"]
    done = subprocess.run(
        [sys.executable, "-m", "zoo.explore", *arguments], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode == 2:
        print(f"no explorer: {done.stderr.strip().removeprefix('error: ')}")
        return False
    if done.returncode:
        sys.stderr.write(done.stderr)
        done.check_returncode()
    return True


def _digest(name: str) -> str:
    digest = hashlib.sha256(registry.find(name).version.encode())
    for path in sorted(SOURCES.glob("*.*")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
