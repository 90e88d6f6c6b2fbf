"""A user's own table, from a module of hers."""

import pathlib

import pytest

from zoo import reproduce
from zoo.errors import UserError
from zoo.papers import catalog

MODULE = """
from zoo.papers.spec import Column, Row, Run, Table

RUN = Run("hers/linear", "gin/linear_vae.gin", ("train.steps = 3",))
TABLES = (Table("hers/1", "Her table", (Column("MCC", ("mcc", "score")),), (Row("a", RUN),)),)
"""


@pytest.fixture(autouse=True)
def _in_her_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(catalog, "_OWN", [])


def test_it_is_listed_and_its_runs_are_known(tmp_path, capsys, fails):
    (tmp_path / "her_tables.py").write_text(MODULE)
    fails(reproduce.main, "--table=hers/1", "--status")
    reproduce.main(["--import=her_tables", "--list"])
    assert "hers/1" in capsys.readouterr().out
    reproduce.main(["--import=her_tables", "--table=hers/1", "--status", "--seeds=2"])
    assert "hers/linear" in capsys.readouterr().out


COMPARED = """
from zoo.papers.spec import Claim, Column, Equal, Row, Run, Table, Trend

def row(name, run, *bindings):
    return Row(name, Run(f"hers/{run}", "gin/linear_vae.gin", bindings))

TABLES = (
    Table(
        "hers/1",
        "Her table",
        (Column("MCC", ("mcc", "score")), Column("DtO", ("dto", "score"))),
        (row("a", "a"), row("b", "b", "train.steps = 3"), row("c", "c")),
        CLAIMS,
    ),
)
"""


@pytest.mark.parametrize(
    ("name", "claims", "message"),
    [
        (
            "column_typed",
            "Claim('MC', 'a', 'b')",
            "'MC: a < b': no column is named 'MC'; .* MCC, D",
        ),
        ("row_typed", "Claim('MCC', 'a', 'd')", "no row is named 'd'; there are a, b, c"),
        ("equal_typed", "Equal('MCC', ('a', 'd'))", "no row is named 'd'"),
        ("trend_typed", "Trend('MCC', ('a', 'b', 'd'))", "no row is named 'd'"),
        ("trend_of_two", "Trend('MCC', ('a', 'b'))", "a trend needs three rows or more"),
    ],
)
def test_claims_are_checked_before_anything_is_trained(tmp_path, name, claims, message):
    (tmp_path / f"{name}.py").write_text(COMPARED.replace("CLAIMS", f"({claims},)"))
    with pytest.raises(UserError, match=message):
        reproduce.main([f"--import={name}", "--list"])
    assert not any(t.startswith("hers") for t in catalog.tables())


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        (
            "one_run_name",
            '"b", "b"',
            '"b", "a"',
            "hers/1, row b: a run named 'hers/a' with another",
        ),
        ("two_rows", '"b", "b"', '"a", "b"', "hers/1 has two rows named 'a'; rename one"),
        ("two_columns", '"DtO",', '"MCC",', "hers/1 has two columns named 'MCC'"),
        (
            "our_run",
            "hers/{run}",
            "beta_vae/synth_lin",
            "row a: a run named 'beta_vae/synth_lin' with another gin file or bindings is there",
        ),
    ],
)
def test_names_are_told_apart(tmp_path, name, old, new, message):
    (tmp_path / f"{name}.py").write_text(COMPARED.replace("CLAIMS", "()").replace(old, new))
    with pytest.raises(UserError, match=message):
        reproduce.main([f"--import={name}", "--list"])


def test_rows_may_share_a_run_and_shipped_tables_pass(tmp_path, monkeypatch):
    text = COMPARED.replace("CLAIMS", "(Claim('DtO', 'a', 'b'), Trend('MCC', ('a', 'b', 'c')))")
    (tmp_path / "shared.py").write_text(text.replace('row("c", "c")', 'row("c", "a")'))
    reproduce.main(["--import=shared", "--list"])
    made = {}
    for table in catalog.tables().values():
        catalog.check(table, made)
    monkeypatch.syspath_prepend(pathlib.Path(__file__).parents[2] / "examples")
    reproduce.main(["--import=own_table", "--list", "--table=own/posterior"])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("named_as_ours", MODULE.replace("hers/1", "zietlow/3.3"), "a table cannot be named 'zie"),
        ("nameless", MODULE.replace("hers/1", "hers"), "give '<work>/<number>'"),
        (
            "of_rows",
            "TABLES = ('a row',)",
            "of_rows.TABLES holds a str; give zoo.papers.spec.Table",
        ),
    ],
)
def test_bad_input(tmp_path, name, text, message):
    (tmp_path / f"{name}.py").write_text(text)
    with pytest.raises(UserError, match=message):
        reproduce.main([f"--import={name}", "--list"])
    assert not any(t.startswith("hers") for t in catalog.tables())
