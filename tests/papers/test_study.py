"""The study of disentanglement_lib: its grid, and the correlations of its figure."""

import collections
import json
import pathlib

import numpy as np
import pytest

from zoo.papers import results, tasks
from zoo.papers.disentanglement_lib import pictures
from zoo.papers.disentanglement_lib.tables import SCORES, TABLES


@pytest.mark.parametrize("table", TABLES[:4], ids=lambda table: table.name)
def test_six_methods_six_strengths_fifty_seeds(table, tmp_path):
    assert collections.Counter(row.group for row in table.rows) == dict.fromkeys(
        {row.group for row in table.rows}, 6
    )
    assert len(table.rows) == 36
    assert len(tasks.of_rows(table.rows, "paper", tmp_path)) == 1800
    # DIP-VAE I weighs the diagonal ten times as much, II as much as the rest.
    for name, diagonal in (("dip_vae_i_5", 50.0), ("dip_vae_ii_5", 5.0)):
        assert f"DIPVAE.lambda_d = {diagonal}" in table.row(name).run.bindings


def test_the_slice_is_three_methods_two_strengths_and_two_seeds(tmp_path):
    table = TABLES[4]
    groups = collections.Counter(row.group for row in table.rows)
    assert groups == {"beta_vae": 2, "factor_vae": 2, "dip_vae_ii": 2}
    found = tasks.of_rows(table.rows, "cpu", tmp_path)
    assert len(found) == 12 and "train.steps = 50" in found[0].run.cpu.bindings


def test_correlations_are_those_of_the_ranks():
    x = np.arange(6.0)
    values = np.stack([x, np.exp(x), -(x**3), np.ones(6), [0, 1, np.nan, 3, 4, 5]], 1)
    found = pictures.correlations(values)
    assert found[0, 1] == pytest.approx(100) and found[0, 2] == pytest.approx(-100)
    assert np.isnan(found[3]).all() and found[0, 4] == pytest.approx(100)
    assert np.isnan(pictures.correlations(values[:2])).all()


@pytest.fixture
def finished(finish, tmp_path):
    """Two seeds of each of four rows; the k-th score of a run is k times its number."""
    for k, row in enumerate(TABLES[0].rows[:4]):
        for task in tasks.of_rows([row], "cpu", tmp_path, seeds=2):
            number = 2 * k + task.seed
            finish(task, **{name: float(number * j) for j, name in enumerate(SCORES.values())})
            (task.folder / "saved_model").mkdir()


def _compare(jobs) -> None:
    """Writes what comparisons would: UDR is the seed, and 0.5 more."""
    for job in jobs:
        job.folder.mkdir(parents=True, exist_ok=True)
        runs = [a.partition("=")[2] for a in job.steps[0].arguments if a.startswith("--run=")]
        seeds = [pathlib.Path(run).name for run in runs]
        found = {"udr": {seed: int(seed) + 0.5 for seed in seeds}}
        (job.folder / job.steps[0].product).write_text(json.dumps(found))


def test_udr_is_of_the_finished_seeds_of_a_row(finished, finish, tmp_path):
    table = TABLES[0]
    jobs = results.comparisons_of(table, table.rows, "cpu", tmp_path)
    assert [str(job) for job in jobs] == [
        f"cpu/study/dsprites/{row.name} UDR" for row in table.rows[:4]
    ]
    assert not results.of_table(table, tmp_path)[table.rows[0].name][0].numbers["UDR"]
    _compare(jobs)
    (result,) = results.of_table(table, tmp_path)[table.rows[0].name]
    assert result.numbers["UDR"] == {0: 0.5, 1: 1.5}
    assert {job.state() for job in results.comparisons_of(table, table.rows, "cpu", tmp_path)} == {
        "done"
    }
    # Runs of another number, or made anew, are compared anew.
    third = tasks.of_rows(table.rows[:1], "cpu", tmp_path, seeds=3)[-1]
    finish(third, mig=0.5)
    (third.folder / "saved_model").mkdir()
    manifest = tmp_path / "cpu" / table.rows[1].run.name / "1" / "manifest.json"
    manifest.write_text(manifest.read_text().replace("2024", "2025"))
    again = results.comparisons_of(table, table.rows, "cpu", tmp_path)
    assert [job.state() for job in again] == ["left", "left", "done", "done"]
    assert not results.of_table(table, tmp_path)[table.rows[0].name][0].numbers["UDR"]


def test_the_figure_is_of_all_runs(finished, tmp_path):
    table = TABLES[0]
    _compare(results.comparisons_of(table, table.rows, "cpu", tmp_path))
    figure = table.figure(results.of_table(table, tmp_path), table.columns)
    (axes,) = figure.axes
    assert axes.get_title().endswith("8 runs")
    # The first score is constant: it ranks nothing.
    texts = np.array([text.get_text() for text in axes.texts]).reshape(7, 7)
    assert (texts[0] == "–").all() and texts[1, 1:6].tolist() == ["100"] * 5
    # UDR has the seeds' two values, in the order of each row's runs.
    assert texts[6, 6] == "100" and 0 < int(texts[6, 1]) < 100
