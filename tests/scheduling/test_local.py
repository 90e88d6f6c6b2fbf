"""Local workers: nothing lost, nothing done twice, whoever is killed."""

import argparse
import dataclasses
import errno
import os
import pathlib
import pickle
import signal
import subprocess
import sys
import threading
import time
import types

import pytest

from zoo import files, runs, stopping
from zoo.errors import UserError
from zoo.scheduling import command, driver, extras, host, jobs, local, on_ray, worker
from zoo.scheduling.claims import CLAIM, Claim
from zoo.scheduling.progress import Progress
from zoo.scheduling.tries import LIMIT, Tries


@pytest.fixture
def drive():
    """Has local workers do a table; gives the states."""

    def call(table, workers=1, deadline=None):
        work = host.Work(jobs.dump(table), deadline, lease=60.0, threads=1)
        return driver.drive(table, local.Local(workers), work, Progress())

    return call


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_worker_takes_run_after_run_and_finished_ones_are_passed_over(stub, drive, calls):
    table = [stub(f"run{k}", f"print={k}") for k in range(4)]
    table[2].folder.mkdir(parents=True)
    (table[2].folder / "DONE").touch()
    assert set(drive(table).values()) == {"done"}
    done = [calls(job) for job in table]
    assert done[2] == [] and len({pid for pids in done for pid in pids}) == 1
    assert [len(pids) for pids in done] == [1, 1, 0, 1]
    assert table[1].log.read_text() == "1\n"
    assert not (table[0].folder / CLAIM).exists() and not (table[0].folder / Tries.FILE).exists()


def test_a_failed_run_is_tried_again_after_the_others_and_set_aside(stub, drive, calls):
    table = [stub("never", "fail"), stub("later", "once", "fail"), stub("fine")]
    assert drive(table) == {"never": "failed", "later": "done", "fine": "done"}
    assert [len(calls(job)) for job in table] == [LIMIT, 2, 1]
    assert Tries.of(table[0].folder).failures == ["broke"] * LIMIT
    # Done beats failed, whoever wrote what.
    (table[0].folder / "DONE").touch()
    assert drive(table[:1]) == {"never": "done"}
    assert len(calls(table[0])) == LIMIT


def test_a_process_that_a_run_has_harmed_is_replaced(stub, drive, calls):
    table = [stub("breaks", "once", "break"), stub("killed", "once", "kill"), stub("fine")]
    assert set(drive(table).values()) == {"done"}
    (first, later), (killed, again), (fine,) = map(calls, table)
    # The run that was lost is begun again at once, the one that failed after the others.
    assert len({first, killed, fine}) == 3 and {later, again} == {fine}
    assert "RuntimeError: broken" in table[0].log.read_text()


def test_a_process_that_has_grown_is_replaced(stub, calls, monkeypatch):
    # TensorFlow keeps the XLA programs of finished runs: a worker of 50 runs held 2.9 GB.
    table = [stub(f"run{k}") for k in range(4)]
    sizes = iter([4 * worker.GROWTH, 5 * worker.GROWTH, 5 * worker.GROWTH + 1])
    memory = types.SimpleNamespace(memory_info=lambda: types.SimpleNamespace(rss=next(sizes)))
    monkeypatch.setattr(worker.psutil, "Process", lambda: memory)
    with pytest.raises(worker.Spoilt, match="grown"):
        worker.work(table, pause=0.01)
    assert [job.state() for job in table] == ["done"] * 3 + ["left"]
    assert not any((job.folder / CLAIM).exists() for job in table)


def test_a_run_that_kills_its_process_is_set_aside(stub, drive, calls):
    table = [stub("bomb", "kill"), stub("fine")]
    assert drive(table) == {"bomb": "failed", "fine": "done"}
    assert len(calls(table[0])) == LIMIT
    assert "lost" in Tries.of(table[0].folder).failures[-1]


