"""Which data sets there are. A data set is added by one line here and a folder of its own."""

import difflib
import functools
import importlib
import inspect
import pathlib
import re
import sys
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from zoo.data import from_arrays, splits
from zoo.data.dataset import Dataset
from zoo.data.space import FactorSpace
from zoo.errors import SettingError

# Family name -> module with `CONFIGS` (config name -> one-line description, the default first) and
# `load(config, directory) -> Dataset`, `directory` being a cache folder of the family's own. A
# family with splits of its own has them as the extra `split`, `[N]` numbers in `splits.NAMES`. One
# with perturbed images takes `network` as a third argument, one with sets that a seed draws `seed`.
FAMILIES = {
    "zoo_dsprites": "zoo.data.zoo_dsprites.memory",
    "zoo_shapes3d": "zoo.data.zoo_shapes3d.memory",
    "zoo_sprites": "zoo.data.zoo_sprites.memory",
    "zoo_clevr6": "zoo.data.zoo_clevr6.memory",
    "zoo_balls": "zoo.data.zoo_balls.memory",
    "zoo_sprite_pairs": "zoo.data.zoo_sprite_pairs.memory",
    "zoo_synthetic": "zoo.data.zoo_synthetic.memory",
    "zoo_domains": "zoo.data.zoo_domains.memory",
}
# The same contract, one config per data set, but no builder: these are TFDS's own, by TFDS's names.
WRAPPED = "zoo.data.tfds_wrapped"
# What users register: what makes it, and the module that did.
_OWN: dict[str, tuple[Callable[[], Dataset], str]] = {}
_OWN_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")

# What may follow a name, and which data sets take it.
_OPTIONS = {
    "network": "those named perturbed do",
    "seed": "those of zoo_synthetic that are called after a graph do",
}


def names() -> list[str]:
    """Every name that `load` takes: `family/config`, one of TFDS's data sets, or a user's own."""
    ours = [f"{f}/{c}" for f, m in FAMILIES.items() for c in importlib.import_module(m).CONFIGS]
    return [*ours, *importlib.import_module(WRAPPED).CONFIGS, *_OWN]


def register(
    name: str,
    images: Any,
    factors: Any = None,
    space: FactorSpace | None = None,
    *,
    latents: Any = None,
    extras: Mapping[str, Any] | None = None,
    maximum: float | None = None,
    replace: bool = False,
) -> None:
    """Gives a name to a data set of one's own, for `load`, gin files and commands.

        zoo.data.register("rooms", images, factors={"hue": hues, "shape": shapes})
        zoo.data.load("rooms[train]")

    Put it into a module that the gin file imports, and a run can be resumed from anywhere. Images
    whose factors fill a grid, one image per combination, are numbered in the grid's order; only
    they have pairs to draw and factors to set. Arrays are copied, unless they are read-only.

    Args:
        name: `name` or `family/config`.
        images: `[N, H, W, C]` uint8 or bool, or `[N, D]` floats for vectors; or a function of no
            arguments that returns them, which is called when the data set is first loaded.
        factors: what varies, discretely: `[N, F]` integers from 0, or `[N]` numbers or words by
            name. If left out, and `space` is given, images are in its order.
        space: the values of the factors; made of `factors` if left out.
        latents: `[N, K]` continuous quantities.
        extras: further arrays of N entries by name, such as `masks`, `domain`, or `split`, numbers
            that stand for train, validation and test.
        maximum: of integers, the value that stands for 1.0: 255 if left out, 1 for bool.
        replace: whether a data set that was registered by this name makes way.

    Raises:
        SettingError: a name that exists, or arrays of other shapes or types than these; of images
            that a function makes it is raised by `load`.
    """
    if not _OWN_NAME.fullmatch(name):
        raise SettingError(
            f"zoo.data.register: {name!r} is no name; give letters, digits, _, - and ., with a "
            "slash at most"
        )
    shipped = name.partition("/")[0] in FAMILIES or name in importlib.import_module(WRAPPED).CONFIGS
    if shipped or (name in _OWN and not replace):
        remedy = "choose another" if shipped else "choose another, or give replace=True"
        raise SettingError(f"zoo.data.register: there is a data set named {name!r}; {remedy}")

    @functools.cache
    def make() -> Dataset:
        made = images() if callable(images) else images
        return from_arrays.dataset(name, made, factors, space, latents, extras, maximum)

    if not callable(images):
        make()
    _OWN[name] = make, sys._getframe(1).f_globals.get("__name__", "__main__")


