"""Trains step by step: the loop with its log, checkpoints and pictures."""

import dataclasses
import functools
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
import tqdm
from absl import logging

from zoo import evaluation, runs
from zoo.data import sampling
from zoo.data.dataset import Dataset
from zoo.drawing import domains, sheets, slots
from zoo.errors import UserError
from zoo.evaluation.regime import dead_latents
from zoo.models.base import Autoencoder, Generator, Model
from zoo.stopping import Stopping
from zoo.training.checkpoints import Checkpoints
from zoo.training.loop import Loop, means
from zoo.training.metrics import MetricsLog
from zoo.training.selection import Selection
from zoo.training.workers import ALONE, Team

_SHOWN = ("loss", "reconstruction", "kl", "active_latents")


# Called with the number of updates done, the record of the log, and the model.
Callback = Callable[[int, Mapping, Model], object]


class Pictures:
    """Draws the current reconstructions and traversals into the run's folder and TensorBoard."""

    def __init__(self, folder: runs.RunFolder, model: Model, dataset: Dataset, log: MetricsLog):
        self._folder, self._model, self._log = folder, model, log
        numbers = dataset.some(16)
        masks = dataset.whole.extras.get("masks")
        self._masks = None if masks is None else masks[numbers]
        self._images = sampling.observations(dataset, numbers)
        self._drawn = isinstance(model, Autoencoder) and self._images.shape.rank == 4

    def draw(self, step: int) -> None:
        """Replaces the pictures by those of now; models without images or codes have none."""
        if isinstance(self._model, Generator):
            for name, picture in domains.pictures(self._model).items():
                self._log.image(step, name, picture)
                sheets.write(self._folder.images / f"{name}.png", picture)
            return
        if not self._drawn:
            return
        if hasattr(self._model, "slot_images"):
            for name, picture in slots.pictures(
                self._model, self._images, self._masks, jacobian=evaluation.slot_jacobian
            ):
                self._log.image(step, name, picture)
                sheets.write(self._folder.images / f"{name}.png", picture)
            return
        codes = self._model.encode(self._images)
        # A run that resumes at its end without its log has no record.
        last = self._log.last or {}
        kl, variances = last.get("kl_per_latent"), last.get("posterior_variance")
        drawn = {
            "reconstructions": sheets.reconstructions(
                sheets.coloured(self._images), sheets.coloured(self._model.decode(codes))
            ),
            "traversals": sheets.traversals(
                lambda latents: sheets.coloured(self._model.decode(tf.constant(latents))),
                codes.numpy(),
                kl,
                dead=None if variances is None else dead_latents(variances, kl),
            ),
        }
        for name, picture in drawn.items():
            self._log.image(step, name, picture)
            sheets.write(self._folder.images / f"{name}.png", picture)


class Chunk:
    """The steps between two records of the log, done in pieces of about a second.

    After each piece the training can be stopped; what the chunk has so far then goes into the
    checkpoint, and the record is as if nothing had been.

    Args:
        loop: what makes the steps.
        begun: the steps done before the chunk.
        pending: of a chunk that was stopped, what its `pending` gave; then `begun` is its own.
        team: whose processes all do pieces of the same size, those of the slowest.

    Attributes:
        begun: the steps done before it.
        done: the steps done.
        seconds: what they took.
    """

    def __init__(self, loop: Loop, begun: int, pending: Mapping | None = None, team: Team = ALONE):
        self._loop, self._pace, self.seconds, self._totals = loop, 1, 0.0, None
        self._team = team
        self.begun = self.done = begun
        if pending:
            self.begun, self.seconds = pending["begun"], pending["seconds"]
            self._totals = {k: tf.constant(v, tf.float32) for k, v in pending["totals"].items()}

    def advance(self, stop: int) -> int:
        """Does the next piece, which ends at step `stop` at the latest; returns its steps."""
        begun, steps = time.perf_counter(), min(self._pace, stop - self.done)
        self._totals = self._loop.advance(self.done, steps, self._totals)
        # Reading one waits for all.
        next(iter(self._totals.values())).numpy()
        seconds = self._team.greatest(time.perf_counter() - begun)
        self._pace = max(1, min(4 * self._pace, int(steps / seconds)))
        self.done, self.seconds = self.done + steps, self.seconds + seconds
        return steps

    @property
    def averages(self) -> dict[str, np.ndarray]:
        """The means of all losses over the steps of the chunk so far."""
        return means(self._totals, self.done - self.begun)

    @property
    def pending(self) -> dict:
        """What is lost with the process, of JSON's types; nothing at the end of a chunk."""
        if self._totals is None:
            return {}
        totals = {name: total.numpy().tolist() for name, total in self._totals.items()}
        return {"begun": self.begun, "seconds": self.seconds, "totals": totals}

    def begin(self) -> None:
        """Goes on with the next chunk."""
        self.begun, self.seconds, self._totals = self.done, 0.0, None


