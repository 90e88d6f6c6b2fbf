"""Images of two balls: the drawing against its formula, and the latent supports."""

import hashlib
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo import data
from zoo.data.renderers import balls
from zoo.data.zoo_balls import memory, supports

ROOT = pathlib.Path(__file__).resolve().parents[2]
WHITE = 255.0


def coverage(distance, style):
    if style is balls.DISC:
        return np.clip(10.5 - distance, 0, 1)
    r2 = (distance / 12.6) ** 2
    return np.where(r2 < 1, np.e * np.exp(-1 / np.where(r2 < 1, 1 - r2, 1)), 0)


def formula(positions, style, steps):
    """One image in floating point, from the continuous positions of both centres."""
    if style is balls.BUMP:  # on the grid linspace(0, 1, 64)
        pixel, shift = 63 * np.asarray(positions), 0
    else:
        pixel, shift = 64 * np.asarray(positions), 0.5
    centre = np.rint((pixel - shift) * steps) / steps if steps else np.floor(pixel)
    column, row = np.meshgrid(np.arange(64), np.arange(64))
    a1, a2 = (coverage(np.hypot(column - x, row - (63 - y)), style)[..., None] for x, y in centre)
    a1 = np.minimum(a1, 1 - a2)
    colour1, colour2 = np.array(style.colours)
    return WHITE * (1 - a1 - a2) + colour1 * a1 + colour2 * a2


@pytest.mark.parametrize("steps", [None, 1, 16, 100])
@pytest.mark.parametrize("style", [balls.DISC, balls.BUMP])
def test_images_follow_the_formula(style, steps):
    positions = np.random.default_rng(0).uniform(0, 1, (12, 2, 2))
    images = balls.BallImages(positions, style, steps)
    for image, centres in zip(images[:], positions, strict=True):
        difference = image - formula(centres, style, steps)
        # Both balls are rounded on their own: at most twice.
        assert np.abs(difference).max() <= (1.0 if style is balls.DISC else 2.0) + 1e-9
        if style is balls.BUMP:
            assert difference.max() <= 1e-9  # rounded down, as the original


def test_front_and_back_colours_and_size():
    (image,) = balls.BallImages([[[0.25, 0.5], [0.75, 0.25]]])[:]
    np.testing.assert_array_equal(image[31, 16], (2, 156, 154))
    np.testing.assert_array_equal(image[63 - 16, 48], (222, 100, 100))
    assert (image[0] == 255).all()
    inside = (image == (2, 156, 154)).all(-1).sum()
    touched = (image[:, :32] != 255).any(-1).sum()
    assert inside < np.pi * 10**2 < touched
    (image,) = balls.BallImages([[[0.5, 0.5], [0.5, 0.5]]])[:]
    assert not (image == (2, 156, 154)).all(-1).any()


def test_whole_pixels_are_those_of_the_original():
    images = balls.BallImages([[[0.25, y], [0.75, 0.5]] for y in (0.5, 0.515, 0.5157)])[:]
    np.testing.assert_array_equal(images[0], images[1])  # both int(64 y) = 32
    np.testing.assert_array_equal(images[2, :-1, :32], images[0, 1:, :32])  # 33: one row up


def test_subpixel_images_move_with_every_step():
    y = 0.5 + np.arange(64) / 64 / 64
    positions = np.stack([np.stack([0 * y + 0.25, y], 1), np.full((64, 2), 0.75)], 1)
    images = balls.BallImages(positions, steps=256)[:].astype(int)
    darkness = (255 - images[:, :, :32]).sum((2, 3))
    centre = (darkness * np.arange(64)).sum(1) / darkness.sum(1)
    np.testing.assert_allclose(63 - centre, 64 * y - 0.5, atol=0.02)
    # The ball keeps its mass wherever it is.
    np.testing.assert_allclose(darkness.sum(1), darkness.sum(1).mean(), rtol=2e-3)
    assert all((a != b).any() for a, b in zip(images, images[1:], strict=False))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(0, 1), min_size=4, max_size=4),
    st.sampled_from([balls.DISC, balls.BUMP]),
    st.sampled_from([None, 4]),
)
def test_tensorflow_gives_the_same_bytes(position, style, steps):
    images = balls.BallImages(np.reshape([position, position[::-1]], (2, 2, 2)), style, steps)
    tables = {name: tf.constant(table) for name, table in images.tables.items()}
    gathered = images.gather(tables, tf.constant([1, 0, 1])).numpy()
    assert gathered.dtype == np.uint8
    np.testing.assert_array_equal(gathered, images[[1, 0, 1]])


def test_gather_compiles_under_xla():
    images = memory.load("independent", None).images
    tables = {name: tf.constant(table) for name, table in images.tables.items()}
    compiled = tf.function(images.gather, jit_compile=True)
    index = tf.constant([0, 12_499, 77], tf.int32)
    np.testing.assert_array_equal(compiled(tables, index), images[index.numpy()])


def test_indexing_is_that_of_arrays():
    images = balls.BallImages(np.random.default_rng(0).uniform(0.1, 0.9, (130, 2, 2)))
    everything = images[:]
    assert everything.shape == images.shape == (130, 64, 64, 3) and len(images) == 130
    for index in (3, -1, np.int64(7), slice(5, 90, 3), np.array([[1, 2], [3, 0]]), [4, 4]):
        np.testing.assert_array_equal(images[index], everything[index])


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        (np.full((1, 2, 2), 1.2), "outside the unit square"),
        (np.full((1, 2, 2), np.nan), "outside the unit square"),
        (np.zeros((1, 4)), r"positions of shape \(1, 4\)"),
    ],
)
def test_bad_positions_are_refused(positions, message):
    with pytest.raises(ValueError, match=message):
        balls.BallImages(positions)


