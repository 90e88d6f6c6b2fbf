"""Which restarts are the most and the least disentangled."""

import dataclasses
import os
import pathlib
import shlex
from collections.abc import Sequence

from zoo import config, files, gin_files, runs
from zoo.data.dataset import Dataset
from zoo.errors import UserError

_SEED = "train.seed"


@dataclasses.dataclass(frozen=True)
class Restart:
    """A finished run, and what is known about it.

    Attributes:
        path: its folder.
        mig: its mutual information gap.
        seed: its seed.
        active_latents: how many latents were active at its end.
    """

    path: pathlib.Path
    mig: float
    seed: int
    active_latents: float

    def __str__(self) -> str:
        return f"{self.path} (MIG {self.mig:.3f}, {self.active_latents:g} active latents)"


@dataclasses.dataclass(frozen=True)
class Group:
    """The restarts with one number of active latents.

    Attributes:
        active_latents: that number.
        ranked: they, in descending order of MIG; of equal ones the earlier comes first.
        ensemble: how many of them would be taken as disentangled, and how many as entangled.
    """

    active_latents: float
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

    @property
    def large(self) -> bool:
        """Whether it has as many restarts as are taken."""
        return len(self.ranked) >= 2 * self.ensemble

    @property
    def apart(self) -> bool:
        """Whether every disentangled one has a higher MIG than every entangled one."""
        return self.disentangled[-1].mig > self.entangled[-1].mig

    def __str__(self) -> str:
        best, worst = self.ranked[0].mig, self.ranked[-1].mig
        return f"{len(self.ranked)} of {self.active_latents:g} (MIG {worst:.3f} to {best:.3f})"


@dataclasses.dataclass(frozen=True)
class Choice:
    """What is taken of all restarts.

    Attributes:
        groups: all restarts by their number of active latents, the highest number first.
        disentangled: those taken for their high MIG, the highest first.
        entangled: those taken for their low MIG, the lowest first.
        min_active: groups of fewer active latents were passed over.
    """

    groups: tuple[Group, ...]
    disentangled: tuple[Restart, ...]
    entangled: tuple[Restart, ...]
    min_active: int = 0

    @property
    def gap(self) -> float:
        """The mean MIG of the disentangled minus that of the entangled."""
        return _gap(self.disentangled, self.entangled)

    def facts(self, relative_to: pathlib.Path) -> dict:
        """The choice as JSON values; the paths of runs below `relative_to` are relative to it."""
        return {
            "score": "mig",
            "disentangled": [_name(r, relative_to) for r in self.disentangled],
            "entangled": [_name(r, relative_to) for r in self.entangled],
            "gap": self.gap,
            "active_latents": self.disentangled[0].active_latents,
            "min_active": self.min_active,
            "groups": [
                {
                    "active_latents": group.active_latents,
                    "runs": len(group.ranked),
                    "gap": _gap(group.disentangled, group.entangled) if group.large else None,
                    "taken": self.disentangled[0] in group.ranked,
                }
                for group in self.groups
            ],
            "runs": _listed([r for group in self.groups for r in group.ranked], relative_to),
        }

    def __str__(self) -> str:
        """All groups and what is taken, a line each."""
        return "\n".join([
            f"restarts by active latents: {', '.join(map(str, self.groups))}",
            *(f"disentangled: {restart}" for restart in self.disentangled),
            *(f"entangled: {restart}" for restart in self.entangled),
            f"MIG gap: {self.gap:.3f}",
        ])  # fmt: skip


def read(path: pathlib.Path, dataset: Dataset) -> Restart:
    """What a finished run says of itself.

    Raises:
        UserError: it is not finished, was trained on other images, or has no MIG or no number of
            active latents.
    """
    folder = runs.RunFolder(path)
    if not folder.done:
        raise UserError(f"{path} is no finished run; train it to its end with python -m zoo.train")
    manifest = folder.facts()
    for key in ("dataset", "dataset_fingerprint", "seed"):
        if key not in manifest:
            raise UserError(
                f"{folder.manifest} is missing or damaged: it names no {key}; restore it from a "
                "copy, or leave the run out"
            )
    trained_on = (manifest["dataset"], manifest["dataset_fingerprint"])
    if trained_on[1] != dataset.fingerprint:
        raise UserError(
            f"{path} was trained on {trained_on[0]} ({trained_on[1]}), not on {dataset.name} "
            f"({dataset.fingerprint}); all runs must be of the data set that is perturbed"
        )
    scores = folder.scored()
    mig = scores.get("mig", {}).get("score")
    if mig is None:
        raise UserError(
            f"{path} has no MIG; score it with python -m zoo.evaluate "
            f"--run={shlex.quote(str(path))} --metrics=mig"
        )
    log = runs.records(folder.metrics)
    active = log[-1].get("active_latents") if log else None
    if active is None:
        raise UserError(
            f"{path} has no active_latents in the last record of {folder.metrics.name}, so nothing "
            "says which runs it can be paired with; give runs of a VAE with their logs"
        )
    return Restart(path, mig, manifest["seed"], active)


