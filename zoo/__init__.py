"""Disentanglement and identifiability research: models, trained models, and what they need.

    zoo.load("beta_vae/dsprites")    a pretrained model, by name or by the path of a run
    zoo.names()                      the names there are (`zoo.hub`)
    zoo.prepare(images, model)       images as a model takes them, of images as others have them
    zoo.fit("gin/beta_vae.gin")      trains, as `python -m zoo.train` does, and loads the result
    zoo.data.load("zoo_dsprites/rendered")    a data set in memory (`zoo.data`)
    zoo.evaluation.mig(codes, factors)        a score of arrays or callables (`zoo.evaluation`)

Commands do the same: `python -m zoo.train --help`, `python -m zoo.evaluate --help`.
Importing this package registers its data sets with `tensorflow_datasets` and loads no TensorFlow;
on processors where TensorFlow leaves oneDNN off although it helps, it turns it on (`zoo.machine`).
"""

import importlib
import pathlib

__version__ = "0.1.0"
_HOMES = {"fit": "zoo.fitting", "load": "zoo.loading", "names": "zoo.hub"}
_HOMES["prepare"] = "zoo.hub.prepare"
__all__ = sorted(["data", "evaluation", "hub", *_HOMES])


# Before TensorFlow is imported, which reads its settings then.
importlib.import_module("zoo.machine").prepare()


def _fetch(name: str) -> pathlib.Path:
    return importlib.import_module("zoo.hub.download").fetch(name)


def _is_own(name: str) -> bool:
    return importlib.import_module("zoo.hub.registry").is_own(name)


# Importing the data sets registers their builders. Perturbed ones take their networks from the hub,
# which they know nothing of.
importlib.import_module("zoo.data.perturbation").find_in_hub_with(_fetch, _is_own)


def __getattr__(name: str):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in _HOMES:
        return importlib.import_module(f"zoo.{name}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
