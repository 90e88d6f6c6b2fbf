"""A model's Keras config holds how it was made, by hand or by gin, and executes nothing foreign."""

import functools
import pathlib
import sys

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo.configurables  # noqa: F401  registers what gin files name
from zoo import config
from zoo.errors import SettingError
from zoo.models.objectives import BetaVAE
from zoo.models.vae import VAE
from zoo.networks.dense import mlp_decoder, mlp_encoder

SHAPE = (6,)
TEXT = """
HIDDEN = (5,)
small/VAE.latent_dim = 2
VAE.encoder = @deep/mlp_encoder
VAE.decoder = @mlp_decoder
VAE.likelihood = @Gaussian
VAE.jacobian_penalty = @JacobianOrthogonality()
VAE.objective = @BetaVAE
BetaVAE.beta = @piecewise_linear()
piecewise_linear.points = ((0, 2.0), (10, 4.0))
deep/mlp_encoder.units = (7, 4)
mlp_decoder.units = %HIDDEN
Gaussian.variance = 0.25
train.steps = 3
"""


@pytest.fixture(autouse=True)
def _clean():
    gin.clear_config()
    yield
    gin.clear_config()


def _losses(model, step: int) -> dict:
    batch = {"image": tf.random.stateless_normal([4, *SHAPE], [1, 2])}
    return model.losses_on(batch, tf.constant([3, 4]), tf.constant(step))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_what_gin_bound_when_it_was_made_comes_back(tmp_path, policy):
    gin.parse_config(TEXT)
    keras.config.set_dtype_policy(policy)
    try:
        model = gin.get_configurable("small/VAE")(SHAPE)
    finally:
        keras.config.set_dtype_policy("float32")
    # What gin is bound to later is another model's.
    gin.clear_config()
    gin.parse_config("mlp_decoder.units = (99,)")
    model.save(tmp_path / "x.keras")
    loaded = keras.saving.load_model(tmp_path / "x.keras")
    assert gin.query_parameter("mlp_decoder.units") == (99,)
    assert loaded.latent_dim == 2 and loaded.compute_dtype == model.compute_dtype
    assert "import zoo.networks.dense\n" in model.get_config()["gin"]
    for step in (0, 5):
        before, after = _losses(model, step), _losses(loaded, step)
        assert before.keys() == after.keys() and "jacobian_penalty" in before
        for name, value in before.items():
            np.testing.assert_array_equal(value, after[name], err_msg=name)


def test_arguments_given_by_hand_win_over_gin():
    gin.parse_config(TEXT)
    make = gin.get_configurable(VAE)
    model = make(SHAPE, latent_dim=3, encoder=mlp_encoder)
    config = model.get_config()
    assert set(config["arguments"]) == {"observation_shape", "latent_dim", "encoder"}
    again = VAE.from_config(config)
    assert again.latent_dim == 3 and again.get_config() == config
    assert [w.shape for w in again.get_weights()] == [w.shape for w in model.get_weights()]
    # The class itself takes nothing from gin; what it calls does.
    bare = VAE(SHAPE, 3, encoder=mlp_encoder, decoder=mlp_decoder)
    again = VAE.from_config(bare.get_config())
    assert again.jacobian_penalty is None and type(again.likelihood).__name__ == "Bernoulli"
    assert [w.shape for w in again.get_weights()] == [w.shape for w in bare.get_weights()]


class Passing(VAE):
    """Passes on what it is given, as subclasses often do."""

    def __init__(self, observation_shape, *others, **settings):
        super().__init__(observation_shape, *others, **settings)


def test_a_subclass_that_passes_arguments_on_is_saved():
    parts = {"encoder": mlp_encoder, "decoder": mlp_decoder}
    model = Passing(SHAPE, latent_dim=3, **parts)
    again = Passing.from_config(model.get_config())
    assert again.latent_dim == 3 and again.get_config() == model.get_config()
    with pytest.raises(
        SettingError, match=r"Passing.__init__ takes \*others, .* give them by name"
    ):
        Passing(SHAPE, 3, **parts).get_config()


def test_what_no_file_can_hold_is_said_with_the_remedy(tmp_path):
    parts = {"decoder": mlp_decoder, "objective": functools.partial(BetaVAE, beta=2.0)}
    model = VAE(SHAPE, encoder=lambda shape: mlp_encoder(shape), **parts)
    with pytest.raises(SettingError, match="VAE.encoder is .*lambda.*model.save_weights") as caught:
        model.save(tmp_path / "x.keras")
    assert "\n" not in str(caught.value) and not (tmp_path / "x.keras").exists()


def test_a_foreign_config_executes_no_module(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    pathlib.Path("unknown_module.py").write_text("raise AssertionError('executed')\n")
    made = VAE(SHAPE, encoder=mlp_encoder, decoder=mlp_decoder).get_config()
    for line in (
        "import unknown_module",
        "from __gin__ import dynamic_registration\nimport unknown_module",
    ):
        with pytest.raises(config.ConfigError, match="imports .*; import it first, if you trust"):
            VAE.from_config({**made, "gin": f"{line}\n{TEXT}"})
    assert "unknown_module" not in sys.modules
    unknown = {"configurable": "unknown_module.encoder", "plain": True}
    with pytest.raises(config.ConfigError, match="is not registered with gin; import unknown_mod"):
        VAE.from_config({**made, "arguments": {**made["arguments"], "encoder": unknown}})
