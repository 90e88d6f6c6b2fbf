"""3D Shapes: one object in a coloured room, 64x64, by an analytic ray caster.

The geometry was measured on genuine images (see data/zoo_shapes3d/README.md). Lengths are those of
a room whose walls stand at x, y = +-3.5; z points up; the object stands in the middle of the floor
and the camera goes round it.

Colours factorise. Hues are tenths of a turn at full saturation and value, so that a channel of
floor, wall or object has one of six levels, and all light is white. A channel of a pixel is the sum

    floor(level) + wall(level) + object(level) + sky

whose terms depend on scale, shape and orientation only. So 480 geometries are traced, each into 21
planes (three times six levels, then the sky's three channels), and each channel of the 480,000
images is the sum of four planes: 41 MB stand for 5.9 GB.

Only operations that IEEE 754 rounds correctly decide a pixel, and averages are sums of integers:
the bytes do not depend on the processor or on the number of threads.
"""

import concurrent.futures
import math

import numpy as np

from zoo import cores
from zoo.data.renderers import solids
from zoo.data.space import Factor, FactorSpace

_TENTHS = tuple(i / 10 for i in range(10))
SPACE = FactorSpace(
    (
        Factor("floor_hue", _TENTHS, circular=True),
        Factor("wall_hue", _TENTHS, circular=True),
        Factor("object_hue", _TENTHS, circular=True),
        Factor("scale", tuple(np.linspace(0.75, 1.25, 8).tolist())),
        Factor("shape", (0.0, 1.0, 2.0, 3.0), categorical=True),
        Factor("orientation", tuple(np.linspace(-30, 30, 15).tolist())),
    )
)
SIZE = 64
COLOURS = math.prod(SPACE.sizes[:3])
GEOMETRIES = math.prod(SPACE.sizes[3:])
PLANES = 21
VERSION = 1

_LEVELS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
# The levels of red, green and blue at every hue: HSV(hue, 1, 1).
HUES = ((5, 0, 0), (5, 3, 0), (4, 5, 0), (1, 5, 0), (0, 5, 2),
         (0, 5, 5), (0, 2, 5), (1, 0, 5), (4, 0, 5), (5, 0, 3))  # fmt: skip
_SKY = (153, 226, 249)

# A sample is an integer, 16 to a grey level: the 16 samples of a pixel add up to 256 to a level.
_SAMPLES = 4
_FULL = 16 * 255

_WALL, _WALL_HEIGHT = 3.5, 2.058
_DISTANCE, _EYE, _FIELD_OF_VIEW = 2.47, 0.739, 49.8
_AMBIENT, _HEADLIGHT = 0.35, 0.6
_SPOT, _SPOT_DIFFUSE = (-1.5, 0.4, 7.25), 0.97
_SPOT_CUTOFF = 0.5373
# What a spot light adds to an object whose shininess is zero: the same at every angle.
_GLOSS = 30 / 255


def rows() -> np.ndarray:
    """Which planes make up a colour combination: `[1000, 3, 4]` int32.

    The entries of channel c are the planes, within the 21 of a geometry, of floor, wall, object
    and sky. Colour combinations are numbered floor, wall, object hue, the last varying fastest.
    """
    hues = np.array(HUES, np.int32)
    floor, wall, thing = np.unravel_index(np.arange(COLOURS), SPACE.sizes[:3])
    sky = np.broadcast_to(np.arange(18, 21, dtype=np.int32), (COLOURS, 3))
    return np.stack([hues[floor], 6 + hues[wall], 12 + hues[thing], sky], axis=-1)


def planes() -> np.ndarray:
    """The planes of all geometries: `[480 * 21, 64, 64]` uint8, orientation varying fastest.

    No sum of four planes of a geometry that belong to one image exceeds 255.
    """
    out = np.empty((GEOMETRIES * PLANES, SIZE, SIZE), np.uint8)
    scales, shapes, orientations = SPACE.sizes[3:]
    grid = out.reshape(scales, shapes, orientations, PLANES, SIZE, SIZE)

    def draw(orientation: int) -> None:
        room = _Room(orientation)
        for scale, shape in np.ndindex(scales, shapes):
            room.trace(scale, shape, grid[scale, shape, orientation])

    with concurrent.futures.ThreadPoolExecutor(cores.count()) as pool:
        list(pool.map(draw, range(orientations)))
    return out


