"""PCL: pairs, the logit, its statistics, and that it finds the sources of a time series."""

import json

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo.configurables  # noqa: F401  registers what gin files name
from zoo import config, hub, scoring
from zoo.models.pcl import PCL, PairClassifier, negatives
from zoo.networks.dense import mlp_encoder
from zoo.networks.maxout import maxout_encoder
from zoo.optim.optimizers import Adam
from zoo.training.run import train
from zoo.training.settings import Settings

SEED, STEP = tf.constant([1, 2]), tf.constant(0)
RNG = np.random.default_rng(0)


def _linear(latent_dim: int = 4) -> PCL:
    keras.utils.set_random_seed(3)
    return PCL((4,), latent_dim, encoder=lambda shape: mlp_encoder(shape, units=()))


def test_negatives_are_the_second_elements_of_other_pairs():
    second = tf.range(7)[:, None] * tf.ones([1, 2], tf.int32)
    shifts = set()
    for number in range(40):
        moved = negatives(second, tf.constant([5, number])).numpy()
        shift = (moved[:, 0] - np.arange(7)) % 7
        assert len(set(shift)) == 1 and shift[0] != 0
        np.testing.assert_array_equal(moved[:, 0], moved[:, 1])
        shifts.add(int(shift[0]))
    assert shifts == set(range(1, 7))
    compiled = tf.function(negatives, jit_compile=True)
    np.testing.assert_array_equal(compiled(second, SEED), negatives(second, SEED))


def test_the_logit_is_that_of_the_paper():
    classifier = PairClassifier(3, name="classifier")
    weights = [RNG.normal(size=w.shape) for w in classifier.get_weights()]
    classifier.set_weights(weights)
    u, v, b, a, m = weights
    first, second = RNG.normal(size=(2, 5, 3))
    expected = [
        -sum(abs(u[i] * x[i] + v[i] * y[i] + b[i]) for i in range(3)) + abs(a) * sum(x**2) + m
        for x, y in zip(first, second, strict=True)
    ]
    got = classifier(tf.constant(first, tf.float32), tf.constant(second, tf.float32))
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_the_loss_is_the_cross_entropy_of_pairs_and_negatives(batch):
    model, data = _linear(), batch(6)
    losses = model.losses_on(data, SEED, STEP)
    matrix = model.code_head.get_weights()[0]
    both = np.concatenate([data["image"], data["partner"]]) @ matrix
    codes = (both - both.mean(0)) / np.sqrt(both.var(0) + 1e-5)
    first, second = np.split(codes, 2)
    others = negatives(tf.constant(second), SEED).numpy()
    logits = [-np.abs(first - other).sum(1) + (first**2).sum(1) for other in (second, others)]
    expected = 0.5 * (np.log1p(np.exp(-logits[0])) + np.log1p(np.exp(logits[1])))
    np.testing.assert_allclose(losses["loss"], expected, rtol=1e-4, atol=1e-5)
    right = 0.5 * ((logits[0] > 0).astype(float) + (logits[1] <= 0))
    np.testing.assert_array_equal(losses["accuracy"], right)


def test_losses_of_validation_change_no_variable(batch):
    model, data = _linear(), batch(6)
    before = model.get_weights()
    model.validation_losses_on(data, SEED, STEP)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    model.losses_on(data, SEED, STEP)
    assert any(np.any(a != b) for a, b in zip(before, model.get_weights(), strict=True))


def test_gradient(batch, check_gradient):
    check_gradient(_linear(2), batch(9))


def _series(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Sources of an autoregression with Laplace innovations, `[count, 2]`, and their mixtures."""
    sources = np.zeros((count, 2))
    steps = RNG.laplace(size=(count, 2))
    for time in range(1, count):
        sources[time] = 0.7 * sources[time - 1] + steps[time]
    return sources, sources @ np.array([[1.0, 0.8], [-0.6, 1.0]])


def test_finds_the_sources_of_a_mixed_time_series():
    """Principal components cannot: they decorrelate and leave a rotation open."""
    sources, mixed = _series(20_000)
    mixed = (mixed - mixed.mean(0)).astype(np.float32)
    keras.utils.set_random_seed(1)
    model = PCL((2,), 2, encoder=lambda shape: mlp_encoder(shape, units=()))
    model.bind(Adam(1e-2))
    table = tf.constant(mixed)

    @tf.function
    def train(steps):
        for step in tf.range(steps):
            seed = tf.stack([7, step])
            index = tf.random.stateless_uniform([512], seed, 1, len(mixed), tf.int32)
            pairs = {"image": tf.gather(table, index), "partner": tf.gather(table, index - 1)}
            model.update(pairs, seed, step, 1)

    def agreement(codes):
        cross = np.abs(np.corrcoef(codes.T, sources.T)[:2, 2:])
        return max(cross[0, 0] + cross[1, 1], cross[0, 1] + cross[1, 0]) / 2

    principal = mixed @ np.linalg.svd(mixed, full_matrices=False)[2].T
    train(tf.constant(1500))
    assert agreement(principal) < 0.95
    assert agreement(model.encode(mixed).numpy()) > 0.99


def test_maxout_is_a_maximum_of_linear_functions():
    network = maxout_encoder((3,), units=(5,), pool=2)
    kernel, bias = network.get_weights()
    inputs = RNG.normal(size=(4, 3)).astype(np.float32)
    expected = (inputs @ kernel + bias).reshape(4, 5, 2).max(2)
    np.testing.assert_allclose(network(inputs), expected, atol=1e-6)
    assert maxout_encoder((20,)).count_params() == 21 * 80 + 41 * 80


def test_bad_settings(batch):
    with pytest.raises(ValueError, match="set train.sampler = @LaplacePairs"):
        _linear().losses_on({"image": batch(3)["image"]}, SEED, STEP)
    with pytest.raises(ValueError, match="make train.batch_size at least 2"):
        _linear().losses_on(batch(1), SEED, STEP)
    with pytest.raises(ValueError, match="PCL.latent_dim is 0"):
        _linear(0)
    with pytest.raises(ValueError, match="maxout_encoder.pool is 0"):
        maxout_encoder((3,), pool=0)


def test_a_run_scores_and_exports_what_only_encodes(tmp_path, toy_gin):
    settings = (
        *("train.model = @PCL", "train.sampler = @LaplacePairs", "train.steps = 10"),
        *("PCL.latent_dim = 3", "PCL.encoder = @mlp_encoder", "train.scores = 'mig,dto'"),
    )
    config.parse([toy_gin], settings)
    try:
        train(Settings(), tmp_path / "run")
        folder = tmp_path / "run"
        scores = json.loads((folder / "scores.json").read_text())
        assert 0 <= scores["mig"]["score"] <= 1
        assert scores["dto"]["reason"] == "the model has no decoder"
        assert (folder / "DONE").exists() and (folder / "report" / "index.html").exists()
        loaded = hub.load(folder)
        assert loaded.encode(np.zeros((2, 16, 16, 1), np.uint8)).shape == (2, 3)
        table = scoring.score(str(folder), None, "mig,dto", 0)
        np.testing.assert_allclose(table["mig"]["score"], scores["mig"]["score"], atol=1e-6)
        assert "has no endpoint 'decode'" in table["dto"]["reason"]
    finally:
        gin.clear_config()
