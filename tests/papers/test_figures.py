"""Runs that a table leaves out, and the figures of chapter 4 over runs made by hand."""

import json

import numpy as np
import pytest
import toy_tables as toy
from matplotlib.container import ErrorbarContainer

from zoo.errors import UserError
from zoo.papers import documents, figures, kept, results, tasks
from zoo.papers.spec import Column, Discard, Row, Table
from zoo.papers.zietlow import rule, tables_chapter_4, tables_of_figures

ACTIVE = Column("active latents", ("active_latents",), "metrics.jsonl", reduce=results.last)
MIG = Column("MIG", ("mig", "score"))


@pytest.fixture
def scanned(tmp_path, finish):
    """Five seeds at each of two abscissas; the last two of the second have a dead latent."""
    rows = []
    for at, x in enumerate((1.0, 2.0)):
        run = toy.run(f"toy/times_{x:g}", f"BetaVAE.beta = {x!r}")
        rows.append(Row(f"times_{x:g}", run, {}, "model", x))
        for seed in range(5):
            task = tasks.Task(run, seed, "paper", tmp_path)
            finish(task, mig=0.1 + 0.1 * seed)
            active = 4 if at == 0 or seed < 3 else 3
            # Only the end of the training counts.
            log = [{"step": 30, "active_latents": 2}, {"step": 60, "active_latents": active}]
            (task.folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, log)))
    return Table(
        "toy/scan",
        "A scan",
        (MIG,),
        tuple(rows),
        figure=figures.violins,
        discard=Discard(ACTIVE, 4, "over-pruned"),
    )


def test_discarded_runs_are_counted_and_left_out(scanned, tmp_path):
    documents.write(scanned, tmp_path)
    text = (tmp_path / "toy/scan.md").read_text()
    lines = [line.strip("|").split("|") for line in text.splitlines()]
    lines = [[cell.strip() for cell in line] for line in lines]
    assert lines[2][3:5] == ["seeds", "discarded (over-pruned)"]
    assert lines[4][:5] == ["times_1", "-", "0.30 ± 0.16", "5", "0"]
    assert lines[5][:5] == ["times_2", "-", "0.20 ± 0.10", "5", "2"]
    found = results.of_table(scanned, tmp_path)["times_2"][0]
    assert found.discarded == [3, 4] and [f.name for f in found.folders] == ["0", "1", "2"]
    (again,) = kept.read(scanned, tmp_path)["times_2"]
    assert again.discarded == [3, 4] and again.numbers == found.numbers


def test_a_row_of_discarded_runs_only_is_still_written(scanned, tmp_path):
    harsh = Table(
        *(scanned.name, scanned.title, scanned.columns, scanned.rows),
        figure=figures.violins,
        discard=Discard(ACTIVE, 5, "over-pruned"),
    )
    documents.write(harsh, tmp_path)
    assert "| times_1 | - | - | 5 | 5 |" in (tmp_path / "toy/scan.md").read_text()


def test_violins(scanned, tmp_path):
    drawn = figures.violins(results.of_table(scanned, tmp_path), scanned.columns)
    (axis,) = drawn.axes
    points = [(line.get_xdata(), line.get_ydata()) for line in axis.lines]
    assert [set(x) for x, _ in points] == [{1.0}, {2.0}]
    np.testing.assert_allclose(points[1][1], [0.1, 0.2, 0.3])
    # A median and a body for each.
    assert len(axis.collections) == 4 and axis.get_title() == "model"


def test_deviations_are_those_of_tables(scanned, tmp_path):
    """Of n - 1 runs: 0.1 of 0.1, 0.2 and 0.3."""
    found = results.of_table(scanned, tmp_path)
    (drawn,) = figures.line_search(found, scanned.columns).axes[0].containers
    heights = [np.ptp(bar[:, 1]) / 2 for bar in drawn.lines[2][0].get_segments()]
    np.testing.assert_allclose(heights, [0.025**0.5, 0.1])
    drawn = figures.bars(found, scanned.columns).axes[0].containers
    (bars,) = (container for container in drawn if isinstance(container, ErrorbarContainer))
    (bar,) = bars.lines[2][0].get_segments()
    every = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.1, 0.2, 0.3])
    assert np.ptp(bar[:, 1]) / 2 == pytest.approx(every.std(ddof=1))
    # Of a single run there is none.
    assert figures.deviation(np.array([0.5])) == 0
    assert figures.deviation(np.array([[0.0, 1.0], [2.0, 1.0]])) == pytest.approx([2**0.5, 0])


