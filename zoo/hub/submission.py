"""What a run, or an exported model, brings to a hub: its model, card, pictures, and other seeds."""

import dataclasses
import os
import pathlib
import shlex
from collections.abc import Mapping
from typing import Any

from absl import logging

from zoo import config, gin_files, runs
from zoo.errors import UserError
from zoo.hub import model_card, package


class PublishError(UserError):
    """A model that cannot be published as it is."""


@dataclasses.dataclass(frozen=True)
class Submission:
    """A model to be published.

    Attributes:
        folder: the exported model.
        card: its card.
        pictures: PNG files by the path they get in the package.
    """

    folder: pathlib.Path
    card: dict[str, Any]
    pictures: Mapping[str, pathlib.Path]


def read(run: str | os.PathLike) -> Submission:
    """The submission of a run's folder, or of an exported model's.

    A run brings its pictures, and the scores of the runs beside it that differ by their seed only:
    `card["seeds"]`, `{"seeds": [...], "scores": {name: [...]}}`, its own among them.

    Raises:
        PackageError: the exported model is incomplete or altered.
        PublishError: there is no such folder, the run has not finished, or exported nothing.
    """
    folder = runs.RunFolder(pathlib.Path(run))
    if not folder.path.is_dir():
        raise PublishError(
            f"there is no folder {run}: name a run's, or an exported model's"
            f"{package.of_others(folder.path)}"
        )
    quoted = shlex.quote(str(run))
    if not folder.config.is_file() or (folder.path / package.CARD).exists():
        return Submission(folder.path, package.verify(folder.path), {})
    if not folder.done:
        raise PublishError(
            f"{run} is not finished: train it to its end by python -m zoo.train "
            f"--gin_file={quoted}/config.gin --run_dir={quoted}, or publish what python -m "
            "zoo.export makes of it"
        )
    exported = package.of_run(folder.path)
    if exported is None:
        raise PublishError(
            f"{run} holds no exported model: python -m zoo.export --run={quoted} makes one, unless "
            "models of its kind are not exported"
        )
    card = package.verify(exported)
    if seeds := _seeds(folder):
        card["seeds"] = seeds
    pictures = {
        f"{model_card.PICTURES}/{path.name}": path for path in sorted(folder.images.glob("*.png"))
    }
    return Submission(exported, card, pictures)


def _seeds(folder: runs.RunFolder) -> dict[str, Any] | None:
    """The scores of the finished runs beside a run that differ by their seed only, and its own."""
    seed, own = _seed_and_rest(folder)
    if seed is None:
        return None
    # First: of several runs of its seed this one counts.
    found = {seed: model_card.numbers(_headline(folder))}
    for config_file in sorted(folder.path.resolve().parent.glob("*/config.gin")):
        other = runs.RunFolder(config_file.parent)
        try:
            seed, rest = _seed_and_rest(other) if other.done else (None, {})
            if seed is not None and rest == own:
                found.setdefault(seed, model_card.numbers(_headline(other)))
        except (UserError, OSError) as error:
            # A run depends on no other.
            logging.warning("the card leaves out a neighbouring run: %s", error)
    if len(found) < 2:
        return None
    seeds = sorted(found)
    names = dict.fromkeys(name for seed in seeds for name in found[seed])
    # A score that one seed lacks has no spread over the seeds that are named.
    common = [name for name in names if all(name in found[seed] for seed in seeds)]
    return {"seeds": seeds, "scores": {n: [found[seed][n] for seed in seeds] for n in common}}


def _headline(folder: runs.RunFolder) -> dict[str, Any]:
    return {name: row.get("score") for name, row in folder.scored().items()}


def _seed_and_rest(folder: runs.RunFolder) -> tuple[int | None, dict[str, str]]:
    bound = config.bindings_of(gin_files.read(folder.config))
    seed = bound.pop("train.seed", "")
    return (int(seed) if seed.isdecimal() else None), bound