def module_of(name: str) -> str | None:
    """The module that registered a data set, whatever split of it is named; None of ours."""
    return _OWN[name.partition("[")[0]][1] if name.partition("[")[0] in _OWN else None


def load(
    name: str, directory: str | pathlib.Path | None = None, split: str | None = None
) -> Dataset:
    """Loads a data set into memory, making what it needs on first use.

    Args:
        name: `family/config`, or `family` for its default config; `names()` lists them. The
            network of a perturbed set may follow as in TFDS, `family/config/network=PATH`, or the
            seed of a set that one draws, `zoo_synthetic/shared_pair_5/seed=3`; then a split in
            brackets, `family/config[train[:20000]]`; as in `Dataset.name`.
        directory: where prepared tables are cached; the user cache directory if None.
        split: `train`, `validation` or `test`, or a slice of one by number, `train[:20000]`; all
            images if None. A data set without splits of its own is divided by `splits.random`.
            Its images are those of the split, and `ids` their places in the whole set.

    Raises:
        SettingError: there is no such data set, the message names the nearest; or no such split,
            or the data set takes no network or no seed.
    """
    from zoo.data import cache

    if name.endswith("]"):
        name, _, written = name[:-1].partition("[")
        if split is not None:
            raise SettingError(f"two splits of {name}: {written!r} in its name, and {split!r}")
        split = written
    if name in _OWN:
        dataset = _OWN[name][0]()
    else:
        module, family, config, options = _find(name)
        root = pathlib.Path(directory) if directory else cache.directory() / "data"
        dataset = module.load(config, root / family, **options)
    if split is None:
        return dataset
    try:
        chosen = splits.ids(split, members(dataset))
    except SettingError as error:
        raise SettingError(f"{dataset.name}: {error}") from error
    return dataset.part(f"{dataset.name}[{split}]", chosen)


def members(dataset: Dataset) -> dict[str, np.ndarray]:
    """The ids of the images of every split of a whole data set."""
    own = dataset.extras.get("split")
    return splits.random(len(dataset)) if own is None else splits.labelled(own)


def _find(name: str) -> tuple[ModuleType, str, str, dict[str, str]]:
    """The module, the folder, the config and the options that a name stands for."""
    options = {}
    for key in _OPTIONS:
        name, named, value = name.partition(f"/{key}=")
        if named and not value:
            raise SettingError(f"{name}/{key}= names no {key}; give one, or leave it out")
        options |= {key: value} if named else {}
    module, family, config = _config(name)
    for key in options:
        if key not in inspect.signature(module.load).parameters:
            raise SettingError(f"{name} takes no {key}; {_OPTIONS[key]}")
    return module, family, config, options


def _config(name: str) -> tuple[ModuleType, str, str]:
    family, _, config = name.partition("/")
    if family in FAMILIES:
        module = importlib.import_module(FAMILIES[family])
        config = config or next(iter(module.CONFIGS))
        if config in module.CONFIGS:
            return module, family, config
    wrapped = importlib.import_module(WRAPPED)
    if name in wrapped.CONFIGS:
        return wrapped, name, name
    near = difflib.get_close_matches(name, names(), n=1, cutoff=0.0)
    raise SettingError(
        f"no data set is named {name!r}; the nearest is {near[0]!r} (zoo.data.names() has all; one "
        "of your own is there once its module is imported, by the gin file or by --import)"
    )
