"""Disentanglement and identifiability research: models, trained models, and what they need.

    zoo.load("beta_vae/dsprites")    a pretrained model, by name or by the path of a run
    zoo.names()                      the names there are

Training and scoring are commands: `python -m zoo.train --help`, `python -m zoo.evaluate --help`.
Importing this package registers its data sets with `tensorflow_datasets` and loads no TensorFlow;
on processors where TensorFlow leaves oneDNN off although it helps, it turns it on (`zoo.machine`).
"""

import importlib
import importlib.util
import pathlib

__version__ = "0.1.0"
__all__ = ["load", "names"]


def _refuse_strangers() -> None:
    """`data` and `evaluation` are common names: another module of that name must not be taken."""
    ours = pathlib.Path(__file__).resolve().parent.parent
    for name in ("data", "evaluation"):
        spec = importlib.util.find_spec(name)
        found = pathlib.Path(spec.origin).resolve() if spec and spec.origin else None
        if found is None and spec is not None:
            found = pathlib.Path(next(iter(spec.submodule_search_locations))).resolve()
        if found != ours / name / "__init__.py":
            raise ImportError(
                f"zoo needs its own package {name!r} ({ours / name}), but Python finds "
                f"{found or 'none'}; rename or move that one, or change the order of sys.path"
            )


_refuse_strangers()

# Before TensorFlow is imported, which reads its settings then.
importlib.import_module("zoo.machine").prepare()


def _fetch(name: str) -> pathlib.Path:
    return importlib.import_module("zoo.hub.fetch").fetch(name)


# Perturbed data sets take their networks from the hub, which `data` knows nothing of.
importlib.import_module("data.perturbation").Hub.fetch = staticmethod(_fetch)


def __getattr__(name: str):
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("zoo.hub"), name)


def __dir__() -> list[str]:
    return __all__