def render(factors: np.ndarray) -> np.ndarray:
    """Images of factor combinations: `[..., 6]` indices to `[..., 64, 64, 3]` uint8.

    Raises:
        ValueError: a factor index is out of its range.
    """
    ids = SPACE.index(factors).reshape(-1)
    images = np.empty((len(ids), SIZE, SIZE, 3), np.uint8)
    table, traced = rows(), np.empty((PLANES, SIZE, SIZE), np.uint8)
    for geometry in np.unique(ids % GEOMETRIES):
        scale, shape, orientation = np.unravel_index(geometry, SPACE.sizes[3:])
        _Room(int(orientation)).trace(int(scale), int(shape), traced)
        for i in np.flatnonzero(ids % GEOMETRIES == geometry):
            channels = traced[table[ids[i] // GEOMETRIES]].sum(1, dtype=np.uint8)
            images[i] = np.moveaxis(channels, 0, -1)
    return images.reshape(*np.shape(factors)[:-1], SIZE, SIZE, 3)


def _solid(shape: int, size: float):
    if shape == 0:
        return solids.Cube(size * 0.344)
    if shape == 1:
        return solids.Cylinder(radius=size * 0.366, half_height=size * 0.376)
    if shape == 2:
        return solids.Sphere(size * 0.417)
    return solids.Capsule(radius=size * 0.318, half_length=size * 0.337)


class _Room:
    """The empty room as seen by the camera: for every sample what it shows, and how bright.

    Rays are `eye + t * direction`, the direction being 1 along the optical axis. Arrays of samples
    are `[256, 256]`; x and y of the direction depend on the column, z on the row.
    """

    def __init__(self, orientation: int):
        angle = math.radians(SPACE.axes[5].values[orientation])
        # Rounded, because the last digit of these depends on the mathematical library.
        sine, cosine = round(math.sin(angle), 12), round(math.cos(angle), 12)
        reach = round(math.tan(math.radians(_FIELD_OF_VIEW / 2)), 12)
        samples = SIZE * _SAMPLES
        across = ((np.arange(samples) + 0.5) * (2 / samples) - 1) * reach
        self._ahead = (-sine, cosine)
        self._eye = (_DISTANCE * sine, -_DISTANCE * cosine, _EYE)
        self._ray = (cosine * across - sine, sine * across + cosine, -across[:, None])

        (dx, dy, dz), (ex, ey, ez) = self._ray, self._eye
        to_x = (np.where(dx > 0, _WALL, -_WALL) - ex) / dx
        to_y = (np.where(dy > 0, _WALL, -_WALL) - ey) / dy
        to_wall = np.minimum(to_x, to_y)
        to_floor = np.where(dz < 0, ez / np.where(dz < 0, -dz, 1), solids.NEVER)
        self._floor = to_floor < to_wall
        distance = np.minimum(to_floor, to_wall)
        x, y = ex + distance * dx, ey + distance * dy
        z = np.where(self._floor, 0.0, ez + to_wall * dz)
        self._sky = z > _WALL_HEIGHT
        self._wall = ~self._floor & ~self._sky

        nx = np.where(self._floor | (to_x >= to_y), 0.0, -np.sign(dx))
        ny = np.where(self._floor | (to_x < to_y), 0.0, -np.sign(dy))
        head, spot, _ = self._light((x, y, z), (nx, ny, self._floor))
        texture = np.where(self._floor, _floor_texture(x, y), _wall_texture(nx * y - ny * x, z))
        self._lit = _levels((head + spot) * texture)
        self._shaded = _levels(head * texture)
        self._near = np.flatnonzero(self._floor & (np.abs(x) < 2) & (np.abs(y) < 2))
        self._near_at = x.reshape(-1)[self._near], y.reshape(-1)[self._near]

    def trace(self, scale: int, shape: int, out: np.ndarray) -> None:
        """Puts an object into the room: writes its 21 planes, `[21, 64, 64]` uint8."""
        solid = _solid(shape, SPACE.axes[3].values[scale])
        enters, leaves = solid.interval(self._eye, self._ray)
        hit = np.broadcast_to(enters < leaves, self._floor.shape)
        row, column = np.nonzero(hit)
        distance = np.broadcast_to(enters, hit.shape)[hit]
        (dx, dy, dz), (ex, ey, ez) = self._ray, self._eye
        point = (
            ex + distance * dx[column],
            ey + distance * dy[column],
            ez + distance * dz[row, 0],
        )
        head, spot, reached = self._light(point, solid.normal(*point))
        surface = np.zeros((len(_LEVELS), *hit.shape), np.uint16)
        surface[:, hit] = _levels(head + spot, _GLOSS * reached)

        # Walls are out of the shadow's reach, and a convex object shades itself by its normals.
        x, y = self._near_at
        enters, leaves = solid.interval((x, y, 0.0), (_SPOT[0] - x, _SPOT[1] - y, _SPOT[2]))
        shadow = self._near[(enters < leaves) & (leaves > 0)]
        room = self._lit.copy()
        flat, shaded = room.reshape(len(room), -1), self._shaded.reshape(len(room), -1)
        flat[:, shadow] = shaded[:, shadow]

        out[:6] = _pixels(room * (self._floor & ~hit))
        out[6:12] = _pixels(room * (self._wall & ~hit))
        out[12:18] = _pixels(surface)
        sky = self._sky & ~hit
        out[18:] = _pixels(np.stack([sky * np.uint16(16 * channel) for channel in _SKY]))

    def _light(self, point, normal) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Ambient light and headlight; the spot light; which points the spot light reaches."""
        nx, ny, nz = normal
        facing = -(nx * self._ahead[0] + ny * self._ahead[1])
        lx, ly, lz = (a - b for a, b in zip(_SPOT, point, strict=True))
        distance = np.sqrt(lx * lx + ly * ly + lz * lz)
        slope = (nx * lx + ny * ly + nz * lz) / distance
        down = lz / distance
        fourth = (down * down) * (down * down)
        reached = (slope > 0) & (down > _SPOT_CUTOFF)
        spot = np.where(reached, _SPOT_DIFFUSE * slope * (fourth * fourth * down), 0.0)
        return _AMBIENT + _HEADLIGHT * np.maximum(facing, 0), spot, reached


def _levels(light: np.ndarray, gloss: np.ndarray | float = 0.0) -> np.ndarray:
    """Samples of the six levels under some light, `[6, ...]` uint16: they clip at white."""
    samples = [np.minimum(level * light + gloss, 1.0) * _FULL + 0.5 for level in _LEVELS]
    return np.stack(samples).astype(np.uint16)


def _pixels(samples: np.ndarray) -> np.ndarray:
    """Averages of 4x4 samples, `[..., 256, 256]` uint16 to `[..., 64, 64]` uint8.

    Fractions from 193/256 on are rounded up: four rounded parts of a pixel never exceed 255.
    """
    lines = sum(samples[..., i::_SAMPLES, :] for i in range(_SAMPLES))
    sums = sum(lines[..., i::_SAMPLES] for i in range(_SAMPLES))
    return ((sums + np.uint16(63)) >> 8).astype(np.uint8)


def _floor_texture(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 0.977 + 0.006 * _hexagons(x, y)


def _wall_texture(along: np.ndarray, up: np.ndarray) -> np.ndarray:
    """The same tiles upright, with an oblique dark mark in each."""
    u, v = _wrapped(along - 0.145), _wrapped(up - 1.0)
    across, length = (0.808 * u + 0.589 * v) / 0.22, (0.808 * v - 0.589 * u) / 0.5
    mark = np.maximum(1 - across * across - length * length, 0)
    return 0.979 + 0.006 * _hexagons(up, along) - 0.08 * mark


def _hexagons(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Three waves that make hexagons, bright (3) in the middle; the period is 2 both ways."""
    return 2 * _wave(4 * a) * _wave(2.5 * b) + _wave(5 * b)


def _wave(turns: np.ndarray) -> np.ndarray:
    """A cubic in place of cos(2 pi turns), whose last digit depends on the library."""
    part = np.abs(turns - np.floor(turns + 0.5))
    return 1 - part * part * (24 - 32 * part)


def _wrapped(length: np.ndarray) -> np.ndarray:
    return length - 2 * np.floor(length / 2 + 0.5)
