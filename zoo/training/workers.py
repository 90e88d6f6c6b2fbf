"""Training by several processes, on one machine or several, each with its part of every batch.

`TF_CONFIG` names them, as Kubernetes sets it and a line of shell does below Slurm. All make the
same calls in the same order, as each reduction waits for all; what only one of them knows (which
step is restored, a signal, how long a piece of work took) is therefore told to the others before
any acts on it. The first of them, the chief, alone has the run's folder.
"""

import contextlib
import functools
import json
import os
import re
import signal
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from zoo import stopping
from zoo.errors import UserError

DEVICES = "workers"
_VARIABLE = "TF_CONFIG"
_EXAMPLE = (
    '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'
)
_JOBS = ("chief", "worker")
_ADDRESS = re.compile(r"[^\s:/]+:(\d{1,5})|\[[0-9a-fA-F:.]+\]:(\d{1,5})")
# What TensorFlow raises in those that are left when one of them is gone.
_GONE = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError)


class WorkersError(UserError):
    """Processes that cannot train together, or no longer."""


class Team:
    """The processes of one training, of which this is one.

    Args:
        addresses: `host:port` of each, the chief's first; none for a process by itself.
        index: of this one.

    Attributes:
        strategy: what the model is made and updated under; None for a process by itself.
        chief: whether this process has the run's folder.
    """

    def __init__(self, addresses: tuple[str, ...] = (), index: int = 0):
        self._size, self._index, self.chief = max(1, len(addresses)), index, index == 0
        self.strategy = _strategy(addresses[index]) if self._size > 1 else None

    def told(self, value: Any = None) -> Any:
        """What the chief gives, of JSON's types, in every process."""
        if self.strategy is None:
            return value
        text = np.frombuffer(json.dumps(value if self.chief else None).encode(), np.uint8)
        length = int(self._sum(np.float64(len(text) if self.chief else 0)))
        text = self._sum(text if self.chief else np.zeros(length))
        return json.loads(text.astype(np.uint8).tobytes())

    def greatest(self, number: float) -> float:
        """The greatest of the numbers that the processes give."""
        if self.strategy is None:
            return number
        numbers = np.zeros(self._size)
        numbers[self._index] = number
        return float(self._sum(numbers).max())

    def equalize(self, variables: Iterable[tf.Variable]) -> None:
        """Gives the variables of all processes the chief's values."""
        if self.strategy is None:
            return
        for variable in variables:
            value = variable.numpy()
            # Numbers of up to 53 bits are exact in float64, and their sum with zeros, too.
            shared = self._sum(value if self.chief else np.zeros_like(value))
            variable.assign(tf.cast(shared, variable.dtype))

    def _sum(self, value: np.ndarray) -> np.ndarray:
        """The sum over the processes, in float64."""
        value = tf.cast(value, tf.float64)
        first = self._index * (self.strategy.num_replicas_in_sync // self._size)

        def share(context):
            return value if context.replica_id_in_sync_group == first else tf.zeros_like(value)

        shares = self.strategy.experimental_distribute_values_from_function(share)
        return self.strategy.reduce(tf.distribute.ReduceOp.SUM, shares, axis=None).numpy()


ALONE = Team()


def team(devices: str) -> Team:
    """The team of a training run.

    TensorFlow must not have computed anything in this process before the first call.

    Args:
        devices: `train.devices`.

    Raises:
        WorkersError: `TF_CONFIG` is missing or malformed, or the address that it gives this process
            cannot be used.
    """
    return _team(os.environ.get(_VARIABLE)) if devices == DEVICES else ALONE


@contextlib.contextmanager
def losing(team: Team) -> Iterator[None]:
    """Makes one line of what TensorFlow raises when another process of the team is gone."""
    try:
        yield
    except _GONE as error:
        if team.strategy is None:
            raise
        raise WorkersError(
            "another worker has ended or cannot be reached; see what it wrote, and start all of "
            "them again: the run resumes from its last checkpoint"
        ) from error


def parse(text: str | None) -> tuple[tuple[str, ...], int]:
    """The addresses that a `TF_CONFIG` gives, the chief's first, and the number of this process.

    Raises:
        WorkersError: it is missing or malformed.
    """
    if not text:
        raise WorkersError(
            f"train.devices is {DEVICES!r}, and {_VARIABLE} is not set; give every worker "
            f"{_VARIABLE}='{_EXAMPLE}' with its own index, or set train.devices = 'auto'"
        )
    try:
        found = json.loads(text)
    except ValueError as error:
        raise _malformed(f"no JSON ({error})") from None
    cluster, task = (found.get(k) if isinstance(found, dict) else None for k in ("cluster", "task"))
    if not isinstance(cluster, dict) or not isinstance(task, dict):
        raise _malformed("without a cluster and a task")
    if unknown := sorted(cluster.keys() - {*_JOBS}):
        raise _malformed(f"of a cluster with {unknown[0]!r}, where {' and '.join(_JOBS)} can be")
    jobs = {job: cluster.get(job, []) for job in _JOBS}
    for job, addresses in jobs.items():
        if not isinstance(addresses, list) or not all(map(_is_address, addresses)):
            raise _malformed(f"whose {job!r} is {addresses!r}, no list of host:port")
    every = [*jobs["chief"], *jobs["worker"]]
    if len(jobs["chief"]) > 1 or len({*every}) < len(every):
        raise _malformed("with two chiefs, or one address twice")
    kind, index = task.get("type"), task.get("index")
    if kind not in _JOBS or type(index) is not int or not 0 <= index < len(jobs[kind]):
        raise _malformed(f"whose task is {kind!r} {index!r}, and its cluster has no such one")
    return tuple(every), index + (len(jobs["chief"]) if kind == "worker" else 0)


def _is_address(address: Any) -> bool:
    found = isinstance(address, str) and _ADDRESS.fullmatch(address)
    return bool(found) and 0 < int(found[1] or found[2]) < 2**16


def _malformed(what: str) -> WorkersError:
    return WorkersError(f"{_VARIABLE} is {what}; it should be like {_EXAMPLE}")


@functools.cache
def _team(text: str | None) -> Team:
    return Team(*parse(text))


def _strategy(address: str) -> tf.distribute.Strategy:
    options = tf.distribute.experimental.CommunicationOptions(
        implementation=tf.distribute.experimental.CommunicationImplementation.RING
    )
    logging.info("%s waits for the other workers", address)
    try:
        with _signals_end():
            return tf.distribute.MultiWorkerMirroredStrategy(communication_options=options)
    except RuntimeError as error:
        raise WorkersError(
            f"train.devices is {DEVICES!r}, and TensorFlow has computed in this process before "
            f"({error}); train by python -m zoo.train, or by zoo.fit before anything else"
        ) from error
    except tf.errors.OpError as error:
        reason = (error.message or type(error).__name__).splitlines()[0]
        raise WorkersError(
            f"{_VARIABLE}: no worker can be at {address} ({reason[:160]}); is the port free, and "
            "do all start within an hour and with the same addresses?"
        ) from None


@contextlib.contextmanager
def _signals_end() -> Iterator[None]:
    """Within, signals end the process at once: Python handles none while TensorFlow waits."""
    handlers = {}
    with contextlib.suppress(ValueError):
        handlers = {n: signal.signal(n, signal.SIG_DFL) for n in stopping.SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
