"""Which restarts are the most and the least disentangled."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Sequence

from data.dataset import Dataset
from zoo import runs
from zoo.errors import UserError


@dataclasses.dataclass(frozen=True)
class Restart:
    """A finished run, and what is known about it.

    Attributes:
        path: its folder.
        mig: its mutual information gap.
        seed: its seed.
        active_latents: how many latents were active at its end, None where it was not logged.
    """

    path: pathlib.Path
    mig: float
    seed: int
    active_latents: float | None


@dataclasses.dataclass(frozen=True)
class Choice:
    """Restarts in descending order of MIG; the first and the last `ensemble` of them are taken."""

    ranked: tuple[Restart, ...]
    ensemble: int

    @property
    def disentangled(self) -> tuple[Restart, ...]:
        """Those of the highest MIG, the highest first."""
        return self.ranked[: self.ensemble]

    @property
    def entangled(self) -> tuple[Restart, ...]:
        """Those of the lowest MIG, the lowest first."""
        return self.ranked[: -self.ensemble - 1 : -1]

    def facts(self, relative_to: pathlib.Path) -> dict:
        """The choice as JSON values; the paths of runs below `relative_to` are relative to it."""

        def name(restart: Restart) -> str:
            inside = restart.path.resolve().is_relative_to(relative_to.resolve())
            return os.path.relpath(restart.path, relative_to) if inside else str(restart.path)

        return {
            "score": "mig",
            "disentangled": [name(r) for r in self.disentangled],
            "entangled": [name(r) for r in self.entangled],
            "runs": [{**dataclasses.asdict(r), "path": name(r)} for r in self.ranked],
        }


def read(path: pathlib.Path, dataset: Dataset) -> Restart:
    """What a finished run says of itself.

    Raises:
        UserError: it is not finished, was trained on other images, or has no MIG.
    """
    folder = runs.RunFolder(path)
    if not folder.done:
        raise UserError(f"{path} is no finished run; train it to its end with python -m zoo.train")
    manifest = json.loads(folder.manifest.read_text())
    trained_on = (manifest["dataset"], manifest["dataset_fingerprint"])
    if trained_on[1] != dataset.fingerprint:
        raise UserError(
            f"{path} was trained on {trained_on[0]} ({trained_on[1]}), not on {dataset.name} "
            f"({dataset.fingerprint}); all runs must be of the data set that is perturbed"
        )
    scores = json.loads(folder.scores.read_text()) if folder.scores.exists() else {}
    mig = scores.get("mig", {}).get("score")
    if mig is None:
        raise UserError(
            f"{path} has no MIG; score it with python -m zoo.evaluate --run={path} --metrics=mig"
        )
    log = runs.records(folder.metrics)
    return Restart(path, mig, manifest["seed"], log[-1].get("active_latents") if log else None)


def choose(restarts: Sequence[Restart], ensemble: int) -> Choice:
    """Ranks restarts by MIG; of equal ones the earlier comes first.

    Raises:
        UserError: all have the same MIG, or as many as are taken of each kind have.
    """
    choice = Choice(tuple(sorted(restarts, key=lambda r: -r.mig)), ensemble)
    best, worst = choice.disentangled[-1], choice.entangled[-1]
    if best.mig <= worst.mig:
        same = "the same MIG" if choice.ranked[0].mig == choice.ranked[-1].mig else "MIGs that meet"
        raise UserError(
            f"the {len(restarts)} runs have {same} ({best.mig:.4g}), so none is more disentangled "
            "than another; give further seeds (perturb.seeds) or longer trainings"
        )
    return choice


def keep(path: pathlib.Path, facts: dict, begun: bool) -> None:
    """Writes a choice; one that a training has begun with must not change.

    Raises:
        UserError: it has changed.
    """
    before = json.loads(path.read_text()) if path.exists() else None
    if before == facts:
        return
    if begun and before:
        raise UserError(
            f"{path}: the runs or their MIG have changed since the perturbation's training began; "
            "choose another --run_dir"
        )
    runs.write_text(path, json.dumps(facts, indent=1) + "\n")
