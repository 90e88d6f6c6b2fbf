"""The explorer's page: one HTML file that needs nothing but itself."""

import base64
import hashlib
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
from markupsafe import Markup

from zoo.drawing import palette
from zoo.files import atomic

HERE = pathlib.Path(__file__).parent
# In the order in which they build on one another.
SCRIPTS = ("engine.js", "model.js", "drawing.js", "panel.js", "explorer.js")


def write(path: pathlib.Path, models: Sequence[Mapping[str, Any]]) -> None:
    """Writes the page of some models, as `zoo.explorer.contents.of_model` describes them."""
    page = text(models)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def text(models: Sequence[Mapping[str, Any]]) -> str:
    """The page as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    scripts = "\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return environment.get_template("page.html").render(
        title=" and ".join(model["name"] for model in models),
        light=palette.LIGHT,
        dark=palette.DARK,
        styles=Markup((HERE / "explorer.css").read_text(encoding="utf-8")),
        scripts=Markup(scripts),
        kernels=base64.b64encode((HERE / "kernels.wasm").read_bytes()).decode(),
        models=Markup(_json(models)),
    )


def _json(value: Any) -> str:
    """JSON that ends no script."""
    written = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return written.replace("<", "\\u003c")


def source_of_kernels(binary: bytes) -> str:
    """The sha256 of the `kernels.c` that a binary was compiled from: its last 64 letters."""
    return binary[-64:].decode("ascii", "replace")


def digest_of_kernels() -> str:
    """The sha256 of `kernels.c`."""
    return hashlib.sha256((HERE / "kernels.c").read_bytes()).hexdigest()
