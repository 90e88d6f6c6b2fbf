"""Scores a representation and a decoder that live elsewhere, from numpy arrays alone.

The arrays are made up here. With a PyTorch model they come from

    codes = encoder(images).numpy(force=True)
    jacobians = torch.vmap(torch.func.jacfwd(decoder))(latents)  # [M, C, H, W, slots, slot_dim]
    slot_jacobian = jacobians.abs().sum((1, 5)).numpy(force=True)  # [M, H, W, slots]
    jacobians = jacobians.flatten(1, 3).flatten(2).numpy(force=True)  # [M, outputs, latents]

Run: python examples/score_numpy.py
"""

import numpy as np

from zoo import evaluation

SIZES = (3, 6, 8)
"""The numbers of values of the factors."""


def encode(factors: np.ndarray) -> np.ndarray:
    """Codes `[N, 4]`: the first factor, the others mixed in two codes, and a dead code."""
    shape, x, y = factors.T
    return np.stack([shape - 1.0, x + y, x - y, np.zeros(len(factors))], axis=1)


def main() -> None:
    """Prints one score per line."""
    rng = np.random.default_rng(0)
    factors = rng.integers(SIZES, size=(3000, 3))
    codes = encode(factors) + 0.1 * rng.normal(size=(3000, 4)) * [1, 1, 1, 0]
    split = codes[:2000], factors[:2000], codes[2000:], factors[2000:]

    # A table of the codes of every factor combination serves the scores that choose their rows.
    grid = encode(np.stack(np.unravel_index(np.arange(np.prod(SIZES)), SIZES), axis=1))

    def represent(rows: np.ndarray) -> np.ndarray:
        return grid[np.ravel_multi_index(rows.T, SIZES)]

    jacobians = rng.normal(size=(50, 16 * 16, 4)) * [4.0, 2.0, 1.0, 0.5]
    masks = np.tile(np.repeat([0, 1, 2, 2], 4), (50, 16, 1))  # Background and two objects.
    slot_jacobian = rng.random((50, 16, 16, 2)) + (masks[..., None] == [1, 2])

    scores = {
        "MIG": evaluation.mig(codes, factors),
        "modularity": evaluation.modularity(codes, factors),
        "SAP": evaluation.sap(*split),
        "DCI disentanglement": evaluation.dci(*split),
        "explicitness (ROC AUC)": evaluation.explicitness(*split),
        "disentanglement score": evaluation.disentanglement_score(
            codes, factors, categorical=[True, False, False]
        ),
        "FactorVAE score": evaluation.factor_vae_score(represent, SIZES, seed=0),
        "BetaVAE score": evaluation.beta_vae_score(represent, SIZES, seed=0),
        "IRS": evaluation.irs(codes, factors),
        "MCC": evaluation.mcc(codes, factors),
        "LMS (Spearman)": evaluation.lms_spearman(codes, factors),
        "total correlation (nats)": evaluation.gaussian_total_correlation(codes),
        "DtO": evaluation.dto(jacobians),
        "IMA contrast": evaluation.ima_contrast(jacobians),
        "J-ARI": evaluation.j_ari(slot_jacobian, masks),
        "JIS": evaluation.jis(slot_jacobian, masks),
    }
    for name, result in scores.items():
        print(f"{name:26s}{result['score']:.3f}")


if __name__ == "__main__":
    main()
