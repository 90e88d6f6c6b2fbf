"""The synergy tables: data of the seed, alpha chosen on other data, the figure."""

import dataclasses

import numpy as np

from zoo.papers import results
from zoo.papers.kept import Result
from zoo.papers.synergy import pictures, tables

TABLES = {table.name: table for table in tables.TABLES}


def _data(run, seed):
    """The training data that a run's last binding of it names."""
    bound = [b for b in run.config("paper", seed)[1] if b.startswith("train.dataset = ")]
    return bound[-1].split('"')[1]


def test_rows_share_the_data_of_their_seed_and_seeds_do_not():
    for row in TABLES["synergy/domains"].rows:
        graph, domains, _ = row.name.split("/")
        for seed in (0, 4):
            expected = f"zoo_synthetic/{graph}_{domains}/seed={seed}[train]"
            assert _data(row.run, seed) == expected


def test_alpha_is_chosen_on_data_of_no_other_table():
    seeds = range(tables.runs.SEEDS)
    of_alpha = {_data(r.run, s) for r in TABLES["synergy/alpha"].rows for s in seeds}
    others = [t for name, t in TABLES.items() if name not in ("synergy/alpha", "synergy/images")]
    of_others = {_data(r.run, s) for t in others for r in t.rows for s in seeds}
    assert len(of_alpha) == len(seeds) and not of_alpha & of_others


def test_runs_on_data_of_their_seeds_are_seeds_of_one_training():
    run = TABLES["synergy/domains"].row("shared_pair/5/cg_vae").run
    manifest = {"steps": 10_000, "batch_size": 256, "precision": "float32"}
    made = [
        results.facts(run, "paper", [{**manifest, "dataset": _data(run, seed)}]) for seed in (0, 1)
    ]
    assert not made[0].apart(made[1])
    assert made[0].dataset == "zoo_synthetic/shared_pair_5/seed={seed}[train]"


def test_the_oracle_knows_the_data_that_it_is_trained_on():
    for row in TABLES["synergy/domains"].rows:
        if row.name.endswith("oracle"):
            bindings = row.run.config("paper", 2)[1]
            known = next(b.split('"')[1] for b in bindings if b.startswith("KnownSources"))
            assert f"{known}[train]" == _data(row.run, 2)


def test_the_figure_has_a_panel_a_graph_and_a_line_a_kind():
    table = TABLES["synergy/domains"]
    name, found = table.columns[0].name, {}
    for at, row in enumerate(table.rows):
        numbers = {name: {0: 0.01 * at, 1: 0.01 * at + 0.02}}
        found[row.name] = [Result(row, "paper", numbers, [], [0, 1])]
    # A row without runs is left out, as are its points.
    found["banded/9/cg_vae"] = []
    found["shared_pair/1/ivae"][0] = dataclasses.replace(
        found["shared_pair/1/ivae"][0], numbers={name: {}}
    )
    figure = pictures.against_domains(found, table.columns)
    assert [axis.get_title() for axis in figure.axes] == ["shared pair", "banded", "dense turned"]
    lines = [axis.containers for axis in figure.axes]
    assert [len(each) for each in lines] == [8, 8, 8]
    drawn = {
        (at, tuple(line[0].get_xdata())): line for at, each in enumerate(lines) for line in each
    }
    assert (0, (2, 3, 5, 9)) in drawn and (1, (1, 2, 3, 5)) in drawn
    first = lines[2][-1].lines[0]
    expected = [
        np.mean(found[f"dense_turned/{count}/oracle"][0].values[name]) for count in tables.DOMAINS
    ]
    np.testing.assert_allclose(np.asarray(first.get_ydata(), float), expected)
    # Two numbers 0.02 apart deviate, by n - 1, by 0.02 / sqrt(2) from their mean.
    bars = [np.ptp(bar[:, 1]) / 2 for bar in lines[2][-1].lines[2][0].get_segments()]
    np.testing.assert_allclose(bars, 0.02 / np.sqrt(2))
