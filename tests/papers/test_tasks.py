"""Enumeration, states and the command, with runs that do next to nothing."""

import dataclasses
import json
import pathlib

import pytest
import toy_tables as toy

from zoo import gin_text, reproduce
from zoo.papers import catalog, kept, results, tasks
from zoo.papers.spec import Budget, Column, Evaluation, Row, Run, Table
from zoo.scheduling import command
from zoo.scheduling.jobs import Job, Step
from zoo.scheduling.tries import LIMIT, Tries


@pytest.fixture
def stubs(monkeypatch):
    """Replaces what runs call by `stub_runs.main`, with words by the name of the run."""

    def use(**words: str) -> None:
        def job(task: tasks.Task) -> Job:
            said = words.get(task.run.name.rpartition("/")[2], "")
            arguments = (str(task.folder), *said.split())
            return Job(str(task), task.folder, (Step("DONE", "stub_runs", arguments),))

        monkeypatch.setattr(tasks.Task, "job", job)

    return use


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


def test_commands_of_a_run(tmp_path):
    run = dataclasses.replace(toy.REDUCED, evaluations=(Evaluation("corner", "toy", "mig"),))
    (task, *_) = tasks.of_rows([Row("r", run)], "cpu", tmp_path)
    train, evaluate = task.job().steps
    assert (train.product, train.module) == ("DONE", "zoo.train")
    folder = f"{tmp_path}/cpu/toy/reduced/0"
    assert train.arguments == (
        f"--gin_file={toy.TOY_GIN}",
        f"--run_dir={folder}",
        "--gin_bindings=BetaVAE.beta = 2.0",
        "--gin_bindings=train.steps = 4",
        "--gin_bindings=train.seed = 0",
    )
    assert (evaluate.product, evaluate.module) == ("corner.json", "zoo.evaluate")
    # A score that fails leaves the run undone.
    assert evaluate.arguments[-2:] == ("--strict", f"--out={folder}/corner.json")


def test_scores_on_further_data_import_what_the_gin_file_does(tmp_path):
    (tmp_path / "parts.gin").write_text("import parts.of_hers\nfrom parts import more\n")
    (tmp_path / "hers.gin").write_text(f"include '{tmp_path / 'parts.gin'}'\nimport hers\n")
    bindings = ("import hers", "import its", "train.steps = 4")
    run = Run(
        "hers/run",
        str(tmp_path / "hers.gin"),
        bindings,
        evaluations=(Evaluation("far", "hers/far", "mig"),),
    )
    (task, *_) = tasks.of_rows([Row("r", run)], "paper", tmp_path)
    found = [text for text in task.job().steps[1].arguments if text.startswith("--import")]
    modules = ("parts.of_hers", "parts.more", "hers", "its")
    assert found == [f"--import={module}" for module in modules]


def test_commands_of_a_run_hold_in_any_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (task, *_) = tasks.of_rows([Row("r", toy.REDUCED)], "cpu", pathlib.Path("out"))
    assert f"--run_dir={tmp_path}/out/cpu/toy/reduced/0" in task.job().steps[0].arguments


def test_runs_of_a_table_share_the_precision_of_the_first_that_began(tmp_path, finish, monkeypatch):
    monkeypatch.setattr(tasks.machine, "_best", lambda: tasks.machine.Precision("float32", "here"))
    auto = dataclasses.replace(
        toy.REDUCED, cpu=Budget(("train.steps = 4", 'train.precision = "auto"'))
    )
    fixed, *found = tasks.of_rows([Row("f", toy.SHARED), Row("a", auto)], "cpu", tmp_path, 2)
    found = [task for task in found if task.run is auto]
    fresh = tasks.of_one_precision([fixed, *found], [fixed, *found])
    arguments = [task.job().steps[0].arguments for task in fresh]
    assert "--gin_bindings=train.precision = 'float32'" in arguments[1]
    assert not any("precision" in argument for argument in arguments[0])

    # One run has begun on a machine of another kind: it is of the same settings, and decides.
    finish(found[1])
    (found[1].folder / "DONE").unlink()
    path = found[1].folder / "config.gin"
    path.write_text(path.read_text() + "\ntrain.precision = 'mixed_bfloat16'")
    assert found[1].state().startswith("partial") and found[1].differences() == []
    # Another keeps what it has begun in, or it could not be resumed.
    finish(found[0])
    other = found[0].folder / "config.gin"
    text = other.read_text()
    other.write_text(text + "\ntrain.precision = 'float32'")
    both = tasks.of_one_precision(found, found[::-1])
    bound = [task.job().steps[0].arguments[-1].partition(" = ")[2] for task in both]
    assert bound == ["'float32'", "'mixed_bfloat16'"]
    other.unlink()
    (chosen,) = tasks.of_one_precision(found[:1], found)
    assert (
        chosen.job().steps[0].arguments[-1] == "--gin_bindings=train.precision = 'mixed_bfloat16'"
    )


