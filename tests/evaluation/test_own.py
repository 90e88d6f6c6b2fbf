"""A user's own score: in suites, options, selection, reports and tables like ours."""

import json

import numpy as np
import pytest
import tensorflow as tf

from zoo import evaluate as evaluate_command
from zoo import evaluation, scoring
from zoo.data.dataset import Dataset, DenseImages
from zoo.data.space import Factor, FactorSpace
from zoo.evaluation import InputError, facts, suite
from zoo.report import contents
from zoo.training import selection

CODES = np.random.default_rng(0).normal(size=(90, 2))
ARRAYS = {"codes": CODES, "factors": (CODES[:, :1] > 0).astype(int)}


@pytest.fixture(autouse=True)
def _forget(monkeypatch):
    monkeypatch.setattr(facts, "OWN", {})


def _register(name: str = "sign_accuracy", **options):
    """The share of images whose first factor is the sign of their first code."""

    def function(codes, factors, flipped=False, seed=None):
        """How often the first code's sign is the first factor."""
        right = (codes[:, 0] > 0) == factors[:, 0]
        share = (~right if flipped else right).mean()
        return {"score": share, "per_factor": np.array([share]), "seed": seed}

    function.__name__ = name
    return evaluation.score(higher_is_better=True, range=(0, 1), chance=0.5, **options)(function)


def test_it_is_a_score_like_ours():
    function = _register(suites="fast", axes={"per_factor": "factor"})
    assert function(CODES, ARRAYS["factors"])["score"] == 1.0
    known = facts.of("sign_accuracy")
    assert (
        known is function.facts
        and known.about == "How often the first code's sign is the first factor"
    )
    assert known.needs == ("codes", "factors") and known.settings == ("seed",) and known.is_share
    assert all("sign_accuracy" in facts.suites()[name] for name in ("fast", "standard", "full"))
    assert "sign_accuracy" not in facts.suites()["slots"]

    options = {"sign_accuracy": {"flipped": True}}
    table = evaluation.evaluate_arrays(ARRAYS, "fast", seed=7)
    assert table["sign_accuracy"]["score"] == 1.0 and table["sign_accuracy"]["parts"]["seed"] == 7
    assert (
        evaluation.evaluate_arrays(ARRAYS, "sign_accuracy", options=options)["sign_accuracy"][
            "score"
        ]
        == 0.0
    )
    level = evaluation.evaluate_arrays(ARRAYS, "sign_accuracy", chance=True)["sign_accuracy"]
    assert abs(level["chance"] - 0.5) < 0.1
    assert "sign_accuracy" in suite.scores_of(ARRAYS)
    assert scoring.headline(table)["sign_accuracy"] == 1.0
    row = contents.score_row("sign_accuracy", scoring.flat(table)["sign_accuracy"])
    assert row.share == 1.0


def test_of_a_model_and_a_data_set_and_in_selection():
    _register(suites="mine")
    space = FactorSpace((Factor("sign", (0.0, 1.0)), Factor("other", (*range(8),))))
    images = np.zeros((16, 1, 2, 1), np.uint8)
    images[8:, 0, 0] = 255
    dataset = Dataset("signs", DenseImages(images), space)
    table = evaluation.evaluate(lambda x: x[:, 0, :, 0] - 0.5, dataset, "mine")
    assert list(table) == ["sign_accuracy"] and table["sign_accuracy"]["score"] == 1.0
    assert selection.parse("sign_accuracy, mig") == ("sign_accuracy", "mig")


def test_defined_again_it_replaces_itself():
    first, second = _register(), _register()
    assert facts.function("sign_accuracy") is second is not first

    def mcc(codes, latents):
        return {"score": 0}

    def sign_accuracy(codes):
        return {"score": 0}

    for other in (mcc, sign_accuracy):
        with pytest.raises(InputError, match="there is a score or a function named"):
            evaluation.score(higher_is_better=True)(other)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (
            {"value": 1.0},
            "returned a dict of value; let it return a dict with the number as 'score'",
        ),
        (0.3, "returned a float; let it return a dict"),
        (None, "returned a NoneType"),
        ({"score": [1.0, 2.0]}, r"shape \[2\] as 'score'; let it be one number"),
        ({"score": "high"}, "as 'score'; let it be one number"),
        ({"score": float("nan")}, "hers is nan"),
    ],
)
def test_what_it_returns_is_checked(returned, message):
    def hers(codes):
        return returned

    evaluation.score(higher_is_better=None)(hers)
    row = evaluation.evaluate_arrays(ARRAYS, "hers,mig")["hers"]
    assert row["score"] is None and "\n" not in row["reason"] and not row["parts"]
    with pytest.raises(InputError, match=message):
        facts.function("hers")(CODES)


