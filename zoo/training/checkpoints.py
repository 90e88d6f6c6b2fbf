"""Checkpoints of a run: model, every optimiser and the step, written atomically."""

import pathlib

import tensorflow as tf
from absl import logging

from zoo.errors import UserError
from zoo.models.base import Model


class Checkpoints:
    """Saves and restores a model, its optimisers and the number of steps done.

    Args:
        folder: where they are.
        model: bound to its optimiser.
        keep: how many to keep.
    """

    def __init__(self, folder: pathlib.Path, model: Model, keep: int = 3):
        self._step = tf.Variable(0, dtype=tf.int64, trainable=False)
        self._checkpoint = tf.train.Checkpoint(
            model=model, optimizers=list(model.optimizers), step=self._step
        )
        self._manager = tf.train.CheckpointManager(self._checkpoint, str(folder), max_to_keep=keep)

    def save(self, step: int) -> str:
        """Writes a checkpoint; gives its path."""
        self._step.assign(step)
        try:
            return self._manager.save(checkpoint_number=step)
        except (tf.errors.ResourceExhaustedError, tf.errors.UnknownError) as error:
            raise UserError(
                f"the checkpoint of step {step} could not be written to "
                f"{self._manager.directory} ({error.message.splitlines()[0]}); free some "
                "disk space and run the same command again"
            ) from None

    @property
    def latest(self) -> str | None:
        """The path of the newest checkpoint."""
        return self._manager.latest_checkpoint

    def restore(self) -> int:
        """Restores the newest readable checkpoint; gives its step, 0 where there is none.

        A checkpoint that cannot be read is passed over with a warning.

        Raises:
            UserError: there are checkpoints, and none can be read.
        """
        paths = self._manager.checkpoints[::-1]
        for path in paths:
            try:
                self._checkpoint.restore(path).assert_existing_objects_matched()
            except (tf.errors.OpError, AssertionError, ValueError, TypeError) as error:
                reason = (str(error).strip() or type(error).__name__).splitlines()[0]
                logging.warning(
                    "checkpoint %s is corrupt (%s); trying the one before", path, reason[:120]
                )
                continue
            return int(self._step)
        if paths:
            raise UserError(
                f"none of the checkpoints in {self._manager.directory} can be read; delete the "
                "folder's checkpoints to start again, or restore them from a copy"
            )
        return 0
