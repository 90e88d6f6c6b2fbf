"""Two coloured balls on white: the images of the additive-decoder work, composed from positions.

Lachapelle et al., "Additive Decoders for Latent Variables Identification and Cartesian-Product
Extrapolation", NeurIPS 2023. A ball covers the part a of a pixel at distance d from its centre,

* disc: a = clip(10.5 - d, 0, 1), d in pixels: radius 10 with an edge one pixel wide;
* bump: a = exp(1 - 1 / (1 - r^2)) for r < 1, r = 5 d / 63: smooth. The unit square reaches from the
  centre of the first pixel to that of the last, as in the original.

Ball 2 is in front: the pixel is white (1 - a1' - a2) + colour1 a1' + colour2 a2 with
a1' = min(a1, 1 - a2), so that edges that share a pixel lie side by side.

The original draws discs with pygame, which knows whole pixels only, and whose outline and filling
together are slightly larger (by 23 pixels at radius 7).

A row of pixels depends on its distance to the centre and on the centre's column alone. Tables of
all such rows make an image a matter of picking 64 rows a ball: fast, and NumPy, TensorFlow and XLA
give the same bytes, as nothing is left to round.
"""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

SIDE = 64


@dataclasses.dataclass(frozen=True)
class Style:
    """How balls look.

    Attributes:
        coverage: distance in pixels to the part of a pixel that is covered, 0 to 1.
        reach: the distance in pixels from which on nothing is covered.
        span: the width of the unit square in pixels: 64 from edge to edge of the image, 63 between
            the centres of its outermost pixels.
        colours: the RGB colours of ball 1 and ball 2.
        rounding: of how much darker than white a channel is, to whole numbers.
    """

    coverage: Callable[[np.ndarray], np.ndarray]
    reach: float
    span: int
    colours: tuple[tuple[int, int, int], tuple[int, int, int]]
    rounding: Callable[[np.ndarray], np.ndarray]


def _bump(distance: np.ndarray) -> np.ndarray:
    r2 = (distance * 5 / (SIDE - 1)) ** 2
    return np.where(r2 < 1, np.exp(1 - 1 / np.maximum(1 - r2, 1e-9)), 0.0)


DISC = Style(
    lambda d: np.clip(10.5 - d, 0, 1), 10.5, SIDE, ((2, 156, 154), (222, 100, 100)), np.rint
)
# The original casts bump images to integers: colours are rounded down, darkness up.
BUMP = Style(_bump, (SIDE - 1) / 5, SIDE - 1, ((69, 154, 145), (203, 107, 102)), np.ceil)


class BallImages:
    """Images of two balls, composed when asked for; see `zoo.data.dataset.Images`."""

    def __init__(self, positions: np.ndarray, style: Style = DISC, steps: int | None = None):
        """Makes the tables of rows.

        Args:
            positions: `[N, 2, 2]` positions (x, y) of the centres of ball 1 and ball 2, in the
                unit square, y upwards.
            style: how balls look.
            steps: centres are put on the nearest of this many positions a pixel; if None, on pixel
                int(span position) as the original puts its discs (pixel i of those spans
                [i, i + 1] / 64, so the two agree on average).

        Raises:
            ValueError: a position is outside the unit square.
        """
        positions = np.asarray(positions, np.float64)
        if positions.ndim != 3 or positions.shape[1:] != (2, 2):
            raise ValueError(f"positions of shape {positions.shape}: want [N, 2 balls, 2]")
        if not ((positions >= 0) & (positions <= 1)).all():
            raise ValueError("a ball's centre is outside the unit square: want 0 <= position <= 1")
        self._steps = steps or 1
        pixel = style.span * positions
        first = (SIDE - 1 - style.span) / 2  # the centre of pixel 0 has coordinate 0
        centres = np.rint((pixel + first) * steps) if steps else np.floor(pixel)
        centres = centres.astype(np.int32)
        # y points upwards, rows go downwards.
        height = (SIDE - 1) * self._steps - centres[..., 1]
        self._farthest = int(np.ceil(style.reach * self._steps))
        starts = np.empty(height.shape, np.int32)
        self.tables = {}
        for ball in (0, 1):
            columns, which = np.unique(centres[:, ball, 0], return_inverse=True)
            starts[:, ball] = which * (self._farthest + 1)
            self.tables[f"rows{ball + 1}"] = self._rows(columns, style, ball)
        # [N, ball, (first row of its column in the table, height of the centre)]
        self.tables["balls"] = np.stack([starts, height], axis=-1)
        self.shape = (len(positions), SIDE, SIDE, 3)
        self.dtype, self.maximum = np.dtype(np.uint8), 255.0

    def _rows(self, columns: np.ndarray, style: Style, ball: int) -> np.ndarray:
        """`[columns * distances, 192 or 384]` uint8 rows of pixels.

        Of ball 1, how much darker it makes white; of ball 2, the colour in front of white, and
        how much darker ball 1 may make it.
        """
        whole, part = -(-columns // self._steps), -columns % self._steps
        across = np.arange(-SIDE, SIDE) + np.unique(part)[:, None, None] / self._steps
        along = np.arange(self._farthest + 1)[:, None] / self._steps
        covered = style.coverage(np.sqrt(across**2 + along**2))[..., None]
        back, front = 255.0 - np.array(style.colours)
        if ball == 0:
            strips = [style.rounding(covered * back)]
        else:
            strips = [255 - style.rounding(covered * front), style.rounding((1 - covered) * back)]
        # [parts of a pixel, distances, kinds, twice the width, channels]
        strips = np.stack(strips, axis=2).astype(np.uint8)
        which = np.searchsorted(np.unique(part), part)
        rows = [
            strips[w, ..., SIDE - c : 2 * SIDE - c, :] for w, c in zip(which, whole, strict=True)
        ]
        return np.stack(rows).reshape(len(rows) * strips.shape[1], -1)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index) -> np.ndarray:
        chosen = self.tables["balls"][index]
        balls = chosen.reshape(-1, 2, 2)
        images = np.empty((len(balls), SIDE, SIDE * 3), np.uint8)
        for start in range(0, len(balls), 64):  # what the processor's cache holds
            part = slice(start, start + 64)
            distance = np.abs(np.arange(SIDE) * self._steps - balls[part, :, 1:])
            rows = balls[part, :, :1] + np.minimum(distance, self._farthest)
            front = self.tables["rows2"][rows[:, 1]]
            light, room = front[..., : SIDE * 3], front[..., SIDE * 3 :]
            np.minimum(self.tables["rows1"][rows[:, 0]], room, out=room)
            np.subtract(light, room, out=images[part])
        return images.reshape(*chosen.shape[:-2], *self.shape[1:])

    def gather(self, tables: Mapping, index):
        """See `Images.gather`."""
        import tensorflow as tf

        balls = tf.gather(tables["balls"], index)
        distance = tf.abs(tf.range(SIDE) * self._steps - balls[..., 1:])
        rows = balls[..., :1] + tf.minimum(distance, self._farthest)
        front = tf.gather(tables["rows2"], rows[:, 1])
        light, room = front[..., : SIDE * 3], front[..., SIDE * 3 :]
        images = light - tf.minimum(tf.gather(tables["rows1"], rows[:, 0]), room)
        return tf.reshape(images, [-1, *self.shape[1:]])
