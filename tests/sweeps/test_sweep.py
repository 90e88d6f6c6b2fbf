"""Sweeps: the grid, what is refused before anything runs, the tables, the page."""

import csv
import dataclasses
import json
import math
import pathlib
import re
import types

import numpy as np
import pytest
import scipy.stats

from zoo import sweep as sweep_command
from zoo.drawing import strengths
from zoo.errors import UserError
from zoo.scheduling import jobs
from zoo.sweeps import agreement, check, grid, summary


@pytest.fixture
def sweep(tmp_path, toy_gin):
    """A sweep of two values and three seeds over the toy training."""

    def make(*axes: str, seeds: int = 3, bindings: tuple = ()) -> grid.Sweep:
        found = tuple(map(grid.axis, axes or ["BetaVAE.beta=1,16"]))
        return grid.Sweep((toy_gin,), tuple(bindings), found, seeds, tmp_path / "sweep")

    return make


@pytest.mark.parametrize(
    "text, values",
    [
        ("BetaVAE.beta=1,2,4", ("1", "2", "4")),
        ("mlp_encoder.units = (32,), (64, 32)", ("(32,)", "(64, 32)")),
        ("VAE.prior=@NormalPrior,@LaplacePrior()", ("@NormalPrior", "@LaplacePrior()")),
        ("""train.dataset='a,b',"c" """, ("'a,b'", '"c"')),
        ("a/VAE.options={'x': [1, 2]},None", ("{'x': [1, 2]}", "None")),
    ],
)
def test_values_of_an_axis(text, values):
    assert grid.axis(text).values == values


@pytest.mark.parametrize(
    "text, part",
    [
        ("BetaVAE.beta", "name.parameter=value"),
        ("beta=1,2", "name.parameter=value"),
        ("BetaVAE.beta=", "a value is empty"),
        ("BetaVAE.beta=1,,2", "a value is empty"),
        ("BetaVAE.beta=1,1", "1 is there twice"),
        ("BetaVAE.beta=4,1,1.0", "1.0 is there twice"),
        ("mlp_encoder.units=(32, 8),(32,8)", "(32,8) is there twice"),
        ("BetaVAE.beta=1,'1'", "1 and '1' would share the folder 1; write one otherwise"),
        ("BetaVAE.beta=1,high", "high is no value; a text needs quotes"),
    ],
)
def test_bad_axes_are_named(text, part):
    with pytest.raises(UserError, match=re.escape(part)):
        grid.axis(text)


def test_the_grid_is_the_product_and_each_run_has_its_folder(sweep, tmp_path):
    found = sweep("BetaVAE.beta=1,4", "VAE.latent_dim=2,3", seeds=2)
    table = found.jobs()
    folders = [job.folder.relative_to(tmp_path / "sweep").as_posix() for job in table]
    first = ["beta=1,latent_dim=2", "beta=1,latent_dim=3"]
    first += ["beta=4,latent_dim=2", "beta=4,latent_dim=3"]
    assert folders == [f"{name}/seed{seed}" for seed in (0, 1) for name in first]
    (step,) = table[-1].steps
    bindings = [a.partition("=")[2] for a in step.arguments if a.startswith("--gin_bindings=")]
    assert bindings == ["BetaVAE.beta = 4", "VAE.latent_dim = 3", "train.seed = 1"]
    # Every value once, with as few runs as that takes.
    assert [p.name for p in found.probes()] == [first[0], first[1], first[2]]


def test_commands_hold_in_any_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.gin").write_text("")
    files = "my.gin", "gin/beta_vae.gin"
    axes = (grid.axis("BetaVAE.beta=1"),)
    found = grid.Sweep(files, (), axes, 2, pathlib.Path("out"))
    for job in (table := found.jobs()):
        (job.folder / "saved_model").mkdir(parents=True)
        (job.folder / "DONE").touch()
    names = [f"--gin_file={tmp_path}/my.gin", "--gin_file=gin/beta_vae.gin"]
    assert list(table[0].steps[0].arguments[:3]) == [
        *names,
        f"--run_dir={tmp_path}/out/beta=1/seed0",
    ]
    (compared,) = summary.agreements(found)
    arguments = compared.steps[0].arguments
    assert list(arguments[:2]) == names and f"--run={tmp_path}/out/beta=1/seed0" in arguments
    assert arguments[-1].startswith(f"--out={tmp_path}/out/beta=1/udr/")


