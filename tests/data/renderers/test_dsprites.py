"""The dSprites renderer: agreement with genuine images, symmetries, exact reproduction."""

import hashlib
import itertools
import json
import pathlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.data.renderers import dsprites

ROOT = pathlib.Path(__file__).resolve().parents[3]
FRAMES = ROOT / "../shared/reference/dsprites_frames.npz"
GOLDEN = ROOT / "tests/golden/dsprites.json"

factor_rows = st.tuples(*(st.integers(0, size - 1) for size in dsprites.SPACE.sizes))


def walk():
    """The factors of the 320 frames of the original animation, `[320, 5]`."""
    scales, turns, places = list(range(6)), range(40), list(range(32))
    up_down_up = scales + scales[::-1] + scales

    def shape(number, at_full_scale):
        return [
            *((number, s, 0, 0, 0) for s in up_down_up),
            *((number, 5, o, 0, 0) for o in turns),
            *at_full_scale,
            *((number, s, 39, 0, 0) for s in scales[::-1]),
        ]

    moves = [
        *((2, 5, 39, 0, y) for y in places),
        *((2, 5, 39, x, 31) for x in places),
        *((2, 5, 39, 31, y) for y in places[::-1]),
        *((2, 5, 39, x, 0) for x in places[::-1]),
    ]
    return np.array(shape(2, moves) + shape(1, []) + shape(0, []))


@pytest.fixture(scope="module")
def genuine():
    """Factors and images of the genuine frames."""
    if not FRAMES.exists():
        pytest.skip("the reference frames of dSprites are not here")
    with np.load(FRAMES) as file:
        return walk()[file["frame_index"]], file["frames"].astype(bool)


def intersection_over_union(a, b):
    return (a & b).sum((1, 2)) / (a | b).sum((1, 2))


def test_agrees_with_every_genuine_frame(genuine):
    factors, frames = genuine
    drawn = dsprites.render(factors)[..., 0].astype(bool)
    assert len(frames) == 160
    assert (drawn == frames).mean() >= 0.99998
    assert intersection_over_union(drawn, frames).min() >= 0.985


def test_geometry_fitted_on_half_of_the_frames_predicts_the_other(genuine, monkeypatch):
    factors, frames = genuine
    grids = {
        "_HALF_SIDE": [np.arange(9.55, 9.65, 0.002)],
        "_SEMI_AXES": [np.arange(12.73, 12.81, 0.004), np.arange(7.18, 7.25, 0.0025)],
        "_HEART": [
            np.arange(9.58, 9.612, 0.004),
            np.arange(0.660, 0.665, 0.0005),
            np.arange(1.429, 1.450, 0.002),
        ],
    }
    # The animation shows some images several times: they stay together.
    images = np.unique(frames.reshape(len(frames), -1), axis=0, return_inverse=True)[1]
    fitted = np.isin(images, np.random.default_rng(0).permutation(images.max() + 1)[::2])
    for shape, (constant, axes) in enumerate(grids.items()):
        mine = fitted & (factors[:, 0] == shape)
        u, v, white = boundary(factors[mine], frames[mine])
        grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, len(axes))
        errors = []
        for value in grid:
            monkeypatch.setattr(dsprites, constant, value if len(axes) > 1 else value[0])
            errors.append((dsprites.inside(shape, u, v) != white).sum())
        best = grid[np.array(errors) == min(errors)].mean(0)
        monkeypatch.setattr(dsprites, constant, best if len(axes) > 1 else best[0])
    drawn = dsprites.render(factors[~fitted])[..., 0].astype(bool)
    assert (drawn == frames[~fitted]).mean() >= 0.9998
    assert intersection_over_union(drawn, frames[~fitted]).min() >= 0.97


