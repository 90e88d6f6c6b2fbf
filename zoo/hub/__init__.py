"""Pretrained models: registry, download, verification, use.

>>> model = zoo.hub.load("beta_vae/dsprites")  # doctest: +SKIP
>>> codes = model.encode(images)  # doctest: +SKIP

Environment variables:
    ZOO_HUB: hubs besides the one in this package, comma-separated, asked in order: folders,
        https addresses (`#sha256=...` behind one pins its registry), `hf://owner/repo@revision`.
    ZOO_CACHE: where models of hubs elsewhere are kept, under `hubs/<hub>/<name>/<version>/`; the
        user's cache directory by default. A hub that is a folder is used in place.
    ZOO_MIRRORS: where the files are sought before the hub itself: http(s) addresses and local
        directories, separated by commas, tried in order; files lie at
        `<mirror>/<name>/<version>/<path>`.
    ZOO_OFFLINE: `1` never touches the network; the cache, folders and this package's models serve.

Whatever the source, files whose sha256 is not the registry's are refused.
`python -m zoo.hub --help` lists, downloads, verifies and publishes models.
"""

from zoo.hub.load import Pretrained, load
from zoo.hub.registry import names

__all__ = ["Pretrained", "load", "names"]
