"""Data sets of disentanglement research: renderers, TFDS builders, in-memory tables, samplers.

Importing this package registers the builders with `tensorflow_datasets`, as soon as that package
is imported: `tfds.load("zoo_dsprites/rendered")` works after `import data`.
"""

import wrapt

from data.catalog import load, names
from data.dataset import Dataset
from data.space import Factor, FactorSpace

__all__ = ["Dataset", "Factor", "FactorSpace", "load", "names"]


@wrapt.when_imported("tensorflow_datasets")
def _register(_) -> None:
    import importlib

    from data.catalog import FAMILIES

    for family in FAMILIES:
        importlib.import_module(f"data.{family}.{family}_dataset_builder")
