"""What scheduling costs: runs that do nothing, ten to ten thousand of them.

    python -m benchmarks.scale [--most=10000]

Prints milliseconds a run (local workers, from the first finished run of the table to the last, and
so without the start of the worker processes), the seconds of a look at all states, and the peak
memory of the driver; then how time grows with the number of runs: 1 is linear.
"""

import argparse
import math
import os
import pathlib
import resource
import tempfile
import time

from zoo import cores, machine
from zoo.scheduling import driver, host, jobs, local
from zoo.scheduling.progress import Progress

FOLDERS = 20


def main(arguments: list[str] | None = None) -> None:
    """A finished run: `DONE` in the folder `arguments[0]`; without arguments the benchmark."""
    if arguments:
        (pathlib.Path(arguments[0]) / "DONE").touch()
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=int, default=10_000, help="the largest table (10000)")
    parser.add_argument("--workers", type=int, default=2, help="processes at a time (2)")
    options = parser.parse_args()
    print(f"{machine.processor()}, {cores.count()} cores, {options.workers} workers")
    print(f"{'runs':>6} {'ms a run':>9} {'status, s':>10} {'driver, MB':>11}")
    counts = [10**k for k in range(1, 6) if 10**k <= options.most]
    spent = [measure(count, options.workers) for count in counts]
    if len(counts) > 2:
        # Small tables are mostly what any table costs.
        runs = (counts[-1] - 1) / (counts[-2] - 1)
        growth = math.log(spent[-1] / spent[-2]) / math.log(runs)
        print(f"seconds grow as runs to the power of {growth:.2f} from {counts[-2]:,} runs on")


def measure(count: int, workers: int) -> float:
    """Has a table done; prints a line and gives the seconds from the first `DONE` to the last."""
    with tempfile.TemporaryDirectory() as root:
        table = [_stub(pathlib.Path(root), k) for k in range(count)]
        states = driver.drive(
            table, local.Local(workers), host.Work(jobs.dump(table), threads=1), _Silent()
        )
        assert jobs.count(states.values())[jobs.DONE] == count
        times = [os.stat(job.folder / "DONE").st_mtime for job in table]
        seconds = max(times) - min(times)
        look = time.perf_counter()
        jobs.count(job.state() for job in table)
        look = time.perf_counter() - look
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    each = 1000 * seconds / (count - 1)
    print(f"{count:6d} {each:9.2f} {look:10.2f} {memory:11.0f}", flush=True)
    return seconds


def _stub(root: pathlib.Path, k: int) -> jobs.Job:
    folder = root / str(k % FOLDERS) / str(k)
    return jobs.Job(f"run {k}", folder, (jobs.Step("DONE", "benchmarks.scale", (str(folder),)),))


class _Silent(Progress):
    """Says nothing of its ten thousand runs."""

    def _say(self, line: str) -> None:
        del line


if __name__ == "__main__":
    main()
