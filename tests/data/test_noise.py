"""Pixel noise: its distribution, its independence, folding, and the same bytes in TensorFlow."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from zoo.data.dataset import DenseImages
from zoo.data.noise import NoisyImages
from zoo.data.zoo_dsprites import study


def flat(value, count=400, maximum=255.0, shape=(16, 16, 1)):
    """Images of one value."""
    return DenseImages(np.full((count, *shape), value, np.uint8), maximum)


def test_uniform_where_nothing_folds():
    noise = NoisyImages(flat(128), amplitude=0.2)[:].astype(int) - 128
    # 51 grey levels either way; the outermost two cover half a level each.
    counts = np.bincount(noise.ravel() + 51, minlength=103)
    expected = np.r_[0.5, np.ones(101), 0.5] / 102 * noise.size
    assert len(counts) == 103
    assert stats.chisquare(counts, expected).pvalue > 1e-3


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_neighbours_are_independent(axis):
    noise = NoisyImages(flat(128, shape=(32, 32, 1)), amplitude=0.2)[:][..., 0].astype(float)
    first, second = np.split(noise, 2, axis=axis)
    following = np.roll(noise, 1, axis=axis)
    for other, reference in ((second, first), (following, noise)):
        correlation = np.corrcoef(other.ravel(), reference.ravel())[0, 1]
        assert abs(correlation) < 4 / np.sqrt(reference.size)


@pytest.mark.parametrize(
    "noisy",
    [
        NoisyImages(flat(128, 16_384), amplitude=0.5),
        NoisyImages(flat(128, 16_384), amplitude=0.5, seed=3),
        study.NoisyBackground(DenseImages(np.zeros((1500, 64, 64, 1), np.uint8), 1.0)),
    ],
)
def test_no_image_has_the_noise_of_another_but_for_a_shift(noisy):
    values = noisy[:].reshape(len(noisy), -1)
    words = np.lib.stride_tricks.sliding_window_view(values, 8, axis=1)
    # Those that begin with 128 find each other wherever they are.
    words = np.ascontiguousarray(words[words[..., 0] == 128]).view(np.uint64)
    assert len(words) > 10_000 and len(np.unique(words)) == len(words)
    # Nor do image and pixel change places.
    side = min(values.shape)
    square = values[:side, :side]
    assert (square == square.T)[~np.eye(len(square), dtype=bool)].mean() < 0.02


def test_bits_of_neighbouring_counters_are_balanced():
    noise = NoisyImages(flat(128, 2000), amplitude=0.5, seed=3)[:].reshape(2000, -1)
    upper = noise > 128
    ones = upper.sum(0) / 2000
    assert np.abs(ones - 0.5).max() < 5 * 0.5 / np.sqrt(2000)
    agreement = (upper[1:] == upper[:-1]).mean(1)
    assert np.abs(agreement - 0.5).max() < 5 * 0.5 / np.sqrt(256)


@pytest.mark.parametrize(("value", "maximum"), [(0, 1.0), (1, 1.0), (0, 255.0), (255, 255.0)])
def test_range_folding_at_the_ends(value, maximum):
    noisy = NoisyImages(flat(value, maximum=maximum), amplitude=0.1)
    distance = np.abs(noisy[:].astype(int) - round(255 * value / maximum))
    assert distance.max() in (25, 26) and distance.min() == 0
    assert distance.mean() == pytest.approx(25.5 / 2, rel=0.01)


def test_amplitude_zero_changes_nothing_and_one_covers_all_greys():
    assert (NoisyImages(flat(77), 0.0)[:] == 77).all()
    assert np.unique(NoisyImages(flat(0), 1.0)[:]).size == 256


@pytest.mark.parametrize("shape", [(8, 8, 1), (5, 7, 3)])
@pytest.mark.parametrize("compiled", [False, True])
def test_tensorflow_gives_the_same_bytes(shape, compiled):
    values = np.random.default_rng(0).integers(0, 256, (60, *shape), dtype=np.uint8)
    noisy = NoisyImages(DenseImages(values), amplitude=0.175, seed=9)
    tables = {name: tf.constant(array) for name, array in noisy.tables.items()}
    index = tf.constant([0, 59, 7, 7], tf.int32)
    gathered = tf.function(noisy.gather, jit_compile=compiled)(tables, index)
    np.testing.assert_array_equal(gathered, noisy[index.numpy()])


def test_indexing_and_seeds():
    noisy = NoisyImages(flat(100, 50), 0.1)
    everything = noisy[:]
    np.testing.assert_array_equal(noisy[3], everything[3])
    np.testing.assert_array_equal(noisy[-1], everything[49])
    np.testing.assert_array_equal(noisy[[[4, 5], [6, 49]]], everything[[[4, 5], [6, 49]]])
    other = NoisyImages(flat(100, 50), 0.1, seed=1)[:]
    assert (other != everything).mean() > 0.9
    # Of other images, not those of seed 0 in another order.
    assert not {image.tobytes() for image in other} & {image.tobytes() for image in everything}
    with pytest.raises(ValueError, match="between 0 and 1"):
        NoisyImages(flat(0), 1.5)
