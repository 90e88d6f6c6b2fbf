"""The weakly supervised GAN: spectral norms, pairs, players, and training on pairs."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.data import catalog, ranking, sampling
from zoo.models.weak_gan import WeakGAN, critic_adam
from zoo.networks.dense import mlp_decoder
from zoo.networks.pair_discriminators import (
    gan_decoder,
    match_discriminator,
    rank_discriminator,
)
from zoo.networks.spectral import SpectralConv2D, SpectralDense, spectral_encoder
from zoo.optim.optimizers import Adam
from zoo.training.checkpoints import Checkpoints
from zoo.training.loop import Loop

SEED, STEP = tf.constant([1, 2]), tf.constant(0)
SHAPE = (16, 16, 1)
RNG = np.random.default_rng(0)
DISCRIMINATORS = {
    "match": match_discriminator,
    "change": match_discriminator,
    "rank": rank_discriminator,
}
LABELS = {"match": "shared", "change": "changed", "rank": "ranks"}


def _model(pairing: str = "match", **options) -> WeakGAN:
    keras.utils.set_random_seed(0)
    small = DISCRIMINATORS[pairing]
    return WeakGAN(
        SHAPE,
        latent_dim=3,
        pairing=pairing,
        encoder=lambda shape: spectral_encoder(shape, (8,), (16,)),
        decoder=lambda dim, shape: mlp_decoder(dim, shape, units=(32,), activation="relu"),
        pair_discriminator=lambda shape, factors: small(shape, factors, (8,), 16),
        **options,
    )


def _batch(pairing: str, count: int = 6) -> dict:
    image, partner = tf.random.stateless_uniform([2, count, *SHAPE], [1, 2])
    labels = tf.one_hot(tf.range(count) % 3, 3) > 0
    return {"image": image, "partner": partner, LABELS[pairing]: labels}


def _norm(layer) -> float:
    kernel = layer.normalized_kernel(training=False).numpy()
    return np.linalg.norm(kernel.reshape(-1, kernel.shape[-1]), 2)


@pytest.mark.parametrize("make", [lambda: SpectralDense(7, 5), lambda: SpectralConv2D(3, 5)])
def test_power_iterations_of_calls_in_training_make_the_spectral_norm_one(make):
    keras.utils.set_random_seed(0)
    layer = make()
    layer.kernel.assign(3 * RNG.normal(size=layer.kernel.shape))
    kernel = layer.kernel.numpy()
    shape = (2, 7) if kernel.ndim == 2 else (2, 6, 6, 3)
    inputs = tf.constant(RNG.normal(size=shape), tf.float32)
    before = layer.u.numpy()
    layer(inputs)
    np.testing.assert_array_equal(layer.u, before)
    call = tf.function(lambda x: layer(x, training=True))
    for _ in range(100):
        call(inputs)
    np.testing.assert_allclose(_norm(layer), 1, rtol=1e-3)
    np.testing.assert_array_equal(layer.kernel, kernel)
    np.testing.assert_allclose(call(inputs), layer(inputs), rtol=1e-4, atol=1e-5)


def test_the_gradient_flows_through_the_spectral_norm():
    """A kernel cannot change its output by growing; the derivative of s_1 is u v^T (Miyato)."""
    keras.utils.set_random_seed(0)
    layer = SpectralDense(4, 3)
    inputs = tf.constant(RNG.normal(size=(5, 4)), tf.float32)
    target = tf.constant(RNG.normal(size=(5, 3)), tf.float32)
    for _ in range(200):
        layer(inputs, training=True)

    def value(kernel):
        return np.sum(target * (inputs @ kernel) / np.linalg.norm(kernel, 2))

    with tf.GradientTape() as tape:
        output = tf.reduce_sum(target * layer(inputs, training=True))
    gradient = tape.gradient(output, layer.kernel.value).numpy()
    kernel = layer.kernel.numpy().astype(np.float64)
    np.testing.assert_allclose(np.sum(gradient * kernel), 0, atol=1e-4)
    for _ in range(3):
        direction = RNG.normal(size=kernel.shape)
        slope = (value(kernel + 1e-5 * direction) - value(kernel - 1e-5 * direction)) / 2e-5
        np.testing.assert_allclose(np.sum(gradient * direction), slope, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("pairing", list(LABELS))
def test_latents_of_pairs_are_related_as_their_labels_say(pairing):
    model = _model(pairing)
    labels = tf.constant(RNG.random((2000, 3)) < 0.5)
    first, second, made = (x.numpy() for x in model.pairs(labels, SEED))
    equal = {"match": labels, "change": ~labels}.get(pairing, tf.zeros_like(labels)).numpy()
    np.testing.assert_array_equal(first == second, equal)
    np.testing.assert_array_equal(made, first > second if pairing == "rank" else labels)
    for latents in (first, second):
        assert np.abs(latents.mean(0)).max() < 4 / np.sqrt(2000)
        assert np.abs(np.cov(latents.T) - np.eye(3)).max() < 4 * np.sqrt(2 / 2000)
    assert np.abs(np.corrcoef(first[~equal], second[~equal])[0, 1]) < 0.08


def test_match_discriminator_is_a_projection_of_the_label():
    keras.utils.set_random_seed(0)
    network = match_discriminator(SHAPE, 3, (8,), 16)
    images = RNG.random((2, 4, *SHAPE)).astype(np.float32)
    logits = [network(*images, np.tile(y, (4, 1))) for y in np.eye(3, dtype=np.float32)]
    both = network(*images, np.full((4, 3), 0.5, np.float32))
    none = network(*images, np.zeros((4, 3), np.float32))
    np.testing.assert_allclose(both, none + 0.5 * sum(x - none for x in logits), atol=1e-5)
    assert np.ptp(logits, axis=0).min() > 1e-4
    assert not np.allclose(network(*images[::-1], np.eye(4, 3)), network(*images, np.eye(4, 3)))


def test_rank_discriminator_does_not_change_when_pairs_and_their_order_are_exchanged():
    keras.utils.set_random_seed(0)
    network = rank_discriminator(SHAPE, 3, (8,), 16)
    first, second = RNG.random((2, 4, *SHAPE)).astype(np.float32)
    ranks = RNG.integers(0, 2, (4, 3)).astype(np.float32)
    logits = network(first, second, ranks)
    np.testing.assert_allclose(logits, network(second, first, 1 - ranks), atol=1e-5)
    assert np.abs(logits - network(first, second, 1 - ranks)).min() > 1e-5


def test_the_losses_are_those_of_the_three_players():
    model, data = _model(), _batch("match")
    losses = model.losses_on(data, SEED, STEP)
    first, second, labels = model.pairs(data["shared"], tf.random.fold_in(SEED, 1, alg="philox"))
    fakes = [model.decode(z) for z in (first, second)]
    real = model.discriminator(data["image"], data["partner"], labels).numpy()
    fake = model.discriminator(*fakes, labels).numpy()
    expected = 0.5 * (np.log1p(np.exp(-real)) + np.log1p(np.exp(fake)))
    np.testing.assert_allclose(losses["discriminator"], expected, rtol=1e-4)
    posterior = model.posterior(fakes[0])
    errors = (first - posterior.mean()) / posterior.stddev()
    nll = 0.5 * errors**2 + np.log(posterior.stddev()) + 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(losses["encoder"], np.sum(nll, axis=1), rtol=1e-4)
    others = model.pairs(data["shared"], tf.random.fold_in(SEED, 2, alg="philox"))
    logits = model.discriminator(*[model.decode(z) for z in others[:2]], others[2]).numpy()
    np.testing.assert_allclose(losses["generator"], np.log1p(np.exp(-logits)), rtol=1e-4)


def test_losses_of_one_moment_change_no_variable():
    keras.utils.set_random_seed(0)
    model = WeakGAN(
        SHAPE,
        latent_dim=3,
        encoder=lambda shape: spectral_encoder(shape, (8,), (16,)),
        decoder=gan_decoder,
        pair_discriminator=lambda shape, factors: match_discriminator(shape, factors, (8,), 16),
    )
    model.bind(keras.optimizers.SGD(0.0))
    data, before = _batch("match"), model.get_weights()
    for losses in (model.losses_on, model.validation_losses_on):
        losses(data, SEED, STEP)
        for one, other in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    model.update(data, SEED, STEP, 1)
    assert any(np.any(a != b) for a, b in zip(before, model.get_weights(), strict=True))


def _critics(model: WeakGAN) -> list:
    return [
        weight
        for part in (model.discriminator, model.encoder, model.code_head)
        for weight in part.trainable_variables
    ]


@pytest.mark.parametrize("replicas", [1, 2])
def test_each_player_moves_its_own_weights_only(replicas):
    model = _model(critic_optimizer=lambda: keras.optimizers.SGD(0.5))
    model.bind(keras.optimizers.SGD(0.0))
    data = _batch("match")
    decoder = [w.numpy() for w in model.decoder.trainable_variables]
    critics = [w.numpy() for w in _critics(model)]
    losses = model.losses_on(data, SEED, STEP)
    model.update(data, SEED, STEP, replicas)
    for before, variable in zip(decoder, model.decoder.trainable_variables, strict=True):
        np.testing.assert_array_equal(before, variable)
    changed = [np.abs(b - w).max() for b, w in zip(critics, _critics(model), strict=True)]
    assert max(changed) > 0
    assert len(decoder) + len(critics) == len(model.trainable_variables)

    model.optimizers[1].learning_rate = 0.0
    model.optimizer.learning_rate = 0.5
    critics = [w.numpy() for w in _critics(model)]
    model.update(data, SEED, STEP, replicas)
    for before, variable in zip(critics, _critics(model), strict=True):
        np.testing.assert_array_equal(before, variable)
    for before, variable in zip(decoder, model.decoder.trainable_variables, strict=True):
        assert np.abs(before - variable).max() > 0
    assert set(losses) == {"loss", "discriminator", "encoder", "generator"}


def _loop(folder):
    """A model at the folder's newest checkpoint, its Checkpoints, the step, and its Loop."""
    import toy  # noqa: F401

    dataset, model = catalog.load("toy"), _model()
    model.bind(Adam(1e-3, 0.5))
    checkpoints = Checkpoints(folder, model)
    done = checkpoints.restore()
    sampler = sampling.MatchedPairs(dataset, 16)
    return model, checkpoints, done, Loop(model, sampler, sampling.tensors(dataset), seed=4)


