"""Images of two labelled domains in memory: other factors, another colour, men and women."""

import dataclasses
import pathlib
from types import ModuleType

import numpy as np

from zoo.data import splits, tfds_wrapped
from zoo.data.dataset import Dataset, PickedImages
from zoo.data.space import FactorSpace
from zoo.data.zoo_domains.images import ColouredImages, HalvedImages
from zoo.data.zoo_dsprites import memory as zoo_dsprites
from zoo.data.zoo_shapes3d import memory as zoo_shapes3d

VERSION = "1.1.0"
SEED = 2503
DOMAINS = 2
# Images of one domain.
SIZES = {"train": 50_000, "test": 5_000}


@dataclasses.dataclass(frozen=True)
class Rendered:
    """Two domains on a factor grid.

    Attributes:
        family: the module whose `rendered` config has the images.
        changing: the factors whose distribution depends on the domain.
        halved: whether its images are made half as large.
    """

    family: ModuleType
    changing: tuple[str, ...]
    halved: bool = False

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(H, W, C)`."""
        height, width, channels = self.family.IMAGE_SHAPE
        return (height // 2, width // 2, channels) if self.halved else (height, width, channels)

    @property
    def space(self) -> FactorSpace:
        """The grid that factors are drawn from."""
        return self.family.SPACE


RENDERED = {
    "dsprites_two": Rendered(zoo_dsprites, ("shape", "scale")),
    "shapes3d_two": Rendered(zoo_shapes3d, ("wall_hue", "object_hue", "scale")),
}
RENDERED |= {f"{n}_32": dataclasses.replace(r, halved=True) for n, r in RENDERED.items()}
# The attribute that is the domain.
FACES = "Male"
# The shapes of what is not rendered.
PHOTOGRAPHS = {"two_colour_mnist": (32, 32, 3), "celeb_a_two": (64, 64, 3)}
# Red and green: each domain has a channel of its own.
COLOURS = np.array([[230, 40, 40], [40, 200, 70]])
DIGIT_MARGIN = 2

CONFIGS = {
    "dsprites_two": "dSprites; shape and scale are distributed differently in the two domains",
    "shapes3d_two": "3D Shapes; wall hue, object hue and scale are distributed differently",
    "dsprites_two_32": "the same images of dSprites at 32x32, means of 2x2 pixels",
    "shapes3d_two_32": "the same images of 3D Shapes at 32x32, means of 2x2 pixels",
    "celeb_a_two": "CelebA of TFDS at 64x64; the domain is the attribute Male",
    "two_colour_mnist": "MNIST of TFDS in two colours, 32x32; a digit is in one of the domains",
}


def probabilities(chosen: Rendered, domain: int) -> list[np.ndarray]:
    """The distribution of every factor in a domain, over its values.

    Factors are independent. One that changes has p(i) proportional to n - i in domain 0 and to
    i + 1 in domain 1, for i = 0..n-1: every value occurs in both. All others are uniform.
    """
    found = []
    for axis in chosen.space.axes:
        weights = np.ones(axis.size)
        if axis.name in chosen.changing:
            weights = np.arange(1.0, axis.size + 1)[:: 1 if domain else -1]
        found.append(weights / weights.sum())
    return found


def sample(chosen: Rendered, domain: int, split: str, count: int) -> np.ndarray:
    """`[count, F]` factor indices of one split of one domain, always the same."""
    # A stream for each, so that none depends on the size of another.
    stream = [SEED, list(SIZES).index(split), domain]
    rng = np.random.Generator(np.random.PCG64(stream))
    uniform = rng.random((count, len(chosen.space.axes)))
    columns = [
        np.searchsorted(np.cumsum(p)[:-1], uniform[:, i], side="right")
        for i, p in enumerate(probabilities(chosen, domain))
    ]
    return np.stack(columns, axis=-1)


def load(config: str, directory: pathlib.Path) -> Dataset:
    """Loads a set of two domains.

    Images are numbered domain after domain, and within a domain split after split. `extras` are
    `domain` `[N]` int32, `split` `[N]` (numbers in `splits.NAMES`), and `factors` `[N, F]` int32
    indices of the rendered sets, whose values are the `latents`, or `label` `[N]` of MNIST.

    Args:
        config: a key of `CONFIGS`.
        directory: where tables are kept; those of other families lie beside it.

    Raises:
        ValueError: TFDS has no MNIST or CelebA and cannot download it.
    """
    name = f"zoo_domains/{config}"
    if config in RENDERED:
        return _rendered(name, RENDERED[config], directory)
    if config == "celeb_a_two":
        return _faces(name, directory)
    return _two_colour_mnist(name, directory)


def _rendered(name: str, chosen: Rendered, directory: pathlib.Path) -> Dataset:
    parts = [(d, s) for d in range(DOMAINS) for s in SIZES]
    counts = [SIZES[s] for _, s in parts]
    factors = np.concatenate([sample(chosen, d, s, SIZES[s]) for d, s in parts])
    family = chosen.family.__name__.split(".")[-2]
    base = chosen.family.load("rendered", directory.parent / family)
    extras = {
        "domain": np.repeat(np.array([d for d, _ in parts], np.int32), counts),
        "split": np.repeat(np.array([splits.NAMES.index(s) for _, s in parts], np.uint8), counts),
        "factors": factors.astype(np.int32),
    }
    images = PickedImages(base.images, chosen.space.index(factors))
    if chosen.halved:
        images = HalvedImages(images)
    latents = chosen.space.values(factors).astype(np.float32)
    return Dataset(name, images, latents=latents, extras=extras)


def _faces(name: str, directory: pathlib.Path) -> Dataset:
    faces = tfds_wrapped.load("celeb_a", directory.parent / "celeb_a")
    domain = faces.extras[FACES].astype(np.int32)
    # Within a domain they stay in the order of TFDS, split after split.
    ids = np.argsort(domain, kind="stable").astype(np.int32)
    extras = {"domain": domain[ids], "split": faces.extras["split"][ids]}
    return Dataset(name, PickedImages(faces.images, ids), extras=extras)


def _two_colour_mnist(name: str, directory: pathlib.Path) -> Dataset:
    mnist = tfds_wrapped.load("mnist", directory.parent / "mnist")
    # Every other digit: no digit is in both domains, and both have as many of each split.
    ids = np.concatenate([np.arange(d, len(mnist), DOMAINS) for d in range(DOMAINS)])
    domain = (ids % DOMAINS).astype(np.int32)
    images = ColouredImages(PickedImages(mnist.images, ids), domain, COLOURS, DIGIT_MARGIN)
    extras = {key: mnist.extras[key][ids] for key in ("split", "label")}
    return Dataset(name, images, extras={"domain": domain, **extras})
