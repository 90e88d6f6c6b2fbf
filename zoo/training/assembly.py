"""Makes everything that a training works with, before its run's folder is claimed.

Gin knows of a setting once what it configures has been called. All that a run calls must therefore
be called here, also what only the graph of a step calls: then the run's `config.gin` holds it.
"""

import contextlib
import dataclasses
import math
import os
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from zoo import data, runs
from zoo.data import sampling
from zoo.data.dataset import Dataset
from zoo.errors import UserError
from zoo.models.base import Model
from zoo.training import selection
from zoo.training.loop import COMPILED, Loop, strategy_for
from zoo.training.settings import Settings


@dataclasses.dataclass(frozen=True)
class Parts:
    """What a training works with.

    Attributes:
        dataset: what it trains on.
        tested: what its scores are computed on.
        model: bound to its optimiser.
        loop: traced.
        probe: gives further values of each record of the log.
        selection: keeps the best checkpoint, or None.
    """

    dataset: Dataset
    tested: Dataset
    model: Model
    loop: Loop
    probe: Callable[[], dict]
    selection: selection.Selection | None


def assemble(settings: Settings, folder: runs.RunFolder) -> Parts:
    """Makes all parts of a training; nothing is written.

    Args:
        settings: of one precision, not `auto`.
        folder: where the selection will keep its checkpoint.

    Raises:
        UserError: settings that cannot be.
    """
    dataset = data.load(settings.dataset)
    tested = _tested(settings, dataset)
    _require_memory(settings, dataset)
    strategy = strategy_for(settings.devices)
    model = bound(settings, dataset, strategy)
    require_domains(model, dataset)
    sampler = settings.sampler(dataset, settings.batch_size)
    compiled = COMPILED[settings.compiled]
    loop = Loop(model, sampler, sampling.tensors(dataset), settings.seed, strategy, compiled)
    loop.trace()
    probe = settings.probe(model, tested) if settings.probe else dict
    return Parts(dataset, tested, model, loop, probe, _selection(settings, folder, model, dataset))


def require_domains(model: Model, dataset: Dataset) -> None:
    """Raises a UserError where a model of some domains is to learn from another number of them."""
    wanted, labels = getattr(model, "domains", None), dataset.extras.get("domain")
    if wanted is None or labels is None:
        return
    if (found := len(np.unique(labels))) != wanted:
        raise UserError(
            f"{type(model).__name__}.domains is {wanted}, and {dataset.name} has images of {found} "
            "domains; set it to their number, or choose another data set"
        )


def built(
    settings: Settings,
    dataset: Dataset,
    strategy: tf.distribute.Strategy | None = None,
    precision: str | None = None,
) -> Model:
    """The model of a training with its initial weights, which the seed decides.

    Args:
        settings: of the training.
        dataset: gives the shape of an observation.
        strategy: whose variables the weights are; one device if None.
        precision: instead of that of the settings.
    """
    keras.utils.set_random_seed(settings.seed)
    scope = (strategy or tf.distribute.get_strategy()).scope()
    with _policy(precision or settings.precision), scope:
        return settings.model(dataset.images.shape[1:])


def bound(
    settings: Settings, dataset: Dataset, strategy: tf.distribute.Strategy | None = None
) -> Model:
    """As `built`, bound to its optimiser."""
    model = built(settings, dataset, strategy)
    with (strategy or tf.distribute.get_strategy()).scope():
        model.bind(settings.optimizer())
    return model


def exportable(settings: Settings, dataset: Dataset, trained: Model) -> Model:
    """A copy of a model in float32, whatever the precision of the training, and unbound."""
    model = built(settings, dataset, precision="float32")
    model.set_weights(trained.get_weights())
    return model


def _require_memory(settings: Settings, dataset: Dataset) -> None:
    """A batch of float32 images must find room: TensorFlow ends the process where it does not."""
    needed = 4 * settings.batch_size * math.prod(dataset.images.shape[1:])
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > there:
        raise UserError(
            f"{settings.prefix}.batch_size is {settings.batch_size}: its images take "
            f"{needed / 1e9:.0f} GB and this machine has {there / 1e9:.0f} GB; give less"
        )


def _tested(settings: Settings, dataset: Dataset) -> Dataset:
    if settings.test_dataset is None:
        return dataset
    tested = data.load(settings.test_dataset)
    shapes = [list(each.images.shape[1:]) for each in (tested, dataset)]
    if shapes[0] != shapes[1]:
        raise UserError(
            f"{settings.prefix}.test_dataset {settings.test_dataset} has observations of shape "
            f"{shapes[0]}, and {settings.prefix}.dataset {shapes[1]}"
        )
    return tested


def _selection(
    settings: Settings, folder: runs.RunFolder, model: Model, dataset: Dataset
) -> selection.Selection | None:
    if not settings.select:
        return None
    return selection.Selection(
        folder,
        model,
        lambda: exportable(settings, dataset, model),
        data.load(settings.validation_dataset),
        selection.parse(settings.select),
        settings.select_every,
        settings.select_images,
        settings.seed,
    )


@contextlib.contextmanager
def _policy(precision: str) -> Iterator[None]:
    """The Keras dtype policy of the layers made within."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
