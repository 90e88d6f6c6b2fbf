"""Two sprites on one canvas: sums where they are apart, and which pairs occur."""

import numpy as np
import pytest
import tensorflow as tf

from zoo import data
from zoo.data.renderers import dsprites
from zoo.data.zoo_sprite_pairs import memory


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(memory, "SIZES", {"train": 300, "validation": 10, "test": 10})


def alone(latents: np.ndarray, shape: int) -> np.ndarray:
    """`[N, 3]` (x, y, scale) to `[N, 64, 64, 1]` sprites as `dsprites.render` draws them."""
    axes = [np.array(dsprites.SPACE.axes[k].values) for k in (1, 3, 4)]
    scale, x, y = (
        np.abs(latents[:, [k]] - axis).argmin(1) for k, axis in zip((2, 0, 1), axes, strict=True)
    )
    factors = np.stack([np.full_like(scale, shape), scale, 0 * scale, x, y], axis=1)
    return dsprites.render(factors)


@pytest.mark.parametrize("config", memory.CONFIGS)
def test_images_are_those_of_the_latents_with_the_ellipse_in_front(config):
    pairs = memory.load(config, None)
    back = alone(pairs.latents[:, :3], 2)
    front = alone(pairs.latents[:, 3:], 1)
    assert (back * front).any() == config.startswith("occluding")
    expected = np.where(front, (222, 100, 100), back * np.array((2, 156, 154)))
    np.testing.assert_array_equal(pairs.images[:], expected)
    right = (pairs.latents[:, [0, 3]] > 0.5).all(1)
    part = config.partition("_")[2]
    assert right.any() == (part != "l") and right.all() == (part == "corner")


def test_tensorflow_gives_the_same_bytes():
    images = memory.load("occluding", None).images
    tables = {name: tf.constant(table) for name, table in images.tables.items()}
    index = np.array([5, 0, 319])
    gathered = tf.function(images.gather, jit_compile=True)(tables, tf.constant(index, tf.int32))
    np.testing.assert_array_equal(gathered, images[index])
    assert images[7].shape == (64, 64, 3) and images[:2].shape == (2, 64, 64, 3)


def test_a_set_is_loaded_by_name_and_its_splits_do_not_depend_on_later_ones(monkeypatch):
    whole = data.load("zoo_sprite_pairs/apart_l[train]")
    assert len(whole) == 300 and whole.latents.shape == (300, 6)
    monkeypatch.setattr(memory, "SIZES", {"train": 300, "validation": 10, "test": 3})
    shorter = data.load("zoo_sprite_pairs/apart_l[train]")
    np.testing.assert_array_equal(whole.latents, shorter.latents)
