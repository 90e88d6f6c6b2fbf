"""The training loop: chunks of steps in one graph, on one device or several replicas."""

import dataclasses
import functools
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf
from absl import logging

from zoo.errors import UserError
from zoo.models.base import Model
from zoo.networks.transposed import in_training
from zoo.training import programs, workers

# What `train.compiled` takes, and what it means to `Loop`.
COMPILED = {"auto": None, "always": True, "update": "update", "never": False}

# Folded into the run's seed so that noise and data are different streams.
_NOISE = 0x0153


def strategy_for(devices: str = "auto") -> tf.distribute.Strategy:
    """A mirrored strategy over all GPUs (or logical CPUs) where there are several, else one device.

    Args:
        devices: `"auto"`, or `"one"` to use a single device whatever is there; `"workers"` for all
            devices of all processes that `TF_CONFIG` names, `"auto"` where it names one.

    Raises:
        UserError: `TF_CONFIG` is not as it should be.
    """
    if devices == workers.DEVICES:
        if strategy := workers.team(devices).strategy:
            return strategy
        devices = "auto"
    for kind in ("GPU", "CPU"):
        found = tf.config.list_logical_devices(kind)
        if devices == "auto" and len(found) > 1:
            return _mirrored(tuple(device.name for device in found))
        if found:
            break
    return tf.distribute.get_strategy()


