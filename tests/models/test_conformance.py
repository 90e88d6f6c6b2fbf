"""What every model owes: a config, a docstring that says its shapes, a SavedModel round trip."""

import functools
import inspect
import pathlib
import re

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo.configurables  # noqa: F401  registers the models
from zoo import hub
from zoo.errors import SettingError
from zoo.hub import weights
from zoo.hub.export import Exported, export
from zoo.models.additive import AdditiveAutoencoder
from zoo.models.autoencoder import AE
from zoo.models.base import Autoencoder, Encoder, Generator, Model
from zoo.models.objectives import Objective
from zoo.models.pcl import PCL
from zoo.models.vae import VAE
from zoo.models.weak_gan import WeakGAN
from zoo.networks.dense import mlp_decoder, mlp_encoder
from zoo.networks.discriminators import mlp_discriminator
from zoo.networks.slot_decoders import transformer_slot_decoder
from zoo.networks.slot_encoders import transformer_slot_encoder
from zoo.networks.style_gan import style_discriminator, style_generator
from zoo.optim.optimizers import Adam
from zoo.optim.schedules import piecewise_linear

ROOT = pathlib.Path(__file__).resolve().parents[2]


def _registered(kind: type) -> list[type]:
    classes = {inspect.unwrap(c.wrapped) for _, c in gin.config._REGISTRY.items()}
    found = {c for c in classes if inspect.isclass(c) and issubclass(c, kind)}
    return sorted(found, key=lambda c: c.__name__)


# Models, and the VAE with each of its objectives.
MODELS = [m for m in _registered(Model) if m is not VAE] + _registered(Objective)
SHAPE = (16, 16, 1)
# An export in float32 differs by the type of the weights only.
HALF = functools.partial(Exported, half=True)


def _small(model: type) -> Model:
    keras.utils.set_random_seed(0)
    networks = {
        "encoder": functools.partial(mlp_encoder, units=(8,)),
        "decoder": functools.partial(mlp_decoder, units=(8,)),
        "discriminator": functools.partial(mlp_discriminator, units=(8,)),
        "slots": 2,
        "slot_encoder": functools.partial(transformer_slot_encoder, channels=4, layers=1, heads=2),
        "slot_decoder": functools.partial(
            transformer_slot_decoder, width=8, slot_hidden=8, query_width=8, heads=2, layers=1
        ),
    }
    if issubclass(model, Generator):
        filters, small = (4, 4, 4), functools.partial
        networks = {
            "style_dim": 2,
            "generator": small(style_generator, filters=filters, style_dim=8),
            "discriminator": small(style_discriminator, filters=filters, embedding=4, group=1),
        }
    taken = {k: v for k, v in networks.items() if k in inspect.signature(model).parameters}
    if issubclass(model, Objective):
        taken = {"objective": functools.partial(model, **taken)}
        taken |= {name: networks[name] for name in ("encoder", "decoder")}
        model = VAE
    built = model(SHAPE, latent_dim=3, **taken)
    built.bind(Adam(1e-3))
    return built


def _batch(count: int) -> dict[str, tf.Tensor]:
    """Images, with what models take beside: a partner, what they share, a domain."""
    image, partner = tf.random.stateless_uniform([2, count, *SHAPE], [1, 2])
    shared = tf.one_hot(tf.range(count) % 3, 3, on_value=True, off_value=False)
    return {"image": image, "partner": partner, "shared": shared, "domain": tf.range(count) % 2}


def test_the_models_of_the_package_are_found():
    assert {"BetaVAE", "WeakGAN"} < {model.__name__ for model in MODELS}


@pytest.mark.parametrize("model", MODELS)
def test_has_a_config_and_a_docstring(model):
    configs = [path.read_text() for path in (ROOT / "gin").rglob("*.gin")]
    name = "VAE.objective" if issubclass(model, Objective) else "train.model"
    assert any(re.search(rf"^{name} = @{model.__name__}\b", text, re.M) for text in configs)
    for parameter in list(inspect.signature(model.__init__).parameters)[1:]:
        documented = [f"        {parameter}: " in (base.__doc__ or "") for base in model.__mro__]
        assert any(documented), f"{parameter} is not documented"
    assert "(" in model.__doc__ and any(char.isdigit() for char in model.__doc__), "no source"


