"""The models in the store: each is loaded, and made again of its config and its weights."""

import gin
import numpy as np
import pytest

import zoo
import zoo.configurables
from zoo import config, hub
from zoo.errors import SettingError
from zoo.hub import download, package, places, registry, weights
from zoo.models.base import Generator


def _version(entry: registry.Entry) -> list[int]:
    return [int(number) for number in entry.version.split(".")]


OURS = (places.BUILT_IN, places.REPOSITORY)
ENTRIES = [entry for folder in OURS for entry in registry.entries(str(folder))]
NEWEST = list({entry.name: entry for entry in sorted(ENTRIES, key=_version)}.values())
# The others are perturbations, whose configs name runs.
TRAINED = [entry for entry in NEWEST if "train.model" in entry.config]


@pytest.fixture(autouse=True)
def _shipped(monkeypatch):
    for name, folder in zip(("BUILT_IN", "REPOSITORY"), OURS, strict=True):
        monkeypatch.setattr(places, name, folder)
    yield
    gin.clear_config()


def test_registries_and_folders_agree():
    for entry in ENTRIES:
        assert entry.licence and entry.description and entry.command
        stored = entry.hub.folder / entry.folder
        package.check(stored, entry.files)
        card = package.verify(stored)
        assert (card["name"], card["version"]) == (entry.name, entry.version)
        assert (card["config"], card.get("scores")) == (
            entry.config,
            entry.scores,
        )


def test_the_wheel_has_five_models_and_15_megabytes_at_most():
    built_in = [entry for entry in ENTRIES if entry.hub.folder == places.BUILT_IN]
    assert len(built_in) <= 5 and sum(entry.size for entry in built_in) <= 15e6
    folders = {path.parent for path in places.BUILT_IN.rglob("card.json")}
    assert folders == {places.BUILT_IN / entry.folder for entry in built_in}


def test_models_of_both_hubs_are_loaded_by_name_where_they_lie():
    assert download.fetch("beta_vae/dsprites").is_relative_to(places.BUILT_IN)
    assert download.fetch("beta_vae/dsprites", "1.0.0").is_relative_to(places.REPOSITORY)
    assert download.fetch("additive_decoder/balls_l_shape").is_relative_to(places.REPOSITORY)


def _images(loaded: hub.Pretrained) -> np.ndarray:
    return np.random.default_rng(0).random((2, *loaded.image_shape), np.float32)


def _latents(loaded: hub.Pretrained) -> tuple[np.ndarray, np.ndarray]:
    """Of two images, one of each domain."""
    latents = np.random.default_rng(0).normal(size=(2, loaded.latent_size))
    return latents.astype(np.float32), np.arange(2, dtype=np.int32)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.folder)
def test_every_version_is_loaded(entry):
    loaded = hub.load(entry.hub.folder / entry.folder)
    if hasattr(loaded.model, "encode"):
        codes = loaded.encode(_images(loaded))
        assert codes.shape[0] == 2 and np.isfinite(codes).all()
    elif hasattr(loaded.model, "generate"):
        images = np.asarray(loaded.generate(*_latents(loaded)))
        assert images.shape == (2, *loaded.image_shape) and np.ptp(images) > 0.1
    else:
        assert hasattr(loaded.model, "perturb")


def test_a_config_that_is_read_no_more_is_refused_in_one_line():
    old = zoo.load(places.REPOSITORY / "beta_vae" / "dsprites" / "1.0.0")
    with pytest.raises(SettingError) as refused:
        old.trainable()
    line = str(refused.value)
    assert "cannot be trained further here: Configurable 'BetaVAE' doesn't have" in line
    assert "\n" not in line and len(line) < 300


def test_the_families_of_the_store_are_found():
    assert {"additive_decoder", "beta_vae", "slots_transformer"} <= {
        entry.name.partition("/")[0] for entry in TRAINED
    }


@pytest.mark.parametrize("entry", TRAINED, ids=lambda entry: entry.folder)
def test_the_config_of_the_newest_makes_the_model_that_takes_its_weights(entry):
    folder = entry.hub.folder / entry.folder
    loaded = hub.load(folder)
    config.parse([folder / "config.gin"])
    assert (folder / "config.gin").read_text() == loaded.card["config"]
    model = gin.query_parameter("train.model").scoped_configurable_fn(loaded.image_shape)
    generates = isinstance(model, Generator)
    name, given = ("generate", _latents(loaded)) if generates else ("encode", [_images(loaded)])
    before = getattr(model, name)(*given).numpy()
    weights.assign(model, folder)
    made = getattr(loaded, name)(*given)
    np.testing.assert_allclose(getattr(model, name)(*given), made, atol=1e-5)
    assert np.abs(before - made).max() > 1e-2
    if not generates:
        np.testing.assert_allclose(model.decode(made), loaded.decode(made), atol=1e-5)
