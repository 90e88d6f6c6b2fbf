"""Trains step by step: the loop with its log, checkpoints and pictures."""

import dataclasses
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tqdm

from zoo import evaluation, runs
from zoo.data import sampling
from zoo.data.dataset import Dataset
from zoo.drawing import domains, sheets, slots
from zoo.errors import UserError
from zoo.evaluation.regime import dead_latents
from zoo.models.base import Autoencoder, Generator, Model
from zoo.training.checkpoints import Checkpoints
from zoo.training.loop import Loop
from zoo.training.metrics import MetricsLog
from zoo.training.selection import Selection

_SHOWN = ("loss", "reconstruction", "kl", "active_latents")


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
        kl, variances = (self._log.last.get(k) for k in ("kl_per_latent", "posterior_variance"))
        drawn = {
            "reconstructions": sheets.reconstructions(
                self._images.numpy(), self._model.decode(codes).numpy()
            ),
            "traversals": sheets.traversals(
                lambda latents: self._model.decode(tf.constant(latents, tf.float32)).numpy(),
                codes.numpy(),
                kl,
                dead=None if variances is None else dead_latents(variances, kl),
            ),
        }
        for name, picture in drawn.items():
            self._log.image(step, name, picture)
            sheets.write(self._folder.images / f"{name}.png", picture)


@dataclasses.dataclass
class Trainer:
    """Calls the loop chunk by chunk and does what falls due between chunks.

    Attributes:
        model, loop, checkpoints, log, pictures: what it works with.
        probe: gives further values of each record, `dict` where there are none.
        selection: keeps the best checkpoint, or None.
        batch_size: images a step, for the rates.
        log_every, checkpoint_every, pictures_every: steps between records, checkpoints, pictures.
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

    def run(self, done: int, steps: int) -> None:
        """Trains from step `done` to `steps`.

        Raises:
            UserError: the loss is no longer finite; the last good checkpoint is named.
        """
        bar = tqdm.tqdm(
            total=steps * self.batch_size,
            initial=done * self.batch_size,
            desc="training",
            unit="img",
            unit_scale=True,
        )
        with bar:
            while done < steps:
                begun = time.perf_counter()
                stop = min(steps, _next(done, self.log_every), _next(done, self.checkpoint_every))
                select = self.selection and _next(done, self.selection.every)
                stop = min(stop, select or stop)
                averages = self.loop.run(done, stop - done)
                self._check(averages["loss"], done, stop)
                images = (stop - done) * self.batch_size
                seconds = time.perf_counter() - begun
                values = {**self.model.summarize(averages), **self.probe()}
                if self.selection and stop in (steps, select):
                    values |= self.selection.consider(stop)
                record = self.log.write(stop, seconds, images, values)
                bar.update(images)
                bar.set_postfix({k: f"{record[k]:.4g}" for k in _SHOWN if k in record})
                if stop == steps or stop == _next(done, self.pictures_every):
                    self.pictures.draw(stop)
                if stop == steps or stop == _next(done, self.checkpoint_every):
                    self.checkpoints.save(stop)
                done = stop

    def _check(self, loss: float, done: int, stop: int) -> None:
        if not np.isfinite(loss):
            raise UserError(
                f"the loss became {loss} between steps {done} and {stop}; the last good "
                f"checkpoint is {self.checkpoints.latest or 'none'}; lower the learning rate or "
                "change the precision, in another --run_dir"
            )


def _next(done: int, interval: int) -> int:
    """The first multiple of `interval` after `done`."""
    return (done // interval + 1) * interval
