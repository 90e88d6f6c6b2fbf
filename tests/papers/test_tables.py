"""The tables of the papers: every name in them stands for something that can be run."""

import re

import gin
import keras
import pytest

import zoo.configurables  # noqa: F401  registers what gin files name
from zoo import config, gin_text
from zoo.data import catalog as data_catalog
from zoo.evaluation import suite
from zoo.models.base import Model
from zoo.papers import catalog
from zoo.papers.spec import BUDGETS, PAPER, Claim
from zoo.training.settings import Settings

TABLES = catalog.tables()
RUNS = {
    f"{row.run.name}:{budget}": (row.run, budget)
    for table in TABLES.values()
    for row in table.rows
    if row.run
    for budget in BUDGETS
}


@pytest.fixture(autouse=True)
def _clean():
    yield
    gin.clear_config()


@pytest.mark.parametrize("name", RUNS)
def test_config_of_every_run_parses(name):
    run, budget = RUNS[name]
    gin_file, bindings = run.config(budget, seed=3)
    config.parse([gin_file], bindings)
    settings = Settings()
    assert settings.seed == 3
    for dataset in (settings.dataset, settings.test_dataset or settings.dataset):
        data_catalog._find(dataset.partition("[")[0])
    if settings.select:
        trained, selected = (
            x.partition("[")[0] for x in (settings.dataset, settings.validation_dataset)
        )
        assert selected == trained
    for extra in run.evaluations:
        data_catalog._find(extra.dataset.partition("[")[0])
        suite.names_of(extra.scores)


# What rows bind of a model beyond its gin file, once each.
REBOUND = re.compile(r"train\.model |\w+\.(latent_dim|prior|likelihood|variational) ")
MADE = {
    (run.gin_file, *filter(REBOUND.match, run.bindings)): name
    for name, (run, budget) in RUNS.items()
    if budget == PAPER and any(map(REBOUND.match, run.bindings))
}
SHAPES = {
    "zoo_shapes3d": (64, 64, 3),
    "zoo_sprites": (64, 64, 3),
    "zoo_dsprites": (64, 64, 1),
    "mnist": (28, 28, 1),
    "fashion_mnist": (28, 28, 1),
    "zoo_synthetic/gaussian": (5,),
    "zoo_synthetic/linear": (3,),
    "zoo_synthetic/nonlinear_aligned": (6,),
    # The sets of a graph.
    "zoo_synthetic": (4,),
}


# What rows of CLEVR6 bind is what those of Sprites bind.
@pytest.mark.parametrize("name", [n for n in MADE.values() if "clevr6" not in n])
def test_a_model_that_a_row_binds_is_made(name):
    """What rows bind must reach the model that is trained, as in `tests/models/test_configs.py`."""
    run, budget = RUNS[name]
    gin_file, bindings = run.config(budget, seed=0)
    config.parse([gin_file], bindings)
    job = Settings()
    dataset = job.dataset.partition("[")[0]
    model = job.model(SHAPES.get(dataset) or SHAPES[dataset.partition("/")[0]])
    assert isinstance(model, Model) and isinstance(job.optimizer(), keras.optimizers.Optimizer)
    bound = gin.query_parameter(f"{type(model).__name__}.latent_dim")
    assert model.latent_dim == bound
    if "/shapes3d" in name and "eigenfaces" not in name:
        assert model.latent_dim == 6


def test_a_name_is_one_run_and_a_run_has_one_name():
    named, made = {}, {}
    for run, _ in RUNS.values():
        assert named.setdefault(run.name, run) == run
        content = (run.gin_file, run.bindings)
        assert made.setdefault(content, run.name) == run.name


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_rows_columns_and_claims_fit(table):
    columns, rows = [c.name for c in table.columns], [r.name for r in table.rows]
    assert len(set(rows)) == len(rows) and len(set(columns)) == len(columns)
    for row in table.rows:
        assert set(row.paper) <= set(columns)
    for claim in table.claims:
        assert claim.column in columns and set(claim.rows) <= set(rows)


def test_claims_are_orders_of_the_papers_means():
    """A claim that the paper's own table contradicts was typed wrongly."""
    against = []
    for table in TABLES.values():
        for claim in (c for c in table.claims if isinstance(c, Claim)):
            cells = [table.row(n).paper.get(claim.column) for n in claim.rows]
            if all(cells) and cells[0][0] > cells[1][0]:
                against.append(f"{table.name} {claim}")
    assert against == []


def test_scores_that_columns_read_are_computed():
    for table in TABLES.values():
        for row in table.rows:
            if row.run is None:
                continue
            for column in table.columns:
                if column.compared or column.file != "scores.json":
                    continue
                for budget in BUDGETS:
                    gin_file, bindings = row.run.config(budget, 0)
                    bound = gin_text.of_file(config.find(gin_file))
                    bound |= gin_text.of_text("\n".join(bindings))
                    scores = suite.names_of(bound["train.scores"].strip("'"))
                    assert column.path[0] in scores


def test_shared_runs_of_chapter_3():
    names = {
        table: {row.name: row.run.name for row in TABLES[table].rows}
        for table in ("zietlow/3.2", "zietlow/3.3", "zietlow/figure_3_7")
    }
    assert names["zietlow/3.2"]["beta_vae/synth_lin"] == "beta_vae/synth_lin"
    assert names["zietlow/3.3"]["beta_vae/synth_lin"] == "beta_vae/synth_lin"
    assert names["zietlow/figure_3_7"]["synth_lin/beta_0.0001"] == "beta_vae/synth_lin"


def test_settings_follow_includes_and_the_last_binding_wins(tmp_path):
    (tmp_path / "base.gin").write_text("train.steps = 10\nVAE.encoder = @mlp_encoder\n")
    text = f"include '{tmp_path / 'base.gin'}'\ntrain.steps = 2e1  # more\nx.y = ('a', [1])\n"
    found = gin_text.of_text(text)
    assert found == {"train.steps": "20.0", "VAE.encoder": "@mlp_encoder", "x.y": "('a', [1])"}
    other = gin_text.of_text('train.steps = 20.0\nx.y = ("a", [2])\nz.w = 1')
    assert gin_text.differences(found, other) == ["x.y: ('a', [2]) -> ('a', [1])"]


def test_settings_of_scopes_are_kept_apart():
    found = gin_text.of_text(
        "a.b = @noise/linear_ramp()\nnoise/linear_ramp.x = 1\nlinear_ramp.x = 2"
    )
    assert found == {"a.b": "@noise/linear_ramp", "noise/linear_ramp.x": "1", "linear_ramp.x": "2"}
