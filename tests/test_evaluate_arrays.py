"""Scoring anybody's arrays: the same numbers as by hand, without a model and without TensorFlow."""

import csv
import json
import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from zoo import evaluate as evaluate_command
from zoo import evaluation
from zoo.errors import UserError
from zoo.evaluation import facts, suite

ROWS = 900


def _arrays() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    factors = generator.integers((3, 4, 5), size=(ROWS, 3))
    codes = np.c_[factors + 0.1 * generator.normal(size=factors.shape), np.zeros(ROWS)]
    return {"codes": codes, "factors": factors, "jacobians": generator.normal(size=(9, 20, 4))}


def _file(folder: pathlib.Path, **arrays) -> str:
    path = folder / "codes.npz"
    np.savez(path, **arrays)
    return str(path)


def test_scores_are_those_of_the_functions_on_all_rows():
    arrays = _arrays()
    codes, factors = arrays["codes"], arrays["factors"]
    table = evaluation.evaluate_arrays(arrays, "mig,mcc,dto,irs")
    assert list(table) == ["mig", "mcc", "dto", "irs"]
    assert table["mig"]["score"] == evaluation.mig(codes, factors)["score"]
    assert table["mcc"]["score"] == evaluation.mcc(codes, factors)["score"]
    assert table["dto"]["score"] == evaluation.dto(arrays["jacobians"])["score"]
    assert set(table["mig"]) == {"score", "reason", "parts", "seconds", "encoding_seconds"}


def test_a_given_test_half_is_the_one_that_is_used():
    arrays = _arrays()
    train, test = slice(0, 500), slice(500, None)
    parts = [arrays[name][rows] for rows in (train, test) for name in ("codes", "factors")]
    given = dict(zip(("codes", "factors", "codes_test", "factors_test"), parts, strict=True))
    table = evaluation.evaluate_arrays(given, ["sap", "explicitness"], seed=3)
    for name in table:
        assert table[name]["score"] == getattr(evaluation, name)(*parts)["score"]


def test_without_a_test_half_rows_are_divided_by_the_seed():
    arrays = _arrays()
    order = np.random.default_rng(5).permutation(ROWS)
    train, test = order[:600], order[600:]
    expected = evaluation.sap(
        *(arrays[name][rows] for rows in (train, test) for name in ("codes", "factors"))
    )["score"]
    assert evaluation.evaluate_arrays(arrays, ["sap"], seed=5)["sap"]["score"] == expected
    again = evaluation.evaluate_arrays(arrays, ["sap"], seed=6)["sap"]["score"]
    assert again != expected


def test_latents_are_matched_and_continuous_targets_need_no_flags():
    generator = np.random.default_rng(1)
    latents = generator.normal(size=(400, 2))
    table = evaluation.evaluate_arrays(
        {"codes": latents[:, ::-1], "latents": latents}, "mcc,disentanglement_score,mig"
    )
    assert table["mcc"]["score"] == pytest.approx(1)
    assert table["disentanglement_score"]["score"] > 0.9
    assert table["mig"]["reason"] == "needs factors, which is not among the arrays"


def test_scores_that_arrays_are_not_enough_for_say_why():
    table = evaluation.evaluate_arrays(_arrays(), "standard")
    reasons = {name: row["reason"] for name, row in table.items() if row["reason"]}
    assert set(reasons) == {"disentanglement_score", "factor_vae_score", "beta_vae_score"}
    # Factors may be ordered or not: that is not guessed.
    assert reasons["disentanglement_score"] == "needs categorical, which is not among the arrays"
    assert "represent" in reasons["factor_vae_score"]


@pytest.mark.parametrize("written", [json.dumps, repr])
def test_options_of_scores_are_given_at_the_command(tmp_path, written, fails):
    file, out = f"--codes={_file(tmp_path, **_arrays())}", tmp_path / "scores.json"
    asked = [file, "--metrics=mig,lms_tree", f"--out={out}"]
    line = fails(evaluate_command.main, *asked)
    assert "missing a required argument: 'blocks'" in line
    assert 'give it as options={"lms_tree": {"blocks": "..."}}, --options' in line
    options = {"lms_tree": {"blocks": [[0, 1], [2, 3]], "latent_blocks": [[0], [1, 2]]}}
    evaluate_command.main([*asked, f"--options={written(options)}"])
    expected = evaluation.evaluate_arrays(_arrays(), "lms_tree", options=options)["lms_tree"]
    stored = json.loads(out.read_text())
    assert stored["lms_tree"]["score"] == expected["score"] > 0 and stored["mig"]["score"] > 0
    unasked = fails(evaluate_command.main, file, "--metrics=mig", "--options={'dci': {}}")
    assert "options for 'dci', which is not among" in unasked


