"""The study of disentanglement_lib: its grid, and the correlations of its figure."""

import collections
import json

import numpy as np
import pytest

from zoo.papers import results, tasks
from zoo.papers.disentanglement_lib import pictures
from zoo.papers.disentanglement_lib.tables import SCORES, TABLES


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_six_methods_six_strengths_fifty_seeds(table, tmp_path):
    assert collections.Counter(row.group for row in table.rows) == dict.fromkeys(
        {row.group for row in table.rows}, 6
    )
    assert len(table.rows) == 36
    assert len(tasks.of_rows(table.rows, "paper", tmp_path)) == 1800
    # DIP-VAE I weighs the diagonal ten times as much, II as much as the rest.
    for name, diagonal in (("dip_vae_i_5", 50.0), ("dip_vae_ii_5", 5.0)):
        assert f"DIPVAE.lambda_d = {diagonal}" in table.row(name).run.bindings


def test_correlations_are_those_of_the_ranks():
    x = np.arange(6.0)
    values = np.stack([x, np.exp(x), -(x**3), np.ones(6), [0, 1, np.nan, 3, 4, 5]], 1)
    found = pictures.correlations(values)
    assert found[0, 1] == pytest.approx(100) and found[0, 2] == pytest.approx(-100)
    assert np.isnan(found[3]).all() and found[0, 4] == pytest.approx(100)
    assert np.isnan(pictures.correlations(values[:2])).all()


def test_the_figure_is_of_all_runs(tmp_path):
    table = TABLES[0]
    for k, row in enumerate(table.rows[:4]):
        (task,) = tasks.of_rows([row], "cpu", tmp_path, seeds=1)
        task.folder.mkdir(parents=True)
        (task.folder / "config.gin").write_text("train.seed = 0")
        (task.folder / "manifest.json").write_text('{"steps": 10, "batch_size": 64}')
        scores = {name: {"score": float(k * j)} for j, name in enumerate(SCORES.values())}
        (task.folder / "scores.json").write_text(json.dumps(scores))
        (task.folder / "DONE").touch()
    figure = table.figure(results.of_table(table, tmp_path), table.columns)
    (axes,) = figure.axes
    assert axes.get_title().endswith("4 runs")
    # The first score is constant: it ranks nothing.
    assert [text.get_text() for text in axes.texts[:7]] == ["–"] * 7
    assert axes.texts[7].get_text() == "100"
