"""Which data sets there are. A data set is added by one line here and a folder of its own."""

import difflib
import importlib
import inspect
import pathlib
from types import ModuleType

from data.dataset import Dataset

# Family name -> module with `CONFIGS` (config name -> one-line description, the default first) and
# `load(config, directory) -> Dataset`, `directory` being a cache folder of the family's own. A
# family with training, validation and test images takes `split` as a third argument.
FAMILIES = {
    "zoo_dsprites": "data.zoo_dsprites.memory",
    "zoo_shapes3d": "data.zoo_shapes3d.memory",
    "zoo_sprites": "data.zoo_sprites.memory",
    "zoo_clevr6": "data.zoo_clevr6.memory",
    "zoo_balls": "data.zoo_balls.memory",
    "zoo_synthetic": "data.zoo_synthetic.memory",
    "zoo_domains": "data.zoo_domains.memory",
}
# The same contract, one config a data set, but no builder: these are TFDS's own, by TFDS's names.
WRAPPED = "data.tfds_wrapped"


def names() -> list[str]:
    """Every name that `load` takes: `family/config`, or the name of one of TFDS's data sets."""
    ours = [f"{f}/{c}" for f, m in FAMILIES.items() for c in importlib.import_module(m).CONFIGS]
    return [*ours, *importlib.import_module(WRAPPED).CONFIGS]


def load(
    name: str, directory: str | pathlib.Path | None = None, split: str | None = None
) -> Dataset:
    """Loads a data set into memory, making what it needs on first use.

    Args:
        name: `family/config`, or `family` for its default config; `names()` lists them. A split
            may follow in brackets, `family/config[train]`, as in `Dataset.name`.
        directory: where prepared tables are cached; the user cache directory if None.
        split: `train`, `validation` or `test`; all images if None.

    Raises:
        ValueError: there is no such data set, the message names the nearest; or no such split.
    """
    from data import cache

    if name.endswith("]"):
        name, _, split = name[:-1].partition("[")
    module, family, config = _find(name)
    options = {}
    if split is not None:
        if "split" not in inspect.signature(module.load).parameters:
            raise ValueError(
                f"{name} has no splits: all its images are one set; leave out split={split!r}"
            )
        options["split"] = split
    root = pathlib.Path(directory) if directory else cache.directory() / "data"
    return module.load(config, root / family, **options)


def _find(name: str) -> tuple[ModuleType, str, str]:
    """The module, the folder and the config that a name stands for."""
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
    raise ValueError(
        f"no data set is named {name!r}; the nearest is {near[0]!r} (all: {', '.join(names())})"
    )
