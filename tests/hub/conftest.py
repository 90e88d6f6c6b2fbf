"""A small package, a registry that holds it, and a web server that misbehaves on request."""

import contextlib
import dataclasses
import gzip
import http.server
import importlib.util
import pathlib
import re
import shutil
import threading
import urllib.parse

import numpy as np
import pytest

from zoo.hub import model_card, package, places, registry, transfer
from zoo.hub.publish import publish

NAME, VERSION = "beta_vae/dsprites", "1.0.0"
# 4 kB that become 4 MB, more than any file of the package.
BOMB = gzip.compress(bytes(1 << 22))


@dataclasses.dataclass
class Web:
    """What a server does, and what it was asked.

    Attributes:
        root: the directory it serves.
        mode: ok, no_range, cut (breaks off after 600 kB), short (half a file, consistently),
            corrupt, endless, late, stuck (sends a half and waits), drip (a byte now and then),
            bomb (compressed, and far larger than it says), elsewhere (redirects to another file),
            other_range, or an HTTP status.
        requests: (path, Range header or None) of every request.
        released: lets `late` and `stuck` go on.
    """

    root: pathlib.Path
    mode: str | int = "ok"
    address: str = ""
    requests: list = dataclasses.field(default_factory=list)
    released: threading.Event = dataclasses.field(default_factory=threading.Event)

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        """Answers one GET."""
        asked = handler.headers.get("Range")
        self.requests.append((handler.path, asked))
        path = self.root / urllib.parse.unquote(handler.path).lstrip("/")
        mode = self.mode
        if isinstance(mode, int) or not path.is_file():
            handler.send_error(mode if isinstance(mode, int) else 404)
            return
        if mode == "late":
            self.released.wait(20)
            return
        body = path.read_bytes()
        if mode == "elsewhere" and not handler.path.endswith("card.json"):
            handler.send_response(302)
            handler.send_header("Location", f"/{NAME}/{VERSION}/card.json")
            handler.end_headers()
            return
        if mode == "bomb":
            body = BOMB
        if mode == "corrupt":
            body = bytes(255 - byte for byte in body)
        if mode == "short":
            body = body[: len(body) // 2]
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and mode != "no_range" else 0
        if start and start >= len(body):
            handler.send_error(416)
            return
        handler.send_response(206 if start else 200)
        if start:
            shown = start - 1 if mode == "other_range" else start
            handler.send_header("Content-Range", f"bytes {shown}-{len(body) - 1}/{len(body)}")
        body = body[start:]
        if mode == "bomb":
            handler.send_header("Content-Encoding", "gzip")
        if mode != "endless":
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if mode == "drip":
            with contextlib.suppress(OSError):
                for k in range(len(body)):
                    handler.wfile.write(body[k : k + 1])
                    handler.wfile.flush()
                    if self.released.wait(0.05):
                        return
        half = 600_000 if mode == "cut" else (len(body) + 1) // 2
        handler.wfile.write(body[:half])
        handler.wfile.flush()
        if mode == "stuck":
            self.released.wait(20)
        while mode == "endless" and not self.released.is_set():
            handler.wfile.write(bytes(1 << 16))
        if mode not in ("cut", "endless"):
            handler.wfile.write(body[half:])


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = False

    def handle_error(self, request, client_address):
        """Clients that hang up are part of the tests."""


@pytest.fixture
def started():
    """Starts web servers of a class of handlers: `started(handler) -> address`."""
    running = []

    def start(handler: type[http.server.BaseHTTPRequestHandler]) -> str:
        server = _Server(("127.0.0.1", 0), handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        running.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in running:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def serve(started):
    """Starts servers of folders: `serve(directory, mode) -> Web`."""
    webs = []

    def start(root: pathlib.Path, mode: str | int = "ok") -> Web:
        web = Web(root, mode)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                web.answer(self)

            def log_message(self, *_):
                pass

        web.address = started(Handler)
        webs.append(web)
        return web

    yield start
    for web in webs:
        web.released.set()


def write_package(directory: pathlib.Path) -> None:
    """Files named as an export's, of pseudo-random bytes that TensorFlow would not load."""
    rng = np.random.default_rng(0)
    (directory / "variables").mkdir(parents=True)
    for relative, size in {
        "saved_model.pb": 1000,
        "variables/variables.index": 100,
        "variables/variables.data-00000-of-00001": 1_500_000,
        "model.weights.h5": 2000,
        "config.gin": 50,
    }.items():
        (directory / relative).write_bytes(rng.bytes(size))


@pytest.fixture
def sealed(tmp_path) -> pathlib.Path:
    """A sealed package."""
    directory = tmp_path / "exported"
    write_package(directory)
    package.seal(directory, {"config": {"beta": 4}, "scores": {"mig": 0.1}, "versions": {}})
    return directory


def retrained(directory: pathlib.Path) -> pathlib.Path:
    """A sealed package that has other weights than before."""
    path = directory / "variables" / "variables.index"
    path.write_bytes(bytes(reversed(path.read_bytes())) + b"x")
    package.seal(directory, package.read_card(directory))
    return directory


@pytest.fixture(autouse=True)
def isolated(tmp_path, monkeypatch):
    """An empty cache, no hub but an empty one in the package, no mirrors, short waits."""
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("ZOO_HUB", "ZOO_MIRRORS", "ZOO_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(places, "BUILT_IN", tmp_path / "store")
    monkeypatch.setattr(places, "REPOSITORY", tmp_path / "no_repository")
    monkeypatch.setattr(transfer, "TIMEOUT", (5.0, 0.5))
    monkeypatch.setattr(transfer, "PAUSE", 0.0)
    # What is published in other tests needs no metadata, and so no client.
    if importlib.util.find_spec("huggingface_hub") is None:
        monkeypatch.setattr(model_card, "text", model_card.body)
    places.BUILT_IN.mkdir()
    (places.BUILT_IN / places.REGISTRY).write_text(registry.text({}))


TEXTS = {"licence": "CC0-1.0", "description": "A test.", "command": "train"}


@pytest.fixture
def entry(sealed) -> registry.Entry:
    """The package published in the hub of this package."""
    return publish(sealed, places.BUILT_IN, name=NAME, version=VERSION, **TEXTS)


@pytest.fixture
def published(entry, tmp_path) -> pathlib.Path:
    """A mirror directory that holds the package, which its hub no longer does."""
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    shutil.move(places.BUILT_IN / NAME.split("/")[0], mirror)
    return mirror


@pytest.fixture
def hub(sealed, tmp_path) -> pathlib.Path:
    """A hub of somebody else that holds the package; the one in this package is empty.

    The package beside it has been trained anew.
    """
    publish(sealed, tmp_path / "hub", name=NAME, version=VERSION, **TEXTS)
    retrained(sealed)
    return tmp_path / "hub"


H, W, C, D = 4, 6, 1, 3


@pytest.fixture(scope="session")
def exported(tmp_path_factory):
    """A linear autoencoder, exported."""
    import tensorflow as tf
    import tensorflow_probability as tfp

    from zoo.hub.export import export
    from zoo.models.base import Autoencoder

    size = H * W * C

    class Linear(Autoencoder):
        observation_shape, latent_dim = (H, W, C), D

        def __init__(self):
            super().__init__()
            drawn = np.random.default_rng(0).uniform(0, 0.3, (D, size)).astype(np.float32)
            self.kernel = self.add_weight(shape=drawn.shape)
            self.kernel.assign(drawn)
            self.built = True

        def encode(self, images):
            return tf.reshape(images, [-1, size]) @ tf.transpose(self.kernel)

        def posterior(self, images):
            return tfp.distributions.MultivariateNormalDiag(self.encode(images))

        def decode(self, latents):
            return tf.reshape(tf.tanh(latents @ self.kernel), [-1, H, W, C])

    directory = tmp_path_factory.mktemp("export") / "saved_model"
    card = {"scores": {"mig": 0.1}, "versions": {}, "input": {"maximum": 1}}
    export(Linear(), directory, "beta = 4\n", card | {"config": "beta = 4"})
    return directory
