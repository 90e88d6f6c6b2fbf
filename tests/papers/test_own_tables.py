"""A user's own table, from a module of hers."""

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