def test_a_score_on_further_data_that_always_fails_takes_no_others_with_it(tmp_path, finish):
    corner = (Evaluation("corner", "toy", "mig"),)
    run = dataclasses.replace(toy.SHARED, evaluations=corner)
    columns = (toy.COLUMNS[0], Column("corner", ("mig", "score"), file="corner.json"))
    table = Table("toy/corner", "Two data sets", columns, (Row("r", run),))
    failed, whole, left, broken = tasks.of_rows(table.rows, "cpu", tmp_path, 4)
    for task in (failed, whole, left, broken):
        finish(task, mig=0.5 + task.seed)
    (whole.folder / "corner.json").write_text('{"mig": {"score": 0.1}}')
    (broken.folder / "DONE").unlink()
    for task in (failed, broken):
        for _ in range(LIMIT):
            Tries.of(task.folder).fail("broke")
    assert [task.state()[:6] for task in (failed, whole, left)] == ["failed", "done", "partia"]
    (result,) = results.of_table(table, tmp_path)["r"]
    assert result.numbers == {"MIG": {0: 0.5, 1: 1.5}, "corner": {1: 0.1}}
    assert result.seeds == [0, 1] and "nan 0.1" in kept.as_csv(table, {"r": [result]})


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
    for _ in range(LIMIT):
        Tries.of(failed.folder).fail("broke")
    states = [t.state() for t in (missing, done, stale, partial, failed)]
    assert states == ["missing", "done", "stale", "partial (step 10)", "failed"]
    assert stale.differences() == ["VAE.latent_dim: 7 -> 4"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"train.steps = [1,\n", "is no gin text: "),
        (b"\ntrain.steps = = 3\n", "/config.gin:2: "),
        (b"train.name = '\xff'\n", "is damaged: byte 14 is no character of UTF-8"),
    ],
)
def test_a_run_whose_config_is_damaged_is_told_and_left_alone(
    tmp_path, stubs, finish, toy_tables, capsys, text, said
):
    stubs()
    damaged = tasks.of_rows(toy.FIRST.rows, "cpu", tmp_path, 1)[0]
    finish(damaged)
    path = damaged.folder / "config.gin"
    path.write_bytes(text)
    arguments = ["--table=toy/first", "--seeds=1", f"--out={tmp_path}"]
    reproduce.main([*arguments, "--status"])
    assert capsys.readouterr().out.splitlines()[:2] == [
        "   0  paper/toy/shared seed 0: damaged",
        "   1  cpu/toy/reduced seed 0: missing",
    ]
    with pytest.raises(SystemExit) as stopped:
        reproduce.main(arguments)
    assert stopped.value.code == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"failed: paper/toy/shared seed 0: {path}") and said in line
    assert line.endswith(f"; {damaged.folder} is left alone until that is mended")
    assert not (damaged.folder / "count").exists()
    assert (tmp_path / "cpu/toy/reduced/0/DONE").exists()
    reproduce.main([*arguments, "--write"])
    line = capsys.readouterr().err.splitlines()[0]
    assert line.startswith(f"paper/toy/shared seed 0 is left out of the tables: {path}")


def test_a_run_of_other_settings_is_left_alone(tmp_path, stubs, finish, toy_tables, capsys):
    stubs()
    stale = tasks.of_rows(toy.FIRST.rows, "cpu", tmp_path, 1)[0]
    finish(stale)
    (stale.folder / "config.gin").write_text("train.steps = 61")
    with pytest.raises(SystemExit) as stopped:
        reproduce.main(["--table=toy/first", "--seeds=1", f"--out={tmp_path}"])
    assert stopped.value.code == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("failed: paper/toy/shared seed 0: ") and "61 -> 60); remove it" in line
    assert not (stale.folder / "count").exists()
    assert (tmp_path / "cpu/toy/reduced/0/DONE").exists()


