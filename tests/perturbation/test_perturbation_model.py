"""Training of m against decoders: what moves, which way, and what is computed."""

import functools

import gradients
import keras
import numpy as np
import pytest
import tensorflow as tf
import toy

from zoo.data import sampling
from zoo.data.space import Factor, FactorSpace
from zoo.errors import SettingError
from zoo.models.likelihoods import Bernoulli, Gaussian, Laplace, Logistic
from zoo.models.vae import VAE
from zoo.networks.convolutional import conv_decoder, slow_decoder
from zoo.networks.dense import mlp_decoder, mlp_encoder
from zoo.networks.pair_discriminators import gan_decoder
from zoo.optim.optimizers import Adam
from zoo.perturbation.model import Perturbation
from zoo.perturbation.network import PerturbationNetwork, folded
from zoo.training.checkpoints import Checkpoints
from zoo.training.loop import Loop

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
    return VAE(
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


def reconstruction(built, one, images, targets, seed):
    """By the VAE's own likelihood."""
    return built.reconstruction(one, targets, built.outputs(one, images, seed), None)


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


def test_an_m_that_starts_on_one_side_is_not_folded_to_the_size_of_its_scalar():
    plain, raised = network(), network(offset=1.5)
    values = tf.random.stateless_uniform([200, 3], [1, 2], [2.0, -1.0, 0.0], [7.0, 1.0, 4.0])
    outputs = [m(values).numpy() for m in (plain, raised)]
    difference = np.arctanh(outputs[1]) - np.arctanh(outputs[0])
    np.testing.assert_allclose(difference, 1.5, atol=1e-4)
    one_sided = [np.abs(m.mean(0)) / np.abs(m).mean(0) for m in outputs]
    assert np.median(one_sided[0]) < 0.6 and np.median(one_sided[1]) > 0.95


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
    with pytest.raises(SettingError, match="neuron_after is 9; the decoder of m has 3 layers"):
        network(neuron_after=9)
    reshaped = keras.Sequential([keras.layers.Reshape((1, 1, 3)), keras.layers.Conv2D(1, 1)])
    with pytest.raises(SettingError, match="the first map: choose another perturb.network"):
        network(decoder=lambda *_: reshaped, neuron_after=0)


@pytest.mark.parametrize(
    ("decoder", "layers", "last", "advice"),
    [
        (conv_decoder, 7, 1, "0 or 1"),
        (gan_decoder, 15, 2, "0 or 1 or 2"),
        (slow_decoder, 7, 0, "0"),
        (small_decoder, 3, 1, "0 or 1"),
    ],
)
def test_a_dense_layer_makes_of_the_neuron_what_is_reshaped(decoder, layers, last, advice):
    made = network(shape=(64, 64, 1), decoder=decoder, neuron_after=last)
    assert made.render.output_shape == (None, 64, 64, 1)
    message = f"the decoder of m has {layers} layers, and .*: give {advice}$"
    for place in (-1, *range(last + 1, layers)):
        with pytest.raises(SettingError, match=message):
            network(shape=(64, 64, 1), decoder=decoder, neuron_after=place)


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
    built.optimizers[0].learning_rate = built.optimizers[1].learning_rate = 0.005 / slope
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


def two_decoders(entangled, disentangled, likelihood):
    """A model whose decoders give the same logit for every pixel of every image."""
    built = model(samples=1, likelihood=likelihood)
    for one, logit in ((built.entangled[0], entangled), (built.disentangled[0], disentangled)):
        one.decoder_outputs = lambda latents, logit=logit: tf.fill(
            [tf.shape(latents)[0], *SHAPE], logit
        )
    return built


@pytest.mark.parametrize(
    "likelihood, at_half, at_zero",
    [
        # l_disentangled - l_entangled = -3 + 1.
        (None, -2.0, -2.0),
        # d_disentangled - d_entangled = sigmoid(-3) - sigmoid(-1), over s^2 = 0.5.
        (lambda: Gaussian(variance=0.5), -0.443031, -0.443031),
        # (x' - d_e) / (x' - d_e)^2 - (x' - d_d) / (x' - d_d)^2 = 1 / (x' - d_e) - 1 / (x' - d_d).
        (lambda: Gaussian(variance="optimal"), 2.118324, 17.367255),
    ],
)
def test_what_moves_a_pixel_by_two_decoders_that_are_known(likelihood, at_half, at_zero):
    """All pixels alike, logits -1 (mean 0.268941) and -3 (0.047426)."""
    built, drawn = two_decoders(-1.0, -3.0, likelihood), batch()
    for target, expected in ((0.5, at_half), (0.0, at_zero)):
        targets = tf.Variable(tf.fill(drawn["image"].shape, target))
        built.perturbed = lambda images, change, targets=targets: targets + 0.0
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(built.losses_on(drawn, SEED, STEP)["loss"])
        np.testing.assert_allclose(tape.gradient(loss, targets), expected, rtol=1e-4)


def test_a_background_that_both_are_sure_of_moves_m_by_logits_and_not_by_means():
    sizes = {}
    for name, likelihood in (("bernoulli", None), ("gaussian", Gaussian)):
        built, drawn = two_decoders(-9.0, -12.0, likelihood), batch()
        change = tf.Variable(tf.fill(drawn["image"].shape, 0.5))
        built.change = lambda index, change=change: change
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(built.losses_on(drawn, SEED, STEP)["loss"])
        sizes[name] = np.abs(tape.gradient(loss, change)).max()
    assert sizes["bernoulli"] == pytest.approx(0.2 * 3, rel=1e-5)
    assert sizes["gaussian"] == pytest.approx(
        0.2 * (1 / (1 + np.exp(9)) - 1 / (1 + np.exp(12))), rel=1e-3
    )


@pytest.mark.parametrize("likelihood", [Gaussian, lambda: Gaussian(0.02), Logistic, None])
def test_the_gradient_of_m_agrees_with_finite_differences(likelihood):
    built, drawn = model(ensemble=2, likelihood=likelihood), batch()

    def loss():
        return tf.reduce_mean(built.losses_on(drawn, SEED, STEP)["loss"])

    slope, norm = gradients.slopes(loss, built.network.trainable_variables, 0.02)
    assert norm > 1e-2 and slope == pytest.approx(norm, rel=0.02)


def test_gaps_are_the_losses_of_the_changed_images_minus_those_of_the_original():
    """By hand, in float64, from the mean images of the decoders."""
    built, drawn = model(ensemble=2, likelihood=lambda: Gaussian(variance=0.1)), batch()
    images = drawn["image"].numpy().astype(float)
    changed = built.perturbed(drawn["image"], built.change(drawn["index"])).numpy().astype(float)
    losses = built.losses_on(drawn, SEED, STEP)
    gaps, after = [], []
    for k, one in enumerate([*built.disentangled, *built.entangled]):
        seed, parts = tf.random.fold_in(SEED, k, alg="philox"), []
        for s in range(5):
            draw = tf.random.fold_in(seed, s, alg="philox")
            mean = one.decode(one.draw(one.posterior(drawn["image"]), draw)).numpy().astype(float)
            parts.append([((x - mean) ** 2).sum((1, 2, 3)) / 0.2 for x in (images, changed)])
        before, now = np.mean(parts, axis=0)
        gaps.append(now - before)
        after.append(now + 16 * 16 / 2 * np.log(2 * np.pi * 0.1))
    for name, pair in (("disentangled", slice(0, 2)), ("entangled", slice(2, 4))):
        np.testing.assert_allclose(
            losses[f"reconstruction_gap_{name}"], np.mean(gaps[pair], axis=0), rtol=1e-3, atol=1e-3
        )
        np.testing.assert_allclose(
            losses[f"reconstruction_{name}"], np.mean(after[pair], axis=0), rtol=1e-4
        )


def test_decoders_keep_the_likelihood_of_their_vaes():
    drawn = batch()
    own, other = (model(likelihood=likelihood) for likelihood in (None, Gaussian))
    values = [each.losses_on(drawn, SEED, STEP)["decoders"] for each in (own, other)]
    np.testing.assert_allclose(values[0], values[1], rtol=1e-6)


@pytest.mark.parametrize(
    "likelihood", [Bernoulli, lambda: Gaussian(squashed=True), lambda: Laplace("learned")]
)
def test_likelihoods_that_m_cannot_have(likelihood):
    with pytest.raises(ValueError, match="perturb.likelihood is .*; give one of mean images"):
        model(likelihood=likelihood)


@pytest.mark.parametrize(
    "change, expected",
    [
        (lambda count: np.full(count, 0.7), 0.0),
        # Values are at 0 or 1: folding makes m and -m one change.
        (lambda count: np.resize([0.7, -0.7], count), 0.0),
        # Every other image: 0.7, 0.1, 0.7, ...
        (lambda count: np.resize([0.7, 0.1], count), 0.6),
        # One image of eight, which differs from the one before it as well as from the next.
        (lambda count: np.resize([0.5, 0, 0, 0, 0, 0, 0, 0], count), 0.125),
    ],
)
def test_variation_is_what_the_m_of_another_image_would_change(change, expected):
    built, drawn = model(), batch(64)
    m = tf.constant(change(64), tf.float32)[:, None, None, None] * tf.ones([64, *SHAPE])
    built.change = lambda index: m
    variation = tf.reduce_mean(built.losses_on(drawn, SEED, STEP)["variation"])
    assert float(variation) == pytest.approx(expected, abs=1e-5)


def test_reconstruction_is_the_mean_over_five_different_samples():
    built, images = model(), batch()["image"]
    one, targets = built.entangled[0], 0.3 + 0.4 * images
    posterior = one.posterior(images)
    seeds = [tf.random.fold_in(SEED, s, alg="philox") for s in range(5)]
    latents = np.stack([one.draw(posterior, seed) for seed in seeds])
    logits = np.stack([one.decoder_outputs(tf.constant(z)) for z in latents]).astype(float)
    losses = (np.logaddexp(0, logits) - targets.numpy() * logits).sum((2, 3, 4))
    got = reconstruction(built, one, images, targets, SEED)
    np.testing.assert_allclose(got, losses.mean(0), rtol=1e-5)
    assert losses.std(0).min() > 1e-3
    # Another number of samples: the variance of the mean goes down accordingly.
    spread = {}
    for samples in (1, 5):
        built.samples = samples
        reconstruct = tf.function(lambda seed: reconstruction(built, one, images, targets, seed))
        draws = [reconstruct(tf.constant([9, k])) for k in range(400)]
        spread[samples] = np.var(np.stack(draws), axis=0).mean()
    # The ratio of two variances of 400 draws of 8 images has a standard error below 10 %.
    assert spread[1] / spread[5] == pytest.approx(5, rel=0.35)


def test_losses_are_means_over_ensembles_and_decoders_their_sum():
    built, drawn = model(ensemble=2), batch()
    losses = built.losses_on(drawn, SEED, STEP)
    targets = built.perturbed(drawn["image"], built.change(drawn["index"]))
    single = [
        reconstruction(
            built, one, drawn["image"], targets, tf.random.fold_in(SEED, k, alg="philox")
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
