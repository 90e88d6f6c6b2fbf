"""Multi-object Sprites: the drawing against Spriteworld's rules, and the files on disk."""

import dataclasses
import hashlib
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw

from zoo.data.dataset import DenseImages
from zoo.data.renderers import sprites
from zoo.data.zoo_sprites import memory, prepare
from zoo.errors import UserError

ROOT = pathlib.Path(__file__).resolve().parents[2]
SMALL = prepare.Config({"train": 500, "validation": 30, "test": 20}, (2, 4), seed=1)


def plain(factors, count, wrap=True):
    """The rules word for word: two canvases five times as large, the whole of both brought down."""
    colours, owners = Image.new("RGB", (320, 320)), Image.new("L", (320, 320))
    for number, (x, y, scale, hue, shape) in enumerate(factors[:count].tolist(), start=1):
        sides, first = ((4, np.pi / 4), (3, np.pi / 2), (30, 0))[int(shape)]
        angles = first + 2 * np.pi * np.arange(sides) / sides
        outline = np.stack([np.cos(angles), np.sin(angles)], 1)
        outline /= np.sqrt(area(outline))
        corners = (320 * ((x, y) + scale * outline)).ravel().tolist()
        ImageDraw.Draw(colours).polygon(corners, fill=sprites.rgb(hue, wrap))
        ImageDraw.Draw(owners).polygon(corners, fill=number)
    image = np.asarray(colours.resize((64, 64), Image.Resampling.LANCZOS))[::-1]
    points = np.asarray(owners).reshape(64, 5, 64, 5)
    votes = np.stack([(points == number).sum((1, 3)) for number in range(count + 1)])
    return image, votes.argmax(0)[::-1]


def area(outline):
    x, y = outline.T
    return abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2


def test_drawing_is_that_of_the_whole_canvas():
    for factors, count in zip(*sprites.sample(0, 0, 100), strict=True):
        image, mask = sprites.render(factors, count)
        expected_image, expected_mask = plain(factors, count)
        np.testing.assert_array_equal(image, expected_image)
        np.testing.assert_array_equal(mask, expected_mask)


def test_shapes_have_unit_area_and_their_corners():
    assert [len(outline) for outline in sprites._OUTLINES] == [4, 3, 30]
    for outline in sprites._OUTLINES:
        assert area(outline) == pytest.approx(1)
    square, triangle, _ = sprites._OUTLINES
    np.testing.assert_allclose(np.abs(square), 0.5)
    np.testing.assert_allclose(triangle[0], [0, triangle[:, 1].max()], atol=1e-12)


def test_colours_wrap_as_the_original_or_clip():
    assert sprites.rgb(0.1) == (255, 206, 2)
    assert sprites.rgb(0.1, wrap=False) == (255, 0, 0)
    for hue in np.linspace(0, 1, 50):
        wrapped, clipped = sprites.rgb(hue), sprites.rgb(hue, wrap=False)
        assert all(c == max(c, 0) for c in clipped) and max(clipped) == 255
        assert all(w == c for w, c in zip(wrapped, clipped, strict=True) if c > 0)


