"""The models in the store: each is loaded, and made again of its config and its weights."""

import pathlib

import gin
import numpy as np
import pytest

import zoo.configurables  # noqa: F401  registers what configs name
from zoo import config, hub
from zoo.hub import registry

FOLDER = pathlib.Path(registry.__file__).parent
VERSIONS = [(name, version) for name in registry.names() for version in registry.versions(name)]
# The others are perturbations, whose configs name runs.
TRAINED = [
    (name, registry.versions(name)[-1])
    for name in registry.names()
    if "train.model" in registry.find(name).config
]


@pytest.fixture(autouse=True)
def _shipped(monkeypatch):
    monkeypatch.setattr(registry, "PATH", FOLDER / "registry.json")
    monkeypatch.setattr(registry, "STORE", FOLDER / "store")
    yield
    gin.clear_config()


def _images(loaded: hub.Pretrained) -> np.ndarray:
    return np.random.default_rng(0).random((2, *loaded.image_shape), np.float32)


@pytest.mark.parametrize(("name", "version"), VERSIONS)
def test_every_version_is_loaded(name, version):
    loaded = hub.load(registry.STORE / registry.find(name, version).folder)
    if hasattr(loaded.model, "encode"):
        codes = loaded.encode(_images(loaded))
        assert codes.shape[0] == 2 and np.isfinite(codes).all()
    else:
        assert hasattr(loaded.model, "perturb")


def test_the_families_of_the_store_are_found():
    assert {"additive_decoder", "beta_vae", "slots_transformer"} <= {
        name.partition("/")[0] for name, _ in TRAINED
    }


@pytest.mark.parametrize(("name", "version"), TRAINED)
def test_the_config_of_the_newest_makes_the_model_that_takes_its_weights(name, version):
    folder = registry.STORE / registry.find(name, version).folder
    loaded = hub.load(folder)
    config.parse([folder / "config.gin"])
    assert (folder / "config.gin").read_text() == loaded.card["config"]
    model = gin.query_parameter("train.model").scoped_configurable_fn(loaded.image_shape)
    images = _images(loaded)
    before = model.encode(images).numpy()
    model.load_weights(folder / "model.weights.h5")
    codes = loaded.encode(images)
    np.testing.assert_allclose(model.encode(images), codes, atol=1e-5)
    assert np.abs(before - codes).max() > 1e-2
    np.testing.assert_allclose(model.decode(codes), loaded.decode(codes), atol=1e-5)
