"""The pictures of a run: when they are drawn, and which latents their traversals call dead."""

import types

import gin
import keras
import numpy as np
import pytest
import toy  # noqa: F401  registers the data set

import zoo.configurables  # noqa: F401  registers what gin files name
from zoo import config, data, runs
from zoo.data.dataset import Dataset, DenseImages
from zoo.drawing import sheets
from zoo.models.autoencoder import AE
from zoo.networks.dense import mlp_decoder, mlp_encoder
from zoo.training.run import train
from zoo.training.settings import Settings
from zoo.training.trainer import Pictures


def _model(shape: tuple[int, int, int] = (16, 16, 1)) -> AE:
    keras.utils.set_random_seed(0)
    return AE(
        shape,
        latent_dim=3,
        encoder=lambda shape: mlp_encoder(shape, units=(8,)),
        decoder=lambda dim, shape: mlp_decoder(dim, shape, units=(8,)),
    )


def test_the_leading_latent_of_a_run_of_few_steps_is_not_called_dead(tmp_path, monkeypatch):
    marked = []
    traversals = sheets.traversals

    def recorded(*arguments, dead, **options):
        marked.append(list(dead))
        return traversals(*arguments, dead=dead, **options)

    monkeypatch.setattr(sheets, "traversals", recorded)
    model = _model()
    last = {"kl_per_latent": [0.0001, 0.05, 0.0], "posterior_variance": [0.999, 0.93, 1.0]}
    log = types.SimpleNamespace(last=last, image=lambda *_: None)
    Pictures(runs.RunFolder(tmp_path), model, data.load("toy"), log).draw(20)
    assert np.array_equal(marked, [[True, False, True]])
    assert (tmp_path / "images" / "traversals.png").exists()


@pytest.mark.parametrize("last", [None, {"step": 20}])
def test_a_run_without_a_record_has_its_pictures_all_the_same(tmp_path, last):
    log = types.SimpleNamespace(last=last, image=lambda *_: None)
    Pictures(runs.RunFolder(tmp_path), _model(), data.load("toy"), log).draw(20)
    assert (tmp_path / "images" / "traversals.png").exists()


@pytest.mark.parametrize("channels", [2, 4])
def test_images_of_other_channels_are_drawn_in_three(tmp_path, channels):
    images = np.random.default_rng(0).integers(0, 256, (20, 8, 8, channels), np.uint8)
    dataset = Dataset("own/noise", DenseImages(images))
    log = types.SimpleNamespace(last=None, image=lambda *_: None)
    Pictures(runs.RunFolder(tmp_path), _model((8, 8, channels)), dataset, log).draw(20)
    names = {path.stem for path in (tmp_path / "images").iterdir()}
    assert names == {"reconstructions", "traversals"}


def test_pictures_that_fall_between_two_records_are_drawn_with_the_second(
    tmp_path, toy_gin, monkeypatch
):
    drawn = []
    monkeypatch.setattr(Pictures, "draw", lambda _, step: drawn.append(step))
    every = {"log": 4, "checkpoint": 10, "pictures": 5}
    bindings = [f"train.{name}_every = {steps}" for name, steps in every.items()]
    config.parse([toy_gin], [*bindings, "train.steps = 19", "train.publish = 'scores'"])
    try:
        train(Settings(), tmp_path)
    finally:
        gin.clear_config()
    assert drawn == [8, 10, 16, 19]
