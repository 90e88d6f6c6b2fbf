"""Chapter 4 of Zietlow 2022: scores on perturbed data that keep every factor."""

import dataclasses

from zoo.papers.spec import Budget, Claim, Column, Row, Run, Table

# What the budget `cpu` makes of the 300,000 steps (SlowVAE's own number) of these runs: 3 % of them
# at ten times the rate.
CPU = ("train.steps = 9000", 'train.precision = "auto"')
CPU_RATE = 1e-3
# The beta-VAE is the chapter's headline claim.
CPU_SEEDS = {"beta_vae": 8}
# Whose rates that is, ten times the paper's; both optimisers of the weak GAN have it in the paper.
SCALED = {"factor_vae": ("Adam", "discriminator_adam"), "weak_gan": ()}

VARIANTS = {"original": "rendered", "modified": "perturbed", "noise": "noisy"}
DATASETS = ("dsprites", "shapes3d")
# Whose bias is the alignment with principal directions that the modification removes.
BIASED = ("beta_vae", "factor_vae", "tc_vae", "slow_vae")
SCORES = "mig,dci,factor_vae_score,sap"

# What the gin files, which are of dSprites, have otherwise on Shapes3D: as many latents as factors,
# and the primary hyperparameter of Table 4.1.
LATENTS = {
    "autoencoder": "AE.latent_dim",
    "beta_vae": "VAE.latent_dim",
    "factor_vae": "VAE.latent_dim",
    "tc_vae": "VAE.latent_dim",
    "slow_vae": "VAE.latent_dim",
    "pcl": "PCL.latent_dim",
    "weak_gan": "WeakGAN.latent_dim",
}
PRIMARY = {
    "beta_vae": ("BetaVAE.beta", 32.0),
    "factor_vae": ("FactorVAE.gamma", 7.0),
    "tc_vae": ("TCVAE.beta", 32.0),
    "slow_vae": ("SlowVAE.beta", 1.0),
}

# Mean and deviation: dSprites original, modified, noise, then Shapes3D.
MIG = {
    "autoencoder": "0.09 0.06 0.05 0.02 0.06 0.03 0.06 0.03 0.05 0.03 0.07 0.03",
    "beta_vae": "0.23 0.08 0.07 0.09 0.14 0.07 0.60 0.31 0.09 0.14 0.66 0.05",
    "factor_vae": "0.27 0.11 0.20 0.12 0.16 0.08 0.27 0.18 0.07 0.05 0.33 0.20",
    "tc_vae": "0.25 0.08 0.14 0.10 0.20 0.04 0.58 0.20 0.24 0.16 0.60 0.11",
    "slow_vae": "0.39 0.08 0.27 0.08 0.37 0.09 0.53 0.19 0.13 0.08 0.60 0.10",
    "pcl": "0.21 0.03 0.24 0.07 0.24 0.07 0.44 0.06 0.47 0.08 0.40 0.07",
    "weak_gan": "0.45 0.05 0.36 0.02 0.36 0.01 0.69 0.12 0.66 0.12 0.77 0.13",
}
DCI = {
    "beta_vae": "0.11 0.03 0.08 0.11 0.14 0.07 0.73 0.14 0.43 0.06 0.56 0.06",
    "factor_vae": "0.37 0.10 0.27 0.11 0.24 0.09 0.39 0.18 0.25 0.08 0.57 0.20",
    "tc_vae": "0.34 0.06 0.19 0.10 0.27 0.03 0.67 0.08 0.41 0.05 0.59 0.09",
    "slow_vae": "0.47 0.07 0.40 0.07 0.47 0.08 0.65 0.10 0.33 0.08 0.73 0.09",
    "pcl": "0.28 0.03 0.30 0.03 0.29 0.06 0.70 0.06 0.67 0.09 0.71 0.07",
}
FACTOR_VAE_SCORE = {
    "beta_vae": "0.47 0.07 0.38 0.13 0.50 0.10 0.80 0.17 0.54 0.10 0.71 0.06",
    "factor_vae": "0.67 0.11 0.62 0.14 0.60 0.11 0.63 0.15 0.48 0.05 0.71 0.15",
    "tc_vae": "0.68 0.09 0.53 0.15 0.60 0.12 0.76 0.07 0.57 0.07 0.71 0.06",
    "slow_vae": "0.77 0.03 0.77 0.04 0.76 0.07 0.87 0.10 0.62 0.06 0.85 0.08",
    "pcl": "0.77 0.09 0.82 0.05 0.77 0.08 0.80 0.06 0.77 0.07 0.80 0.06",
}
SAP = {
    "beta_vae": "0.04 0.01 0.02 0.02 0.03 0.03 0.16 0.08 0.03 0.03 0.09 0.02",
    "factor_vae": "0.07 0.03 0.06 0.03 0.08 0.01 0.07 0.04 0.04 0.01 0.08 0.03",
    "tc_vae": "0.08 0.01 0.06 0.03 0.05 0.02 0.08 0.02 0.04 0.02 0.06 0.03",
    "slow_vae": "0.08 0.01 0.07 0.01 0.07 0.01 0.09 0.04 0.04 0.01 0.09 0.05",
    "pcl": "0.07 0.03 0.10 0.03 0.10 0.03 0.07 0.01 0.07 0.01 0.07 0.01",
}


def _cpu(model: str) -> Budget:
    rates = (f"{name}.learning_rate = {CPU_RATE!r}" for name in SCALED.get(model, ("Adam",)))
    return Budget((*CPU, *rates), CPU_SEEDS.get(model, 5))


