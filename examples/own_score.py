"""Registers a score of one's own and has a run select its checkpoint by it.

Run in any folder: python own_score.py. Afterwards, for any model,
`python -m zoo.evaluate --import=own_score --model=beta_vae/dsprites --metrics=separation,mig`.
"""

import numpy as np

import zoo


@zoo.evaluation.score(
    higher_is_better=True, range=(0, 1), suites="fast", axes={"per_factor": "factor"}
)
def separation(codes, latents):
    """How well the best single code tells each latent: mean of the largest squared correlations."""
    # Codes that do not vary tell nothing.
    live = codes[:, codes.std(0) > 1e-6]
    if not live.shape[1]:
        raise zoo.evaluation.UndefinedScoreError("no code varies")
    correlations = np.corrcoef(live.T, latents.T)[: live.shape[1], live.shape[1] :]
    best = (correlations**2).max(0)
    return {"score": best.mean(), "per_factor": best}


def main() -> None:
    """Trains with it among the scores and as what the checkpoint is selected by."""
    model = zoo.fit(
        "gin/linear_vae.gin",
        {
            "train.dataset": "zoo_synthetic/linear",
            "train.test_dataset": None,
            "train.steps": 200,
            "train.log_every": 50,
            "train.probe": None,
            "train.compiled": "auto",
            "train.scores": "separation,mcc",
            "train.select": "separation",
            "train.select_every": 100,
            "train.validation_dataset": "zoo_synthetic/linear",
        },
        "runs/own_score",
    )
    print(f"separation: {model.card['scores']['separation']:.2f}")


if __name__ == "__main__":
    main()
