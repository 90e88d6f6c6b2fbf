"""Who is at a run: a lease, renewed by heartbeats, in the run's folder.

The lease (`filelock.SoftFileLease`) needs a file system with exclusive creation of files, no
`flock`. A claim whose process has ended is taken over at once on the same machine; on another one,
after the lease's time without a heartbeat, by the clock of the machine that waits.
"""

import os
import pathlib
from collections.abc import Callable

import filelock

CLAIM = ".claim"
# Longer than NFS clients keep the times of files (60 s), with three heartbeats in it.
LEASE = 120.0


class Claim:
    """A run's claim, free at first.

    Keep it while another holds the run: it is what has seen when the last heartbeat was.

    Args:
        folder: of the run.
        lease: seconds without a heartbeat after which a claim may be taken over; all workers at a
            table need the same.
        on_loss: called, by another thread, when the claim may be another's: this process stood
            still for so long that it was taken over, or no heartbeat could be written for two
            thirds of that time. By default this process ends with `worker.RENEW`, for its host
            to replace it.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        lease: float = LEASE,
        on_loss: Callable[[], None] = lambda: os._exit(os.EX_SOFTWARE),
    ):
        self._folder = folder
        self._lock = filelock.SoftFileLease(
            folder / CLAIM,
            lease_duration=lease,
            on_compromise=lambda _: on_loss(),
            thread_local=False,
        )

    def take(self) -> bool:
        """Takes the run unless another has it; makes its folder.

        Raises:
            OSError: the folder cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            return False
        return True

    def release(self) -> None:
        """Gives the run up."""
        self._lock.release()
