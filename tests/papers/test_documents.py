"""Verdicts, and what tables say."""

import csv
import dataclasses
import io
import itertools
import json

import numpy as np
import pytest
import scipy.stats
import toy_tables as toy
from hypothesis import given
from hypothesis import strategies as st

from zoo.errors import UserError
from zoo.papers import claims, documents, figures, kept, results, tasks
from zoo.papers.kept import Result
from zoo.papers.spec import Claim, Column, Discard, Equal, Row, Table, Trend

CLAIM = Claim("MIG", "a", "b")


def test_verdict_is_the_exact_permutation_test():
    """The p of the U statistic, by going through all splits of the pooled ranks."""
    lower, higher = np.array([0.1, 0.4, 0.2, 0.35]), np.array([0.3, 0.9, 0.8])
    pooled = np.concatenate([lower, higher])

    def wins(chosen):
        rest = np.delete(pooled, chosen)
        return sum((pooled[i] < rest).sum() for i in chosen)

    observed = wins(range(4))
    every = [wins(list(c)) for c in itertools.combinations(range(7), 4)]
    expected = np.mean([w >= observed for w in every])
    found = claims.verdict(CLAIM, lower, higher)
    assert found.p == pytest.approx(expected)
    assert found.text == ("holds" if expected <= 0.05 else "not seen")


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=4),
    st.lists(st.integers(0, 3), min_size=1, max_size=4),
)
def test_an_order_with_equal_values_is_the_exact_permutation_test_of_mean_ranks(lower, higher):
    ranks = scipy.stats.rankdata([*lower, *higher])
    observed = ranks[: len(lower)].sum()
    every = [sum(c) for c in itertools.combinations(ranks, len(lower))]
    p = claims.probability(CLAIM, np.array(lower), np.array(higher))
    assert p == pytest.approx(np.mean(np.array(every) <= observed))
    opposite = claims.probability(CLAIM, np.array(lower), np.array(higher), "greater")
    assert opposite == pytest.approx(np.mean(np.array(every) >= observed))


def test_an_order_of_many_seeds_is_exact():
    """Of ten and ten in complete order one of C(20, 10) choices is as good."""
    assert claims.probability(CLAIM, np.arange(10), np.arange(10, 20)) == pytest.approx(1 / 184756)


@pytest.mark.parametrize(
    "lower, higher, text",
    [
        ([1, 2, 3], [4, 5, 6], "holds"),  # p = 1/20
        ([1, 2, 3], [4, 5], "too few seeds"),  # the least p is 1/10
        ([4, 5, 6], [1, 2, 3], "not seen"),
        ([1], [], "too few seeds"),
    ],
)
def test_verdicts(lower, higher, text):
    assert claims.verdict(CLAIM, np.array(lower), np.array(higher)).text == text


def test_paired_rows_are_compared_by_sign_flips():
    claim = Claim("MIG", "a", "b", paired=True)
    lower, higher = np.array([0.1, 0.9, 0.5, 0.3, 0.2]), np.array([0.2, 1.0, 0.6, 0.5, 0.3])
    found = claims.verdict(claim, lower, higher)
    # One of 32 choices of signs; the seeds differ far more than the rows.
    assert found.p == 1 / 32 and found.text == "holds"
    assert claims.verdict(CLAIM, lower, higher).p > 0.2
    assert claims.verdict(claim, lower[:4], higher[:4]).text == "too few seeds"
    assert claims.probability(claim, lower, higher, "greater") == 1.0
    # By hand: of +-1 +-2 +-3 five sums are no smaller than 1 + 2 - 3 = 0.
    assert claims.probability(claim, np.zeros(3), np.array([1.0, 2.0, -3.0])) == 5 / 8


def test_signs_of_many_pairs_are_flipped_at_random():
    claim = Claim("MIG", "a", "b", paired=True)
    rng = np.random.default_rng(0)
    lower, noise = rng.normal(size=(2, 40))
    p = claims.probability(claim, lower, lower + noise)
    # Of so many differences the mean is all but normal.
    normal = scipy.stats.norm.sf(noise.sum() / np.sqrt((noise**2).sum()))
    assert p == pytest.approx(normal, rel=0.05)
    assert claims.probability(claim, lower, lower + noise) == p