def test_parameters_of_one_name_are_told_apart(sweep):
    found = sweep("mlp_encoder.units=(8,)", "mlp_decoder.units=(8,),(9,)")
    assert [p.name for p in found.points()] == [
        "mlp_encoder.units=8,mlp_decoder.units=8",
        "mlp_encoder.units=8,mlp_decoder.units=9",
    ]


def test_values_that_differ_in_their_inner_brackets_have_folders_of_their_own(sweep):
    values = "[[0],[1,2,3]]", "[[0,1,2],[3]]", "[[0, 1], [2, 3]]"
    found = sweep(f"AdditiveAutoencoder.blocks={','.join(values)}")
    folders = [job.folder for job in found.jobs()]
    assert len(folders) == len(set(folders)) == 9
    names = [p.name for p in found.points()]
    assert all(re.fullmatch(r"blocks=0_1_2_3-[0-9a-f]{8}", name) for name in names)
    # A value has its folder whatever the others are, and however it is spaced.
    again = sweep("AdditiveAutoencoder.blocks=[[0,1],[2,3]],[[0], [1, 2, 3]]")
    assert [p.name for p in again.points()] == [names[2], names[0]]


def test_a_name_that_is_too_long_for_a_folder_is_cut_and_ends_in_a_hash(sweep):
    texts = [letter * count for letter, count in (("x", 250), ("x", 251), ("x", 252), ("ü", 200))]
    names = [p.name for p in sweep(f"train.name={','.join(map(repr, texts))}").points()]
    assert names[0] == f"name={texts[0]}" and len(set(names)) == 4
    assert all(re.fullmatch(r"name=[xü]{70,}-[0-9a-f]{8}", name) for name in names[1:])
    assert all(len(name.encode()) <= 255 for name in names)
    # Of all axes together.
    found = sweep(f"train.name='{texts[0]}'", "VAE.latent_dim=2,3").points()
    assert len({p.name for p in found}) == 2 and all(len(p.name) <= 255 for p in found)


def test_a_folder_is_one_sweeps(sweep, tmp_path):
    sweep().claim()
    sweep("BetaVAE.beta=1,16,32", seeds=5).claim()
    for other in (sweep("VAE.latent_dim=1,2"), sweep(bindings=("train.steps = 3",))):
        with pytest.raises(UserError, match="holds another sweep"):
            other.claim()
    (tmp_path / "sweep" / "sweep.json").write_text("{")
    with pytest.raises(UserError, match="is damaged"):
        sweep().claim()
    (tmp_path / "sweep" / "sweep.json").rename(tmp_path / "sweep" / "mine.txt")
    with pytest.raises(UserError, match="holds no sweep"):
        sweep().claim()


def test_a_gin_file_that_was_edited_is_another_sweep(tmp_path):
    path, other = tmp_path / "my.gin", tmp_path / "other.gin"
    text = f"include '{other}'\ntrain.steps = 100\nstrength = 4.0\nVAE.beta = %strength\n"
    path.write_text(text)
    other.write_text("train.batch_size = 8\n")
    found = grid.Sweep((str(path),), (), (grid.axis("A.b=1,2"),), 1, tmp_path / "sweep")
    found.claim()
    path.write_text(f"# Nothing new.\n{text}")
    found.require_same()
    changes = {
        "steps = 100": ("steps = 900", "train.steps: 100 -> 900"),
        "strength = 4.0": ("strength = 8.0", "strength: 4.0 -> 8.0"),
        f"include '{other}'": ("", "train.batch_size: 8 -> unbound"),
    }
    for old, (new, said) in changes.items():
        path.write_text(text.replace(old, new))
        with pytest.raises(UserError, match=re.escape(f"holds another sweep ({said})")):
            found.require_same()
    # A sweep of an earlier version has not noted its settings.
    noted = json.loads((tmp_path / "sweep" / "sweep.json").read_text())
    del noted["settings"]
    (tmp_path / "sweep" / "sweep.json").write_text(json.dumps(noted))
    found.claim()
    path.write_text("train.steps = ")
    with pytest.raises(UserError, match="my.gin"):
        found.require_same()


