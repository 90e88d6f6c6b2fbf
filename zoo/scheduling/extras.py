"""Libraries that only some engines need."""

import importlib
from types import ModuleType

from zoo.errors import UserError

# The module, and the extra of this package that installs it.
_EXTRAS = {"ray": "ray", "submitit": "slurm"}


def imported(module: str) -> ModuleType:
    """A module of an extra; a UserError that names the extra where it is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        extra = _EXTRAS[module]
        raise UserError(
            f"--engine={extra} needs {module}: pip install 'disentanglement-zoo[{extra}]'"
        ) from None