def test_rows_are_equal_where_the_interval_of_their_difference_is_within_the_margin():
    claim = Equal("MIG", ("a", "b"), margin=0.05, paired=True)
    first = np.array([0.1, 0.9, 0.5, 0.3])
    close = first + [0.01, -0.01, 0.02, 0.0]
    found = claims.verdict(claim, first, close)
    assert found.text == "holds" and found.effect == pytest.approx(0.005)
    # By hand: the mean .005 and the error sqrt(5 / 3) .01 / 2 of four differences.
    expected = scipy.stats.t.sf((0.05 - 0.005) / (np.sqrt(5 / 3) * 0.01 / 2), 3)
    assert found.p == pytest.approx(expected)
    assert claims.verdict(claim, first, first + 0.06).text == "not seen"
    assert claims.verdict(dataclasses.replace(claim, paired=False), first, close).p > 0.05
    assert claims.verdict(claim, first[:2], close[:2]).text == "too few seeds"


def test_a_trend_is_that_of_most_orders_of_the_values():
    """Page's p, by going through all orders of three values for two seeds."""
    claim = Trend("MIG", ("a", "b", "c"))
    values = np.array([[0.1, 0.2, 0.3], [0.5, 0.4, 0.9]])
    orders = list(itertools.permutations([1, 2, 3]))
    sums = [np.dot(p, [1, 2, 3]) + np.dot(q, [1, 2, 3]) for p in orders for q in orders]
    observed = 14 + 13
    found = claims.verdict(claim, *values.T)
    assert found.p == pytest.approx(np.mean(np.array(sums) >= observed))
    # Spearman's correlations of the seeds are 1 and 1/2.
    assert found.effect == pytest.approx(0.75) and found.text == "not seen"
    assert claims.verdict(claim, *values[[0, 0]].T).text == "holds"  # p = 1/36
    assert claims.verdict(claim, *values[:1].T).text == "too few seeds"
    assert str(claim) == "MIG rises: a, b, c"


def test_a_trend_with_equal_values_is_that_of_most_orders_of_their_mean_ranks():
    ranks = np.array([[1, 2.5, 2.5], [1.5, 1.5, 3], [1.5, 1.5, 3]])
    orders = [[np.dot(p, [1, 2, 3]) for p in itertools.permutations(each)] for each in ranks]
    sums = np.array([sum(each) for each in itertools.product(*orders)])
    expected = np.mean(sums >= (ranks @ [1, 2, 3]).sum())
    values = np.array([[0, 1, 1], [0, 0, 1], [0, 0, 1]])
    assert claims.trend(*values.T) == pytest.approx(expected) and expected < 0.05


def test_which_numbers_count():
    def result(numbers):
        return Result(Row("a", None), "cpu", {"MIG": numbers}, None, list(numbers))

    pair = result({0: 0.1, 1: 0.2, 3: 0.4}), result({3: 0.9, 1: 0.8, 2: 0.7})
    lower, higher = claims.numbers(Claim("MIG", "a", "b", paired=True), *pair)
    assert lower.tolist() == [0.2, 0.4] and higher.tolist() == [0.8, 0.9]
    assert [len(each) for each in claims.numbers(CLAIM, *pair)] == [3, 3]
    fresh = claims.numbers(Claim("MIG", "a", "b", first_seed=2), *pair)
    assert [each.tolist() for each in fresh] == [[0.4], [0.7, 0.9]]


def test_outside_allows_for_rounding():
    column = Column("DtO", ("dto", "score"))
    # A mean and deviation of 0.00 may be anything below 0.005.
    assert not results.outside(0.0149, (0.0, 0.0), column)
    assert results.outside(0.0151, (0.0, 0.0), column)
    assert results.outside(0.30, (0.5, 0.08), column)
    assert not results.outside(0.33, (0.5, 0.08), column)
    assert not results.outside(9.0, (97.8, None), column)


def test_share_of_training_from_a_log(tmp_path):
    lines = [(500, 0.5), (1000, 0.01), (1500, 0.04), (2000, 0.02)]
    text = "".join(f'{{"step": {s}, "relative_kl_error": {e}}}\n' for s, e in lines)
    (tmp_path / "metrics.jsonl").write_text(text)
    column = Column(
        "share", ("relative_kl_error",), "metrics.jsonl", results.share_of_training, scale=100
    )
    assert results.number(tmp_path, column) == pytest.approx(25.0)
    (tmp_path / "metrics.jsonl").write_text('{"step": 5}\n')
    assert results.number(tmp_path, column) is None


@pytest.fixture
def written(tmp_path, finish):
    """Three seeds of the full run, two and one of the reduced one at its budgets."""
    for seed, score in enumerate((0.50, 0.80, 0.95)):
        finish(tasks.Task(toy.SHARED, seed, "paper", tmp_path), mig=score, mcc=0.5)
    for seed, score in enumerate((0.1, 0.2)):
        finish(tasks.Task(toy.REDUCED, seed, "cpu", tmp_path), steps=4, mig=score)
    documents.write(toy.FIRST, tmp_path)
    return tmp_path


