"""Multi-object Sprites: flat shapes on black, drawn by the rules of Spriteworld with Pillow.

The rules (github.com/google-deepmind/spriteworld) and the ranges of the factors (Brady et al.,
"Provably Learning Object-Centric Representations", ICML 2023) are:

* a shape is a polygon of area 1 around the origin, times the scale, moved to (x, y); the unit
  square is the image and y points upwards; a circle is a polygon of 30 sides;
* polygons are drawn without anti-aliasing on a canvas 5 times larger, later ones over earlier
  ones, and the canvas is brought down with a Lanczos filter;
* x, y ~ U[0.1, 0.8], scale ~ U[0.1, 0.15], hue ~ U[0, 1], shape and number of objects uniform.

The original asks for a saturation of 3, which no colour has: the channels of HSV(hue, 3, 1) go
down to -2, and 255 times a negative channel, cast to a byte, wraps around modulo 256 (hue 0.1
becomes (255, 206, 2)). `wrap=True` reproduces that, `wrap=False` clips at 0 instead.
"""

import colorsys

import numpy as np
from PIL import Image, ImageDraw

FACTORS = ("x", "y", "scale", "hue", "shape")
SHAPES = ("square", "triangle", "circle")
SATURATION = 3.0
# Of diagonal pairs: how far from the diagonal of two factors scaled to [0, 1].
DELTA = 0.125

_LOW = np.array([0.1, 0.1, 0.1, 0.0, 0.0])
_HIGH = np.array([0.8, 0.8, 0.15, 1.0, len(SHAPES)])
_OVERSAMPLING = 5
# The Lanczos window of one pixel reaches 3 pixels to each side. Cropping 6 pixels around what is
# drawn, and one for rounding, leaves every output pixel that sees a polygon its whole window.
_MARGIN = 7


def _polygon(sides: int, first_angle: float) -> np.ndarray:
    angles = first_angle + 2 * np.pi * np.arange(sides) / sides
    area = sides / 2 * np.sin(2 * np.pi / sides)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) / np.sqrt(area)


_OUTLINES = (_polygon(4, np.pi / 4), _polygon(3, np.pi / 2), _polygon(30, 0.0))


def sample(
    seed: int, start: int, stop: int, objects: tuple[int, int] = (2, 4)
) -> tuple[np.ndarray, np.ndarray]:
    """The factors of images `start` to `stop - 1` of the endless sequence of a seed.

    Every image has a counter of its own in the generator: what an image shows depends on the seed
    and its number alone, not on which others are drawn.

    Args:
        seed: names the sequence.
        start: the first number.
        stop: one past the last number.
        objects: the least and the most objects of an image.

    Returns:
        `[N, most, 5]` float32 factors in the order of `FACTORS` (shape as its number in `SHAPES`)
        in drawing order, zero where there is no object, and `[N]` uint8 numbers of objects.

    Raises:
        ValueError: the range of numbers or of objects is empty.
    """
    least, most = objects
    if not 1 <= least <= most:
        raise ValueError(f"objects={objects}: want 1 <= least <= most")
    first, unit = _uniform(seed, start, stop, most)
    count = least + np.floor(first * (most - least + 1)).astype(np.int64)
    factors = _scaled(unit)
    factors[np.arange(most) >= count[:, None]] = 0
    return factors.astype(np.float32), count.astype(np.uint8)


def sample_pairs(seed: int, start: int, stop: int, diagonal: bool) -> tuple[np.ndarray, np.ndarray]:
    """The factors of images of two objects that resemble each other, or of two that do not.

    With factors scaled to [0, 1], two objects of a diagonal pair differ by at most
    `sqrt(2) DELTA` in y, scale, hue and shape, which is rounded down afterwards. x goes round: the
    second object's is half the range further on, by `sqrt(2) DELTA` more or less, so that the two
    hardly meet. The other pairs have such x and differ by more in another factor. Both are uniform
    on what they may be (Wiedemer et al., "Provable Compositional Generalization for Object-Centric
    Learning", ICLR 2024; repository brendel-group/objects-compositional-generalization at 3c1b204,
    `src/datasets/data.py` and `src/utils/sampling_utils.py`). Our choices: the ranges, which are
    those of `sample`; that the x of pairs off the diagonal keeps to the same rule; that their
    shapes may be the same.

    Args:
        seed: names the sequence.
        start: the first number; an image depends on the seed and its number alone.
        stop: one past the last number.
        diagonal: which pairs.

    Returns:
        As `sample`, `[N, 2, 5]` and `[N]`.

    Raises:
        ValueError: the range of numbers is empty.
    """
    width, unit = np.sqrt(2) * DELTA, _uniform(seed, start, stop, 2)[1]
    unit[:, 1, 0] = (unit[:, 0, 0] + 0.5 + width * (2 * unit[:, 1, 0] - 1)) % 1
    first, second = unit[:, 0, 1:], unit[:, 1, 1:]
    if diagonal:
        # Of the strip |d| < w in the square, |d| has a density in proportion to 1 - |d|, and the
        # smaller of the two is uniform below 1 - |d|.
        turned, share = 2 * second >= 1, 2 * second % 1
        gap = 1 - np.sqrt(1 - share * width * (2 - width))
        low = first * (1 - gap)
        high = low + gap
        unit[:, 0, 1:], unit[:, 1, 1:] = np.where(turned, (high, low), (low, high))
    else:
        attempt = 0
        while (near := (np.abs(first - second) <= width).all(1)).any():
            attempt += 1
            unit[near, :, 1:] = _uniform(seed, start, stop, 2, attempt)[1][near, :, 1:]
    return _scaled(unit).astype(np.float32), np.full(stop - start, 2, np.uint8)


