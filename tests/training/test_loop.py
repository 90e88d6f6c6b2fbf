"""The training loop: chunks, replicas, noise streams, and the pure XLA program."""

import collections
import functools
import multiprocessing

import keras
import numpy as np
import pytest
import tensorflow as tf
import toy  # noqa: F401  registers the data set
from absl import logging
from noisy import Noisy

from zoo import data
from zoo.data import sampling
from zoo.errors import UserError
from zoo.models.base import Model
from zoo.models.vae import VAE
from zoo.networks.dense import mlp_decoder, mlp_encoder
from zoo.optim.optimizers import Adam
from zoo.training import programs
from zoo.training.loop import Loop, noise_seed

EPSILON = 1e-3


def _vae(seed: int = 0) -> VAE:
    keras.utils.set_random_seed(seed)
    model = VAE(
        (16, 16, 1),
        latent_dim=3,
        encoder=lambda shape: mlp_encoder(shape, units=(16,)),
        decoder=lambda dim, shape: mlp_decoder(dim, shape, units=(16,)),
    )
    # A large epsilon: Adam divides by the gradient's size and so would amplify rounding.
    model.bind(Adam(1e-3, epsilon=EPSILON))
    return model


def _loop(model: Model, batch_size: int = 8, **options) -> Loop:
    dataset = data.load("toy")
    sampler = sampling.Independent(dataset, batch_size)
    return Loop(model, sampler, sampling.tensors(dataset), 5, **options)


def test_chunks_do_not_matter():
    one, other = _vae(), _vae()
    whole = _loop(one).run(0, 6)["loss"]
    loop = _loop(other)
    parts = [loop.run(0, 1)["loss"], loop.run(1, 3)["loss"], loop.run(4, 2)["loss"]]
    np.testing.assert_allclose(whole, np.dot(parts, [1, 3, 2]) / 6, rtol=1e-6)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("compiled", [False, True])
def test_sums_go_on_over_pieces_to_the_bit(compiled):
    one, other = _vae(), _vae()
    whole = _loop(one, compiled=compiled).advance(0, 6)
    loop, totals = _loop(other, compiled=compiled), None
    for start, steps in ((0, 1), (1, 3), (4, 2)):
        totals = loop.advance(start, steps, totals)
        totals = {name: tf.constant(total.numpy().tolist()) for name, total in totals.items()}
    for name, total in whole.items():
        np.testing.assert_array_equal(total, totals[name], err_msg=name)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("part", [True, "update"])
def test_xla_agrees(part):
    plain, compiled = _vae(), _vae()
    _loop(plain).run(0, 5)
    _loop(compiled, compiled=part).run(0, 5)
    for a, b in zip(plain.get_weights(), compiled.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)


def test_one_step_is_adam_on_the_mean_loss():
    model, copy = _vae(), _vae()
    dataset = data.load("toy")
    batch = sampling.Independent(dataset, 8)(sampling.tensors(dataset), 5, 0)
    _loop(model).run(0, 1)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(copy.losses_on(batch, noise_seed(5, 0, 0), 0)["loss"])
    reference = keras.optimizers.Adam(1e-3, epsilon=EPSILON)
    reference.apply(tape.gradient(loss, copy.trainable_variables), copy.trainable_variables)
    for a, b in zip(model.get_weights(), copy.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-7)


def test_noise_differs_between_runs_steps_and_replicas_and_from_the_data_stream():
    seeds = {
        tuple(noise_seed(seed, step, replica).numpy())
        for seed in range(3)
        for step in range(3)
        for replica in range(3)
    }
    seeds |= {tuple(sampling.fold(seed, step).numpy()) for seed in range(3) for step in range(3)}
    assert len(seeds) == 27 + 9


