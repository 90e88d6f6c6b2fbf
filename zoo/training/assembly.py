"""Makes everything that a training run needs, before its run's folder is claimed.

Gin knows of a setting once what it configures has been called. All that a run calls must therefore
be called here, also what only the graph of a step calls: then the run's `config.gin` holds it.
"""

import contextlib
import dataclasses
import math
import os
from collections.abc import Callable, Iterator, Sequence

import keras
import tensorflow as tf

from zoo import data, runs
from zoo.data import sampling
from zoo.data.dataset import Dataset
from zoo.errors import UserError
from zoo.models.base import Autoencoder, Encoder, Model
from zoo.training import selection
from zoo.training.loop import COMPILED, Loop, strategy_for
from zoo.training.settings import Settings


@dataclasses.dataclass(frozen=True)
class Parts:
    """Everything that a training run needs.

    Attributes:
        dataset: what it trains on.
        tested: what its scores are computed on.
        model: bound to its optimiser.
        loop: traced.
        probe: returns further values of each record of the log.
        selection: keeps the best checkpoint, or None.
    """

    dataset: Dataset
    tested: Dataset
    model: Model
    loop: Loop
    probe: Callable[[], dict]
    selection: selection.Selection | None


def assemble(settings: Settings, folder: runs.RunFolder) -> Parts:
    """Makes all parts of a training run; nothing is written.

    Args:
        settings: of one precision, not `auto`.
        folder: where the selection will keep its checkpoint.

    Raises:
        UserError: settings that cannot be.
    """
    dataset = data.load(settings.dataset)
    tested = _further(settings, "test_dataset", dataset)
    _require_memory(settings, dataset)
    strategy = strategy_for(settings.devices)
    model = bound(settings, dataset, strategy)
    model.check(dataset)
    weights = model.weights
    sampler = settings.sampler(dataset, settings.batch_size)
    compiled = COMPILED[settings.compiled]
    loop = Loop(model, sampler, sampling.tensors(dataset), settings.seed, strategy, compiled)
    loop.trace()
    _check_code(model)
    _require_built(model, weights)
    probe = settings.probe(model, tested) if settings.probe else dict
    if not callable(probe):
        raise UserError(
            f"{settings.prefix}.probe makes a {type(probe).__name__}; let it return a function of "
            "no arguments, which returns the values"
        )
    return Parts(dataset, tested, model, loop, probe, _selection(settings, folder, model, dataset))


def built(
    settings: Settings,
    dataset: Dataset,
    strategy: tf.distribute.Strategy | None = None,
    precision: str | None = None,
) -> Model:
    """The model of a training run with its initial weights, which the seed decides.

    Args:
        settings: of the training.
        dataset: gives the shape of an observation.
        strategy: whose variables the weights are; one device if None.
        precision: instead of that of the settings.
    """
    keras.utils.set_random_seed(settings.seed)
    scope = (strategy or tf.distribute.get_strategy()).scope()
    with _policy(precision or settings.precision), scope:
        model = settings.model(dataset.images.shape[1:])
    if not isinstance(model, Model):
        raise UserError(
            f"{settings.prefix}.model makes a {type(model).__name__}, which is no "
            "zoo.models.base.Model; let its class be one (Autoencoder, Encoder or Model)"
        )
    return model


def bound(
    settings: Settings, dataset: Dataset, strategy: tf.distribute.Strategy | None = None
) -> Model:
    """As `built`, bound to its optimiser."""
    model = built(settings, dataset, strategy)
    with (strategy or tf.distribute.get_strategy()).scope():
        optimizer = settings.optimizer()
        if not isinstance(optimizer, keras.optimizers.Optimizer):
            raise UserError(
                f"{settings.prefix}.optimizer makes {optimizer!r}, which is no "
                "keras.optimizers.Optimizer; give what makes one, such as @Adam"
            )
        model.bind(optimizer)
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


def _check_code(model: Model) -> None:
    """Says before the training what the export would find after it."""
    if not isinstance(model, Encoder):
        return
    name = type(model).__name__
    for attribute in ("observation_shape", "latent_dim"):
        if not hasattr(model, attribute):
            raise UserError(f"{name} has no {attribute}; set it in __init__")
    images, codes = tuple(model.observation_shape), tuple(model.latent_shape)
    _require_shape(model, "encode", "codes", codes, "latent_dim", _batch(images))
    if not isinstance(model, Autoencoder):
        return
    _require_shape(model, "decode", "images", images, "observation_shape", _batch(codes))
    count, seed = tf.TensorSpec([], tf.int32), tf.TensorSpec([2], tf.int32)
    _require_shape(model, "draw_prior", "latents", codes, "latent_dim", count, seed)


def _batch(shape: tuple[int, ...]) -> tf.TensorSpec:
    return tf.TensorSpec([None, *shape])


def _require_shape(
    model: Encoder,
    method: str,
    what: str,
    wanted: tuple[int, ...],
    setting: str,
    *arguments: tf.TensorSpec,
) -> None:
    """Refuses a method whose results have not the shape that an attribute of the model says.

    Args:
        model: whose.
        method: its name; it is traced, not called.
        what: the results are.
        wanted: the shape of one of them.
        setting: the attribute's name.
        arguments: of the method.
    """
    traced = tf.function(getattr(model, method), autograph=False)
    found = traced.get_concrete_function(*arguments).structured_outputs.shape
    if not found.is_compatible_with([None, *wanted]):
        raise UserError(
            f"{type(model).__name__}.{method} returns {what} of shape {['B', *found[1:]]}; by its "
            f"{setting} they should be {['B', *wanted]}"
        )


def _require_built(model: Model, bound: Sequence[keras.Variable]) -> None:
    """Refuses weights that came with the first call: no optimiser moves them.

    Args:
        model: called.
        bound: its weights as it was bound.
    """
    name, known = type(model).__name__, {id(weight) for weight in bound}
    late = [weight.path for weight in model.weights if id(weight) not in known]
    if late:
        raise UserError(
            f"{name} makes {late[0]} when it is first called, and it would not be trained; call "
            "build(input_shape) of every layer in __init__"
        )
    if not model.built:
        raise UserError(f"{name} is not built; end its __init__ with self.built = True")


def _further(settings: Settings, key: str, dataset: Dataset) -> Dataset:
    """The data set of a setting beside that of the training, which it is where none is set."""
    name = getattr(settings, key)
    if name is None:
        return dataset
    further = data.load(name)
    shapes = [list(each.images.shape[1:]) for each in (further, dataset)]
    if shapes[0] != shapes[1]:
        raise UserError(
            f"{settings.prefix}.{key} {name} has observations of shape {shapes[0]}, and "
            f"{settings.prefix}.dataset {shapes[1]}"
        )
    return further


def _selection(
    settings: Settings, folder: runs.RunFolder, model: Model, dataset: Dataset
) -> selection.Selection | None:
    if not settings.select:
        return None
    return selection.Selection(
        folder,
        model,
        lambda: exportable(settings, dataset, model),
        _further(settings, "validation_dataset", dataset),
        settings.selected,
        settings.select_every,
        settings.select_images,
        settings.seed,
        settings.options_of(settings.selected),
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
