"""Training on one split and scoring on another, by name from a gin file."""

import dataclasses
import json
import types
from unittest import mock

import numpy as np
import pytest

from zoo import data, evaluation
from zoo import train as command
from zoo.hub import package
from zoo.training import run

SPLITS = ["train.dataset = 'toy[train]'", "train.test_dataset = 'toy[test]'"]


def arguments(toy_gin, folder, *bindings):
    """The command line of a training run of 4 steps."""
    bound = [f"--gin_bindings={b}" for b in ("train.steps = 4", "train.log_every = 1", *bindings)]
    return [f"--gin_file={toy_gin}", f"--run_dir={folder}", *bound]


def test_scores_are_computed_on_the_test_set(tmp_path, toy_gin, monkeypatch):
    scored, evaluate = [], evaluation.evaluate

    def watched(model, dataset, *args, **options):
        scored.append(dataset)
        return evaluate(model, dataset, *args, **options)

    monkeypatch.setattr(evaluation, "evaluate", watched)
    command.main(arguments(toy_gin, tmp_path / "run", *SPLITS))
    (dataset,) = scored
    assert dataset.name == "toy/squares[test]" and len(dataset) == 12
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    assert manifest["dataset"] == "toy[train]" and manifest["test_dataset"] == "toy[test]"
    card = package.read_card(tmp_path / "run/saved_model")
    assert card["dataset_fingerprint"] == data.load("toy[train]").fingerprint
    assert card["test_dataset_fingerprint"] == dataset.fingerprint


def test_without_one_it_is_the_training_set(tmp_path, toy_gin):
    command.main(arguments(toy_gin, tmp_path / "run", SPLITS[0]))
    manifest = json.loads((tmp_path / "run/manifest.json").read_text())
    assert manifest["test_dataset"] == manifest["dataset"] == "toy[train]"


@pytest.mark.parametrize("own", [False, True])
def test_the_manifest_names_the_latents_that_scores_are_of(own):
    import toy

    dataset = toy.load("squares", None)
    tested = dataclasses.replace(dataset, latents=np.zeros((len(dataset), 3), np.float32))
    model = types.SimpleNamespace(kind="VAE", count_params=lambda: 1)
    parts = types.SimpleNamespace(dataset=dataset, tested=tested if own else dataset, model=model)
    described = run.described(mock.Mock(), parts)
    assert described["factors"] == ["size", "x", "y"]
    assert described["latents"] == ([] if own else ["size", "x", "y"])


@pytest.mark.parametrize(
    ("binding", "message"),
    [
        ("train.test_dataset = 'toy[eval]'", "no split is named 'eval'; there are train"),
        ("train.test_dataset = 'zoo_balls'", r"shape [64, 64, 3], and train.dataset [16, 16, 1]"),
    ],
)
def test_a_test_set_that_does_not_fit_is_refused_before_training(
    tmp_path, toy_gin, fails, binding, message
):
    assert message in fails(command.main, *arguments(toy_gin, tmp_path / "run", binding))
    assert not (tmp_path / "run/checkpoints").exists()


@pytest.mark.parametrize("select", ["loss", "mcc"])
def test_so_is_such_a_validation_set(tmp_path, toy_gin, fails, select):
    bindings = (f"train.select = '{select}'", "train.validation_dataset = 'zoo_balls'")
    line = fails(command.main, *arguments(toy_gin, tmp_path / "run", *bindings))
    assert "train.validation_dataset zoo_balls has observations of shape [64, 64, 3], and" in line
    assert not (tmp_path / "run/checkpoints").exists()
