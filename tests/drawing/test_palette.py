"""The palette: told apart by everybody, legible on its grounds, the only one."""

import itertools
import pathlib
import re

import numpy as np
import pytest

from zoo.drawing import palette

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
SIGHT = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def linear(colour: str) -> np.ndarray:
    values = np.array(palette.rgb(colour)) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(values: np.ndarray) -> np.ndarray:
    """Linear sRGB to CIELAB of D65."""
    primaries = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.asarray(primaries) @ values.clip(0, 1) / [0.9505, 1.0, 1.089]
    x, y, z = (np.cbrt(v) if v > 0.008856 else 7.787 * v + 16 / 116 for v in (x, y, z))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(colour: str, ground: str) -> float:
    dark, light = sorted(linear(c) @ [0.2126, 0.7152, 0.0722] for c in (colour, ground))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colours", [palette.LIGHT, palette.DARK], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("sight", "least"), [("normal", 22)] + [(kind, 14) for kind in list(SIGHT)[1:]]
)
def test_series_are_told_apart(colours, sight, least):
    series = [c for name, c in colours.items() if name.startswith("series")]
    seen = [lab(np.asarray(SIGHT[sight]) @ linear(colour)) for colour in series]
    assert len(series) == 8
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) >= least


@pytest.mark.parametrize("colours", [palette.LIGHT, palette.DARK], ids=["light", "dark"])
def test_colours_are_legible_on_their_ground(colours):
    for ground in ("card", "page"):
        assert contrast(colours["ink"], colours[ground]) >= 7
        # WCAG's limits for text.
        assert contrast(colours["muted"], colours[ground]) >= 4.5
        assert contrast(colours["heat"], colours[ground]) >= 4.5
    # And for graphics.
    for name, colour in colours.items():
        if name.startswith("series"):
            assert contrast(colour, colours["card"]) >= 3, name


def test_no_other_file_chooses_colours():
    written = re.compile(r"""["'\s(]#[0-9a-fA-F]{6}\b|colormaps|cmap=|tab10""")
    inferno = 'matplotlib.colormaps["inferno"]'
    for path in [*(ROOT / "zoo").rglob("*.py"), *(ROOT / "zoo").rglob("*.html")]:
        if path != pathlib.Path(palette.__file__):
            assert not written.search(path.read_text().replace(inferno, "")), path


def test_objects_come_again_from_the_ninth():
    colours = palette.of_objects(np.arange(17))
    assert colours.shape == (17, 3) and not colours[0].any()
    assert len({tuple(c) for c in colours[:9].tolist()}) == 9
    np.testing.assert_array_equal(colours[1:9], colours[9:])