def test_y_points_up_and_x_right():
    factors = np.array([[0.2, 0.75, 0.12, 0.0, 0]], np.float32)
    image, mask = sprites.render(factors, 1)
    rows, columns = np.nonzero(mask)
    assert rows.mean() == pytest.approx((1 - 0.75) * 64 - 0.5, abs=0.6)
    assert columns.mean() == pytest.approx(0.2 * 64 - 0.5, abs=0.6)
    assert mask.sum() == pytest.approx((0.12 * 64) ** 2, rel=0.2)
    assert tuple(image[rows[len(rows) // 2], columns[len(rows) // 2]]) == sprites.rgb(0.0)


def test_later_objects_cover_earlier_ones():
    below = [0.5, 0.5, 0.15, 0.0, 0]
    above = [0.5, 0.5, 0.1, 0.5, 0]
    _, mask = sprites.render(np.array([below, above], np.float32), 2)
    assert mask[32, 32] == 2 and set(np.unique(mask)) == {0, 1, 2}
    _, mask = sprites.render(np.array([above, below], np.float32), 2)
    assert set(np.unique(mask)) == {0, 2}


def test_factors_have_the_ranges_of_the_paper():
    factors, count = sprites.sample(3, 0, 20_000)
    assert sorted(np.unique(count)) == [2, 3, 4]
    np.testing.assert_allclose(np.bincount(count)[2:] / len(count), 1 / 3, atol=0.015)
    there = np.arange(4) < count[:, None]
    assert (factors[~there] == 0).all()
    drawn = factors[there]
    assert (drawn.min(0) >= np.float32([0.1, 0.1, 0.1, 0, 0])).all()
    assert (drawn.max(0) <= np.float32([0.8, 0.8, 0.15, 1, 2])).all()
    np.testing.assert_allclose(drawn.mean(0), [0.45, 0.45, 0.125, 0.5, 1], atol=0.02)
    assert np.abs(np.corrcoef(drawn.T) - np.eye(5)).max() < 0.02


def test_an_image_depends_on_its_number_alone():
    factors, count = sprites.sample(5, 0, 100, (2, 3))
    for start, stop in ((0, 1), (17, 40), (99, 100), (50, 50)):
        part, part_count = sprites.sample(5, start, stop, (2, 3))
        np.testing.assert_array_equal(part, factors[start:stop])
        np.testing.assert_array_equal(part_count, count[start:stop])
    assert not np.array_equal(sprites.sample(6, 0, 100, (2, 3))[0], factors)


_LOW, _SPAN = [0.1, 0.1, 0.1, 0], [0.7, 0.7, 0.05, 1]


@pytest.mark.parametrize("diagonal", [True, False])
def test_pairs_are_uniform_on_the_strip_of_their_set_or_outside(diagonal):
    factors, count = sprites.sample_pairs(3, 0, 40_000, diagonal)
    assert (count == 2).all()
    unit, shapes = (factors[..., :4] - _LOW) / _SPAN, factors[..., 4]
    assert unit.min() >= -1e-6 and unit.max() <= 1 + 1e-6 and set(np.unique(shapes)) == {0, 1, 2}
    width = np.sqrt(2) * sprites.DELTA
    turn = (unit[:, 1, 0] - unit[:, 0, 0]) % 1
    assert np.abs(turn - 0.5).max() <= width + 1e-6
    near = np.abs(unit[:, 1, 1:] - unit[:, 0, 1:])
    if diagonal:
        assert near.max() <= width + 1e-6
        assert np.abs(shapes[:, 0] - shapes[:, 1]).max() == 1
        # By brute force: uniform pairs, of which those on the strip are kept.
        drawn = np.random.default_rng(0).random((400_000, 2))
        kept = drawn[np.abs(drawn[:, 0] - drawn[:, 1]) <= width]
        expected = np.histogram2d(*kept.T, bins=8, range=[[0, 1]] * 2)[0] / len(kept)
        for k in (1, 2, 3):
            found = np.histogram2d(*unit[..., k].T, bins=8, range=[[0, 1]] * 2)[0] / len(unit)
            np.testing.assert_allclose(found, expected, atol=0.004)
    else:
        # Of uniform pairs p^3 are near in y, scale and hue, and p^4 in shape before rounding too.
        p = width * (2 - width)
        share = (near <= width).all(1).mean()
        assert share == pytest.approx((p**3 - p**4) / (1 - p**4), abs=0.003)
        np.testing.assert_allclose(unit.mean((0, 1)), 0.5, atol=0.01)


@pytest.mark.parametrize("diagonal", [True, False])
def test_a_pair_depends_on_its_number_alone(diagonal):
    factors, _ = sprites.sample_pairs(5, 0, 300, diagonal)
    for start, stop in ((0, 1), (17, 140), (299, 300), (50, 50)):
        part, _ = sprites.sample_pairs(5, start, stop, diagonal)
        np.testing.assert_array_equal(part, factors[start:stop])


def test_pairs_side_by_side_hardly_meet():
    """Each object shows as many pixels in the pair as alone."""
    factors, _ = sprites.sample_pairs(0, 0, 300, True)
    hidden = []
    for pair in factors:
        mask = sprites.render(pair, 2)[1]
        alone = sprites.render(pair[:1], 1)[1]
        hidden.append((alone == 1).sum() - (mask == 1).sum())
    assert np.mean(np.array(hidden) > 2) < 0.02


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, 5, 3), "0 <= start <= stop"), ((0, 0, 3, (3, 2)), "1 <= least <= most")],
)
def test_bad_ranges_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        sprites.sample(*arguments)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sprites") / f"small-{memory.VERSION}"
    return prepare.prepare(folder, SMALL, workers=2)


