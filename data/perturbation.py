"""Images perturbed by a network of their factors: x + epsilon m(w), folded back into [0, 1].

Chapter 4 of Zietlow's dissertation (Zietlow, Rolinek, Martius 2021) trains m so that the perturbed
data mislead models into an entangled code. Here m is any SavedModel with a function `perturb`:

- its only argument is `[B, F]` float32, the factors of B images, and its name says which: `values`
  takes their physical values (`FactorSpace.values`), `factors` their grid indices;
- it returns `[B, H, W, C]` float32 in [-1, 1].

Networks are found by path, or by name in the hub of the package `zoo`.
"""

import hashlib
import os
import pathlib
from collections.abc import Callable, Iterator

import numpy as np

from zoo import files
from zoo.data import npy, tables
from zoo.data.dataset import Dataset, DenseImages
from zoo.errors import SettingError, UserError

ENVIRONMENT = "ZOO_PERTURBATION"
# Part of the digest; the outputs of a network may differ in the last bit with another batch.
_BATCH = 256


_fetch: Callable[[str], pathlib.Path] | None = None
_is_own: Callable[[str], bool] | None = None


def find_in_hub_with(fetch: Callable[[str], pathlib.Path], is_own: Callable[[str], bool]) -> None:
    """Says how names become folders; `zoo` does so, as nothing here knows its hub.

    Args:
        fetch: a name to the folder of a verified SavedModel; it raises a ValueError if there is no
            such model.
        is_own: whether a hub of the package itself has a model of a name.
    """
    global _fetch, _is_own
    _fetch, _is_own = fetch, is_own


def find(family: str, network: str | os.PathLike | None = None) -> pathlib.Path:
    """The folder of a family's network.

    Args:
        family: for example `zoo_dsprites`.
        network: the folder of a SavedModel, or one that has a folder of the family's name, or a
            name in the hub; if None, what `ZOO_PERTURBATION` holds, of the same kinds, and without
            it the hub's own network, `perturbations/dsprites`. As for `zoo.load`, a name of the
            package's own hubs wins over a folder (`./` before the latter), and a folder over a name
            of another hub.

    Raises:
        SettingError: there is no such network.
    """
    named = network or os.environ.get(ENVIRONMENT)
    chosen = os.fspath(named or hub_name(family))
    what = f"{family}/perturbed needs the network {chosen!r}, which is"
    # What nobody named is not looked for among the folders here.
    if named and not _is_own(chosen):
        folder = pathlib.Path(chosen).expanduser()
        for place in (folder / family, folder):
            if (place / "saved_model.pb").is_file():
                return place
        if folder.is_dir():
            raise SettingError(f"{folder} is no SavedModel: it has no saved_model.pb")
        what += " no folder here and"
    advice = (
        f"name a SavedModel's folder in {ENVIRONMENT}, such as `python -m zoo.perturb` trains "
        "(data/README.md says what it computes)"
    )
    try:
        return pathlib.Path(_fetch(chosen))
    except UserError as error:
        reason = " ".join(str(error).split())
        raise SettingError(f"{what} not in the hub ({reason}): {advice}") from error


def hub_name(family: str) -> str:
    """The name of a family's network in the hub."""
    return f"perturbations/{family.removeprefix('zoo_')}"


def perturbed(
    base: Dataset, epsilon: float, network: str | os.PathLike, directory: str | os.PathLike
) -> DenseImages:
    """The images of a data set, each with the perturbation of its factors.

    x' = x + epsilon m(w) with x in [0, 1], then -x' below 0 and 2 - x' above 1, kept as
    round(255 x') uint8. What the network gives is not the same to the last bit in a batch of
    another size or under XLA, so images are computed once, in batches of fixed size, into a file
    beside the other tables (3.0 GB for dSprites, 5.9 GB for 3D Shapes) which is memory-mapped from
    then on. Every network has a file of its own.

    Args:
        base: the images with their factors, all of a data set: as on a grid.
        epsilon: the largest change of a pixel, above 0 and at most 1.
        network: its folder.
        directory: where the file is kept.

    Returns:
        The images, in the order of `base`.

    Raises:
        SettingError: these images cannot be perturbed, this is no network for them, or the disk is
            too small.
    """
    folder, directory = pathlib.Path(network), pathlib.Path(directory)
    if base.of is not None or base.space is None:
        what = "has no factors" if base.space is None else f"is a part of {base.whole.name}"
        raise SettingError(
            f"{base.name} {what}: perturb a whole data set on a grid of factors, and take parts of "
            "the result"
        )
    # Negated, so that a NaN is refused too.
    if not 0 < epsilon <= 1:
        raise SettingError(f"epsilon must be above 0 and at most 1, not {epsilon}")
    _require_network(folder)
    made = hashlib.sha256(f"{base.fingerprint} {epsilon} {_BATCH} {digest(folder)}".encode())
    path = directory / f"perturbed-{made.hexdigest()[:12]}.npy"

    def make(temporary: pathlib.Path) -> None:
        perturb = _loaded(folder, base)
        directory.mkdir(parents=True, exist_ok=True)
        files.require_room(directory, int(np.prod(base.images.shape)))
        npy.write(temporary, _blocks(perturb, base, epsilon, folder))

    tables.kept(make, path)
    return DenseImages(npy.mapped(path))


