"""The configs of a factor grid: with pixel noise, perturbed, or images of the family's own."""

import os
import pathlib
from collections.abc import Callable

from absl import logging

from zoo import files
from zoo.data import perturbation
from zoo.data.dataset import Dataset, Images
from zoo.data.noise import NoisyImages
from zoo.data.space import FactorSpace
from zoo.errors import SettingError


def load(
    name: str,
    images: Callable[[str], Images],
    space: FactorSpace,
    epsilon: float,
    directory: pathlib.Path,
    network: str | os.PathLike | None = None,
) -> Dataset:
    """A config of a family on a factor grid.

    Args:
        name: the family, and after a slash `rendered`, `noisy`, `perturbed` or another of its own.
        images: makes the images of `rendered` and of those of its own.
        space: their grid.
        epsilon: the largest change of a pixel by noise or perturbation, in [0, 1].
        directory: where perturbed images are kept.
        network: of `perturbed`; see `perturbation.find`.

    Raises:
        SettingError: there is no such network, or it does not fit; or a network for another config.
    """
    family, _, config = name.partition("/")
    if network and config != "perturbed":
        raise SettingError(f"{name} takes no network; {family}/perturbed does")
    if config == "perturbed":
        # Found before anything is drawn.
        folder = perturbation.find(family, network)
        _compare(folder, epsilon, name)
        base = Dataset(f"{family}/rendered", images("rendered"), space)
        name += f"/network={network}" if network else ""
        return Dataset(name, perturbation.perturbed(base, epsilon, folder, directory), space)
    if config == "noisy":
        return Dataset(name, NoisyImages(images("rendered"), amplitude=epsilon), space)
    return Dataset(name, images(config), space)


def _compare(network: pathlib.Path, epsilon: float, name: str) -> None:
    """Warns of a network whose card names another epsilon than that of the data set."""
    try:
        trained = files.read_json(network / "card.json", {}).get("epsilon")
    except files.FileError:
        return
    if isinstance(trained, float) and trained != epsilon:
        logging.warning(
            "%s has epsilon = %g, and %s was trained for %g: zoo.data.perturbation.perturbed takes "
            "any epsilon",
            *(name, epsilon, network, trained),
        )
