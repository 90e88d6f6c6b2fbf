import numpy as np
import pytest
import tensorflow as tf

from zoo import evaluation
from zoo.evaluation.hessian import interaction_order

LATENTS = np.random.default_rng(0).normal(size=(6, 3))


def mixed(z):
    """Hessians [[0, 1, 0], ...] of z0 z1, and [[2 z1, 2 z0, 0], ...] of z0^2 z1 + sin z2."""
    return tf.stack([z[:, 0] * z[:, 1], z[:, 0] ** 2 * z[:, 1] + tf.sin(z[:, 2])], 1)


def network(seed=1):
    generator = np.random.default_rng(seed)
    inner, outer = (tf.constant(generator.normal(size=s), tf.float32) for s in ((3, 5), (5, 4)))
    return lambda z: tf.tanh(z @ inner) @ outer


def test_exact_hessian_penalty():
    found = evaluation.hessian_penalty(mixed, LATENTS, exact=True, dtype="float64")
    # 2 * 2 * 1^2 of the first output, 2 * 2 * (2 z0)^2 of the second.
    expected = np.maximum(4, 16 * LATENTS[:, 0] ** 2)
    np.testing.assert_allclose(found["per_sample"], expected, rtol=1e-9)
    assert found["score"] == pytest.approx(expected.max())
    assert found["mean"] == pytest.approx((4 + 16 * np.mean(LATENTS[:, 0] ** 2)) / 2)


def test_sampled_hessian_penalty_approaches_the_exact_one():
    sampled = evaluation.hessian_penalty(mixed, LATENTS, directions=2000, dtype="float64")
    exact = evaluation.hessian_penalty(mixed, LATENTS, exact=True, dtype="float64")
    np.testing.assert_allclose(sampled["per_sample"], exact["per_sample"], rtol=0.05)
    product = evaluation.hessian_penalty(lambda z: z[:, :1] * z[:, 1:2], LATENTS, directions=2000)
    assert product["score"] == pytest.approx(4, rel=0.01)


def test_two_directions_are_seeded_and_unbiased():
    def penalty(seed):
        return evaluation.hessian_penalty(lambda z: z[:, :1] * z[:, 1:2], LATENTS, seed=seed)

    assert penalty(3)["mean"] == penalty(3)["mean"]
    # With two directions the variance is 0 or 8, with equal probability.
    means = [penalty(seed)["mean"] for seed in range(8)]
    assert len(set(np.round(means, 3))) > 1
    assert all(
        np.isclose(v, 0, atol=1e-3) or np.isclose(v, 8, atol=1e-3) for v in penalty(0)["per_sample"]
    )


def test_additive_functions_have_no_penalty_and_no_cross_derivative():
    def additive(z):
        return tf.sin(z[:, :1]) + tf.exp(z[:, 1:2]) * [[1.0, 2.0]] + z[:, 2:] ** 3

    assert evaluation.block_hessian(additive, LATENTS)["score"] == 0
    assert evaluation.hessian_penalty(additive, LATENTS, exact=True)["score"] == 0


def test_block_hessian_against_differences():
    decoder = network()
    found = evaluation.block_hessian(decoder, LATENTS, dtype="float64")
    jacobians = [
        evaluation.jacobian(decoder, LATENTS + shift, dtype="float64")
        for unit in 1e-5 * np.eye(3)
        for shift in (unit, -unit)
    ]
    hessians = np.stack([(jacobians[2 * i] - jacobians[2 * i + 1]) / 2e-5 for i in range(3)], -1)
    across = np.abs(hessians) * (1 - np.eye(3))
    np.testing.assert_allclose(found["per_sample"], across.max((1, 2, 3)), atol=1e-8)
    np.testing.assert_allclose(found["pairs"], across.max((0, 1)), atol=1e-8)
    single = evaluation.block_hessian(decoder, LATENTS)
    assert single["score"] == pytest.approx(found["score"], rel=1e-5)


def test_blocks():
    within = evaluation.block_hessian(mixed, LATENTS, [[0, 1], [2]], dtype="float64")
    assert within["score"] == 0 and within["pairs"].shape == (2, 2)
    across = evaluation.block_hessian(mixed, LATENTS, [[2, 0], [1]], dtype="float64")
    expected = np.maximum(1, 2 * np.abs(LATENTS[:, 0]))
    np.testing.assert_allclose(across["per_sample"], expected)
    slots = LATENTS.reshape(2, 3, 3)
    pairwise = evaluation.block_hessian(lambda s: s[:, 0] * s[:, 1] + s[:, 2] ** 2, slots)
    np.testing.assert_allclose(pairwise["pairs"], [[0, 1, 0], [1, 0, 0], [0, 0, 0]])


