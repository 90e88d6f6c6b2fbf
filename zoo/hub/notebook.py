"""How a loaded model shows itself in a notebook: its card, traversals, and scores."""

import base64
from html import escape
from typing import Any

import numpy as np
from PIL import Image

from zoo.hub import model_card, package

# What a thumbnail shows where the package has no picture: latents, values of each.
_ROWS, _STEPS = 6, 7
# Pixels of a published picture that is shown.
_WIDTH = 400
_FACTS = ("description", "model", "dataset", "steps", "seed", "licence", "command")


def html(model: Any) -> str:
    """The card of a `zoo.hub.Pretrained` as HTML of its own; every text of it is escaped."""
    card = model.card
    title = " ".join(str(card[key]) for key in ("name", "version") if card.get(key))
    facts = "".join(
        f"<tr><th style='text-align:left'>{key}</th>"
        f"<td style='text-align:left'>{escape(str(card[key]))}</td></tr>"
        for key in _FACTS
        if card.get(key) not in (None, "")
    )
    shape = ""
    if {"encode", "generate"} & set(model.endpoints):
        sizes = ", ".join(map(str, model.image_shape))
        shape = f"images [B, {sizes}], {model.latent_size} latents: "
    scores = "".join(
        f"<tr><td style='text-align:left'>{escape(name)}</td><td>{value:.4f}</td></tr>"
        for name, value in model_card.numbers(card.get("scores")).items()
    )
    parts = [
        f"<h3>{escape(title or str(model.path))}</h3>",
        f"<p>{shape}{', '.join(model.endpoints)}</p>",
        f"<table>{facts}</table>",
    ]
    if picture := _thumbnail(model):
        data = base64.b64encode(picture).decode()
        parts.append(
            f"<img alt='traversals of its latents' style='max-width:32em' "
            f"src='data:image/png;base64,{data}'>"
        )
    if scores:
        parts.append(f"<details open><summary>scores</summary><table>{scores}</table></details>")
    return f"<div>{''.join(parts)}</div>"


def _thumbnail(model: Any) -> bytes | None:
    """A PNG of traversals: the published one, or one around the prior's mean; None of neither."""
    from zoo.drawing import sheets

    for relative in sorted(model.card["files"]):
        if relative.startswith(f"{model_card.PICTURES}/traversals"):
            with Image.open(package.inside(model.path, relative)) as picture:
                picture.thumbnail((_WIDTH, 2 * _WIDTH))
                return sheets.png(np.asarray(picture.convert("RGB")))
    if not {"encode", "decode"} <= set(model.endpoints) or len(model.image_shape) != 3:
        return None
    return sheets.png(model.traversals(steps=_STEPS, limit=_ROWS))
