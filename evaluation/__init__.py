"""Scores of disentanglement and identifiability research, on arrays and callables.

Every score returns a dict with the headline number under `score`, and says of itself what it needs,
its range and which end of it is better (`zoo.evaluation.mig.facts`). Bad input is an `InputError`
(a ValueError) of one line; where a score has no value, as for a decoder without derivatives, it is
the subclass `UndefinedScoreError`. Modules are imported on first use, so that importing this
package costs nothing and needs no TensorFlow.
"""

import importlib

if __name__ != "zoo.evaluation":
    raise ImportError("this package is zoo.evaluation: `from zoo import evaluation`")

from zoo.evaluation.index import MODULE_OF

__all__ = sorted(MODULE_OF)


def __getattr__(name: str):
    if name not in MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{MODULE_OF[name]}"), name)
    # No module has the name of a function, or importing the module would hide the function.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
