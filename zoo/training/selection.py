"""Keeps the checkpoint that scores best on a validation set, beside the newest ones."""

import json
import pathlib
from collections.abc import Callable

import numpy as np

import evaluation
from data.dataset import Dataset
from evaluation import suite
from zoo import runs
from zoo.errors import UserError
from zoo.models.base import Model
from zoo.training.checkpoints import Checkpoints

# Below the folder of a run's checkpoints.
_FOLDER, _RECORD = "best", "best.json"


def parse(scores: str) -> dict[str, int]:
    """`"j_ari, -reconstruction_rmse"` to `{"j_ari": 1, "reconstruction_rmse": -1}`.

    Raises:
        ValueError: an unknown score.
    """
    names = [name.strip() for name in scores.split(",")]
    signs = {name.removeprefix("-"): -1 if name.startswith("-") else 1 for name in names}
    suite.names_of(list(signs))
    return signs


def _best(folder: runs.RunFolder, model: Model) -> Checkpoints:
    """The best checkpoint of a run, as `Checkpoints` of one."""
    return Checkpoints(folder.checkpoints / _FOLDER, model, keep=1)


class Selection:
    """Scores a model on a validation set now and then, and keeps its best checkpoint.

    Best is the highest mean of the scores, those that are to be low taken negatively. What was
    found is kept beside the checkpoint: a run that goes on compares with what it had.

    Args:
        folder: the run's folder.
        model: bound to its optimiser.
        exported: makes of the model what is scored.
        dataset: the validation set.
        scores: 1 or -1 (it is to be low) by name.
        every: steps between evaluations.
        images: how many images models with slots are scored on (`num_masked` of
            `evaluation.evaluate`).
        seed: of what the scores sample, the same each time.

    Attributes:
        every: steps between evaluations.
    """

    def __init__(
        self,
        folder: runs.RunFolder,
        model: Model,
        exported: Callable[[], Model],
        dataset: Dataset,
        scores: dict[str, int],
        every: int,
        images: int = 100,
        seed: int = 0,
    ):
        self._checkpoints, self._exported = _best(folder, model), exported
        self._dataset, self._scores, self._seed, self.every = dataset, scores, seed, every
        self._images = images
        self._record = folder.checkpoints / _FOLDER / _RECORD

    def consider(self, step: int) -> dict[str, float]:
        """Scores the model as it is after `step` updates, and keeps it if none was better.

        Returns:
            The scores, `validation_<name>`.

        Raises:
            UserError: a score cannot be computed.
        """
        names = list(self._scores)
        table = evaluation.evaluate(
            self._exported(), self._dataset, names, seed=self._seed, num_masked=self._images
        )
        for name, row in table.items():
            if row["score"] is None:
                raise UserError(f"train.select: {name} cannot be computed: {row['reason']}")
        found = {name: row["score"] for name, row in table.items()}
        value = float(np.mean([sign * found[name] for name, sign in self._scores.items()]))
        if value > _value(self._record):
            self._checkpoints.save(step)
            record = {"step": step, "value": value, "scores": found}
            runs.write_text(self._record, json.dumps(record) + "\n")
        return {f"validation_{name}": score for name, score in found.items()}


def _value(record: pathlib.Path) -> float:
    """The mean score of the best checkpoint so far; minus infinity where there is none."""
    return json.loads(record.read_text())["value"] if record.exists() else -np.inf


def restore_best(folder: runs.RunFolder, model: Model, warn: Callable[[str], None]) -> int:
    """Gives a model the weights of the run's best checkpoint; its step, 0 where there is none."""
    return _best(folder, model).restore(warn)