@pytest.mark.parametrize(
    ("function", "order"),
    [
        (lambda z: tf.sin(z), 0),
        (lambda z: tf.sin(z[:, :1]) + tf.exp(z[:, 1:2]) + z[:, 2:], 1),
        (lambda z: z[:, :1] * z[:, 1:2] + z[:, 2:], 2),
        (lambda z: z[:, :1] ** 2 * z[:, 1:2] + z[:, 2:], 3),
        (lambda z: z[:, :1] * z[:, 1:2] * z[:, 2:], 3),
    ],
)
def test_interaction_order(function, order):
    assert interaction_order(function, LATENTS)["score"] == order


def test_interaction_order_depends_on_the_blocks():
    assert interaction_order(mixed, LATENTS)["score"] == 3
    assert interaction_order(mixed, LATENTS, [[0, 1], [2]])["score"] == 1


def test_loaded_models_have_the_same_derivatives(tmp_path):
    decoder = network()

    class Exported(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, 3])])
        def decode(self, latents):
            return decoder(latents)

    module = Exported()
    tf.saved_model.save(module, str(tmp_path), signatures={"decode": module.decode})
    loaded = tf.saved_model.load(str(tmp_path))
    expected = evaluation.block_hessian(decoder, LATENTS)["score"]
    assert expected > 0.1
    for endpoint in (loaded.decode, loaded.signatures["decode"]):
        found = evaluation.block_hessian(endpoint, LATENTS)["score"]
        assert found == pytest.approx(expected, rel=1e-4)
    third = interaction_order(decoder, LATENTS[:1])["third"]
    assert third > 0.1
    assert interaction_order(loaded.decode, LATENTS[:1])["third"] == pytest.approx(third, rel=1e-4)


def test_blocks_may_be_a_number_of_equal_ones():
    def decoder(z):
        return z[:, :1] * z[:, 1:2] + z[:, 2:3] * z[:, 3:]

    latents = np.random.default_rng(0).normal(size=(4, 4))
    assert evaluation.block_hessian(decoder, latents, 2)["score"] == 0
    assert evaluation.interaction_order(decoder, latents, 2)["score"] == 1
    assert evaluation.interaction_order(decoder, latents, 4)["score"] == 2
    with pytest.raises(evaluation.InputError, match="4 columns do not divide into 3"):
        evaluation.block_hessian(decoder, latents, 3)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="exactly once"):
        evaluation.block_hessian(mixed, LATENTS, [[0, 1], [1, 2]])
    with pytest.raises(ValueError, match="two blocks"):
        evaluation.block_hessian(mixed, LATENTS, [[0, 1, 2]])
    with pytest.raises(ValueError, match="directions >= 2"):
        evaluation.hessian_penalty(mixed, LATENTS, directions=1)
    with pytest.raises(ValueError, match="finite"):
        evaluation.hessian_penalty(mixed, LATENTS * np.nan)


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        (lambda z: tf.cast(z, tf.int32), "returns int32"),
        (lambda z: tf.cast(z, tf.complex64), "returns complex64"),
        (tf.RaggedTensor.from_tensor, "RaggedTensor, not a TensorFlow tensor"),
        (lambda z: z[0], "must be .1, ...."),
        (lambda z: z[:, :0], "is empty"),
        (lambda z: z @ tf.ones([7, 2]), "fails on float32 latents"),
    ],
)
def test_outputs_without_differences_are_named(decoder, message):
    with pytest.raises(evaluation.InputError, match=message):
        evaluation.hessian_penalty(decoder, LATENTS)


def test_float32_keras_decoders_with_a_reshape_agree_with_float64():
    import keras

    keras.utils.set_random_seed(0)
    layers = [keras.Input((3,)), keras.layers.Dense(8, "tanh"), keras.layers.Reshape((2, 2, 2))]
    decoder = keras.Sequential([*layers, keras.layers.Conv2DTranspose(1, 2, 2)])
    blocks = [[0], [1, 2]]
    single = evaluation.block_hessian(decoder, LATENTS.astype(np.float32), blocks)
    double = evaluation.block_hessian(decoder, LATENTS, blocks, dtype="float64")
    assert double["score"] > 1e-3
    assert single["score"] == pytest.approx(double["score"], rel=1e-4)
