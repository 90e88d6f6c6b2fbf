"""Where the two balls are: the latent supports of the additive-decoder work.

Positions are in the unit square, y upwards. In the scalar sets the balls move vertically, at
x = 1/4 and x = 3/4, and the latents are (y1, y2); in the block sets both move in the plane and the
latents are (x1, y1 | x2, y2).
"""

from collections.abc import Callable

import numpy as np

X = (0.25, 0.75)
RADIUS = 0.16

Support = Callable[[np.random.Generator, int], np.ndarray]


def _uniform(low: float, high: float) -> Callable:
    return lambda rng, count: rng.uniform(low, high, count)


def _scalar(first: Callable, second: Callable) -> Support:
    """Scalar latents: `first(rng, count)` draws y1, `second(rng, y1)` y2."""

    def sample(rng: np.random.Generator, count: int) -> np.ndarray:
        y1 = first(rng, count)
        return np.stack([y1, second(rng, y1)], axis=1)

    return sample


def _l_shape(rng: np.random.Generator, y1: np.ndarray) -> np.ndarray:
    return rng.uniform(0.1, np.where(y1 < 0.5, 0.9, 0.5))


def _either(rng: np.random.Generator, y1: np.ndarray, low: float, high: float) -> np.ndarray:
    """U[0.1, low] or U[high, 0.9], with probability 1/2 each."""
    lower = rng.random(y1.shape) < 0.5
    return rng.uniform(np.where(lower, 0.1, high), np.where(lower, low, 0.9))


def _u_shape(rng: np.random.Generator, y1: np.ndarray) -> np.ndarray:
    anywhere, sides = rng.uniform(0.1, 0.9, y1.shape), _either(rng, y1, 0.34, 0.65)
    return np.where(y1 < 0.3, anywhere, sides)


def _apart(draw: Support) -> Support:
    """Rejects latents `[N, 4]` whose balls overlap: centres closer than two radii."""

    def far(z: np.ndarray) -> np.ndarray:
        return ((z[:, :2] - z[:, 2:]) ** 2).sum(1) >= (2 * RADIUS) ** 2

    return _rejecting(draw, far)


def _rejecting(draw: Support, keep: Callable[[np.ndarray], np.ndarray]) -> Support:
    def sample(rng: np.random.Generator, count: int) -> np.ndarray:
        kept = np.empty((0, draw(rng, 0).shape[1]))
        while len(kept) < count:
            drawn = draw(rng, count)
            kept = np.concatenate([kept, drawn[keep(drawn)]])
        return kept[:count]

    return sample


def _independent(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.uniform(0.1, 0.9, (count, 4))


def _dependent(beyond: Callable[[np.ndarray], np.ndarray]) -> Support:
    """Ball 2 is in the upper left quarter where `beyond(ball 1)`, else in the lower right one."""

    def draw(rng: np.random.Generator, count: int) -> np.ndarray:
        ball1 = rng.uniform(0.1, 0.9, (count, 2))
        near, far = rng.uniform(0.1, 0.5, count), rng.uniform(0.5, 0.9, count)
        swap = beyond(ball1)
        x2, y2 = np.where(swap, near, far), np.where(swap, far, near)
        return np.concatenate([ball1, x2[:, None], y2[:, None]], axis=1)

    return draw


def _bump_plane(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.uniform(0, 1, (count, 2))


SUPPORTS: dict[str, Support] = {
    "l_shape": _scalar(_uniform(0.1, 0.9), _l_shape),
    "extrapolation": _scalar(_uniform(0.5, 0.9), lambda rng, y1: rng.uniform(0.5, 0.9, y1.shape)),
    "disconnected": _scalar(_uniform(0.1, 0.9), lambda rng, y1: _either(rng, y1, 0.25, 0.75)),
    "u_shape": _scalar(_uniform(0.1, 0.9), _u_shape),
    "independent": _apart(_independent),
    "dependent_linear": _apart(_dependent(lambda z: z.sum(1) >= 1)),
    "dependent_nonlinear": _apart(_dependent(lambda z: 1.25 * (z**2).sum(1) >= 1)),
    "bump_l_shape": _rejecting(_bump_plane, lambda z: (z <= 0.5).any(1)),
    "bump_extrapolation": _rejecting(_bump_plane, lambda z: (z > 0.5).all(1)),
}

# The moving coordinate of each ball on a grid, the other fixed: 81 images.
TRAVERSAL = tuple(i / 10 for i in range(1, 10))


def positions(latents: np.ndarray, moving: str = "y") -> np.ndarray:
    """`[N, 2, 2]` positions (x, y) of both balls, from `[N, 2]` or `[N, 4]` latents.

    Args:
        latents: both balls' moving coordinates, or both balls' positions.
        moving: which coordinate two latents are, `x` or `y`; the other is 1/4 and 3/4.
    """
    if latents.shape[1] == 4:
        return latents.reshape(-1, 2, 2)
    fixed = np.broadcast_to(X, latents.shape)
    pair = (latents, fixed) if moving == "x" else (fixed, latents)
    return np.stack(pair, axis=-1)
