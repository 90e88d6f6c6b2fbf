"""The page: well formed, needing nothing but itself, whole from any part of a run folder."""

import base64
import html.parser
import json
import re

import numpy as np
import pytest

from zoo import evaluation
from zoo.drawing import charts, sheets
from zoo.errors import UserError
from zoo.evaluation import facts
from zoo.report import contents, page

HOSTILE = "</code></pre><script>alert('x')</script><img src=http://evil.example/a.png>\"&amp;"
VOID = {"meta", "link", "img", "br", "hr", "input"}


class Reader(html.parser.HTMLParser):
    """Checks the nesting and keeps tags, addresses and text."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.addresses, self.text = [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.addresses += [v for k, v in attributes if k in ("src", "href", "srcset", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(path) -> Reader:
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    assert reader.open == []
    return reader


def shown(reader: Reader) -> str:
    return re.sub(r"\s+", " ", " ".join(reader.text))


MANIFEST = {
    "name": "β-VAE",
    "model": "BetaVAE",
    "dataset": "zoo_dsprites/rendered",
    "seed": 3,
    "steps": 12000,
    "batch_size": 64,
    "factors": ["shape", "scale"],
    "versions": {"tensorflow": "2.21.0"},
    "timings": {"train_s": 682.2},
    "images_per_s": 1913.4,
    "finished": "2026-01-17 14:03:22",
}
SCORES = {
    "mig": {
        "score": 0.361,
        "per_factor": [0.12, 0.98],
        "mutual_information": [[0.11, 0.22], [0.33, 0.44], [0.55, 0.66]],
        "reason": None,
        "seconds": 0.1,
    },
    "dci": {"score": 0.5, "completeness": 0.625, "importance": [[1, 0], [0, 0.75], [0, 0.25]]},
    "modularity": {"score": 0.7, "per_code": [0.7, 0.8, 0.9]},
    "dto": {"score": None, "reason": "the model has no <decoder>"},
    "ima_contrast": {"score": float("nan")},
}


@pytest.fixture
def run(tmp_path):
    """A whole run folder."""
    folder = tmp_path / "run"
    (folder / "images").mkdir(parents=True)
    (folder / "saved_model").mkdir()
    (folder / "manifest.json").write_text(json.dumps(MANIFEST))
    (folder / "scores.json").write_text(json.dumps(SCORES))
    (folder / "config.gin").write_text("vae.beta = 4.0\n")
    rows = [
        {"step": step, "time_s": 1.0 * step, "images_per_s": 1900.0, "loss": 90.0 / step}
        | {"reconstruction": 80.5 / step, "kl": 9.25, "kl_per_latent": [6.0, 3.0, 0.25]}
        | {"active_latents": 2.0}
        for step in (1, 2, 3)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for seed, name in enumerate(["zeta", "traversals", "reconstructions", "alpha"]):
        pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
        (folder / "images" / f"{name}.png").write_bytes(sheets.png(pixels))
    return folder


def test_page_of_a_whole_run(run):
    path = page.write_from_run(run)
    assert path == run / "report" / "index.html"
    reader = read(path)
    text = shown(reader)
    for expected in (
        *("β-VAE", "BetaVAE", "zoo_dsprites/rendered", "12,000 steps, batches of 64"),
        *("2026-01-17 14:03", "0.361", "26.83 nats", "9.250 nats", "2 of 3", "1,913 images/s"),
        *("11.4 min", "completeness 0.625", "not scored: the model has no <decoder>"),
        *("vae.beta = 4.0", '"tensorflow": "2.21.0"', "saved_model", "IMA contrast –"),
        *("MIG: mutual information in nats", "0.66", "DCI: importance for each factor"),
        *("Scores per factor shape scale MIG 0.120 0.980", "Modularity: per code 0.700 0.800"),
    ):
        assert expected in text, expected
    assert "seconds" not in text
    [title] = re.findall("<title>(.*)</title>", path.read_text(encoding="utf-8"))
    assert title == "β-VAE"


def test_pictures_are_inlined_in_order(run):
    reader = read(page.write_from_run(run))
    images = [attributes for tag, attributes in reader.tags if tag == "img"]
    assert [i["alt"] for i in images] == ["Reconstructions", "Traversals", "Alpha", "Zeta"]
    content = (run / "images" / "zeta.png").read_bytes()
    assert base64.b64decode(images[-1]["src"].removeprefix("data:image/png;base64,")) == content
    assert (images[-1]["width"], images[-1]["height"]) == ("8", "8")


def test_page_fetches_nothing(run):
    path = page.write_from_run(run)
    reader = read(path)
    assert all(a.startswith(("data:", "#")) for a in reader.addresses)
    assert not {"script", "iframe", "object", "embed", "base"} & {tag for tag, _ in reader.tags}
    source = path.read_text(encoding="utf-8")
    assert "://" not in source and "@import" not in source
    assert all(url.startswith(("#", "'#")) for url in re.findall(r"url\(([^)]*)\)", source))
    policies = [a["content"] for t, a in reader.tags if t == "meta" and "http-equiv" in a]
    assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_page_suits_phones_and_dark_rooms(run):
    source = page.write_from_run(run).read_text(encoding="utf-8")
    assert 'name="viewport"' in source and "prefers-color-scheme: dark" in source


def test_hostile_text_is_only_text(tmp_path):
    path = page.write(
        tmp_path,
        title=HOSTILE,
        summary={"model": HOSTILE, "factors": [HOSTILE, "b"], HOSTILE: HOSTILE},
        config=HOSTILE,
        scores={
            HOSTILE: {"score": 0.5, HOSTILE: 0.25},
            "mig": {"score": 0.1, "per_factor": [0.1, 0.2], "mutual_information": np.eye(2)},
            "dto": {"score": None, "reason": HOSTILE},
        },
        figures={HOSTILE: np.zeros((4, 4, 3), np.uint8)},
        load=HOSTILE,
    )
    reader = read(path)
    assert "script" not in {tag for tag, _ in reader.tags}
    assert all(a.startswith(("data:", "#")) for a in reader.addresses)
    assert shown(reader).count("<script>alert('x')</script>") >= 8


PARTS = {
    "manifest.json": ["Budget", "Versions and manifest"],
    "config.gin": ["Configuration"],
    "metrics.jsonl": ["KL divergence of each latent", "Active latents"],
    "scores.json": ["Scores", "MIG", "Latents and factors"],
    "images": ["Reconstructions", "Traversals"],
    "saved_model": ["Use this model"],
}


@pytest.mark.parametrize(("missing", "gone"), PARTS.items())
def test_missing_parts_are_left_out(run, missing, gone):
    (run / missing).rename(run.parent / "elsewhere")
    text = shown(read(page.write_from_run(run)))
    assert not any(heading in text for heading in gone)
    others = [h for name, headings in PARTS.items() if name != missing for h in headings]
    assert all(heading in text for heading in others)


def test_a_run_that_has_just_begun_has_a_page(tmp_path):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "manifest.json").write_text("{}")
    reader = read(page.write_from_run(tmp_path / "new"))
    assert shown(reader).split()[-1] == "new"
    assert not {"section", "svg", "img", "table"} & {tag for tag, _ in reader.tags}


def test_a_killed_process_leaves_a_readable_log(run):
    whole = page.write_from_run(run).read_bytes()
    log = run / "metrics.jsonl"
    first = log.read_text().splitlines()[0].replace("90.0", "1e9")
    # Half a line at the end, and a step that was done twice: its later record counts.
    log.write_text(first + "\n" + log.read_text() + '{"step": 4, "lo')
    assert page.write_from_run(run).read_bytes() == whole


@pytest.mark.parametrize("name", ["manifest.json", "scores.json"])
@pytest.mark.parametrize("content", ['{"a": ', "[1]"])
def test_damaged_files_are_named(run, name, content):
    before = page.write_from_run(run).read_bytes()
    (run / name).write_text(content)
    with pytest.raises(UserError, match=name) as raised:
        page.write_from_run(run)
    assert "\n" not in str(raised.value)
    assert (run / "report" / "index.html").read_bytes() == before
    assert [p.name for p in (run / "report").iterdir()] == ["index.html"]


def test_no_such_run(tmp_path):
    with pytest.raises(UserError, match="no run folder"):
        page.write_from_run(tmp_path / "absent")


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is not the folder of a run: it holds none of manifest"):
        page.write_from_run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_same_run_same_bytes(run):
    assert page.write_from_run(run).read_bytes() == page.write_from_run(run).read_bytes()


def test_numbers_tables_and_charts_are_taken_as_scores_come(tmp_path):
    information = np.array([[0.123, 0.0], [0.0, 0.456]])
    row = {"score": 0.5, "reason": None, "parts": {"mutual_information": information, "dims": 7}}
    path = page.write(
        tmp_path,
        title="t",
        summary={},
        scores={"mig": row, "modularity": {**row}, "fid": 41.5},
        figures={"runs": charts.scatter([0.1], [0.9], title="DtO against DS")},
    )
    text = shown(read(path))
    assert "41.5" in text and "dims 7" in text and "DtO against DS" in text
    # A matrix that two scores share is drawn once.
    assert text.count("0.46") == 1 and "factor 1" in text


def test_latents_and_factors_of_equal_number_are_told_apart(tmp_path):
    scores = {
        "mig": {"score": 0.1, "per_factor": [0.1, 0.2], "mutual_information": [[1, 2], [3, 4]]},
        "modularity": {"score": 0.3, "per_code": [0.5, 0.6]},
        "mcc": {"score": 0.4, "per_latent": [0.7, 0.8], "code_of_latent": [1, 0]},
        "gaussian_total_correlation": {"score": 0.2, "correlation": [[1, 0.31], [0.31, 1]]},
    }
    path = page.write(tmp_path, title="t", summary={"factors": ["hue", "size"]}, scores=scores)
    text = shown(read(path))
    assert "Scores per factor hue size MIG 0.100 0.200 Scores per true latent" in text
    assert "true latent latent 0 latent 1 MCC 0.700 0.800 MCC: code of latent 1 0 " in text
    assert "Scores per latent z0 z1 Modularity: per code 0.500 0.600" in text
    assert "Gaussian total correlation: correlation z0 z1 z0 z1 " in text


@pytest.mark.parametrize(
    ("summary", "heads"),
    [
        ({}, ["factor 0 factor 1 factor 2", "latent 0 latent 1"]),
        ({"factors": ["hue", "size", "x"], "latents": []}, ["hue size x", "latent 0 latent 1"]),
        ({"factors": ["a", "b"], "latents": ["u", "v"]}, ["factor 0 factor 1 factor 2", "u v"]),
    ],
)
def test_true_latents_may_be_more_or_fewer_than_factors(tmp_path, summary, heads):
    scores = {
        "mig": {"score": 0.1, "per_factor": [0.1, 0.2, 0.3]},
        "mcc": {"score": 0.4, "per_latent": [0.7, 0.8], "correlations": [[0.7, 0], [0, 0.8]]},
        "mixing_graph_f1": {"score": 0.4, "matching": [1, 0]},
        "affine_r2": {"score": 0.3, "per_latent": [0.5, 0.6]},
    }
    text = shown(read(page.write(tmp_path, title="t", summary=summary, scores=scores)))
    assert f"Scores per factor {heads[0]} MIG 0.100 0.200 0.300 Scores per true latent" in text
    assert f"true latent {heads[1]} MCC 0.700 0.800 Mixing graph F1: matching 1 0 Aff" in text
    assert f"MCC: correlations {heads[1]} z0 z1" in text


def test_a_score_of_another_length_does_not_remove_the_table(tmp_path, monkeypatch):
    monkeypatch.setattr(facts, "OWN", {})

    @evaluation.score(higher_is_better=True, axes={"per_factor": "factor"})
    def hers(codes):
        return {"score": 0.5, "per_factor": [0.5]}

    scores = {
        "mig": {"score": 0.1, "per_factor": [0.1, 0.2]},
        "hers": {"score": 0.5, "per_factor": [0.5]},
    }
    for names, heads in (["hue", "size"], "hue size"), ([], "factor 0 factor 1"):
        path = page.write(tmp_path, title="t", summary={"factors": names}, scores=scores)
        assert f"Scores per factor {heads} MIG 0.100 0.200" in shown(read(path))


def test_parts_are_shown_by_their_axes_not_by_their_lengths(tmp_path):
    """Two images are as many as there are factors, and singular values as many as latents."""
    scores = {
        "mig": {"score": 0.1, "per_factor": [0.1, 0.2], "mutual_information": [[1, 2]] * 3},
        "jis": {"score": 0.6, "per_image": [0.6, 0.7]},
        "singular_values": {"score": 0.3, "mean": [3.0, 2.0, 1.0], "live": [3, 3]},
    }
    path = page.write(tmp_path, title="t", summary={"factors": ["hue", "size"]}, scores=scores)
    text = shown(read(path))
    assert "MIG 0.100 0.200" in text
    assert "per image" not in text and "mean" not in text and "live" not in text


def test_the_learned_mixing_stands_beside_the_true_graph(tmp_path):
    scores = {
        "mixing_graph_f1": {"score": 1, "strengths": [[1, 0.05], [0, 1]], "graph": [[1, 0], [0, 1]]}
    }
    text = shown(read(page.write(tmp_path, title="t", summary={}, scores=scores)))
    heading = "learned derivatives, over the largest of their latent"
    for part in (heading, "Mixing graph F1: true graph", "latent 0 latent 1", "x0 x1"):
        assert part in text


@pytest.mark.parametrize(
    ("name", "share"),
    [("attention_ari", 0.25), ("mig", 0.25), ("udr", 0.25), ("reconstruction_rmse", None)],
)
def test_scores_of_which_one_is_best_have_a_bar(name, share):
    assert contents.score_row(name, {"score": 0.25}).share == share
    assert contents.score_row(name, {"score": None}).share is None


def test_a_row_names_the_reader_that_a_distance_is_by():
    row = contents.score_row("reader_fid", {"score": 1.5, "of_data": 0.2, "reader": "dsprites"})
    assert (row.title, row.details) == ("Reader FID", "of data 0.200, by the reader dsprites")
    assert contents.score_row("affine_r2", {"score": 0.5}).title == "Affine R2"


def test_the_standard_suite_fits_on_the_page(tmp_path):
    """Mutual information of latents with latents stands beside that of latents with factors."""
    rng = np.random.default_rng(0)
    among = rng.random((10, 10))
    scores = {
        "mig": {"score": 0.1, "per_factor": [0.1] * 5, "mutual_information": rng.random((10, 5))},
        "average_mutual_information": {"score": 0.2, "mutual_information": among + among.T},
        "singular_values": {"score": 0.3, "values": rng.random((7, 10))},
    }
    path = page.write(
        tmp_path, title="t", summary={}, config="", metrics=[], scores=scores, figures={}
    )
    text = path.read_text()
    assert "factor 4" in text and "factor 5" not in text
    assert text.count("mutual information in nats") >= 2 and "Singular values: values" in text


@pytest.mark.parametrize("damage", ['{"dto": {"sc', "[1]", b"\xff\xfe", '{"dto": "high"}'])
def test_a_damaged_neighbour_is_left_out(tmp_path, damage):
    for name, score in (("a", 0.1), ("b", 0.2), ("broken", 0.3)):
        (tmp_path / name).mkdir()
        scores = {"dto": {"score": score}, "disentanglement_score": {"score": 1 - score}}
        (tmp_path / name / "scores.json").write_text(json.dumps(scores))
    path = tmp_path / "broken" / "scores.json"
    path.write_bytes(damage if isinstance(damage, bytes) else damage.encode())
    page.write_from_run(tmp_path / "a")
    text = (tmp_path / "a" / "report" / "index.html").read_text()
    assert "DtO against DS" in text and 'aria-label="DtO against DS"' in text
