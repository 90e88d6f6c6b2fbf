"""Slot autoencoders: the loss and its parts, codes, symmetry, training, export."""

import functools
import itertools

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import linear_sum_assignment

from zoo.drawing.slots import pictures as slot_pictures
from zoo.models.consistency import matched_error, recombined
from zoo.models.slots import SlotAutoencoder, interaction
from zoo.networks.slot_decoders import broadcast_slot_decoder, transformer_slot_decoder
from zoo.networks.slot_encoders import slot_attention_encoder, transformer_slot_encoder
from zoo.optim.optimizers import Adam
from zoo.optim.schedules import linear_ramp, warm_up_and_decay

SHAPE, SEED, START = (16, 16, 3), tf.constant([1, 2]), tf.constant(0)
ENCODERS = {
    "transformer": functools.partial(transformer_slot_encoder, channels=4, layers=1, heads=2),
    "slot_attention": functools.partial(slot_attention_encoder, channels=4),
}
DECODERS = {
    "transformer": functools.partial(
        transformer_slot_decoder, width=16, slot_hidden=16, query_width=16, heads=2
    ),
    "broadcast": functools.partial(broadcast_slot_decoder, channels=8, start=8, doublings=1),
}


@pytest.fixture(autouse=True)
def _clean():
    yield
    gin.clear_config()


def _model(encoder: str = "transformer", decoder: str = "transformer", **options):
    keras.utils.set_random_seed(0)
    return SlotAutoencoder(
        SHAPE,
        **{"slots": 3, "latent_dim": 4, **options},
        slot_encoder=ENCODERS[encoder],
        slot_decoder=DECODERS[decoder],
    )


def _images(count: int = 4) -> np.ndarray:
    """Two bright squares on black, somewhere."""
    rng, images = np.random.default_rng(0), np.zeros((count, *SHAPE), np.float32)
    for image in images:
        for _ in range(2):
            row, column = rng.integers(12, size=2)
            image[row : row + 4, column : column + 4] = rng.random(3)
    return images


def test_interaction_is_the_sum_over_pairs():
    weights = np.random.default_rng(0).random((5, 7, 4)).astype(np.float32)
    pairs = sum(weights[..., i] * weights[..., j] for i, j in itertools.combinations(range(4), 2))
    np.testing.assert_allclose(interaction(weights), pairs, rtol=1e-5)
    one = np.eye(4, dtype=np.float32)
    np.testing.assert_array_equal(interaction(3 * one), 0)


@pytest.mark.parametrize("layers", ["mean", "sum"])
def test_the_logged_interaction_is_that_of_the_attention_pair_by_pair(layers):
    """Of twelve times the mean over heads: the sum over the published decoder's twelve."""
    model, images = _model(layers=layers, variational=False, beta=0.0), _images()
    losses = model.losses_on({"image": images}, SEED, START)
    attention = model.decoder(model.encode(images))["attention"].numpy()
    weights = getattr(12 * attention.mean(3), layers)(1)
    expected = 0
    for j, k in itertools.combinations(range(3), 2):
        expected = expected + (weights[..., j] * weights[..., k]).mean(1)
    np.testing.assert_allclose(losses["interaction"], expected, rtol=1e-4)


class _Attending(keras.Model):
    """Decodes black images, with the attention `[layers, pixels, heads, slots]` it is given."""

    def __init__(self, attention: np.ndarray):
        super().__init__()
        self.given = tf.constant(attention, tf.float32)

    def call(self, slots):
        count = tf.shape(slots)[0]
        return {
            "image": tf.zeros([count, self.given.shape[1], 3]),
            "attention": tf.tile(self.given[None], [count, 1, 1, 1, 1]),
        }


def _losses_of(attention: np.ndarray, **options) -> dict[str, np.ndarray]:
    """The losses of two images that are decoded with this attention."""
    keras.utils.set_random_seed(0)
    model = SlotAutoencoder(
        SHAPE,
        slots=attention.shape[-1],
        latent_dim=4,
        variational=False,
        beta=0.0,
        slot_encoder=ENCODERS["transformer"],
        slot_decoder=lambda *_: _Attending(attention),
        **options,
    )
    losses = model.losses_on({"image": _images(2)}, SEED, START)
    return {name: value.numpy() for name, value in losses.items()}


