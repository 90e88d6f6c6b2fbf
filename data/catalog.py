"""Which data sets there are. A data set is added by one line here and a folder of its own."""

import difflib
import importlib
import pathlib

from data.dataset import Dataset

# Family name -> module with `CONFIGS` (config name -> one-line description, the default first) and
# `load(config, directory) -> Dataset`, `directory` being a cache folder of the family's own.
FAMILIES = {
    "zoo_dsprites": "data.zoo_dsprites.memory",
    "zoo_sprites": "data.zoo_sprites.memory",
    "zoo_balls": "data.zoo_balls.memory",
    "zoo_synthetic": "data.zoo_synthetic.memory",
}


def names() -> list[str]:
    """Every name that `load` takes, as `family/config`."""
    return [f"{f}/{c}" for f, m in FAMILIES.items() for c in importlib.import_module(m).CONFIGS]


def load(name: str, directory: str | pathlib.Path | None = None) -> Dataset:
    """Loads a data set into memory, making what it needs on first use.

    Args:
        name: `family/config`, or `family` for its default config; `names()` lists them.
        directory: where prepared tables are cached; the user cache directory if None.

    Raises:
        ValueError: there is no such data set; the message names the nearest.
    """
    from data import cache

    family, _, config = name.partition("/")
    module = importlib.import_module(FAMILIES[family]) if family in FAMILIES else None
    config = config or (next(iter(module.CONFIGS)) if module else "")
    if module is None or config not in module.CONFIGS:
        near = difflib.get_close_matches(name, names(), n=1, cutoff=0.0)
        raise ValueError(
            f"no data set is named {name!r}; the nearest is {near[0]!r} (all: {', '.join(names())})"
        )
    root = pathlib.Path(directory) if directory else cache.directory() / "data"
    return module.load(config, root / family)