def _replicated(replicas: int, queue) -> None:
    """Trains on logical CPUs; sends the weights and the spread of the noise over replicas."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * replicas
    )
    from zoo.training.loop import strategy_for

    strategy = strategy_for()
    assert strategy.num_replicas_in_sync == replicas
    with strategy.scope():
        model = Noisy()
        model.bind(Adam(0.1))
    averages = _loop(model, strategy=strategy).run(0, 1)
    spread = averages["square"] - averages["noise"] ** 2
    # Another run of the process, whose reductions are others.
    with strategy_for().scope():
        later = _vae()
    said = []
    logging.warning = lambda *message: said.append(message)
    _loop(later, strategy=strategy_for(), compiled=replicas > 1 or None).run(0, 1)
    assert len(said) == replicas - 1
    _loop(model, strategy=strategy).run(1, 6)
    queue.put((np.asarray(model.center), float(averages["loss"]), float(spread)))


def test_two_replicas_train_as_one_with_the_same_global_batch_and_other_noise():
    context = multiprocessing.get_context("spawn")
    results = []
    for replicas in (1, 2):
        queue = context.Queue()
        process = context.Process(target=_replicated, args=(replicas, queue))
        process.start()
        results.append(queue.get(timeout=120))
        process.join()
    (one, one_loss, one_spread), (two, two_loss, two_spread) = results
    np.testing.assert_allclose(two, one, atol=1e-6)
    np.testing.assert_allclose(two_loss, one_loss, rtol=1e-6)
    assert abs(one_spread) < 1e-6 and two_spread > 1e-4


def _replicated_paths(queue) -> None:
    """A step of CG-GAN that takes path lengths and one that does not, on two logical CPUs."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    from zoo.models.cg_gan import CGGAN
    from zoo.networks.style_gan import style_discriminator, style_generator
    from zoo.training.loop import strategy_for

    strategy = strategy_for()
    with strategy.scope():
        model = CGGAN(
            (8, 8, 1),
            latent_dim=4,
            style_dim=2,
            path_length=2.0,
            generator=functools.partial(style_generator, filters=(4, 4), style_dim=8),
            discriminator=functools.partial(style_discriminator, filters=(4, 4), embedding=4),
        )
        model.bind(Adam(1e-3))
    batch = {"image": tf.random.stateless_uniform([4, 8, 8, 1], [1, 2]), "domain": tf.range(4) % 2}

    @functools.partial(tf.function, autograph=False)
    def step(number):
        strategy.run(model.update, (batch, tf.stack([1, number]), number, 2))

    means = []
    for number in (0, 1):
        step(tf.constant(number))
        values = strategy.experimental_local_results(model.mean_path_length.value)
        means.append([float(value) for value in values])
    queue.put(means)


def test_replicas_agree_on_the_mean_path_length():
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_replicated_paths, args=(queue,))
    process.start()
    process.join(400)
    assert process.exitcode == 0
    (one, other), after = queue.get(timeout=10)
    assert one == other > 0 and after == [one, one]


def test_a_batch_that_replicas_cannot_share_is_refused():
    loop = _loop(_vae(), batch_size=7)
    loop._replicas = 2
    with pytest.raises(UserError, match="batch size 7 cannot be shared by 2 devices"):
        loop._share({"image": tf.zeros([7, 2])}, 0)


def _values(model: Model) -> list[np.ndarray]:
    return [np.asarray(v) for v in [*model.variables, *model.optimizer.variables]]


def test_pure_loop_is_the_loop():
    model, copy = _vae(), _vae(seed=1)
    loop, other = _loop(model), _loop(copy)
    loop.run(0, 3)
    before, pure = _values(model), other.pure()
    averages = loop.run(3, 4)
    # What it starts from is what it is given, not what its variables hold.
    data, numbers = list(pure.tables.values()), map(tf.constant, (pure.seed, 3, 4))
    state, sums = pure.function(list(map(tf.constant, before)), data, *numbers)
    assert list(pure.losses) == sorted(averages) and len(state) == len(pure.variables)
    for name, total in zip(pure.losses, sums, strict=True):
        np.testing.assert_allclose(total / 4, averages[name], rtol=1e-5)
    for expected, got in zip(_values(model), state, strict=True):
        np.testing.assert_allclose(got, expected, atol=2e-6)


def test_the_state_of_a_pure_loop_is_that_of_all_players():
    from zoo.models.factor_vae import FactorVAE
    from zoo.networks.discriminators import mlp_discriminator

    model = VAE(
        (16, 16, 1),
        latent_dim=3,
        objective=lambda vae: FactorVAE(
            vae, discriminator=lambda dim: mlp_discriminator(dim, units=(8,))
        ),
        encoder=lambda shape: mlp_encoder(shape, units=(8,)),
        decoder=lambda dim, shape: mlp_decoder(dim, shape, units=(8,)),
    )
    model.bind(Adam(1e-3))
    variables = _loop(model).pure().variables.values()
    known = {id(variable) for variable in variables}
    assert len(known) == len(variables)
    assert known >= {id(v.value) for each in model.optimizers for v in each.variables}
    assert known >= {id(v.value) for v in model.variables} and len(model.optimizers) == 2


