"""The palette of every picture, each colour on light and on dark ground.

The series are told apart with each of the three colour blindnesses: under Machado et al.'s (2009)
simulation any two are at least 14 apart in CIELAB, and at least 22 without one.
"""

import numpy as np

# What is drawn in the first colour is shown in the second on a dark ground.
COLOURS = {
    "ink": ("#1c2330", "#e6e9ef"),
    "muted": ("#5d6676", "#9aa4b4"),
    "rule": ("#dfe3e9", "#323945"),
    "page": ("#f5f6f8", "#12161c"),
    "card": ("#ffffff", "#1a1f27"),
    "code": ("#f0f2f5", "#12161c"),
    "heat": ("#1d4f91", "#74b0f4"),
    "cold": ("#a8442a", "#f0977a"),
    "on-heat": ("#fdfdfe", "#0c1119"),
    "series-0": ("#0265bb", "#60b2f0"),
    "series-1": ("#b84e00", "#ec8b4e"),
    "series-2": ("#008a66", "#3cd598"),
    "series-3": ("#c05ea2", "#df91bf"),
    "series-4": ("#d28000", "#efd25e"),
    "series-5": ("#5698df", "#b0dcff"),
    "series-6": ("#4b2e83", "#957af0"),
    "series-7": ("#7a2020", "#c4545a"),
}
LIGHT = {name: pair[0] for name, pair in COLOURS.items()}
DARK = {name: pair[1] for name, pair in COLOURS.items()}
SERIES = [colour for name, colour in LIGHT.items() if name.startswith("series")]


def rgb(colour: str) -> tuple[int, int, int]:
    """`#rrggbb` as three numbers in 0..255."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


# Of images the ground is always dark, with the frame of a picture in a colour that few images have.
GROUND, INK, FAINT = (38, 43, 52), rgb(DARK["ink"]), rgb(DARK["muted"])
FRAME = rgb(LIGHT["series-4"])
# The colours of objects, `[9, 3]` uint8: black for the background, then the series.
OBJECTS = np.array([(0, 0, 0), *(rgb(c) for n, c in DARK.items() if "series" in n)], np.uint8)


def of_objects(masks: np.ndarray) -> np.ndarray:
    """Masks, integers `[...]` with 0 for the background, in colours, `[..., 3]` uint8.

    From the ninth object on the colours come again.
    """
    masks = np.asarray(masks).astype(int)
    return OBJECTS[np.where(masks > 0, (masks - 1) % (len(OBJECTS) - 1) + 1, 0)]