def test_runs_of_a_sweep_share_the_precision_of_the_first_that_began(sweep, monkeypatch):
    here = ["float32"]
    monkeypatch.setattr(grid.machine, "_best", lambda: grid.machine.Precision(here[0], "here"))
    auto = ("train.precision = 'auto'",)
    found = sweep(bindings=auto).of_one_precision()
    arguments = [job.steps[0].arguments for job in found.jobs()]
    assert {a[-1] for a in arguments} == {"--gin_bindings=train.precision = 'float32'"}
    found.claim()
    # Another machine takes it from the folder, or from a run that began before it was noted.
    here[0] = "mixed_bfloat16"
    assert sweep(bindings=auto).of_one_precision().precision == "float32"
    (found.out / "sweep.json").unlink()
    assert sweep(bindings=auto).of_one_precision().precision == "mixed_bfloat16"
    folder = found.folder(found.points()[1], 2)
    folder.mkdir(parents=True)
    (folder / "config.gin").write_text("train.precision = 'float32'\n")
    assert sweep(bindings=auto).of_one_precision().precision == "float32"
    # Who sets a precision has it.
    for fixed in (sweep(), sweep("train.precision='float32'", bindings=auto)):
        assert fixed.of_one_precision() == fixed
        assert not any("'auto'" in job.steps[0].arguments[-1] for job in fixed.jobs())


def test_a_sweep_that_began_in_two_precisions_is_finished_in_them(sweep, finished, monkeypatch):
    monkeypatch.setattr(grid.machine, "_best", lambda: pytest.fail("asked"))
    found = sweep(bindings=("train.precision = 'auto'",))
    begun = ["mixed_bfloat16", "float32", None, "float32", None, None]
    for job, precision in zip(found.jobs(), begun, strict=True):
        if precision:
            (job.folder / "config.gin").write_text(f"train.precision = {precision!r}\n")
    table = found.of_one_precision().jobs()
    bound = [job.steps[0].arguments[-1].partition(" = ")[2].strip("'") for job in table]
    assert bound == [precision or "mixed_bfloat16" for precision in begun]
    # Whoever compares them is told.
    assert "precisions: 1 in mixed_bfloat16, 2 in float32." in summary.notes(found)
    (found.folder(found.points()[0], 0) / "config.gin").write_bytes(b"\xff")
    assert "precisions" not in summary.notes(found)


def test_machines_that_begin_one_sweep_together_agree_on_its_precision(sweep, monkeypatch):
    auto, made = ("train.precision = 'auto'",), []
    for here in ("float32", "mixed_bfloat16"):
        monkeypatch.setattr(
            grid.machine, "_best", lambda here=here: grid.machine.Precision(here, "here")
        )
        made.append(sweep(bindings=auto).of_one_precision())
    assert [found.precision for found in made] == ["float32", "mixed_bfloat16"]
    # The second is about to look whether the folder is free while the first writes there.
    made[0].out.mkdir()
    (made[0].out / ".sweep.json.zoo-tmp.0123abcd.json").touch()
    require_same, late = grid.Sweep.require_same, []

    def slowly(self):
        require_same(self)
        if self is made[1] and not late:
            late.append(made[0].claim())

    monkeypatch.setattr(grid.Sweep, "require_same", slowly)
    claimed = made[1].claim()
    assert [found.precision for found in (*late, claimed)] == ["float32"] * 2
    assert json.loads((claimed.out / "sweep.json").read_text())["precision"] == "float32"
    # Where one came a moment earlier, and of one that had noted none.
    assert made[1].claim().precision == "float32"
    (claimed.out / "sweep.json").write_text(json.dumps({**claimed._facts(), "precision": None}))
    assert made[1].claim().precision == "mixed_bfloat16" == made[0].claim().precision
    monkeypatch.setattr(grid.Sweep, "require_same", require_same)
    with pytest.raises(UserError, match="another sweep"):
        sweep("VAE.latent_dim=1,2").claim()


