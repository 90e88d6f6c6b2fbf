"""The engine of Slurm, by submitit: each Slurm job hosts a worker that takes run after run.

Before a job's time is over, or when it is preempted, its run is saved and the job is queued again.
The jobs need no driver: a command that ends leaves them, and the same command watches on.
"""

import concurrent.futures
import pathlib
import sys
import time
from collections.abc import Mapping

from zoo.errors import UserError
from zoo.scheduling.extras import imported
from zoo.scheduling.host import Host, Work

# What submitit's executors have in common; all else is Slurm's.
_SHARED = {
    *("cpus_per_task", "gpus_per_node", "mem_gb", "name", "nodes", "stderr_to_stdout"),
    *("tasks_per_node", "timeout_min"),
}
# Slurm's states of a job that has no place, and submitit's of one that Slurm does not list yet.
_WAITING = ("PENDING", "REQUEUED", "UNKNOWN")
_DEFAULTS = {"name": "zoo", "timeout_min": 24 * 60, "cpus_per_task": 1}


class Slurm:
    """Workers in jobs of a Slurm cluster.

    Args:
        folder: where the jobs write what they print; seen from all nodes.
        workers: how many jobs.
        parameters: of a job, such as `partition`, `gpus_per_node`, `timeout_min`.
        cluster: of submitit; None for Slurm.

    Raises:
        UserError: submitit is not installed.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        workers: int,
        parameters: Mapping[str, str | int],
        cluster: str = "slurm",
    ):
        self._submitit = imported("submitit")
        self._folder, self._workers, self._cluster = folder, workers, cluster
        self._parameters = {**_DEFAULTS, **parameters}
        self._jobs, self._deadline = [], None

    def start(self, work: Work) -> None:
        """Submits the jobs.

        Raises:
            UserError: there is no Slurm here, or it refuses a parameter.
        """
        self._deadline = work.deadline
        try:
            # Preemptions and time-outs are what the jobs are made for.
            executor = self._submitit.AutoExecutor(
                self._folder.resolve() / "%j", cluster=self._cluster, slurm_max_num_timeout=10_000
            )
            executor.update_parameters(
                **{k if k in _SHARED else f"slurm_{k}": v for k, v in self._parameters.items()}
            )
            with executor.batch():
                self._jobs = [executor.submit(_Worker(work)) for _ in range(self._workers)]
        except (RuntimeError, NameError, ValueError, TypeError, OSError) as error:
            line = str(error).strip().splitlines()[0]
            raise UserError(f"--engine=slurm: no job can be submitted ({line})") from None
        ids = ", ".join(job.job_id for job in self._jobs)
        print(f"Slurm jobs {ids}, which print into {self._folder}", file=sys.stderr)

    def alive(self) -> bool:
        """Whether any job is queued or runs."""
        return not all(job.done() for job in self._jobs)

    def stop(self, finished: bool) -> None:
        """Cancels jobs that found nothing left, or too late; others continue without this command.

        After the deadline those that run save and end by themselves.
        """
        left = [job for job in self._jobs if not job.done()]
        late = self._deadline is not None and time.time() >= self._deadline
        if finished or late:
            for job in left:
                if finished or job.state in _WAITING:
                    job.cancel()
        elif left:
            ids = " ".join(dict.fromkeys(job.job_id.partition("_")[0] for job in left))
            print(f"the Slurm jobs continue; scancel {ids} ends them", file=sys.stderr)


class _Worker:
    """What a job calls; submitit has it saved and queued again before the job must end."""

    def __init__(self, work: Work):
        self._work = work
        self._host: Host | None = None

    def __call__(self) -> int:
        self._host = Host(self._work)
        # Not by this thread: `checkpoint` is called in a signal's handler, amid what this one does.
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            return executor.submit(self._host.run).result()

    def checkpoint(self):
        """Saves the run; what to call in the job that follows."""
        if self._host:
            self._host.stop()
        return imported("submitit").helpers.DelayedSubmission(_Worker(self._work))
