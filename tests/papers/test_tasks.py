"""Enumeration, states, the pool and the command, with processes that do next to nothing."""

import dataclasses
import pathlib
import sys

import filelock
import pytest
import toy_tables as toy

from zoo import reproduce
from zoo.papers import pool, tasks
from zoo.papers.spec import Budget, Row


@pytest.fixture
def script(monkeypatch):
    """Replaces the training by a script that gets the folder as its argument."""

    def use(text: str) -> None:
        monkeypatch.setattr(
            tasks.Task,
            "commands",
            lambda task: (
                []
                if (task.folder / "DONE").exists()
                else [[sys.executable, "-c", text, str(task.folder), task.run.name, str(task.seed)]]
            ),
        )

    return use


FINISH = """
import pathlib, sys
folder = pathlib.Path(sys.argv[1])
with (folder / "count").open("a") as file:
    file.write("x")
(folder / "config.gin").write_text("train.seed = " + sys.argv[3])
(folder / "manifest.json").write_text('{"steps": 4, "batch_size": 16, "precision": "float32"}')
(folder / "scores.json").write_text('{"mig": {"score": 0.3}}')
(folder / "DONE").touch()
"""


def test_runs_are_listed_once_seed_by_seed(tmp_path):
    rows = [*toy.FIRST.rows, *toy.SECOND.rows]
    found = tasks.of_rows(rows, "cpu", tmp_path, seeds=2)
    assert [(t.run.name, t.seed) for t in found] == [
        ("toy/shared", 0),
        ("toy/reduced", 0),
        ("toy/shared", 1),
        ("toy/reduced", 1),
    ]
    # A budget that reduces nothing is the paper's: its runs are not made twice.
    assert [t.folder.relative_to(tmp_path).as_posix() for t in found[:2]] == [
        "paper/toy/shared/0",
        "cpu/toy/reduced/0",
    ]


def test_each_run_has_the_seeds_of_its_budget(tmp_path):
    count = {
        budget: len(tasks.of_rows([Row("r", toy.REDUCED)], budget, tmp_path))
        for budget in ("paper", "cpu")
    }
    assert count == {"paper": 3, "cpu": 2}


def test_command_of_a_run(tmp_path):
    (task, *_) = tasks.of_rows([Row("r", toy.REDUCED)], "cpu", tmp_path)
    (command,) = task.commands()
    assert command[:4] == [sys.executable, "-m", "zoo.train", f"--gin_file={toy.TOY_GIN}"]
    assert command[4] == f"--run_dir={tmp_path}/cpu/toy/reduced/0"
    assert command[5:] == [
        "--gin_bindings=BetaVAE.beta = 2.0",
        "--gin_bindings=train.steps = 4",
        "--gin_bindings=train.seed = 0",
    ]


def test_runs_of_a_table_share_the_precision_of_the_first_that_began(tmp_path, finish, monkeypatch):
    monkeypatch.setattr(tasks.machine, "_best", lambda: tasks.machine.Precision("float32", "here"))
    auto = dataclasses.replace(
        toy.REDUCED, cpu=Budget(("train.steps = 4", 'train.precision = "auto"'))
    )
    fixed, *found = tasks.of_rows([Row("f", toy.SHARED), Row("a", auto)], "cpu", tmp_path, 2)
    found = [task for task in found if task.run is auto]
    fresh = tasks.of_one_precision([fixed, *found], [fixed, *found])
    assert "--gin_bindings=train.precision = 'float32'" in fresh[1].commands()[0]
    assert not any("precision" in argument for argument in fresh[0].commands()[0])

    # One run has begun on a machine of another kind: it is of the same settings, and decides.
    finish(found[1])
    (found[1].folder / "DONE").unlink()
    path = found[1].folder / "config.gin"
    path.write_text(path.read_text() + "\ntrain.precision = 'mixed_bfloat16'")
    assert found[1].state().startswith("partial") and found[1].differences() == []
    (chosen,) = tasks.of_one_precision(found[:1], found)
    assert chosen.commands()[0][-1] == "--gin_bindings=train.precision = 'mixed_bfloat16'"


def test_states(tmp_path, finish):
    missing, done, stale, partial, failed = tasks.of_rows(
        [Row("r", toy.SHARED)], "cpu", tmp_path, 5
    )
    for task in (done, stale, partial, failed):
        finish(task)
    (stale.folder / "config.gin").write_text("train.seed = 2\nVAE.latent_dim = 7")
    for task in (partial, failed):
        (task.folder / "DONE").unlink()
    (partial.folder / "metrics.jsonl").write_text('{"step": 5}\n{"step": 10}\n{"st')
    (failed.folder / tasks.FAILED).touch()
    states = [t.state() for t in (missing, done, stale, partial, failed)]
    assert states == ["missing", "done", "stale", "partial (step 10)", "failed"]
    assert stale.differences() == ["VAE.latent_dim: 7 -> 4"]