def test_markdown(written):
    lines = (written / "toy/first.md").read_text().splitlines()
    assert lines[0] == "# toy/first: Two models"
    assert lines[2].startswith("| row | MIG, paper | MIG, ours | MCC, paper | MCC, ours | seeds |")
    good = [cell.strip() for cell in lines[4].strip("|").split("|")]
    assert good[:6] == ["good", "0.50 ± 0.10", "0.75 ± 0.23 (!)", "-", "50.0 ± 0.0", "3"]
    assert good[6:8] == ["Adam 1e-3", "60 x 16, float32"] and good[9] == "2024-01-03"
    assert good[8] == (
        "`python -m zoo.reproduce --table=toy/first --budget=paper --rows=good --seeds=3`"
    )
    share = "6.7 % of the published images"
    assert f"| 2 | Adam 1e-3 | 4 x 16, float32 (reduced: cpu, {share}) |" in lines[5]
    assert "| absent | 0.10 ± 0.10 | - | - | - | 0 | - | no configuration yet |" in lines[6]
    assert lines.index("- a note") + 1 == lines.index(
        "- Differs from the paper, `small`: train.steps: 60 -> 4."
    )
    # The full run is also what the cpu budget makes of it, so that the two are compared there.
    assert "| MIG: small < good | cpu | 2, 3 | 0.6 | 0.1 | too few seeds |" in lines
    # Two full runs are compared at one budget, whichever was asked for.
    found = results.of_table(toy.SECOND, written)
    both = dataclasses.replace(
        toy.SECOND,
        rows=(*toy.SECOND.rows, Row("more", toy.SHARED)),
        claims=(Claim("MIG", "again", "more"),),
    )
    assert [v.budget for v in claims.verdicts(both, found | {"more": found["again"]})] == ["paper"]


def test_csv(written):
    rows = list(csv.DictReader(io.StringIO((written / "toy/first.csv").read_text())))
    assert [(r["row"], r["column"]) for r in rows[:3]] == [
        ("good", "MIG"),
        ("good", "MCC"),
        ("small", "MIG"),
    ]
    assert rows[0]["seeds"] == "0 1 2" and rows[0]["paper_mean"] == "0.5"
    np.testing.assert_array_equal(np.array(rows[0]["values"].split(), float), [0.50, 0.80, 0.95])
    assert float(rows[0]["mean"]) == pytest.approx(0.75)
    assert float(rows[0]["median"]) == 0.8
    assert float(rows[0]["median_low"]) == 0.5 and float(rows[0]["median_high"]) == 0.95
    assert rows[2]["budget"] == "cpu" and rows[2]["steps"] == "4"
    assert rows[3]["values"] == "nan nan" and rows[4]["mean"] == ""


def test_results_hold_tables_with_runs_only(written, toy_tables, monkeypatch):
    empty = Table("toy/empty", "None", toy.COLUMNS, (Row("r", toy.run("toy/never")),))
    known = {**{t.name: t for t in toy_tables}, empty.name: empty}
    monkeypatch.setattr(documents.catalog, "tables", lambda: known)
    assert documents.write_results(written / "RESULTS.md", written) == ["toy/first", "toy/second"]
    text = (written / "RESULTS.md").read_text()
    assert text.startswith("# Results\n") and "toy/empty" not in text
    assert "- [toy/first](results/toy.md): Two models\n" in text
    text = (written / "results/toy.md").read_text()
    assert "## toy/first: Two models" in text and "| again | - | 0.75 ± 0.23 |" in text


def test_results_are_kept_without_their_runs(written, toy_tables, tmp_path):
    file = written / "RESULTS.md"
    documents.write_results(file, tmp_path / "nowhere")
    assert "No run has finished yet." in file.read_text()
    with pytest.raises(
        UserError, match="nowhere has no finished run of any table, nor .* as it is"
    ):
        documents.write_results(file, tmp_path / "nowhere")
    documents.write_results(file, written)
    texts = [path.read_bytes() for path in sorted(written.glob("results/**/*.*"))]
    assert len(texts) == 3
    documents.write_results(file, tmp_path / "nowhere")
    assert texts == [path.read_bytes() for path in sorted(written.glob("results/**/*.*"))]


