"""Training runs of chapter 3 of Zietlow 2022: its Table 3.1, and what other tables change of it."""

from zoo.papers.spec import Budget, Run

GIN = "gin/papers/zietlow/"

# The dSprites networks are too large for two CPU cores at the paper's steps: the budget `cpu` has a
# tenth of them, all else being the paper's. The synthetic runs need no reduction.
DSPRITES_PAPER_STEPS = 460_800
DSPRITES_CPU_STEPS = DSPRITES_PAPER_STEPS // 10
DSPRITES_CPU_SEEDS = 3

DATASETS = ("dsprites", "synth_lin", "synth_non_lin")
# Their beta is 1 and they have no factors; ten seeds of their steps are too many for two cores.
DIGITS = ("mnist", "fashion_mnist")
DIGITS_CPU_SEEDS = 3
# Table 3.1.
BETA = {
    "dsprites": 4.0,
    "synth_lin": 1e-4,
    "synth_non_lin": 1e-3,
    "mnist": 1.0,
    "fashion_mnist": 1.0,
}
LATENTS = {"dsprites": 5, "synth_lin": 2, "synth_non_lin": 2, "mnist": 6, "fashion_mnist": 6}
# The columns "AE" and "beta-VAE full cov." of Table 3.3: another model or another family of
# posteriors, all else as in Table 3.1.
# The relative KL error, which Table 3.1's models log, takes a diagonal posterior.
CONTROLS = {
    "autoencoder": (
        "train.model = @AE",
        "train.probe = None",
        "AE.latent_dim = {latents}",
        "AE.encoder = @mlp_encoder",
        "AE.decoder = @mlp_decoder",
        "AE.likelihood = @{likelihood}",
    ),
    "full_covariance": (
        "train.probe = None",
        "VAE.posterior = @FullCovariance",
    ),
}
# The dissertation's text does not give the abscissas of its figure 3.7; these are ours.
LINE_SEARCH = {
    "dsprites": (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0),
    "synth_lin": (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
    "synth_non_lin": (1e-5, 1e-4, 1e-3, 1e-2, 1e-1),
}
LINE_SEARCH_SEEDS = 5


def _cpu(dataset: str, share: float = 1.0, seeds: int | None = None) -> Budget:
    if dataset in DIGITS:
        return Budget(seeds=seeds or DIGITS_CPU_SEEDS)
    if dataset != "dsprites":
        return Budget(seeds=seeds or 10)
    steps = round(DSPRITES_CPU_STEPS * share)
    return Budget((f"train.steps = {steps}", 'train.precision = "auto"'), DSPRITES_CPU_SEEDS)


def _run(name: str, dataset: str, file: str, *bindings: str, share=1.0, seeds=None) -> Run:
    return Run(name, GIN + file, bindings, _cpu(dataset, share, seeds), seeds or 10)


def beta_vae(dataset: str) -> Run:
    """The model of Table 3.1 on a data set."""
    return _run(f"{_own(dataset)}/{dataset}", dataset, f"table_3_1_{dataset}.gin")


def _own(dataset: str) -> str:
    """The model of Table 3.1: a beta of 1 is a VAE."""
    return "vae" if dataset in DIGITS else "beta_vae"


def at_beta(dataset: str, beta: float) -> Run:
    """The model of Table 3.1 at another beta (Fig. 3.7)."""
    if beta == BETA[dataset]:
        return beta_vae(dataset)
    if (dataset, beta) == ("dsprites", 1.0):
        return VAE_DSPRITES
    return _run(
        f"beta_vae/{dataset}_beta_{beta:g}",
        dataset,
        f"table_3_1_{dataset}.gin",
        f"BetaVAE.beta = {beta!r}",
        seeds=LINE_SEARCH_SEEDS,
    )


def control(model: str, dataset: str) -> Run:
    """A model of `CONTROLS` with the networks and the training of Table 3.1."""
    values = {
        "latents": LATENTS[dataset],
        "beta": BETA[dataset],
        "likelihood": "Gaussian" if dataset.startswith("synth") else "Bernoulli",
    }
    return _run(
        f"{model}/{dataset}",
        dataset,
        f"table_3_1_{dataset}.gin",
        f'train.name = "{model}/{dataset}_table_3_3"',
        *(binding.format(**values) for binding in CONTROLS[model]),
    )


def untrained(dataset: str) -> Run:
    """One step of size 0, which leaves the initial weights."""
    optimizer = "Adagrad" if dataset in ("dsprites", *DIGITS) else "Adam"
    return Run(
        f"random_decoder/{dataset}",
        f"{GIN}table_3_1_{dataset}.gin",
        ("train.steps = 1", f"{optimizer}.learning_rate = 0.0", "train.compiled = 'never'"),
    )


def ten_latents(dataset: str) -> Run:
    """The model of Table 3.1 with ten latents (Table 3.2)."""
    return _run(
        f"{_own(dataset)}/{dataset}_10_latents",
        dataset,
        f"table_3_1_{dataset}.gin",
        "VAE.latent_dim = 10",
    )


def ratio(stretch: float) -> Run:
    """The beta-VAE on the linear set whose one side is stretched by a number (Table 3.4)."""
    source = f"zoo_synthetic/linear_{stretch:.1f}"
    return _run(
        f"beta_vae/synth_lin_ratio_{stretch:.1f}",
        "synth_lin",
        "table_3_1_synth_lin.gin",
        f"train.dataset = '{source}[train]'",
        f"train.test_dataset = '{source}[test]'",
    )


def epochs(count: int) -> Run:
    """The beta-VAE of dSprites after some epochs; Table 3.1 has 50."""
    if count == 50:
        return beta_vae("dsprites")
    return Run(
        f"beta_vae/dsprites_{count}_epochs",
        f"{GIN}table_3_1_dsprites.gin",
        (f"train.steps = {DSPRITES_PAPER_STEPS * count // 50}",),
        _cpu("dsprites", count / 50),
    )


VAE_DSPRITES = _run(
    "vae/dsprites",
    "dsprites",
    "table_3_1_dsprites.gin",
    'train.name = "vae/dsprites_table_3_3"',
    "BetaVAE.beta = 1.0",
)


def vae(dataset: str) -> Run:
    """The column "VAE" of Table 3.3: a beta of 1."""
    return beta_vae(dataset) if dataset in DIGITS else VAE_DSPRITES
