"""Pretrained models: registry, download, verification, use.

>>> model = zoo.hub.load("beta_vae/dsprites")  # doctest: +SKIP
>>> codes = model.encode(images)  # doctest: +SKIP

Environment variables:
    ZOO_CACHE: where models are kept, under `models/<name>/<version>/`; the user's cache directory
        by default.
    ZOO_MIRRORS: where they are sought when not in the cache, before the store in this package:
        http(s) addresses and local directories, separated by commas, tried in order; files lie at
        `<mirror>/<name>/<version>/<path>`.
    ZOO_OFFLINE: `1` never touches the network; the cache, local directories and the store serve.

Whatever the source, files whose sha256 is not the registry's are refused.
`python -m zoo.hub --help` lists, fetches, verifies and registers models.
"""

from zoo.hub.load import Pretrained, load
from zoo.hub.registry import names, register

__all__ = ["Pretrained", "load", "names", "register"]