def boundary(factors, frames):
    """Pixels next to one of another colour: where they are on the unturned shape, and their colour.

    Written independently of the renderer, from the description in the reference's README.
    """
    edges = np.zeros_like(frames)
    for axis, step in itertools.product((1, 2), (-1, 1)):
        edges |= frames != np.roll(frames, step, axis)
    which, row, column = np.nonzero(edges)
    _, scale, orientation, x, y = factors[which].T
    angle, size = 2 * np.pi * orientation / 39, 0.5 + 0.1 * scale
    right = (column + 0.5 - (16 + 32 * x / 31)) / size
    down = (row + 0.5 - (16 + 32 * y / 31)) / size
    u = np.cos(angle) * right - np.sin(angle) * down
    v = np.sin(angle) * right + np.cos(angle) * down
    return u, v, frames[edges]


def test_heart_is_the_parametric_curve():
    a, k, b = 9.595, 0.662, 1.437
    t = np.linspace(0.01, np.pi - 0.01, 200)
    x = a * np.sin(t) ** 3
    y = -b - k * (13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t))
    up = np.where(t < np.pi / 2, -1e-3, 1e-3)
    for sign in (-1, 1):
        assert not dsprites.inside(2, sign * x, y + up).any()
        assert dsprites.inside(2, sign * x, y - up).all()


def test_areas():
    exact = [(2 * 9.598) ** 2, np.pi * 12.767 * 7.2125]
    for shape, area in enumerate(exact):
        images = dsprites.render([[shape, 5, o, x, 9] for o in range(39) for x in range(31)])
        assert images.sum((1, 2, 3)).mean() == pytest.approx(area, rel=1e-3)


@given(factor_rows)
def test_mirror_images(row):
    shape, scale, orientation, x, y = row
    image, mirrored = dsprites.render([row, (shape, scale, 39 - orientation, 31 - x, y)])
    np.testing.assert_array_equal(image[:, ::-1], mirrored)


@given(factor_rows)
def test_a_full_turn_changes_nothing_and_larger_sprites_cover_smaller(row):
    shape, scale, orientation, x, y = row
    first, last = dsprites.render([(shape, scale, 0, x, y), (shape, scale, 39, x, y)])
    np.testing.assert_array_equal(first, last)
    sizes = dsprites.render([(shape, s, orientation, x, y) for s in range(6)]).astype(int)
    assert (np.diff(sizes, axis=0) >= 0).all()
    assert (np.diff(sizes.sum((1, 2, 3))) > 0).all()


@pytest.mark.parametrize("pose", [(0, 5, 5), (1, 2, 17), (2, 0, 38), (2, 5, 0)])
def test_windows_hold_the_rendered_images(pose):
    table = dsprites.pose_windows(*pose)
    positions = [(x, y) for x in (0, 1, 13, 30, 31) for y in (0, 7, 31)]
    images = dsprites.render([(*pose, x, y) for x, y in positions])
    for (x, y), image in zip(positions, images, strict=True):
        composed = np.zeros((64, 64, 1), np.uint8)
        for row, bits in enumerate(table[x, y].tolist()):
            for column in range(29):
                place = dsprites.origins(y) + row, dsprites.origins(x) + column
                composed[place] = bits >> column & 1
        np.testing.assert_array_equal(composed, image)


def test_images_are_the_same_everywhere():
    golden = json.loads(GOLDEN.read_text())
    numbers = np.linspace(0, len(dsprites.SPACE) - 1, golden["images"]).astype(int)
    images = dsprites.render(dsprites.SPACE.factors(numbers))
    assert hashlib.sha256(images.tobytes()).hexdigest() == golden["images_sha256"]


def test_shapes_of_results_and_bad_factors():
    assert dsprites.render(np.zeros((2, 3, 5), int)).shape == (2, 3, 64, 64, 1)
    assert dsprites.render([0, 0, 0, 0, 0]).shape == (64, 64, 1)
    with pytest.raises(ValueError, match="outside its range"):
        dsprites.render([3, 0, 0, 0, 0])
