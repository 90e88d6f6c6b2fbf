"""Pictures of generators of several domains: generators in, labelled sheets out."""

from typing import Any

import numpy as np

from zoo.drawing import sheets


def pictures(model: Any, *, columns: int = 8, seed: int = 0, limit: int = 16) -> dict:
    """What a generator makes of the same latents in each domain, and of one latent at a time.

    Args:
        model: has `generate(latents [B, D], domain [B]) -> [B, H, W, C]` in [0, 1], `latent_dim`
            and `domains`.
        columns: how many latents are drawn.
        seed: of these latents.
        limit: how many of them are varied, the first ones: those of the style.

    Returns:
        `{"domains": ..., "latents": ...}`, each `[height, width, 3]` uint8.
    """
    latents = np.random.default_rng(seed).normal(size=(columns, model.latent_dim))
    latents = latents.astype(np.float32)

    def generate(codes: np.ndarray, domain: int = 0) -> np.ndarray:
        return sheets.coloured(model.generate(codes, np.full(len(codes), domain, np.int32)))

    cells = np.stack([generate(latents, u) for u in range(model.domains)])
    rows = [f"domain {u}" for u in range(model.domains)]
    return {
        "domains": sheets.sheet(cells, rows),
        "latents": sheets.traversals(generate, latents[0], limit=limit),
    }