def test_parts_may_be_lists_of_different_lengths():
    @evaluation.score(higher_is_better=None)
    def hers(codes):
        return {"score": 1, "blocks": [[0, 1], [2]], "pixels": np.zeros((2, 2, 2))}

    row = evaluation.evaluate_arrays(ARRAYS, "hers")["hers"]
    assert row["reason"] is None and row["parts"] == {"blocks": [[0, 1], [2]]}


@pytest.mark.parametrize("part", [{1, 2}, {(0, 1): 2.0}, np.array([1j]), [np.ones(2), object()]])
def test_parts_that_no_file_can_hold_leave_the_other_scores(part):
    @evaluation.score(higher_is_better=True)
    def hers(codes):
        return {"score": 1.0, "pairs": part}

    table = evaluation.evaluate_arrays(ARRAYS, "hers,mig")
    reason = table["hers"]["reason"]
    assert reason.startswith("hers returned what scores.json cannot hold as 'pairs'")
    assert not table["hers"]["parts"] and "\n" not in reason
    assert scoring.flat(table)["mig"]["score"] is not None


def test_parts_that_are_not_finite_are_null():
    @evaluation.score(higher_is_better=True)
    def hers(codes):
        return {"score": 1.0, "x": np.array([1.0, np.nan]), "y": -np.inf, 3: tf.ones(2)}

    row = scoring.flat(evaluation.evaluate_arrays(ARRAYS, "hers"))["hers"]
    assert (row["x"], row["y"], row["3"]) == ([1.0, None], None, [1.0, 1.0])


def test_what_it_raises_is_a_traceback_with_its_line(capsys):
    @evaluation.score(higher_is_better=True)
    def hers(codes):
        return {"score": codes[0, 1_000_000]}  # her line

    row = evaluation.evaluate_arrays(ARRAYS, "hers")["hers"]
    assert row["score"] is None and "IndexError" in row["reason"]
    assert "# her line" in row["parts"]["traceback"] and "# her line" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"needs": ["code"]}, "needs 'code', which nothing makes: did you mean codes?"),
        ({"needs": ["qqqq"]}, "which nothing makes: there are "),
        ({"axes": {"per_factor": "factors"}}, "an axis is one of latent, factor"),
        ({"suites": "mig"}, "a suite cannot be named as the score mig"),
        ({"name": "<lambda>"}, "needs a name"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(InputError, match=message):
        _register(**options)
    assert not facts.OWN


def test_further_arguments_are_no_needs():
    @evaluation.score(higher_is_better=True)
    def hers(codes, *, power, factors, **extra):
        return {"score": (codes**power).mean() + 0 * factors.mean()}

    assert hers.facts.needs == ("codes",)
    options = {"hers": {"power": 2}}
    row = evaluation.evaluate_arrays(ARRAYS, "hers", options=options)["hers"]
    assert row["score"] == pytest.approx(np.square(CODES).mean())
    with pytest.raises(InputError, match="'power'.*; give it as options"):
        evaluation.evaluate_arrays(ARRAYS, "hers")


def test_the_command_takes_it_from_a_module_of_hers(tmp_path, monkeypatch, capsys, fails):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "her_score.py").write_text(
        "import zoo\n\n\n@zoo.evaluation.score(higher_is_better=False)\n"
        "def spread(codes):\n    '''How far apart codes are.'''\n"
        "    return {'score': codes.std()}\n"
    )
    np.savez("codes.npz", **ARRAYS)
    arguments = ["--codes=codes.npz", "--metrics=spread,mig", "--out=scores.json"]
    assert "unknown suite or score 'spread'" in fails(evaluate_command.main, *arguments)
    line = fails(evaluate_command.main, *arguments, "--import=her_scor")
    assert line.startswith("error: --import: there is no module 'her_scor'")
    named = {
        "./her_score.py": "; give her_score",
        "mine/her_score.py": "; give mine.her_score",
        "/her_score.py": "",
        **{".her_score": "", "her-score": "", "": ""},
    }
    for name, hint in named.items():
        line = fails(evaluate_command.main, *arguments, f"--import={name}")
        assert line == f"error: --import: {name!r} is no name of a module{hint}"
    line = fails(evaluate_command.main, *arguments, "--import=her_score.py")
    assert line.startswith("error: --import: there is no module 'her_score.py'; give her_score")
    evaluate_command.main([*arguments, "--import=her_score"])
    assert "spread" in capsys.readouterr().out
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["spread"]["score"] == pytest.approx(CODES.std())
