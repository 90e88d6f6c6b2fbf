"""What tables say of optimisers, and of what differs from the papers' gin files."""

import csv
import dataclasses
import inspect
import io
import re

import gin
import pytest

from zoo import config, gin_text
from zoo.papers import catalog, departures, documents, tasks
from zoo.papers.spec import BUDGETS, CPU, PAPER, Budget, Row, Run, Table

TABLES = catalog.tables()
RUNS = {r.run.name: r.run for table in TABLES.values() for r in table.rows if r.run}
REDUCED = {name: run for name, run in RUNS.items() if run.effective(CPU) == CPU}
NUMBER = r"\d+(\.\d+)?(e-\d+)?"


def parameters(name: str) -> dict[str, inspect.Parameter]:
    """Those of what gin calls by a name, a scope before it or not."""
    import zoo.configurables  # noqa: F401

    found = gin.config._REGISTRY.get_match(name.rpartition("/")[2])
    return dict(inspect.signature(inspect.unwrap(found.wrapped)).parameters)


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("name", RUNS)
def test_every_optimiser_of_every_row_is_found(name, budget):
    found = departures.rates(RUNS[name], budget)
    ramp = rf"{NUMBER} to {NUMBER} in [\d,]+ steps"
    for rate in found.values():
        lines = rf"linear between ({NUMBER} at step [\d,]+(, |$))+"
        decay = f"warm-up to {NUMBER}, decay from {NUMBER}"
        assert re.fullmatch(f"{NUMBER}|{ramp}|{lines}|{decay}", rate)
    # The generator of the weak GAN, for example, and its critic.
    bound = gin_text.of_config(*RUNS[name].config(budget, 0))
    makers = [bound["train.model"]]
    if makers == ["@VAE"]:
        makers.append(bound["VAE.objective"])
    players = [
        bound[f"{maker}.{p}"]
        for maker in (m.lstrip("@") for m in makers)
        for p in parameters(maker)
        if p.endswith("_optimizer")
    ]
    distinct = {bound["train.optimizer"], *players}
    assert len(found) == len(distinct)
    # Both players of the CG-GAN train with one setting of Adam; no other model's share theirs.
    assert len(distinct) == 1 + len(players) - (bound["train.model"] == "@CGGAN")


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("name", RUNS)
def test_what_texts_do_not_name_is_not_bound_either(name, budget):
    """A default that is bound, but nowhere named, would be missed by a reader of texts."""
    bound = gin_text.of_config(*RUNS[name].config(budget, 0))
    used = departures.components(bound)
    owners = {key.rpartition(".")[0] for key in bound}
    for component, values in used.items():
        for parameter in parameters(component).values():
            default = getattr(parameter.default, "__name__", "")
            if parameter.name not in values and default in owners:
                assert default in used, f"{component}.{parameter.name} is not bound"


@pytest.mark.parametrize(
    "table, row, budget, text",
    [
        ("zietlow/3.3", "beta_vae/dsprites", CPU, "Adagrad 1e-2"),
        ("zietlow/3.3", "random_decoder/mnist", PAPER, "untrained"),
        ("zietlow/3.4", "ratio_1.2", PAPER, "Adam 1e-3"),
        ("zietlow/4.2", "tc_vae/shapes3d_noise", PAPER, "Adam 1e-4"),
        (
            *("zietlow/4.2", "factor_vae/dsprites_noise", CPU),
            "Adam 1e-3; discriminator_adam 1e-3",
        ),
        ("zietlow/4.2", "weak_gan/dsprites_noise", CPU, "Adam 1e-3; critic_adam 1e-3"),
        (
            *("additive_decoders/diagonal_hessian", "penalised", PAPER),
            "Adam, 1e-3 to 0 in 3,000 steps",
        ),
        (
            *("interaction_asymmetry/table_1_sprites", "transformer_full", PAPER),
            "Adam, warm-up to 5e-4, decay from 1e-4",
        ),
    ],
)
def test_optimisers(table, row, budget, text):
    assert departures.optimisers(TABLES[table].row(row).run, budget) == text


def test_all_rates_of_a_run_are_scaled_alike():
    """Players keep their balance; the weak GAN's rates are the paper's."""
    factors = {}
    for run in REDUCED.values():
        before, after = (departures.rates(run, budget) for budget in (PAPER, CPU))
        if len(after) > 1:
            assert before.keys() == after.keys()
            found = {round(float(after[n]) / float(before[n]), 6) for n in after}
            factors.setdefault(run.name.split("/")[0], set()).update(found)
    assert factors == {"factor_vae": {10}, "slice": {10}, "study": {10}, "weak_gan": {1}}


