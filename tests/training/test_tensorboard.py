"""What TensorBoard is shown of a run, read back from its events."""

import json
import pathlib

import gin
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from zoo import train as command

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("tensorboard") / "run"
    short = ["--gin_bindings=train.steps = 10", "--gin_bindings=train.scores = 'mig, dto'"]
    command.main([f"--gin_file={FIXTURES / 'toy.gin'}", f"--run_dir={folder}", *short])
    yield folder
    gin.clear_config()


@pytest.fixture(scope="module")
def events(run):
    return EventAccumulator(str(run / "tensorboard")).Reload()


def _numbers(events, name: str) -> dict[int, float]:
    return {e.step: float(tf.make_ndarray(e.tensor_proto)) for e in events.Tensors(name)}


def test_losses_of_every_record(run, events):
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    expected = {record["step"]: record["loss"] for record in records}
    assert _numbers(events, "loss") == pytest.approx(expected, rel=1e-6)


def test_final_scores_at_the_last_step(run, events):
    scores = json.loads((run / "scores.json").read_text())
    for name in ("mig", "dto"):
        assert _numbers(events, f"scores/{name}") == pytest.approx({10: scores[name]["score"]})


def test_config_as_text(run, events):
    (event,) = events.Tensors("config")
    (shown,) = tf.make_ndarray(event.tensor_proto).ravel()
    lines = shown.decode().splitlines()
    assert [line.removeprefix("    ") for line in lines] == (
        (run / "config.gin").read_text().splitlines()
    )


def test_bindings_are_hyperparameters(events):
    (content,) = events.PluginTagToContent("hparams").values()
    start = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    assert start.group_name
    assert start.hparams["VAE.latent_dim"].number_value == 4
    assert start.hparams["train.dataset"].string_value == "toy"
    assert start.hparams["Adam.learning_rate"].number_value == pytest.approx(1e-3)
    assert start.hparams["train.model"].string_value == "@VAE"
    assert start.hparams["mlp_encoder.units"].string_value == "(32,)"