def test_finished_runs_are_passed_over_and_broken_ones_go_on(tmp_path, script):
    script(FINISH)
    found = tasks.of_rows([Row("r", toy.SHARED)], "cpu", tmp_path, 3)
    told = []
    assert pool.run(found[:2], 2, told.append) == []
    assert sorted(told)[0].startswith("[1/2] ") and "done in" in told[0]
    (found[1].folder / "DONE").unlink()
    assert pool.run(found, 2, told.append) == []
    assert told[2] == "1 of 3 runs are finished already"
    assert [(t.folder / "count").read_text() for t in found] == ["x", "xx", "x"]


def test_a_failure_does_not_stop_the_others(tmp_path, script):
    script("import sys\nprint('before')\nif sys.argv[3] == '0': sys.exit('broke')\n" + FINISH)
    found = tasks.of_rows([Row("r", toy.SHARED)], "cpu", tmp_path, 2)
    told = []
    assert pool.run(found, 1, told.append) == [found[0]]
    assert f"failed (broke); see {found[0].log}" in told[0]
    assert [t.state() for t in found] == ["failed", "done"]
    script(FINISH)
    assert pool.run(found, 1, told.append) == []
    assert [t.state() for t in found] == ["done", "done"]
    assert found[0].log.read_text().startswith("before\nbroke\n")


def test_a_run_in_use_or_of_other_settings_is_left_alone(tmp_path, script, finish):
    script(FINISH)
    used, stale = tasks.of_rows([Row("r", toy.SHARED)], "cpu", tmp_path, 2)
    finish(stale)
    (stale.folder / "config.gin").write_text("train.steps = 61")
    used.folder.mkdir(parents=True)
    told = []
    with filelock.FileLock(used.folder / ".lock"):
        assert pool.run([used, stale], 1, told.append) == [stale]
    assert "left to the process that is at it" in told[0]
    assert "train.steps: 61 -> 60" in told[1] and "remove it" in told[1]
    assert not (used.folder / "count").exists() and not (stale.folder / "count").exists()


def test_threads_are_shared(monkeypatch):
    for name in ("TF_NUM_INTRAOP_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pool.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert pool._environment(4)["TF_NUM_INTRAOP_THREADS"] == "2"
    assert pool._environment(16)["OMP_NUM_THREADS"] == "1"


def test_command_trains_writes_and_tells_failures(tmp_path, script, toy_tables, capsys):
    script("import sys\nif sys.argv[2] == 'toy/reduced': sys.exit('broke')\n" + FINISH)
    arguments = ["--table=toy/first", "--seeds=1", "--jobs=1", f"--out={tmp_path}"]
    with pytest.raises(SystemExit) as stopped:
        reproduce.main([*arguments, f"--results={tmp_path}/RESULTS.md"])
    assert stopped.value.code == 1
    printed = capsys.readouterr()
    assert f"failed: cpu/toy/reduced seed 0: broke (log: {tmp_path}" in printed.err
    assert "| good | 0.50 ± 0.10 | 0.30 |" in (tmp_path / "toy/first.md").read_text()
    assert "## toy/first" in (tmp_path / "results/toy.md").read_text()
    reproduce.main([*arguments, "--status"])
    shown = capsys.readouterr().out.splitlines()
    assert shown == [
        "   0  paper/toy/shared seed 0: done",
        "   1  cpu/toy/reduced seed 0: failed",
        "1 done, 1 failed",
    ]


def test_index_runs_one(tmp_path, script, toy_tables):
    script(FINISH)
    reproduce.main(["--table=toy/first", "--index=1", "--seeds=1", f"--out={tmp_path}"])
    made = [p.parent.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("DONE")]
    assert made == ["cpu/toy/reduced/0"]


def test_list(toy_tables, capsys):
    reproduce.main(["--list"])
    shown = capsys.readouterr().out
    assert "toy/first: Two models" in shown
    assert "paper: 3 seeds; cpu: 2 seeds, train.steps = 4" in shown
    assert "absent: no configuration yet" in shown


@pytest.mark.parametrize(
    "arguments, part",
    [
        (["--table=toy/frist"], "the nearest is toy/first"),
        (["--table=toy/first", "--rows=good,nothing*"], "matches 'nothing*'; it has good, small"),
        (["--table=toy/first", "--budget=huge"], "'huge'; there are paper, cpu"),
        (["--table=toy/first", "--index=12"], "there are runs 0 to 11"),
        (["--table=toy/first", "--seeds=0"], "--seeds"),
        (["--table=toy/first", "--jobs=x"], "--jobs"),
        ([], "give a --table"),
    ],
)
def test_bad_input_is_one_line(arguments, part, toy_tables, fails, tmp_path):
    if "--budget=huge" not in arguments and arguments:
        arguments = [*arguments, f"--out={tmp_path}"]
    assert part in fails(reproduce.main, *arguments)
    assert list(pathlib.Path(tmp_path).iterdir()) == []