@pytest.mark.parametrize(
    "quick, paper, optimisers",
    [
        ("factor_vae", "disentanglement_lib/factor_vae_dsprites", ("Adam", "discriminator_adam")),
        ("weak_gan", "weak_disentangle/match_dsprites", ("Adam", "critic_adam")),
    ],
)
def test_quick_gin_files_scale_all_rates_alike(quick, paper, optimisers):
    files = (f"gin/{quick}.gin", f"gin/papers/{paper}.gin")
    ours, theirs = (gin_text.of_config(file) for file in files)
    keys = [f"{name}.learning_rate" for name in optimisers]
    assert len({round(float(ours[k]) / float(theirs[k]), 6) for k in keys}) == 1


def test_dsprites_of_chapter_3_differs_in_its_steps_and_precision_alone():
    runs = [name for name, run in REDUCED.items() if "table_3" in run.gin_file]
    runs = [name for name in runs if "dsprites" in name]
    assert len(runs) == 12
    for name in runs:
        found = departures.differences(REDUCED[name], CPU)
        assert [line.partition(":")[0] for line in found] == ["train.precision", "train.steps"]
        assert departures.differences(REDUCED[name], CPU, ["float32"]) == found[1:]
    assert "train.steps: 460,800 -> 46,080" in departures.differences(RUNS["vae/dsprites"], CPU)


def test_reduced_budgets_leave_the_precision_to_the_processor_or_are_float32():
    for run in REDUCED.values():
        bound = gin_text.of_config(*run.config(CPU, 0))
        assert bound.get("train.precision", "'float32'") in ("'auto'", "'float32'")


@pytest.mark.parametrize(
    "name, steps, batch, paper_steps, paper_batch, text",
    [
        # Table 4.1 has 300,000 steps of 64 images for a TC-VAE, 500,000 of 64 pairs for the GAN.
        ("tc_vae/dsprites_noisy", 9000, 64, 300_000, 64, "3 %"),
        ("weak_gan/shapes3d_rendered", 9000, 64, 500_000, 64, "1.8 %"),
        ("beta_vae/dsprites", 46_080, 64, 460_800, 64, "10 %"),
        ("additive_decoders/l_shape_additive", 3000, 64, 1_878_000, 64, "0.16 %"),
    ],
)
def test_images_of_the_paper(name, steps, batch, paper_steps, paper_batch, text):
    name = name.replace("noisy", "noise").replace("rendered", "original")
    seen, published = (departures.images(RUNS[name], budget) for budget in (CPU, PAPER))
    assert (seen, published) == (steps * batch, paper_steps * paper_batch)
    assert departures.percent(seen / published) == text


def test_percent_of_all_images_or_more():
    assert [departures.percent(x) for x in (0.00158, 0.9949, 1.0, 12.5)] == [
        "0.16 %",
        "99 %",
        "100 %",
        "1,250 %",
    ]


PAPER_GIN = """
train.name = "published"
train.model = @M
train.optimizer = @Adam
train.steps = 1000
train.batch_size = 8
train.precision = "float32"
train.log_every = 10
M.encoder = @wide
M.unused_optimum = 1
wide.units = [512, 512]
Adam.learning_rate = 1e-3
Other.rate = 3.0
"""
OURS = (
    "train.steps = 20",
    "train.log_every = 1",
    "M.encoder = @narrow",
    "narrow.units = [4]",
    "narrow.rate = @small/ramp()",
    "small/ramp.end = 0.002",
    "ramp.start = 0.5",
    "Other.rate = 4.0",
    'train.precision = "auto"',
)


@pytest.fixture
def made(tmp_path):
    """A run of a gin file of a paper, by its rate."""

    def make(rate: str = "1e-3", *bindings: str) -> Run:
        file = tmp_path / f"published_{rate}.gin"
        file.write_text(PAPER_GIN.replace("1e-3", rate))
        return Run("toy/made", str(file), cpu=Budget((*OURS, *bindings)))

    return make


def test_differences_are_of_what_is_used_and_follow_references(made):
    assert departures.differences(made(), CPU, ["bfloat16", "float32"]) == [
        "train.precision: float32 -> bfloat16 and float32",
        "train.steps: 1,000 -> 20",
        "M.encoder: wide(units = [512, 512]) -> "
        "narrow(rate = small/ramp(end = 2e-3, start = 0.5), units = [4])",
    ]
    assert departures.differences(made(), PAPER) == []


def test_a_changed_rate_changes_the_note(made):
    again = "Adam.learning_rate = 1e-3"
    assert not any("Adam" in line for line in departures.differences(made("1e-3", again), CPU))
    found = departures.differences(made("2.5e-4", again), CPU)
    assert found[-2] == "Adam.learning_rate: 2.5e-4 -> 1e-3"
    assert departures.optimisers(made("2.5e-4", again), PAPER) == "Adam 2.5e-4"


