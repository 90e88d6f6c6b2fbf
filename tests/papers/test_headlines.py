"""Verdicts on headline claims."""

import dataclasses
from fnmatch import fnmatch

import numpy as np
import pytest
import scipy.stats
import toy_tables as toy

from zoo.papers import catalog, claims, departures, documents, headlines, kept, results
from zoo.papers.spec import Claim, Headline, Row

ORDER = Claim("MIG", "low", "high")
HEADLINE = Headline("low is low", "toy/first", (ORDER,))


def result(name, values, run=toy.SHARED, budget="paper", **facts):
    differences = "; ".join(departures.differences(run, budget, ["float32"]))
    made = {"precision": "float32", "differences": differences, **facts}
    numbers = {"MIG": dict(enumerate(values))}
    return kept.Result(Row(name, run), budget, numbers, kept.Facts(60, 16, **made), range(9))


def outcome(low, high, headline=HEADLINE, **facts):
    rows = {"low": [result("low", low, **facts)], "high": [result("high", high)]}
    (found,) = headlines.outcomes([headline], {"toy/first": rows})
    return found


@pytest.mark.parametrize(
    "low, high, verdict",
    [
        (np.arange(5), np.arange(5, 10), "seen"),
        (np.arange(5, 10), np.arange(5), "opposite seen"),
        # Two hundredths between values that differ by a thousandth: an order, and a small one.
        (0.30 + np.arange(5) * 1e-3, 0.32 + np.arange(5) * 1e-3, "seen, within the margin"),
        (0.30 + np.arange(5) * 1e-3, 0.40 + np.arange(5) * 1e-3, "seen"),
        ([0.30, 0.31, 0.32, 0.33, 0.34], [0.31, 0.30, 0.33, 0.32, 0.34], "no difference"),
        ([0.1, 0.2, 0.3, 0.4, 0.5], [0.2, 0.3, 0.1, 0.5, 0.6], "undecided"),
        (np.arange(4), np.arange(5, 10), "undecided"),
        ([], np.arange(5), "not run"),
        (np.arange(5), [], "not run"),
    ],
)
def test_verdicts(low, high, verdict):
    assert outcome(low, high).verdict == verdict


def test_runs_that_today_does_not_make_do_not_count():
    low, high = np.arange(5), np.arange(5, 10)
    assert outcome(low, high, superseded="an old bug").verdict == "not run"
    assert outcome(low, high, differences="train.steps: 60 -> 4").verdict == "not run"


def test_budgets_are_shares_of_what_was_published():
    low, high = np.arange(5), np.arange(5, 10)
    ours = dataclasses.replace(HEADLINE, ours=True)
    assert outcome(low, high).budget == "full" and outcome(low, high, ours).budget == "ours"
    for headline in (HEADLINE, ours):
        assert outcome(low, high, headline, images_share=0.1).budget == "10 %"


def test_a_few_runs_of_the_papers_budget_do_not_hide_those_of_ours():
    def both(budget, low, high):
        pairs = {"low": low, "high": high}.items()
        return {name: result(name, values, toy.REDUCED, budget) for name, values in pairs}

    ours = both("cpu", range(5), range(5, 10))
    fresh = dataclasses.replace(ORDER, first_seed=2)
    for order in (ORDER, fresh):
        headline = dataclasses.replace(HEADLINE, orders=(order,))
        for few in ([0.5, 0.4], [0.5, 0.4, 0.3]):
            paper = both("paper", few, few)
            rows = {name: [paper[name], ours[name]] for name in ours}
            (found,) = headlines.outcomes([headline], {"toy/first": rows})
            assert found.seeds == (5 if order is ORDER else 3) and found.p < 0.06
    rows = {name: [each] for name, each in both("paper", [0.5], [0.4]).items()}
    (found,) = headlines.outcomes([HEADLINE], {"toy/first": rows})
    assert found.seeds == 1 and found.verdict == "undecided"


def test_of_several_orders_all_must_be_seen():
    both = Headline("", "toy/first", (ORDER, Claim("MIG", "low", "other")))
    rows = {name: [result(name, v)] for name, v in {"low": range(5), "high": range(5, 10)}.items()}
    verdicts = []
    for other in (range(5, 10), range(5), None):
        if other is not None:
            rows["other"] = [result("other", other)]
        else:
            del rows["other"]
        verdicts.append(headlines.outcomes([both], {"toy/first": rows})[0].verdict)
    assert verdicts == ["seen", "undecided", "not run"]


def test_orders_in_other_units_have_margins_of_their_own():
    """Per cent beside shares: half a per cent apart is no difference, half of all is."""
    shares, per_cent = 0.3 + np.arange(5) * 1e-3, 30 + np.arange(5) * 0.1
    rows = {name: [result(name, shares)] for name in ("low", "high")}
    rows |= {"less": [result("less", per_cent)], "more": [result("more", per_cent[::-1] + 0.05)]}
    orders = (ORDER, Claim("MIG", "less", "more"))

    def verdict(margin):
        headline = Headline("", "toy/first", orders, margin)
        return headlines.outcomes([headline], {"toy/first": rows})[0].verdict

    assert verdict(0.01) == "undecided" and verdict((0.01, 1.0)) == "no difference"
    assert "paired differences" in headlines.LEGEND


