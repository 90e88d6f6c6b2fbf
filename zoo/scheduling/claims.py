"""Who is at a run: a lease, renewed by heartbeats, in the run's folder.

The lease (`filelock.SoftFileLease`) needs a file system with exclusive creation of files. A claim
whose process has ended is taken over at once on the same machine; on another one, after the lease's
time without a heartbeat, by the clock of the machine that waits. Filelock takes over by exchanging
two files, which NFS, CIFS and some FUSE cannot do: there the claim is taken over after the lease's
time, whoever held it. The run itself is locked beside that (`zoo.locks`), by `flock`.
"""

import contextlib
import os
import pathlib
import secrets
import time
from collections.abc import Callable

import filelock

from zoo.files import temporary_prefix

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
        self._folder, self._lease = folder, lease
        self._seen: tuple[tuple[int, ...], float] | None = None
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
        return self._acquire() or (self._set_aside() and self._acquire())

    def release(self) -> None:
        """Gives the run up."""
        self._lock.release()

    def _acquire(self) -> bool:
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            return False
        return True

    def _set_aside(self) -> bool:
        """Removes a claim that filelock leaves, though it has had no heartbeat for the lease."""
        path = self._folder / CLAIM
        # What `runs.opened` removes, should this process be killed here.
        aside = path.with_name(f"{temporary_prefix(CLAIM)}{secrets.token_hex(4)}")
        try:
            if not self._expired(found := path.stat()):
                return False
            path.rename(aside)
            mine = _identity(aside.stat()) == _identity(found)
        except FileNotFoundError:
            # Another worker has been quicker, the run was given up, or `runs.opened` was at it.
            return False
        if not mine:
            # The claim of a worker that was quicker. One that cannot be put back is missed by its
            # owner, whose process ends.
            with contextlib.suppress(OSError):
                os.link(aside, path)
        aside.unlink(missing_ok=True)
        return mine

    def _expired(self, found: os.stat_result) -> bool:
        """Whether a claim has stood like this for the lease, as this process has seen it."""
        state = (*_identity(found), found.st_ctime_ns)
        if self._seen is None or self._seen[0] != state:
            self._seen = state, time.monotonic()
        return time.monotonic() - self._seen[1] >= self._lease


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_ino, found.st_mtime_ns
