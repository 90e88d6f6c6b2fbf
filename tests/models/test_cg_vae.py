"""CG-VAE: a prior of the domain, a sparse Jacobian whose penalty no scale can evade."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo import data, hub
from zoo.data import sampling
from zoo.data.zoo_synthetic import memory
from zoo.errors import SettingError
from zoo.hub import weights
from zoo.hub.export import export
from zoo.models.domain_priors import FlowPrior, KnownSources
from zoo.models.jacobian_sparsity import JacobianSparsity
from zoo.models.likelihoods import Gaussian
from zoo.models.vae import VAE
from zoo.networks.dense import mlp_decoder, mlp_encoder
from zoo.networks.flows import DomainFlow
from zoo.optim.optimizers import Adam
from zoo.optim.schedules import linear_ramp
from zoo.training.checkpoints import Checkpoints
from zoo.training.loop import noise_seed

SEED, STEP = tf.constant([1, 2]), tf.constant(0)
DOMAINS = 3


def small(penalty=None, prior=None, **options):
    """A VAE of vectors `[4]` with smooth networks."""
    keras.utils.set_random_seed(0)
    affine = functools.partial(DomainFlow, kind="affine", hidden=4)
    return VAE(
        (4,),
        latent_dim=3,
        encoder=lambda shape: mlp_encoder(shape, units=(8,), activation="silu"),
        decoder=lambda dim, shape: mlp_decoder(dim, shape, units=(8,), activation="silu"),
        likelihood=lambda: Gaussian(0.1),
        prior=prior or functools.partial(FlowPrior, DOMAINS, affine),
        jacobian_penalty=penalty,
        **options,
    )


def drawn(count=12):
    """A batch with the domains of its examples."""
    images = np.random.default_rng(0).standard_normal((count, 4))
    domain = np.arange(count) % DOMAINS
    return {"image": tf.constant(images, tf.float32), "domain": tf.constant(domain, tf.int32)}


def jacobians_by_differences(decode, latents, step=1e-2):
    """`[B, outputs, n]`, central differences of a decoder."""
    shifts = step * np.eye(latents.shape[1], dtype=np.float32)
    columns = [(decode(latents + s) - decode(latents - s)) / (2 * step) for s in shifts]
    return np.stack(columns, -1)


@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("as_written", [False, True])
def test_the_term_is_that_of_finite_differences(as_written, mean):
    model, latents = small(), tf.random.stateless_normal([6, 3], [1, 1])
    entries = np.abs(jacobians_by_differences(model.decode, latents))
    if not as_written:
        entries *= np.std(latents, axis=0)
    expected = (entries.mean if mean else entries.sum)((1, 2))
    found = JacobianSparsity(as_written=as_written, mean=mean)(model.decode, latents, SEED)
    np.testing.assert_allclose(found, expected, rtol=2e-3)


def test_part_of_a_batch_has_the_mean_of_its_own():
    model, latents = small(), tf.random.stateless_normal([10, 3], [1, 1])
    every = JacobianSparsity(examples=0)(model.decode, latents, SEED)
    some = JacobianSparsity(examples=4)(model.decode, latents, SEED)
    assert some.shape == every.shape and not some[4:].numpy().any()
    np.testing.assert_allclose(tf.reduce_mean(some), tf.reduce_mean(every[:4]), rtol=1e-5)
    more = JacobianSparsity(examples=99)(model.decode, latents, SEED)
    np.testing.assert_allclose(more, every, rtol=1e-6)


@pytest.mark.parametrize("penalty", ["l1", "l2", "mcp", "scad"])
def test_penalties_are_integrals_of_their_slopes(penalty):
    threshold, a, gamma = 0.3, 3.7, 2.0
    grid = np.linspace(0, 3, 30_001)
    slopes = {
        "l1": np.ones_like(grid),
        "l2": 2 * grid,
        "mcp": np.maximum(1 - grid / (gamma * threshold), 0),
        "scad": np.clip((a * threshold - grid) / ((a - 1) * threshold), 0, 1),
    }[penalty]
    integral = np.concatenate([[0], np.cumsum((slopes[1:] + slopes[:-1]) / 2) * 1e-4])
    made = JacobianSparsity(penalty=penalty, threshold=threshold, concavity=gamma)
    value = made._penalised(tf.constant(grid, tf.float32))
    np.testing.assert_allclose(value, integral, atol=1e-4)


def test_turns_of_latents_change_l1_but_not_l2():
    """Of latents of equal scale: l2 cannot choose axes."""
    raw = np.random.default_rng(1).standard_normal((200, 3))
    raw -= raw.mean(0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(raw.T @ raw / 200).T)
    latents = tf.constant(white, tf.float32)
    model = small()
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0].astype(np.float32)

    def value(penalty, decode, codes):
        made = JacobianSparsity(penalty=penalty, examples=0)
        return float(tf.reduce_mean(made(decode, codes, SEED)))

    for penalty in ("l1", "l2"):
        straight = value(penalty, model.decode, latents)
        turned = value(penalty, lambda z: model.decode(z @ turn.T), latents @ turn)
        assert (abs(turned / straight - 1) < 1e-4) == (penalty == "l2")


@pytest.mark.parametrize("as_written", [False, True])
def test_the_term_cannot_be_had_for_nothing_by_scaling_the_code(as_written):
    """Codes times c, the decoder's input over c, the prior to match: all else stays as it is.

    The derivative by c at 1 is 0 for the default, and negative for the paper's term: there the code
    grows for as long as it is trained.
    """
    penalty = JacobianSparsity(1.0, as_written=as_written, examples=0)
    model, batch = small(penalty), drawn()
    first = model.losses_on(batch, SEED, STEP)
    with tf.GradientTape() as tape:
        c = tf.constant(1.0)
        tape.watch(c)
        latents = tf.random.stateless_normal([12, 3], [5, 6])
        term = tf.reduce_mean(penalty(lambda z: model.decode(z / c), c * latents, SEED))
    slope, value = float(tape.gradient(term, c)), float(term)
    assert slope == pytest.approx(-value if as_written else 0, abs=1e-5 * value)

    factor = 3.0
    model.mean_head.kernel.assign(factor * model.mean_head.kernel)
    model.log_variance_head.bias.assign_add(tf.fill([3], 2 * np.log(factor)))
    kernel = next(layer for layer in model.decoder.layers if layer.weights).kernel
    kernel.assign(kernel / factor)
    bias = model.prior.flow.last_layer.bias
    # Parameters of a latent are its shift and its log scale.
    bias.assign_sub(tf.tile([0.0, np.log(factor).astype(np.float32)], [3]))
    then = model.losses_on(batch, SEED, STEP)
    for name in ("reconstruction", "kl"):
        np.testing.assert_allclose(then[name], first[name], rtol=1e-4, atol=1e-4)
    ratio = then["jacobian_penalty"] / first["jacobian_penalty"]
    np.testing.assert_allclose(ratio, 1 / factor if as_written else 1.0, rtol=1e-4)


def test_the_weight_can_be_a_schedule():
    model = small(JacobianSparsity(linear_ramp(0.0, 0.5, steps=10)))
    losses = [model.losses_on(drawn(), SEED, tf.constant(step)) for step in (0, 5, 20)]
    rest = losses[0]["loss"]
    for weight, loss in zip((0, 0.25, 0.5), losses, strict=True):
        term = weight * loss["jacobian_penalty"]
        np.testing.assert_allclose(loss["loss"], rest + term, rtol=1e-5)


def test_gradients_are_those_of_finite_differences(check_gradient):
    check_gradient(small(JacobianSparsity(0.3, penalty="l2", examples=0)), drawn())


def test_the_kl_is_estimated_without_bias():
    """At the start F is the identity and the prior N(0, 1), whose KL has a closed form."""
    model = small()
    posterior = model.prior.posterior(
        *tf.unstack(tf.tile([[[0.5, -1, 0]], [[-2, 0, 1.0]]], [1, 20_000, 1]))
    )
    latents = model.prior.draw(posterior, SEED)
    estimate = model.prior.divergence(posterior, latents, tf.zeros([20_000], tf.int32)).numpy()
    exact = 0.5 * (np.square([0.5, -1, 0]) + np.exp([-2, 0, 1.0]) - 1 - np.array([-2, 0, 1.0]))
    np.testing.assert_array_less(np.abs(estimate.mean(0) - exact), 4 * estimate.std(0) / 141)


def known(domains=5, latents=4):
    prior = FlowPrior(
        domains, functools.partial(KnownSources, dataset="zoo_synthetic/shared_pair_5")
    )
    prior.build((None, latents))
    return prior


def test_the_oracle_has_the_density_of_the_sources():
    sources = memory.source("shared_pair_5").domains
    domain = np.arange(50) % 5
    latents = sources.sample(np.random.default_rng(0), domain)
    density = known().log_density(tf.constant(latents, tf.float32), tf.constant(domain, tf.int32))
    np.testing.assert_allclose(
        tf.reduce_sum(density, -1), sources.log_density(latents, domain), rtol=1e-4
    )


def test_samples_are_of_domains_that_are_equally_likely():
    sources = memory.source("shared_pair_5").domains
    samples = known().sample((20_000, 4), SEED)
    variance = (sources.deviations**2 + sources.means**2).mean(0) - sources.means.mean(0) ** 2
    np.testing.assert_allclose(samples.numpy().mean(0), sources.means.mean(0), atol=0.06)
    np.testing.assert_allclose(samples.numpy().var(0), variance, rtol=0.06)


def test_one_domain_is_one_density_whatever_the_batch_says():
    model = small(prior=functools.partial(FlowPrior, 1))
    batch = drawn()
    with_domains = model.losses_on(batch, SEED, STEP)["kl"]
    without = model.losses_on({"image": batch["image"]}, SEED, STEP)["kl"]
    np.testing.assert_array_equal(with_domains, without)


def test_is_exported_and_loaded(tmp_path):
    model = small(JacobianSparsity())
    model.prior.flow.last_layer.bias.assign_add(tf.fill([6], 0.3))
    card = {"name": "small", "input": {"shape": [4], "maximum": 1}}
    export(model, tmp_path / "saved", "# nothing\n", card)
    loaded, images = hub.load(tmp_path / "saved"), drawn()["image"].numpy()
    np.testing.assert_allclose(loaded.encode(images), model.encode(images), atol=1e-6)
    assert loaded.sample(5, seed=1).shape == (5, 4)
    np.testing.assert_array_equal(loaded.sample(5, seed=1), loaded.sample(5, seed=1))
    other = small(JacobianSparsity())
    weights.assign(other, tmp_path / "saved")
    np.testing.assert_array_equal(
        other.prior.flow.last_layer.bias, model.prior.flow.last_layer.bias
    )


def test_goes_on_from_a_checkpoint_as_if_nothing_had_been(tmp_path):
    dataset = data.load("zoo_synthetic/shared_pair_3[test]")
    sampler, tables = sampling.Domains(dataset, 8), sampling.tensors(dataset)

    def begun():
        model = small()
        model.bind(Adam(1e-2))
        return model

    def train(model, start, stop):
        for step in range(start, stop):
            seed = noise_seed(0, step, 0)
            model.update(sampler(tables, 0, step), seed, tf.constant(step), 1)

    whole, first, second = begun(), begun(), begun()
    train(whole, 0, 4)
    train(first, 0, 2)
    Checkpoints(tmp_path, first).save(2)
    assert Checkpoints(tmp_path, second).restore() == 2
    train(second, 2, 4)
    for one, other in zip(whole.variables, second.variables, strict=True):
        np.testing.assert_array_equal(one, other, err_msg=one.path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: JacobianSparsity(penalty="l0"), "penalty is 'l0'; it takes l1, l2, mcp, scad"),
        (lambda: JacobianSparsity(-0.1), "JacobianSparsity.weight is -0.1; give a number"),
        (lambda: JacobianSparsity(examples=-1), "JacobianSparsity.examples is -1"),
        (lambda: JacobianSparsity(threshold=0.0), "JacobianSparsity.threshold is 0.0"),
        (lambda: FlowPrior(0), "FlowPrior.domains is 0; give at least 1"),
        (lambda: known(4), "shared_pair_5 has 5 domains of 4 sources; the prior has 4 of 4"),
        (
            lambda: KnownSources(1, 2, "zoo_synthetic/linear"),
            "linear has no domains; the prior has 1 of 2",
        ),
        (
            lambda: KnownSources(1, 2, "zoo_balls/l_shape"),
            "'zoo_balls/l_shape' is no set of zoo_synthetic",
        ),
        (
            lambda: small().check(data.load("zoo_synthetic/shared_pair_5[test]")),
            r"FlowPrior.domains is 3 and .*shared_pair_5\[test\] has 5; give 5, or 1",
        ),
        (
            lambda: small().losses_on({"image": tf.zeros([2, 4])}, SEED, STEP),
            "has 3 domains and this sampler does not give .*train.sampler = @Domains",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused(make, message):
    with pytest.raises(SettingError, match=message):
        make()
