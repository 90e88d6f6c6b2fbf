"""Runs tasks side by side, each in processes of its own; a failure is kept and told."""

import concurrent.futures
import os
import pathlib
import subprocess
import time
from collections.abc import Callable, Sequence

import filelock

from zoo.papers.tasks import FAILED, Task


def run(tasks: Sequence[Task], jobs: int, say: Callable[[str], None] = print) -> list[Task]:
    """Does what is left of every task, `jobs` at a time.

    Args:
        tasks: finished ones are passed over.
        jobs: how many processes at a time; they share the cores.
        say: is told what starts and ends.

    Returns:
        The tasks that failed.
    """
    left = [task for task in tasks if task.state() != "done"]
    if len(left) < len(tasks):
        say(f"{len(tasks) - len(left)} of {len(tasks)} runs are finished already")
    environment = _environment(jobs)
    children: set[subprocess.Popen] = set()
    failed = []
    executor = concurrent.futures.ThreadPoolExecutor(jobs)
    try:
        futures = {executor.submit(_do, task, environment, children): task for task in left}
        for count, future in enumerate(concurrent.futures.as_completed(futures), 1):
            task, (fine, text) = futures[future], future.result()
            say(f"[{count}/{len(left)}] {task}: {text}")
            if not fine:
                failed.append(task)
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        for child in list(children):
            child.terminate()
        raise
    executor.shutdown()
    return failed


def last_line(log: pathlib.Path) -> str:
    """The last line that a task's processes printed."""
    lines = log.read_text(errors="replace").replace("\r", "\n").split("\n") if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _do(task: Task, environment: dict, children: set) -> tuple[bool, str]:
    task.folder.mkdir(parents=True, exist_ok=True)
    if _in_use(task.folder):
        return True, "left to the process that is at it"
    if task.state() == "stale":
        changed = "; ".join(task.differences())
        return False, f"{task.folder} holds a run of other settings ({changed}); remove it"
    (task.folder / FAILED).unlink(missing_ok=True)
    begun = time.monotonic()
    with task.log.open("a") as log:
        for command in task.commands():
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )
            children.add(child)
            code = child.wait()
            children.discard(child)
            if code:
                (task.folder / FAILED).write_text(f"{code}\n")
                return False, f"failed ({last_line(task.log)}); see {task.log}"
    return True, f"done in {time.monotonic() - begun:.0f} s"


def _in_use(folder: pathlib.Path) -> bool:
    try:
        with filelock.FileLock(folder / ".lock").acquire(timeout=0):
            return False
    except filelock.Timeout:
        return True


def _environment(jobs: int) -> dict[str, str]:
    threads = str(max(1, len(os.sched_getaffinity(0)) // jobs))
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    return {**os.environ, **{name: os.environ.get(name, threads) for name in names}}
