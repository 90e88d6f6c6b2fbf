"""Contact sheets: what they show, the command, its errors."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from zoo import cli
from zoo.data import catalog, preview
from zoo.data.dataset import Dataset, DenseImages
from zoo.data.space import Factor, FactorSpace
from zoo.errors import UserError

ROOT = pathlib.Path(__file__).resolve().parents[2]
SPACE = FactorSpace((Factor("shade", tuple(range(20))), Factor("row", (0.5, 1.5, 2.5))))


def toy(space=SPACE, maximum=255.0, **extras):
    """60 images of 32x32 whose only white row and whose grey level are their factors."""
    numbers = np.arange(60)
    images = np.zeros((60, 32, 32, 1), np.uint8)
    images += (numbers // 3).astype(np.uint8)[:, None, None, None] * 10
    images[numbers, numbers % 3] = 255
    return Dataset("zoo_toy/toy", DenseImages(images, maximum), space, extras=extras)


def test_each_row_varies_one_factor_over_its_range():
    dataset = toy()
    shade, row = preview.rows(dataset, seed=3)
    assert (shade.title, row.title) == ("shade", "row")
    assert row.captions == ["0.5", "1.5", "2.5"]
    # At most 16 of the 20 shades, the first and the last among them.
    assert len(shade.tiles) == 16 and shade.captions[0] == "0" and shade.captions[-1] == "19"
    np.testing.assert_array_equal(
        shade.tiles[:, 31, 31, 0], [10 * int(caption) for caption in shade.captions]
    )
    whites = (shade.tiles[..., 0] == 255).all(2).argmax(1)
    assert len(set(whites)) == 1
    np.testing.assert_array_equal((row.tiles[..., 0] == 255).all(2).argmax(1), [0, 1, 2])
    assert len(np.unique(row.tiles[:, 31])) == 1
    assert shade.tiles.shape == (16, 32, 32, 3)


def test_seed_chooses_the_other_factors():
    first, again, other = (preview.rows(toy(), seed)[1].tiles for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_without_a_factor_space_a_random_grid_with_masks_beside():
    masks = np.zeros((60, 32, 32), np.uint8)
    masks[:, 8:16], masks[:, 16:24] = 1, 2
    dataset = toy(space=None, masks=masks)
    grid = preview.rows(dataset)
    numbers = [int(caption) for row in grid for caption in row.captions]
    assert sorted(numbers) == list(range(60))
    for row in grid:
        shown = dataset.images[[int(caption) for caption in row.captions]]
        np.testing.assert_array_equal(row.tiles[:, :, :32], np.repeat(shown, 3, -1))
        beside = row.tiles[:, :, -32:]
        assert not beside[:, :8].any()
        colours = {tuple(pixel) for pixel in beside[:, 8:24].reshape(-1, 3).tolist()}
        assert len(colours) == 2 and (0, 0, 0) not in colours


@pytest.mark.parametrize(
    ("shape", "width"),
    [((32, 32, 1), 66), ((32, 32, 3), 32), ((16, 16), 32), ((5, 32, 32), 32), ((), 32)],
)
def test_masks_of_any_shape(shape, width):
    grid = preview.rows(toy(space=None, masks=np.zeros((60, *shape), np.uint8)))
    assert grid[0].tiles.shape == (8, 32, width, 3)


def test_binary_images_are_shown_white():
    images = DenseImages(np.ones((60, 8, 8, 1), np.uint8), maximum=1.0)
    (row, *_) = preview.rows(Dataset("zoo_toy/toy", images, SPACE))
    assert (row.tiles == 255).all()


def test_vectors_are_plotted():
    points = np.random.default_rng(0).normal(size=(500, 3)).astype(np.float32)
    points[:, 2] = points[:, 1]
    dataset = Dataset("zoo_toy/toy", DenseImages(points, 1.0), latents=points[:, :2])
    latents, observations = preview.rows(dataset)
    assert len(latents.tiles) == 1 and observations.captions == ["x1, x2", "x2, x3"]
    np.testing.assert_array_equal(latents.tiles[0], observations.tiles[0])
    # Equal coordinates lie on the rising diagonal.
    drawn = (observations.tiles[1] != observations.tiles[1][0, 0]).any(-1)
    assert drawn.sum() > 50
    assert set(zip(*np.nonzero(drawn), strict=True)) <= {(127 - i, i) for i in range(128)}


def test_sheet_has_every_tile_in_its_place():
    rows = preview.rows(toy())
    sheet = np.asarray(preview.sheet(rows))
    # 32x32 tiles are drawn twice as large.
    for row in rows:
        for tile in row.tiles:
            large = np.kron(tile, np.ones((2, 2, 1), np.uint8))
            windows = np.lib.stride_tricks.sliding_window_view(sheet, large.shape)
            first_rows = (windows[..., 0, :, :] == large[0]).all((-1, -2))
            places = np.argwhere(first_rows[..., 0])
            assert any((sheet[y : y + 64, x : x + 64] == large).all() for y, x in places)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
def test_images_of_any_number_of_channels_are_drawn(channels):
    images = np.random.default_rng(0).integers(0, 256, (60, 16, 16, channels), np.uint8)
    rows = preview.rows(Dataset("zoo_toy/toy", DenseImages(images), SPACE))
    tile, number = rows[0].tiles[0], rows[1].tiles[0]
    assert tile.shape == number.shape == (16, 16, 3)
    (found,) = np.flatnonzero((images[..., 0] == tile[..., 0]).all((1, 2)))
    shown = {1: images[found].repeat(3, -1), 2: np.dstack([images[found], np.zeros((16, 16))])}
    np.testing.assert_array_equal(tile, shown.get(channels, images[found][..., :3]))
    assert preview.sheet(rows).shape[-1] == 3


def test_vectors_of_one_dimension_are_plotted_against_their_rank():
    vectors = np.random.default_rng(0).normal(size=(50, 1)).astype(np.float32)
    latents, observations = preview.rows(Dataset("zoo_toy/toy", DenseImages(vectors, 1.0)))
    assert (latents.captions, observations.captions) == (["rank, z1"], ["rank, x1"])
    (tile,) = observations.tiles
    rows, columns = np.nonzero((tile != 245).any(-1))
    # It rises from one corner to the other.
    order = np.lexsort((-rows, columns))
    assert (np.diff(rows[order]) <= 0).all() and {0, 127} <= set(rows) & set(columns)


def test_a_defect_of_drawing_is_no_bad_input(monkeypatch):
    monkeypatch.setattr(catalog, "load", lambda name: toy())
    monkeypatch.setattr(preview, "rows", lambda *_: np.ones(2) + np.ones(3))
    with pytest.raises(ValueError, match="broadcast") as error:
        preview.main(["zoo_toy"])
    assert not isinstance(error.value, UserError)


def test_command_writes_a_png(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(catalog, "load", lambda name: toy())
    monkeypatch.chdir(tmp_path)
    preview.main(["zoo_toy"])
    assert capsys.readouterr().out == "zoo_toy-toy.png\n"
    preview.main(["zoo_toy", "--out", "other.png", "--seed", "0"])
    assert pathlib.Path("zoo_toy-toy.png").read_bytes() == pathlib.Path("other.png").read_bytes()
    with Image.open("other.png") as picture:
        assert picture.format == "PNG" and picture.width > 16 * 64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["zoo_shape3d"], "no data set is named 'zoo_shape3d'; the nearest is 'zoo_shapes3d/"),
        (["zoo_shapes3d/dirty"], "no data set is named 'zoo_shapes3d/dirty'"),
        (["zoo_toy", "--seed", "x"], "--seed"),
        (["zoo_toy", "--seed", "-1"], "--seed is -1: give a number from 0"),
        ([], "required: name"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_code_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.run(preview.main, arguments)
    errors = capsys.readouterr().err
    assert stopped.value.code == 2
    assert errors.count("\n") == 1 and message in errors


def test_a_file_that_cannot_be_written_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(catalog, "load", lambda name: toy())
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit) as stopped:
        cli.run(preview.main, ["zoo_toy", "--out", str(tmp_path / "file/sheet.png")])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


HELP = """
import sys
from zoo.data import preview
try:
    preview.main(["--help"])
except SystemExit as stopped:
    assert stopped.code == 0
assert "tensorflow" not in sys.modules
"""


def test_help_needs_no_tensorflow():
    command = [sys.executable, "-c", HELP]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "--seed" in shown.stdout