@functools.cache
def _mirrored(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    """One a process: a second would number its reductions as the first, and TensorFlow's fail."""
    return tf.distribute.MirroredStrategy(devices)


def noise_seed(seed, step, replica) -> tf.Tensor:
    """The stateless seed, `[2]` int32, of the noise of one step on one replica."""
    key = tf.stack([tf.cast(seed, tf.int32), tf.constant(_NOISE, tf.int32)])
    for number in (step, replica):
        key = tf.random.fold_in(key, tf.cast(number, tf.int32), alg="philox")
    return key


@dataclasses.dataclass(frozen=True)
class Pure:
    """A training loop as one XLA-compiled function of everything that it depends on.

    `function(state, data, seed, start, steps) -> (state, sums)`: `state` and `data` are lists in
    the order of `variables` and `tables`, the others int32 scalars. It makes `steps` updates from
    number `start` on and returns the state after them and, in the order of `losses`, the sums of
    all losses over them. Where TensorFlow calls it, the variables are left with the state after.

    Attributes:
        function: a `tf.function`.
        variables: all that training changes, and what else the model holds, by number: of the
            model, then of its optimisers.
        tables: the tensors of the data set by name.
        seed: the run's.
        losses: the shapes of the losses by name, in alphabetical order.
    """

    function: Callable
    variables: Mapping[str, tf.Variable]
    tables: Mapping[str, tf.Tensor]
    seed: int
    losses: Mapping[str, tf.TensorShape]


class Loop:
    """Runs a model's updates on batches that are pure functions of (seed, step).

    Args:
        model: built and bound to its optimiser, inside the scope of `strategy`.
        sampler: `(tables, seed, step) -> batch` of the global batch size.
        tables: the tensors of the data set, as `sampler` takes them.
        seed: the run's seed.
        strategy: from `strategy_for`.
        compiled: compile with XLA: the whole loop (True), each update (`"update"`: quick to compile
            where the update is large, and no slower there), or nothing (False); by default the
            loop where the device is a GPU. Over several devices nothing is, which is said.
    """

    def __init__(
        self,
        model: Model,
        sampler: Callable,
        tables: Mapping[str, tf.Tensor],
        seed: int,
        strategy: tf.distribute.Strategy | None = None,
        compiled: bool | str | None = None,
    ):
        self._model, self._sampler = model, sampler
        self._strategy = strategy or tf.distribute.get_strategy()
        self._replicas = self._strategy.num_replicas_in_sync
        self._seed = tf.constant(seed, tf.int32)
        if compiled and self._replicas > 1:
            logging.warning(
                "a loop over %d devices is not compiled: train.compiled has no effect",
                self._replicas,
            )
        if compiled is None:
            compiled = bool(tf.config.list_logical_devices("GPU"))
        if self._replicas > 1:
            self._tables = self._strategy.experimental_distribute_values_from_function(
                lambda _: dict(tables)
            )
            compiled = False
        else:
            self._tables = dict(tables)
        self._update = (
            tf.function(model.update, autograph=False, jit_compile=True)
            if compiled == "update"
            else model.update
        )
        # XLA has its own ways of computing a layer.
        steps = self._steps if compiled else self._steps_in_training
        self._chunk = tf.function(steps, autograph=False)
        self._is_compiled = compiled is True
        self._shapes = None

    def run(self, start: int, steps: int) -> dict[str, np.ndarray]:
        """Makes `steps` updates from number `start` on; returns the means of all losses."""
        return means(self.advance(start, steps), steps)

    def advance(
        self, start: int, steps: int, totals: Mapping[str, tf.Tensor] | None = None
    ) -> dict[str, tf.Tensor]:
        """As `run`, in parts: returns the sums of all losses, float32, added to those so far.

        However steps are divided, their updates and sums are the same to the bit.

        Args:
            start: the number of the first step.
            steps: how many.
            totals: the sums of the steps before; zeros if None.
        """
        self.trace()
        totals = dict(totals) if totals else self._zeros()
        first, count = tf.constant(start), tf.constant(steps)
        return self._chunk(self._tables, self._seed, first, count, totals)

    def trace(self) -> None:
        """Traces one step, which calls everything that training calls; once is enough.

        Raises:
            UserError: settings that cannot be, as the step found.
        """
        if self._shapes is not None:
            return
        step = tf.function(self._step, autograph=False)
        try:
            traced = step.get_concrete_function(self._tables, self._seed, tf.constant(0))
        except Exception as error:
            if isinstance(original := _untraced(error), UserError):
                raise original from None
            raise
        self._shapes = {name: loss.shape for name, loss in traced.structured_outputs.items()}
        if self._is_compiled:
            variables = [*state_of(self._model).values()]
            alone = tf.function(self._steps, autograph=False, jit_compile=True)
            self._chunk = programs.shared(traced, variables) or alone

    def pure(self) -> "Pure":
        """The loop as one function of everything that it depends on.

        Raises:
            UserError: it runs on several devices.
        """
        if self._replicas > 1:
            raise UserError(
                f"a loop over {self._replicas} devices is no single program; "
                "set train.devices = 'one'"
            )
        self.trace()
        variables, tables = state_of(self._model), dict(sorted(self._tables.items()))
        losses = {name: self._shapes[name] for name in sorted(self._shapes)}

        @tf.function(autograph=False, jit_compile=True)
        def loop(state, data, seed, start, steps):
            for variable, value in zip(variables.values(), state, strict=True):
                variable.assign(value)
            named = dict(zip(tables, data, strict=True))
            totals = self._steps(named, seed, start, steps, self._zeros())
            after = [variable.read_value() for variable in variables.values()]
            return after, [totals[name] for name in losses]

        return Pure(loop, variables, tables, int(self._seed), losses)

    def _zeros(self):
        return {name: tf.zeros(shape) for name, shape in self._shapes.items()}

    def _steps_in_training(self, tables, seed, start, steps, totals):
        with in_training():
            return self._steps(tables, seed, start, steps, totals)

    def _steps(self, tables, seed, start, steps, totals):
        return programs.repeat(lambda n: self._step(tables, seed, n), start, steps, totals)

    def _step(self, tables, seed, step):
        if self._replicas == 1:
            return self._replica_step(tables, seed, step)
        losses = self._strategy.run(self._replica_step, (tables, seed, step))
        reduce = tf.distribute.ReduceOp.MEAN
        return {k: self._strategy.reduce(reduce, v, axis=None) for k, v in losses.items()}

    def _replica_step(self, tables, seed, step):
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        batch = self._share(self._sampler(tables, seed, step), replica)
        return self._update(batch, noise_seed(seed, step, replica), step, self._replicas)

    def _share(self, batch, replica):
        """This replica's part of the global batch."""
        if self._replicas == 1:
            return batch
        size = next(iter(batch.values())).shape[0]
        if size % self._replicas:
            raise UserError(
                f"the batch size {size} cannot be shared by {self._replicas} devices evenly; "
                "change train.batch_size or set train.devices = 'one'"
            )
        part = size // self._replicas
        return {name: value[replica * part :][:part] for name, value in batch.items()}


def means(totals: Mapping[str, tf.Tensor], steps: int) -> dict[str, np.ndarray]:
    """The means of losses over steps, of their sums."""
    return {name: total.numpy() / steps for name, total in totals.items()}


def state_of(model: Model) -> dict[str, tf.Variable]:
    """All variables of a model and its optimisers, by number.

    Their paths would not do: Keras counts the layers of a process in them.
    """
    every = [*model.variables, *(v for each in model.optimizers for v in each.variables)]
    distinct = list({id(variable): variable for variable in every}.values())
    return {f"{k:03d}": variable.value for k, variable in enumerate(distinct)}


def _untraced(error: BaseException) -> BaseException:
    """What was raised first where TensorFlow, tracing, has made another exception of it."""
    while hasattr(error, "ag_error_metadata") and error.__context__ is not None:
        error = error.__context__
    return error
