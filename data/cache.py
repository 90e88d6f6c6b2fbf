"""Where prepared files are kept."""

import os
import pathlib

import platformdirs


def directory() -> pathlib.Path:
    """`$ZOO_CACHE`, or the user's cache directory of this package."""
    chosen = os.environ.get("ZOO_CACHE")
    return pathlib.Path(chosen or platformdirs.user_cache_dir("disentanglement-zoo")).expanduser()