def test_a_column_that_came_later_has_no_numbers_of_what_is_kept(written, toy_tables):
    documents.write_results(written / "RESULTS.md", written)
    columns = *toy.SECOND.columns, Column("later", ("later",))
    later = dataclasses.replace(toy.SECOND, columns=columns)
    found = kept.read(later, written / "results")
    assert found["again"][0].numbers["later"] == {}
    assert "| again | - | 0.75 ± 0.23 | - | - |" in documents.markdown(later, found)
    assert kept.as_csv(later, found).count("later") == 1


def test_further_seeds_join_those_that_are_kept(written, toy_tables, tmp_path, finish):
    file, other = written / "RESULTS.md", tmp_path / "other"
    documents.write_results(file, written)
    for seed, score in ((2, 0.5), (7, 0.2)):
        finish(tasks.Task(toy.SHARED, seed, "paper", other), mig=score)
    documents.write_results(file, other)
    (found,) = kept.read(toy.FIRST, written / "results")["good"]
    # The seed that both have is the fresh one's; the fresh ones have no MCC.
    assert found.numbers["MIG"] == {0: 0.50, 1: 0.80, 2: 0.5, 7: 0.2}
    assert found.numbers["MCC"] == {0: 50.0, 1: 50.0} and found.seeds == [0, 1, 2, 7]
    assert "| 0.50 ± 0.24 | - | 50.0 ± 0.0 | 4 |" in (written / "results/toy.md").read_text()


def test_processors_of_joined_seeds_are_named_once(tmp_path):
    def joined(*processors):
        found = None
        for seed, processor in enumerate(processors):
            facts = kept.Facts(1, 1, processor=processor)
            found = kept.united(Result(Row("a", None), "cpu", {}, facts, [seed]), found)
        return found

    assert joined("A", "B", "A", "B").facts.processor == "A and B"
    assert joined("", "").facts.processor == ""
    both = joined("", "A", "", "B")
    assert both.facts.processor == "A and B and one that is not recorded"
    # Those of seeds that have been run again do not count.
    again = dataclasses.replace(both, seeds=[0, 1, 2, 3], facts=kept.Facts(1, 1, processor="C"))
    assert kept.united(again, both).facts.processor == "C"


def test_a_training_of_other_settings_replaces_what_is_kept_and_says_so(
    written, toy_tables, tmp_path, finish, capsys
):
    file, other = written / "RESULTS.md", tmp_path / "other"
    documents.write_results(file, written)
    finish(tasks.Task(toy.REDUCED, 5, "cpu", other), steps=3, mig=0.3)
    assert "dropped" not in capsys.readouterr().err
    documents.write_results(file, other)
    (found,) = kept.read(toy.FIRST, written / "results")["small"]
    assert found.numbers["MIG"] == {5: 0.3} and found.facts.steps == 3
    (line,) = [x for x in capsys.readouterr().err.splitlines() if "dropped" in x]
    assert line.startswith("toy/first, small: the kept seeds [0, 1] are dropped")
    assert line.endswith("of two trainings (steps)")


def test_runs_that_are_superseded_have_no_command(written, toy_tables, tmp_path):
    file, record = written / "RESULTS.md", written / "results/toy/first.csv"
    documents.write_results(file, written)
    lines = record.read_text().splitlines()
    record.write_text("\n".join(x + "an old bug." if ",good," in x else x for x in lines) + "\n")
    documents.write_results(file, tmp_path / "nowhere")
    text = (written / "results/toy.md").read_text()
    assert "- The runs of `good`: an old bug.\n" in text
    assert "--table=toy/first --budget=paper --rows=good" not in text
    assert "--table=toy/first --budget=cpu --rows=small" in text
    assert "| MIG: small < good | cpu | 2, 3 | - | - | runs of two definitions |" in text


def test_runs_that_are_superseded_lend_no_seeds():
    def result(seed, superseded=""):
        facts = kept.Facts(1, 1, superseded=superseded)
        return Result(Row("a", None), "cpu", {"MIG": {seed: 0.5}}, facts, [seed])

    fresh = result(0)
    assert kept.united(fresh, result(1, "an old bug")) is fresh
    assert kept.united(fresh, result(1)).seeds == [0, 1]


def test_seeds_of_other_images_do_not_join():
    def result(seed, images):
        facts = kept.Facts(1, 1, images=images)
        return Result(Row("a", None), "cpu", {"MIG": {seed: 0.5}}, facts, [seed])

    fresh = result(0, "ab12")
    assert kept.united(fresh, result(1, "cd34")) is fresh
    # What was kept before fingerprints were is taken for the same.
    for one, other in ((fresh, result(1, "")), (result(0, ""), result(1, "ab12"))):
        both = kept.united(one, other)
        assert both.seeds == [0, 1] and both.facts.images == "ab12"


