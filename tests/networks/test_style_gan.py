"""Style-based networks: equalised rates, modulation, resampling, deviation in the minibatch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.errors import SettingError
from zoo.networks.equalised import (
    EqualisedConv2D,
    EqualisedDense,
    ModulatedConv2D,
    doubled,
    halved,
    minibatch_deviation,
)
from zoo.networks.style_gan import style_discriminator, style_generator

RNG = np.random.default_rng(0)


def _normal(*shape) -> tf.Tensor:
    return tf.constant(RNG.normal(size=shape), tf.float32)


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(0)


def _kernels(layer: ModulatedConv2D, style: tf.Tensor) -> np.ndarray:
    """The kernel of every image as the paper has it, `[B, k, k, I, O]`."""
    scales = layer.affine(style).numpy()
    kernel = layer.scaled_kernel().numpy() * scales[:, None, None, :, None]
    if layer.demodulated:
        kernel /= np.sqrt((kernel**2).sum((1, 2, 3), keepdims=True) + 1e-8)
    return kernel


@pytest.mark.parametrize("demodulated", [True, False])
@pytest.mark.parametrize("up", [True, False])
def test_modulation_is_a_kernel_of_its_own_for_each_image(up, demodulated):
    layer = ModulatedConv2D(5, 3, 4, up=up, demodulated=demodulated)
    layer.bias.assign(RNG.normal(size=3))
    images, style = _normal(6, 8, 8, 5), _normal(6, 4)
    entering = doubled(images) if up else images
    kernels = _kernels(layer, style)
    expected = [tf.nn.conv2d(entering[b][None], kernels[b], 1, "SAME")[0] for b in range(6)]
    np.testing.assert_allclose(
        layer(images, style), np.stack(expected) + layer.bias.numpy(), atol=2e-5
    )
    # One grouped convolution, as implementations on accelerators have it.
    side = entering.shape[1]
    grouped = tf.reshape(tf.transpose(entering, [1, 2, 0, 3]), [1, side, side, -1])
    stacked = tf.reshape(tf.transpose(kernels, [1, 2, 3, 0, 4]), [3, 3, 5, -1])
    together = tf.nn.conv2d(grouped, stacked, 1, "SAME")
    together = tf.transpose(tf.reshape(together, [side, side, 6, 3]), [2, 0, 1, 3])
    np.testing.assert_allclose(layer(images, style), together + layer.bias.numpy(), atol=2e-5)


def test_demodulated_outputs_have_unit_variance_whatever_the_style():
    layer = ModulatedConv2D(32, 16, 4)
    outputs = layer(_normal(64, 12, 12, 32), 5 * _normal(64, 4))[:, 1:-1, 1:-1]
    deviations = tf.math.reduce_std(outputs, axis=[1, 2])
    assert abs(float(tf.reduce_mean(deviations)) - 1) < 0.02
    plain = ModulatedConv2D(32, 16, 4, demodulated=False)
    spread = tf.math.reduce_std(plain(_normal(64, 12, 12, 32), 5 * _normal(64, 4)))
    assert float(spread) > 2


@pytest.mark.parametrize("rate", [1.0, 0.01])
def test_equalised_layers_start_alike_and_learn_at_their_rate(rate):
    """At the start outputs have the variance of inputs; a step of weights moves them by m times."""
    layer, inputs = EqualisedDense(256, 400, rate=rate), _normal(200, 256)
    outputs = layer(inputs)
    assert abs(float(tf.math.reduce_std(outputs)) - 1) < 0.02
    layer.kernel.assign_add(_normal(256, 400))
    assert abs(float(tf.math.reduce_std(layer(inputs) - outputs)) / rate - 1) < 0.02
    layer.bias.assign_add(tf.ones([400]))
    moved = layer(inputs) - layer(inputs * 0)
    layer.bias.assign_sub(tf.ones([400]))
    np.testing.assert_allclose(layer(inputs * 0), 0, atol=1e-6)
    np.testing.assert_allclose(moved, layer(inputs), atol=1e-5)


def test_biases_start_where_they_are_told():
    layer = EqualisedDense(3, 2, bias=1.0, rate=0.01)
    np.testing.assert_allclose(layer(tf.zeros([1, 3])), np.ones((1, 2)), rtol=1e-6)
    assert EqualisedConv2D(1, 2, bias=None).bias is None


def test_resampling_is_the_filter_1_3_3_1():
    images = _normal(2, 6, 6, 3)
    padded = np.pad(images, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="edge")
    weights = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64
    for i, j in np.ndindex(3, 3):
        window = padded[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4]
        expected = (window * weights[..., None]).sum((1, 2))
        np.testing.assert_allclose(halved(images)[:, i, j], expected, atol=1e-6)
    expected = tf.image.resize(images, (12, 12), "bilinear")
    np.testing.assert_allclose(doubled(images), expected, atol=1e-5)
    np.testing.assert_allclose(halved(doubled(tf.ones([1, 4, 4, 1]))), 1, atol=1e-6)


def test_halving_convolutions_halve_and_keep_constants():
    layer = EqualisedConv2D(1, 1, down=True)
    layer.kernel.assign(tf.ones([3, 3, 1, 1]))
    np.testing.assert_allclose(layer(tf.ones([1, 8, 8, 1])), np.full((1, 4, 4, 1), 3), rtol=1e-6)
    ramp = tf.broadcast_to(tf.range(8.0)[None, :, None, None], [1, 8, 8, 1])
    # The mean of a ramp about the middle of each pair of pixels, away from the edges.
    np.testing.assert_allclose(layer(ramp)[0, 1:3, 2, 0], [3 * 2.5, 3 * 4.5], rtol=1e-5)


def test_the_deviation_is_that_of_each_group():
    features = _normal(8, 2, 2, 3)
    outputs = minibatch_deviation(features, 4).numpy()
    np.testing.assert_array_equal(outputs[..., :3], features)
    for group in (slice(0, 4), slice(4, 8)):
        expected = features.numpy()[group].std(0).mean()
        np.testing.assert_allclose(outputs[group, ..., 3], expected, rtol=1e-4)
    alike = tf.repeat(features[:1], 8, axis=0)
    assert minibatch_deviation(alike, 4)[..., 3].numpy().max() < 2e-4
    assert minibatch_deviation(features[:2], 4).shape == (2, 2, 2, 4)
    with pytest.raises(SettingError, match="group = 4 does not divide 6 images"):
        minibatch_deviation(features[:6], 4)


@pytest.mark.parametrize("filters", [(4, 4, 4), (4, 4, 4, 4), (4,) * 5])
def test_networks_have_the_sizes_they_are_asked_for(filters):
    side = 4 * 2 ** (len(filters) - 1)
    generator = style_generator(6, (side, side, 3), filters, style_dim=8)
    assert generator.sides[-1] == side and generator.layers_count == 2 * len(filters)
    images = generator(_normal(4, 6))
    assert images.shape == (4, side, side, 3) and images.dtype == tf.float32
    discriminator = style_discriminator((side, side, 3), 2, filters[::-1], embedding=5)
    logits = discriminator(images, tf.one_hot([0, 1, 1, 0], 2))
    assert logits.shape == (4,) and logits.dtype == tf.float32
    noise = [_normal(4, *shape) for shape in generator.noise_shapes]
    styles = generator.repeated(generator.mapping(_normal(4, 6)))
    quiet = generator.synthesis(styles)
    np.testing.assert_allclose(generator.synthesis(styles, noise), quiet, atol=1e-6)
    for strength in generator.strengths:
        strength.assign(1.0)
    assert np.abs(generator.synthesis(styles, noise) - quiet).max() > 0.1
    np.testing.assert_array_equal(generator.synthesis(styles), generator.synthesis(styles))


def test_networks_of_the_defaults_have_as_many_weights_as_layers_say():
    generator = style_generator(32, (32, 32, 3))
    mapping = 33 * 128 + 129 * 128
    layers = [(64, 64), (64, 64), (64, 64), (64, 32), (32, 32), (32, 16), (16, 16)]
    convolutions = sum(9 * a * b + b + 129 * a + 1 for a, b in layers)
    colours = sum(3 * a + 3 + 129 * a for a in (64, 64, 32, 16))
    assert generator.count_params() == mapping + 16 * 64 + convolutions + colours
    discriminator = style_discriminator((32, 32, 3), 2)
    blocks = sum(9 * a * a + a + 9 * a * b + b + a * b for a, b in [(16, 32), (32, 64), (64, 64)])
    ends = 4 * 16 + 9 * 65 * 64 + 64 + 1024 * 64 + 64 + 65 * 64 + 3 * 64
    assert discriminator.count_params() == blocks + ends


def test_the_logit_is_a_projection_of_the_domain():
    discriminator = style_discriminator((8, 8, 1), 3, (4, 4), embedding=6)
    images = _normal(4, 8, 8, 1)
    logits = [discriminator(images, tf.one_hot([u] * 4, 3)).numpy() for u in range(3)]
    assert np.ptp(logits, axis=0).min() > 1e-4
    discriminator.embedding.kernel.assign(0 * discriminator.embedding.kernel)
    np.testing.assert_allclose(discriminator(images, tf.one_hot([0] * 4, 3)), 0, atol=1e-6)


def test_variance_neither_grows_nor_dies_through_the_networks():
    generator = style_generator(16, (32, 32, 3))
    styles = generator.mapping(_normal(64, 16))
    assert 0.5 < float(tf.math.reduce_std(styles)) < 1.5
    images = generator(_normal(64, 16))
    assert 0.1 < float(tf.math.reduce_std(images)) < 5
    assert float(tf.reduce_mean(tf.math.reduce_std(images, axis=0))) > 0.05
    logits = style_discriminator((32, 32, 3), 2)(_normal(64, 32, 32, 3), tf.one_hot([0] * 64, 2))
    assert 0.02 < float(tf.math.reduce_std(logits)) < 3


def test_sizes_that_do_not_fit_are_said():
    wanted = "32x32 take 4: give one for each of the sides 4, 8, 16, 32"
    for count in (0, 3, 5):
        message = f"^style_generator.filters has {count} numbers, and images of {wanted}"
        with pytest.raises(SettingError, match=message):
            style_generator(4, (32, 32, 3), (4,) * count)
    with pytest.raises(SettingError, match="style_discriminator.filters has 2 numbers"):
        style_discriminator((16, 16, 3), 2, (4, 4))


@pytest.mark.parametrize("shape", [(28, 28, 1), (48, 48, 3), (64, 48, 3), (64, 32, 3), (4, 4, 3)])
def test_sides_that_no_filters_give_need_another_data_set(shape):
    sides = f"{shape[0]}x{shape[1]}"
    message = f" takes images whose sides are one power of two from 8 on, not {sides}; choose ano"
    with pytest.raises(SettingError, match="^style_generator" + message):
        style_generator(4, shape)
    with pytest.raises(SettingError, match="^style_discriminator" + message):
        style_discriminator(shape, 2)
