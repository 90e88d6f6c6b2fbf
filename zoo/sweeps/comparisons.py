"""Comparisons of finished runs that differ by their seeds alone: what is due, what was found."""

import hashlib
import pathlib
from collections.abc import Sequence

from zoo import gin_files
from zoo.files import FileError, read_json
from zoo.scheduling.jobs import Job, Step

UDR = "udr"


def job(
    name: str,
    folders: Sequence[pathlib.Path],
    files: Sequence[str],
    bindings: Sequence[str] = (),
) -> Job | None:
    """The comparison of some runs of one folder; None where fewer than two of them have a model.

    Args:
        name: of the job.
        folders: of the runs.
        files: the gin files that they were trained by.
        bindings: that they were trained with, of which only the macros matter.
    """
    models = _models(folders)
    if len(models) < 2:
        return None
    product = _product(models)
    arguments = (
        *(f"--gin_file={gin_files.absolute(file)}" for file in files),
        *(f"--gin_bindings={binding}" for binding in bindings),
        *(f"--run={model.absolute()}" for model in models),
        f"--out={product.absolute()}",
    )
    step = Step(product.name, "zoo.sweeps.agreement", arguments)
    return Job(name, product.parent, (step,))


def udr(folders: Sequence[pathlib.Path]) -> dict[str, float]:
    """The UDR of each of some runs among them, by the names of their folders.

    It is empty before they have been compared, and lacks those without a model.
    """
    models = _models(folders)
    return read(_product(models)).get(UDR) or {} if models else {}


def why_not(folders: Sequence[pathlib.Path]) -> str:
    """Why some runs that were compared have no UDR; empty where they have one, or were not."""
    models = _models(folders)
    found = read(_product(models)) if models else {}
    return "" if found.get(UDR) else str(found.get("reason") or "")


def read(path: pathlib.Path) -> dict:
    """A file of JSON; a damaged one counts as missing."""
    try:
        return read_json(path)
    except FileError:
        return {}


def _models(folders: Sequence[pathlib.Path]) -> list[pathlib.Path]:
    return [f for f in folders if (f / "DONE").exists() and (f / "saved_model").is_dir()]


def _product(models: Sequence[pathlib.Path]) -> pathlib.Path:
    """The file of the comparison of just these: another where a run was added or made anew.

    It has a folder of its own, as the tries and the claim of one comparison are not another's.
    """
    digest = hashlib.sha256()
    for model in models:
        manifest = model / "manifest.json"
        digest.update(f"{model.name}\n".encode())
        digest.update(manifest.read_bytes() if manifest.exists() else b"")
    return models[0].parent / UDR / digest.hexdigest()[:12] / f"{UDR}.json"
