"""CG-GAN: the flow and the mask, its losses one by one, the moving average, and training."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.data import catalog
from zoo.data.dataset import Dataset
from zoo.errors import SettingError
from zoo.models.cg_gan import CGGAN
from zoo.models.noise import standard_normal, stream
from zoo.networks.equalised import normalise_second_moment
from zoo.networks.style_gan import style_discriminator, style_generator
from zoo.optim.optimizers import Adam
from zoo.optim.schedules import piecewise_linear
from zoo.training.checkpoints import Checkpoints

SEED, STEP = tf.constant([1, 2]), tf.constant(0)
SHAPE = (8, 8, 1)
RNG = np.random.default_rng(0)


def _model(shape=SHAPE, **options) -> CGGAN:
    keras.utils.set_random_seed(0)
    filters = (4,) * (2 if shape[0] == 8 else 3)
    options = {"latent_dim": 6, "style_dim": 3, "discriminator_optimizer": _adam, **options}
    return CGGAN(
        shape,
        generator=functools.partial(style_generator, filters=filters, style_dim=8),
        discriminator=functools.partial(style_discriminator, filters=filters, embedding=4),
        **options,
    )


def _adam() -> Adam:
    return Adam(2.5e-3, 0.0, 0.99)


def _batch(count: int = 8) -> dict:
    image = tf.random.stateless_uniform([count, *SHAPE], [1, 2])
    return {"image": image, "domain": tf.range(count) % 2}


def _latents(count: int = 8) -> tf.Tensor:
    return tf.constant(RNG.normal(size=(count, 6)), tf.float32)


def _bend(model: CGGAN) -> None:
    """Flows that differ between domains."""
    for network in (model.generator, model.average):
        kernel = network.flow.last_layer.kernel
        kernel.assign(np.random.default_rng(1).normal(size=kernel.shape))


def test_the_style_is_moved_by_the_flow_as_far_as_the_mask_lets_it():
    model = _model()
    _bend(model)
    model.generator.importance.assign([1.5, 0.1, 0.4])
    latents, domain = _latents(), tf.range(8) % 2
    flow = model.generator.flow(domain).forward(latents[:, :3])
    expected = latents[:, :3] + np.array([1.5, 0, 0.4]) * flow
    np.testing.assert_allclose(model.generator.style(latents, domain), expected, rtol=1e-6)
    np.testing.assert_array_equal(model.content(latents), latents[:, 3:])
    entering = model.generator.entering(latents, domain)
    parts = [normalise_second_moment(x) for x in (expected, latents[:, 3:])]
    np.testing.assert_allclose(entering, tf.concat(parts, 1), rtol=1e-5)
    one, other = (model.generator.style(latents, tf.fill([8], u)).numpy() for u in (0, 1))
    moved = np.abs(one - other).max(0)
    assert moved[1] == 0 and moved[[0, 2]].min() > 0.01
    whole = _model(masked=False)
    np.testing.assert_allclose(
        whole.generator.style(latents, domain), 2 * latents[:, :3], rtol=1e-3
    )


def test_the_content_is_the_same_in_all_domains_and_the_images_are_not():
    model = _model()
    _bend(model)
    latents = _latents()
    images = [model.generate(latents, tf.fill([8], u)).numpy() for u in (0, 1)]
    assert np.abs(images[0] - images[1]).max() > 0.01
    # A mask that lets nothing through leaves no way for the domain.
    model.average.importance.assign([0.1, -1, 0.05])
    images = [model.generate(latents, tf.fill([8], u)).numpy() for u in (0, 1)]
    np.testing.assert_array_equal(*images)


def test_without_a_style_the_mapping_sees_the_domain():
    model = _model(style_dim=0)
    assert model.kind == "conditional StyleGAN2" and model.generator.flow is None
    latents = _latents()
    images = [model.generate(latents, tf.fill([8], u)).numpy() for u in (0, 1)]
    assert np.abs(images[0] - images[1]).max() > 0.01
    losses = model.losses_on(_batch(), SEED, STEP)
    assert set(losses) == {"discriminator", "fooled", "loss", "adversarial"}


def test_the_image_term_is_a_difference_quotient_of_a_style_latent():
    """With one latent under the mask it is the L1 norm of that column of the Jacobian."""
    model = _model(style_mixing=0.0, step_size=1e-2)
    model.generator.importance.assign([0.0, 1.0, 0.1])
    latents, domain = _latents(), tf.range(8) % 2
    change = model.image_change(latents, domain, SEED)
    network = model.generator.network
    noise = model._noise(8, stream(SEED, 2))

    def images(entering):
        return network.synthesis(network.repeated(network.mapping(entering)), noise)

    entering = model.generator.entering(latents, domain)
    with tf.autodiff.ForwardAccumulator(entering, tf.one_hot([1] * 8, 6)) as forward:
        outputs = images(entering)
    slope = np.abs(forward.jvp(outputs)).mean((1, 2, 3))
    np.testing.assert_allclose(change, slope, rtol=0.05)
    assert slope.min() > 1e-3
    model.generator.importance.assign([0.0, 0.0, 0.1])
    np.testing.assert_array_equal(model.image_change(latents, domain, SEED), np.zeros(8))


def test_every_style_latent_under_the_mask_has_its_turn():
    model = _model()
    model.generator.importance.assign([1.0, 0.0, 1.0])
    latents, domain = tf.repeat(_latents(1), 400, axis=0), tf.zeros([400], tf.int32)
    for strength in model.generator.network.strengths:
        strength.assign(0.0)
    values = np.unique(np.round(model.image_change(latents, domain, SEED).numpy(), 4))
    assert len(values) == 2


def test_the_released_image_term_is_zero_without_noise_and_mixing():
    model = _model(style_mixing=0.0, image_sparsity_form="released")
    latents, domain = _latents(), tf.range(8) % 2
    np.testing.assert_array_equal(model.released_change(latents, domain, SEED), np.zeros(8))
    with tf.GradientTape() as tape:
        value = tf.reduce_sum(model.released_change(latents, domain, SEED))
    kernel = model.generator.network.convolutions[0].kernel.value
    gradient = tape.gradient(value, kernel)
    np.testing.assert_array_equal(gradient, np.zeros(kernel.shape))
    model.style_mixing = 1.0
    assert model.released_change(latents, domain, SEED).numpy().min() > 1e-3
    model.style_mixing = 0.0
    for strength in model.generator.network.strengths:
        strength.assign(1.0)
    assert model.released_change(latents, domain, SEED).numpy().min() > 1e-2


def test_the_losses_are_those_of_the_players():
    model = _model(style_mixing=0.0, r1=100.0, r1_every=2)
    batch, domain = _batch(), tf.range(8) % 2
    losses = model.losses_on(batch, SEED, tf.constant(1))
    fakes = []
    for seed in (stream(SEED, 1), stream(SEED, 2)):
        latents = standard_normal([8, 6], stream(seed, 1))
        noise = model._noise(8, stream(stream(seed, 2), 3))
        fakes.append(model.generator(latents, domain, noise))
    one_hot = tf.one_hot(domain, 2)
    real = 2 * batch["image"] - 1
    true, fake = (model.discriminator(x, one_hot).numpy() for x in (real, fakes[0]))
    expected = np.log1p(np.exp(-true)) + np.log1p(np.exp(fake))
    np.testing.assert_allclose(losses["discriminator"], expected, rtol=1e-4)
    adversarial = np.log1p(np.exp(-model.discriminator(fakes[1], one_hot).numpy()))
    np.testing.assert_allclose(losses["adversarial"], adversarial, rtol=1e-4)
    sum_of_parts = adversarial + 0.1 * 1.0 + 0.1 * losses["image_change"]
    np.testing.assert_allclose(losses["loss"], sum_of_parts, rtol=1e-4)

    with tf.GradientTape() as tape:
        tape.watch(real)
        logits = model.discriminator(real, one_hot)
    slope = tape.gradient(logits, real).numpy()
    penalised = model.losses_on(batch, SEED, tf.constant(2))["discriminator"]
    np.testing.assert_allclose(penalised - expected, 2 * 50 * (slope**2).sum((1, 2, 3)), rtol=2e-3)


def test_path_lengths_are_norms_of_the_jacobian_against_styles():
    model = _model(path_length=2.0, style_mixing=0.0)
    latents, domain, seed = _latents(2), tf.constant([0, 1]), SEED
    before = model.mean_path_length.numpy()
    penalty, mean = model._path_penalty(latents, domain, seed)
    network = model.generator.network
    styles = network.repeated(network.mapping(model.generator.entering(latents, domain)))[:1]
    noise = model._noise(1, stream(seed, 1))
    direction = standard_normal([1, *SHAPE], stream(seed, 2)).numpy() / 8
    with tf.GradientTape() as tape:
        tape.watch(styles)
        images = network.synthesis(styles, noise)
    jacobian = tape.jacobian(images, styles).numpy()[0, :, :, :, 0]
    product = np.einsum("hwclk,hwc->lk", jacobian, direction[0])
    length = np.sqrt((product**2).sum(-1).mean())
    np.testing.assert_allclose(penalty, (length - 0.01 * length) ** 2, rtol=1e-3)
    assert before == 0
    np.testing.assert_allclose(mean, 0.01 * length, rtol=1e-3)


@pytest.mark.parametrize("replicas", [1, 2])
def test_each_player_moves_its_own_weights_and_the_average_follows(replicas):
    model = _model(average_images=8)
    model.bind(keras.optimizers.SGD(0.0))
    critic = [w.numpy() for w in model.discriminator.trainable_variables]
    made = [w.numpy() for w in model.generator.variables]
    model.update(_batch(), SEED, STEP, replicas)
    for before, variable in zip(made, model.generator.variables, strict=True):
        np.testing.assert_array_equal(before, variable)
    assert any(
        np.abs(b - w).max() > 0
        for b, w in zip(critic, model.discriminator.trainable_variables, strict=True)
    )
    model.optimizers[1].learning_rate = 0.0
    model.optimizer.learning_rate = 0.1
    critic = [w.numpy() for w in model.discriminator.trainable_variables]
    model.update(_batch(), SEED, tf.constant(999), replicas)
    for before, variable in zip(critic, model.discriminator.trainable_variables, strict=True):
        np.testing.assert_array_equal(before, variable)
    kept = 0.5**replicas
    moved = []
    for old, new, mean in zip(
        made, model.generator.variables, model.average.variables, strict=True
    ):
        np.testing.assert_allclose(mean, kept * old + (1 - kept) * new.numpy(), atol=1e-6)
        moved.append(np.abs(old - new).max() > 0)
    # At first noise has no strength, and the flow's bias is not felt before its kernel.
    assert np.mean(moved) > 0.8


def test_the_average_starts_fast():
    """At most a twentieth of the images seen halve it, so that first weights are soon forgotten."""
    model = _model(average_images=20_000)
    model.bind(keras.optimizers.SGD(0.0))
    model.average.importance.assign([5.0, 5.0, 5.0])
    model.update(_batch(), SEED, STEP, 1)
    np.testing.assert_allclose(model.average.importance, 1 + 4 * 0.5**20, rtol=1e-6)


def _dataset() -> Dataset:
    """Squares: the small ones are one domain, the large ones the other."""
    import toy  # noqa: F401

    dataset = catalog.load("toy")
    domain = dataset.space.factors(dataset.ids)[:, 0].astype(np.int32)
    return Dataset("toy", dataset.images, extras={"domain": domain})


def test_a_resumed_training_is_the_same(tmp_path):
    """All state is in a checkpoint: weights, their average, path lengths, both optimisers."""

    def model_and_checkpoints():
        model = _model(
            image_sparsity=piecewise_linear(((4, 0.0), (5, 0.1))), path_length=2.0, r1_every=4
        )
        model.bind(_adam())
        return model, Checkpoints(tmp_path, model)

    def updated(model, step):
        return model.update(_batch(4), stream(SEED, step), tf.constant(step), 1)

    straight, checkpoints = model_and_checkpoints()
    assert updated(straight, 4)["image_change"] == 0
    assert straight.mean_path_length > 0
    checkpoints.save(5)
    losses = updated(straight, 8)
    assert losses["image_change"] > 0 and np.isfinite(losses["loss"])
    resumed, checkpoints = model_and_checkpoints()
    assert checkpoints.restore() == 5
    again = updated(resumed, 8)
    assert again == losses
    for one, other in zip(straight.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(straight.optimizers, resumed.optimizers, strict=True):
        for slot, twin in zip(one.variables, other.variables, strict=True):
            np.testing.assert_array_equal(slot, twin)


def test_samples_are_of_all_domains_and_repeat():
    model = _model()
    for strength in model.average.network.strengths:
        strength.assign(1.0)
    images = model.sample(tf.constant(5), SEED).numpy()
    assert images.shape == (5, *SHAPE) and images.min() >= 0 and images.max() <= 1
    np.testing.assert_array_equal(images, model.sample(tf.constant(5), SEED))
    assert np.abs(images - model.sample(tf.constant(5), SEED + 1)).max() > 0


def test_rows_of_the_paper_have_their_names():
    model = _model()
    assert model.kind == "CG-GAN"
    model.average.importance.assign([0.5, 0.05, 1.0])
    assert model.summarize({"loss": 1.0}) == {
        "loss": 1.0,
        "mask_size": 2,
        "importance_per_latent": [0.5, 0.0, 1.0],
    }
    assert set(model.summarize({})) == set(model.momentary)
    model.image_sparsity_form = "released"
    assert model.kind == "CG-GAN as released"
    model.image_sparsity = 0.0
    assert model.kind == "i-StyleGAN"
    model = _model(masked=False)
    assert model.kind == "CG-GAN-M"
    assert model.summarize({"loss": 1.0}) == {"loss": 1.0}


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("mask_threshold", 1.0),
        ("mask_threshold", -0.1),
        ("mask_sparsity", -1.0),
        ("image_sparsity", -0.1),
        ("style_dim", 7),
        ("domains", 1),
        ("step_size", 0.0),
        ("style_mixing", 1.5),
        ("image_sparsity_form", "theirs"),
    ],
)
def test_bad_settings(setting, value):
    with pytest.raises(SettingError, match=rf"CGGAN.{setting} is '?{value}"):
        _model(**{setting: value})


def test_images_without_domains_are_said():
    with pytest.raises(SettingError, match="set train.sampler = @Domains"):
        _model().losses_on({"image": _batch()["image"]}, SEED, STEP)


def test_another_number_of_domains_is_said():
    dataset, model = _dataset(), _model()
    model.check(dataset)
    small = dataset.part("toy[small]", np.flatnonzero(dataset.extras["domain"] == 0))
    with pytest.raises(SettingError, match=r"CGGAN.domains is 2 and toy\[small\] has 1 domains"):
        model.check(small)