def run(model: str, dataset: str, variant: str) -> Run | None:
    """A run of Tables 4.2 to 4.5; None for a model without a config."""
    if model not in LATENTS:
        return None
    bindings = [
        f"train.dataset = 'zoo_{dataset}/{VARIANTS[variant]}'",
        f"train.scores = '{SCORES}'",
    ]
    if dataset == "shapes3d":
        bindings += [f"train.name = '{model}/shapes3d_table_4_1'", f"{LATENTS[model]} = 6"]
        if model in PRIMARY:
            parameter, value = PRIMARY[model]
            bindings.append(f"{parameter} = {value!r}")
    return Run(
        f"{model}/{dataset}_{variant}",
        f"gin/papers/zietlow/table_4_1_{model}.gin",
        tuple(bindings),
        _cpu(model),
    )


def scaled(model: str, scale: float) -> Run:
    """A run on the modified Shapes3D with the primary hyperparameter times a number."""
    plain = run(model, "shapes3d", "modified")
    if scale == 1.0:
        return plain
    parameter, value = PRIMARY[model]
    return dataclasses.replace(
        plain,
        name=f"{plain.name}_times_{scale:g}",
        bindings=(*plain.bindings, f"{parameter} = {scale * value!r}"),
    )


NOTE = (
    "The modified images are those of the hub's m where ZOO_PERTURBATION names no other, each "
    "trained at a reduced budget; they lower the MIG no more than noise of the same size does "
    "(results/zietlow/perturbations/README.md)."
)


def _table(number: str, column: Column, paper: dict[str, str], *notes: str) -> Table:
    rows, claims = [], []
    for model, text in paper.items():
        numbers = [float(word) for word in text.split()]
        cells = list(zip(numbers[::2], numbers[1::2], strict=True))
        for dataset, part in zip(DATASETS, (cells[:3], cells[3:]), strict=True):
            for variant, cell in zip(VARIANTS, part, strict=True):
                made = run(model, dataset, variant)
                rows.append(Row(f"{model}/{dataset}_{variant}", made, {column.name: cell}))
            original, modified, noise = part
            name = f"{model}/{dataset}"
            claims += [
                Claim(column.name, f"{name}_modified", f"{name}_{other}")
                for other, cell in (("original", original), ("noise", noise))
                if model in BIASED and modified[0] < cell[0]
            ]
    title = f"{column.name} on the original, the modified and the noisy images"
    return Table(f"zietlow/{number}", title, (column,), tuple(rows), tuple(claims), (NOTE, *notes))


# Two m of one recipe.
FIRST_M = "results/zietlow/perturbations/500_steps/perturbation"
SECOND_M = "results/zietlow/perturbations/second/perturbation"
FALLING_BETA = {
    **VARIANTS,
    "modified": f"perturbed/network={FIRST_M}",
    "modified_by_second_m": f"perturbed/network={SECOND_M}",
}
# Seeds 0 and 1 chose the recipe of m.
_FIRST_SEED = 2
MISLED, MISLED_BY_SECOND = (
    tuple(Claim("MIG", row, other, first_seed=_FIRST_SEED) for other in ("original", "noise"))
    for row in ("modified", "modified_by_second_m")
)


def _falling_beta(row: str) -> Run:
    """A run of the main job's recipe, which disentangles dSprites better than a constant beta."""
    return Run(
        f"beta_vae_falling/dsprites_{row}",
        "gin/beta_vae.gin",
        (
            f"train.name = 'beta_vae/dsprites_falling_beta_{row}'",
            "VAE.latent_dim = 5",
            f"train.dataset = 'zoo_dsprites/{FALLING_BETA[row]}'",
            f"train.scores = '{SCORES}'",
        ),
        seeds=10,
    )


def _with_falling_beta() -> Table:
    return Table(
        "zietlow/4.2_falling_beta",
        "MIG of a beta-VAE whose beta falls from 200 to 4, on the three kinds of dSprites",
        (COLUMNS["4.2"],),
        tuple(Row(row, _falling_beta(row)) for row in FALLING_BETA),
        (*MISLED, *MISLED_BY_SECOND),
        (
            "An experiment of ours, not the dissertation's: the recipe of gin/beta_vae.gin with "
            "five latents, which brings the original images to a higher MIG than its constant "
            "beta does, and every seed to nearly the same.",
            "Predicted before its runs on modified and noisy images, as the answer to chapter 4's "
            "claim at this budget: both orders hold.",
            "Several m were tried with seeds 0 and 1, and the recipe that made the first, which "
            "misled them, was repeated from new restarts. It had been laid down that this second "
            "m decides, by seeds 2 to 9; stopped at seed 6, where it lowers the MIG of every seed, "
            "and by no more than as much noise does. The claim is tested for each m by itself, "
            "without seeds 0 and 1, which the means of `original` and `modified` have "
            "(results/zietlow/perturbations/README.md).",
        ),
    )


COLUMNS = {
    "4.2": Column("MIG", ("mig", "score")),
    "4.3": Column("DCI", ("dci", "score")),
    "4.4": Column("FactorVAE score", ("factor_vae_score", "score")),
    "4.5": Column("SAP", ("sap", "score")),
}
TABLES = (
    _table("4.2", COLUMNS["4.2"], MIG),
    _table(
        "4.3",
        COLUMNS["4.3"],
        DCI,
        "The dissertation does not say which part of DCI; disentanglement is our reading.",
    ),
    _table("4.4", COLUMNS["4.4"], FACTOR_VAE_SCORE),
    _table("4.5", COLUMNS["4.5"], SAP),
    _with_falling_beta(),
)