@pytest.mark.parametrize(
    ("name", "option", "value", "wanted"),
    [
        ("lms_tree", "blocks", "two", "give Sequence[Sequence[int]] | int"),
        ("lms_tree", "blocks", True, "give Sequence"),
        ("mlp_r2", "hidden", 64, "give Sequence[int]"),
        ("dci_es", "sizes", 5, "give Sequence[int] | None"),
        ("kernel_r2", "alphas", ["a"], "give Sequence[float]"),
        ("dci", "predictor", ["gbt"], "give str"),
        ("irs", "diff_quantile", "1", "give float"),
        ("mig_sup", "least_variance", "a", "give float"),
        ("info_m", "least_range", "a", "give float | None"),
        ("hessian_penalty", "directions", 2.5, "give int"),
        ("reconstruction_split", "samples", 1.5, "give int"),
        ("sap", "continuous", "no", "give bool"),
        ("mig", "seed", -1, "it must be at least 0"),
    ],
)
def test_options_of_the_wrong_kind_are_one_line(name, option, value, wanted):
    with pytest.raises(evaluation.InputError, match=f"{option} is .*{re.escape(wanted)}"):
        suite.names_of(name, {name: {option: value}}, allowed=lambda name: True)


def test_options_of_the_right_kind_pass():
    options = {
        "lms_tree": {"blocks": np.array([[0, 1], [2, 3]]), "max_depth": np.int64(3)},
        "kernel_r2": {"alphas": (1, 0.1), "blocks": [[0], [1, 2, 3]]},
        "mig": {"categorical": np.array([1, 0, 1], bool), "discrete_codes": 1},
        "irs": {"diff_quantile": 1, "num_bins": None},
        "fid": {"features": np.tanh},
    }
    suite.names_of(list(options), options, allowed=lambda name: True)


def test_segmentations_are_scored_without_any_codes():
    masks = np.random.default_rng(0).integers(0, 3, size=(4, 8, 8))
    arrays = {"masks": masks, "predicted_masks": 2 - masks}
    assert suite.scores_of(arrays) == ("ari", "foreground_ari", "mbo", "miou")
    table = evaluation.evaluate_arrays(arrays, suite.scores_of(arrays))
    assert [row["score"] for row in table.values()] == pytest.approx([1] * 4)


def test_scores_with_obligatory_options_are_not_proposed():
    found = suite.scores_of(_arrays())
    assert {"mig", "dci", "dto"} <= set(found) and "lms_tree" not in found


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"code": np.ones((3, 2))}, "'code': did you mean codes"),
        ({"zzz": np.ones(3)}, "'zzz': arrays are codes, factors"),
        ({"factors": np.zeros((5, 2), int)}, "codes has 900, factors has 5"),
        ({"factors_test": np.zeros((5, 2), int)}, "the test half has no codes_test"),
        (
            {"codes_test": np.zeros((5, 3)), "latents_test": np.zeros((5, 2))},
            "there is latents_test without latents",
        ),
    ],
)
def test_wrong_arrays_are_one_clear_line(changes, message):
    with pytest.raises(evaluation.InputError, match=message) as error:
        evaluation.evaluate_arrays(_arrays() | changes, "mig")
    assert "\n" not in str(error.value)


def test_no_arrays_and_too_few_rows():
    with pytest.raises(evaluation.InputError, match="there are no arrays"):
        evaluation.evaluate_arrays({}, "mig")
    one = {"codes": np.ones((1, 2)), "factors": np.ones((1, 2), int)}
    assert "too few" in evaluation.evaluate_arrays(one, ["sap"])["sap"]["reason"]