def test_a_row_of_several_versions_of_the_data_says_so(written):
    folders = sorted((written / "cpu" / toy.REDUCED.name).iterdir())
    for folder, fingerprint in zip(folders, ("ab12", "cd34"), strict=True):
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["dataset_fingerprint"] = fingerprint
        (folder / "manifest.json").write_text(json.dumps(manifest))
    (result,) = results.of_table(toy.FIRST, written)["small"]
    assert result.facts.images == "ab12 and cd34"
    for other in ("ab12", "cd34"):
        assert result.facts.apart(dataclasses.replace(result.facts, images=other)) == ["images"]
    documents.write(toy.FIRST, written)
    text = (written / "toy/first.md").read_text()
    assert "- The runs of `small` are of several versions of the data.\n" in text


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_data_that_each_seed_draws_have_no_fingerprint(seeds):
    manifests = [
        {"dataset": f"toy/seed={n}", "dataset_fingerprint": f"ab{n}", "steps": 1, "batch_size": 1}
        for n in seeds
    ]
    assert results.facts(toy.REDUCED, "cpu", manifests).images == ""


def test_pictures_and_discarded_runs_keep_what_made_them(written, tmp_path, monkeypatch):
    """Results are the same with the runs and without, though no number is kept of these."""
    rows = (Row("good", toy.SHARED),)
    picture = Table("toy/picture", "A picture", (), rows)
    discard = Discard(toy.COLUMNS[0], 2.0, "bad")
    none = Table("toy/none", "All discarded", toy.COLUMNS, rows, discard=discard)
    monkeypatch.setattr(documents.catalog, "tables", lambda: {t.name: t for t in (picture, none)})
    file = written / "RESULTS.md"
    documents.write_results(file, written)
    text = (written / "results/toy.md").read_text()
    assert "| good | 3 | Adam 1e-3 | 60 x 16, float32 |" in text
    assert "| good | - | - | - | - | 3 | 3 | Adam 1e-3 | 60 x 16, float32 |" in text
    documents.write_results(file, tmp_path / "nowhere")
    assert (written / "results/toy.md").read_text() == text
    assert kept.read(picture, written / "results")["good"][0].seeds == [0, 1, 2]


def test_a_processor_that_is_not_recorded_is_said_so(written):
    (line,) = [x for x in (written / "toy/first.md").read_text().splitlines() if "processor" in x]
    assert line == "- The processor was not recorded then, `good`, `small`."


def test_results_are_utf_8_in_any_locale(written, toy_tables, monkeypatch):
    record = written / "results/toy/first.csv"
    documents.write_results(written / "RESULTS.md", written)
    text = record.read_text(encoding="utf-8").replace("Adam", "Adam β")
    record.write_text(text, encoding="utf-8")
    # As in a locale that has ASCII alone.
    monkeypatch.setattr(io, "text_encoding", lambda encoding, *_: encoding or "ascii")
    (found,) = kept.read(toy.FIRST, written / "results")["good"]
    assert found.facts.optimiser.startswith("Adam β")


@pytest.mark.parametrize(
    "text", ["row\ngood\n", "row,column,budget,seeds,discarded,values\ngood,MIG,paper,0,,high\n"]
)
def test_a_damaged_file_of_results_is_named(text, tmp_path):
    kept.path(toy.FIRST, tmp_path).parent.mkdir()
    kept.path(toy.FIRST, tmp_path).write_text(text)
    with pytest.raises(UserError, match=r"toy/first.csv is no file of results .* restore it"):
        kept.read(toy.FIRST, tmp_path)


@pytest.mark.parametrize("figure", [figures.line_search, figures.scatter])
def test_figures_draw_every_group(figure, written):
    rows = tuple(Row(f"r{x}", toy.SHARED, {}, "one" if x < 3 else "two", x) for x in (1, 2, 3))
    table = Table("toy/figure", "A figure", toy.COLUMNS, rows, figure=figure)
    paths = documents.write(table, written)
    assert paths[-1].name == "figure.png" and paths[-1].read_bytes()[:4] == b"\x89PNG"
    drawn = figure(results.of_table(table, written), table.columns)
    if figure is figures.scatter:
        assert [len(c.get_offsets()) for c in drawn.axes[0].collections] == [6, 3]
    else:
        assert [axis.get_title() for axis in drawn.axes[:2]] == ["one", "two"]
        assert drawn.axes[0].lines[0].get_xdata().tolist() == [1, 2]
    assert "![A figure](figure.png)" in (written / "toy/figure.md").read_text()
