"""Scoring a model by name: what the user can mend is a UserError, a defect of ours is not."""

import contextlib
import json
import types

import numpy as np
import pytest

from zoo import data, evaluate, runs, scoring
from zoo.errors import UserError


@pytest.fixture(autouse=True)
def model(monkeypatch, tmp_path):
    import toy  # noqa: F401  registers the data set

    model = types.SimpleNamespace(
        encode=lambda images: np.reshape(images, (len(images), -1))[:, :3],
        card={"dataset": "toy"},
        path=tmp_path / "saved_model",
    )
    monkeypatch.setattr(scoring, "load", lambda name: model)
    return model


def test_a_model_is_scored_on_the_data_set_of_its_card():
    table = scoring.score("any", None, "mig,dto", 0)
    assert 0 <= table["mig"]["score"] <= 1 and table["dto"]["reason"] == "the model has no decoder"
    assert scoring.broken(table) == []


def test_by_default_the_seed_is_that_of_the_training(model, monkeypatch):
    given = []
    monkeypatch.setattr(scoring.evaluation, "evaluate", lambda *_, seed, **__: given.append(seed))
    scoring.score("any", None, "mig", None)
    monkeypatch.setattr(model, "card", {"dataset": "toy", "seed": 5})
    for seed in (None, 3, [0, 1]):
        scoring.score("any", None, "mig", seed)
    assert given == [0, 5, 3, [0, 1]]


OPTIONS = "train.score_options = {'mig': {'num_bins': 5}, 'sap': {}}\n"


@pytest.mark.parametrize(
    ("metrics", "given", "expected"),
    [
        ("dto,mig", None, {"mig": {"num_bins": 5}}),
        ("dto", None, {}),
        ("mig", {"mig": {"num_bins": 9}}, {"mig": {"num_bins": 9}}),
        (
            "mig,dto",
            {"dto": {"solver": "milp"}},
            {"mig": {"num_bins": 5}, "dto": {"solver": "milp"}},
        ),
    ],
)
def test_options_are_those_of_the_training_unless_given(
    model, monkeypatch, metrics, given, expected
):
    monkeypatch.setattr(model, "card", {"dataset": "toy", "config": OPTIONS})
    monkeypatch.setattr(scoring.evaluation, "evaluate", lambda *_, options, **__: options)
    assert scoring.score("any", None, metrics, 0, options=given) == expected


def test_options_that_only_the_training_can_read_are_to_be_given(model, run, monkeypatch):
    text = "train.score_options = {'fid': {'features': @network}}\n"
    monkeypatch.setattr(model, "card", {"dataset": "toy", "config": text})
    with pytest.raises(UserError, match="only the training of any .*; give those of mig with --op"):
        scoring.score("any", None, "dto,mig", 0, options={"dto": {}})
    assert scoring.score("any", None, "mig", 0, options={"mig": {}})["mig"]["score"] is not None
    (run / "config.gin").write_text(text)
    assert scoring.with_other_options(run, {"mig": {}}) == ["mig"]


def test_other_images_of_the_name_are_scored_only_if_the_name_is_given(model, monkeypatch):
    fingerprint = data.load("toy").fingerprint
    cards = (
        {"dataset": "toy", "dataset_fingerprint": "0" * 16},
        {"test_dataset": "toy", "test_dataset_fingerprint": "0" * 16, "dataset": "any"},
        {"test_dataset": "toy", "dataset": "toy", "dataset_fingerprint": "0" * 16},
    )
    for card in cards:
        monkeypatch.setattr(model, "card", card)
        with pytest.raises(UserError, match=f"^any: toy/squares has other .*now {fingerprint}"):
            scoring.score("any", None, "mig", 0)
        assert scoring.score("any", "toy", "mig", 0)["mig"]["score"] is not None
    for found in (
        {},
        {"dataset_fingerprint": fingerprint},
        {"test_dataset": "toy", "dataset": "any", "dataset_fingerprint": "0" * 16},
    ):
        monkeypatch.setattr(model, "card", {"dataset": "toy", **found})
        assert scoring.score("any", None, "mig", 0)["mig"]["score"] is not None


def test_the_images_of_an_older_run_are_those_of_its_manifest(model, tmp_path):
    manifest = {"dataset": "toy", "test_dataset": "toy", "dataset_fingerprint": "0" * 16}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="^any: toy/squares has other .*fingerprint 0000000000000"):
        scoring.score("any", None, "mig", 0)
    model.path = tmp_path / "elsewhere"
    assert scoring.score("any", None, "mig", 0)["mig"]["score"] is not None


@pytest.mark.parametrize(
    ("dataset", "metrics", "message"), [("toi", "mig", "toi"), (None, "migg", "'migg'")]
)
def test_unknown_names_are_errors_of_the_user(dataset, metrics, message):
    with pytest.raises(UserError, match=message) as error:
        scoring.score("any", dataset, metrics, 0)
    assert "\n" not in str(error.value)