def _random_attention(heads: int, slots: int = 5) -> np.ndarray:
    logits = np.random.default_rng(0).normal(size=(2, 256, heads, slots))
    return (np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(("layers", "factor"), [("mean", 1), ("sum", 4)])
@pytest.mark.parametrize(("heads", "slots"), [(1, 4), (4, 4), (12, 4), (12, 7)])
def test_uniform_attention_interacts_alike_for_any_number_of_heads(layers, factor, heads, slots):
    """`72 (K - 1) / K`, as the 12 published heads; two layers summed make it four times that."""
    losses = _losses_of(np.full((2, 256, heads, slots), 1 / slots), layers=layers)
    expected = factor * 72 * (slots - 1) / slots
    np.testing.assert_allclose(losses["interaction"], expected, rtol=1e-5)
    np.testing.assert_allclose(losses["interaction_share"], 1, rtol=1e-5)


@pytest.mark.parametrize("layers", ["mean", "sum"])
def test_the_published_heads_are_added_up(layers):
    """What the authors penalise, pair by pair, of their 12 heads."""
    attention = _random_attention(12)
    weights = getattr(attention.sum(2), layers)(0)
    pairs = itertools.combinations(range(5), 2)
    expected = sum((weights[:, j] * weights[:, k]).mean() for j, k in pairs)
    losses = _losses_of(attention, layers=layers, alpha=0.05)
    np.testing.assert_allclose(losses["interaction"], expected, rtol=1e-5)
    rest = losses["loss"] - losses["reconstruction"]
    np.testing.assert_allclose(rest, 0.05 * expected, rtol=1e-3)


def test_heads_that_attend_alike_count_as_one():
    one = _random_attention(1)
    expected = _losses_of(one)
    assert 0.5 < expected["interaction_share"].min() < 0.95
    for heads in (4, 12):
        losses = _losses_of(np.repeat(one, heads, axis=2))
        for name in ("interaction", "interaction_share", "loss"):
            np.testing.assert_allclose(losses[name], expected[name], rtol=1e-5)


@pytest.mark.parametrize("layers", ["mean", "sum"])
def test_pixels_that_attend_to_one_slot_each_do_not_interact(layers):
    chosen = np.random.default_rng(0).integers(4, size=256)
    attention = np.broadcast_to(np.eye(4)[chosen][None, :, None], (2, 256, 4, 4))
    losses = _losses_of(attention, layers=layers)
    np.testing.assert_array_equal(losses["interaction_share"], 0)
    np.testing.assert_array_equal(losses["interaction"], 0)


def test_one_slot_alone_does_not_interact():
    assert _losses_of(np.ones((1, 256, 4, 1)))["interaction_share"].tolist() == [0, 0]


def test_the_loss_is_made_of_its_parts_by_hand():
    model, images = _model(sigma=5.0, beta=0.3, alpha=0.7), _images()
    losses = {k: v.numpy() for k, v in model.losses_on({"image": images}, SEED, START).items()}
    raw = model.encoder(images).numpy()
    mean, scale = raw[..., :4], 0.5 * np.exp(raw[..., 4:])
    kl = 0.5 * (mean**2 + scale**2 - 1) - np.log(scale)
    np.testing.assert_allclose(losses["kl"], kl.sum((1, 2)), rtol=1e-4)
    posterior = model.posterior(tf.constant(images))
    np.testing.assert_allclose(posterior.stddev(), scale, rtol=1e-5)
    drawn = model._draw(posterior, SEED)
    error = ((images - model.decode(drawn).numpy()) ** 2).sum((1, 2, 3))
    np.testing.assert_allclose(losses["reconstruction"], error, rtol=1e-4)
    expected = 5 * error + 0.3 * kl.sum((1, 2)) + 0.7 * losses["interaction"]
    np.testing.assert_allclose(losses["loss"], expected, rtol=1e-4)


def test_weights_of_the_loss_follow_their_schedules():
    model = _model(alpha=linear_ramp(0.0, 2.0, 10), beta=linear_ramp(1.0, 0.0, 10))
    batch = {"image": _images()}
    for step, alpha, beta in ((0, 0.0, 1.0), (5, 1.0, 0.5), (20, 2.0, 0.0)):
        losses = model.losses_on(batch, SEED, tf.constant(step))
        parts = losses["reconstruction"] + beta * losses["kl"] + alpha * losses["interaction"]
        np.testing.assert_allclose(losses["loss"], parts, rtol=1e-5)


def test_the_gradient_agrees_with_finite_differences(check_gradient):
    model = _model(slots=2, latent_dim=2)
    model.losses_on = tf.function(model.losses_on)
    check_gradient(model, {"image": tf.constant(_images(2))})


def test_some_pixels_estimate_the_loss_on_all_without_bias():
    """The four grids of stride 2 cover the image: their mean is the loss on all pixels."""
    options = {"variational": False, "beta": 0.0}
    all_, some = _model(**options), _model(**options, pixel_stride=2)
    batch = {"image": _images()}
    expected, losses_on = all_.losses_on(batch, SEED, START), tf.function(some.losses_on)
    found = {}
    for number in range(40):
        losses = losses_on(batch, tf.constant([number, 9]), START)
        found[tuple(np.round(losses["reconstruction"], 3))] = losses
    assert len(found) == 4
    for name in ("reconstruction", "interaction", "loss"):
        mean = np.mean([losses[name] for losses in found.values()], axis=0)
        np.testing.assert_allclose(mean, expected[name], rtol=1e-4)


@pytest.mark.parametrize("number", [1, 2, 5])
def test_slots_are_matched_as_the_hungarian_method_matches_them(number):
    rng = np.random.default_rng(number)
    slots, others = rng.normal(size=(2, 20, number, 3)).astype(np.float32)
    costs = ((slots[:, :, None] - others[:, None]) ** 2).sum(-1)
    expected = [cost[linear_sum_assignment(cost)].sum() for cost in costs]
    np.testing.assert_allclose(matched_error(slots, others), expected, rtol=1e-5)
    turned = slots[:, rng.permutation(number)]
    np.testing.assert_allclose(matched_error(slots, turned), 0, atol=1e-9)


def test_slots_put_together_anew_are_those_of_all_images():
    slots = np.arange(40 * 2 * 3, dtype=np.float32).reshape(40, 2, 3)
    anew = recombined(tf.constant(slots), SEED).numpy()
    assert anew.shape == slots.shape
    known = {slot.tobytes() for slot in slots.reshape(-1, 3)}
    assert {slot.tobytes() for slot in anew.reshape(-1, 3)} < known
    # Both from one image in one of 80 draws.
    images = anew[..., 0] // 6
    assert (images[:, 0] == images[:, 1]).mean() < 0.2
    assert not np.array_equal(recombined(tf.constant(slots), SEED + 1), anew)


@pytest.mark.parametrize("variational", [True, False])
def test_consistency_is_the_encoder_s_error_on_what_the_decoder_makes(variational):
    options = {"variational": variational, "beta": 0.1 * variational}
    plain, images = _model(**options), {"image": tf.constant(_images())}
    expected = plain.losses_on(images, SEED, START)
    for weight in (0.0, 0.5, linear_ramp(0.0, 1.0, 10)):
        losses = _model(**options, consistency=weight).losses_on(images, SEED, tf.constant(5))
        assert losses["consistency"].numpy().min() > 0
        added = losses["loss"] - expected["loss"]
        share = 0.5 if weight else 0.0
        np.testing.assert_allclose(added, share * losses["consistency"], rtol=1e-3, atol=1e-4)
    assert not {"consistency", "consistency_share"} & set(expected)
    # An encoder that answers the same to all is as good as the mean of the slots at best.
    model = _model(**options, consistency=0.0)
    mean = tf.reduce_mean(model.encode(images["image"]), axis=[0, 1])
    width = model.encoder.output_shape[-1]
    constant = tf.concat([mean, tf.zeros([width - 4])], 0) + tf.zeros([400, 3, width])
    model.encoder = lambda x, training: constant[: len(x)]
    slots = tf.repeat(plain.encode(images["image"]), 100, axis=0)
    share = model._consistency(slots, SEED, training=True)["consistency_share"]
    assert np.mean(share) == pytest.approx(1, abs=0.05)


def test_consistency_moves_the_encoder_alone():
    model, images = _model(variational=False, beta=0.0, consistency=1.0), tf.constant(_images())
    with tf.GradientTape() as tape:
        losses = model.losses_on({"image": images}, SEED, START)
        consistency = tf.reduce_sum(losses["consistency"])
    decoder, encoder = model.decoder.trainable_variables, model.encoder.trainable_variables
    of_decoder, of_encoder = tape.gradient(consistency, [decoder, encoder])
    assert decoder and not any(g is not None for g in of_decoder)
    assert sum(float(tf.norm(g)) > 0 for g in of_encoder if g is not None) > len(encoder) / 2

    # Against finite differences along a direction, with the slots and their image held.
    slots = tf.constant(np.random.default_rng(0).normal(size=(4, 3, 4)), tf.float32)
    decoded = model.decode(slots)
    kernels = [w for w in model.encoder.trainable_variables if len(w.shape) == 2]
    with tf.GradientTape() as tape:
        error = tf.reduce_sum(matched_error(slots, model.encoder(decoded)))
    way = tape.gradient(error, kernels[-1])
    start, ends = tf.identity(kernels[-1]), []
    for sign in (1, -1):
        kernels[-1].assign(start + sign * 1e-2 * way / tf.norm(way))
        ends.append(float(tf.reduce_sum(matched_error(slots, model.encoder(decoded)))))
    assert (ends[0] - ends[1]) / 2e-2 == pytest.approx(float(tf.norm(way)), rel=0.02)


@pytest.mark.parametrize("variational", [True, False])
def test_training_moves_the_averages_of_networks_that_have_them(variational):
    def encoder(shape, slots, width):
        layers = [keras.layers.Flatten(), keras.layers.BatchNormalization()]
        layers += [keras.layers.Dense(slots * width), keras.layers.Reshape((slots, width))]
        return keras.Sequential([keras.Input(shape), *layers])

    model = SlotAutoencoder(
        SHAPE,
        slots=3,
        latent_dim=4,
        variational=variational,
        beta=0.05 * variational,
        alpha=0.0,
        consistency=0.1,
        slot_encoder=encoder,
        slot_decoder=DECODERS["broadcast"],
    )
    batch, average = {"image": _images()}, model.encoder.layers[1].moving_mean
    model.validation_losses_on(batch, SEED, START)
    model.encode(batch["image"])
    np.testing.assert_array_equal(average, 0 * average)
    model.losses_on(batch, SEED, START)
    assert np.abs(average).max() > 0


def test_codes_are_means_or_samples_of_fixed_noise():
    images = tf.constant(_images(200))
    mean, sample = _model(), _model(codes="sample")
    posterior = mean.posterior(images)
    np.testing.assert_array_equal(mean.encode(images), posterior.mean())
    drawn = sample.encode(images)
    np.testing.assert_array_equal(drawn, sample.encode(images))
    noise = ((drawn - posterior.mean()) / posterior.stddev()).numpy()
    # 2,400 standard normal numbers: standard errors 0.02 of the mean, 0.014 of the deviation.
    assert abs(noise.mean()) < 0.08 and abs(noise.std() - 1) < 0.06


def test_a_sampled_code_does_not_depend_on_the_images_beside_it():
    images, model = tf.constant(_images(6)), _model(codes="sample")
    alone = [model.encode(image[None])[0] for image in images]
    np.testing.assert_allclose(model.encode(images), alone, atol=1e-5)


@pytest.mark.parametrize("decoder", list(DECODERS))
def test_parts_add_up_to_the_image_and_move_with_the_slots(decoder):
    model = _model(decoder=decoder, alpha=0.0)
    latents = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    image, attention = model.decode(latents), model.attention(latents)
    assert image.shape == (2, *SHAPE) and attention.shape == (2, 16, 16, 3)
    np.testing.assert_allclose(tf.reduce_sum(attention, -1), 1, atol=1e-5)
    parts = model.slot_images(latents).numpy()
    assert parts.shape == (2, 3, *SHAPE)
    np.testing.assert_allclose(parts.sum(1), image, atol=1e-5)
    order = [2, 0, 1]
    moved = latents[:, order]
    np.testing.assert_allclose(model.decode(moved), image, atol=1e-5)
    np.testing.assert_allclose(model.slot_images(moved), parts[:, order], atol=1e-5)


@pytest.mark.parametrize(
    ("encoder", "decoder", "options"),
    [
        ("transformer", "transformer", {"pixel_stride": 2}),
        ("slot_attention", "broadcast", {"variational": False, "beta": 0.0, "alpha": 0.0}),
    ],
)
def test_a_handful_of_images_is_learned(encoder, decoder, options):
    model, batch = _model(encoder, decoder, **options), {"image": tf.constant(_images())}
    model.bind(Adam(3e-3))
    update = tf.function(model.update)
    losses = [
        float(update(batch, tf.constant([3, k]), tf.constant(k), 1)["reconstruction"])
        for k in range(80)
    ]
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:3])


