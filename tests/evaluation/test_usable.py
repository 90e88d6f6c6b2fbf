"""Broken decoders have no score: without gradients, with NaN, dead, bound to a batch."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo import evaluation
from zoo.evaluation import UndefinedScoreError

LATENTS = np.random.default_rng(0).random((4, 4)).astype(np.float32) + 0.1
OUTPUTS = np.tanh(LATENTS)
SLOTS = LATENTS.reshape(2, 4, 2)


def _shaped(z, function):
    return tf.ensure_shape(tf.numpy_function(function, [z], z.dtype), [None, *z.shape[1:]])


UNCONNECTED = {
    "numpy_function": lambda z: _shaped(z, np.tanh),
    "stop_gradient": lambda z: tf.tanh(tf.stop_gradient(z)),
    "argmax": lambda z: tf.one_hot(tf.argmax(z, -1), 4, dtype=z.dtype),
    "within a function": tf.function(lambda z: tf.stop_gradient(z)),
    "constant": lambda z: tf.ones_like(tf.stop_gradient(z)),
}
NOT_FINITE = {
    "outputs": lambda z: z + np.nan,
    "one output": lambda z: tf.math.log(z - 0.2),  # Its derivative is finite everywhere.
    "all": lambda z: z * np.nan,
    "infinity": lambda z: tf.exp(z * 1e6),
}
DEAD = {"zero": lambda z: 0.0 * z, "sign": tf.sign, "relu": lambda z: tf.nn.relu(-z)}

FIRST = (UNCONNECTED["numpy_function"], NOT_FINITE["one output"], DEAD["relu"])

SCORES = {
    "jacobian": lambda f: evaluation.jacobian(f, LATENTS),
    "gram": lambda f: evaluation.jacobian(f, LATENTS, reduction="gram"),
    "triangular": lambda f: evaluation.jacobian(f, LATENTS, reduction="triangular"),
    "float64": lambda f: evaluation.jacobian(f, LATENTS, dtype="float64"),
    "forward": lambda f: evaluation.jacobian(f, LATENTS, mode="forward"),
    "batch_jacobian": lambda f: evaluation.jacobian(f, LATENTS, mode="batch_jacobian"),
    "hessian_penalty": lambda f: evaluation.hessian_penalty(f, LATENTS, exact=True),
    "block_hessian": lambda f: evaluation.block_hessian(f, LATENTS),
    "interaction_order": lambda f: evaluation.interaction_order(f, LATENTS),
    "sufficient_nonlinearity": lambda f: evaluation.sufficient_nonlinearity(f, LATENTS),
    "sufficient_independence": lambda f: evaluation.sufficient_independence(f, LATENTS),
    "irreducibility": lambda f: evaluation.irreducibility(f, LATENTS),
    "curvature_diagonality": lambda f: evaluation.curvature_diagonality(f, LATENTS, OUTPUTS),
    "deterministic_elbo": lambda f: evaluation.deterministic_elbo(f, LATENTS, OUTPUTS),
    "expansion_error": lambda f: evaluation.expansion_error(
        f, LATENTS, np.full_like(LATENTS, 1e-4), OUTPUTS
    ),
    "reconstruction_split": lambda f: evaluation.reconstruction_split(
        f, LATENTS, np.full_like(LATENTS, 1e-4), OUTPUTS
    ),
}


BROKEN = ((UNCONNECTED, "not connected"), (NOT_FINITE, "not finite"), (DEAD, "no live latent"))


@pytest.mark.parametrize(("decoders", "message"), BROKEN)
def test_no_jacobian_of_a_decoder_that_cannot_be_differentiated(decoders, message):
    for decoder in decoders.values():
        with pytest.raises(UndefinedScoreError, match=message) as error:
            evaluation.jacobian(decoder, LATENTS)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", list(SCORES)[1:])
def test_no_score_of_a_decoder_that_cannot_be_differentiated(name):
    for (_, message), decoder in zip(BROKEN, FIRST, strict=True):
        with pytest.raises(UndefinedScoreError, match=message):
            SCORES[name](decoder)


def test_scores_of_slots_have_no_value_either():
    def images(z):
        return tf.reshape(tf.stop_gradient(z), [-1, 4, 2, 1])

    for call in (
        lambda: evaluation.slot_jacobian(images, SLOTS),
        lambda: evaluation.compositional_contrast(images, SLOTS),
    ):
        with pytest.raises(UndefinedScoreError, match="not connected"):
            call()


def test_differences_need_no_gradient_but_outputs_that_move():
    bowl = evaluation.hessian_penalty(lambda z: _shaped(z, np.square), LATENTS)
    assert bowl["score"] == pytest.approx(0, abs=1e-3)
    with pytest.raises(UndefinedScoreError, match="no live latent"):
        evaluation.hessian_penalty(lambda z: tf.ones_like(z), LATENTS)
    with pytest.raises(UndefinedScoreError, match="not finite"):
        evaluation.hessian_penalty(lambda z: z * np.nan, LATENTS)


def test_one_latent_of_a_reduction_by_function():
    """The values of a function of J may be zero, but not hide NaN."""
    halves = evaluation.jacobian(
        tf.tanh, LATENTS, reduction=lambda j: j[:, :1, 1:2] * 0, mode="batch_jacobian"
    )
    assert not halves.any()
    with pytest.raises(UndefinedScoreError, match="not finite"):
        evaluation.jacobian(
            lambda z: tf.sqrt(z - LATENTS[0]), LATENTS[:1], reduction=lambda j: j[:, :1, 1:2]
        )


def test_some_dead_latents_and_some_dead_examples_are_no_error():
    def decoder(z):
        return tf.nn.relu(z[:, :2] - 0.5) ** 2 + tf.stop_gradient(z[:, 2:])

    found = evaluation.jacobian(decoder, LATENTS)
    assert not found[..., 2:].any() and found.any()
    assert evaluation.block_hessian(tf.tanh, LATENTS)["score"] == 0


def test_decoders_of_a_batch_are_refused():
    keras.utils.set_random_seed(0)
    layers = keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)
    for layer in layers:
        decoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(6), layer])
        for score in ("jacobian", "block_hessian"):
            with pytest.raises(UndefinedScoreError, match="training=False"):
                SCORES[score](lambda z, decoder=decoder: decoder(z, training=True))
        assert evaluation.jacobian(decoder, LATENTS).any()
    with pytest.raises(UndefinedScoreError, match="its batch"):
        evaluation.jacobian(lambda z: z - tf.reduce_mean(z, 0), LATENTS)
    with pytest.raises(UndefinedScoreError, match="chance"):
        evaluation.jacobian(lambda z: z + tf.random.normal(tf.shape(z)), LATENTS)


def test_rounding_of_half_precision_is_not_taken_for_a_batch():
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(64, "gelu", dtype="mixed_bfloat16") for _ in range(4)]
    decoder = keras.Sequential([keras.Input((4,)), *layers])
    assert evaluation.jacobian(decoder, LATENTS).any()


@pytest.mark.parametrize(
    "decoder",
    [np.tanh, lambda z: z.reshape(len(z), 2, 2), lambda z: np.asarray(z) @ np.ones((4, 3))],
)
def test_decoders_of_numpy_are_named(decoder):
    for score in ("jacobian", "float64", "block_hessian", "curvature_diagonality"):
        with pytest.raises(ValueError, match="ndarray, not a TensorFlow tensor") as error:
            SCORES[score](decoder)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("memory", [0, -1, 1e9, float("nan"), True])
def test_memory_out_of_range(memory):
    with pytest.raises(ValueError, match="memory"):
        evaluation.jacobian(tf.tanh, LATENTS, memory=memory)


def test_options_of_the_engine_without_a_decoder():
    with pytest.raises(ValueError, match="belong to decoders"):
        evaluation.compositional_contrast(np.ones((2, 4, 3, 2)), mode="reverse")