def test_command_trains_writes_and_tells_failures(tmp_path, stubs, toy_tables, capsys):
    stubs(reduced="fail")
    arguments = ["--table=toy/first", "--seeds=1", "--jobs=1", f"--out={tmp_path}"]
    with pytest.raises(SystemExit) as stopped:
        reproduce.main([*arguments, f"--results={tmp_path}/RESULTS.md"])
    assert stopped.value.code == 1
    printed = capsys.readouterr()
    assert "failed: cpu/toy/reduced seed 0: broke (3 times, see " in printed.err
    assert "| good | 0.50 ± 0.10 | 0.30 |" in (tmp_path / "toy/first.md").read_text()
    assert "## toy/first" in (tmp_path / "results/toy.md").read_text()
    reproduce.main([*arguments, "--status"])
    shown = capsys.readouterr().out.splitlines()
    assert shown == [
        "   0  paper/toy/shared seed 0: done",
        "   1  cpu/toy/reduced seed 0: failed",
        "1 done, 1 failed",
    ]
    # It stays set aside until asked for.
    with pytest.raises(SystemExit):
        reproduce.main(arguments)
    assert (tmp_path / "cpu/toy/reduced/0/count").read_text().count("\n") == 3
    stubs()
    reproduce.main([*arguments, "--retry"])
    assert (tmp_path / "cpu/toy/reduced/0/DONE").exists()


@pytest.mark.parametrize("devices, seen", [("none", "-1"), ("0", "0")])
def test_the_precision_is_that_of_what_the_workers_see(
    tmp_path, stubs, toy_tables, monkeypatch, devices, seen
):
    stubs()
    asked, of_one_precision = [], tasks.of_one_precision

    def noted(chosen, table, environment):
        asked.append(environment["CUDA_VISIBLE_DEVICES"])
        return of_one_precision(chosen, table, environment)

    monkeypatch.setattr(tasks, "of_one_precision", noted)
    monkeypatch.setattr(command.local, "gpus", lambda: ("0",))
    monkeypatch.setattr(command, "run", lambda *_, **__: command.Outcome(0))
    reproduce.main(["--table=toy/first", f"--devices={devices}", f"--out={tmp_path}"])
    assert asked == [seen]


def test_runs_left_at_the_deadline_are_no_success(tmp_path, stubs, toy_tables, capsys):
    stubs(shared="sleep=30")
    arguments = ["--table=toy/first", "--seeds=1", "--jobs=1", f"--out={tmp_path}"]
    with pytest.raises(SystemExit) as stopped:
        reproduce.main([*arguments, "--for=1s", "--json"])
    assert stopped.value.code == 75
    printed = capsys.readouterr()
    assert "2 of 2 runs are left; the same command resumes them" in printed.err
    first, *_ = map(json.loads, printed.out.splitlines())
    assert first["left"] == 2 and first["done"] == 0 and first["eta_s"] is None


def test_standard_output_is_lines_of_json_alone(tmp_path, stubs, toy_tables, capsys):
    stubs()
    arguments = ["--table=toy/second", "--seeds=1", "--jobs=1", f"--out={tmp_path}", "--json"]
    reproduce.main([*arguments, f"--results={tmp_path}/RESULTS.md"])
    printed = capsys.readouterr()
    assert [json.loads(line)["done"] for line in printed.out.splitlines()][-1] == 1
    assert f"{tmp_path}/toy/second.csv\n" in printed.err and "RESULTS.md: toy/" in printed.err


def test_index_runs_one(tmp_path, stubs, toy_tables):
    stubs()
    reproduce.main(["--table=toy/first", "--index=1", "--seeds=1", f"--out={tmp_path}"])
    made = [p.parent.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("DONE")]
    assert made == ["cpu/toy/reduced/0"]


def test_list(toy_tables, capsys):
    reproduce.main(["--list"])
    shown = capsys.readouterr().out
    assert "toy/first: Two models" in shown
    assert "paper: 3 seeds; cpu: 2 seeds, train.steps = 4" in shown
    assert "absent: no configuration yet" in shown
    reproduce.main(["--list", f"--table={toy_tables[1].name}"])
    shown = capsys.readouterr().out
    assert toy_tables[1].title in shown and "toy/first: " not in shown


