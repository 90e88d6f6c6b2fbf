"""Convex solids for ray casting: where a ray is inside one, and the outward normals.

A ray is `origin + t * direction`; origins, directions and points are triples (x, y, z) of numbers
or arrays that broadcast. Solids stand on z = 0, centred at x = y = 0. `interval` gives the start
and the end of the t inside, start > end where the ray misses; `normal` takes points of the surface.

Every operation is one that IEEE 754 rounds correctly: results are the same on every machine.
"""

import dataclasses

import numpy as np

NEVER = 1e9
Interval = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Cube:
    """A cube with sides along the axes."""

    half_edge: float

    def interval(self, origin, direction) -> Interval:
        """Where the ray is inside."""
        half = self.half_edge
        sides = (_slab(origin[i], direction[i], -half, half) for i in (0, 1))
        return _intersection(*sides, _slab(origin[2], direction[2], 0.0, 2 * half))

    def normal(self, x, y, z):
        """The outward normal."""
        z = z - self.half_edge
        is_x = (np.abs(x) >= np.abs(y)) & (np.abs(x) >= np.abs(z))
        is_y = ~is_x & (np.abs(y) >= np.abs(z))
        return is_x * np.sign(x), is_y * np.sign(y), ~(is_x | is_y) * np.sign(z)


@dataclasses.dataclass(frozen=True)
class Cylinder:
    """An upright cylinder."""

    radius: float
    half_height: float

    def interval(self, origin, direction) -> Interval:
        """Where the ray is inside."""
        height = _slab(origin[2], direction[2], 0.0, 2 * self.half_height)
        return _intersection(_pillar(self.radius, origin, direction), height)

    def normal(self, x, y, z):
        """The outward normal; the bottom is never seen."""
        top = z > 2 * self.half_height - 1e-9
        return np.where(top, 0.0, x / self.radius), np.where(top, 0.0, y / self.radius), top * 1.0


@dataclasses.dataclass(frozen=True)
class Sphere:
    """A sphere."""

    radius: float

    def interval(self, origin, direction) -> Interval:
        """Where the ray is inside."""
        return _ball(self.radius, self.radius, origin, direction)

    def normal(self, x, y, z):
        """The outward normal."""
        return x / self.radius, y / self.radius, (z - self.radius) / self.radius


@dataclasses.dataclass(frozen=True)
class Capsule:
    """An upright cylinder with a half sphere at either end."""

    radius: float
    half_length: float

    @property
    def _top(self) -> float:
        return self.radius + 2 * self.half_length

    def interval(self, origin, direction) -> Interval:
        """Where the ray is inside."""
        height = _slab(origin[2], direction[2], self.radius, self._top)
        start, end = NEVER, -NEVER
        for enters, leaves in (
            _intersection(_pillar(self.radius, origin, direction), height),
            _ball(self.radius, self.radius, origin, direction),
            _ball(self.radius, self._top, origin, direction),
        ):
            met = enters < leaves
            start = np.minimum(start, np.where(met, enters, NEVER))
            end = np.maximum(end, np.where(met, leaves, -NEVER))
        return start, end

    def normal(self, x, y, z):
        """The outward normal."""
        axis = np.clip(z, self.radius, self._top)
        return x / self.radius, y / self.radius, (z - axis) / self.radius


def _slab(origin, direction, low: float, high: float) -> Interval:
    with np.errstate(divide="ignore"):
        a, b = (low - origin) / direction, (high - origin) / direction
    return np.minimum(a, b), np.maximum(a, b)


def _pillar(radius: float, o, d) -> Interval:
    a, b, c = d[0] * d[0] + d[1] * d[1], o[0] * d[0] + o[1] * d[1], o[0] * o[0] + o[1] * o[1]
    return _quadric(a, b, c - radius * radius)


def _ball(radius: float, height: float, o, d) -> Interval:
    z = o[2] - height
    a = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
    b = o[0] * d[0] + o[1] * d[1] + z * d[2]
    return _quadric(a, b, o[0] * o[0] + o[1] * o[1] + z * z - radius * radius)


def _quadric(a, b, c) -> Interval:
    """Where a t^2 + 2 b t + c < 0, for a > 0."""
    discriminant = b * b - a * c
    root = np.sqrt(np.maximum(discriminant, 0))
    met = discriminant > 0
    return np.where(met, (-b - root) / a, NEVER), np.where(met, (-b + root) / a, -NEVER)


def _intersection(*intervals: Interval) -> Interval:
    starts, ends = zip(*intervals, strict=True)
    start, end = starts[0], ends[0]
    for other, last in zip(starts[1:], ends[1:], strict=True):
        start, end = np.maximum(start, other), np.minimum(end, last)
    return start, end
