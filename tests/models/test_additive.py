"""Additive autoencoders: sizes as published, additivity, batch statistics, and exact resuming."""

import itertools
import json
import math
import pathlib

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf
from gradients import slopes

import zoo.configurables  # noqa: F401  registers what gin files name
from zoo import config, evaluation, hub, runs
from zoo import errors as zoo_errors
from zoo.models.additive import NORMALIZATIONS, AdditiveAutoencoder
from zoo.networks.additive import moment_encoder, object_decoder, resnet18_encoder
from zoo.networks.dense import mlp_encoder
from zoo.networks.interaction import Interaction
from zoo.optim.optimizers import Adam
from zoo.optim.schedules import linear_ramp
from zoo.training import publishing, run
from zoo.training.checkpoints import Checkpoints
from zoo.training.settings import Settings
from zoo.training.trainer import Pictures

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHAPE = (4, 4, 1)
RNG = np.random.default_rng(0)
NO_SEED, FIRST = tf.constant([0, 0]), tf.constant(0)
OWN = ([0.9, 0.8, 0.7], 0.3)


@pytest.fixture(autouse=True)
def _no_config():
    yield
    gin.clear_config()


def _encoder(shape, units=(8,)):
    return mlp_encoder(shape, units=units)


def _decoder(latents, shape):
    """Smooth, so that second derivatives say something."""
    return object_decoder(latents, shape, units=(8,), filters=(4,), activation="tanh")


def _piecewise_linear(latents, shape):
    return object_decoder(latents, shape, units=(64, 64), filters=(4,))


def _model(latent_dim=4, blocks=None, shape=SHAPE, **options) -> AdditiveAutoencoder:
    """A small model whose moving statistics are not the initial ones."""
    keras.utils.set_random_seed(1)
    options = {"encoder": _encoder, "decoder": _decoder, **options}
    model = AdditiveAutoencoder(shape, latent_dim, blocks, **options)
    model.losses_on(_batch(16, shape), NO_SEED, FIRST)
    return model


def _batch(count: int, shape=SHAPE, seed: int = 0) -> dict:
    return {"image": tf.random.stateless_uniform([count, *shape], [seed, 1])}


def _latents(count: int, size: int = 4) -> np.ndarray:
    return np.random.default_rng(2).normal(size=(count, size)).astype(np.float32)


def _trainable(*networks) -> int:
    return sum(int(np.prod(w.shape)) for n in networks for w in n.trainable_weights)


@pytest.mark.parametrize(
    "latent_dim, blocks, parameters",
    [
        (2, [[0, 1]], 1_700_995),
        (2, [[0], [1]], 3_400_966),
        (4, [[0, 1, 2, 3]], 1_702_019),
        (4, [[0, 1], [2, 3]], 3_401_990),
    ],
)
def test_decoders_have_the_sizes_of_the_camera_ready_version(latent_dim, blocks, parameters):
    model = AdditiveAutoencoder(
        (64, 64, 3), latent_dim, blocks, encoder=lambda shape: mlp_encoder(shape, units=())
    )
    assert _trainable(*model.decoders) == parameters
    assert model.decode(_latents(2, latent_dim)).shape == (2, 64, 64, 3)


def test_resnet18_has_the_published_size_and_the_first_version_one_block_more():
    # torchvision's resnet18 without fc, five blocks of 512 x 512 + 512 and batch norm.
    block = 512 * 512 + 512 + 2 * 512
    network = resnet18_encoder((64, 64, 3))
    assert _trainable(network) == 11_176_512 + 5 * block
    assert network.output_shape == (None, 512)
    first = object_decoder(1, (64, 64, 3), units=(512,) * 6, slope=0.1)
    assert _trainable(first) == _trainable(object_decoder(1, (64, 64, 3))) + block
    slopes = {la.negative_slope for la in first.layers if isinstance(la, keras.layers.LeakyReLU)}
    assert slopes == {0.1}


