"""Keeps the checkpoint that is best on a validation set, beside the newest ones."""

import itertools
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from absl import logging

from zoo import evaluation, files, runs
from zoo.data import sampling
from zoo.data.dataset import Dataset
from zoo.errors import SettingError, UserError
from zoo.evaluation import facts, suite
from zoo.evaluation.errors import InputError
from zoo.evaluation.inputs import Inputs
from zoo.models.base import Model
from zoo.training.checkpoints import Checkpoints

# Below the folder of a run's checkpoints.
_FOLDER, _RECORD = "best", "best.json"


# What is no score of `evaluation`, but the model's own; lower is better.
LOSS = "loss"
# What scores are made of by a network that may have to be trained first.
_READ = ("factors_by_domain", "read_factors", "reader_features", "generated_reader_features")
# Images whose loss is computed at once.
_BATCH = 512


def parse(scores: str) -> tuple[str, ...]:
    """`"j_ari, reconstruction_rmse"` to `("j_ari", "reconstruction_rmse")`.

    Raises:
        UserError: an unknown score, one of which neither end is better, or a sign before a name:
            each score knows which end is better.
    """
    names = tuple(name.strip() for name in scores.split(","))
    for name in names:
        if name.startswith("-"):
            raise UserError(
                f"train.select: leave out the minus of {name!r}; that a lower "
                f"{name.removeprefix('-')} is better is known, if it is"
            )
    known = [name for name in names if name != LOSS]
    suite.names_of(known, {})
    for name in known:
        if facts.of(name).higher_is_better is None:
            raise UserError(f"train.select: neither a high nor a low {name} is better")
    return names


def _sign(name: str) -> int:
    return 1 if name != LOSS and facts.of(name).higher_is_better else -1


def mean_loss(model: Model, dataset: Dataset, seed: int = 0) -> Callable[[int], float]:
    """A function of the step that returns a model's mean loss over all images of a data set.

    The loss is that of `Model.validation_losses_on`, with the same noise each time.

    Args:
        model: its loss is of single images.
        dataset: the images.
        seed: of the noise.

    Raises:
        UserError: the model has no loss of single images.
    """

    def losses(batch, number, step):
        found = model.validation_losses_on(batch, tf.stack([seed, number]), step)[LOSS]
        return tf.cast(found, tf.float32)

    def batch(first: int, end: int) -> dict[str, tf.Tensor]:
        ids = dataset.ids[first:end]
        index = tf.constant(ids, tf.int32)
        return {"image": sampling.observations(dataset, ids), "index": index}

    some = batch(0, 2)
    try:
        found = losses(some, tf.constant(0), tf.constant(0))
    except SettingError as error:
        raise UserError(
            f"train.select: {type(model).__name__} has no loss of single images "
            f"({error}); select by scores"
        ) from error
    if found.shape != some["index"].shape:
        raise UserError(
            f"train.select: {type(model).__name__} has losses of {len(found)} of "
            f"{len(some['index'])} images, as with FactorVAE.second_batch; select by scores"
        )
    compiled = tf.function(losses, autograph=False)

    def measure(step: int) -> float:
        # A single image that would be left joins the batch before: some losses take at least two.
        firsts = range(0, max(len(dataset) - 1, 1), _BATCH)
        parts = [
            compiled(batch(first, end), tf.constant(first), tf.constant(step)).numpy()
            for first, end in itertools.pairwise([*firsts, len(dataset)])
        ]
        return float(np.concatenate(parts).mean(dtype=np.float64))

    return measure


def _best(folder: runs.RunFolder, model: Model) -> Checkpoints:
    """The best checkpoint of a run, as `Checkpoints` of one."""
    place = folder.checkpoints / _FOLDER
    otherwise = f"delete {place}, and the newest checkpoint is taken"
    return Checkpoints(place, model, keep=1, otherwise=otherwise)