def test_a_defect_is_no_error_of_the_user(monkeypatch):
    def broken(*_, **__):
        return np.ones(2) + np.ones(3)

    monkeypatch.setattr(scoring.evaluation, "evaluate", broken)
    with pytest.raises(ValueError, match="broadcast") as error:
        scoring.score("any", None, "mig", 0)
    assert not isinstance(error.value, UserError)


@pytest.fixture
def scored(monkeypatch):
    """Has the command find a score, and one that failed if wanted; does something beforehand."""

    def give(*failed: str, before=lambda: None):
        def score(*_, **__):
            before()
            row = {"reason": None, "seconds": 0.0, "encoding_seconds": 0.0, "parts": {}}
            table = {"mig": {"score": 0.5, **row}}
            broken = {"reason": "no memory", "parts": {"traceback": "..."}}
            return table | {name: {"score": None, **row, **broken} for name in failed}

        monkeypatch.setattr(scoring, "score", score)

    return give


@pytest.fixture
def run(tmp_path):
    """The folder of a run."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.gin").write_text("train.seed = 0\n")
    return tmp_path / "run"


def test_a_run_in_use_is_found_before_scoring(scored, run, fails):
    scored(before=lambda: pytest.fail("scored"))
    with runs.opened(run):
        line = fails(evaluate.main, f"--run={run}")
    assert "is in use by another process" in line and f"--model={run / 'saved_model'}" in line


def test_scores_of_a_run_that_is_in_use_in_the_end_are_written(
    scored, run, tmp_path, monkeypatch, fails
):
    monkeypatch.setattr(evaluate, "_PATIENCE", 0.1)
    files = [tmp_path / "scores.json", tmp_path / "scores.html"]
    with contextlib.ExitStack() as other:
        scored(before=lambda: other.enter_context(runs.opened(run)))
        line = fails(evaluate.main, f"--run={run}", f"--out={files[0]}", f"--html={files[1]}")
    assert "stay as they were" in line and "run_dir" not in line
    assert all(file.exists() for file in files)
    assert not (run / "scores.json").exists()


def test_a_run_that_is_in_use_for_a_while_is_waited_for(scored, run, monkeypatch):
    other = contextlib.ExitStack()
    scored(before=lambda: other.enter_context(runs.opened(run)))
    monkeypatch.setattr(evaluate.time, "sleep", lambda seconds: other.close())
    evaluate.main([f"--run={run}"])
    assert "mig" in (run / "scores.json").read_text()


@pytest.mark.parametrize(
    "name", ["scores.json", "manifest.json", "config.gin", "metrics.jsonl", "report/index.html"]
)
@pytest.mark.parametrize("option", ["out", "html"])
def test_the_files_of_a_run_are_not_written_over(scored, run, monkeypatch, fails, name, option):
    scored(before=lambda: pytest.fail("scored"))
    monkeypatch.chdir(run)
    for more in ((), ("--dataset=toy",)):
        line = fails(evaluate.main, "--run=../run", f"--{option}={name}", *more)
        assert (
            f"--{option}={name} is a file of the run itself, which --run keeps up to date" in line
        )
    assert {path.name for path in run.iterdir()} == {"config.gin"}


@pytest.mark.parametrize(
    ("given", "is_kept"),
    [
        ('{"mig": {"num_bins": 9}}', False),
        ("{'mig': {'num_bins': 5}}", True),
        ("{'mig': {}}", False),
    ],
)
def test_scores_with_other_options_than_the_training_are_shown_and_not_kept(
    scored, run, tmp_path, capsys, given, is_kept
):
    scored()
    (run / "config.gin").write_text(OPTIONS)
    evaluate.main([f"--run={run}", f"--options={given}", f"--out={tmp_path / 'scores.json'}"])
    shown = capsys.readouterr()
    assert "0.5" in shown.out and (tmp_path / "scores.json").exists()
    assert (run / "scores.json").exists() is is_kept
    assert ("mig: not with the options of the training" in shown.err) is not is_kept


def test_brackets_in_a_reason_are_no_markup(capsys):
    reason = "give [red] and [/x] :x:"
    row = {"score": None, "reason": reason, "seconds": 0.0, "encoding_seconds": 0.0, "parts": {}}
    scoring.show({"mig": row})
    assert reason in capsys.readouterr().out


@pytest.mark.parametrize("given", ["3", "{3: {}}", '{"mig": 3}', '{"mig": {3: 4}}', "{", "f()"])
def test_options_that_are_none_are_one_line(given, fails):
    line = fails(evaluate.main, "--model=any", f"--options={given}")
    assert f"--options: {given!r}: give options by score, as in" in line


@pytest.mark.parametrize("strict", [False, True])
def test_strict_writes_nothing_where_a_score_failed(scored, tmp_path, strict):
    scored("dci")
    arguments = ["--model=any", f"--out={tmp_path / 'scores.json'}", *["--strict"] * strict]
    with pytest.raises(SystemExit, match="dci failed"):
        evaluate.main(arguments)
    assert (tmp_path / "scores.json").exists() is not strict
