"""Pictures of results: their size, what they are made of, curves through training."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
import toy_tables as toy
from matplotlib.figure import Figure
from PIL import Image

from zoo.errors import UserError
from zoo.papers import catalog, documents, figures, illustrations, kept, results, tasks
from zoo.papers.interaction_asymmetry import tables
from zoo.papers.spec import Budget, Column, Row, Table
from zoo.papers.zietlow import exact

LOGGED = Column("interaction", ("interaction",), "metrics.jsonl", reduce=results.last, scale=2.0)
MIG = Column("MIG", ("mig", "score"))


def log(task, **values) -> None:
    """Values by column, one every ten steps."""
    pairs = zip(*values.values(), strict=True)
    records = [
        {"step": 10 * (k + 1), **dict(zip(values, row, strict=True))} for k, row in enumerate(pairs)
    ]
    (task.folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, records)))


@pytest.fixture
def trained(tmp_path, finish):
    """Two runs of the full budget, one of them logged to step 30, and one of the reduced."""
    for seed, values in enumerate(([1.0, 2.0, 3.0], [3.0, 2.0])):
        task = tasks.Task(toy.SHARED, seed, "paper", tmp_path)
        finish(task, mig=0.5)
        log(task, interaction=values)
    task = tasks.Task(toy.REDUCED, 0, "cpu", tmp_path)
    finish(task, steps=4, mig=0.2)
    log(task, loss=[1.0])
    rows = (Row("whole", toy.SHARED, group="a group", note="of its own"), Row("less", toy.REDUCED))
    return Table("toy/curves", "Curves", (LOGGED, MIG), rows, figure=figures.curves)


def test_curves_are_means_over_the_steps_that_all_runs_have(trained, tmp_path):
    drawn = figures.curves(results.of_table(trained, tmp_path), trained.columns)
    (axis,) = drawn.axes
    # The other row logged no such value.
    (line,) = axis.lines
    assert line.get_xdata().tolist() == [10, 20] and line.get_ydata().tolist() == [4.0, 4.0]
    # The deviation of 2 and 6 at step 10, of n - 1 = 1.
    band = axis.collections[0].get_paths()[0].vertices
    around = [4 - 8**0.5, 4 + 8**0.5]
    assert [band[:, 1].min(), band[:, 1].max()] == pytest.approx(around)
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == ["a group"]


def test_results_show_pictures_and_what_they_are_made_of(trained, tmp_path, monkeypatch):
    unrun = Table(
        "toy/unrun", "Unrun", (MIG,), (Row("r", toy.run("toy/no")),), figure=figures.scatter
    )
    known = {table.name: table for table in (trained, unrun)}
    monkeypatch.setattr(documents.catalog, "tables", lambda: known)
    file = tmp_path / "written" / "RESULTS.md"
    documents.write_results(file, tmp_path)
    text = (tmp_path / "written/results/toy.md").read_text()
    assert "![Curves](figures/toy_curves.png)\n" in text
    assert (
        "Runs drawn: whole: 60 x 16, float32, seeds 0-1; "
        "less: 4 x 16, float32 (reduced: cpu, 6.7 % of the published images), seed 0.\n"
    ) in text
    assert "- whole: of its own\n" in text
    pictures = list((tmp_path / "written/results/figures").iterdir())
    assert [path.name for path in pictures] == ["toy_curves.png"]
    before = text, pictures[0].read_bytes()
    # Without the runs the picture stays, and what it says it is made of.
    for out in (tmp_path, tmp_path / "nowhere"):
        documents.write_results(file, out)
        text = (tmp_path / "written/results/toy.md").read_text()
        assert (text, pictures[0].read_bytes()) == before


def _written(table, out, folder, monkeypatch):
    """The results of a table with these runs, in a folder that may hold earlier ones: its text."""
    monkeypatch.setattr(documents.catalog, "tables", lambda: {table.name: table})
    documents.write_results(folder / "RESULTS.md", out)
    return (folder / "results/toy.md").read_text()


def test_a_picture_stays_where_it_has_rows_whose_runs_are_elsewhere(
    trained, tmp_path, finish, monkeypatch, capsys
):
    before = _written(trained, tmp_path, tmp_path / "written", monkeypatch)
    picture = tmp_path / "written/results/figures/toy_curves.png"
    content = picture.read_bytes()
    other = tasks.Task(toy.SHARED, 2, "paper", tmp_path / "other")
    finish(other, mig=0.5)
    log(other, interaction=[1.0])
    after = _written(trained, tmp_path / "other", tmp_path / "written", monkeypatch)
    assert picture.read_bytes() == content and "| 3 |" in after
    shown = [line for line in before.splitlines() if line.startswith("Runs drawn: whole: 60")]
    assert shown and shown[0] in after.splitlines()
    message = "toy/curves is not drawn: the runs of less are not here\n"
    assert capsys.readouterr().err == message
    # A row that the table has no more holds nothing up.
    whole = dataclasses.replace(trained, rows=trained.rows[:1])
    after = _written(whole, tmp_path / "other", tmp_path / "written", monkeypatch)
    assert "Runs drawn: whole: 60 x 16, float32, seed 2.\n" in after


def test_a_figure_of_numbers_draws_those_that_are_kept(trained, tmp_path, finish, monkeypatch):
    table = dataclasses.replace(trained, columns=(MIG,), figure=figures.bars, from_numbers=True)
    folder, share = tmp_path / "written", "6.7 % of the published images"
    _written(table, tmp_path, folder, monkeypatch)
    finish(tasks.Task(toy.SHARED, 2, "paper", tmp_path / "other"), mig=0.1)
    drawn = []
    monkeypatch.setattr(illustrations, "save", lambda figure, *rest: drawn.append((figure, rest)))
    _written(table, tmp_path / "other", folder, monkeypatch)
    ((figure, (*_, made_of)),) = drawn
    heights = sorted(patch.get_height() for patch in figure.axes[0].patches)
    np.testing.assert_allclose(heights, [0.2, 1.1 / 3])
    assert made_of == (
        f"whole: 60 x 16, float32, seeds 0-2; less: 4 x 16, float32 (reduced: cpu, {share}), seed 0"
    )
    # Without any run it is drawn where the picture is missing or shows less.
    _written(table, tmp_path / "nowhere", folder, monkeypatch)
    assert len(drawn) == 2
    monkeypatch.setattr(illustrations, "made_of", lambda path: made_of)
    _written(table, tmp_path / "nowhere", folder, monkeypatch)
    assert len(drawn) == 2


def test_seeds_that_are_discarded_are_no_part_of_a_figure_of_numbers():
    facts = kept.Facts(60, 16, "float32")
    result = kept.Result(Row("a", toy.SHARED), "paper", {}, facts, [0, 1, 2, 3], [], [1])
    found = illustrations.drawn({"a": [result]}, True)
    assert illustrations.caption(found, True) == "a: 60 x 16, float32, seeds 0, 2-3"
    assert illustrations.drawn({"a": [result]}) == {"a": []}


def test_a_figure_of_first_seeds_names_no_others():
    folders = [pathlib.Path(seed) for seed in ("4", "5", "6")]
    result = kept.Result(
        Row("a", toy.SHARED), "paper", {}, kept.Facts(60, 16, "float32"), [4, 5, 6], folders, []
    )
    found = illustrations.drawn({"a": [result]}, first_seed=True)
    assert illustrations.caption(found) == "a: 60 x 16, float32, seed 4"


def test_shipped_figures_of_numbers_open_no_run():
    """Of kept results, which have no folders, they draw all rows."""
    folder = pathlib.Path(__file__).parents[2] / "results"
    of_numbers = [table for table in catalog.tables().values() if table.from_numbers]
    assert len(of_numbers) > 10
    for table in of_numbers:
        found = illustrations.drawn(results.of_table(table, folder / "nowhere", folder), True)
        if any(found.values()):
            assert table.figure(found, table.columns).axes


def test_a_run_that_has_not_finished_is_not_drawn(trained, tmp_path):
    task = tasks.Task(toy.SHARED, 1, "paper", tmp_path)
    (task.folder / "DONE").unlink()
    found = results.of_table(trained, tmp_path)
    assert illustrations.caption(found).startswith("whole: 60 x 16, float32, seed 0;")
    (line,) = figures.curves(found, trained.columns).axes[0].lines
    assert line.get_xdata().tolist() == [10, 20, 30]


def test_a_figure_without_its_data_is_told_and_left_out(trained, tmp_path, monkeypatch, capsys):
    def fails(found, columns):
        raise UserError("no data here")

    broken = Table(trained.name, trained.title, trained.columns, trained.rows, figure=fails)
    monkeypatch.setattr(documents.catalog, "tables", lambda: {broken.name: broken})
    documents.write_results(tmp_path / "RESULTS.md", tmp_path)
    assert "![" not in (tmp_path / "results/toy.md").read_text()
    assert "toy/curves is not drawn: no data here" in capsys.readouterr().err
    # The table by itself is written, too.
    assert [path.suffix for path in documents.write(broken, tmp_path)] == [".md", ".csv"]
    assert "| whole |" in (tmp_path / "toy/curves.md").read_text()
    assert "toy/curves is not drawn: no data here" in capsys.readouterr().err


def test_a_picture_keeps_to_its_limit(tmp_path):
    figure = Figure(figsize=(3, 3))
    noise = np.random.default_rng(0).random((300, 300, 3))
    figure.add_axes((0, 0, 1, 1)).imshow(noise, interpolation="nearest")
    sizes = {}
    for limit in (None, 200_000, 30_000):
        illustrations.save(figure, tmp_path / "a.png", limit)
        sizes[limit] = (tmp_path / "a.png").stat().st_size
        with Image.open(tmp_path / "a.png") as image:
            sizes[limit, "wide"] = image.width
    assert sizes[None] > 200_000 >= sizes[200_000] > 30_000 >= sizes[30_000]
    assert sizes[None, "wide"] == 450 and sizes[30_000, "wide"] < sizes[200_000, "wide"]


@pytest.mark.parametrize(
    "numbers, text", [([], ""), ([3], "3"), ([0, 1, 2, 5], "0-2, 5"), ([1, 3, 4], "1, 3-4")]
)
def test_spans(numbers, text):
    assert illustrations.spans(numbers) == text


def test_clevr6_has_no_budget_for_two_cores():
    table = next(t for t in tables.TABLES if t.name.endswith("clevr6"))
    assert {row.run.cpu for row in table.rows} == {Budget(seeds=0)}
    assert not any(row.paper for row in table.rows)


def test_a_computed_figure_needs_no_runs(tmp_path, monkeypatch):
    def drawn(found, columns):
        assert not found and not columns
        return Figure(figsize=(1, 1))

    unrun = Table("toy/unrun", "Unrun", (MIG,), (Row("r", toy.run("toy/no")),))
    noted = ("Foreseen.",)
    computed = Table("toy/exact", "Exact", (), (), notes=noted, figure=drawn, computed=True)
    known = {table.name: table for table in (unrun, computed)}
    monkeypatch.setattr(documents.catalog, "tables", lambda: known)
    # By itself, and beside the results of runs; without any run there are no results to write.
    paths = documents.write(computed, tmp_path)
    assert [path.suffix for path in paths] == [".md", ".csv", ".png"]
    file = tmp_path / "written/RESULTS.md"
    assert documents.write_results(file, tmp_path) == []
    picture = tmp_path / "written/results/figures/toy_exact.png"
    picture.parent.mkdir(parents=True)
    illustrations.save(Figure(figsize=(1, 1)), picture, made_of="an earlier one")
    assert documents.write_results(file, tmp_path) == ["toy/exact"]
    text = (tmp_path / "written/results/toy.md").read_text()
    assert "- Foreseen.\n" in text and "| row |" not in text
    assert "![Exact](figures/toy_exact.png)\n\nRuns drawn: an earlier one.\n" in text
    # It is computed anew where it was deleted.
    picture.rename(picture.with_name("toy_unrun.png"))
    assert documents.write_results(file, tmp_path) == ["toy/unrun", "toy/exact"]
    text = (tmp_path / "written/results/toy.md").read_text()
    assert "![Exact](figures/toy_exact.png)\n\nRuns drawn: none, it is computed.\n" in text


@pytest.mark.parametrize("name", ["figure_3_3", "figure_7_6", "chapter_6"])
def test_computed_figures_of_the_dissertation_are_drawn(name, monkeypatch):
    monkeypatch.setattr(exact, "PRECISIONS", (1e2, 1e4))
    monkeypatch.setattr(exact, "OBSERVATIONS", 2)
    (table,) = (table for table in exact.TABLES if table.name == f"zietlow/{name}")
    figure = table.figure({}, ())
    assert len(figure.axes) == 2 and all(axis.lines for axis in figure.axes)