def test_the_command_prints_and_writes_the_same_table(tmp_path, capsys):
    file, arrays = _file(tmp_path, **_arrays()), _arrays()
    expected = evaluation.evaluate_arrays(arrays, "mig,sap,beta_vae_score")
    options = [f"--codes={file}", "--metrics=mig,sap,beta_vae_score"]
    evaluate_command.main([*options, f"--out={tmp_path / 'scores.json'}"])
    evaluate_command.main([*options, f"--out={tmp_path / 'scores.csv'}"])
    printed = capsys.readouterr()
    assert f"{expected['mig']['score']:.4f}" in printed.out and "encoding" not in printed.out
    assert "600 rows for training and 300 for testing" in printed.err
    stored = json.loads((tmp_path / "scores.json").read_text())
    assert stored["mig"]["score"] == expected["mig"]["score"]
    assert np.allclose(
        stored["mig"]["mutual_information"], expected["mig"]["parts"]["mutual_information"]
    )
    rows = list(csv.DictReader((tmp_path / "scores.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == list(expected)
    assert float(rows[1]["score"]) == expected["sap"]["score"]
    assert rows[2]["score"] == "" and "represent" in rows[2]["reason"]


def test_the_page_shows_the_matrices_and_needs_nothing_but_itself(tmp_path):
    arrays = _arrays()
    # A latent more than there are factors: both kinds of matrices are shown.
    arrays["latents"] = np.c_[arrays["factors"], np.arange(ROWS)].astype(float)
    evaluate_command.main(
        [f"--codes={_file(tmp_path, **arrays)}", f"--html={tmp_path / 'page' / 'scores.html'}"]
    )
    assert [path.name for path in (tmp_path / "page").iterdir()] == ["scores.html"]
    text = (tmp_path / "page" / "scores.html").read_text()
    titles = re.findall('aria-label="([^"]*)"', text)
    assert {
        "MIG: mutual information in nats",
        "DCI: importance for each factor",
        "MCC: correlations",
    } <= set(titles)
    assert "codes.npz" in text and "prefers-color-scheme: dark" in text
    assert "http://" not in text and "https://" not in text and "<script" not in text


def test_mistakes_at_the_command_are_one_line(tmp_path, fails):
    def failing(path, *more):
        return fails(evaluate_command.main, f"--codes={path}", *more)

    assert failing(tmp_path / "no.npz").endswith("there is no file " + str(tmp_path / "no.npz"))
    np.save(tmp_path / "one.npy", np.ones(3))
    assert "is no npz file" in failing(tmp_path / "one.npy")
    objects = tmp_path / "objects.npz"
    np.savez(objects, codes=np.array([None, 1], dtype=object))
    assert "holds what is no array of numbers" in failing(objects)
    assert "did you mean codes?" in failing(_file(tmp_path, code=np.ones(3)))
    file = _file(tmp_path, **_arrays())
    assert "unknown suite or score 'migg'" in failing(file, "--metrics=migg")
    assert "leave out --dataset" in failing(file, "--dataset=zoo_dsprites/rendered")
    for other in (f"--out={file}", f"--html={tmp_path}/../{tmp_path.name}/codes.npz"):
        assert "must be different files" in failing(file, other)
    np.savez_compressed(tmp_path / "damaged.npz", codes=np.arange(1000.0))
    content = bytearray((tmp_path / "damaged.npz").read_bytes())
    content[200:260] = bytes(255 - byte for byte in content[200:260])
    (tmp_path / "damaged.npz").write_bytes(content)
    assert "holds what is no array of numbers" in failing(tmp_path / "damaged.npz")
    for name in ("run", "model", "codes"):
        assert f"--{name} is empty" in fails(evaluate_command.main, f"--{name}=")


@pytest.mark.parametrize("flag", ["--out", "--html"])
def test_a_file_that_cannot_be_written_is_found_before_the_scores(tmp_path, fails, capsys, flag):
    options = f"--codes={_file(tmp_path, **_arrays())}", "--metrics=sap", f"{flag}={tmp_path}"
    line = fails(evaluate_command.main, *options)
    assert line == f"error: {tmp_path} cannot be written: Is a directory; name another file"
    with pytest.raises(UserError):
        evaluate_command.main(options)
    assert "sap" not in capsys.readouterr().out


def test_neither_the_command_nor_an_array_score_imports_tensorflow(tmp_path):
    arrays = _arrays() | {"categorical": np.array([True, False, False])}
    arrays["masks"] = arrays["predicted_masks"] = np.arange(32).reshape(2, 4, 4) % 3
    arrays["means"], arrays["variances"] = arrays["codes"], np.ones_like(arrays["codes"])
    wanted = suite.scores_of(arrays)
    assert len(wanted) > 15
    code = f"""
import sys
from zoo import evaluate
from zoo.evaluation import facts
for name in facts.names():
    facts.of(name)
heavy = ('tensorflow', 'keras', 'torch', 'jax', 'pandas', 'matplotlib', 'PIL')
found = [name for name in heavy if name in sys.modules]
assert not found, found
evaluate.main(['--codes={_file(tmp_path, **arrays)}', '--metrics={",".join(wanted)}',
               '--html={tmp_path / "page.html"}'])
assert not {{'tensorflow', 'keras', 'torch', 'jax'}} & set(sys.modules)
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert facts.of("mig").name in answer.stdout


def test_importing_the_package_is_cheap():
    """Half a second is promised beyond the start of Python and numpy's; the least of five counts.

    The processor may be shared, so that its own time is measured rather than the clock's.
    """
    code = (
        "import time\nstart = time.process_time()\nimport zoo.evaluation\n"
        "print(time.process_time() - start)"
    )
    seconds = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)
        for _ in range(5)
    ]
    assert min(seconds) < 0.5


def test_chance_levels_are_printed_beside_the_values(tmp_path, capsys):
    file, out = _file(tmp_path, **_arrays()), tmp_path / "scores.csv"
    evaluate_command.main([f"--codes={file}", "--metrics=mig,irs", "--chance", f"--out={out}"])
    expected = evaluation.evaluate_arrays(_arrays(), "mig,irs", chance=True)
    printed = capsys.readouterr().out
    rows = list(csv.DictReader(out.read_text().splitlines()))
    for row in rows:
        chance = expected[row["name"]]["chance"]
        assert float(row["chance"]) == chance and f"{chance:.4f}" in printed
    # No column is kept for reasons that no score has.
    assert "seconds ┃\n" in printed


def test_value_interval_deviation_and_chance_stand_side_by_side_everywhere(tmp_path, capsys):
    file, out = _file(tmp_path, **_arrays()), tmp_path / "out"
    how = {"seed": [0, 1], "chance": True, "bootstrap": 12}
    row = evaluation.evaluate_arrays(_arrays(), "mig,sap,mbo", **how)["sap"]
    options = [f"--codes={file}", "--metrics=mig,sap,mbo", "--seeds=0,1", "--chance"]
    options += ["--bootstrap=12", f"--html={out / 'scores.html'}"]
    for name in ("scores.json", "scores.csv"):
        evaluate_command.main([*options, f"--out={out / name}"])
    printed = re.sub(r"\s+", " ", capsys.readouterr().out)
    low, high = row["interval"]
    assert f"{row['score']:.4f} │ {low:.4f} to {high:.4f} │ {row['seed_std']:.4f}" in printed
    assert "95 % over images, not over training seeds" in printed
    stored = json.loads((out / "scores.json").read_text())["sap"]
    for key in ("score", "interval", "seed_std", "per_seed", "chance", "interval_reason"):
        assert stored[key] == row[key], key
    cells = list(csv.DictReader((out / "scores.csv").read_text().splitlines()))
    assert float(cells[1]["interval_low"]) == low and float(cells[1]["interval_high"]) == high
    assert float(cells[1]["chance"]) == row["chance"]
    assert float(cells[1]["seed_std"]) == row["seed_std"]
    assert cells[2]["interval_low"] == "" and cells[2]["reason"]
    page = (out / "scores.html").read_text()
    assert f">{low:.3f} to {high:.3f}<" in page
    assert "Intervals: 95 % over images, not over training seeds." in page
    assert ">95 % interval<" in page and ">Seed std<" in page and ">Chance<" in page


@pytest.mark.parametrize(
    ("option", "message"), [("--seeds=0,x", "whole numbers"), ("--seeds=1,1", "different"),
                            ("--bootstrap=3", "at least 10")]
)  # fmt: skip
def test_wrong_seeds_and_resamplings_end_the_command_in_one_line(tmp_path, capsys, option, message):
    with pytest.raises((SystemExit, evaluation.InputError)) as raised:
        evaluate_command.main([f"--codes={_file(tmp_path, **_arrays())}", option])
    assert message in f"{raised.value} {capsys.readouterr().err}"
