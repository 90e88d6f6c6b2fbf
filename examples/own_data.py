"""Registers a data set of one's own, trains a beta-VAE on it and scores it.

Run in any folder: python own_data.py. Commands take the data set from this module:
`python -m zoo.evaluate --import=own_data --run=runs/own_data --metrics=standard`.
"""

import numpy as np

import zoo

POSITIONS = range(6)


def draw() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Images `[N, 16, 16, 1]` of discs and squares, and the factors of each."""
    kinds, rows, columns = np.meshgrid(["disc", "square"], POSITIONS, POSITIONS, indexing="ij")
    factors = {"kind": kinds.ravel(), "row": rows.ravel(), "column": columns.ravel()}
    y, x = np.mgrid[:16, :16]
    images = []
    for kind, row, column in zip(*factors.values(), strict=True):
        down, right = np.abs(y - 2 * row - 2.5), np.abs(x - 2 * column - 2.5)
        inside = np.maximum(down, right) < 2.2 if kind == "square" else down**2 + right**2 < 6
        images.append(inside)
    return np.array(images)[..., None], factors


zoo.data.register("own/shapes", *draw())


def main() -> None:
    """Trains on it, prints what it is and some scores."""
    print(zoo.data.load("own/shapes"))
    model = zoo.fit(
        "gin/beta_vae.gin",
        {
            "train.name": "own_data",
            "train.dataset": "own/shapes",
            "train.steps": 100,
            "train.precision": "float32",
            "train.scores": "mig,mcc",
            "VAE.latent_dim": 4,
            "VAE.encoder": "@mlp_encoder",
            "mlp_encoder.units": (128,),
            "VAE.decoder": "@mlp_decoder",
            "mlp_decoder.units": (128,),
            "BetaVAE.beta": 2.0,
        },
        "runs/own_data",
    )
    print(model.card["scores"])


if __name__ == "__main__":
    main()
