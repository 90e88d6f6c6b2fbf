"""Loaded models: endpoints, what they take, and loading without this package."""

import base64
import inspect
import io
import json
import pathlib
import re
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest
from PIL import Image

import zoo.hub
from zoo.drawing import sheets
from zoo.errors import UserError
from zoo.hub import download, endpoints, package, places
from zoo.hub.load import InputError, Pretrained
from zoo.hub.publish import publish

NAME, VERSION = "beta_vae/dsprites", "1.0.0"
ROOT = pathlib.Path(__file__).resolve().parents[2]
H, W, C, D = 4, 6, 1, 3


@pytest.fixture(scope="session")
def model(exported):
    return zoo.hub.load(exported)


@pytest.fixture
def images():
    return np.random.default_rng(1).integers(0, 2, (5, H, W, C)).astype(np.uint8)


def test_endpoints(model, images):
    codes = model.encode(images)
    assert codes.shape == (5, D) and (model.image_shape, model.latent_size) == ((H, W, C), D)
    np.testing.assert_array_equal(model.posterior(images).mean(), codes)
    np.testing.assert_array_equal(model.decode(codes), model.reconstruct(images))
    assert model.decode(np.zeros((2, D))).dtype == "float32"
    assert model.card["scores"] == {"mig": 0.1}


def test_the_name_of_its_folder_is_no_pattern(exported, tmp_path, images, model):
    folder = shutil.copytree(exported, tmp_path / "beta [4]")
    loaded = zoo.hub.load(folder)
    assert loaded.path == folder
    np.testing.assert_array_equal(loaded.encode(images), model.encode(images))


def test_a_saved_model_has_the_declared_endpoints_of_its_model(model):
    """In its own words: the names of functions and arguments, without this package's wrapper."""
    offered = {name for name in endpoints.DECLARED if hasattr(model.model, name)}
    assert offered == set(endpoints.DECLARED) - {
        *("attention", "slot_images", "block_images", "perturb"),
        *("generate", "style", "content"),
    }
    for name in offered:
        (traced,) = getattr(model.model, name).concrete_functions
        specs, _ = traced.structured_input_signature
        assert tuple(spec.name for spec in specs) == endpoints.DECLARED[name].arguments


def test_calls_are_those_of_the_declarations(model):
    for name, endpoint in endpoints.DECLARED.items():
        method = getattr(type(model), name)
        assert tuple(inspect.signature(method).parameters)[1:] == endpoint.arguments
        assert method.__doc__ and set(endpoint.arguments) <= set(endpoints.ARGUMENTS)
    assert model.encode(images=np.zeros((1, H, W, C))).shape == (1, D)
    with pytest.raises(TypeError, match="seed"):
        model.decode(np.zeros((1, D)), seed=1)


def test_samples_follow_their_seed(model):
    first = model.sample(4, seed=1).numpy()
    assert first.shape == (4, H, W, C)
    np.testing.assert_array_equal(model.sample(np.int64(4), seed=(0, 1)), first)
    assert not np.array_equal(model.sample(4, seed=2), first)
    assert not np.array_equal(model.sample(4, seed=-1), first)
    for same in (2**64 + 1, (0, 2**32 + 1), np.array([2**64, 1])):
        np.testing.assert_array_equal(model.sample(4, seed=same), first)


def test_the_jacobian_is_the_derivative_of_decode(model):
    latents = np.random.default_rng(2).normal(size=(2, D))
    jacobian = model.jacobian(latents).numpy()
    step = 1e-2
    for i, unit in enumerate(np.eye(D)):
        ahead, behind = model.decode(latents + step * unit), model.decode(latents - step * unit)
        difference = (ahead - behind).numpy() / (2 * step)
        np.testing.assert_allclose(jacobian[..., i], difference, atol=1e-4)


def test_gradients_pass_through(model):
    import tensorflow as tf

    latents = tf.random.stateless_normal([1, D], [0, 1])
    with tf.GradientTape() as tape:
        tape.watch(latents)
        pixel = model.decode(latents)[0, 0, 0, 0]
    expected = model.jacobian(latents)[0, 0, 0, 0]
    np.testing.assert_allclose(tape.gradient(pixel, latents)[0], expected, rtol=1e-5)

    @tf.function
    def traced(images):
        return model.encode(images)

    assert traced(tf.zeros([1, H, W, C])).shape == (1, D)


