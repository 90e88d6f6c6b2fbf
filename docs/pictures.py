"""Draws the pictures of the site that are made of data and models: `make pictures`.

A sheet of a config of each data set, and of each pretrained model of images its traversals or, with
slots, each slot's part of an image, into `docs/sheets/`. They are kept in the repository: the site
builds in seconds.
"""

import pathlib
import sys
import types

import numpy as np
import site_pages

import zoo
from zoo.data import catalog, preview
from zoo.drawing import domains, sheets, slots
from zoo.errors import UserError
from zoo.evaluation import slot_jacobian
from zoo.evaluation.regime import dead_latents, kl_per_latent

SHEETS = pathlib.Path(__file__).with_name("sheets")


def main() -> None:
    """Draws all, or those that are named; says which cannot be drawn here."""
    SHEETS.mkdir(exist_ok=True)
    wanted = sys.argv[1:] or [*catalog.FAMILIES, *zoo.names()]
    for name in wanted:
        out = SHEETS / f"{name.replace('/', '_')}.png"
        try:
            picture = _data_set(name) if name in catalog.FAMILIES else _model(name)
        except UserError as error:
            print(f"{name}: not drawn: {error}")
            continue
        if picture is not None:
            sheets.write(out, picture)
            print(out)


def _data_set(name: str) -> np.ndarray:
    return preview.sheet(preview.rows(catalog.load(site_pages.shown(name))))


def _model(name: str) -> np.ndarray | None:
    if name.startswith("perturbations/"):
        return None
    model = zoo.load(name)
    if len(model.image_shape) != 3:
        return None
    if "generate" in model.endpoints:
        made = {"latent_dim": model.latent_size, "domains": model.card["input"]["domains"]}
        made = types.SimpleNamespace(generate=model.generate, **made)
        return domains.pictures(made)["latents"]
    dataset = catalog.load(model.card["dataset"])
    images = dataset.whole.images[dataset.some(256)]
    codes = np.asarray(model.encode(images))
    if codes.ndim == 3:
        # The first picture is that of the slots' parts.
        return next(slots.pictures(model, zoo.prepare(images, model), jacobian=slot_jacobian))[1]
    if not hasattr(model.model, "posterior"):
        # The code of a latent that is off hardly varies over the data.
        return sheets.traversals(model.decode, codes, dead=codes.var(0) < 0.1)
    variances = np.asarray(model.posterior(images).variance())
    divergences = kl_per_latent(codes, variances)
    dead = dead_latents(variances.mean(0), divergences)
    # One latent that is off stands for all of them.
    shown = np.count_nonzero(~dead) + 1
    return sheets.traversals(model.decode, codes, divergences, dead=dead, limit=shown)


if __name__ == "__main__":
    main()