def test_a_default_that_one_side_spells_out_is_no_difference(tmp_path):
    (tmp_path / "a.gin").write_text(
        "train.model = @BetaVAE\ntrain.optimizer = @Adam\nAdam.beta_1 = 0.9\nAdam.l2 = 0.5\n"
        "VAE.encoder = @conv_encoder\n"
    )
    (tmp_path / "b.gin").write_text("train.model = @BetaVAE\ntrain.optimizer = @Adam\n")
    run = Run("toy/defaults", str(tmp_path / "a.gin"), cpu=Budget(gin_file=str(tmp_path / "b.gin")))
    assert departures.differences(run, CPU) == ["Adam.l2: 0.5 -> 0"]


def test_macros_are_their_values_and_what_is_not_bound_is_its_default(tmp_path):
    (tmp_path / "a.gin").write_text(
        "O = @Adam\nRATE = 0.1\nSTEPS = 4\ntrain.model = %M\nM = @VAE\ntrain.optimizer = %O\n"
        "train.steps = %STEPS\nVAE.objective = %GAIN\nGAIN = @BetaVAE\nAdam.learning_rate = %RATE\n"
    )
    run = Run("toy/macros", str(tmp_path / "a.gin"), cpu=Budget(("STEPS = 3", "RATE = 0.2")))
    assert [departures.images(run, budget) for budget in (PAPER, CPU)] == [256, 192]
    assert departures.optimisers(run, CPU) == "Adam 0.2"
    assert departures.differences(run, CPU) == [
        "train.steps: 4 -> 3",
        "Adam.learning_rate: 0.1 -> 0.2",
    ]


def test_notes_name_rows_and_say_what_they_share_once():
    found = {"a/x": ["s: 1 -> 2", "r: 1"], "a/y": ["s: 1 -> 2", "r: 1"], "b/x": ["s: 1 -> 2"]}
    rows = [*found, "b/y"]
    assert departures.notes(found, rows) == [
        "Differs from the paper, `a/*`, `b/x`: s: 1 -> 2.",
        "Differs from the paper, `a/*`: r: 1.",
    ]
    assert departures.notes({"a/x": [], "a/y": []}, rows) == []
    assert departures.notes({}, rows) == []


def test_tables_say_what_their_gin_files_do(made, tmp_path, finish):
    """Of the row at the paper's settings its optimiser alone, of the reduced one all."""
    reduced = made("2.5e-4", "Adam.learning_rate = 1e-3")
    plain = dataclasses.replace(made("1e-3"), name="toy/plain", cpu=Budget())
    left = dataclasses.replace(plain, name="toy/left")
    rows = (Row("reduced", reduced), Row("plain", plain), Row("left", left))
    for run, budget, steps in ((reduced, CPU, 20), (plain, PAPER, 1000)):
        finish(tasks.Task(run, 0, budget, tmp_path), steps=steps)
    for folder in (tmp_path / "cpu/toy/made/0", tmp_path / "paper/toy/plain/0"):
        manifest = folder / "manifest.json"
        text = manifest.read_text().replace('"batch_size": 16', '"batch_size": 8')
        begun = '"earlier_starts": [{"machine": {"processor": "An M0"}}],'
        begun = begun if "toy/plain" in str(folder) else ""
        manifest.write_text(text.replace("{", f'{{"machine": {{"processor": "An M1"}},{begun}', 1))
    documents.write(Table("toy/table", "A table", (), rows), tmp_path)
    lines = (tmp_path / "toy/table.md").read_text().splitlines()
    assert lines[2].startswith("| row | seeds | optimiser | budget |")
    assert lines[4].startswith(
        "| reduced | 1 | Adam 1e-3 (paper: Adam 2.5e-4) | 20 x 8, float32 on An M1 "
        "(reduced: cpu, 2 % of the published images) |"
    )
    assert lines[5].startswith("| plain | 1 | Adam 1e-3 | 1,000 x 8, float32 on An M0 and An M1 |")
    assert lines[6].startswith("| left | 0 | Adam 1e-3 | not run |")
    (note,) = [line for line in lines if line.startswith("- ")]
    assert note.startswith("- Differs from the paper, `reduced`: train.steps: 1,000 -> 20; Adam.l")
    assert "precision" not in note
    assert "left" not in note and "plain" not in note


def test_csv_has_optimiser_share_and_differences(made, tmp_path, finish):
    finish(tasks.Task(made("5e-4"), 0, CPU, tmp_path), steps=50, mig=0.5)
    column = TABLES["zietlow/4.2"].columns[0]
    documents.write(Table("toy/table", "A table", (column,), (Row("r", made("5e-4")),)), tmp_path)
    (row,) = csv.DictReader(io.StringIO((tmp_path / "toy/table.csv").read_text()))
    assert row["optimiser"] == "Adam 5e-4"
    assert float(row["images_share"]) == 50 * 16 / (1000 * 8)
    assert row["differences"].startswith("train.steps: 1,000 -> 20; M.encoder: wide")


def test_the_paper_is_named_for_what_is_the_papers():
    for run in RUNS.values():
        assert run.published == config.find(run.gin_file).as_posix().count("gin/papers/")
        assert run.published or run.effective(CPU) == PAPER