def folded(images: np.ndarray) -> np.ndarray:
    """Values in [-1, 2] reflected at 0 and 1: x - 2 relu(x - 1) + 2 relu(-x)."""
    return 1 - np.abs(1 - np.abs(images))


def digest(folder: pathlib.Path) -> str:
    """A short hash of a SavedModel's graph and weights."""
    made = hashlib.sha256()
    for file in [folder / "saved_model.pb", *sorted((folder / "variables").glob("*"))]:
        made.update(file.name.encode())
        made.update(file.read_bytes())
    return made.hexdigest()[:12]


def _require_network(folder: pathlib.Path) -> None:
    if not (folder / "saved_model.pb").is_file():
        raise SettingError(f"{folder} is no SavedModel: it has no saved_model.pb")


def _loaded(folder: pathlib.Path, base: Dataset) -> Callable[[np.ndarray], np.ndarray]:
    """Factor indices `[B, F]` to the network's output `[B, H, W, C]`."""
    import tensorflow as tf

    try:
        with files.literal(folder) as path:
            loaded = tf.saved_model.load(path)
        (argument,), _ = loaded.perturb.concrete_functions[0].structured_input_signature
        known = {"values": base.space.values, "factors": np.asarray}
        inputs, shape = known[argument.name], argument.shape
    except Exception as error:
        raise SettingError(
            f"{folder} is no perturbation network ({type(error).__name__}): it must have a "
            "function perturb(values) or perturb(factors)"
        ) from error
    if not shape.is_compatible_with([None, len(base.space.axes)]) or argument.dtype != tf.float32:
        raise SettingError(
            f"{folder}: perturb takes {argument.dtype.name} {shape}, and {base.name} has "
            f"{len(base.space.axes)} factors: it must take float32 [B, {len(base.space.axes)}]"
        )

    def perturb(factors: np.ndarray) -> np.ndarray:
        # Through the loaded object, without which the function's variables are gone.
        return loaded.perturb(tf.constant(inputs(factors), tf.float32)).numpy()

    return perturb


def _blocks(perturb, base: Dataset, epsilon: float, folder: pathlib.Path) -> Iterator[np.ndarray]:
    from tqdm import tqdm

    scale = np.float32(1 / base.images.maximum)
    for start in tqdm(range(0, len(base), _BATCH), desc=f"perturbing {base.name}", disable=None):
        some = base.ids[start : start + _BATCH]
        # Always a full batch, so that the last one is computed as all others are.
        change = perturb(base.space.factors(np.resize(some, _BATCH)))[: len(some)]
        images = base.images[some] * scale
        if change.shape != images.shape or change.dtype != np.float32:
            raise SettingError(
                f"{folder}: perturb returns {change.dtype} {list(change.shape[1:])} an image "
                f"instead of float32 {list(images.shape[1:])}"
            )
        # Negated, so that a NaN is refused too.
        if not np.abs(change).max() <= 1 + 1e-6:
            raise SettingError(
                f"{folder}: perturb must stay in [-1, 1], and does not on image {start} or the "
                f"{len(some) - 1} after it: end the network with tanh"
            )
        new = np.rint(255 * folded(images + np.float32(epsilon) * change)).astype(np.uint8)
        # Grey levels are rounded by half a one at most.
        largest = np.abs(new - 255 * images).reshape(len(some), -1).max(1)
        if largest.max() > 255 * epsilon + 0.51:
            raise SettingError(
                f"{folder}: image {start + largest.argmax()} changes by {largest.max() / 255:.3f}, "
                f"more than epsilon = {epsilon}"
            )
        yield new
