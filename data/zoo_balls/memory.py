"""Two balls in memory: latents from a seed, images composed when asked for; nothing on disk."""

import pathlib

import numpy as np

from zoo.data import splits
from zoo.data.dataset import Dataset
from zoo.data.renderers import balls
from zoo.data.space import Factor, FactorSpace
from zoo.data.zoo_balls import supports

VERSION = "1.1.0"
SEED = 100_000
SIZES = {"train": 50_000, "validation": 12_500, "test": 50_000}
TRAVERSAL_SIZES = {"test": len(supports.TRAVERSAL) ** 2}

# Positions a pixel. Balls that keep their columns need one table of rows each; where they move
# sideways, tables grow with the square of the steps (80 MB at 16).
_SCALAR_STEPS, _BLOCK_STEPS = 256, 16

_DISCS = {
    "l_shape": "scalar latents on an L: y2 in the lower half where y1 is in the upper half",
    "extrapolation": "scalar latents on the corner that the L lacks",
    "disconnected": "scalar latents on two separate bands of y2",
    "u_shape": "scalar latents on a U",
    "independent": "block latents: both balls anywhere, not overlapping",
    "overlapping": "block latents: both balls anywhere, ball 2 in front",
    "dependent_linear": "block latents: ball 2's corner depends on x1 + y1",
    "dependent_nonlinear": "block latents: ball 2's corner depends on x1^2 + y1^2",
    "traversal_x": "a 9x9 grid of x1 and x2, for plots",
    "traversal_y": "a 9x9 grid of y1 and y2, for plots",
}

CONFIGS = {
    **_DISCS,
    **{f"{name}_subpixel": f"{text}; centres between pixels" for name, text in _DISCS.items()},
    "bump_l_shape": "smooth bumps, scalar latents on an L",
    "bump_extrapolation": "smooth bumps, scalar latents on the corner that the L lacks",
}


def sizes(config: str) -> dict[str, int]:
    """The number of images of each split."""
    return TRAVERSAL_SIZES if config.startswith("traversal") else SIZES


def latent_names(config: str) -> tuple[str, ...]:
    """What the latents are: some of x1, y1, x2, y2."""
    if config.startswith(("independent", "dependent", "overlapping")):
        return ("x1", "y1", "x2", "y2")
    return ("x1", "x2") if config.startswith("traversal_x") else ("y1", "y2")


def space(config: str) -> FactorSpace | None:
    """The grid of a traversal; None for the sampled sets."""
    if not config.startswith("traversal"):
        return None
    return FactorSpace(tuple(Factor(n, supports.TRAVERSAL) for n in latent_names(config)))


def latents(config: str) -> np.ndarray:
    """`[N, 2]` or `[N, 4]` float32 latents of all splits; of `_subpixel` the same as without."""
    grid = space(config)
    if grid:
        return grid.values(grid.factors(np.arange(len(grid)))).astype(np.float32)
    support = config.removesuffix("_subpixel")
    stream = [SEED, list(supports.SUPPORTS).index(support)]
    rng = np.random.Generator(np.random.PCG64(stream))
    # Splits are drawn one after the other, so that changing the last leaves the first as it was.
    drawn = [supports.SUPPORTS[support](rng, count) for count in SIZES.values()]
    return np.concatenate(drawn).astype(np.float32)


def load(config: str, directory: pathlib.Path) -> Dataset:
    """Loads a set of ball images.

    Its `extras` are `positions` `[N, 2, 2]` float32, x and y of both centres in the unit square,
    and `split` `[N]` (numbers in `splits.NAMES`).

    Args:
        config: a key of `CONFIGS`.
        directory: not used: nothing is kept.
    """
    del directory
    z = latents(config)
    sideways = "x1" in latent_names(config)
    centres = supports.positions(z, "x" if sideways else "y")
    bump, subpixel = config.startswith("bump"), config.endswith("_subpixel")
    steps = None
    if bump or subpixel:
        steps = _BLOCK_STEPS if sideways else _SCALAR_STEPS
    return Dataset(
        name=f"zoo_balls/{config}",
        images=balls.BallImages(centres, balls.BUMP if bump else balls.DISC, steps),
        space=space(config),
        latents=z,
        extras={
            "positions": centres.astype(np.float32),
            "split": splits.labels(sizes(config)),
        },
    )
