"""Color- and Noisy-dSprites: their definition in the study of Locatello et al. 2019."""

import numpy as np
import pytest
from scipy import stats

from zoo import data
from zoo.data.dataset import DenseImages
from zoo.data.zoo_dsprites import memory, study

CONFIGS = ("color", "noisy_background")


@pytest.fixture(scope="module")
def sprites(grids):
    """Ids, masks `[B, 64, 64]`, and the images of both configs."""
    load = {c: data.load(f"zoo_dsprites/{c}", grids) for c in ("rendered", *CONFIGS)}
    ids = load["rendered"].some(1500, seed=5)
    inside = load["rendered"].images[ids][..., 0] == 1
    return ids, inside, *(load[c].images[ids] for c in CONFIGS)


def test_a_sprite_has_one_colour_on_black(sprites):
    _, inside, colour, _ = sprites
    assert colour.shape == (1500, 64, 64, 3) and colour.dtype == np.uint8
    assert not colour[~inside].any()
    brightest = colour.max((1, 2))
    np.testing.assert_array_equal(colour, inside[..., None] * brightest[:, None, None])


def test_channels_are_uniform_on_the_upper_half_and_independent(sprites):
    ids, _, colour, _ = sprites
    # [127.5, 255] to the nearest integer: 255 has half a level.
    found = colour.max((1, 2))
    expected = np.r_[np.ones(127), 0.5] / 127.5 * found.size
    counts = np.bincount(found.ravel(), minlength=256)
    assert not counts[:128].any()
    assert stats.chisquare(counts[128:], expected).pvalue > 1e-3
    correlations = np.corrcoef(np.column_stack([found, memory.SPACE.factors(ids)]).T)
    assert np.abs(correlations[:3] - np.eye(3, 8)).max() < 4.5 / np.sqrt(len(ids))


def test_the_background_is_uniform_noise_and_the_sprite_white(sprites):
    _, inside, _, noisy = sprites
    assert noisy.shape == (1500, 64, 64, 3) and (noisy[inside] == 255).all()
    background = noisy[:100][~inside[:100]]
    # [0, 255] to the nearest integer: both ends have half a level.
    expected = np.r_[0.5, np.ones(254), 0.5] / 255 * background.size
    counts = np.bincount(background.ravel(), minlength=256)
    assert stats.chisquare(counts, expected).pvalue > 1e-3


@pytest.mark.parametrize("shift", [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)])
def test_noise_is_independent_over_images_pixels_and_channels(shift):
    flat = study.NoisyBackground(DenseImages(np.zeros((60, 64, 64, 1), np.uint8), 1.0))
    noise = flat[:].astype(float)
    other = np.roll(noise, shift, axis=(0, 1, 2, 3))
    assert abs(np.corrcoef(noise.ravel(), other.ravel())[0, 1]) < 4.5 / np.sqrt(noise.size)


def test_a_single_image_and_any_shape_of_ids(grids):
    for config in CONFIGS:
        dataset = data.load(f"zoo_dsprites/{config}", grids)
        ids = np.array([[3, 700_000], [5, 3]])
        some = dataset.images[ids]
        assert some.shape == (2, 2, 64, 64, 3)
        np.testing.assert_array_equal(some[1, 1], dataset.images[3])
        np.testing.assert_array_equal(dataset.images[-1], dataset.images[737_279])
        assert dataset.space is data.load("zoo_dsprites/noisy", grids).space
        with pytest.raises(ValueError, match="takes no network; zoo_dsprites/perturbed does"):
            data.load(f"zoo_dsprites/{config}/network=somewhere", grids)


def test_colours_are_those_of_the_first_version():
    flat = study.ColouredSprites(DenseImages(np.ones((5, 1, 1, 1), np.uint8), 1.0))
    expected = [[128, 130, 135], [216, 190, 172], [239, 228, 187], [181, 155, 204], [154, 192, 202]]
    np.testing.assert_array_equal(flat[:].reshape(5, 3), expected)
