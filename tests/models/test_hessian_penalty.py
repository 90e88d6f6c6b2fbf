"""The penalty on second derivatives across blocks, against closed forms and finite differences."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from gradients import slopes

from zoo import evaluation
from zoo.models.additive import AdditiveAutoencoder
from zoo.models.hessian_penalty import BlockHessian
from zoo.networks.additive import object_decoder
from zoo.networks.dense import mlp_encoder

SEED, STEP = tf.constant([1, 2]), tf.constant(0)
RNG = np.random.default_rng(0)


def _quadratic(size: int, outputs: int = 3):
    """A decoder z -> (z^T H_o z / 2)_o, and its Hessians `[outputs, size, size]`."""
    hessians = RNG.normal(size=(outputs, size, size)).astype(np.float32)
    hessians += hessians.transpose(0, 2, 1)
    return lambda z: tf.einsum("bi,oij,bj->bo", z, hessians, z) / 2, hessians


def _latents(size: int, count: int = 5) -> tf.Tensor:
    return tf.constant(RNG.normal(size=(count, size)), tf.float32)


def test_of_two_latents_is_the_mean_squared_mixed_derivative():
    decoder, hessians = _quadratic(2)
    found = BlockHessian()(decoder, _latents(2), SEED)
    expected = np.mean(hessians[:, 0, 1] ** 2)
    np.testing.assert_allclose(found, np.full(5, expected), rtol=1e-3)


@pytest.mark.parametrize("blocks", [[[0, 2], [1, 3]], [[0], [3, 1], [2]], None])
def test_of_blocks_is_unbiased_within_four_standard_errors(blocks):
    decoder, hessians = _quadratic(4)
    owner = np.arange(4)
    for number, block in enumerate(blocks or []):
        owner[block] = number
    across = np.triu(owner[:, None] != owner)
    expected = np.mean(hessians**2, axis=0)[across].sum()
    # Of a quadratic only the signs vary: every latent is another draw of them.
    found = BlockHessian(blocks=blocks)(decoder, _latents(4, 20_000), SEED).numpy()
    assert abs(found.mean() - expected) < 4 * found.std() / np.sqrt(len(found)) + 1e-3 * expected


@pytest.mark.parametrize("epsilon", [0.1, 2.0])
def test_is_zero_for_additive_decoders_whatever_the_step(epsilon):
    def additive(z):
        return tf.concat([tf.sin(3 * z[:, :1]) + tf.abs(z[:, 1:]), z**3], axis=1)

    found = BlockHessian(epsilon=epsilon)(additive, _latents(2), SEED)
    np.testing.assert_allclose(found, np.zeros(5), atol=1e-5)


def test_tells_piecewise_linear_decoders_from_additive_ones_where_derivatives_do_not():
    def kinked(z):
        return tf.nn.relu(z[:, :1] + z[:, 1:])

    # Where the signs agree the kink does not show.
    latents = np.repeat(np.float32([[0.02, 0.0], [3.0, 3.0]]), 32, axis=0)
    near, far = np.split(BlockHessian(epsilon=0.1)(kinked, tf.constant(latents), SEED), 2)
    assert evaluation.block_hessian(kinked, latents)["score"] == 0
    assert near.mean() > 1 and far.max() < 1e-5


def _model(penalty, blocks=((0, 1),)) -> AdditiveAutoencoder:
    keras.utils.set_random_seed(1)
    return AdditiveAutoencoder(
        (4, 4, 1),
        2,
        blocks,
        encoder=lambda shape: mlp_encoder(shape, units=(8,)),
        decoder=lambda size, shape: object_decoder(
            size, shape, units=(8,), filters=(4,), activation="silu", normalized=False
        ),
        penalty=penalty,
    )


def _batch() -> dict:
    return {"image": tf.random.stateless_uniform([16, 4, 4, 1], [0, 1])}


def test_is_added_to_the_loss_and_trains_the_decoder_alone():
    penalty = BlockHessian(weight=100.0, epsilon=0.5)
    plain, penalised = _model(None), _model(penalty)
    gradients = {}
    for name, model in (("plain", plain), ("penalised", penalised)):
        with tf.GradientTape() as tape:
            losses = model.losses_on(_batch(), SEED, STEP)
            total = tf.reduce_mean(losses["loss"])
        gradients[name] = tape.gradient(total, model.trainable_variables)
    added = losses["loss"] - losses["squared_error"]
    np.testing.assert_allclose(added, 100 * losses["block_hessian"], rtol=1e-3, atol=1e-7)
    decoder = {id(v) for v in penalised.decoders[0].trainable_variables}
    moved = 0
    for variable, a, b in zip(penalised.trainable_variables, *gradients.values(), strict=True):
        if id(variable) in decoder:
            moved += float(tf.norm(a - b))
        else:
            np.testing.assert_allclose(a, b, atol=1e-6)
    assert moved > 1e-3


def test_gradient_against_finite_differences():
    model = _model(None)
    decoder, penalty = model.decoders[0], BlockHessian(epsilon=0.5)
    latents, variables = _latents(2), decoder.trainable_variables

    def value():
        return tf.reduce_sum(penalty(lambda z: 30 * decoder(z), latents, SEED))

    difference, norm = slopes(value, variables, 1e-2)
    np.testing.assert_allclose(difference, norm, rtol=2e-2)


def test_training_with_it_makes_a_decoder_more_additive_and_compiles():
    largest = []
    for weight in (0.0, 10.0):
        model = _model(BlockHessian(weight=weight, epsilon=0.3))
        model.bind(keras.optimizers.Adam(3e-2))
        update = tf.function(model.update, jit_compile=True)
        for step in range(60):
            update(_batch(), tf.constant([0, step]), tf.constant(step), 1)
        codes = model.encode(_batch()["image"]).numpy()
        largest.append(evaluation.block_hessian(model.decode, codes)["mean"])
    assert largest[1] < largest[0] / 3


@pytest.mark.parametrize(
    "options, message",
    [
        ({"weight": -1.0}, "weight is -1.0"),
        ({"epsilon": 0.0}, "epsilon is 0.0; give a positive step"),
        ({"blocks": [[0, 1]]}, r"blocks is \[\[0, 1\]\]; give two lists or more"),
        ({"blocks": [[0], [2]]}, "each of the latents 0 to 1 once"),
    ],
)
def test_wrong_settings_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        BlockHessian(**options)(lambda z: z, _latents(2), SEED)