@pytest.mark.parametrize("model", [AE, VAE, PCL, AdditiveAutoencoder, WeakGAN])
def test_encoders_that_return_no_vectors_are_refused(model):
    def grid(shape):
        return keras.Sequential([keras.Input(shape), keras.layers.Conv2D(4, 3)])

    message = rf"^{model.__name__}.encoder returns features of shape \['B', 14, 14, 4\]; let it ret"
    with pytest.raises(SettingError, match=message):
        model(SHAPE, encoder=grid)


@pytest.mark.parametrize("model", MODELS)
def test_losses_are_per_example_finite_and_the_same_eager_and_compiled(model):
    built = _small(model)
    batch = _batch(5)
    seed, step = tf.constant([3, 4]), tf.constant(0)
    eager = built.losses_on(batch, seed, step)
    compiled = tf.function(built.losses_on)(batch, seed, step)
    assert eager["loss"].shape == (5,)
    for name, value in eager.items():
        assert value.shape[0] == 5 and value.dtype == tf.float32, name
        assert np.isfinite(value).all(), name
        np.testing.assert_allclose(value, compiled[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_an_example_does_not_depend_on_its_batch_but_for_noise(model):
    """Encoding and generating are per image: no statistics leak through the batch."""
    built = _small(model)
    if isinstance(built, Generator):
        latents, domain = tf.random.stateless_normal([5, 3], [1, 2]), tf.constant([0, 1, 1, 0, 1])
        several = built.generate(latents, domain)[:2]
        np.testing.assert_allclose(several, built.generate(latents[:2], domain[:2]), atol=1e-6)
        return
    images = _batch(5)["image"]
    np.testing.assert_allclose(built.encode(images)[:2], built.encode(images[:2]), atol=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_mixed_precision_trains_to_finite_losses_in_float32(model):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        built = _small(model)
    finally:
        keras.config.set_dtype_policy(before)
    batch, update = _batch(8), tf.function(built.update)
    first, *_, last = [
        float(update(batch, tf.constant([3, k]), tf.constant(k), 1)["loss"]) for k in range(30)
    ]
    assert np.isfinite(last)
    # The loss of a GAN is on images that change as it learns.
    assert last < first or "GAN" in model.__name__


@pytest.mark.parametrize("model", MODELS)
def test_an_update_can_be_compiled_by_xla(model):
    """As on a GPU; there XLA refused the gradients of `tf.tile` inside a `tf.cond` of the GANs."""
    built = _small(model)
    if isinstance(built, Generator):
        built.image_sparsity = piecewise_linear(((0, 0.0), (2, 0.1)))
    update = tf.function(built.update, autograph=False, jit_compile=True)
    seed, step = tf.constant([3, 4]), tf.constant(0)
    program = update.experimental_get_compiler_ir(_batch(8), seed, step, 1)
    assert "HloModule" in program(stage="hlo")


@pytest.mark.parametrize("model", [m for m in MODELS if issubclass(m, Encoder | Objective)])
def test_saved_model_round_trip(model, tmp_path):
    built = _small(model)
    card = {"name": "small", "input": {"shape": list(SHAPE), "maximum": 1}}
    weights.round_to_half(built)
    export(built, tmp_path / "saved", "# nothing\n", card, HALF)
    loaded = hub.load(tmp_path / "saved")
    images = np.random.default_rng(0).random((4, *SHAPE), np.float32)
    codes = built.encode(images).numpy()
    np.testing.assert_allclose(loaded.encode(images), codes, atol=1e-6)
    assert loaded.latent_size == np.prod(codes.shape[1:])
    if isinstance(built, Autoencoder):
        _check_decoder(loaded, built, images, codes)
    else:
        with pytest.raises(ValueError, match="has no endpoint 'decode'"):
            loaded.decode(codes)
    posterior = built.posterior(tf.constant(images))
    assert hasattr(loaded.model, "posterior") == (posterior is not None)
    if posterior is not None:
        answer = loaded.posterior(images)
        assert type(answer) is type(posterior)
        np.testing.assert_allclose(answer.mean(), codes, atol=1e-6)
        np.testing.assert_allclose(answer.stddev(), posterior.stddev(), atol=1e-6)

    other = _small(model)
    other.set_weights([0 * value for value in other.get_weights()])
    weights.assign(other, tmp_path / "saved")
    np.testing.assert_allclose(other.encode(images), codes, atol=1e-6)


@pytest.mark.parametrize("model", [m for m in MODELS if issubclass(m, Generator)])
def test_saved_model_round_trip_of_generators(model, tmp_path):
    built = _small(model)
    card = {"name": "small", "input": {"shape": list(SHAPE), "maximum": 1, "domains": 2}}
    weights.round_to_half(built)
    export(built, tmp_path / "saved", "# nothing\n", card, HALF)
    loaded = hub.load(tmp_path / "saved")
    assert (loaded.image_shape, loaded.latent_size) == (SHAPE, 3)
    latents = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    domain = np.array([0, 1, 1, 0])
    images = built.generate(latents, domain)
    np.testing.assert_allclose(loaded.generate(latents, domain), images, atol=1e-6)
    style = built.style(latents, domain)
    np.testing.assert_allclose(loaded.style(latents, domain), style, atol=1e-6)
    np.testing.assert_array_equal(loaded.content(latents), latents[:, 2:])
    assert loaded.sample(3).shape == (3, *SHAPE)
    np.testing.assert_array_equal(loaded.sample(3, seed=1), loaded.sample(3, seed=1))
    for wrong, message in (
        ([0, 1, 2, 0], r"generate: domains in 0..2; this model has 0..1"),
        ([0.0, 1.0, 1.0, 0.0], "wanted an integer for each of the latents"),
        (1, r"domain of shape \(\)"),
        ([0, 1], "generate: 4 latents, but 2 domains"),
    ):
        with pytest.raises(ValueError, match=message):
            loaded.generate(latents, wrong)
    with pytest.raises(ValueError, match="has no endpoint 'encode'"):
        loaded.encode(images)

    other = _small(model)
    other.set_weights([0 * value for value in other.get_weights()])
    weights.assign(other, tmp_path / "saved")
    for kept, wanted in zip(other.get_weights(), built.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, wanted)


def _check_decoder(loaded, built: Autoencoder, images: np.ndarray, codes: np.ndarray) -> None:
    np.testing.assert_allclose(loaded.decode(codes), built.decode(codes), atol=1e-6)
    np.testing.assert_allclose(loaded.reconstruct(images), built.decode(codes), atol=1e-6)
    assert loaded.sample(3).shape == (3, *SHAPE)
    np.testing.assert_array_equal(loaded.sample(3, seed=1), loaded.sample(3, seed=1))
    with tf.GradientTape() as tape:
        latents = tf.constant(codes)
        tape.watch(latents)
        decoded = built.decode(latents)
    expected = tape.batch_jacobian(decoded, latents)
    np.testing.assert_allclose(loaded.jacobian(codes), expected, atol=1e-6)
    for name in ("attention", "slot_images"):
        if hasattr(built, name):
            parts = getattr(loaded, name)(codes), getattr(built, name)(codes)
            np.testing.assert_allclose(*parts, atol=1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_a_checkpoint_holds_every_variable(model):
    """Layers kept in a plain list, say, would be lost without a word."""
    built = _small(model)
    checkpoint = tf.train.Checkpoint(model=built, optimizers=list(built.optimizers))
    held = {id(getattr(v, "value", v)) for v in tf.train.TrackableView(checkpoint).descendants()}
    held |= {id(v) for v in tf.train.TrackableView(checkpoint).descendants()}
    for variable in built.variables:
        assert id(variable) in held or id(variable.value) in held, variable.path


@pytest.mark.parametrize("model", MODELS)
def test_keras_calls_saves_and_loads_it(model, tmp_path):
    built = _small(model)
    inputs = [_batch(3)["image"]]
    if isinstance(built, Generator):
        inputs = [tf.random.stateless_normal([3, 3], [1, 2]), tf.constant([0, 1, 1])]
    called = built(*inputs)
    wanted = built.generate(*inputs) if isinstance(built, Generator) else built.encode(*inputs)
    if isinstance(built, Autoencoder):
        wanted = built.decode(wanted)
    np.testing.assert_array_equal(called, wanted)
    built.save(tmp_path / "x.keras")
    loaded = keras.saving.load_model(tmp_path / "x.keras")
    assert type(loaded) is type(built) and loaded.get_config() == built.get_config()
    np.testing.assert_array_equal(loaded(*inputs), called)
    for before, after in zip(built.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