def test_a_loop_of_several_devices_is_not_pure():
    loop = _loop(_vae())
    loop._replicas = 2
    with pytest.raises(UserError, match="loop over 2 devices is no single program"):
        loop.pure()


def test_a_step_on_a_processor_takes_the_product_and_the_same_losses(monkeypatch):
    from zoo.data.dataset import Dataset, DenseImages
    from zoo.networks import transposed

    images = np.random.default_rng(0).integers(0, 2, (64, 32, 32, 1)).astype(np.uint8)
    dataset = Dataset("toy", DenseImages(images, 1.0))
    products, product = [], transposed._product
    monkeypatch.setattr(
        transposed, "_product", lambda *given: products.append(1) or product(*given)
    )
    losses = []
    for fast in (True, False):
        monkeypatch.setattr(transposed, "_FILTERS", 3 if fast else 0)
        keras.utils.set_random_seed(0)
        model = VAE((32, 32, 1))
        model.bind(Adam(1e-3))
        loop = Loop(model, sampling.Independent(dataset, 8), sampling.tensors(dataset), seed=0)
        losses.append([loop.run(step, 1)["loss"] for step in range(5)])
        assert bool(products) == fast
        products.clear()
    np.testing.assert_allclose(*losses, rtol=1e-4)


def _results(model: Model) -> list[np.ndarray]:
    return [*_values(model), *(np.asarray(v) for v in model.get_weights())]


def test_runs_of_one_step_share_a_program_and_are_as_runs_alone(monkeypatch):
    compiled, make = [], programs._compiled
    monkeypatch.setattr(programs, "_programs", collections.OrderedDict())
    monkeypatch.setattr(programs, "_compiled", lambda *a: compiled.append(1) or make(*a))
    first = _vae(0)
    _loop(first, compiled=True).run(0, 5)
    kept = _results(first)
    # Another model of the same process, whose layers have other names.
    second = _vae(1)
    in_turn = _loop(second, compiled=True).run(0, 5)
    assert len(compiled) == 1
    alone = _vae(1)
    programs._programs.clear()
    by_itself = _loop(alone, compiled=True).run(0, 5)
    assert len(compiled) == 2
    for a, b in zip(_results(second), _results(alone), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(in_turn["loss"], by_itself["loss"])
    # What the first had learned is not touched.
    for a, b in zip(_results(first), kept, strict=True):
        np.testing.assert_array_equal(a, b)


def test_steps_that_differ_in_a_number_or_in_their_tables_share_nothing(monkeypatch):
    monkeypatch.setattr(programs, "_programs", collections.OrderedDict())
    for size in (8, 9):
        _loop(_vae(), size, compiled=True).trace()
    assert len(programs._programs) == 2
    other = _vae()
    other.bind(Adam(1e-3, epsilon=2 * EPSILON))
    _loop(other, compiled=True).trace()
    assert len(programs._programs) == 3


def test_a_shared_program_names_the_losses_of_its_own_model():
    class Named(Model):
        def __init__(self, second: str):
            super().__init__()
            self.mean, self.second = self.add_weight(shape=(16, 16, 1), name="mean"), second
            self.built = True

        def losses_on(self, batch, seed, step):
            error = tf.reduce_mean((batch["image"] - self.mean) ** 2, axis=(1, 2, 3))
            return {"loss": error, self.second: 2 * error}

    for second in ("kl", "kk"):
        model = Named(second)
        model.bind(Adam(1e-3))
        assert set(_loop(model, compiled=True).run(0, 1)) == {"loss", second}


def test_a_graph_is_the_same_text_whatever_its_names():
    def traced(factor, name):
        @tf.function
        def step(x):
            with tf.name_scope(name):
                total = tf.constant(0.0)
                for k in tf.range(3):
                    total += factor * x * tf.cast(k, tf.float32)
                return total

        return step.get_concrete_function(tf.constant(1.0)).graph.as_graph_def()

    first, same, other = traced(2.0, "a"), traced(2.0, "b"), traced(3.0, "a")
    assert first.SerializeToString() != same.SerializeToString()
    assert programs.canonical(first) == programs.canonical(same)
    assert programs.canonical(first) != programs.canonical(other)


def test_a_step_that_looks_something_up_is_compiled_for_itself_or_not_at_all():
    keys = tf.lookup.KeyValueTensorInitializer([1], [2])
    table = tf.lookup.StaticHashTable(keys, 0)
    step = tf.function(lambda tables, seed, number: {"loss": table.lookup(number)})
    assert programs.shared(step.get_concrete_function({}, 0, tf.constant(1)), []) is None