def test_the_interaction_term_lowers_the_interaction():
    model, batch = _model(alpha=50.0), {"image": tf.constant(_images())}
    model.bind(Adam(3e-3))
    update = tf.function(model.update)
    first, *_, last = [
        float(update(batch, tf.constant([3, k]), tf.constant(k), 1)["interaction"])
        for k in range(50)
    ]
    assert last < 0.5 * first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"slots": 0}, "slots is 0; give at least 1"),
        ({"sigma": -1.0}, "sigma is -1.0; give a number that is not negative"),
        ({"consistency": -1.0}, "consistency is -1.0; give a number that is not negative"),
        ({"slots": 7, "consistency": 1.0}, "too many of 7; give at most 6 slots"),
        ({"layers": "max"}, "layers is 'max'; it takes mean, sum"),
        ({"codes": "mode"}, "codes is 'mode'; it takes mean, sample"),
        ({"variational": False}, "beta needs a variational model; set it to 0"),
        ({"pixel_stride": 0}, "SlotAutoencoder.pixel_stride is 0; give at least 1"),
        ({"pixel_stride": 3}, "pixel_stride is 3; it must divide the sides"),
        ({"decoder": "broadcast"}, "alpha needs a decoder that attends to slots"),
        ({"decoder": "broadcast", "alpha": 0.0, "pixel_stride": 2}, "decode some pixels only"),
    ],
)
def test_bad_settings_are_refused_in_one_line(options, message):
    with pytest.raises(ValueError, match=message) as raised:
        _model(**options)
    assert "\n" not in str(raised.value).strip()


