"""What a finished run gives: everything, or its scores alone."""

import json
import types

import gin
import numpy as np
import pytest
import tensorflow as tf

from zoo import export as export_command
from zoo import runs
from zoo import train as command
from zoo.data.dataset import DenseImages
from zoo.models.base import Model
from zoo.papers import departures
from zoo.scheduling import worker
from zoo.scheduling.jobs import Step
from zoo.training import programs, publishing


def arguments(toy_gin, folder, *bindings):
    """The command line of a training run of 4 steps."""
    bound = [f"--gin_bindings={b}" for b in ("train.steps = 4", "train.log_every = 1", *bindings)]
    return [f"--gin_file={toy_gin}", f"--run_dir={folder}", *bound]


def test_a_run_of_scores_alone_is_finished_and_exported_later(tmp_path, toy_gin, capsys):
    run = tmp_path / "run"
    command.main(arguments(toy_gin, run, "train.publish = 'scores'"))
    assert capsys.readouterr().out.strip() == f"scores: {run}/scores.json"
    assert json.loads((run / "scores.json").read_text()) and (run / "DONE").exists()
    assert not (run / "saved_model").exists() and not (run / "report/index.html").exists()
    export_command.main([f"--run={run}", f"--out={tmp_path / 'model'}", "--trust"])
    assert (tmp_path / "model/saved_model.pb").exists()


@gin.register
class _Plain(Model):
    """A model without codes."""

    def __init__(self, observation_shape):
        super().__init__()
        self.mean = self.add_weight(shape=observation_shape, name="mean")
        self.built = True

    def losses_on(self, batch, seed, step):
        return {"loss": tf.reduce_mean((batch["image"] - self.mean) ** 2, axis=(1, 2, 3))}


@pytest.mark.parametrize(
    ("publish", "shown"), [("all", "report: {}/report/index.html\n"), ("scores", "")]
)
def test_of_a_model_without_codes_nothing_is_named_that_is_not_there(
    tmp_path, toy_gin, capsys, publish, shown
):
    bindings = ("train.model = @_Plain", f"train.publish = '{publish}'")
    command.main(arguments(toy_gin, tmp_path / "run", *bindings))
    assert capsys.readouterr().out == shown.format(tmp_path / "run")


def test_a_card_has_the_scores_of_its_step_alone_and_an_export_into_a_run_locks_it(
    tmp_path, toy_gin, fails
):
    run = tmp_path / "run"
    command.main(arguments(toy_gin, run, "train.publish = 'scores'", "train.scores = 'mig,sap'"))
    rows = json.loads((run / "scores.json").read_text())
    assert [row["step"] for row in rows.values()] == [4, 4]
    rows["sap"]["step"] = 2
    rows["dto"] = {"score": 0.5}  # as scores were kept before steps were
    (run / "scores.json").write_text(json.dumps(rows))
    options = f"--run={run}", "--trust"
    with runs.opened(run):
        line = fails(export_command.main, *options)
        assert f"{run} is in use by another process, and {run}/saved_model is in it" in line
        assert not (run / "saved_model").exists()
        export_command.main([*options, f"--out={tmp_path / 'model'}"])
    export_command.main(options)
    for model in (run / "saved_model", tmp_path / "model"):
        scores = json.loads((model / "card.json").read_text())["scores"]
        assert scores == {"mig": rows["mig"]["score"], "dto": 0.5}
    with runs.opened(run):
        line = fails(export_command.main, "--half", *options)
        assert f"{run} is in use by another process, and {run}/saved_model is in it" in line


@pytest.mark.parametrize(
    ("blocks", "on_card"), [([[0, 1], [2]], {"blocks": [[0, 1], [2]]}), ([[0, 1, 2]], {}), (7, {})]
)
def test_a_card_names_the_blocks_of_its_model(blocks, on_card):
    images = DenseImages(np.zeros((2, 4, 4, 1), np.uint8))
    dataset = types.SimpleNamespace(images=images)
    model = types.SimpleNamespace(blocks=blocks)
    found = publishing.card(model, dataset, "", {}, {})
    assert {name: found[name] for name in found if name == "blocks"} == on_card


def test_what_is_published_is_one_of_two(tmp_path, toy_gin, fails):
    message = fails(command.main, *arguments(toy_gin, tmp_path / "run", "train.publish = 'no'"))
    assert "train.publish is 'no'; it takes all or scores" in message
    assert "publish" in departures.UNTOLD


def test_a_run_after_others_of_its_worker_is_as_a_run_alone(tmp_path, toy_gin):
    bound = "train.compiled = 'always'", "train.publish = 'scores'"

    def train(name, seed):
        given = arguments(toy_gin, tmp_path / name, *bound, f"train.seed = {seed}")
        worker._call_all([Step("DONE", "zoo.train", tuple(given))])
        lines = (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line)["loss"] for line in lines]

    programs._programs.clear()
    alone = train("alone", 1)
    programs._programs.clear()
    train("first", 0)
    in_turn, kept = train("second", 1), len(programs._programs)
    programs._programs.clear()
    assert in_turn == alone and kept == 1
