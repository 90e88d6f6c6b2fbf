"""Slurm's engine on submitit's local executor, which stands for Slurm here."""

import os
import pathlib
import signal
import time
import types

import pytest

from zoo.errors import UserError
from zoo.scheduling import driver, host, jobs, on_slurm
from zoo.scheduling.claims import CLAIM
from zoo.scheduling.progress import Progress

pytest.importorskip("submitit", reason="the extra slurm is not installed")
FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"


@pytest.fixture(autouse=True)
def _stubs_are_found(monkeypatch):
    """By the jobs, which are processes of their own."""
    monkeypatch.setenv("PYTHONPATH", f"{FIXTURES}{os.pathsep}{FIXTURES.parents[1]}")


@pytest.fixture
def engine(tmp_path, wait_until):
    """Two jobs, cancelled at the end."""
    made = on_slurm.Slurm(tmp_path / "slurm", 2, {"timeout_min": 30}, cluster="local")
    yield made
    made.stop(finished=True)
    # Processes that nobody waited for would be complained of in the next test.
    wait_until(lambda: not made.alive(), 60)


def _work(table) -> host.Work:
    return host.Work(jobs.dump(table), lease=60.0, threads=1)


def test_jobs_share_a_table(stub, engine, calls):
    table = [stub("a", "sleep=0.2"), stub("b", "once", "kill"), stub("c"), stub("d", "fail")]
    states = driver.drive(table, engine, _work(table), Progress())
    assert states == {"a": "done", "b": "done", "c": "done", "d": "failed"}
    assert [len(calls(job)) for job in table] == [1, 2, 1, 3]


def test_a_preempted_job_saves_and_goes_on(stub, engine, calls, wait_until):
    (job,) = table = [stub("run", "sleep=3")]
    engine._workers = 1
    engine.start(_work(table))
    wait_until(lambda: (job.folder / "checkpoints" / "steps").exists(), 60)
    (watcher,) = (int(j.job_id) for j in engine._jobs)
    (task,) = map(int, pathlib.Path(f"/proc/{watcher}/task/{watcher}/children").read_text().split())
    saved = int((job.folder / "checkpoints" / "steps").read_text())
    os.kill(task, signal.SIGUSR2)
    wait_until(lambda: job.state() == jobs.DONE and not (job.folder / CLAIM).exists(), 60)
    assert len(calls(job)) == 2 and saved < 300
    assert not (job.folder / "tries.json").exists()


def test_jobs_outlive_a_killed_driver_and_another_watches_on(
    stub, tmp_path, driver_process, printed_states, calls, wait_until
):
    table = [stub(f"run{k}", "sleep=1") for k in range(6)]
    by_jobs = {"workers": 2, "engine": "slurm", "where": str(tmp_path / "slurm")}
    killed = driver_process(table, **by_jobs)
    wait_until(lambda: any(job.state() == jobs.DONE for job in table), 60)
    killed.kill()
    assert set(printed_states(driver_process(table, **by_jobs)).values()) == {"done"}
    assert [len(calls(job)) for job in table] == [1] * len(table)


def test_no_slurm_and_unknown_parameters_are_a_line(stub, tmp_path):
    work = _work([stub("a")])
    with pytest.raises(UserError, match="no job can be submitted .*srun"):
        on_slurm.Slurm(tmp_path, 1, {}).start(work)
    with pytest.raises(UserError, match="colour"):
        on_slurm.Slurm(tmp_path, 1, {"colour": "red"}, cluster="local").start(work)


def test_after_the_deadline_waiting_jobs_are_cancelled(tmp_path, capsys):
    engine = on_slurm.Slurm(tmp_path, 3, {}, cluster="local")
    cancelled = []

    def job(state: str):
        return types.SimpleNamespace(
            state=state, done=lambda: False, job_id=state, cancel=lambda: cancelled.append(state)
        )

    engine._jobs = [job("PENDING"), job("RUNNING")]
    engine.stop(finished=False)
    assert not cancelled and "scancel PENDING RUNNING" in capsys.readouterr().err
    engine._deadline = time.time() - 1
    engine.stop(finished=False)
    assert cancelled == ["PENDING"] and not capsys.readouterr().err