def require_one_setting(paths: Sequence[pathlib.Path]) -> None:
    """Compares the configurations of runs, which must differ in their seeds alone.

    Raises:
        UserError: one differs from the first in another binding.
    """
    first, *others = (runs.RunFolder(path) for path in paths)
    wanted = gin_files.read(first.config)
    for other in others:
        changed = [
            line
            for line in config.differences(wanted, gin_files.read(other.config))
            if not line.startswith(f"{_SEED}:")
        ]
        if changed:
            raise UserError(
                f"{other.path} is of another setting than {first.path} ({'; '.join(changed)}); the "
                f"runs of a choice must be restarts, which differ in {_SEED} alone"
            )


def choose(restarts: Sequence[Restart], ensemble: int, min_active: int = 0) -> Choice:
    """The most and the least disentangled by MIG among restarts with equally many active latents.

    Where the number of active latents differed, m could tell the one kind from the other by how
    much they encode instead of how, and a pruned run can have the highest MIG. Of several groups of
    equal numbers the one with the largest gap is taken: the mean MIG of its `ensemble` best minus
    that of its `ensemble` worst, for one of each the difference between best and worst. Of equal
    gaps the one with more active latents is.

    Args:
        restarts: of one setting.
        ensemble: how many of each kind are taken.
        min_active: the least number of active latents; runs with fewer are passed over.

    Raises:
        UserError: no group is large enough, or best and worst have the same MIG in all that are.
    """
    groups = _groups(restarts, ensemble)
    listed = f"the runs by active latents are {', '.join(map(str, groups))}"
    large = [g for g in groups if g.large and g.active_latents >= min_active]
    if not large:
        least = f" of at least {min_active} (perturb.min_active)" if min_active else ""
        raise UserError(
            f"no {2 * ensemble} runs have equally many active latents{least}: {listed}; give "
            "further seeds (perturb.seeds)"
        )
    apart = [group for group in large if group.apart]
    if not apart:
        raise UserError(
            f"{listed}: among none of equally many is one more disentangled than another; give "
            "further seeds (perturb.seeds) or longer training runs"
        )
    taken = max(apart, key=lambda group: _gap(group.disentangled, group.entangled))
    return Choice(groups, taken.disentangled, taken.entangled, min_active)


def kept(path: pathlib.Path, restarts: Sequence[Restart], ensemble: int) -> Choice:
    """The choice that a training run began with, which stays even if others would now be chosen.

    Args:
        path: the file that `Choice.facts` are in, relative to its folder.
        restarts: as they are now.
        ensemble: how many of each kind are taken.

    Raises:
        UserError: the runs or their scores have changed, or the file is damaged.
    """
    facts = files.read_json(path)
    groups = _groups(restarts, ensemble)
    for key in ("runs", "disentangled", "entangled"):
        if not isinstance(facts.get(key), list):
            raise files.FileError(
                f"{path} is damaged: it has no list of {key}; restore it from a copy, or choose "
                "another --run_dir"
            )
    if _by_name(facts["runs"]) != _by_name(_listed(restarts, path.parent)):
        raise UserError(
            f"{path}: the runs or their MIG have changed since the perturbation's training began; "
            "choose another --run_dir"
        )
    named = {_name(restart, path.parent): restart for restart in restarts}
    taken = (tuple(named[name] for name in facts[kind]) for kind in ("disentangled", "entangled"))
    return Choice(groups, *taken, facts.get("min_active", 0))


def _groups(restarts: Sequence[Restart], ensemble: int) -> tuple[Group, ...]:
    ranked = sorted(restarts, key=lambda restart: -restart.mig)
    numbers = sorted({restart.active_latents for restart in restarts}, reverse=True)
    return tuple(
        Group(number, tuple(r for r in ranked if r.active_latents == number), ensemble)
        for number in numbers
    )


def _gap(disentangled: Sequence[Restart], entangled: Sequence[Restart]) -> float:
    high, low = (sum(r.mig for r in part) / len(part) for part in (disentangled, entangled))
    return high - low


def _name(restart: Restart, relative_to: pathlib.Path) -> str:
    inside = restart.path.resolve().is_relative_to(relative_to.resolve())
    return os.path.relpath(restart.path, relative_to) if inside else str(restart.path)


def _listed(restarts: Sequence[Restart], relative_to: pathlib.Path) -> list[dict]:
    ranked = sorted(restarts, key=lambda restart: -restart.mig)
    return [{**dataclasses.asdict(r), "path": _name(r, relative_to)} for r in ranked]


def _by_name(listed: Sequence[dict]) -> dict[str, dict]:
    return {each["path"]: each for each in listed}
