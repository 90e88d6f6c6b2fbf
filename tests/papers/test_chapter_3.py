"""Rows of chapter 3 whose settings follow from numbers of the dissertation."""

import pytest

from zoo import config, gin_text
from zoo.papers import departures
from zoo.papers.spec import BUDGETS
from zoo.papers.zietlow import tables_chapter_3 as chapter

TABLES = {table.name: table for table in chapter.TABLES}


def bound(run) -> dict[str, str]:
    """What the gin file and the bindings of a run bind."""
    found = gin_text.of_file(config.find(run.gin_file))
    return found | gin_text.of_text("\n".join(run.bindings))


@pytest.mark.parametrize("dataset, epochs", [("mnist", 400), ("fashion_mnist", 500)])
def test_digits_are_trained_for_the_epochs_of_table_3_1(dataset, epochs):
    rows = [row for row in TABLES["zietlow/3.3"].rows if row.name.endswith(f"/{dataset}")]
    assert [row.name.split("/")[0] for row in rows] == [
        "vae",
        "autoencoder",
        "full_covariance",
        "random_decoder",
    ]
    for row in rows:
        found = bound(row.run)
        count = 56_000
        assert found["train.dataset"] == f"'{dataset}[train[:{count}]]'"
        steps = epochs * count / int(found["train.batch_size"])
        assert int(found["train.steps"]) == (1 if "random" in row.name else steps)
        assert row.paper["DS"] is None and row.paper["DtO"][0] > 1
    (ten,) = [r for r in TABLES["zietlow/3.2"].rows if r.name == f"vae/{dataset}_10_latents"]
    assert bound(ten.run)["VAE.latent_dim"] == "10"


def test_a_random_decoder_is_not_trained():
    rows = [row for row in TABLES["zietlow/3.3"].rows if row.name.startswith("random_decoder")]
    assert len(rows) == 5
    for row in rows:
        found = bound(row.run)
        optimizer = found["train.optimizer"].lstrip("@")
        assert found[f"{optimizer}.learning_rate"] == "0.0"


def test_adagrad_says_how_it_starts():
    """Frameworks differ there, and the dissertation names none: the gin files must."""
    runs = [row.run for table in TABLES.values() for row in table.rows]
    found = [b for b in map(bound, runs) if b["train.optimizer"] == "@Adagrad"]
    assert len(found) > 20
    for each in found:
        assert each["Adagrad.initial_accumulator_value"] == "0.1"
        assert each["Adagrad.epsilon"] == "1e-07"


def test_the_reduced_budget_has_the_optimiser_of_the_dissertation():
    for table in TABLES.values():
        for row in table.rows:
            paper, cpu = (departures.optimisers(row.run, budget) for budget in BUDGETS)
            assert paper == cpu