def test_integer_and_float_images_are_the_same_images(exported, model, images, tmp_path):
    import tensorflow as tf

    codes = model.encode(images)
    for same in (images / 1.0, images.astype(np.int64), images == 1, tf.constant(images)):
        np.testing.assert_array_equal(model.encode(same), codes)
    np.testing.assert_array_equal(model.encode(images.tolist()), codes)

    copy = tmp_path / "copy"
    shutil.copytree(exported, copy)
    package.seal(copy, {})
    bytewise = zoo.hub.load(copy)
    np.testing.assert_allclose(bytewise.encode(images * 255), codes, rtol=1e-6)


class Refusing:
    """A tensor of PyTorch that requires gradients."""

    def __array__(self, *_, **__):
        raise RuntimeError("it requires grad")


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda m: m.encode(np.zeros((H, W, C))), r"\[B, 4, 6, 1\]; add the batch axis"),
        (lambda m: m.encode(np.zeros((2, H, W))), r"add the channel axis"),
        (
            lambda m: m.encode(np.zeros((2, 8, 8, 1))),
            r"images of shape \(2, 8, 8, 1\), wanted \[B, 4, 6, 1\]; zoo\.prepare\(images, model\)",
        ),
        (lambda m: m.encode(np.float32(1)), r"images of shape \(\), wanted"),
        (lambda m: m.encode([[1, 2], [3]]), "not one array"),
        (lambda m: m.encode(np.full((1, H, W, C), "a")), "of type string, wanted numbers"),
        (lambda m: m.encode(np.full((1, H, W, C), 255, np.uint8)), r"uint8 images in 255\.\.255"),
        (lambda m: m.encode(np.full((1, H, W, C), -1)), r"images in -1\.\.-1"),
        (lambda m: m.encode(np.full((1, H, W, C), 255.0)), r"are in \[0, 1\]"),
        (lambda m: m.encode(np.full((1, H, W, C), np.nan)), "nan"),
        (lambda m: m.reconstruct(np.zeros((2, 3))), r"reconstruct: images of shape \(2, 3\)"),
        (lambda m: m.decode(np.zeros((2, D + 1))), r"latents of shape \(2, 4\), wanted \[B, 3\]"),
        (lambda m: m.jacobian(np.zeros(D)), r"jacobian: latents of shape \(3,\).*batch axis"),
        (lambda m: m.decode(np.full((1, D), np.nan)), "decode: latents hold NaN or infinity"),
        (lambda m: m.jacobian(np.full((1, D), np.inf)), "jacobian: latents hold NaN or infinity"),
        (lambda m: m.sample(np.zeros((2, D))), r"count is an array of shape \(2, 3\)"),
        (lambda m: m.traversals(np.zeros((0, H, W, C))), "there is no image"),
        (lambda m: m.traversals(steps=0), "steps is 0; it must be at least 1"),
        (lambda m: m.traversals(limit=0), "limit is 0; it must be at least 1"),
        (lambda m: zoo.hub.load(""), "'' is no name and no path"),
        (lambda m: zoo.hub.load(NAME, hub=3), "hub is 3; give the address"),
        (lambda m: m.sample(0), "count is 0"),
        (lambda m: m.sample(1.5), "count is 1.5"),
        (lambda m: m.sample(2**31), "count is 2147483648.* 2147483647 at most"),
        *[(lambda m, n=n: m.sample(n), "count is ") for n in ("2", None, np.nan, np.inf, [1, 2])],
        (lambda m: m.encode(Refusing()), "the images are not one array: it requires grad"),
        (lambda m: m.sample(1, seed=(1, 2, 3)), "one integer or two"),
        (lambda m: m.sample(1, seed=0.5), "one integer or two"),
        (lambda m: m.sample(1, seed=[[1], [2, 3]]), "one integer or two"),
        (lambda m: m._domains("generate", None), "generate: the domains are not one array"),
    ],
)
def test_wrong_input_is_one_line(model, call, said):
    with pytest.raises(InputError, match=said) as error:
        call(model)
    assert "\n" not in str(error.value)


def test_an_empty_batch_passes(model):
    assert model.encode(np.zeros((0, H, W, C), np.uint8)).shape == (0, D)
    # oneDNN's convolutions take none.
    (path,) = (ROOT / "zoo/hub/store" / NAME).iterdir()
    shipped = zoo.hub.load(path)
    none = np.zeros((0, *shipped.image_shape), np.uint8)
    codes = shipped.encode(none)
    assert codes.shape == (0, 10) and shipped.reconstruct(none).shape == none.shape
    assert shipped.jacobian(codes).shape == (*none.shape, 10)
    assert shipped.posterior(none).mean().shape == codes.shape