def test_resnet18_pads_as_pytorch_does():
    """The pixels that a pixel of the first convolutions and of pooling sees are around it."""
    network = resnet18_encoder((32, 32, 1), units=(), filters=2)
    pooled = next(la for la in network.layers if isinstance(la, keras.layers.MaxPooling2D))
    early = keras.Model(network.input, pooled.output)
    image = tf.Variable(tf.random.stateless_normal([1, 32, 32, 1], [0, 1]))
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(early(image)[0, 3, 5])
    rows, columns = np.nonzero(tape.gradient(value, image)[0, ..., 0])
    # Output 3 pools outputs 5..7 of the convolution, which see 2 * 5 - 3 .. 2 * 7 + 3.
    assert 7 <= rows.min() and rows.max() <= 17
    assert 15 <= columns.min() and columns.max() <= 25
    assert early.output_shape == (None, 8, 8, 2)


def test_first_moments_are_linear_in_the_position_of_what_is_seen():
    images = np.zeros((3, 8, 16, 2), np.float32)
    for k, (y, x) in enumerate([(1, 2), (3, 2), (5, 12)]):
        images[k, y : y + 2, x : x + 3] = [1, 0.5]
    features = moment_encoder((8, 16, 2))(images).numpy().reshape(3, 2, 2)
    share = 6 / (8 * 16)
    # x, then y; the second channel is half as bright.
    centres = np.array(
        [[3 / 7.5 - 1, 1.5 / 3.5 - 1], [3 / 7.5 - 1, 0], [13 / 7.5 - 1, 5.5 / 3.5 - 1]]
    )
    np.testing.assert_allclose(features[..., 0], share * centres, atol=1e-6)
    np.testing.assert_allclose(features[..., 1], features[..., 0] / 2, atol=1e-6)
    assert moment_encoder((8, 16, 2), order=3).output_shape == (None, 2 * 9)


def test_initial_weights_are_within_pytorchs_bounds_and_differ_between_layers():
    decoders = _model(2, decoder=_piecewise_linear).decoders
    kernels = [d.layers[3].kernel.numpy() for d in decoders]
    assert kernels[0].shape == (64, 64)
    assert np.abs(kernels).max() <= 1 / 8 and np.abs(kernels).max() > 0.99 / 8
    assert np.abs(kernels[0] - kernels[1]).max() > 0.1
    last = decoders[0].layers[-1].kernel.numpy()
    assert np.abs(last).max() <= 1 / np.sqrt(16 * 1)


def _hessian(decode, latents, blocks=None):
    return evaluation.block_hessian(decode, latents, blocks, dtype="float64")


def test_an_additive_decoder_has_a_block_diagonal_hessian_and_the_baseline_has_not():
    latents, blocks = _latents(3), [[0, 2], [1, 3]]
    pairs = _hessian(_model(blocks=blocks).decode, latents)["pairs"]
    assert max(pairs[i, j] for i in blocks[0] for j in blocks[1]) < 1e-5
    assert pairs[0, 2] > 1e-3 and pairs[1, 3] > 1e-3
    baseline = _model(blocks=[[0, 1, 2, 3]])
    assert _hessian(baseline.decode, latents, blocks)["score"] > 1e-2


def _dense(latents, shape):
    layers = [keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(shape[0])]
    return keras.Sequential([keras.Input((latents,)), *layers])


def _linear(latents, shape):
    return keras.Sequential([keras.Input((latents,)), keras.layers.Dense(shape[0])])


def _mixed(decode, latents, output: int) -> tf.Tensor:
    """d2 f[output] / dz1 dz2, `[B]`."""
    with tf.GradientTape() as outer:
        outer.watch(latents)
        with tf.GradientTape() as inner:
            inner.watch(latents)
            value = decode(latents)[:, output]
        slope = inner.gradient(value, latents)[:, 0]
    return outer.gradient(slope, latents, unconnected_gradients="zero")[:, 1]


