"""The engine of one machine: worker processes beside this one."""

import os
import pathlib
import threading

from zoo.scheduling.host import Host, Work

NO_GPU = ("-1",)


class Local:
    """Some workers on this machine.

    Args:
        workers: how many.
        devices: GPUs, as CUDA numbers them; each worker has one of them, in turn. None are hidden
            if empty, all by `NO_GPU`.

    Attributes:
        environments: variables of each worker beside those of this process.
    """

    def __init__(self, workers: int, devices: tuple[str, ...] = ()):
        self.environments = [
            {"CUDA_VISIBLE_DEVICES": devices[k % len(devices)]} if devices else {}
            for k in range(workers)
        ]
        if len(set(devices)) < workers:
            # TensorFlow would take all memory of a GPU for the first.
            self.environments = [
                {"TF_FORCE_GPU_ALLOW_GROWTH": "true", **d} for d in self.environments
            ]
        self._hosts: list[Host] = []
        self._threads: list[threading.Thread] = []

    def start(self, work: Work) -> None:
        """Starts the workers."""
        self._hosts = [Host(work, environment) for environment in self.environments]
        self._threads = [threading.Thread(target=host.run, daemon=True) for host in self._hosts]
        for thread in self._threads:
            thread.start()

    def alive(self) -> bool:
        """Whether any worker is still at the table."""
        return any(thread.is_alive() for thread in self._threads)

    def stop(self, finished: bool) -> None:
        """Ends the workers, with their runs saved."""
        del finished
        stoppers = [threading.Thread(target=host.stop) for host in self._hosts]
        for thread in stoppers:
            thread.start()
        for thread in (*stoppers, *self._threads):
            thread.join()

    @property
    def pids(self) -> list[int]:
        """The numbers of the workers' processes."""
        return [host.pid for host in self._hosts if host.pid]


def gpus() -> tuple[str, ...]:
    """The GPUs of this machine, without importing TensorFlow."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return tuple(name for name in visible.split(",") if name.strip() and name != "-1")
    return tuple(str(k) for k in range(len(list(pathlib.Path("/dev").glob("nvidia[0-9]*")))))