class Selection:
    """Scores a model on a validation set now and then, and keeps its best checkpoint.

    Best is the highest mean of the scores, those of which a lower one is better taken negatively;
    `LOSS` is the model's own mean loss over the whole set. What was found is kept beside the
    checkpoint: a run that resumes compares with what it had.

    Args:
        folder: the run's folder.
        model: bound to its optimiser.
        exported: makes of the model what is scored.
        dataset: the validation set.
        scores: their names, see `parse`.
        every: steps between evaluations.
        images: how many images models with slots are scored on (`num_masked` of
            `zoo.evaluation.evaluate`).
        seed: of what the scores sample, the same each time.
        options: keyword arguments of single scores.

    Attributes:
        every: steps between evaluations.
    """

    def __init__(
        self,
        folder: runs.RunFolder,
        model: Model,
        exported: Callable[[], Model],
        dataset: Dataset,
        scores: Sequence[str],
        every: int,
        images: int = 100,
        seed: int = 0,
        options: Mapping[str, Mapping] | None = None,
    ):
        self._checkpoints, self._exported = _best(folder, model), exported
        self._dataset, self._scores, self._seed, self.every = dataset, scores, seed, every
        self._options = dict(options or {})
        self._images = images
        self._record = folder.checkpoints / _FOLDER / _RECORD
        self._loss = mean_loss(model, dataset, seed) if LOSS in scores else None
        _require(exported, dataset, [name for name in scores if name != LOSS])

    def consider(self, step: int) -> dict[str, float]:
        """Scores the model as it is after `step` updates, and keeps it if none was better.

        Returns:
            The scores, `validation_<name>`.

        Raises:
            UserError: a score cannot be computed.
        """
        found = {LOSS: self._loss(step)} if self._loss else {}
        names = [name for name in self._scores if name != LOSS]
        if names:
            how = {"options": self._options, "num_masked": self._images, "seed": self._seed}
            table = evaluation.evaluate(self._exported(), self._dataset, names, **how)
            for name, row in table.items():
                if row["score"] is None:
                    raise UserError(f"train.select: {name} cannot be computed: {row['reason']}")
                found[name] = row["score"]
        found = {name: found[name] for name in self._scores}
        value = float(np.mean([_sign(name) * found[name] for name in self._scores]))
        if value > _value(self._record):
            self._checkpoints.save(step)
            record = {"step": step, "value": value, "scores": found}
            runs.write_text(self._record, json.dumps(record) + "\n")
        return {f"validation_{name}": score for name, score in found.items()}


def _require(exported: Callable[[], Model], dataset: Dataset, names: Sequence[str]) -> None:
    """Finds before the training that model or data set lack what a score is made of."""
    if not names:
        return
    inputs = Inputs(exported(), dataset, seed=0, sizes=(2, 2, 1, 1), batch_size=2)
    for name in names:
        try:
            for need in facts.of(name).needs:
                if need not in _READ:
                    getattr(inputs, need)
        except InputError as error:
            raise UserError(f"train.select: {name} cannot be computed: {error}") from None


def _value(record: pathlib.Path) -> float:
    """The mean score of the best checkpoint so far; minus infinity where there is none."""
    value = files.read_json(record, missing={"value": -np.inf}).get("value")
    if not isinstance(value, int | float):
        raise files.FileError(
            f"{record} is damaged: it holds no value; delete its folder, and the run selects again"
        )
    return value


def restore_best(folder: runs.RunFolder, model: Model) -> int:
    """Gives a model the weights of the run's best checkpoint.

    Where there is none, as no validation value was finite or its folder was removed, the model
    stays as it is and a warning tells.

    Returns:
        Its step, 0 where there is none.

    Raises:
        UserError: it cannot be read.
    """
    best = _best(folder, model)
    step = best.restore()
    if not step:
        logging.warning(
            "%s holds no checkpoint, as no validation value was finite or it was removed: nothing "
            "was selected, and the newest checkpoint is taken",
            best.folder,
        )
    return step
