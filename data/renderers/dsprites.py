"""dSprites: one white sprite on black, 64x64, drawn from its closed forms.

The geometry was measured on the animation of the original repository (see
data/zoo_dsprites/README.md). Lengths are pixels at scale 1, relative to the sprite's centre; u
points right and v down. A pixel is white where its centre lies inside the shape, and the centre of
the sprite moves by fractions of a pixel, so an image is not a shifted copy of another.

Every image fits a window of 29x29 pixels around its centre. `windows` keeps each row of it as the
bits of an integer: 85 MB for all 737,280 images, 302 MB less than one bit a pixel.
"""

import concurrent.futures
import math

import numpy as np

from zoo import cores
from zoo.data.space import Factor, FactorSpace

SPACE = FactorSpace(
    (
        Factor("shape", (1.0, 2.0, 3.0), categorical=True),
        Factor("scale", tuple(np.linspace(0.5, 1, 6).tolist())),
        # As in the original, the last orientation is a full turn and repeats the first.
        Factor("orientation", tuple(np.linspace(0, 2 * np.pi, 40).tolist()), circular=True),
        Factor("x_position", tuple(np.linspace(0, 1, 32).tolist())),
        Factor("y_position", tuple(np.linspace(0, 1, 32).tolist())),
    )
)
SIZE = 64
REACH = 14
WINDOW = 2 * REACH + 1
VERSION = 1

_TURN = SPACE.sizes[2] - 1
_SPAN = SPACE.sizes[3] - 1
_HALF_SIDE = 9.598
_SEMI_AXES = (12.767, 7.2125)
_HEART = (9.595, 0.662, 1.437)


def origins(positions):
    """The first row or column of the window of a sprite, from its position index 0..31.

    The centre is at 16 + 32 * position. Takes integers, numpy arrays or integer tensors.
    """
    return 16 + 32 * positions // _SPAN - REACH


def inside(shape: int, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Which points lie inside a shape of scale 1 that is not turned.

    The square is max(|u|, |v|) < 9.598, the ellipse (u / 12.767)^2 + (v / 7.2125)^2 < 1. The heart
    is the curve u = a sin(t)^3, -v = b + k (13 cos t - 5 cos 2t - 2 cos 3t - cos 4t) with
    a = 9.595, k = 0.662, b = 1.437. In c = |cos t| its upper and its lower arc are the sum and the
    difference of an even and an odd polynomial.

    Args:
        shape: 0 square, 1 ellipse, 2 heart.
        u: any shape, to the right.
        v: the same shape, downwards.
    """
    if shape == 0:
        return np.maximum(np.abs(u), np.abs(v)) < _HALF_SIDE
    if shape == 1:
        return (u / _SEMI_AXES[0]) ** 2 + (v / _SEMI_AXES[1]) ** 2 < 1
    a, k, b = _HEART
    square = 1 - np.cbrt(np.minimum(np.abs(u) / a, 1)) ** 2
    even = b + k * (4 - square * (2 + 8 * square))
    odd = k * np.sqrt(square) * (19 - 8 * square)
    return np.abs(v + even) < odd


def render(factors: np.ndarray) -> np.ndarray:
    """Images of factor combinations: `[..., 5]` indices to `[..., 64, 64, 1]` uint8 in {0, 1}.

    Raises:
        ValueError: a factor index is out of its range.
    """
    ids = SPACE.index(factors).reshape(-1)
    rows = np.asarray(factors).reshape(-1, 5)
    images = np.zeros((len(ids), SIZE, SIZE, 1), np.uint8)
    for image, (shape, scale, orientation, x, y) in zip(images, rows.tolist(), strict=True):
        window = _pose(shape, scale, orientation, np.array([x]), np.array([y]))[0, 0]
        top, left = origins(y), origins(x)
        image[top : top + WINDOW, left : left + WINDOW, 0] = window
    return images.reshape(*np.shape(factors)[:-1], SIZE, SIZE, 1)


def windows() -> np.ndarray:
    """All images in the official order: `[737280, 29]` int32, column j of a row being its bit j."""
    shapes, scales, orientations, columns, lines = SPACE.sizes
    out = np.empty((len(SPACE), WINDOW), np.int32)
    poses = out.reshape(shapes, scales, orientations, columns, lines, WINDOW)

    def draw(pose: tuple[int, ...]) -> None:
        poses[pose] = pose_windows(*pose)

    with concurrent.futures.ThreadPoolExecutor(cores.count()) as pool:
        list(pool.map(draw, np.ndindex(shapes, scales, _TURN)))
    poses[:, :, _TURN] = poses[:, :, 0]
    return out


def pose_windows(shape: int, scale: int, orientation: int) -> np.ndarray:
    """The windows of one turned sprite at all positions, `[32, 32, 29]` int32, x first."""
    table = np.empty((_SPAN + 1, _SPAN + 1, WINDOW), np.int32)
    positions = np.arange(_SPAN)
    mask = _pose(shape, scale, orientation, positions, positions)
    table[:_SPAN, :_SPAN] = np.packbits(mask, axis=-1, bitorder="little").view("<i4")[..., 0]
    # The last position is 32 whole pixels from the first.
    table[_SPAN] = table[0]
    table[:, _SPAN] = table[:, 0]
    return table


def _pose(shape: int, scale: int, orientation: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Windows of one turned sprite at all pairs of positions, `[len(x), len(y), 29, 29]` bool."""
    size = SPACE.axes[1].values[scale]
    angle = 2 * math.pi * (orientation % _TURN) / _TURN
    cosine, sine = math.cos(angle) / size, math.sin(angle) / size
    pixels = np.arange(WINDOW) - REACH + 0.5
    right = (pixels - (32 * x[:, None] % _SPAN) / _SPAN)[:, None, None, :]
    down = (pixels - (32 * y[:, None] % _SPAN) / _SPAN)[None, :, :, None]
    return inside(shape, cosine * right - sine * down, sine * right + cosine * down)