def test_a_resumed_training_is_the_same_and_the_encoder_learns(tmp_path):
    straight, checkpoints, _, loop = _loop(tmp_path)
    loop.run(0, 300)
    checkpoints.save(300)
    losses = loop.run(300, 100)
    # The entropy of three standard normal numbers: what the encoder has without looking.
    blind = 1.5 * np.log(2 * np.pi * np.e)
    assert losses["encoder"] < blind - 0.3

    resumed, _, done, loop = _loop(tmp_path)
    assert done == 300
    again = loop.run(300, 100)
    assert again == losses
    for first, second in zip(straight.optimizers, resumed.optimizers, strict=True):
        for one, other in zip(first.variables, second.variables, strict=True):
            np.testing.assert_array_equal(one, other)
    for one, other in zip(straight.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_ranked_pairs_train_a_rank_gan():
    import toy  # noqa: F401

    dataset = catalog.load("toy")
    model = _model("rank")
    model.bind(Adam(1e-3, 0.5))
    batch = ranking.RankedPairs(dataset, 8)(sampling.tensors(dataset), 0, 0)
    losses = model.update(batch, SEED, STEP, 1)
    assert all(np.isfinite(value) for value in losses.values())


@pytest.mark.parametrize("make", [match_discriminator, rank_discriminator])
def test_discriminators_have_the_same_logits_in_mixed_precision(make):
    keras.utils.set_random_seed(0)
    exact, before = make(SHAPE, 3, (8,), 16), keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = make(SHAPE, 3, (8,), 16)
    finally:
        keras.config.set_dtype_policy(before)
    mixed.set_weights(exact.get_weights())
    pair, labels = RNG.random((2, 4, *SHAPE)).astype(np.float32), tf.one_hot([0, 1, 2, 0], 3)
    logits = mixed(*pair, labels)
    assert logits.dtype == tf.float32
    np.testing.assert_allclose(logits, exact(*pair, labels), atol=0.02)


def test_networks_have_the_sizes_of_the_authors():
    keras.utils.set_random_seed(0)
    encoder = spectral_encoder((64, 64, 1))
    kernels = 16 * (1 * 32 + 32 * 32 + 32 * 64 + 64 * 64) + 1024 * 128
    assert sum(w.size for w in map(np.array, encoder.trainable_variables)) == kernels + 320
    decoder = gan_decoder(5, (64, 64, 1))
    dense, transposed = 6 * 128 + 129 * 1024, 16 * (64 * 64 + 64 * 32 + 32 * 32 + 32)
    trained = sum(w.size for w in map(np.array, decoder.trainable_variables))
    norms = 2 * (128 + 1024 + 64 + 32 + 32)
    assert trained == dense + transposed + 64 + 32 + 32 + 1 + norms
    discriminator = match_discriminator((64, 64, 1), 5)
    body = 16 * (64 + 64 * 64 + 64 * 128 + 128 * 128) + 2048 * 256
    neck = 512 * 256 + 256 * 256
    assert sum(w.size for w in map(np.array, discriminator.trainable_variables)) == (
        body + (64 + 64 + 128 + 128 + 256) + neck + 512 + 256 + 5 * 256
    )
    adam = critic_adam()
    assert [adam.beta_1, adam.beta_2, adam.epsilon] == [0.5, 0.999, 1e-8]


def test_bad_settings():
    with pytest.raises(ValueError, match="WeakGAN.pairing is 'share'; it takes match"):
        WeakGAN(SHAPE, pairing="share")
    with pytest.raises(ValueError, match="set train.sampler = @MatchedPairs"):
        _model().losses_on(_batch("rank"), SEED, STEP)
    labels = tf.ones([6, 5], tf.bool)
    with pytest.raises(ValueError, match="latent_dim is 3 and the data set has 5 factors"):
        _model().losses_on({**_batch("match"), "shared": labels}, SEED, STEP)
    with pytest.raises(ValueError, match="gan_decoder makes images whose sides are multiples"):
        gan_decoder(3, (20, 16, 1))
