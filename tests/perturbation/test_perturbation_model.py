"""Training of m against decoders: what moves, which way, and what is computed."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
import toy

from data import sampling
from data.space import Factor, FactorSpace
from zoo.models.vae import BetaVAE
from zoo.networks.convolutional import conv_decoder
from zoo.networks.dense import mlp_decoder, mlp_encoder
from zoo.perturbation.model import Perturbation
from zoo.perturbation.network import PerturbationNetwork, folded
from zoo.training.checkpoints import Checkpoints
from zoo.training.loop import Loop
from zoo.training.optimizers import Adam

SHAPE = (16, 16, 1)
SEED, STEP = tf.constant([5, 6]), tf.constant(0)
DATASET = toy.load("squares", None)
SPACE = FactorSpace(
    (Factor("a", (2.0, 3.0, 7.0)), Factor("b", (-1.0, 1.0)), Factor("c", (0.0, 1.0, 4.0)))
)
small_decoder = functools.partial(mlp_decoder, units=(16,))


def network(space=SPACE, shape=SHAPE, decoder=small_decoder, **options):
    keras.utils.set_random_seed(0)
    return PerturbationNetwork(space, shape, decoder, **options)


def vae(seed):
    """A small VAE whose posteriors differ from image to image and are not narrow."""
    keras.utils.set_random_seed(seed)
    return BetaVAE(
        SHAPE,
        latent_dim=3,
        encoder=functools.partial(mlp_encoder, units=(16,)),
        decoder=small_decoder,
    )


def adam():
    return Adam(1e-3)


def model(ensemble=1, optimizer=adam, **options):
    built = Perturbation(
        SHAPE,
        **{
            "space": toy.SPACE,
            "disentangled": [vae(1 + k) for k in range(ensemble)],
            "entangled": [vae(11 + k) for k in range(ensemble)],
            "epsilon": 0.2,
            "samples": 5,
            "decoder_batches": 3,
            "warm_up": 0,
            "network": lambda space, shape: network(space, shape),
            "decoder_optimizer": optimizer,
            **options,
        },
    )
    built.bind(optimizer())
    return built


def batch(count=8, step=0):
    return sampling.Independent(DATASET, count)(sampling.tensors(DATASET), 0, step)


def values_of(variables):
    return [np.array(v) for v in variables]


def moved(before, variables):
    return [not np.array_equal(a, b) for a, b in zip(before, variables, strict=True)]


@pytest.mark.parametrize("size", [1.0, 30.0, 1e6])
def test_m_stays_in_its_bound_whatever_its_weights(size):
    m = network()
    m.set_weights([size * w for w in m.get_weights()])
    inputs = 100 * tf.random.stateless_normal([50, 3], [1, 2])
    out = m(inputs).numpy()
    assert out.dtype == np.float32 and out.shape == (50, *SHAPE)
    assert np.abs(out).max() <= 1 and (size == 1 or np.abs(out).max() > 0.99)


@pytest.mark.parametrize("neuron_after", [0, 1])
def test_m_knows_one_scalar_of_the_factors(neuron_after):
    m = network(neuron_after=neuron_after)
    point = tf.constant([[2.5, 0.5, 1.0]])
    with tf.GradientTape() as tape:
        tape.watch(point)
        out = m(point)
    jacobian = tape.jacobian(out, point).numpy().reshape(-1, 3)
    values = np.linalg.svd(jacobian, compute_uv=False)
    assert values[0] > 1e-3 and values[1] < 1e-5 * values[0]
    np.testing.assert_array_equal(m.image(m.scalar(point)), out)


def test_the_single_neuron_is_the_only_difference_from_the_decoder():
    m = network(shape=(64, 64, 1), decoder=conv_decoder)
    plain = conv_decoder(3, (64, 64, 1))
    got = [w.shape for w in m.get_weights()]
    assert got[:4] == [(3, 256), (256,), (256, 1), (1,)] and got[4] == (1, 1024)
    assert got[5:] == [w.shape for w in plain.get_weights()][3:]


def test_factors_are_scaled_from_their_ranges():
    m = network(neuron_after=0)
    m.compress.set_weights([np.array([[1.0], [10.0], [100.0]], np.float32), np.zeros(1)])
    values = SPACE.values(SPACE.factors(np.arange(len(SPACE)))).astype(np.float32)
    scaled = [(values[:, 0] - 4.5) / 2.5, values[:, 1], (values[:, 2] - 2) / 2]
    expected = scaled[0] + 10 * scaled[1] + 100 * scaled[2]
    np.testing.assert_allclose(m.scalar(values)[:, 0], expected, rtol=1e-5, atol=1e-5)


def test_no_place_for_the_neuron():
    with pytest.raises(ValueError, match="neuron_after is 9; the decoder of m has 3 layers"):
        network(neuron_after=9)


def test_folding_is_reflection_until_inside():
    x = np.linspace(-1, 2, 601).astype(np.float32)
    expected = []
    for value in x:
        while not 0 <= value <= 1:
            value = -value if value < 0 else 2 - value
        expected.append(value)
    np.testing.assert_allclose(folded(tf.constant(x)), expected, atol=1e-6)


def test_m_is_given_the_physical_values_of_the_batch():
    built, numbers = model(), np.array([0, 127, 64, 13])
    values = toy.SPACE.values(toy.SPACE.factors(numbers)).astype(np.float32)
    np.testing.assert_allclose(
        built.change(tf.constant(numbers, tf.int32)), built.network(values), atol=1e-7
    )


def test_images_change_by_epsilon_at_most():
    built = model()
    built.network.set_weights([30 * w for w in built.network.get_weights()])
    drawn = batch(64)
    new = built.perturbed(drawn["image"], built.change(drawn["index"])).numpy()
    difference = np.abs(new - drawn["image"])
    assert 0 <= new.min() and new.max() <= 1
    assert 0.19 < difference.max() <= 0.2 + 1e-6


def test_three_batches_move_the_decoders_and_the_fourth_moves_m():
    built = model()
    parts = {
        "m": built.network.trainable_variables,
        "decoders": built.decoder_variables,
        "encoders": [
            v
            for vae in (*built.disentangled, *built.entangled)
            for part in (vae.encoder, vae.mean_head, vae.log_variance_head)
            for v in part.variables
        ],
    }
    assert [len(part) for part in parts.values()] == [6, 8, 12]
    update = tf.function(built.update)
    for step in range(8):
        before = {name: values_of(part) for name, part in parts.items()}
        update(batch(step=step), tf.constant([3, step]), tf.constant(step), 1)
        seen = {name: moved(before[name], part) for name, part in parts.items()}
        assert all(seen["m"]) if step % 4 == 3 else not any(seen["m"])
        assert not any(seen["decoders"]) if step % 4 == 3 else all(seen["decoders"])
        assert not any(seen["encoders"])
    iterations = [int(optimizer.iterations) for optimizer in built.optimizers]
    assert iterations == [2, 6]


def test_the_warm_up_moves_decoders_only():
    built = model(warm_up=5)
    update = tf.function(built.update)
    for step in range(8):
        update(batch(step=step), tf.constant([3, step]), tf.constant(step), 1)
    # Of m's steps 3 and 7 the first is within the warm-up.
    assert [int(optimizer.iterations) for optimizer in built.optimizers] == [1, 7]


@pytest.mark.parametrize("goal, step", [("loss", 3), ("decoders", 0)])
def test_a_step_follows_the_gradient_of_its_goal(goal, step):
    """The goal falls on the batch by what the first order says: the rate times |gradient|^2."""
    built = model(optimizer=keras.optimizers.SGD)
    variables = built.network.trainable_variables if step == 3 else built.decoder_variables
    drawn = batch()

    def measure():
        return tf.reduce_mean(built.losses_on(drawn, SEED, tf.constant(step))[goal])

    with tf.GradientTape() as tape:
        before = measure()
    slope = sum(float(tf.reduce_sum(g**2)) for g in tape.gradient(before, variables))
    built.optimizer.learning_rate = built.decoder_optimizer.learning_rate = 0.005 / slope
    built.update(drawn, SEED, tf.constant(step), 1)
    assert float(before - measure()) == pytest.approx(0.005, rel=0.1)


def test_the_gradient_of_m_is_the_difference_of_the_mean_logits():
    """-log p(x'|z) = softplus(l) - x' l of Bernoulli logits l: its slope in x' is -l."""
    built, drawn = model(ensemble=2), batch()
    change = tf.Variable(tf.random.stateless_uniform(drawn["image"].shape, [1, 2], -0.9, 0.9))
    built.change = lambda index: change
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(built.losses_on(drawn, SEED, STEP)["loss"])
    got = tape.gradient(loss, change)

    def mean_logits(vaes, first):
        parts = []
        for k, one in enumerate(vaes):
            seed = tf.random.fold_in(SEED, first + k, alg="philox")
            for s in range(5):
                draw = tf.random.fold_in(seed, s, alg="philox")
                parts.append(one.decoder_outputs(one.draw(one.posterior(drawn["image"]), draw)))
        return sum(parts) / len(parts)

    logits = mean_logits(built.disentangled, 0) - mean_logits(built.entangled, 2)
    moved = drawn["image"] + 0.2 * change
    slope = tf.where((moved < 0) | (moved > 1), -1.0, 1.0)
    np.testing.assert_allclose(got, 0.2 * slope * logits, rtol=1e-4, atol=1e-5)


def test_reconstruction_is_the_mean_over_five_different_samples():
    built, images = model(), batch()["image"]
    one, targets = built.entangled[0], 0.3 + 0.4 * images
    posterior = one.posterior(images)
    seeds = [tf.random.fold_in(SEED, s, alg="philox") for s in range(5)]
    latents = np.stack([one.draw(posterior, seed) for seed in seeds])
    logits = np.stack([one.decoder_outputs(tf.constant(z)) for z in latents]).astype(float)
    losses = (np.logaddexp(0, logits) - targets.numpy() * logits).sum((2, 3, 4))
    got = built.reconstruction(one, images, targets, SEED)
    np.testing.assert_allclose(got, losses.mean(0), rtol=1e-5)
    assert losses.std(0).min() > 1e-3
    # Another number of samples: the variance of the mean goes down accordingly.
    spread = {}
    for samples in (1, 5):
        built.samples = samples
        reconstruct = tf.function(built.reconstruction)
        draws = [reconstruct(one, images, targets, tf.constant([9, k])) for k in range(400)]
        spread[samples] = np.var(np.stack(draws), axis=0).mean()
    # The ratio of two variances of 400 draws of 8 images has a standard error below 10 %.
    assert spread[1] / spread[5] == pytest.approx(5, rel=0.35)


def test_losses_are_means_over_ensembles_and_decoders_their_sum():
    built, drawn = model(ensemble=2), batch()
    losses = built.losses_on(drawn, SEED, STEP)
    targets = built.perturbed(drawn["image"], built.change(drawn["index"]))
    single = [
        built.reconstruction(
            one, drawn["image"], targets, tf.random.fold_in(SEED, k, alg="philox")
        ).numpy()
        for k, one in enumerate([*built.disentangled, *built.entangled])
    ]
    np.testing.assert_allclose(
        losses["reconstruction_disentangled"], (single[0] + single[1]) / 2, rtol=1e-5
    )
    np.testing.assert_allclose(
        losses["loss"], (single[2] + single[3] - single[0] - single[1]) / 2, rtol=1e-3, atol=1e-3
    )
    np.testing.assert_allclose(losses["decoders"], sum(single), rtol=1e-5)
    assert all(value.shape == (8,) for value in losses.values())


def loop(built, compiled):
    sampler = sampling.Independent(DATASET, 8)
    return Loop(built, sampler, sampling.tensors(DATASET), 0, compiled=compiled)


def test_trains_the_same_under_xla():
    ends = []
    for compiled in (False, True):
        built = model()
        ends.append((loop(built, compiled).run(0, 12)["loss"], values_of(built.variables)))
    assert ends[0][0] == pytest.approx(ends[1][0], rel=1e-3)
    for a, b in zip(ends[0][1], ends[1][1], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_a_checkpoint_holds_every_variable(tmp_path):
    def state(each):
        return [*each.variables, *(v for o in each.optimizers for v in o.variables)]

    saved, restored = model(ensemble=2), model(ensemble=2)
    for k, variable in enumerate(state(saved)):
        variable.assign(tf.fill(variable.shape, tf.cast(k, variable.dtype)))
    Checkpoints(tmp_path, saved).save(12)
    assert Checkpoints(tmp_path, restored).restore() == 12
    # m, four VAEs; two moments of m and of four decoders, two counts and two rates.
    assert len(state(restored)) == 6 + 4 * 10 + 2 * (6 + 4 * 4) + 4
    for k, variable in enumerate(state(restored)):
        assert (np.array(variable) == k).all(), variable.path


@pytest.mark.parametrize("goal, cycle, fall", [("decoders", 10**6, 20), ("loss", 0, 0.05)])
def test_training_lowers_its_goal_on_other_batches(goal, cycle, fall):
    """Trained alone, the decoders learn to reconstruct, and m to favour the entangled (nats)."""
    built = model(optimizer=lambda: Adam(3e-3))
    built.decoder_batches = cycle

    def measure():
        losses = built.losses_on(batch(64, step=1000), SEED, STEP)
        return float(tf.reduce_mean(losses[goal]))

    before = measure()
    for step in range(30):
        built.update(batch(step=step), tf.constant([3, step]), tf.constant(step), 1)
    assert measure() < before - fall
