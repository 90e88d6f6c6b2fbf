"""The page of several runs."""

import json
import pathlib
import re
import urllib.parse

import numpy as np
import pytest

from zoo.drawing import sheets
from zoo.report import __main__ as command
from zoo.report import comparison


def _run(folder, seed: int, beta: float, score: float, **row):
    (folder / "images").mkdir(parents=True)
    (folder / "report").mkdir()
    facts = {"name": "beta", "model": "BetaVAE", "dataset": "toy/squares", "seed": seed}
    (folder / "manifest.json").write_text(json.dumps(facts))
    (folder / "scores.json").write_text(json.dumps({"explicitness": {"score": score, **row}}))
    (folder / "config.gin").write_text(f"BetaVAE.beta = {beta}\ntrain.steps = 3\n")
    rows = [{"step": step, "loss": 9.0 / step, "kl": 1.0 * beta} for step in (1, 2, 3)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    (folder / "images" / "reconstructions.png").write_bytes(sheets.png(pixels))
    return folder


@pytest.fixture
def runs(tmp_path):
    made = [
        _run(tmp_path / "runs" / "a", 0, 1.0, 0.125, interval=[0.1, 0.15]),
        _run(tmp_path / "runs" / "b", 1, 4.0, 0.5, seed_std=0.01),
    ]
    (made[1] / "report" / "index.html").write_text("hers")
    return made


def _shown(page) -> str:
    text = re.sub(r"<(style|svg|title).*?</\1>", " ", page.read_text("utf-8"), flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text))


def test_runs_stand_side_by_side(runs, tmp_path, capsys):
    out = tmp_path / "pages" / "both.html"
    command.main([*map(str, runs), f"--out={out}"])
    assert capsys.readouterr().out == f"report: {out}\n"
    text, page = _shown(out), out.read_text("utf-8")
    for expected in (
        "2 runs Report of b",
        "a BetaVAE toy/squares 0 b BetaVAE toy/squares 1",
        "Settings that differ A dash: the model of that run has no such parameter. a b "
        "BetaVAE.beta 1.0 4.0",
        # Beside the values those of chance, which the score itself knows.
        "a b Chance Explicitness 0.125 [0.100 to 0.150] 0.500 ± 0.010 0.500",
        "Reconstructions Images, and below each its reconstruction. a b",
    ):
        assert expected in text, expected
    assert "train.steps" not in text
    assert 'href="../runs/b/report/index.html"' in page
    # One chart for both, with their names.
    assert page.count('aria-label="Loss"') == 1 and page.count("<img ") == 2


def test_of_three_runs_the_spread_is_shown(runs, tmp_path):
    runs.append(_run(tmp_path / "elsewhere" / "c", 2, 4.0, float("nan")))
    out = comparison.write(runs, tmp_path / "three.html")
    text = _shown(out)
    assert "runs/a runs/b elsewhere/c Median Range Chance Explicitness" in text
    assert "– 0.312 0.125 to 0.500 0.500" in text


def test_links_lead_to_folders_of_any_name(runs, tmp_path):
    for name in ("b#1", "a:1", "50%25", "what?"):
        run = _run(tmp_path / name, 0, 1.0, 0.5)
        (run / "report" / "index.html").write_text("hers")
        runs.append(run)
    page = comparison.write(runs, tmp_path / "page.html").read_text("utf-8")
    links = re.findall(r'<a href="([^"]*)">Report', page)
    assert len(links) == 5
    for link in links:
        parts = urllib.parse.urlsplit(urllib.parse.urljoin(tmp_path.as_uri() + "/", link))
        assert not parts.query and not parts.fragment
        assert pathlib.Path(urllib.parse.unquote(parts.path)).read_text() == "hers"


def test_one_run_has_its_report_written(runs, capsys):
    command.main([str(runs[1])])
    assert capsys.readouterr().out == f"report: {runs[1]}/report/index.html\n"
    assert "hers" not in (runs[1] / "report" / "index.html").read_text()


def test_bad_input_is_one_line(runs, tmp_path, fails):
    one, two = map(str, runs)
    out = f"--out={tmp_path / 'page.html'}"
    assert "--out" in fails(command.main, one, two)
    assert "several runs" in fails(command.main, one, out)
    assert "nowhere" in fails(command.main, one, "nowhere", out)
    assert "given twice" in fails(command.main, one, f"{one}/../a", out)
    assert "--out=" in fails(command.main, one, two, f"--out={tmp_path}")
    (runs[0] / "config.gin").write_bytes(b"train.name = '\xff'\n")
    assert "config.gin is damaged: byte 14" in fails(command.main, one, two, out)
    (runs[0] / "config.gin").unlink()
    assert "config.gin" in fails(command.main, one, two, out)