def test_workers_write_what_one_process_draws(prepared):
    images, masks = prepare.draw(SMALL, 480, 520)
    np.testing.assert_array_equal(np.load(prepared / "images.npy", "r")[480:520], images)
    np.testing.assert_array_equal(np.load(prepared / "masks.npy", "r")[480:520], masks)
    names = sorted(path.name for path in prepared.iterdir())
    assert names == ["images.npy", "images.npy.json", "masks.npy", "masks.npy.json"]


def test_an_interrupted_run_goes_on(prepared, tmp_path):
    partial = tmp_path / "set.partial"
    prepare._allocate(partial, SMALL.total)
    argument = json.dumps(dataclasses.asdict(SMALL))
    prepare.work(partial, argument, 1, 2)  # of blocks 0 and 1: the second
    assert (partial / "done").read_bytes() == b"\0\1"
    with (partial / "images.npy").open("r+b") as file:  # a mark on what must not be drawn again
        file.seek(-1, 2)
        file.write(b"\x2a")
    images = np.load(prepare.prepare(tmp_path / "set", SMALL, workers=1) / "images.npy")
    assert images[-1, -1, -1, -1] == 0x2A and not partial.exists()
    images[-1, -1, -1, -1] = 0
    np.testing.assert_array_equal(images, np.load(prepared / "images.npy"))


def test_a_failing_worker_is_reported_in_one_line(tmp_path):
    broken = prepare.Config({"train": 10}, (3, 2), seed=1)
    with pytest.raises(
        UserError, match=r"^drawing into .* stopped: ValueError: objects=.*again"
    ) as e:
        prepare.prepare(tmp_path / "set", broken)
    assert "\n" not in str(e.value) and not (tmp_path / "set").exists()


def test_too_small_a_disk_is_reported(tmp_path, monkeypatch):
    usage = prepare.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(prepare.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UserError, match=r"0\.01 GB are needed and 0\.00 GB are free"):
        prepare.prepare(tmp_path / "set", SMALL)


def test_load_gives_images_masks_and_factors(prepared, monkeypatch):
    monkeypatch.setitem(memory.SETS, "small", SMALL)
    dataset = memory.load("small", prepared.parent)
    assert isinstance(dataset.images, DenseImages) and dataset.images.shape == (550, 64, 64, 3)
    np.testing.assert_array_equal(np.bincount(dataset.extras["split"]), [500, 30, 20])
    image, mask = sprites.render(dataset.extras["factors"][537], dataset.extras["count"][537])
    np.testing.assert_array_equal(dataset.images[537], image)
    np.testing.assert_array_equal(dataset.extras["masks"][537], mask)


def test_another_process_draws_the_same_bytes():
    code = (
        "import hashlib; from zoo.data.zoo_sprites import memory, prepare;"
        "print(hashlib.sha256(b''.join(a.tobytes() for a in"
        " prepare.draw(memory.SETS['full'], 90_000, 90_050))).hexdigest())"
    )
    theirs = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT)
    ours = prepare.draw(memory.SETS["full"], 90_000, 90_050)
    assert theirs.strip() == hashlib.sha256(b"".join(a.tobytes() for a in ours)).hexdigest()