def test_corrected_over_the_claims_of_a_work():
    """Two claims of p = 0.028: neither is below 0.05 when both are tested."""
    low, high = [1, 2, 3, 5, 7], [4, 6, 8, 9, 10]
    p = scipy.stats.mannwhitneyu(low, high, alternative="less", method="exact").pvalue
    assert 0.025 < p < 0.05
    rows = {"toy/first": {"low": [result("low", low)], "high": [result("high", high)]}}
    assert [o.verdict for o in headlines.outcomes([HEADLINE], rows)] == ["seen"]
    found = headlines.outcomes([HEADLINE, HEADLINE], rows)
    assert [o.verdict for o in found] == ["undecided"] * 2
    assert [o.corrected for o in found] == pytest.approx([2 * p] * 2)


def test_the_p_of_an_opposite_order_is_corrected_as_well(monkeypatch):
    rows = {"low": [result("low", range(5, 10))], "high": [result("high", range(5))]}
    monkeypatch.setattr(catalog, "headlines", lambda: {"toy": (HEADLINE, HEADLINE)})
    text = headlines.markdown({"toy/first": rows}, "results", ())
    # One of C(10, 5) choices, of two claims.
    assert text.count(f"| {2 / 252:.2g} of the opposite |") == 2


def test_holm_by_hand():
    """Holm 1979: 0.01 x 4, 0.02 x 3, max(0.03 x 2, 0.06), max(0.04, 0.06)."""
    assert headlines.holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert headlines.holm([0.9, 0.8]) == [1, 1]
    assert headlines.holm([]) == []


def test_interval_is_two_one_sided_tests():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 8), rng.normal(0.3, 2, 11)
    for margin in (0.5, 1.0, 1.5, 2.0, 3.0):
        below = scipy.stats.ttest_ind(a + margin, b, equal_var=False, alternative="greater")
        above = scipy.stats.ttest_ind(a - margin, b, equal_var=False, alternative="less")
        both = max(below.pvalue, above.pvalue) <= 0.05
        assert (claims.equivalence(a, b, margin) <= 0.05) == both
    assert claims.equivalence(np.ones(3), np.ones(4), 0.0) == 0


def test_results_open_with_the_claims(tmp_path, toy_tables, finish, monkeypatch):
    monkeypatch.setattr(catalog, "headlines", lambda: {"toy": (HEADLINE,)})
    from zoo.papers import tasks

    finish(tasks.Task(toy.SHARED, 0, "paper", tmp_path), mig=0.5)
    documents.write_results(tmp_path / "RESULTS.md", tmp_path)
    text = (tmp_path / "RESULTS.md").read_text()
    assert text.index("## Headline claims") < text.index("## Tables")
    link = "[toy/first](results/toy.md)"
    assert f"| toy | low is low | **not run** | - | - | - | {link} |" in text


def test_headlines_name_rows_and_columns_that_their_tables_have():
    found = catalog.headlines()
    assert {"zietlow", "additive_decoders", "interaction_asymmetry", "seams"} <= set(found)
    for headline in (headline for work in found.values() for headline in work):
        table = catalog.table(headline.table)
        assert headline.orders and min(headline.margins) > 0
        assert len(headline.margins) == len(headline.orders)
        for claim in headline.orders:
            assert claim.column in {column.name for column in table.columns}
            assert table.row(claim.lower).run and table.row(claim.higher).run


# Columns that kept runs of some rows lack: generators without a mask have no size of it,
# photographs of clothes no factors, and decoders that are not additive no slots.
LACKING = {
    ("synergy/images", "mask size"): "*",
    ("zietlow/3.3", "DS"): "*mnist",
    ("additive_decoders/table_1_blocks", "slot identifiability"): "*/nonadditive",
    ("additive_decoders/sprite_pairs", "slot identifiability"): "*/nonadditive",
}


def test_kept_results_are_those_of_their_tables():
    """Every file of numbers is read by a table, and every number of it comes back."""
    import pathlib

    folder = pathlib.Path(__file__).parents[2] / "results"
    read = 0
    for table in catalog.tables().values():
        for name, rows in kept.read(table, folder).items():
            read += 1
            columns = [
                column.name
                for column in table.columns
                if not fnmatch(name, LACKING.get((table.name, column.name), ""))
            ]
            # Of discarded runs none has a number.
            assert all(len(found.values[n]) for found in rows if found.left for n in columns)
    assert read > 40
    assert {p for p in folder.glob("*/*.csv")} <= {
        kept.path(table, folder) for table in catalog.tables().values()
    }
    assert results.of_table(catalog.table("zietlow/3.4"), folder / "nowhere", folder)["ratio_1.0"]


def test_a_paired_claim_is_seen_where_every_seed_has_it_and_seeds_differ_more():
    one = np.array([0.1, 0.9, 0.5, 0.3, 0.2])
    assert claims.equivalence(one, one + [0.01, 0.02, 0.0, 0.01, 0.03], 0.05, paired=True) <= 0.05
    assert claims.equivalence(one, one + [0.01, 0.02, 0.0, 0.01, 0.03], 0.05) > 0.05
    assert claims.equivalence(one, one + 0.04, 0.05, paired=True) <= 0.05
    assert claims.equivalence(one, one + 0.06, 0.05, paired=True) > 0.05


def test_a_work_without_results_is_no_link():
    # Nothing is written beside the claims of a work of which nothing has run.
    assert "](results/" not in headlines.markdown({}, "results", ())
    assert "[zietlow/3.3](results/zietlow.md)" in headlines.markdown({}, "results", ("zietlow",))