@dataclasses.dataclass
class Trainer:
    """Calls the loop chunk by chunk and does what falls due between chunks.

    Attributes:
        model, loop, checkpoints, log, pictures: what it works with.
        probe: returns further values of each record, `dict` where there are none.
        selection: keeps the best checkpoint, or None.
        batch_size: images a step, for the rates.
        log_every, checkpoint_every, pictures_every: steps between records, checkpoints, pictures;
            the latter are drawn at the first end of a chunk from then on.
        stopping: says when to save and end.
        require_own: called before anything is written; raises where the folder is another's now.
        callbacks: called with every record, last.
        team: the processes that train together; a signal to one is one to all.
    """

    model: Model
    loop: Loop
    checkpoints: Checkpoints
    log: MetricsLog
    pictures: Pictures
    probe: Callable[[], dict]
    selection: Selection | None
    batch_size: int
    log_every: int
    checkpoint_every: int
    pictures_every: int
    stopping: Stopping = dataclasses.field(default_factory=Stopping)
    require_own: Callable[[], None] = lambda: None
    callbacks: Sequence[Callback] = ()
    team: Team = ALONE

    def run(self, done: int, steps: int, pending: Mapping | None = None) -> None:
        """Trains from step `done` to `steps`.

        A signal is answered within about two seconds: the run is saved as it is.

        Args:
            done: the steps done.
            steps: where to end.
            pending: of the checkpoint that the run resumes from.

        Raises:
            UserError: the loss or weights are no longer finite; the last good checkpoint is named.
            Stopped: a signal came; everything is saved.
        """
        bar = tqdm.tqdm(
            total=steps * self.batch_size,
            initial=done * self.batch_size,
            desc="training",
            unit="img",
            unit_scale=True,
            disable=not self.team.chief,
        )
        saved, chunk = done, Chunk(self.loop, done, pending, self.team)
        with bar, self.stopping.finishing():
            if done == steps:
                # It came there elsewhere, or was killed before it was published.
                if not self._weights_are_finite():
                    raise UserError(
                        f"the weights of step {steps}, the last, are NaN or infinite and not "
                        "published; lower the learning rate or change the precision, in another "
                        "--run_dir"
                    )
                self.pictures.draw(steps)
            while chunk.done < steps and not self._stopped():
                begun, stop = chunk.begun, self._stop(chunk.begun, steps)
                bar.update(chunk.advance(stop) * self.batch_size)
                if chunk.done < stop:
                    continue
                record = self._record(chunk, steps, bar)
                if stop == steps or stop % self.checkpoint_every == 0:
                    self.require_own()
                    self.checkpoints.save(stop)
                    saved = stop
                if stop == steps or _next(begun, self.pictures_every) <= stop:
                    self.pictures.draw(stop)
                for callback in self.callbacks:
                    callback(stop, record, self.model)
            if self.stopping.signal:
                if saved < chunk.done:
                    if pending := chunk.pending:
                        self._check(chunk)
                    self.require_own()
                    self.checkpoints.save(chunk.done, pending)
                logging.warning(
                    "stopped by %s at step %d of %d, which is saved; the same command resumes it",
                    *(self.stopping.signal, chunk.done, steps),
                )

    def _stopped(self) -> bool:
        """Whether a signal came, here or to another process of the team."""
        number = int(self.team.greatest(self.stopping.number))
        if number and not self.stopping.signal:
            self.stopping.handle(number, None)
        return number > 0

    def _stop(self, done: int, steps: int) -> int:
        """Where the chunk ends that begins after `done` steps."""
        intervals = [self.log_every, self.checkpoint_every]
        intervals += [self.selection.every] if self.selection else []
        return min(steps, *(_next(done, interval) for interval in intervals))

    def _record(self, chunk: Chunk, steps: int, bar: tqdm.tqdm) -> dict:
        """Writes the record of a whole chunk, which it returns, and begins the next."""
        self._check(chunk)
        self.require_own()
        done, images = chunk.done, (chunk.done - chunk.begun) * self.batch_size
        probed = self.probe()
        if not isinstance(probed, Mapping):
            raise UserError(f"the probe returns {probed!r:.80}; let it return a dict of numbers")
        values = {**self.model.summarize(chunk.averages), **probed}
        if self.selection and (done == steps or done % self.selection.every == 0):
            values |= self.selection.consider(done)
        record = self.log.write(done, chunk.seconds, images, values)
        bar.set_postfix({k: f"{record[k]:.4g}" for k in _SHOWN if k in record})
        chunk.begin()
        return record

    def _check(self, chunk: Chunk) -> None:
        loss = chunk.averages["loss"]
        became = None if np.isfinite(loss) else f"the loss became {loss}"
        # The loss of a step is that of the weights before it.
        if not became and not self._weights_are_finite():
            became = "weights became NaN or infinite"
        if became:
            raise UserError(
                f"{became} between steps {chunk.begun} and {chunk.done}; the last good checkpoint "
                f"is {self.checkpoints.latest or 'none'}; lower the learning rate or change the "
                "precision, in another --run_dir"
            )

    @functools.cached_property
    def _weights_are_finite(self) -> Callable[[], tf.Tensor]:
        weights = self.model.trainable_variables
        return tf.function(
            lambda: tf.reduce_all([True, *(tf.reduce_all(tf.math.is_finite(w)) for w in weights)]),
            autograph=False,
        )


def _next(done: int, interval: int) -> int:
    """The first multiple of `interval` after `done`."""
    return (done // interval + 1) * interval