@pytest.mark.parametrize(
    "axis, part",
    [
        ("BetaVAE.beta=1,'high'", "beta=high: "),
        ("BetaVAE.gamma=1", "doesn't have a parameter named 'gamma'"),
        ("train.batch_size=16,0", "batch_size=0: train.batch_size is 0; give at least 1"),
        ("AE.latent_dim=3,4", "--set=AE.latent_dim: nothing in these runs uses it"),
    ],
)
def test_values_that_cannot_be_are_found_by_assembling(sweep, axis, part):
    with pytest.raises(UserError) as found:
        check.assemble_all(**check.told(sweep(axis)))
    assert part in str(found.value)


def test_values_that_can_be_are_assembled_in_a_process_of_its_own(sweep, tmp_path):
    check.assemble_all(**check.told(sweep("BetaVAE.beta=1,4", "VAE.latent_dim=2,3")))
    with pytest.raises(UserError, match="^beta=None: .*BetaVAE.beta is None"):
        check.check(sweep("BetaVAE.beta=1,None"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("n", [2, 5, 6, 9, 15])
def test_the_interval_of_the_median_covers_it_as_often_as_is_said(n):
    ranks = np.arange(1.0, n + 1)
    low, high, coverage = summary.median_interval(ranks[::-1])
    # The order statistics by hand: how likely the median is between the k-th and the last but k.
    k = int(low)
    assert high == n + 1 - k
    below = sum(math.comb(n, j) for j in range(k)) / 2**n
    assert coverage == pytest.approx(1 - 2 * below)
    if n > 5:
        assert coverage >= 0.95 and 1 - 2 * scipy.stats.binom.cdf(k, n, 0.5) < 0.95
    samples = np.random.default_rng(n).exponential(size=(4000, n))
    bounds = np.array([summary.median_interval(some)[:2] for some in samples])
    hits = (bounds[:, 0] <= math.log(2)) & (math.log(2) <= bounds[:, 1])
    assert hits.mean() == pytest.approx(coverage, abs=0.02)


@pytest.fixture
def finished(sweep):
    """A sweep whose runs are made by hand: MIG is a tenth of beta's number, and grows by seeds."""
    found = sweep()
    for k, point in enumerate(found.points()):
        for seed in range(3):
            folder = found.folder(point, seed)
            (folder / "saved_model").mkdir(parents=True)
            scores = {"mig": {"score": 0.1 * (k + 1) + 0.01 * seed}, "sap": {"score": None}}
            (folder / "scores.json").write_text(json.dumps(scores))
            (folder / "DONE").touch()
    for job in summary.agreements(found):
        job.folder.mkdir(parents=True)
        kept = {"udr": {"seed0": 0.5, "seed1": 0.6, "seed2": 0.7}}
        (job.folder / job.steps[0].product).write_text(json.dumps(kept))
    return found


def test_tables_and_page_have_every_run(finished):
    assert [job.state() for job in summary.agreements(finished)] == [jobs.DONE] * 2
    paths = summary.write(finished)
    assert [path.name for path in paths] == ["sweep.csv", "sweep.md", "index.html"]
    rows = list(csv.DictReader(paths[0].read_text().splitlines()))
    assert [(r["BetaVAE.beta"], r["seed"]) for r in rows] == [
        (b, s) for b in ("1", "16") for s in "012"
    ]
    assert [float(r["mig"]) for r in rows] == pytest.approx([0.1, 0.11, 0.12, 0.2, 0.21, 0.22])
    assert {r["udr"] for r in rows} == {"0.5", "0.6", "0.7"} and "sap" not in rows[0]
    text = paths[1].read_text()
    assert "| BetaVAE.beta | seeds | mig | udr |" in text
    assert "| 16 | 3 | 0.21 [0.2, 0.22] | 0.6 [0.5, 0.7] |" in text
    assert "with probability 0.75" in text
    page = paths[2].read_text()
    assert "<h2>Scores against BetaVAE.beta</h2>" in page and "<h2>UDR against MIG</h2>" in page
    assert "<td>0.21<small>[0.2, 0.22]</small></td>" in page and "beta=16" in page


def test_why_points_have_no_udr_stands_below_the_table(finished):
    for job in summary.agreements(finished)[:1]:
        kept = {"reason": "the codes are constant", "udr": {}}
        (job.folder / job.steps[0].product).write_text(json.dumps(kept))
    _, text, page = (path.read_text() for path in summary.write(finished))
    assert all("No UDR of beta=1: the codes are constant." in found for found in (text, page))
    assert "No UDR of beta=16" not in text


@pytest.fixture
def compare(tmp_path, monkeypatch):
    """Calls the comparison of two runs with a row for its table."""

    def call(row: dict, *arguments: str) -> pathlib.Path:
        from zoo import data, evaluation, hub

        model = types.SimpleNamespace(card={"test_dataset": "toy"})
        monkeypatch.setattr(hub, "load", lambda run: model)
        monkeypatch.setattr(data, "load", lambda name: None)
        monkeypatch.setattr(evaluation, "evaluate", lambda *_, **__: {"udr": row})
        agreement.main([*arguments, "--run=a", "--run=b", f"--out={tmp_path / 'udr.json'}"])
        return tmp_path / "udr.json"

    return call


def test_a_comparison_that_fails_leaves_no_product(compare, tmp_path):
    row = {"score": None, "reason": "MemoryError", "parts": {"traceback": "..."}}
    with pytest.raises(SystemExit, match="UDR failed"):
        compare(row)
    assert list(tmp_path.iterdir()) == []
    out = compare({"score": None, "reason": "constant codes", "parts": {}})
    assert json.loads(out.read_text()) == {"reason": "constant codes", "udr": {}}


def test_a_comparison_has_the_macros_of_its_runs(finished, compare, tmp_path):
    bound = dataclasses.replace(finished, bindings=("strength = 4.0",))
    (job, _) = summary.agreements(bound)
    bindings = [a for a in job.steps[0].arguments if a.startswith("--gin_bindings=")]
    assert bindings == ["--gin_bindings=strength = 4.0", "--gin_bindings=BetaVAE.beta = 1"]
    path = tmp_path / "macro.gin"
    path.write_text("BetaVAE.beta = %strength\n")
    row = {"score": 0.5, "reason": None, "parts": {"model_scores": [0.5, 0.5]}}
    assert compare(row, f"--gin_file={path}", bindings[0]).exists()


@pytest.mark.parametrize(
    "axes, told",
    [
        (["A.b=1,2", "C.d=1,2"], "b=1,d=1"),
        (["A.b=1,2,3", "C.d=1,2,3,4"], "C.d = 1"),
        (["A.b=1,2,3,4,5,6,7,8,9"], ""),
    ],
)
def test_each_colour_of_a_chart_has_one_meaning(sweep, axes, told):
    found = sweep(*axes)
    rows = [summary.Row(point, 0, {}) for point in found.points()]
    groups = summary._groups(found, rows)
    assert groups[0] == told and len(groups) == len(rows) and len(set(groups)) <= 8


def test_parameters_of_one_name_are_told_apart_on_the_page(sweep):
    found = sweep("Adam.learning_rate=1,2", "discriminator_adam.learning_rate=1,2", "A.b=1")
    summary._write_page(found, [], [])
    page = (found.out / "index.html").read_text()
    heads = ("Adam.learning_rate", "discriminator_adam.learning_rate", "b", "seeds")
    assert all(f">{head}</th>" in page for head in heads)


@pytest.mark.parametrize("devices, seen", [("none", "-1"), ("0", "0")])
def test_a_sweep_is_checked_with_what_its_workers_see(sweep, monkeypatch, devices, seen):
    found, asked = sweep(), []
    monkeypatch.setattr(sweep_command.command.local, "gpus", lambda: ("0",))

    def noted(self, environment):
        asked.append(environment)
        return self

    monkeypatch.setattr(grid.Sweep, "of_one_precision", noted)
    monkeypatch.setattr(check, "check", lambda sweep, environment: asked.append(environment))
    done = sweep_command.command.Outcome(0)
    monkeypatch.setattr(sweep_command.command, "run", lambda *_, **__: done)
    arguments = [f"--gin_file={found.gin_files[0]}", "--set=BetaVAE.beta=1,16"]
    sweep_command.main([*arguments, f"--out={found.out}", f"--devices={devices}"])
    assert [environment["CUDA_VISIBLE_DEVICES"] for environment in asked] == [seen] * 2


def test_a_comparison_that_failed_leaves_others_untried(finished):
    for job in summary.agreements(finished):
        (job.folder / job.steps[0].product).unlink()
        failed = {"failures": ["of two seeds"] * 3, "begun": None}
        (job.folder / "tries.json").write_text(json.dumps(failed))
    assert {job.state() for job in summary.agreements(finished)} == {jobs.FAILED}
    # Seeds that are made anew are another comparison.
    for point in finished.points():
        (finished.folder(point, 1) / "manifest.json").write_text("{}")
    assert {job.state() for job in summary.agreements(finished)} == {jobs.LEFT}


@pytest.mark.parametrize("scores", ["{", '{"mig": 0.5}'])
def test_damaged_scores_are_left_out_of_the_tables(finished, caplog, scores):
    path = finished.folder(finished.points()[0], 0) / "scores.json"
    path.write_text(scores)
    assert "| 1 | 3 | 0.115 [0.11, 0.12] |" in summary.write(finished)[1].read_text()
    (message,) = caplog.messages
    assert f"leave out the scores of a run: {path} is damaged" in message


@pytest.mark.parametrize("places", [(1.0, 2.0, 100.0), (-1.0, 0.0, 1.0), ("a", "b", "c")])
def test_the_chart_shows_every_run_and_every_value(places):
    svg = strengths.chart(places, [[0.1, 0.2], [], [0.3, float("nan")]], title="MIG", x_label="x")
    for place in places:
        assert f">{place if isinstance(place, str) else format(place, 'g')}<" in svg.replace(
            "−", "-"
        )
    # The marker is drawn once and used for each of the three runs.
    assert len(re.findall(r"<use ", svg)) >= 3
    with pytest.raises(ValueError, match="3 places"):
        strengths.chart(places, [[0.1]], title="MIG", x_label="x")


@pytest.mark.parametrize(
    "arguments, part",
    [
        (["--set=BetaVAE.beta=1,2"], "--gin_file"),
        (["--gin_file=toy.gin"], "--set"),
        (["--gin_file=nowhere.gin", "--set=BetaVAE.beta=1"], "nowhere.gin: no such gin file"),
        (["--gin_file=TOY", "--set=train.seed=1,2"], "seeds are made by --seeds"),
        (["--gin_file=TOY", "--set=A.b=1", "--set=A.b=2"], "names A.b twice"),
        (
            ["--gin_file=TOY", "--set=A.b=1", "--gin_bindings=train.seed = 7"],
            "train.seed is bound; seeds are made by --seeds",
        ),
    ],
)
def test_bad_input_is_one_line(arguments, part, fails, tmp_path, toy_gin):
    arguments = [argument.replace("TOY", toy_gin) for argument in arguments]
    assert part in fails(sweep_command.main, *arguments, f"--out={tmp_path / 'out'}")
    assert not (tmp_path / "out").exists()