def test_pictures_of_slots_are_drawn_with_masks_and_without():
    model, images = _model(slots=2, latent_dim=2), _images(2)
    masks = (images.sum(-1) > 0).astype(np.int64)
    magnitudes = np.random.default_rng(0).random((2, 16, 16, 2))
    for known in (None, masks):
        drawn = dict(slot_pictures(model, images, known, jacobian=lambda *_: magnitudes))
        assert list(drawn) == ["slot_images", "slot_attention", "slot_jacobian"]
        for picture in drawn.values():
            assert picture.dtype == np.uint8 and picture.std() > 1


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0.0), (5_000, 2.5e-4), (20_000, 5e-4), (30_000, 1e-4), (500_000, 1.148e-5)],
)
def test_the_published_learning_rate(step, rate):
    schedule = warm_up_and_decay(peak=5e-4, warm_up=10_000, hold=30_000, base=1e-4)
    assert float(schedule(tf.constant(step))) == pytest.approx(rate, rel=1e-3)
    optimizer = Adam(schedule)
    optimizer.iterations.assign(step)
    assert float(optimizer.learning_rate) == pytest.approx(rate, rel=1e-3)


def test_schedules_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="give 0 < warm_up <= hold"):
        warm_up_and_decay(peak=1.0, warm_up=10, hold=5, base=1.0)
    with pytest.raises(ValueError, match="warm_up_and_decay.factor is -1.0; give a number that is"):
        warm_up_and_decay(peak=1.0, warm_up=1, hold=5, base=1.0, factor=-1.0)
