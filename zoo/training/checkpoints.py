"""Checkpoints of a run: model, every optimiser and the step, found by listing, written at once."""

import json
import pathlib
import re
from collections.abc import Mapping

import tensorflow as tf
from absl import logging

from zoo import files
from zoo.errors import SettingError, UserError
from zoo.models.base import Model

_FILE = re.compile(r"ckpt-(\d+)\.(index|data-\d{5}-of-\d{5})")
# Where one is written before it gets its place: `.ckpt-20`, and as TensorFlow's own manager did it.
_UNFINISHED = re.compile(r"\.ckpt-(\d+)|ckpt-(\d+)_temp.*|checkpoint\.tmp.*")
# IndexError is how TensorFlow's reader says that a file is too short.
_UNREADABLE = (tf.errors.OpError, AssertionError, ValueError, TypeError, IndexError)


class Checkpoints:
    """Saves and restores a model, its optimisers and the number of steps done.

    To the model belong the states of Keras' random generators, such as those of dropout, which
    TensorFlow's checkpoints do not find.

    A folder holds the checkpoints whose files it holds: no list of them is kept that could be lost
    or wrong. (The file `checkpoint` is for TensorFlow's tools; nothing here reads it.)

    Args:
        folder: where they are.
        model: bound to its optimiser.
        keep: how many to keep, those of the highest steps and the last that was saved.
        otherwise: what else can be done where none of them can be read.

    Attributes:
        folder: where they are.
        pending: what `save` was given with the checkpoint that `restore` has restored.

    Raises:
        SettingError: the model has a variable that TensorFlow's checkpoints do not find.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        model: Model,
        keep: int = 3,
        otherwise: str = "train from step 0 again with --start_over",
    ):
        self.folder, self._keep, self.pending = folder, keep, {}
        self._otherwise = otherwise
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
        with tf.device("CPU"):
            self._pending = tf.Variable("{}", dtype=tf.string, trainable=False)
        parts = {"model": model, "optimizers": list(model.optimizers), "step": self._step}
        self._parts = parts | {"pending": self._pending}
        if random := _random_states(model):
            self._parts["random"] = random
        self._checkpoint = tf.train.Checkpoint(**self._parts)
        _require_whole(self._checkpoint, model)

    def save(self, step: int, pending: Mapping | None = None) -> str:
        """Writes a checkpoint; returns its path.

        Args:
            step: the number of updates done.
            pending: what the loop holds beside its variables, of JSON's types.

        Raises:
            UserError: it cannot be written; those before it are as they were.
        """
        self._step.assign(step)
        self._pending.assign(json.dumps(pending or {}))
        stage, path = self.folder / f".ckpt-{step}", self.folder / f"ckpt-{step}"
        files.remove(stage)
        try:
            stage.mkdir(parents=True)
            self._checkpoint.write(str(stage / path.name))
            files.sync_tree(stage)
            # The index stands for the whole: it goes first and comes last.
            path.with_suffix(".index").unlink(missing_ok=True)
            for file in sorted(stage.iterdir()):
                file.replace(self.folder / file.name)
            files.sync(self.folder)
            others = [other for other in _steps(self.folder) if other != step]
            for old in others[: max(0, len(others) + 1 - self._keep)]:
                _remove(self.folder, old)
            with files.atomic(self.folder / "checkpoint") as temporary:
                temporary.write_text(f'model_checkpoint_path: "{path.name}"\n')
        except (tf.errors.OpError, OSError) as error:
            raise UserError(
                f"the checkpoint of step {step} could not be written to {self.folder} "
                f"({files.reason(error)}); free some disk space and run the same command again"
            ) from None
        finally:
            files.remove(stage)
        return str(path)

    @property
    def latest(self) -> str | None:
        """The path of the newest checkpoint."""
        return next((str(self.folder / f"ckpt-{s}") for s in _steps(self.folder)[::-1]), None)

    def restore(self, start_over: bool = False) -> int:
        """Restores the newest readable checkpoint; returns its step, 0 where there is none.

        A checkpoint that cannot be read is passed over with a warning.

        Args:
            start_over: where there are checkpoints and none can be read, removes them; the model
                stays as it is.

        Raises:
            UserError: there are checkpoints, and none can be read.
        """
        steps = _steps(self.folder)[::-1]
        values = [*self._variables()] if steps and start_over else []
        for step in steps:
            path = str(self.folder / f"ckpt-{step}")
            try:
                self._pending.assign("{}")
                with files.literal(self.folder) as folder:
                    self._read(f"{folder}/ckpt-{step}")
                self.pending = json.loads(self._pending.numpy())
            except _UNREADABLE as error:
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                logging.warning(
                    "checkpoint %s is corrupt (%s); trying the one before", path, reason[:120]
                )
                continue
            return int(self._step)
        if not steps:
            return 0
        if not start_over:
            raise UserError(
                f"none of the checkpoints in {self.folder} can be read; restore them from a copy, "
                f"or {self._otherwise}"
            )
        logging.warning("none of the checkpoints in %s can be read; starting over", self.folder)
        for variable, value in values:
            variable.assign(value)
        files.remove(self.folder)
        return 0

    def _read(self, path: str) -> None:
        """Reads all but what earlier versions of this package did not write."""
        written = {name.split("/")[0] for name, _ in tf.train.list_variables(path)}
        lacking = {"pending", "random"} - written
        parts = {n: p for n, p in self._parts.items() if n not in lacking}
        tf.train.Checkpoint(**parts).read(path).assert_existing_objects_matched()

    def _variables(self):
        """All variables with their values."""
        for owner in (self._checkpoint.model, *self._checkpoint.optimizers):
            for variable in owner.variables:
                yield variable, variable.numpy()


def remove_unfinished(folder: pathlib.Path) -> None:
    """Removes what processes left that were killed while they saved below `folder`.

    The lock of the run must be held.
    """
    for path in [folder, *folder.rglob("*")]:
        files.remove_leftovers(path)
        if found := _UNFINISHED.fullmatch(path.name):
            if step := found[1] or found[2]:
                if not (path.parent / f"ckpt-{step}.index").exists():
                    _remove(path.parent, int(step))
            files.remove(path)


def _require_whole(checkpoint: tf.train.Checkpoint, model: Model) -> None:
    # What an optimiser trains is found by the optimiser, too.
    held = {id(part) for part in tf.train.TrackableView(checkpoint).descendants()}
    lost = [v.path for v in model.weights if not held & {id(v), id(v.value)}]
    if lost:
        more = f" and {len(lost) - 1} more" if lost[1:] else ""
        raise SettingError(
            f"no checkpoint would hold the variable {lost[0]}{more} of {type(model).__name__}: "
            "TensorFlow follows attributes that are variables, layers or models, and no lists of "
            "them; make it an attribute"
        )


def _random_states(model: Model) -> list[tf.Variable]:
    """Of Keras' random generators: variables that are neither weights nor of metrics."""
    others = {id(v) for v in (*model.weights, *model.metrics_variables)}
    return [v.value for v in model.variables if id(v) not in others]


def _steps(folder: pathlib.Path) -> list[int]:
    """The steps of the checkpoints of a folder, ascending."""
    found = (_FILE.fullmatch(path.name) for path in folder.iterdir()) if folder.is_dir() else ()
    return sorted({int(match[1]) for match in found if match})


def _remove(folder: pathlib.Path, step: int) -> None:
    for file in folder.glob(f"ckpt-{step}.*"):
        file.unlink(missing_ok=True)
