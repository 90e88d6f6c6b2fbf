"""PNG files read back by other decoders."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from zoo.data import png


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("kind", ["noise", "ramp", "binary"])
def test_round_trip(channels, kind):
    rng = np.random.default_rng(0)
    shape = (5, 17, 23, channels)
    images = {
        "noise": rng.integers(0, 256, shape),
        "ramp": np.cumsum(np.ones(shape), axis=1) * 9,
        "binary": rng.random(shape) < 0.1,
    }[kind].astype(np.uint8)
    for image, encoded in zip(images, png.encode(images), strict=True):
        np.testing.assert_array_equal(tf.io.decode_png(encoded, channels), image)
        opened = np.asarray(Image.open(io.BytesIO(encoded)))
        np.testing.assert_array_equal(opened.reshape(image.shape), image)


def test_flat_images_are_small_and_noise_hardly_grows():
    flat, noise = np.zeros((2, 1, 64, 64, 3), np.uint8)
    noise[:] = np.random.default_rng(0).integers(0, 256, noise.shape)
    assert len(png.encode(flat)[0]) < 250
    assert len(png.encode(noise)[0]) < 1.02 * noise.size + 100


def test_other_arrays_are_refused():
    with pytest.raises(ValueError, match="uint8 images of shape"):
        png.encode(np.zeros((2, 8, 8, 3), np.float32))
    with pytest.raises(ValueError, match="uint8 images of shape"):
        png.encode(np.zeros((8, 8, 3), np.uint8))