def _across(decode, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """f(a, b) - f(a, 0) - f(0, b) + f(0, 0), zero for all a and b just if f is additive."""
    zero = np.zeros_like(first)
    corners = itertools.product((first, zero), (second, zero))
    values = [decode(np.stack(corner, axis=1)).numpy() for corner in corners]
    return values[0] - values[1] - values[2] + values[3]


@pytest.mark.parametrize("blocks, additive", [([[0], [1]], True), ([[0, 1]], False)])
def test_proposition_5_what_is_not_additive_is_the_integral_of_the_hessian_across(blocks, additive):
    """int_0^a int_0^b d2f/dz1dz2 = f(a, b) - f(a, 0) - f(0, b) + f(0, 0)."""
    model = _model(2, blocks, (2,), decoder=_dense)
    a, b, points = 0.8, -0.6, 8
    nodes, weights = np.polynomial.legendre.leggauss(points)
    grid = np.stack(np.meshgrid((nodes + 1) / 2 * a, (nodes + 1) / 2 * b, indexing="ij"), -1)
    latents = tf.constant(grid.reshape(-1, 2), tf.float32)
    mixed = np.stack([_mixed(model.decode, latents, output) for output in range(2)], axis=-1)
    integral = np.tensordot(np.outer(weights, weights).ravel() * a * b / 4, mixed, 1)
    across = _across(model.decode, np.array([a], np.float32), np.array([b], np.float32))[0]
    np.testing.assert_allclose(across, integral, atol=2e-5)
    assert (np.abs(across).max() < 1e-5) == additive


def test_piecewise_linear_decoders_are_additive_by_differences_not_by_their_hessian():
    """The published activation has no second derivative to penalise."""
    pairs = _latents(5, 2)
    additive, baseline = (_model(2, b, decoder=_piecewise_linear) for b in ([[0], [1]], [[0, 1]]))
    assert _hessian(baseline.decode, pairs)["score"] < 1e-5
    assert np.abs(_across(baseline.decode, *pairs.T)).max() > 1e-2
    assert np.abs(_across(additive.decode, *pairs.T)).max() < 1e-5


@pytest.mark.parametrize("normalization", [*NORMALIZATIONS, OWN])
def test_the_sum_of_block_images_is_the_image(normalization):
    shape = (16, 16, 3)
    model = _model(3, [[2, 0], [1]], shape, normalization=normalization)
    latents = _latents(5, 3)
    parts = model.block_images(latents).numpy()
    assert parts.shape == (5, 2, *shape)
    shift, scale = OWN if normalization == OWN else NORMALIZATIONS[normalization]
    np.testing.assert_allclose(model.decode(latents), shift + scale * parts.sum(1), atol=1e-5)
    # Latent 1 moves the second part only.
    moved = model.block_images(latents + np.float32([0, 1, 0])).numpy()
    np.testing.assert_array_equal(moved[:, 0], parts[:, 0])
    assert np.abs(moved[:, 1] - parts[:, 1]).max() > 1e-3


def test_a_multiplicative_decoder_is_additive_in_the_logarithm_only():
    model = _model(2, shape=(2,), decoder=_dense, sigma="exp")
    latents = _latents(3, 2)
    product = np.exp(model.block_images(latents).numpy()).prod(1)
    np.testing.assert_allclose(model.decode(latents), product, rtol=1e-5)
    for output in range(2):
        logarithm = _mixed(lambda z: tf.math.log(model.decode(z)), tf.constant(latents), output)
        np.testing.assert_allclose(logarithm, 0, atol=1e-5)
        assert np.abs(_mixed(model.decode, tf.constant(latents), output)).max() > 1e-3


def test_blocks_interact_by_a_polynomial_beside_the_sum():
    model = _model(3, [[0, 2], [1]], (2,), decoder=_dense, interaction=2)
    latents = _latents(4, 3)
    parts = model.block_images(latents).numpy().sum(1)
    np.testing.assert_array_equal(model.decode(latents), parts, "it starts additive")
    weights = model.interaction.coefficients
    weights.assign(_latents(2, 2))
    assert any(weights is variable for variable in model.trainable_variables)
    first, second = (latents[:, [k]] * latents[:, [1]] for k in (0, 2))
    expected = parts + first * weights[0] + second * weights[1]
    np.testing.assert_allclose(model.decode(latents), expected, rtol=1e-5)


def test_interactions_are_not_rounded_in_mixed_precision():
    before, latents = keras.config.dtype_policy(), _latents(4, 2)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = Interaction([[0], [1]], 2, (2,))
        layer.coefficients.assign(_latents(1, 2))
        found = layer(latents)
    finally:
        keras.config.set_dtype_policy(before)
    expected = latents[:, [0]] * latents[:, [1]] * _latents(1, 2)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("interaction, blocks", [(0, None), (2, [[0, 1]])])
def test_orders_of_interaction_that_make_no_sense_are_refused(interaction, blocks):
    with pytest.raises(zoo_errors.SettingError, match=f"interaction is {interaction} with"):
        _model(2, blocks, (2,), decoder=_dense, interaction=interaction)


def test_masks_let_one_object_cover_another():
    def square(latents, shape):
        """A decoder whose colour is its latent, and whose mask's logit is 100 times that."""
        assert shape == (2, 2, 4)
        channels = keras.ops.ones((1, 2, 2, 4)) * [1.0, 1.0, 1.0, 100.0]
        inputs = keras.Input((latents,))
        outputs = keras.layers.Reshape((1, 1, 1))(inputs) * channels
        return keras.Model(inputs, outputs)

    model = _model(2, shape=(2, 2, 3), decoder=square, masked=True)
    latents = np.float32([[0.9, 0.2], [0.1, 0.7], [0.5, 0.5]])
    # The larger latent is in front; where they are the same each has half.
    covered = np.broadcast_to(latents.max(1)[:, None, None, None], (3, 2, 2, 3))
    np.testing.assert_allclose(model.decode(latents), covered, rtol=1e-5)
    parts = model.block_images(latents).numpy()
    np.testing.assert_allclose(parts.sum(1), covered, rtol=1e-5)
    np.testing.assert_allclose(parts[2, 0], 0.25)
    with pytest.raises(zoo_errors.SettingError, match="masked is for at least two blocks"):
        _model(2, [[0, 1]], masked=True)


def test_a_shared_decoder_is_one_network_and_symmetric_in_the_blocks():
    blocks = [[0, 1], [2, 3]]
    own, shared = _model(blocks=blocks), _model(blocks=blocks, shared=True)
    assert _trainable(*own.decoders) == 2 * _trainable(*shared.decoders)
    latents = _latents(4)
    swapped = latents[:, [2, 3, 0, 1]]
    np.testing.assert_allclose(shared.decode(latents), shared.decode(swapped), atol=1e-6)
    assert np.abs(own.decode(latents) - own.decode(swapped)).max() > 1e-3


@pytest.mark.parametrize("normalization", [*NORMALIZATIONS, OWN])
def test_the_loss_is_the_mean_squared_error_of_normalised_images(normalization):
    """On the scales of the authors' loader, against arithmetic on bytes."""
    shape = (16, 16, 3)
    model = _model(2, shape=shape, normalization=normalization)
    pixels = RNG.integers(0, 256, (16, *shape))
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    normalized = {
        "unit": lambda x: x / 255,
        "pixels": lambda x: x * 1.0,
        "symmetric": lambda x: (x / 255 - 0.5) / 0.5,
        "imagenet": lambda x: (x / 255 - mean) / deviation,
        "imagenet_pixels": lambda x: (x - mean) / deviation,
        str(OWN): lambda x: (x / 255 - [0.9, 0.8, 0.7]) / 0.3,
    }[str(normalization)]
    batch = {"image": tf.constant(pixels / 255, tf.float32)}
    losses = model.losses_on(batch, NO_SEED, FIRST)
    x = tf.constant(normalized(pixels), tf.float32)
    code = model.code_norm(model.code_head(model.encoder(x)), training=True)
    outputs = model.block_images(code, training=True).numpy().astype(np.float64).sum(1)
    expected = ((normalized(pixels) - outputs) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(losses["loss"], expected, rtol=1e-4)
    _, scale = OWN if normalization == OWN else NORMALIZATIONS[normalization]
    squared = ((scale * (normalized(pixels) - outputs)) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(losses["squared_error"], squared, rtol=1e-4)


def test_code_noise_costs_a_linear_decoder_its_variance_times_the_squared_weights():
    """Noise of n deviations of code k adds `n^2 s_k^2 |w_k|^2 / outputs` to the mean error."""
    shape, batch = (6,), _batch(64, (6,))
    noise = linear_ramp(0.7, 0.0, 10)
    model = _model(2, shape=shape, decoder=_linear, code_noise=noise)
    steps = tf.constant([0, 5, 10])

    @tf.function(autograph=False)
    def loss(number, step):
        return tf.reduce_mean(model.losses_on(batch, tf.stack([number, 7]), step)["loss"])

    codes = model.code_norm(model.code_head(model.encoder(batch["image"])), training=True)
    weights = np.stack([decoder.layers[-1].kernel.numpy()[0] for decoder in model.decoders])
    cost = (np.var(codes, axis=0)[:, None] * weights**2).sum() / weights.shape[1]
    draws = [[float(loss(tf.constant(n), step)) for n in range(400)] for step in steps]
    first, middle, last = np.asarray(draws)
    assert np.ptp(last) == 0
    for found, deviation in ((first, 0.7), (middle, 0.35)):
        error = found.std() / math.sqrt(len(found))
        assert abs(found.mean() - last[0] - deviation**2 * cost) < 4 * error
        assert 4 * error < 0.2 * deviation**2 * cost


@pytest.mark.parametrize("normalized", [True, False])
def test_a_constant_latent_has_finite_gradients(normalized):
    model = _model(2, normalized_code=normalized, code_noise=0.5)
    kernel = model.code_head.kernel.numpy()
    kernel[:, 0] = 0
    model.code_head.kernel.assign(kernel)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model.losses_on(_batch(8), NO_SEED, FIRST)["loss"])
    for gradient in tape.gradient(loss, model.trainable_variables):
        assert np.isfinite(gradient).all()


def test_gradient_of_the_loss_against_finite_differences():
    """Through batch statistics, the sum of blocks, and the code and its noise."""
    model = _model(2, encoder=lambda shape: _encoder(shape, units=()), code_noise=0.5)
    batch, variables = _batch(8), model.trainable_variables

    def loss():
        return tf.reduce_mean(model.losses_on(batch, NO_SEED, FIRST)["loss"])

    difference, norm = slopes(loss, variables, 1e-3)
    np.testing.assert_allclose(difference, norm, rtol=5e-3)


def test_training_uses_the_statistics_of_the_batch_and_moves_the_averages():
    model = _model(2, normalized_code=True)
    model.bind(Adam(1e-3))
    before = [w.numpy() for w in model.non_trainable_weights]
    codes = model.encode(_batch(16)["image"]).numpy()
    assert all(
        np.array_equal(w, b) for w, b in zip(model.non_trainable_weights, before, strict=True)
    )
    tf.function(model.update)(_batch(16), NO_SEED, FIRST, 1)
    moved = [
        np.abs(w.numpy() - b).max()
        for w, b in zip(model.non_trainable_weights, before, strict=True)
    ]
    # Two of each normalisation: the code's, and in each of two decoders two.
    assert len(moved) == 2 * (1 + 2 * 2) and min(moved) > 0
    x = tf.constant(_batch(16)["image"])
    seen = model.code_norm(model.code_head(model.encoder(x)), training=True).numpy()
    np.testing.assert_allclose(seen.mean(0), 0, atol=2e-3)
    np.testing.assert_allclose(seen.std(0), 1, atol=5e-3)
    assert np.abs(codes.mean(0)).max() > 1e-3


@pytest.mark.parametrize("latents", ["scalar", "block"])
def test_published_settings_build_models_of_the_published_size(latents):
    folder = ROOT / "gin/papers/additive_decoders"
    baseline = {"scalar": "[[0, 1]]", "block": "[[0, 1, 2, 3]]"}[latents]
    sizes = {"scalar": (3_400_966, 1_700_995), "block": (3_401_990, 1_702_019)}[latents]
    kinds = ((), (f"AdditiveAutoencoder.blocks = {baseline}",))
    for bindings, size in zip(kinds, sizes, strict=True):
        config.parse(
            [str(folder / f"{latents}.gin")],
            ["AdditiveAutoencoder.encoder = @mlp_encoder", "mlp_encoder.units = ()", *bindings],
        )
        settings = Settings()
        assert _trainable(*settings.model((64, 64, 3)).decoders) == size
        assert float(settings.optimizer().l2) == 5e-4


_TOY = [
    "train.model = @AdditiveAutoencoder",
    "train.steps = 20",
    "train.checkpoint_every = 10",
    "AdditiveAutoencoder.encoder = @mlp_encoder",
    "AdditiveAutoencoder.decoder = @object_decoder",
    "object_decoder.units = (4,)",
    "object_decoder.filters = (2,)",
    "Adam.l2 = 5e-4",
]


def _curve(folder: pathlib.Path) -> list[dict]:
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in r.items() if k not in ("time_s", "images_per_s")} for r in records]


