"""Locatello et al. 2019: six methods, six strengths of each, fifty seeds, six scores.

Strengths are those of `config/unsupervised_study_v1` in google-research/disentanglement_lib at
86a644d. The paper gives its numbers in figures only: rows have none of the paper's.
"""

from collections.abc import Iterable, Mapping

from zoo.papers.disentanglement_lib import pictures
from zoo.papers.spec import Budget, Column, Row, Run, Table

GIN = "gin/papers/disentanglement_lib/"
SEEDS = 50
SCORES = {
    "BetaVAE score": "beta_vae_score",
    "FactorVAE score": "factor_vae_score",
    "MIG": "mig",
    "DCI": "dci",
    "modularity": "modularity",
    "SAP": "sap",
}
# Method -> the parameters that a strength sets, with what it is multiplied by, and the strengths.
METHODS = {
    "beta_vae": ({"BetaVAE.beta": 1.0}, (1, 2, 4, 6, 8, 16)),
    "factor_vae": ({"FactorVAE.gamma": 1.0}, (10, 20, 30, 40, 50, 100)),
    "tc_vae": ({"TCVAE.beta": 1.0}, (1, 2, 4, 6, 8, 10)),
    "dip_vae_i": ({"DIPVAE.lambda_od": 1.0, "DIPVAE.lambda_d": 10.0}, (1, 2, 5, 10, 20, 50)),
    "dip_vae_ii": ({"DIPVAE.lambda_od": 1.0, "DIPVAE.lambda_d": 1.0}, (1, 2, 5, 10, 20, 50)),
    "annealed_vae": ({"linear_ramp.end": 1.0}, (5, 10, 25, 50, 75, 100)),
}
# Data set -> what the gin files of dSprites are given beside.
DATASETS = {
    "dsprites": (),
    "color_dsprites": ('train.dataset = "zoo_dsprites/color"',),
    "noisy_dsprites": ('train.dataset = "zoo_dsprites/noisy_background"',),
    "shapes3d": ('train.dataset = "zoo_shapes3d/rendered"',),
}
_COLUMNS = (
    *(Column(heading, (name, "score")) for heading, name in SCORES.items()),
    Column("UDR", (), compared=True),
)
_CPU_STEPS = 3000
# Enough to show that everything works; no model has learnt anything by then.
_SLICE_STEPS = 50
_SLICE = {"beta_vae": (1, 16), "factor_vae": (10, 100), "dip_vae_ii": (1, 50)}
# The two scores encode 2.9 million images by default.
_SLICE_POINTS = {"num_train": 500, "num_eval": 250, "batch_size": 16}
_SLICE_OPTIONS = {"beta_vae_score": _SLICE_POINTS, "factor_vae_score": _SLICE_POINTS}


def _row(
    dataset: str,
    method: str,
    strength: float,
    steps: int = _CPU_STEPS,
    folder: str = "study",
    score_options: Mapping | None = None,
) -> Row:
    parameters, _ = METHODS[method]
    bindings = (
        f'train.name = "{method}/{dataset}_{folder}"',
        f'train.scores = "{",".join(SCORES.values())}"',
        *DATASETS[dataset],
        *(f"{name} = {factor * strength!r}" for name, factor in parameters.items()),
    )
    # The ramp takes the share of the training that it takes in theirs.
    ramp = (f"linear_ramp.steps = {steps // 3}",) if method == "annealed_vae" else ()
    # Players keep their balance: the discriminator has the rate of the VAE in theirs, too.
    adams = ("Adam", "discriminator_adam") if method == "factor_vae" else ("Adam",)
    rates = (f"{adam}.learning_rate = 1e-3" for adam in adams)
    options = (f"train.score_options = {score_options!r}",) if score_options else ()
    reduced = (f"train.steps = {steps}", *rates, *ramp, *options)
    run = Run(
        f"{folder}/{dataset}/{method}_{strength}",
        f"{GIN}{method}_dsprites.gin",
        bindings,
        cpu=Budget(reduced, seeds=2),
        seeds=SEEDS,
    )
    return Row(f"{method}_{strength}", run, group=method, x=float(strength))


def _table(name: str, title: str, rows: Iterable[Row], *notes: str) -> Table:
    return Table(
        f"disentanglement_lib/{name}",
        title,
        _COLUMNS,
        tuple(rows),
        notes=(
            *notes,
            "The figure has Spearman's rank correlations between scores over all runs, in per "
            "cent, as the paper draws them.",
            "The paper averages scores over samples of 10,000 (its DCI is of boosted trees, ours "
            "of LightGBM).",
            "UDR (Duan et al. 2020) compares a run with the other seeds of its row.",
        ),
        figure=pictures.rank_correlations,
        from_numbers=True,
    )


def _study(dataset: str) -> Table:
    return _table(
        dataset,
        f"Study of six methods on {dataset}: scores, and how they rank the models alike",
        (_row(dataset, m, s) for m, (_, strengths) in METHODS.items() for s in strengths),
    )


def _slice() -> Table:
    return _table(
        "slice",
        "Slice of the study on dsprites, which shows that it runs",
        (
            _row("dsprites", method, strength, _SLICE_STEPS, "slice", _SLICE_OPTIONS)
            for method, strengths in _SLICE.items()
            for strength in strengths
        ),
        f"After {_SLICE_STEPS} steps no model is trained: the scores say nothing about methods.",
    )


TABLES = (*map(_study, DATASETS), _slice())