def test_losses_of_a_run_that_gets_further_are_no_failures(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for k in range(2 * LIMIT):
        Tries.of(tmp_path).begin()
        later = (tmp_path / Tries.FILE).stat().st_mtime + 1
        saved = tmp_path / "checkpoints" / f"ckpt-{k}.index"
        saved.touch()
        os.utime(saved, (later, later))
    assert Tries.of(tmp_path).failures == []


def test_a_checkpoint_that_was_only_begun_is_no_progress(tmp_path):
    for _ in range(LIMIT + 1):
        Tries.of(tmp_path).begin()
        later = (tmp_path / Tries.FILE).stat().st_mtime + 1
        begun = tmp_path / "checkpoints" / ".ckpt-1000"
        begun.mkdir(parents=True, exist_ok=True)
        os.utime(begun, (later, later))
    assert len(Tries.of(tmp_path).failures) == LIMIT


@pytest.mark.parametrize("damage", ["", "[]", '{"failures": 3}', "\0"])
def test_damaged_tries_are_none(tmp_path, damage):
    (tmp_path / Tries.FILE).write_text(damage)
    assert Tries.of(tmp_path).failures == []


def test_the_deadline_stops_and_the_same_table_goes_on(stub, drive, calls):
    (job, _) = table = [stub("long", "once", "sleep=60"), stub("next")]
    for seconds in (0.1, 2, 10, 30):
        assert drive(table, deadline=time.time() + seconds) == {"long": "left", "next": "left"}
        if calls(job):
            break
    assert not (job.folder / Tries.FILE).exists() and not (job.folder / CLAIM).exists()
    assert set(drive(table).values()) == {"done"}
    assert len(calls(job)) == 2


def test_workers_elsewhere_have_the_working_directory_of_the_command(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "raylet").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    step = jobs.Step("DONE", "stub_runs", ("runs/r",))
    work = host.Work(jobs.dump([jobs.Job("r", pathlib.Path("runs/r"), (step,))]), threads=1)
    monkeypatch.chdir(tmp_path / "raylet")
    assert host.Host(work).run() == worker.FINISHED
    assert (tmp_path / "here" / "runs" / "r" / "DONE").exists()
    assert not list((tmp_path / "raylet").iterdir())
    # A machine without that folder has the settings' whole paths.
    assert host.Host(dataclasses.replace(work, place="/not/there")).run() == worker.FINISHED


def test_work_that_an_earlier_version_has_queued_is_done(stub):
    job = stub("run")
    # Without what has a default that only `__init__` gives.
    kept = {"jobs": jobs.dump([job]), "deadline": None, "lease": 60.0, "threads": 1}
    old = object.__new__(host.Work)
    old.__dict__.update(kept)
    assert host.Host(pickle.loads(pickle.dumps(old))).run() == worker.FINISHED
    assert job.state() == jobs.DONE


def test_a_second_order_to_stop_leaves_a_worker_saving(stub, calls, wait_until):
    job = stub("run", "save=3")
    made = host.Host(host.Work(jobs.dump([job]), threads=1))
    running = threading.Thread(target=made.run)
    running.start()
    wait_until((job.folder / "begun").exists)
    # Slurm's warning is for the host.
    os.kill(made.pid, signal.SIGUSR2)
    # As a machine that shuts down asks all processes, and then the command its workers.
    os.kill(made.pid, signal.SIGTERM)
    wait_until((job.folder / "saving").exists)
    time.sleep(stopping.TOGETHER + 0.2)
    made.stop()
    running.join()
    assert (job.folder / "saved").exists() and len(calls(job)) == 1
    assert job.state() == jobs.LEFT and not (job.folder / Tries.FILE).exists()


@pytest.mark.parametrize("error", ["mendable", "system"])
def test_a_worker_that_cannot_save_when_told_to_end_begins_no_other_run(
    stub, calls, wait_until, error
):
    table = [stub("full", "once", f"full={error}"), stub("next")]
    made = host.Host(host.Work(jobs.dump(table), threads=1))
    codes = []
    running = threading.Thread(target=lambda: codes.append(made.run()))
    running.start()
    wait_until((table[0].folder / "begun").exists)
    os.kill(made.pid, signal.SIGTERM)
    running.join()
    assert codes == [worker.UNFINISHED] and not calls(table[1])
    assert "no space left" in Tries.of(table[0].folder).failures[0]


def test_the_deadline_and_the_host_ask_a_worker_once(monkeypatch):
    sent = []
    for module, name in ((worker, "_asked"), (stopping, "_came")):
        monkeypatch.setattr(module, name, threading.Event())
    monkeypatch.setattr(worker.os, "kill", lambda pid, number: sent.append(number))
    monkeypatch.setattr(worker.threading, "Timer", lambda *_: threading.Thread())
    worker._stop()
    worker._stop()
    assert sent == [signal.SIGTERM]


@pytest.fixture
def stale(monkeypatch):
    """Has the next so many lists of a folder fail, as NFS does now and then."""

    def fail(times: int) -> None:
        left, listdir = [errno.ESTALE] * times, os.listdir

        def listed(path):
            if left:
                raise OSError(left.pop(), "Stale file handle", str(path))
            return listdir(path)

        monkeypatch.setattr(jobs.os, "listdir", listed)

    return fail


def test_a_folder_that_cannot_be_listed_now_is_looked_at_again(stub, stale, capfd):
    table = [stub("a"), stub("b")]
    stale(3)
    assert worker.work(table, pause=0.01) is True
    assert [job.state() for job in table] == ["done"] * 2
    stale(worker._LOOKS)
    assert worker.work([stub("c")], pause=0.001) is False
    assert "c is passed over: OSError" in capfd.readouterr().err


@pytest.mark.parametrize("place", ["the folder", "the claim", "the note", "the list"])
def test_a_run_that_cannot_be_begun_now_is_begun_later(stub, calls, monkeypatch, place):
    owner, name = {
        "the folder": (pathlib.Path, "mkdir"),
        "the claim": (Claim, "_acquire"),
        "the note": (Tries, "_write"),
        "the list": (jobs.Job, "left"),
    }[place]
    left, whole = [errno.ESTALE] * 3, getattr(owner, name)

    def failing(*args, **kwargs):
        if left:
            raise OSError(left.pop(), "Stale file handle")
        return whole(*args, **kwargs)

    monkeypatch.setattr(owner, name, failing)
    job = stub("run")
    assert worker.work([job], pause=0.01) is True
    assert not left and job.state() == jobs.DONE and len(calls(job)) == 1
    assert sorted(p.name for p in job.folder.glob(".*")) == []


class _Waiting:
    """An engine whose workers wait for a place, for so many looks."""

    def __init__(self, looks: int = 1000, before=lambda: None):
        self.looks, self._before = looks, before

    def start(self, work):
        self._before()

    def alive(self):
        self.looks -= 1
        assert self.looks > -2, "it is watched for ever"
        return self.looks >= 0

    def stop(self, finished):
        pass


def test_a_driver_outlives_a_folder_that_cannot_be_listed(stub, stale, monkeypatch):
    job = stub("run")
    work = host.Work(jobs.dump([job]))
    engine = _Waiting(2, before=lambda: stale(1))
    assert driver.drive([job], engine, work, Progress()) == {"run": "left"}
    assert engine.looks == -1
    # Nor does a command end with it before its workers look.
    monkeypatch.setattr(local, "Local", lambda *_: _Waiting(1))
    stale(3)
    outcome = command.run([job], _options("--retry", "--jobs=1"))
    assert outcome.lines == ("1 of 1 runs are left; the same command resumes them",)


def test_the_deadline_ends_a_command_whose_workers_have_no_place(stub, monkeypatch):
    job = stub("run")
    late = time.time() - driver._TIDYING - 1
    engine = _Waiting(5)
    work = host.Work(jobs.dump([job]), late)
    assert driver.drive([job], engine, work, Progress()) == {"run": "left"}
    assert engine.looks == 5
    # One that is at a run has time for saving.
    job.folder.mkdir(parents=True)
    (job.folder / CLAIM).touch()
    assert driver.drive([job], engine, work, Progress()) == {"run": "running"}
    assert engine.looks == -1


def _options(*arguments: str):
    parser = argparse.ArgumentParser()
    command.add_flags(parser)
    return parser.parse_args(arguments)


def test_workers_on_one_gpu_leave_one_another_memory():
    growth = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    shared, apart = local.Local(2, ("0", "0")), local.Local(2, ("0", "1"))
    assert all(growth.items() <= device.items() for device in shared.environments)
    assert not any(growth.items() <= device.items() for device in apart.environments)


def test_the_first_workers_environment_is_known_before_it_starts(monkeypatch):
    monkeypatch.setattr(command.local, "gpus", lambda: ("0", "1"))
    for flags, device in {
        ("--devices=none",): {"CUDA_VISIBLE_DEVICES": "-1"},
        ("--devices=1,0",): {"CUDA_VISIBLE_DEVICES": "1"},
        ("--jobs=8",): {"CUDA_VISIBLE_DEVICES": "0"},
        ("--engine=slurm",): {},
    }.items():
        found = command.environment(_options(*flags))
        found.pop("TF_FORCE_GPU_ALLOW_GROWTH", None)
        assert found == device


def test_finished_runs_have_no_workers(stub, monkeypatch):
    table = [stub(f"run{k}") for k in range(8)]
    for job in table[1:]:
        job.folder.mkdir(parents=True)
        (job.folder / "DONE").touch()
    started = []

    def drive(table, engine, work, progress):
        started.append((len(engine.environments), work.threads))
        return {job.name: job.state() for job in table}

    monkeypatch.setattr(command.driver, "drive", drive)
    monkeypatch.setattr(command.cores, "count", lambda: 8)
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    command.run(table, _options("--devices=none"))
    assert started == [(1, 8)]


def test_failures_that_another_command_has_just_removed(stub, monkeypatch):
    states = {"run": jobs.FAILED}
    monkeypatch.setattr(command.driver, "drive", lambda *_: states)
    outcome = command.run([stub("run")], _options("--jobs=1"))
    assert outcome.code == command.RUN_FAILED
    assert "failed: run: its failures were removed meanwhile" in outcome.lines[0]


def test_two_drivers_on_one_table_share_it(stub, driver_process, printed_states, calls):
    table = [stub(f"run{k}", "sleep=0.1") for k in range(12)]
    first, second = driver_process(table), driver_process(table[::-1])
    assert set(printed_states(first).values()) == {"done"} == set(printed_states(second).values())
    done = [calls(job) for job in table]
    assert [len(pids) for pids in done] == [1] * 12
    assert len({pid for pids in done for pid in pids}) == 2


@pytest.mark.usefixtures("nothing_ignored")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_workers_end_with_their_driver_and_another_goes_on(
    stub, driver_process, printed_states, calls, wait_until, number
):
    table = [stub(f"run{k}", "sleep=1") for k in range(2)]
    process = driver_process(table, workers=2)
    wait_until(lambda: all((job.folder / "checkpoints" / "steps").exists() for job in table))
    pids = [pid for job in table for pid in calls(job)]
    process.send_signal(number)
    process.wait(20)
    wait_until(lambda: not any(map(_alive, pids)))
    # They ended in an orderly way: no claim, no failure, and the runs are left.
    assert [job.state() for job in table] == ["left"] * 2
    assert not any((job.folder / Tries.FILE).exists() for job in table)
    assert set(printed_states(driver_process(table, workers=2)).values()) == {"done"}
    assert [len(calls(job)) for job in table] == [2, 2]


def test_a_driver_below_nohup_outlives_its_terminal(
    stub, driver_process, printed_states, calls, wait_until
):
    (job,) = table = [stub("run", "sleep=1")]
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = driver_process(table)
    finally:
        signal.signal(signal.SIGHUP, before)
    wait_until((job.folder / "checkpoints" / "steps").exists)
    process.send_signal(signal.SIGHUP)
    assert printed_states(process) == {"run": "done"} and len(calls(job)) == 1


def test_a_lost_workers_run_is_taken_over(stub, driver_process, printed_states, calls, wait_until):
    table = [stub(f"run{k}", "sleep=0.5") for k in range(3)]
    process = driver_process(table)
    wait_until(lambda: (table[1].folder / "count").exists())
    os.kill(calls(table[1])[0], signal.SIGKILL)
    assert set(printed_states(process).values()) == {"done"}
    assert [len(calls(job)) for job in table] == [1, 2, 1]


def test_a_frozen_workers_run_is_taken_over_after_its_lease(
    stub, driver_process, printed_states, calls, wait_until
):
    (job,) = table = [stub("run", "sleep=1")]
    frozen = driver_process(table, lease=3.0)
    wait_until(lambda: (job.folder / "checkpoints" / "steps").exists())
    (pid,) = calls(job)
    os.kill(pid, signal.SIGSTOP)
    try:
        assert printed_states(driver_process(table, lease=3.0)) == {"run": "done"}
        assert len(calls(job)) == 2
    finally:
        os.kill(pid, signal.SIGCONT)
    # It finds its claim gone and ends at once.
    assert printed_states(frozen) == {"run": "done"}
    wait_until(lambda: not _alive(pid))


def test_a_process_that_lost_its_claim_asks_to_be_replaced(tmp_path, monkeypatch, wait_until):
    codes = []
    monkeypatch.setattr(os, "_exit", codes.append)
    claim = Claim(tmp_path, lease=0.3)
    assert claim.take()
    (tmp_path / CLAIM).unlink()
    wait_until(lambda: codes)
    claim.release()
    assert codes == [worker.RENEW]


@pytest.fixture
def left_claim(tmp_path):
    """Has a process that is gone claim a run, for 0.2 s, on another machine if wanted."""

    def leave(elsewhere: bool) -> None:
        code = "import os, pathlib, sys; from zoo.scheduling.claims import Claim; "
        code += "claim = Claim(pathlib.Path(sys.argv[1]), 0.2); claim.take(); os._exit(0)"
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
        marker = tmp_path / CLAIM
        lines = marker.read_text().splitlines()
        if elsewhere:
            lines = ["host=elsewhere" if line.startswith("host=") else line for line in lines]
        marker.chmod(0o600)
        marker.write_text("\n".join(lines) + "\n")

    return leave


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_lost_claim_is_taken_over_where_files_cannot_be_exchanged(
    left_claim, tmp_path, monkeypatch, wait_until, elsewhere
):
    # As NFS does; filelock then leaves the claim where it is, without a word.
    refused = (lambda source, target, flags: errno.EINVAL), 2
    monkeypatch.setattr("filelock._filesystem._exchange._rename_call", lambda: refused)
    left_claim(elsewhere)
    claim = Claim(tmp_path, 0.2)
    assert not claim.take()
    wait_until(claim.take, 10)
    assert not Claim(tmp_path, 0.2).take()
    claim.release()
    assert list(tmp_path.iterdir()) == []


def test_the_claim_of_a_quicker_worker_is_put_back(left_claim, tmp_path, monkeypatch):
    left_claim(True)
    slow, rename = Claim(tmp_path, 0.2), pathlib.Path.rename
    monkeypatch.setattr(slow, "_expired", lambda found: True)

    def late(path, target):
        path.unlink()
        path.write_text("of the quicker one")
        return rename(path, target)

    monkeypatch.setattr(pathlib.Path, "rename", late)
    assert not slow.take()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["of the quicker one"]


def test_a_claim_that_a_command_tidies_away_is_not_there(left_claim, tmp_path, monkeypatch):
    left_claim(True)
    slow, rename = Claim(tmp_path, 0.2), pathlib.Path.rename
    monkeypatch.setattr(slow, "_expired", lambda found: True)

    def tidied(path, target):
        moved = rename(path, target)
        assert files.remove_leftovers(tmp_path) == [moved]

    monkeypatch.setattr(pathlib.Path, "rename", tidied)
    assert not slow.take()
    assert slow.take()
    slow.release()


def test_a_run_that_another_command_is_at_is_waited_for(tmp_path, monkeypatch, wait_until):
    step = jobs.Step("DONE", "opens_runs", ())
    job, asked = jobs.Job("run", tmp_path, (step,)), []

    def main(arguments):
        begun = time.monotonic()
        try:
            with runs.opened(tmp_path) as folder:
                folder.finish()
        finally:
            asked.append(begun)

    monkeypatch.setitem(sys.modules, "opens_runs", types.SimpleNamespace(main=main))
    monkeypatch.setattr(worker, "_LOCKED", 10)
    with runs.opened(tmp_path):
        with pytest.raises(runs.InUse):
            worker.attempt(job, Claim(tmp_path))
        # Its log is that of the other command's run, too, and its tries are none.
        assert job.log.read_bytes() == b"" and not (tmp_path / Tries.FILE).exists()
        working = threading.Thread(target=worker.work, args=([job],), kwargs={"pause": 0.1})
        working.start()
        wait_until(lambda: len(asked) == 2)
    working.join()
    # Not at each look at what other workers are at.
    assert len(asked) == 3 and asked[2] - asked[1] >= 1.0
    assert job.state() == jobs.DONE


def test_a_folder_that_cannot_be_written_is_passed_over(stub, capfd):
    table = [stub("bad"), stub("good")]
    table[0].folder.parent.mkdir(parents=True)
    table[0].folder.write_text("a file where a folder belongs")
    assert worker.work(table, pause=0.01) is False
    assert [job.state() for job in table] == ["left", "done"]
    assert "bad is passed over: FileExistsError" in capfd.readouterr().err


def test_a_table_survives_being_sent(stub):
    table = [stub("a", "print=ü"), stub("b")]
    assert jobs.load(jobs.dump(table)) == table


@pytest.mark.parametrize("module, extra", [("ray", "ray"), ("submitit", "slurm")])
def test_a_missing_engine_is_named_with_its_extra(module, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=rf"pip install 'disentanglement-zoo\[{extra}\]'"):
        extras.imported(module)


def test_an_address_that_cannot_be_asked_is_a_line(monkeypatch):
    with pytest.raises(UserError, match=r"--address=head\.\.node:6379: nothing answers .*label"):
        on_ray._require_answer("head..node:6379")

    def late(*_):
        raise TimeoutError("timed out")

    monkeypatch.setattr(on_ray.socket, "create_connection", late)
    with pytest.raises(UserError, match=r"nothing answers there \(timed out\)"):
        on_ray._require_answer("ray://head-node:10001")


@pytest.mark.parametrize(
    "text, seconds",
    [("2h30m", 9000.0), ("90m", 5400.0), ("45s", 45.0), ("45", 45.0), ("1h1m1s", 3661.0)],
)
def test_durations(text, seconds):
    assert command.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "1d", "-3", "1.5h", "1h30", "5m10"])
def test_bad_durations(text):
    with pytest.raises(ValueError):
        command.duration(text)


def test_progress_says_what_the_jobs_are(stub, capsys):
    table = [stub("pair", "print=0")]
    Progress(noun="comparisons of seeds").begin(table, {"pair": jobs.DONE})
    assert capsys.readouterr().err == "1 of 1 comparisons of seeds are finished already\n"


def test_a_run_that_succeeds_in_the_end_is_announced_without_its_failures(stub, capsys):
    table = [stub("good"), stub("bad")]
    for job in table:
        job.folder.mkdir(parents=True)
        Tries(job.folder, ["broke"] * LIMIT).stop()
    progress = Progress()
    progress.begin(table, {"good": jobs.RUNNING, "bad": jobs.RUNNING})
    progress.show({"good": jobs.DONE, "bad": jobs.FAILED})
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "good: done" and said[1].startswith("bad: failed: broke (log: ")
