"""A small package, a registry that holds it, and a web server that misbehaves on request."""

import contextlib
import dataclasses
import gzip
import http.server
import pathlib
import re
import shutil
import threading
import urllib.parse

import numpy as np
import pytest

from zoo.hub import download, package, registry

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
def serve():
    """Starts servers: `serve(directory, mode) -> Web`."""
    started = []

    def start(root: pathlib.Path, mode: str | int = "ok") -> Web:
        web = Web(root, mode)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                web.answer(self)

            def log_message(self, *_):
                pass

        server = _Server(("127.0.0.1", 0), Handler)
        web.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        started.append((web, server, thread))
        return web

    yield start
    for web, server, thread in started:
        web.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


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


@pytest.fixture(autouse=True)
def isolated(tmp_path, monkeypatch):
    """An empty cache, no mirrors, an empty registry and store, short waits."""
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("ZOO_MIRRORS", raising=False)
    monkeypatch.delenv("ZOO_OFFLINE", raising=False)
    monkeypatch.setattr(registry, "PATH", tmp_path / "registry.json")
    monkeypatch.setattr(registry, "STORE", tmp_path / "store")
    monkeypatch.setattr(download, "TIMEOUT", (5.0, 0.5))
    monkeypatch.setattr(download, "PAUSE", 0.0)
    registry.PATH.write_text('{"models": {}}')


@pytest.fixture
def entry(sealed) -> registry.Entry:
    """The package registered, and in the store."""
    return registry.register(
        sealed, NAME, VERSION, licence="CC0-1.0", description="A test.", command="train"
    )


@pytest.fixture
def published(entry, tmp_path) -> pathlib.Path:
    """A mirror directory that holds the package, which the store no longer does."""
    mirror = tmp_path / "mirror"
    shutil.move(registry.STORE, mirror)
    return mirror