def _checkpoint(folder: pathlib.Path) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(folder / "checkpoints"))
    names = reader.get_variable_to_shape_map()
    return {n: reader.get_tensor(n) for n in names if "OBJECT_GRAPH" not in n and "save_c" not in n}


def test_a_resumed_run_is_exact_and_its_export_has_the_moving_statistics(
    toy_gin, tmp_path, monkeypatch
):
    config.parse([toy_gin], _TOY)
    settings, whole, broken = Settings(), tmp_path / "whole", tmp_path / "broken"
    with monkeypatch.context() as patch:
        patch.setattr(run, "publish_model", lambda *_: None)
        patch.setattr(Pictures, "draw", lambda *_: None)
        run.train(settings, whole)
        save = Checkpoints.save

        def save_and_stop(self, step):
            save(self, step)
            raise KeyboardInterrupt

        patch.setattr(Checkpoints, "save", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            run.train(settings, broken)
    assert len(_curve(broken)) == 2
    run.train(settings, broken)
    assert _curve(broken) == _curve(whole)
    expected, found = _checkpoint(whole), _checkpoint(broken)
    assert expected.keys() == found.keys()
    # The code's normalisation, and two in each of two decoders, have two averages each.
    assert sum("moving_" in name for name in expected) == 2 * (1 + 2 * 2)
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)

    model, dataset, step = publishing.restore(settings, runs.RunFolder(broken))
    assert step == 20
    tracked = {id(leaf) for leaf in tf.train.TrackableView(model).descendants()}
    assert all(id(w) in tracked or id(w.value) in tracked for w in model.variables)
    averages = [w.numpy() for w in model.non_trainable_weights if "moving_mean" in w.path]
    assert len(averages) == 5 and all(np.abs(average).max() > 1e-4 for average in averages)
    loaded = hub.load(broken / "saved_model")
    codes = model.encode(dataset.images[:8].astype(np.float32))
    np.testing.assert_allclose(loaded.encode(dataset.images[:8]), codes, atol=1e-6)
    np.testing.assert_allclose(loaded.decode(codes), model.decode(codes), atol=1e-6)
    parts = loaded.model.block_images(codes)
    np.testing.assert_allclose(parts, model.block_images(codes), atol=1e-6)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"latent_dim": 0}, "latent_dim is 0"),
        ({"blocks": [[0], [0, 1]]}, r"blocks is \[\[0\], \[0, 1\]\]; give lists .* 0 to 1 once"),
        ({"blocks": [[0]]}, "hold each of the latents 0 to 1 once"),
        ({"blocks": [[0, 1], []]}, "hold each of the latents"),
        ({"latent_dim": 3, "blocks": [[0], [1, 2]], "shared": True}, r"one size; they are \[1, 2"),
        ({"sigma": "tanh"}, "sigma is 'tanh'; it takes identity, exp"),
        ({"normalization": "none"}, "normalization is 'none'; it takes unit, pixels"),
        ({"normalization": "imagenet"}, "for 3 channels, and images have 1"),
        ({"normalization": (0.0, 0.0)}, r"normalization is \(0.0, 0.0\); give what is subtracted"),
        ({"code_noise": -0.1}, "code_noise is -0.1; give a number"),
    ],
)
def test_wrong_settings_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        AdditiveAutoencoder(SHAPE, encoder=_encoder, decoder=_decoder, **options)


def test_an_image_that_the_decoder_cannot_make_is_refused():
    with pytest.raises(ValueError, match="multiples of 16, not 20x16"):
        object_decoder(2, (20, 16, 1))