def share(condition):
    return np.mean(condition)


def latents(config):
    return memory.latents(config).astype(np.float64)


def test_scalar_supports():
    y1, y2 = latents("l_shape").T
    assert ((y1 < 0.5) | (y2 <= 0.5)).all()
    assert share(y1 < 0.5) == pytest.approx(0.5, abs=0.01)
    assert share(y2[y1 < 0.5] > 0.5) == pytest.approx(0.5, abs=0.01)
    y1, y2 = latents("disconnected").T
    assert ((y2 <= 0.25 + 1e-6) | (y2 >= 0.75 - 1e-6)).all()
    assert share(y2 < 0.5) == pytest.approx(0.5, abs=0.01)
    y1, y2 = latents("u_shape").T
    inner = (y2 > 0.34 + 1e-6) & (y2 < 0.65 - 1e-6)
    assert not inner[y1 >= 0.3].any()
    assert share(inner[y1 < 0.3]) == pytest.approx(0.31 / 0.8, abs=0.02)
    assert share(y2[y1 >= 0.3] < 0.5) == pytest.approx(0.5, abs=0.01)
    z = latents("extrapolation")
    assert z.min() >= 0.5 and z.max() <= np.float32(0.9)
    np.testing.assert_allclose(z.mean(0), 0.7, atol=0.01)
    for config in ("l_shape", "disconnected", "u_shape"):
        z = latents(config)
        assert z.min() >= 0.1 - 1e-6 and z.max() <= 0.9 + 1e-6
        assert z[:, 0].mean() == pytest.approx(0.5, abs=0.01)


def test_bump_supports():
    z = latents("bump_l_shape")
    assert (z <= 0.5).any(1).all() and z.min() >= 0 and z.max() <= 1
    # Uniform on the L: a third of it is its corner.
    assert share((z <= 0.5).all(1)) == pytest.approx(1 / 3, abs=0.01)
    assert (latents("bump_extrapolation") > 0.5).all()


@pytest.mark.parametrize(
    ("config", "beyond"),
    [
        ("dependent_linear", lambda x, y: x + y - 1),
        ("dependent_nonlinear", lambda x, y: 1.25 * (x**2 + y**2) - 1),
    ],
)
def test_dependent_supports(config, beyond):
    x1, y1, x2, y2 = latents(config).T
    margin = beyond(x1, y1)
    upper_left = (x2 <= 0.5) & (y2 >= 0.5)
    lower_right = (x2 >= 0.5) & (y2 <= 0.5)
    assert upper_left[margin > 1e-6].all() and lower_right[margin < -1e-6].all()
    assert 0.2 < share(upper_left) < 0.8


@pytest.mark.parametrize("config", ["independent", "dependent_linear", "dependent_nonlinear"])
def test_balls_of_block_sets_do_not_overlap(config):
    z = latents(config)
    assert (((z[:, :2] - z[:, 2:]) ** 2).sum(1) >= 0.1024 - 1e-6).all()
    assert z.min() >= 0.1 - 1e-6 and z.max() <= 0.9 + 1e-6


def test_traversals_are_grids():
    for axis in ("x", "y"):
        dataset = memory.load(f"traversal_{axis}", None)
        assert dataset.space.names == (f"{axis}1", f"{axis}2") and len(dataset) == 81
        assert len(np.unique(dataset.latents, axis=0)) == 81
        np.testing.assert_allclose(dataset.latents[10], [0.2, 0.2])
        fixed = dataset.extras["positions"][:, :, "xy".index(axis) - 1]
        np.testing.assert_array_equal(fixed, np.broadcast_to([0.25, 0.75], (81, 2)))
        assert memory.sizes(f"traversal_{axis}") == {"test": 81}


@pytest.mark.parametrize("config", memory.CONFIGS)
def test_every_config_loads(config):
    dataset = memory.load(config, None)
    assert dataset.images.shape[0] == len(dataset.latents) == sum(memory.sizes(config).values())
    assert dataset.latents.shape[1] == len(memory.latent_names(config))
    image = dataset.images[0]
    assert image.shape == (64, 64, 3) and 240 < image.mean() + 30 < 285
    expected = supports.positions(
        dataset.latents[:1], "x" if "traversal_x" in config else "y"
    ).astype(np.float32)
    np.testing.assert_array_equal(dataset.extras["positions"][:1], expected)


def test_splits_are_parts_of_the_whole():
    whole = memory.load("u_shape", None)
    test = data.load("zoo_balls/u_shape[test]")
    np.testing.assert_array_equal(test.ids, np.arange(62_500, 112_500))
    np.testing.assert_array_equal(np.bincount(whole.extras["split"]), [50_000, 12_500, 50_000])


def test_another_process_gives_the_same_bytes():
    code = (
        "import hashlib; from zoo.data.zoo_balls import memory;"
        "d = memory.load('dependent_nonlinear_subpixel', None);"
        "print(hashlib.sha256(d.images[::5000].tobytes() + d.latents.tobytes()).hexdigest())"
    )
    theirs = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT)
    dataset = memory.load("dependent_nonlinear_subpixel", None)
    ours = hashlib.sha256(dataset.images[::5000].tobytes() + dataset.latents.tobytes())
    assert theirs.strip() == ours.hexdigest()
