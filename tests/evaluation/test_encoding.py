"""Encoding: compiled where it may be, the same codes either way, each image read as it is."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo import evaluation
from zoo.data.dataset import DenseImages
from zoo.evaluation.encoding import CachedCodes

PIXELS = np.random.default_rng(0).integers(0, 256, (300, 8, 8, 3)).astype(np.uint8)
IMAGES = DenseImages(PIXELS)


def convolutional():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(6, 3, 2, activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(5),
        ]
    )


class CountingModel(keras.Model):
    """Counts the calls of Python code by batch size; codes of an axis more where asked for."""

    def __init__(self, code_shape=(5,)):
        super().__init__()
        self.network, self._code_shape, self._calls = convolutional(), code_shape, []

    def encode(self, images):
        self._calls.append(int(images.shape[0]))
        return tf.reshape(self.network(images), [-1, *self._code_shape])


def by_hand(model):
    images = PIXELS.astype(np.float32) / 255
    return np.asarray(model.network(images)).reshape(len(images), -1)


@pytest.mark.parametrize("batch_size", [64, 100, 128, 512])
@pytest.mark.parametrize("code_shape", [(5,), (5, 1)])
def test_compiled_codes_are_those_of_the_eager_model(batch_size, code_shape):
    model = CountingModel(code_shape)
    codes_of = CachedCodes(model.encode, IMAGES, batch_size)
    numbers = np.random.default_rng(1).integers(0, 300, 500)
    found = codes_of(numbers)
    np.testing.assert_allclose(found, by_hand(model)[numbers], atol=1e-5)
    assert codes_of.code_shape == code_shape
    # Traced only: no batch has gone through Python.
    assert len(model._calls) <= 2
    np.testing.assert_allclose(codes_of(np.arange(300)), by_hand(model), atol=1e-5)
    assert len(model._calls) <= 2


def test_new_weights_need_no_new_trace():
    model = CountingModel()
    CachedCodes(model.encode, IMAGES, 64)(np.arange(10))
    model._calls.clear()
    model.network.set_weights([weight + 0.1 for weight in model.network.get_weights()])
    found = CachedCodes(model.encode, IMAGES, 64)(np.arange(10))
    np.testing.assert_allclose(found, by_hand(model)[:10], atol=1e-5)
    assert not model._calls


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.float32, np.float64])
def test_images_of_any_type(dtype):
    pixels = (PIXELS[:80] > 128) if dtype is bool else PIXELS[:80].astype(dtype)
    maximum = 1.0 if dtype is bool else 255.0
    model = CountingModel()
    found = CachedCodes(model.encode, DenseImages(pixels, maximum), 64)(np.arange(80))
    images = pixels.astype(np.float32) / np.float32(maximum)
    np.testing.assert_allclose(found, model.network(images), atol=1e-5)
    assert len(model._calls) <= 2


def test_methods_that_need_numpy_are_called_as_they_are():
    class Numpy(tf.Module):
        def encode(self, images):
            return np.asarray(images).reshape(len(images), -1)[:, :4]

    class Stepwise(CountingModel):
        def encode(self, images):
            return self.network(images).numpy()

    found = CachedCodes(Numpy().encode, IMAGES, 64)(np.arange(70))
    np.testing.assert_allclose(found, PIXELS[:70].reshape(70, -1)[:, :4] / 255, atol=1e-6)
    model = Stepwise()
    found = CachedCodes(model.encode, IMAGES, 64)(np.arange(70))
    np.testing.assert_allclose(found, by_hand(model)[:70], atol=1e-5)


def test_other_callables_see_full_batches_of_floats():
    seen = []

    def encode(images):
        seen.append((images.shape, images.dtype, float(images.max())))
        return images.reshape(len(images), -1)

    CachedCodes(encode, IMAGES, 128)(np.arange(300))
    assert [shape for shape, _, _ in seen] == [(128, 8, 8, 3)] * 3
    assert all(kind == np.float32 and most <= 1 for _, kind, most in seen)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda codes: codes[:3], r"codes of shape \(3, 5\) from 64 images"),
        (lambda codes: codes[:, 0], r"codes of shape \(64,\) from 64 images"),
        (lambda codes: codes / 0.0, "not finite"),
    ],
)
def test_what_is_wrong_is_said_of_compiled_encoders_too(made, message):
    class Wrong(CountingModel):
        def encode(self, images):
            return made(super().encode(images))

    with pytest.raises(ValueError, match=message):
        CachedCodes(Wrong().encode, IMAGES, 64)(np.arange(300))


@pytest.mark.parametrize("error", [ValueError("no such layer"), KeyError("weights"), RuntimeError])
def test_an_encoder_with_a_defect_is_not_called_another_way(error):
    calls = []

    class Defective(CountingModel):
        def encode(self, images):
            calls.append(images)
            raise error

    with pytest.raises(error if isinstance(error, type) else type(error)) as raised:
        CachedCodes(Defective().encode, IMAGES, 64)(np.arange(70))
    assert len(calls) == 1 and tf.is_tensor(calls[0])
    assert isinstance(error, type) or str(error) in str(raised.value)


def test_codes_of_a_length_that_only_running_tells_are_compiled_too():
    class Filtering(CountingModel):
        def encode(self, images):
            codes = super().encode(images)
            return tf.boolean_mask(codes, tf.ones(tf.shape(codes)[:1], bool))

    model = Filtering()
    found = CachedCodes(model.encode, IMAGES, 64)(np.arange(70))
    np.testing.assert_allclose(found, by_hand(model)[:70], atol=1e-5)
    assert len(model._calls) <= 2


def test_codes_whose_length_turns_out_wrong_are_explained():
    class Filtering(CountingModel):
        def encode(self, images):
            return tf.boolean_mask(super().encode(images), tf.range(tf.shape(images)[0]) < 3)

    with pytest.raises(evaluation.InputError, match=r"codes of shape \(3, 5\) from 64 images"):
        CachedCodes(Filtering().encode, IMAGES, 64)(np.arange(300))
