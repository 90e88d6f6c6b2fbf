"""Pictures: every image unchanged at its place, rows in the right order, dead latents marked."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from zoo.drawing import sheets


def places(picture: np.ndarray, image: np.ndarray, scale: int = 1) -> list[tuple[int, int]]:
    """Every (top, left) at which an image `[H, W(, 3)]` uint8, enlarged, is in a picture."""
    image = image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)
    image = image.repeat(scale, axis=0).repeat(scale, axis=1)
    height, width = image.shape[:2]
    down, across = picture.shape[0] - height + 1, picture.shape[1] - width + 1
    candidates = np.ones((down, across), bool)
    # A few pixels rule nearly all places out.
    for y, x in [(0, 0), (0, -1), (-1, 0), (-1, -1), (height // 2, width // 2)]:
        y, x = y % height, x % width
        candidates &= (picture[y : y + down, x : x + across] == image[y, x]).all(-1)
    return [
        (top, left)
        for top, left in np.argwhere(candidates).tolist()
        if (picture[top : top + height, left : left + width] == image).all()
    ]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def test_sheet_holds_every_image_in_its_cell():
    cells = noise(3, 4, 64, 48, 3)
    picture = sheets.sheet(cells, ["a", "b\nsmall", "c"], ["1", "2", "3", "4"])
    assert picture.dtype == np.uint8 and picture.shape[2] == 3
    found = [[places(picture, cells[r, c]) for c in range(4)] for r in range(3)]
    assert all(len(place) == 1 for row in found for place in row)
    tops, lefts = np.moveaxis(np.asarray(found)[:, :, 0], -1, 0)
    assert (tops == tops[:, :1]).all() and (lefts == lefts[:1]).all()
    assert (np.diff(tops[:, 0]) >= 64).all() and (np.diff(lefts[0]) >= 48).all()


def test_captions_stand_above_their_cells_and_rows_may_be_short():
    cells = noise(2, 3, 64, 64)
    bare, named = sheets.sheet(cells), sheets.sheet(cells, captions=[["a", "b", "c"], ["d"]])
    for r, c in np.ndindex(2, 3):
        [(top, left)] = places(named, cells[r, c])
        above = named[top - 15 : top, left : left + 64]
        assert (above.max() > 100) == (r == 0 or c == 0)
        assert places(bare, cells[r, c])[0][1] == left
    assert named.shape[0] > bare.shape[0] and named.shape[1] == bare.shape[1]


@settings(max_examples=20, deadline=None)
@given(
    side=st.integers(4, 20), channels=st.sampled_from([None, 1, 3]), scale=st.sampled_from([1, 2])
)
def test_images_of_all_kinds_are_enlarged_by_whole_factors(side, channels, scale):
    image = noise(1, 1, side, side, *([] if channels is None else [channels]))
    picture = sheets.sheet(image, scale=scale)
    flat = image[0, 0] if channels == 3 else image.reshape(side, side)
    assert len(places(picture, flat, scale)) == 1


def test_small_images_fill_a_cell():
    image = noise(1, 1, 28, 28)
    assert len(places(sheets.sheet(image), image[0, 0], scale=3)) == 1


def test_floats_are_clipped_and_rounded():
    image = np.array([[-1.0, 0.0, 0.5], [1.0, 2.0, 0.499]])[None, None].repeat(32, 2).repeat(32, 3)
    picture = sheets.sheet(image)
    expected = np.array([[0, 0, 128], [255, 255, 127]], np.uint8).repeat(32, 0).repeat(32, 1)
    assert len(places(picture, expected)) == 1


def test_reconstructions_stand_below_their_images():
    images, outputs = noise(5, 64, 64, 1), noise(5, 64, 64, 1, seed=1)
    picture = sheets.reconstructions(images, outputs, columns=3)
    for i in range(5):
        [(top, left)] = places(picture, images[i, ..., 0])
        [(below, same)] = places(picture, outputs[i, ..., 0])
        assert left == same and 64 <= below - top < 80
    [(first, start)] = places(picture, images[0, ..., 0])
    [(second, again)] = places(picture, images[3, ..., 0])
    assert again == start and second > first + 2 * 64


def decode(codes: np.ndarray) -> np.ndarray:
    """Four latents as four grey stripes, a value of -2 black and of 2 white."""
    return (codes[:, :, None, None] / 4 + 0.5).repeat(16, 2).repeat(64, 3).reshape(-1, 64, 64)


def varied(latent: int, value: float, code=(0.0, 0.0, 0.0, 0.0)) -> np.ndarray:
    code = np.array(code)
    code[latent] = value
    return np.rint(255 * decode(code[None])[0]).astype(np.uint8)


def rows_of(picture: np.ndarray, latents=range(4), value: float = 2.0) -> list[int]:
    """The latents in the order of their rows."""
    tops = {latent: places(picture, varied(latent, value))[0][0] for latent in latents}
    return sorted(tops, key=tops.get)


@pytest.mark.parametrize(
    ("order", "by", "expected"),
    [
        (None, "kl", [0, 1, 2, 3]),
        ([0.5, 3.0, 0.001, 1.0], "kl", [1, 3, 0, 2]),
        ([0.5, 0.01, 0.99, 0.1], "variance", [1, 3, 0, 2]),
    ],
)
def test_traversals_are_ordered_by_information(order, by, expected):
    picture = sheets.traversals(decode, np.zeros(4), order, by=by, steps=3)
    assert rows_of(picture) == expected


def test_traversals_grow_to_the_right_from_the_first_code():
    codes = np.array([[0.41, -0.77, 1.2, 0.0], [1.0, 1.0, 1.0, 1.0]])
    picture = sheets.traversals(decode, codes, span=(-2.0, 2.0), steps=5)
    found = [places(picture, varied(2, value, codes[0])) for value in (-2, -1, 0, 1, 2)]
    lefts = [left for [(_, left)] in found]
    assert lefts == sorted(lefts) and len({top for [(top, _)] in found}) == 1


def test_traversals_over_quantiles_stay_within_the_codes():
    codes = np.random.default_rng(0).normal(size=(200, 4)) * [0.1, 0.5, 1.0, 0.3]
    seen = []
    sheets.traversals(
        lambda batch: (seen.append(batch), decode(batch))[1], codes, span="quantiles", steps=5
    )
    batch = np.concatenate(seen).reshape(4, 5, 4)
    for latent in range(4):
        expected = np.quantile(codes[:, latent], [0.05, 0.275, 0.5, 0.725, 0.95])
        np.testing.assert_allclose(batch[latent, :, latent], expected, atol=1e-6)


def test_only_dead_latents_are_marked(monkeypatch):
    shown = {}
    sheet = sheets.sheet
    monkeypatch.setattr(
        sheets,
        "sheet",
        lambda cells, rows, columns, faint, scale: (
            shown.update(zip(rows, faint, strict=True))
            or sheet(cells, rows, columns, faint=faint, scale=scale)
        ),
    )
    picture = sheets.traversals(
        decode, np.zeros(4), [0.5, 3.0, 0.001, 0.02], dead=[False, False, True, False], steps=2
    )
    assert shown == {
        "z1\nKL 3.00": False,
        "z0\nKL 0.50": False,
        "z3\nKL 0.02": False,
        "z2 dead\nKL 0.00": True,
    }
    # The mark is in the pixels too: no label of the last row is as bright as the others.
    tops = [places(picture, varied(latent, 2.0))[0] for latent in (1, 2)]
    labels = [picture[top : top + 64, : left - 64 - sheets.GAP] for top, left in tops]
    assert labels[0].max() > 200 > labels[1].max()
    shown.clear()
    sheets.traversals(decode, np.zeros(4), dead=[True, False, False, False], steps=2)
    assert shown == {"z0 dead": True, "z1": False, "z2": False, "z3": False}


def test_traversals_show_the_best_where_there_are_many():
    picture = sheets.traversals(decode, np.zeros(4), [0.5, 3.0, 0.1, 1.0], steps=3, limit=2)
    assert rows_of(picture, (1, 3)) == [1, 3]
    assert not places(picture, varied(0, 2.0)) and not places(picture, varied(2, 2.0))


def test_decoding_in_batches_keeps_the_order():
    batches = []

    def shades(codes):
        batches.append(len(codes))
        return codes[:, :, None, None] / 255

    values = np.arange(600.0).reshape(3, 200, 1) % 251
    images = sheets._decoded(shades, values)
    assert (images[..., 0, 0, :] == values).all()
    assert sum(batches) == 600 and max(batches) <= 256


def test_plane_grows_rightwards_and_upwards():
    picture = sheets.plane(decode, np.zeros(4), (0, 3), span=(-1.0, 1.0), steps=3)

    def place(right, up):
        code = np.array([right, 0, 0, up])
        [found] = places(picture, np.rint(255 * decode(code[None])[0]).astype(np.uint8))
        return found

    assert place(1, 0)[1] > place(0, 0)[1] > place(-1, 0)[1]
    assert place(0, 1)[0] < place(0, 0)[0] < place(0, -1)[0]


def test_png_gives_the_same_pixels_and_bytes():
    picture = sheets.reconstructions(noise(2, 16, 16, 1), noise(2, 16, 16, 1, seed=1))
    content = sheets.png(picture)
    assert content == sheets.png(picture.copy())
    with Image.open(io.BytesIO(content)) as image:
        assert (np.asarray(image) == picture).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sheets.reconstructions(noise(2, 8, 8), noise(3, 8, 8)), "one shape"),
        (lambda: sheets.reconstructions(np.full((2, 8, 8), np.nan), noise(2, 8, 8)), "NaN"),
        (lambda: sheets.traversals(decode, np.zeros(4), [1.0, 2.0]), r"order \[D\]"),
        (lambda: sheets.traversals(decode, np.zeros(4), by="mean"), "'kl' or 'variance'"),
        (lambda: sheets.traversals(decode, np.zeros(4), span="all"), "quantiles"),
        (lambda: sheets.traversals(lambda b: b, np.zeros(4)), "must be"),
        (lambda: sheets.plane(decode, np.zeros(4), (1, 4)), "no two latents"),
        (lambda: sheets.plane(decode, np.zeros(4), (1, 1)), "no two latents"),
    ],
)
def test_bad_input_is_explained(call, message):
    with pytest.raises(ValueError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)


def test_generators_are_drawn_in_each_domain_and_along_each_latent():
    from zoo.drawing import domains

    calls = []

    class Model:
        latent_dim, domains = 3, 2

        def generate(self, latents, domain):
            calls.append((latents, domain))
            grey = (latents[:, :1] > 0) * 0.5 + 0.5 * domain[:, None]
            return np.broadcast_to(grey[:, :, None, None], (len(latents), 8, 8, 1))

    drawn = domains.pictures(Model(), columns=4)
    assert set(drawn) == {"domains", "latents"}
    np.testing.assert_array_equal(calls[0][0], calls[1][0])
    assert [set(domain) for _, domain in calls[:2]] == [{0}, {1}]
    latents = calls[0][0]
    # 64x64 cells: the middles of the two rows, at the right of the labels.
    picture = drawn["domains"]
    left = picture.shape[1] - 2 * sheets.GAP - 4 * 64 - 3 * sheets.GAP
    for row, domain in enumerate((0, 1)):
        for column in range(4):
            y = 2 * sheets.GAP + row * (64 + sheets.GAP) + 32
            x = left + column * (64 + sheets.GAP) + 32
            expected = round(255 * (0.5 * (latents[column, 0] > 0) + 0.5 * domain))
            assert picture[y, x].tolist() == [expected] * 3
    varied = calls[2][0].reshape(3, 9, 3)
    for latent in range(3):
        np.testing.assert_allclose(varied[latent, :, latent], np.linspace(-2, 2, 9))
        others = np.delete(varied[latent], latent, axis=1)
        np.testing.assert_array_equal(others, np.delete(latents[:1], latent, 1).repeat(9, 0))
