"""CLEVR-like scenes: what stands where, and what a camera of CLEVR would see of it.

Scenes only, in NumPy; Blender draws them in a process of its own (`clevr_worker.py`). The rules are
those of the CLEVR generator (Johnson et al. 2017):

* shape, size, material and colour of every object are uniform, x and y ~ U[-3, 3], the rotation
  ~ U[0, 360) degrees; a cube's half edge is its size over the square root of 2;
* objects are at least 0.25 apart, and their centres at least 0.4 along the camera's left-right and
  front-behind directions;
* the camera looks at the origin from (7.48, -6.51, 5.34) with a jitter of 0.5 along every axis, the
  three lamps have a jitter of 1;
* every object shows in at least 89 pixels, CLEVR's 200 at 320x240.

The frame is the part of CLEVR's 320x240 that CLEVR6 keeps: rows 29 to 220, columns 64 to 255.
"""

import dataclasses

import numpy as np

FACTORS = ("shape", "material", "colour", "size", "x", "y", "rotation")
SHAPES = ("cube", "sphere", "cylinder")
MATERIALS = ("rubber", "metal")
COLOURS = ("gray", "red", "blue", "green", "brown", "purple", "cyan", "yellow")
SIZES = ("small", "large")

SIDE = 128
MOST = 6
RADII = (0.35, 0.7)
RGB = (
    (87, 87, 87),
    (173, 35, 35),
    (42, 75, 215),
    (29, 105, 20),
    (129, 74, 25),
    (129, 38, 192),
    (41, 208, 208),
    (255, 238, 51),
)

# Slopes of the view: CLEVR's lens of 35 mm on a sensor of 32 mm, 320 pixels wide; the part that is
# kept is 192 pixels wide, and its middle lies 5 pixels below that of the frame.
HALF_WIDTH = 16 / 35 * 192 / 320
DROP = 16 / 35 * 5 / 160

_CAMERA = np.array([7.48113, -6.50764, 5.34367])
_LAMPS = np.array(
    [[6.44671, -2.90517, 4.2584], [-4.67112, -4.0136, 3.01122], [-1.1685, 2.64602, 5.81574]]
)
_REACH, _GAP, _MARGIN = 3.0, 0.25, 0.4
_TRIES, _LEAST_PIXELS = 50, 89
_RAYS = 64
# Mean projections of shapes of half height 1, over pi.
_PROJECTION = np.array([6 / np.pi, 1, 3 / 2])


@dataclasses.dataclass(frozen=True, eq=False)
class Scene:
    """One scene.

    Attributes:
        factors: `[count, 7]` float32 in the order of `FACTORS`; shape, material, colour and size as
            numbers in `SHAPES`, `MATERIALS`, `COLOURS` and `SIZES`, the rotation in degrees.
        camera: `[3]` position.
        lamps: `[3, 3]` positions of the key, the fill and the back lamp.
    """

    factors: np.ndarray
    camera: np.ndarray
    lamps: np.ndarray


def sample(seed: int, number: int, objects: tuple[int, int] = (2, MOST)) -> Scene:
    """The scene of one image, a function of the seed and the image's number alone.

    Args:
        seed: names the sequence of scenes.
        number: the image, from 0.
        objects: the least and the most objects, between which their number is uniform.

    Raises:
        ValueError: the number is negative, or the range of objects empty or beyond 6.
    """
    least, most = objects
    if number < 0:
        raise ValueError(f"image {number}: images are numbered from 0")
    if not 1 <= least <= most <= MOST:
        raise ValueError(f"objects={objects}: want 1 <= least <= most <= {MOST}")
    generator = np.random.Generator(np.random.Philox(key=[seed, number]))
    count = int(generator.integers(least, most + 1))
    camera = _CAMERA + generator.uniform(-0.5, 0.5, 3)
    lamps = _LAMPS + generator.uniform(-1, 1, (3, 3))
    while True:
        factors = _place(generator, count, camera)
        if factors is not None and shown(factors, camera).min() >= _LEAST_PIXELS:
            return Scene(factors, camera, lamps)


def heights(factors: np.ndarray) -> np.ndarray:
    """`[N]` half heights of objects `[N, 7]`: also the height of their centres, as they stand."""
    radii = np.array(RADII)[factors[:, 3].astype(int)]
    return np.where(factors[:, 0] == SHAPES.index("cube"), radii / np.sqrt(2), radii)


def shown(factors: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """`[N]` pixels of the image that each object covers, taking all of them for spheres.

    Each sphere is as large as the object's mean projection, a quarter of its surface (Cauchy).
    """
    half = heights(factors)
    radii = half * np.sqrt(_PROJECTION)[factors[:, 0].astype(int)]
    centres = np.column_stack([factors[:, 4:6], half]) - camera
    ahead, right, up = _axes(camera)
    steps = (np.arange(_RAYS) + 0.5) / _RAYS * 2 - 1
    across, down = np.meshgrid(steps * HALF_WIDTH, steps * HALF_WIDTH + DROP)
    rays = ahead + across[..., None] * right - down[..., None] * up
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    along = rays @ centres.T
    inside = radii**2 - (centres**2).sum(1) + along**2
    depth = np.where(inside > 0, along - np.sqrt(np.maximum(inside, 0)), np.inf)
    first = np.where(np.isfinite(depth.min(-1)), depth.argmin(-1), len(factors))
    hits = np.bincount(first.ravel(), minlength=len(factors) + 1)[:-1]
    return hits * (SIDE / _RAYS) ** 2


def _axes(camera: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The directions ahead, right and up of a camera that looks at the origin."""
    ahead = -camera / np.linalg.norm(camera)
    right = np.array([ahead[1], -ahead[0], 0]) / np.hypot(ahead[0], ahead[1])
    return ahead, right, np.cross(right, ahead)


def _place(generator: np.random.Generator, count: int, camera: np.ndarray) -> np.ndarray | None:
    """`[count, 7]` objects apart from each other, or None where one found no room."""
    ahead, right, _ = _axes(camera)
    directions = np.stack([ahead[:2] / np.hypot(*ahead[:2]), right[:2]])
    placed = np.empty((0, len(FACTORS)))
    for _ in range(count):
        kinds = [generator.integers(len(n)) for n in (SHAPES, MATERIALS, COLOURS, SIZES)]
        rotation = generator.uniform(0, 360)
        for x, y in generator.uniform(-_REACH, _REACH, (_TRIES, 2)):
            offsets = placed[:, 4:6] - (x, y)
            room = np.array(RADII)[placed[:, 3].astype(int)] + RADII[kinds[3]] + _GAP
            apart = (np.linalg.norm(offsets, axis=1) >= room).all()
            if apart and (np.abs(offsets @ directions.T) >= _MARGIN).all():
                placed = np.vstack([placed, [*kinds, x, y, rotation]])
                break
        else:
            return None
    return placed.astype(np.float32)