def test_points_have_both_numbers_of_one_run():
    columns = Column("a", ("a",)), Column("b", ("b",))
    numbers = {"a": {0: 0.0, 1: 1.0, 3: 3.0}, "b": {1: 10.0, 2: 20.0, 3: 30.0}}
    tenth, full = (kept.Facts(10, 64, images_share=share) for share in (0.1, 1.0))
    result = kept.Result(Row("r", None, group="g"), "cpu", numbers, tenth, [0, 1, 2, 3])
    bare = kept.Result(Row("s", None, group="g"), "cpu", {"a": {}, "b": {0: 1.0}}, full, [0])
    (points,) = figures.scatter({"r": [result], "s": [bare]}, columns).axes[0].collections
    assert points.get_offsets().tolist() == [[1.0, 10.0], [3.0, 30.0]]
    assert points.get_label() == "g,\n10 % of its images"
    (points,) = figures.scatter({"s": [bare]}, columns).axes[0].collections
    assert points.get_label() == "g"


def test_histogram(scanned, tmp_path):
    drawn = figures.histogram(results.of_table(scanned, tmp_path), scanned.columns)
    assert sum(patch.get_height() for patch in drawn.axes[0].patches) == 8


def test_bars_of_the_mig_of_every_factor(tmp_path, finish):
    """The number of a factor is found in a list of scores.json."""
    columns = [Column(n, ("mig", "per_factor", str(k))) for k, n in enumerate(("size", "x_place"))]
    rows, drop = [], {"original": (0.6, 0.2), "modified": (0.1, 0.2)}
    for at, (variant, means) in enumerate(drop.items()):
        run = toy.run(f"toy/{variant}", f"BetaVAE.beta = {at}.0")
        rows.append(Row(variant, run, {}, variant))
        for seed in range(2):
            task = tasks.Task(run, seed, "paper", tmp_path)
            finish(task)
            scores = {
                "mig": {"score": 0.0, "per_factor": [m + 0.1 * (2 * seed - 1) for m in means]}
            }
            (task.folder / "scores.json").write_text(json.dumps(scores))
    table = Table("toy/drop", "A drop", tuple(columns), tuple(rows))
    drawn = figures.bars(results.of_table(table, tmp_path), table.columns)
    heights = [patch.get_height() for patch in drawn.axes[0].patches]
    np.testing.assert_allclose(heights, [0.6, 0.2, 0.1, 0.2])
    labels = [text.get_text() for text in drawn.axes[0].get_xticklabels()]
    assert labels == ["size", "x\nplace"]
    missing = Column("none", ("mig", "per_factor", "2"))
    assert results.number(tmp_path / "paper/toy/original/0", missing) is None


def test_the_scan_shares_the_runs_of_the_tables():
    scan = next(t for t in tables_of_figures.TABLES if t.name == "zietlow/figure_4_4_to_4_7")
    for model, (parameter, value) in tables_chapter_4.PRIMARY.items():
        whole = scan.row(f"{model}/times_1").run
        assert whole == tables_chapter_4.run(model, "shapes3d", "modified")
        double = scan.row(f"{model}/times_2").run
        assert double.bindings[-1] == f"{parameter} = {2 * value!r}"
        assert double.bindings[:-1] == whole.bindings and double.name != whole.name


def test_beta_is_raised_until_a_latent_collapses():
    # As of linear VAEs: a mean posterior variance of beta over the data's, up to 1.
    betas = [4.0, 0.1, 1.0, 0.15, 0.22]
    active = [sum(beta / v < 0.8 for v in (4.0, 2.0, 0.25)) for beta in betas]
    assert active == [0, 3, 2, 3, 2] and rule.raised_beta(betas, active, 3) == 0.22
    # Of several seeds: where half of them have collapsed, whatever those lost.
    assert rule.raised_beta([1, 2, 3], [[0, 3, 3, 3, 3], [1, 1, 3, 3, 3], [2, 3]], 3) == 3
    with pytest.raises(UserError, match="all 2 latents are active at every beta up to 8"):
        rule.raised_beta([2, 8], [2, 2], 2)


def test_the_rule_is_drawn_where_it_stops(scanned, tmp_path):
    found = results.of_table(
        Table(scanned.name, scanned.title, (MIG, ACTIVE), scanned.rows), tmp_path
    )
    found["times_2"][0].numbers["active latents"].update({0: 3.0})
    figure = rule.line_search(found, (MIG, ACTIVE))
    lines = [line.get_xdata() for axis in figure.axes for line in axis.lines]
    # Three of five seeds have lost a latent at 2, none at 1: a line in both panels.
    assert sum(list(x) == [2.0, 2.0] for x in lines) == 2