def test_integer_images_of_unknown_rank_are_divided_by_their_maximum(model, images, capsys):
    import tensorflow as tf

    def unknown(_):
        return model.encode(tf.numpy_function(lambda: images, [], tf.uint8))

    (codes,) = tf.data.Dataset.range(1).map(unknown)
    np.testing.assert_allclose(codes, model.encode(images), rtol=1e-6)

    def of_another_shape(_):
        return model.encode(tf.numpy_function(lambda: images[0], [], tf.uint8))

    with pytest.raises(tf.errors.InvalidArgumentError, match="not compatible with expected shape"):
        list(tf.data.Dataset.range(1).map(of_another_shape))
    assert "AutoGraph" not in capsys.readouterr().err


def test_loading_by_name_is_loading_what_was_registered(exported, model, images):
    texts = {"licence": "x", "description": "x", "command": "x"}
    publish(exported, places.BUILT_IN, name=NAME, version=VERSION, **texts)
    named = zoo.hub.load(NAME)
    assert named.path == download.fetch(NAME, VERSION)
    assert named.card["name"] == NAME and repr(named) == f"Pretrained({NAME!r})"
    assert zoo.hub.names() == [NAME]
    np.testing.assert_array_equal(named.encode(images), model.encode(images))


def test_a_run_folder_is_a_path(exported, model, images, tmp_path):
    run = zoo.hub.load(str(exported.parent))
    assert run.path == exported
    # Of zoo.perturb.
    shutil.copytree(exported, tmp_path / "perturbation")
    assert zoo.hub.load(tmp_path).path == tmp_path / "perturbation"
    np.testing.assert_array_equal(run.encode(images), model.encode(images))


def test_unknown_names_and_paths_name_the_nearest(entry):
    for given in ("betavae/dsprite", "/nowhere/beta_vae", "./x"):
        with pytest.raises(UserError, match=f"^{given!r} is no dir.* 'beta_vae/dsprites'"):
            zoo.hub.load(given)
    with pytest.raises(UserError, match="no version '7'"):
        zoo.hub.load(NAME, "7")
    for given in (pathlib.Path("beta_vae/dsprites"), "beta_vae/dsprites/"):
        with pytest.raises(UserError, match=r"model is zoo\.load\('beta_vae/dsprites'\)"):
            zoo.hub.load(given)


