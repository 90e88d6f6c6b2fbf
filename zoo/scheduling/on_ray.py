"""The engine of a Ray cluster: actors that host workers on any of its nodes.

The package must be installed on every node, and the folder of the runs be there under one path. An
actor whose node is lost is restarted on another; what was claimed there is taken over by its lease.
"""

import contextlib
import socket

from zoo.errors import UserError
from zoo.scheduling.extras import imported
from zoo.scheduling.host import Host, Work
from zoo.scheduling.worker import GRACE

_ANSWER = 30.0


class Ray:
    """Workers on a cluster, or on this machine where no address is given.

    Args:
        address: of the head node, `host:port`, or what else `ray.init` takes.
        workers: how many; by default one a GPU of the cluster, or as many as its cores allow.
        limit: at most this many.
        threads: the cores of each.
        options: further arguments of `ray.init`.

    Raises:
        UserError: Ray is not installed.
    """

    def __init__(
        self,
        address: str | None,
        workers: int | None,
        limit: int,
        threads: int,
        options: dict | None = None,
    ):
        self._ray = imported("ray")
        self._address, self._workers, self._limit = address, workers, limit
        self._threads, self._options = threads, options or {}
        self._actors, self._runs = [], []

    def start(self, work: Work) -> None:
        """Starts the actors.

        Raises:
            UserError: no cluster answers at the address.
        """
        _require_answer(self._address)
        quiet = {"log_to_driver": False, "logging_level": "error"}
        try:
            self._ray.init(address=self._address, **{**quiet, **self._options})
        except (ConnectionError, TimeoutError, ValueError, RuntimeError) as error:
            line = (str(error).strip() or type(error).__name__).splitlines()[0]
            where = f"--address={self._address}" if self._address else "--engine=ray"
            raise UserError(f"{where}: no Ray cluster can be used ({line})") from None
        there = self._ray.cluster_resources()
        gpus = int(there.get("GPU", 0))
        count = self._workers or gpus or int(there.get("CPU", 1) // self._threads)
        needs = {"num_cpus": self._threads, "num_gpus": 1 if gpus else 0}
        actor = self._ray.remote(_Actor).options(
            # A call that runs for hours, and one that stops it.
            **{"max_concurrency": 4, "max_restarts": -1, "max_task_retries": -1, **needs}
        )
        self._actors = [actor.remote() for _ in range(max(1, min(count, self._limit)))]
        self._runs = [actor.run.remote(work) for actor in self._actors]

    def alive(self) -> bool:
        """Whether any worker is still at the table, or waits for a place."""
        done, _ = self._ray.wait(self._runs, num_returns=len(self._runs), timeout=0)
        return len(done) < len(self._runs)

    def stop(self, finished: bool) -> None:
        """Ends the workers, with their runs saved, and leaves the cluster."""
        if self._actors and not finished:
            # Actors that wait for a place, or lost theirs with a node, have nothing to save.
            asked = {actor.ready.remote(): actor for actor in self._actors}
            placed, _ = self._ray.wait([*asked], num_returns=len(asked), timeout=_ANSWER)
            stopped = [asked[answer].stop.remote() for answer in placed]
            if stopped:
                self._ray.wait(stopped, num_returns=len(stopped), timeout=GRACE)
        for actor in self._actors:
            with contextlib.suppress(self._ray.exceptions.RayError):
                self._ray.kill(actor)
        self._ray.shutdown()


class _Actor:
    """A host on a node of the cluster."""

    def __init__(self):
        self._host: Host | None = None
        self._stopped = False

    def ready(self) -> bool:
        return True

    def run(self, work: Work) -> int:
        self._host = Host(work)
        if self._stopped:
            self._host.stop()
        return self._host.run()

    def stop(self) -> None:
        self._stopped = True
        if self._host:
            self._host.stop()


def _require_answer(address: str | None) -> None:
    """Refuses an address of which nothing answers; Ray itself would try for a minute."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), _ANSWER).close()
    except (OSError, UnicodeError) as error:
        # A UnicodeError is of a name that no host can have.
        why = getattr(error, "strerror", None) or error
        raise UserError(f"--address={address}: nothing answers there ({why})") from None
