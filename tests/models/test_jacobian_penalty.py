"""The Jacobian penalty against finite differences, closed forms and its own estimate."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.models.jacobian_penalty import JacobianOrthogonality
from zoo.models.vae import VAE
from zoo.networks.dense import mlp_decoder, mlp_encoder

SEED, STEP = tf.constant([1, 2]), tf.constant(0)
RNG = np.random.default_rng(0)
WEIGHTS = tf.constant(RNG.normal(size=(3, 6)), tf.float32)
LATENTS = tf.constant(RNG.normal(size=(4, 3)), tf.float32)


def _decoder(latents):
    return tf.reshape(tf.tanh(latents @ WEIGHTS), [-1, 2, 3])


def _grams(latents) -> np.ndarray:
    """J^T J by central differences in float64."""

    def decode(z):
        return np.tanh(z @ WEIGHTS.numpy().astype(np.float64))

    z, step = latents.numpy().astype(np.float64), 1e-5
    columns = [(decode(z + step * e) - decode(z - step * e)) / (2 * step) for e in np.eye(3)]
    jacobians = np.stack(columns, -1)
    return np.swapaxes(jacobians, 1, 2) @ jacobians


def test_is_the_sum_of_squared_off_diagonal_entries():
    grams = _grams(LATENTS)
    expected = np.square(grams).sum((1, 2)) - np.einsum("nii,nii->n", grams, grams)
    got = JacobianOrthogonality()(_decoder, LATENTS, SEED)
    np.testing.assert_allclose(got, expected, rtol=1e-4)
    norms = np.sqrt(np.einsum("nii->ni", grams))
    cosines = grams / norms[:, :, None] / norms[:, None]
    got = JacobianOrthogonality(normalized=True)(_decoder, LATENTS, SEED)
    np.testing.assert_allclose(got, np.square(cosines).sum((1, 2)) - 3, rtol=1e-4)


@pytest.mark.parametrize("options", [{}, {"normalized": True}, {"directions": 2}])
def test_is_zero_for_orthogonal_columns_of_any_norm_and_for_dead_ones(options):
    orthogonal = np.linalg.qr(RNG.normal(size=(6, 3)))[0] * np.array([3.0, 1.0, 0.2])
    for matrix in (orthogonal, orthogonal * np.array([1.0, 0.0, 1.0])):
        weights = tf.constant(matrix.T, tf.float32)
        value = JacobianOrthogonality(**options)(lambda z: z @ weights, LATENTS, SEED)  # noqa: B023
        np.testing.assert_allclose(value, np.zeros(4), atol=1e-5)
    rotated = orthogonal @ np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    weights = tf.constant(rotated.T, tf.float32)
    if not options.get("directions"):
        value = JacobianOrthogonality(**options)(lambda z: z @ weights, LATENTS, SEED)
        assert np.min(value) > 0.1


@pytest.mark.parametrize("directions", [2, 5])
def test_the_estimate_is_unbiased_within_four_standard_errors(directions):
    exact = float(JacobianOrthogonality()(_decoder, LATENTS[:1], SEED)[0])
    count = 20_000
    latents = tf.repeat(LATENTS[:1], count, axis=0)
    samples = JacobianOrthogonality(directions=directions)(_decoder, latents, SEED).numpy()
    assert abs(samples.mean() - exact) < 4 * samples.std() / np.sqrt(count)


@pytest.mark.parametrize("options", [{}, {"normalized": True}, {"directions": 2}])
def test_in_a_vae(batch, check_gradient, options):
    penalty = JacobianOrthogonality(weight=0.3, **options)

    def make(jacobian_penalty):
        keras.utils.set_random_seed(3)
        return VAE(
            (4,),
            latent_dim=3,
            encoder=lambda shape: mlp_encoder(shape, units=(5,), activation="tanh"),
            decoder=lambda dim, shape: mlp_decoder(dim, shape, units=(5,)),
            jacobian_penalty=jacobian_penalty,
        )

    model, data = make(penalty), batch(5)
    losses = model.losses_on(data, SEED, STEP)
    plain = make(None).losses_on(data, SEED, STEP)
    assert "jacobian_penalty" not in plain and losses["jacobian_penalty"].shape == (5,)
    np.testing.assert_allclose(
        losses["loss"], plain["loss"] + 0.3 * losses["jacobian_penalty"], rtol=1e-5
    )
    check_gradient(model, data)
    compiled = tf.function(model.losses_on, jit_compile=True)(data, SEED, STEP)
    np.testing.assert_allclose(compiled["loss"], losses["loss"], rtol=1e-4)


def test_training_makes_columns_orthogonal():
    keras.utils.set_random_seed(0)
    decoder = mlp_decoder(2, (4,), units=(8,))
    penalty, optimizer = JacobianOrthogonality(normalized=True), keras.optimizers.Adam(1e-2)
    variables = decoder.trainable_variables[:-1]  # the last bias moves no derivative
    latents = tf.constant(RNG.normal(size=(32, 2)), tf.float32)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(penalty(decoder, latents, SEED))
        optimizer.apply(tape.gradient(value, variables), variables)
        return value

    optimizer.build(variables)
    first = float(step())
    for _ in range(150):
        last = float(step())
    assert last < 0.05 * first


def test_bad_settings():
    with pytest.raises(ValueError, match="at least 2, of which a variance is taken"):
        JacobianOrthogonality(directions=1)
    with pytest.raises(ValueError, match="normalized needs all columns"):
        JacobianOrthogonality(directions=2, normalized=True)
    with pytest.raises(ValueError, match="weight is -1"):
        JacobianOrthogonality(-1)
