"""The log of a run: metrics.jsonl, one JSON object a line, and TensorBoard events."""

import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from zoo import config, files, runs
from zoo.errors import UserError


class MetricsLog:
    """Appends records to a run's log.

    What is missing of it is said, and stops nothing.

    Args:
        folder: the run's folder.
        step: where the run resumes; later records, of an interrupted try, are dropped.
        begun: the last step that must have a record.
    """

    def __init__(self, folder: runs.RunFolder, step: int, begun: int | None = None):
        self._folder, self._path = folder, folder.metrics
        kept = [record for record in runs.records(self._path) if record["step"] <= step]
        self.last = kept[-1] if kept else None
        recorded, begun = (self.last or {}).get("step", 0), step if begun is None else begun
        if recorded < begun:
            logging.warning(
                "%s: the records of steps %d to %d are missing; the model has them",
                *(self._path, recorded + 1, begun),
            )
        runs.write_text(self._path, "".join(json.dumps(r) + "\n" for r in kept))
        self.seconds = kept[-1].get("time_s", 0.0) if kept else 0.0
        self._events = _events(folder)
        self._file = self._path.open("a")

    def write(self, step: int, seconds: float, images: int, values: Mapping) -> dict:
        """Records the averages of the chunk that ended at `step`.

        Args:
            step: the number of updates done.
            seconds: how long the chunk took.
            images: how many images it used.
            values: numbers and arrays by name.

        Raises:
            UserError: one has the name of another field, or is no number.
        """
        self.seconds += seconds
        own = {
            "step": step,
            "time_s": round(self.seconds, 3),
            "images_per_s": round(images / seconds, 1),
        }
        if taken := sorted(own.keys() & values.keys()):
            raise UserError(
                f"a loss or a value of the probe is called {taken[0]!r}, as a field that every "
                "record has; give it another name"
            )
        record = {**own, **{name: _numbers(name, value) for name, value in values.items()}}
        if not self._path.exists():
            logging.warning(
                "%s was removed during the run: its records up to step %d are lost",
                *(self._path, self.last["step"] if self.last else 0),
            )
            self._file.close()
            self._file = self._path.open("a")
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()
        with _telling(self._folder), self._events.as_default(step=step):
            for name, value in record.items():
                for index, number in np.ndenumerate(value):
                    if name not in ("step", "time_s") and math.isfinite(number):
                        tf.summary.scalar("/".join([name, *map(str, index)]), number)
        self.last = record
        return record

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        """Shows a picture, `[H, W, C]` uint8, in TensorBoard."""
        with _telling(self._folder), self._events.as_default(step=step):
            tf.summary.image(name, picture[None])

    def close(self) -> None:
        """Writes what is still buffered."""
        self._file.close()
        with _telling(self._folder):
            self._events.close()


def _numbers(name: str, value: Any) -> float | list:
    try:
        return np.asarray(value, float).tolist()
    except (TypeError, ValueError):
        raise UserError(
            f"the value {name!r} of the log is {value!r:.80}; let the probe, or the model's "
            "summarize, return numbers"
        ) from None


def write_settings(folder: runs.RunFolder, text: str) -> None:
    """Shows the config of a run in TensorBoard: as text, and each binding in its HParams table.

    Args:
        folder: the run's folder.
        text: the operative gin text.
    """
    from tensorboard.plugins.hparams import api

    values = {name: _hyperparameter(text, name) for name in config.bindings_of(text)}
    opened = contextlib.closing(_events(folder))
    with _telling(folder), opened as events, events.as_default(step=0):
        # Indented by four, Markdown leaves a text as it is.
        tf.summary.text("config", "".join(f"    {line}\n" for line in text.splitlines()))
        # The trial is named by its values: a run that is resumed stays one row.
        api.hparams(values)


def write_scores(folder: runs.RunFolder, step: int, scores: Mapping[str, float]) -> None:
    """Shows the scores of a model of `step` updates in TensorBoard, as `scores/<name>`."""
    opened = contextlib.closing(_events(folder))
    with _telling(folder), opened as events, events.as_default(step=step):
        for name, score in scores.items():
            tf.summary.scalar(f"scores/{name}", score)


def _events(folder: runs.RunFolder) -> tf.summary.SummaryWriter:
    with _telling(folder):
        return tf.summary.create_file_writer(str(folder.path / "tensorboard"))


@contextlib.contextmanager
def _telling(folder: runs.RunFolder) -> Iterator[None]:
    """Within, only events are written: what TensorFlow says then is of the disk."""
    try:
        yield
    except tf.errors.OpError as error:
        raise UserError(
            f"the events for TensorBoard could not be written to {folder.path / 'tensorboard'} "
            f"({files.reason(error)}); make room there and run the same command again"
        ) from None


def _hyperparameter(text: str, name: str) -> bool | int | float | str:
    """The value of a binding, as written where the HParams table has no type for it."""
    value = config.recorded(text, name)
    return value if isinstance(value, bool | int | float | str) else config.bindings_of(text)[name]