def test_a_budget_without_runs_writes_no_table(tmp_path, monkeypatch, fails):
    run = dataclasses.replace(toy.REDUCED, cpu=Budget(("train.steps = 4",), seeds=0))
    table = dataclasses.replace(toy.FIRST, rows=(Row("small", run), Row("absent", None)), claims=())
    monkeypatch.setattr(catalog, "tables", lambda: {table.name: table})
    arguments = ["--table=toy/first", f"--out={tmp_path}"]
    for option in ("--budget=cpu", "--status"):
        said = fails(reproduce.main, *arguments, option)
        assert said == "error: toy/first has no runs with --budget=cpu; --budget=paper has 3"
    assert not [*tmp_path.iterdir()]
    # A budget has as many runs as one asks for, and what others made is written.
    reproduce.main([*arguments, "--seeds=1", "--status"])
    reproduce.main([*arguments, "--write"])


@pytest.mark.parametrize(
    "arguments, part",
    [
        (["--table=toy/frist"], "the nearest is toy/first"),
        (["--table=toy/first", "--rows=good,nothing*"], "matches 'nothing*'; it has good, small"),
        (["--table=toy/first", "--budget=huge"], "'huge'; there are paper, cpu"),
        (["--table=toy/first", "--index=12"], "there are runs 0 to 11"),
        (["--table=toy/first", "--seeds=0"], "--seeds"),
        (["--table=toy/first", "--jobs=x"], "--jobs"),
        (["--table=toy/first", "--for=soon"], "--for"),
        (["--table=toy/first", "--devices=7"], "there is no GPU '7' here"),
        (["--table=toy/first", "--engine=fog"], "--engine"),
        ([], "give a --table"),
    ],
)
def test_bad_input_is_one_line(arguments, part, toy_tables, fails, tmp_path):
    if "--budget=huge" not in arguments and arguments:
        arguments = [*arguments, f"--out={tmp_path}"]
    assert part in fails(reproduce.main, *arguments)
    assert list(pathlib.Path(tmp_path).iterdir()) == []


@pytest.mark.parametrize(
    "text, seed",
    [
        ("a.b = 1\ntrain.seed = 3", "3"),
        ("train.seed = 3\na.b = 1\ntrain.seed = 4", "4"),
        ("train.seed = (1 # two lines\n)\na.b = 1\n", "1"),
        ("a.b = '''\ntrain.seed = 5\n'''\ntrain.seed = 6", "6"),
    ],
)
def test_texts_that_differ_by_their_seed_alone(text, seed):
    found = gin_text.of_text(text)
    assert found["train.seed"] == seed
    found["a.b"] = "changed"
    assert gin_text.of_text(text)["a.b"] != "changed"


def test_the_order_of_keys_is_no_difference():
    wanted, found = map(
        gin_text.of_text, ("a.b = {'x': {'q': 1, 'p': 2}}", "a.b={'x':{'p':2,'q':1}}")
    )
    assert not gin_text.differences(wanted, found)


def test_a_macro_is_the_value_that_it_has():
    text = "N = 2\nscoped/N = 3\nM = %N\nL = %L\na.b = [%N, {'k': %scoped/N}, %M]\n"
    text += "c.d = %unbound\ne.f = %L\n"
    assert gin_text.of_text(text) == {"a.b": "[2, {'k': 3}, 2]", "c.d": "%unbound", "e.f": "%L"}


def test_a_changed_macro_is_a_change_also_in_an_included_file(tmp_path):
    inner, outer = tmp_path / "inner.gin", tmp_path / "outer.gin"
    outer.write_text(f"include '{inner}'\ntrain.steps = %STEPS\n")
    found = []
    for steps in (4, 8):
        inner.write_text(f"STEPS = {steps}\n")
        found.append(gin_text.of_config(str(outer)))
        assert gin_text.of_files([str(outer)]) == {"train.steps": "%STEPS", "STEPS": str(steps)}
    assert gin_text.differences(*found) == ["train.steps: 8 -> 4"]


def test_an_included_seed_is_overridden_in_the_order_of_the_text(tmp_path):
    (tmp_path / "other.gin").write_text("train.seed = 7\n")
    line = f"include '{tmp_path / 'other.gin'}'"
    assert gin_text.of_text(f"{line}\ntrain.seed = 3")["train.seed"] == "3"
    assert gin_text.of_text(f"train.seed = 3\n{line}")["train.seed"] == "7"