def test_a_truncated_saved_model_is_refused_before_tensorflow(sealed):
    program = (
        "import sys, zoo.hub\n"
        "try:\n"
        f"    zoo.hub.load({str(sealed)!r})\n"
        "except ValueError as error:\n"
        "    print(error)\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    path = sealed / "saved_model.pb"
    path.write_bytes(path.read_bytes()[:500])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout == f"{path} is truncated: 500 of 1000 bytes\n"


def test_what_tensorflow_cannot_load_is_one_line(sealed):
    with pytest.raises(package.PackageError, match="TensorFlow cannot load") as error:
        zoo.hub.load(sealed)
    assert "\n" not in str(error.value)


def test_a_missing_endpoint_is_named(model, images):
    class Encoder:
        encode = staticmethod(model.model.encode)

    encoder = zoo.hub.Pretrained(model.path, model.card, Encoder())
    assert encoder.encode(images).shape == (5, D)
    with pytest.raises(InputError, match="has no endpoint 'decode'"):
        encoder.decode(np.zeros((1, D)))


def test_vectors_are_taken_as_they_are(model):
    import tensorflow as tf

    encode = tf.function(lambda x: 2 * x, [tf.TensorSpec([None, 3], tf.float32)])
    # As a loaded SavedModel has it.
    encode.concrete_functions = [encode.get_concrete_function()]
    loaded = types.SimpleNamespace(encode=encode)
    doubler = zoo.hub.Pretrained(model.path, model.card, loaded)
    np.testing.assert_array_equal(doubler.encode([[-5, 0, 700]]), [[-10, 0, 1400]])
    assert doubler.image_shape == (3,)


def test_tensorflow_alone_loads_a_sealed_model(exported, model, images):
    program = (
        "import json, sys\n"
        "sys.modules.update(zoo=None)\n"
        "import tensorflow as tf\n"
        f"model = tf.saved_model.load({str(exported)!r})\n"
        "images = tf.constant(json.loads(sys.stdin.read()), tf.float32)\n"
        "print(json.dumps(model.reconstruct(images).numpy().tolist()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(images.tolist()),
        capture_output=True,
        text=True,
        check=True,
    )
    alone = json.loads(done.stdout.splitlines()[-1])
    np.testing.assert_allclose(alone, model.reconstruct(images), rtol=1e-6)


def test_blocks_are_those_of_the_card_or_else_of_its_config():
    def blocks(**card):
        return zoo.hub.Pretrained(pathlib.Path(), card, None).blocks

    text = "AdditiveAutoencoder.blocks = \\\n    [[0, 2], [1]]\n"
    assert blocks(config=text) == [[0, 2], [1]]
    assert blocks(config=text, blocks=[[0], [1, 2]]) == [[0], [1, 2]]
    assert blocks(config="AdditiveAutoencoder.blocks = None\n") is None is blocks()


def test_posteriors_are_distributions_of_the_family_of_the_model(model, tmp_path):
    import tensorflow as tf
    import tensorflow_probability as tfp

    from zoo.hub.export import export
    from zoo.models.base import Encoder

    tfd = tfp.distributions
    tril = tf.constant([[[1.0, 0.0], [0.5, 2.0]]])

    class Made(Encoder):
        observation_shape, latent_dim = (H, W, C), 2

        def __init__(self, family):
            super().__init__()
            self.family, self.built = family, True

        def encode(self, images):
            return self.posterior(images).mean()

        def posterior(self, images):
            mean = tf.reshape(images, [-1, H * W])[:, :2]
            if self.family is tfd.MultivariateNormalTriL:
                return tfd.MultivariateNormalTriL(mean, tril + 0 * mean[..., None])
            if self.family is tfd.TruncatedNormal:
                return tfd.TruncatedNormal(mean, 0.5 + 0 * mean, -1.0, 1.0)
            return tfd.Normal(mean, 1 + mean)

    images = np.random.default_rng(0).random((3, H, W, C), np.float32)
    for family in (tfd.Normal, tfd.MultivariateNormalTriL, tfd.TruncatedNormal):
        made = Made(family)
        export(made, tmp_path / family.__name__, "", {})
        found = zoo.hub.load(tmp_path / family.__name__).posterior(images)
        own = made.posterior(tf.constant(images))
        assert type(found) is family
        points = np.random.default_rng(1).uniform(-0.9, 0.9, (3, 2)).astype(np.float32)
        np.testing.assert_allclose(found.log_prob(points), own.log_prob(points), rtol=1e-5)


def test_traversals_are_a_picture_of_every_latent(model, images):
    plain = model.traversals(steps=5)
    assert plain.dtype == np.uint8 and plain.ndim == 3 and plain.shape[2] == 3
    ranked = model.traversals(images, steps=5)
    assert ranked.shape != plain.shape, "its rows tell their variance"
    assert model.traversals(images, steps=5, limit=1).shape[0] < ranked.shape[0]


def test_traversals_draw_images_of_two_channels(tmp_path):
    class Two(Pretrained):
        image_shape, latent_size = (H, W, 2), D

        def _argument_shape(self, name):
            return (D,)

        def decode(self, latents):
            return np.ones((len(latents), H, W, 2), np.float32)

    picture = Two(tmp_path, {}, None).traversals(steps=2)
    assert (picture == [255, 255, 0]).all(-1).any()


def test_in_a_notebook_a_model_shows_card_picture_and_scores(model, exported, tmp_path):
    html = model._repr_html_()
    assert "data:image/png;base64," in html and "<td>0.1000</td>" in html
    assert "images [B, 4, 6, 1], 3 latents: encode, posterior, decode" in html
    copy = tmp_path / "copy"
    shutil.copytree(exported, copy)
    (copy / "pictures").mkdir()
    sheets.write(copy / "pictures" / "traversals.png", np.full((900, 800, 3), 7, np.uint8))
    package.seal(copy, {"name": "<b>x</b>", "scores": {"a<": 0.25}, "description": "a & b"})
    html = zoo.hub.load(copy)._repr_html_()
    data = re.search("data:image/png;base64,([^']*)'", html)[1]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
    assert shown.shape == (450, 400, 3) and (shown == 7).all()
    assert "&lt;b&gt;x" in html and "a &amp; b" in html and "<b>" not in html and "a&lt;" in html


def test_whatever_has_no_picture_shows_its_card(model):
    encoder = types.SimpleNamespace(encode=model.model.encode)
    html = zoo.hub.Pretrained(model.path, model.card, encoder)._repr_html_()
    assert "<img" not in html and "3 latents: encode" in html
    other = types.SimpleNamespace(perturb=model.model.encode)
    html = zoo.hub.Pretrained(model.path, model.card, other)._repr_html_()
    assert "<img" not in html and "<p>perturb</p>" in html