def _uniform(
    seed: int, start: int, stop: int, objects: int, attempt: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Uniform numbers of images: `[N]`, and `[N, objects, 5]`."""
    if not 0 <= start <= stop:
        raise ValueError(f"images {start} to {stop}: want 0 <= start <= stop")
    # Philox gives four numbers for every step of its counter.
    steps = -(-(1 + objects * len(FACTORS)) // 4)
    counter = [start * steps, attempt, 0, 0]
    generator = np.random.Generator(np.random.Philox(key=seed, counter=counter))
    uniform = generator.random((stop - start, 4 * steps))
    unit = uniform[:, 1 : 1 + objects * len(FACTORS)].reshape(-1, objects, len(FACTORS))
    return uniform[:, 0], unit


def _scaled(unit: np.ndarray) -> np.ndarray:
    """Factors of numbers in [0, 1), `[..., 5]`."""
    factors = _LOW + unit * (_HIGH - _LOW)
    factors[..., 4] = np.floor(factors[..., 4])
    return factors


def rgb(hue: float, wrap: bool = True) -> tuple[int, int, int]:
    """The colour of a hue in [0, 1] at saturation 3: wrapped modulo 256, or clipped at 0."""
    channels = [int(255 * channel) for channel in colorsys.hsv_to_rgb(hue, SATURATION, 1.0)]
    return tuple(c & 255 if wrap else max(c, 0) for c in channels)


def render(
    factors: np.ndarray, count: int, wrap: bool = True, size: int = 64
) -> tuple[np.ndarray, np.ndarray]:
    """Draws one image.

    Args:
        factors: `[most, 5]` factors, of which the first `count` rows are drawn, in order.
        count: the number of objects, 1 to 255.
        wrap: whether colours wrap around as in the original, or clip.
        size: the side of the image in pixels.

    Returns:
        `[size, size, 3]` uint8 image and `[size, size]` uint8 mask: 0 is background and k the
        k-th object, whichever shows in most of the 25 canvas points of a pixel (of equals, the
        lowest number).
    """
    side = size * _OVERSAMPLING
    canvas = Image.new("P", (side, side))
    pen = ImageDraw.Draw(canvas)
    palette, low, high = [0, 0, 0], np.full(2, np.inf), np.zeros(2)
    for number, (x, y, scale, hue, shape) in enumerate(factors[:count].tolist(), start=1):
        outline = side * ((x, y) + scale * _OUTLINES[int(shape)])
        pen.polygon(outline.ravel().tolist(), fill=number)
        palette += rgb(hue, wrap)
        low, high = np.minimum(low, outline.min(0)), np.maximum(high, outline.max(0))
    image = np.zeros((size, size, 3), np.uint8)
    mask = np.zeros((size, size), np.uint8)
    left, bottom, right, top = _box(low / _OVERSAMPLING, high / _OVERSAMPLING, size)
    part = canvas.crop(tuple(_OVERSAMPLING * side for side in (left, bottom, right, top)))
    part.putpalette(palette)
    # The canvas has y = 0 in its first row, the image in its last.
    rows, columns = slice(size - top, size - bottom), slice(left, right)
    shape = (right - left, top - bottom)
    small = part.convert("RGB").resize(shape, Image.Resampling.LANCZOS)
    image[rows, columns] = np.asarray(small)[::-1]
    mask[rows, columns] = _majority(np.asarray(part), count)[::-1]
    return image, mask


def _box(low: np.ndarray, high: np.ndarray, size: int) -> tuple[int, int, int, int]:
    """Left, bottom, right, top of the pixels to filter: around the objects, not taller than wide.

    Pillow filters the rows of a tall picture in another order than those of a square one, which
    changes roundings; all crops must give the bytes of the whole canvas.
    """
    left, bottom = np.clip(np.floor(low).astype(int) - _MARGIN, 0, size).tolist()
    right, top = np.clip(np.ceil(high).astype(int) + _MARGIN, 0, size).tolist()
    right = max(right, min(left + top - bottom, size))
    left = min(left, max(right - (top - bottom), 0))
    return left, bottom, right, top


def _majority(canvas: np.ndarray, count: int) -> np.ndarray:
    height, width = (side // _OVERSAMPLING for side in canvas.shape)
    owners = np.empty((count + 1, height, width), np.uint8)
    for number in range(count + 1):
        rows = (canvas == number).view(np.uint8).reshape(height, _OVERSAMPLING, -1)
        rows = sum(rows[:, i] for i in range(_OVERSAMPLING)).reshape(height, width, _OVERSAMPLING)
        owners[number] = sum(rows[..., i] for i in range(_OVERSAMPLING))
    return owners.argmax(0).astype(np.uint8)
