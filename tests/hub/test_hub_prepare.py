"""Images of others as a model takes them, or a line that says what to do."""

import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import zoo
from zoo.hub.load import InputError

H, W = 4, 6


def model(channels=1, maximum=255, shape=None):
    """As much of a loaded model as is asked."""
    card = {"input": {"maximum": maximum}}
    return types.SimpleNamespace(image_shape=shape or (H, W, channels), card=card)


def pixels(channels=3, batch=2):
    return np.random.default_rng(0).integers(0, 256, (batch, H, W, channels)).astype(np.uint8)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x,
        lambda x: x.astype(np.int64),
        lambda x: x.astype(np.float64),
        lambda x: x / 255,
        lambda x: (x / 255).astype(np.float16).astype(np.float64),
        lambda x: np.moveaxis(x, -1, 1),
        lambda x: np.moveaxis(x, -1, 1) / 255,
        lambda x: x.tolist(),
        lambda x: [*x],
    ],
)
def test_the_same_images_in_other_forms(change):
    images = pixels()
    found = zoo.prepare(change(images), model(3))
    assert found.dtype == np.float32 and found.flags.c_contiguous
    np.testing.assert_allclose(found, images / 255, atol=1e-3)


def test_axes_that_are_missing_are_added():
    images = pixels(1)
    grey = model(1)
    expected = images / np.float32(255)
    np.testing.assert_allclose(zoo.prepare(images[..., 0], grey), expected)
    np.testing.assert_allclose(zoo.prepare(images[0, ..., 0], grey), expected[:1])
    np.testing.assert_allclose(zoo.prepare(images[0], grey), expected[:1])
    np.testing.assert_allclose(zoo.prepare(np.moveaxis(images, -1, 1), grey), expected)
    np.testing.assert_allclose(zoo.prepare(pixels()[0], model(3)), pixels()[:1] / 255, atol=1e-6)


def test_integers_are_divided_by_the_maximum_of_the_data_or_by_255():
    ones = np.ones((1, H, W, 1), np.uint8)
    assert zoo.prepare(ones, model(maximum=1)).max() == 1
    assert zoo.prepare(255 * ones, model(maximum=1)).max() == 1
    assert zoo.prepare(ones, model()).max() == np.float32(1 / 255)
    assert zoo.prepare(ones == 1, model()).max() == 1
    assert zoo.prepare(1000 * ones.astype(int), model(maximum=1000)).max() == 1


def test_other_observations_are_vectors():
    vectors = [[1, -2, 700]]
    np.testing.assert_array_equal(zoo.prepare(vectors, model(shape=(3,))), vectors)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3]), st.integers(0, 3))
def test_prepared_images_stay_as_they_are(seed, channels, batch):
    images = np.random.default_rng(seed).random((batch, H, W, channels), np.float32)
    np.testing.assert_array_equal(zoo.prepare(images, model(channels)), images)


@pytest.mark.parametrize(
    "images, said",
    [
        (np.zeros((2, 8, 8, 1)), r"the model's are \[B, 4, 6, 1\]; resize them to 4 x 6 first"),
        (np.zeros((2, H, W, 3)), r"the model has 1 channel: convert colour first"),
        (np.zeros((2, 3, H, W)), r"the model has 1 channel: convert colour first"),
        (np.zeros((5,)), "resize them"),
        (np.full((1, H, W, 1), 300), r"int64 images in 300\.\.300 are neither"),
        (np.full((1, H, W, 1), 300.0), "neither in"),
        (np.linspace(-1, 1, H * W).reshape(1, H, W, 1), r"are \(images \+ 1\) / 2"),
        (np.full((1, H, W, 1), np.nan), "neither in"),
        (np.full((1, H, W, 1), "a"), "wanted numbers"),
        ([[1, 2], [3]], "not one array"),
        (None, "wanted numbers"),
        (Image.new("P", (W, H)), r"mode P, whose .* image\.convert\('L'\)"),
        ([Image.new("L", (W, H)), Image.new("P", (W, H))], "mode P, whose"),
        (Image.new("HSV", (W, H)), "mode HSV, whose"),
    ],
)
def test_a_guess_is_refused_in_one_line(images, said):
    with pytest.raises(InputError, match=said) as error:
        zoo.prepare(images, model())
    assert "\n" not in str(error.value)
