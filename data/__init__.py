"""Data sets of disentanglement research: renderers, TFDS builders, in-memory tables, samplers.

    zoo.data.load("zoo_dsprites/rendered")   a data set in memory; `zoo.data.names()` lists them
    zoo.data.register("mine", images)        makes arrays one of them

Importing this package registers the builders with `tensorflow_datasets`, as soon as that package
is imported: `tfds.load("zoo_dsprites/rendered")` works after `import zoo`.
"""

import importlib

import wrapt

if __name__ != "zoo.data":
    raise ImportError("this package is zoo.data: `from zoo import data`")

_HOMES = {
    "catalog": ["load", "names", "register"],
    "dataset": ["Dataset"],
    "space": ["Factor", "FactorSpace"],
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(_MODULE_OF)


@wrapt.when_imported("tensorflow_datasets")
def _register(_) -> None:
    from zoo.data.catalog import FAMILIES

    for family, module in FAMILIES.items():
        if module.startswith(f"{__name__}."):
            importlib.import_module(f"{__name__}.{family}.{family}_dataset_builder")


def __getattr__(name: str):
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return __all__
