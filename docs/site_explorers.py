"""Pages in which the hub's models run, made when the site is built.

They are kept in `build/explorers`, and rebuilt when the model or the
explorer changes.
"""

import hashlib
import pathlib
import subprocess
import sys

from zoo.hub import download, package, registry

ROOT = pathlib.Path(__file__).resolve().parents[1]
SOURCES = ROOT / "zoo/explorer"
COLOURS = ROOT / "zoo/drawing/palette.py"
# More than by default: pages of the site are loaded when they are scrolled to.
MEGABYTES = 8


def explorers(folder: pathlib.Path = ROOT / "build/explorers") -> dict[str, pathlib.Path]:
    """The page of each pretrained model that decodes or generates images, by its name.

    Raises:
        subprocess.CalledProcessError: a page could not be made; its message is on standard error.
    """
    found = {}
    for name in registry.names():
        if name.startswith("perturbations/") or not _has_images(name):
            continue
        found[name] = folder / f"{name.replace('/', '_')}-{_digest(name)}.html"
        if not found[name].exists():
            arguments = [name, f"--out={found[name]}", f"--megabytes={MEGABYTES}", "--verbosity=-2"]
            subprocess.run([sys.executable, "-m", "zoo.explore", *arguments], cwd=ROOT, check=True)
    return found


def _has_images(name: str) -> bool:
    """Whether a model observes images; a generator, which observes nothing, draws them."""
    taken = package.verify(download.fetch(name)).get("input")
    return not taken or len(taken["shape"]) == 3


def _digest(name: str) -> str:
    digest = hashlib.sha256(registry.find(name).version.encode())
    for path in (*sorted(SOURCES.glob("*.*")), COLOURS):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
