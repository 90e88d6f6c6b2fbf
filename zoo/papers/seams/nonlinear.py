"""VAEs of a curved surface, whose decoder is followed through training: vectors, minutes a run."""

from zoo.papers import figures
from zoo.papers.results import last
from zoo.papers.spec import Budget, Claim, Column, Row, Run, Table

GIN = "gin/papers/seams/"
SEEDS = 5
# Activations of the decoder: with kinks, and without.
PIECEWISE, SMOOTH = ("relu", "leaky_relu"), ("elu", "softplus", "tanh")
PRIORS = ("normal", "laplace", "logistic", "uniform")


def logged(heading: str, name: str, decimals: int = 3) -> Column:
    """The last record of something that the log of a training has."""
    return Column(heading, (name,), "metrics.jsonl", reduce=last, decimals=decimals)


ACTIVE = logged("active latents", "active_latents", decimals=1)
KL = logged("KL, nats", "kl", decimals=2)
RMSE = Column("RMSE", ("reconstruction_rmse", "score"), decimals=4)
DTO = Column("DtO", ("dto", "score"))
DS = Column("DS", ("disentanglement_score", "score"))
EXPANSION = logged("expansion error", "expansion_error", 4)
GRAM = logged("diagonality of J^T J", "gram_diagonality")
CURVATURE = logged("diagonality of the curvature", "curvature_diagonality")
GAP = Column("least gap of singular values", ("singular_values", "score"), decimals=3)
SPEED = Column("images/s", ("images_per_s",), "manifest.json", decimals=0)
DERIVATIVES = (EXPANSION, GRAM, CURVATURE)
_JACOBIANS = (*DERIVATIVES, GAP, DTO, DS)
PROBES = "@jacobian_probe", "@expansion_probe"
PROBED = ("train.probe = @joint_probe", f"joint_probe.probes = [{', '.join(PROBES)}]")
PENALTY = (
    "VAE.jacobian_penalty = @JacobianOrthogonality()",
    "JacobianOrthogonality.weight = 1.0",
    "JacobianOrthogonality.normalized = True",
)
FULL = ("VAE.posterior = @FullCovariance",)

# Row -> what is bound of the posterior and the loss.
FAMILIES = {
    "diagonal": (),
    "diagonal_penalised": PENALTY,
    "full": FULL,
    "full_penalised": (*FULL, *PENALTY),
}


def followed(name: str, *bindings: str, file: str = "nonlinear.gin") -> Run:
    """A run of a third of the steps whose J^T J and curvature are logged."""
    return Run(
        f"seams/nonlinear_{name}",
        f"{GIN}{file}",
        (
            f'train.name = "seams/nonlinear_{name}"',
            "train.steps = 10000",
            *PROBED,
            'train.scores = "singular_values,dto,disentanglement_score,reconstruction_rmse"',
            *bindings,
        ),
        Budget(seeds=SEEDS),
        SEEDS,
    )


def _activation(name: str) -> Row:
    run = followed(f"of_{name}", f'mlp_decoder.activation = "{name}"')
    return Row(name, run, group=name)


def _prior(name: str) -> Row:
    binding = f"VAE.prior = @{name.capitalize()}Prior"
    return Row(name, followed(f"{name}_prior", binding), group=f"{name} prior")


def _family(name: str) -> Row:
    aligned = "zoo_synthetic/nonlinear_aligned"
    data = (f'train.dataset = "{aligned}[train]"', f'train.test_dataset = "{aligned}[test]"')
    return Row(name, followed(f"aligned_{name}", *data, *FAMILIES[name]), group=name)


def _likelihood(family: str, scale: str, value: str) -> Row:
    bindings = f"VAE.likelihood = @{family}", f'{family}.{scale} = "{value}"'
    name = f"{family.lower()}_{value}"
    return Row(name, followed(name, *bindings), group=name)


TABLES = (
    Table(
        "seams/activations",
        "VAE on Synth. Non-Lin.: decoders with kinks (ReLU, leaky ReLU) and without",
        _JACOBIANS,
        tuple(_activation(name) for name in (*PIECEWISE, *SMOOTH)),
        tuple(Claim(EXPANSION.name, "tanh", name) for name in PIECEWISE),
        notes=(
            "Ours, of the summary's open question; written before any run: the deterministic ELBO "
            "expands the decoder to second order, so it is nearer to the sampled one where the "
            "decoder has no kinks. Of piecewise linear decoders the curvature is 0 and counts as "
            "diagonal.",
            "The encoder's activation is tanh in all rows. The expansion error is of the square "
            "error that the posterior's noise adds; columns of diagonality are of the last record.",
        ),
        figure=figures.curves,
    ),
    Table(
        "seams/nonlinear_priors",
        "VAE on Synth. Non-Lin.: priors of variance 1",
        _JACOBIANS,
        tuple(_prior(name) for name in PRIORS),
        notes=(
            "Ours, of the summary's next check; written before any run: what makes J^T J diagonal "
            "is the posterior, which is diagonal with every prior, so its diagonality grows "
            "through training in all rows and ends alike.",
        ),
        figure=figures.curves,
    ),
    Table(
        "seams/orthogonality",
        "VAE on a surface whose sides differ: a diagonal and a full posterior, without and with a "
        "penalty on the off-diagonal entries of J^T J",
        (*DERIVATIVES, RMSE, DTO, DS, SPEED),
        tuple(map(_family, FAMILIES)),
        (
            Claim(DTO.name, "diagonal", "full"),
            Claim(DS.name, "full", "diagonal"),
            Claim(DTO.name, "full_penalised", "full"),
            Claim(DS.name, "full", "full_penalised"),
        ),
        notes=(
            "Ours, of the summary's next check; written before any run: if orthogonal columns are "
            "all that a diagonal posterior adds, the penalty gives a VAE of full covariance the DS "
            "of a diagonal one, and to the diagonal one it adds nothing.",
            "The data are zoo_synthetic/nonlinear_aligned. The penalty has a weight of 1 and is "
            "of squared cosines of columns. The expansion error of a full posterior is at its "
            "marginals. Images a second are of one core, which other processes shared.",
        ),
        figure=figures.curves,
    ),
    Table(
        "seams/likelihoods",
        "VAE on Synth. Non-Lin.: Gaussian likelihoods of fixed, learned and optimal variance, "
        "Laplace and logistic ones",
        (*_JACOBIANS, KL),
        (
            Row("gaussian_fixed", _prior("normal").run, group="gaussian_fixed"),
            _likelihood("Gaussian", "variance", "learned"),
            _likelihood("Gaussian", "variance", "optimal"),
            _likelihood("Laplace", "scale", "learned"),
            _likelihood("Logistic", "scale", "learned"),
        ),
        (
            Claim(EXPANSION.name, "gaussian_learned", "gaussian_fixed"),
            Claim(KL.name, "gaussian_fixed", "gaussian_learned"),
        ),
        notes=(
            "Ours, of the summary's open question; written before any run: likelihoods that treat "
            "all numbers of an observation alike make J^T J diagonal whatever their shape, so its "
            "diagonality ends alike in all rows. Data without noise let a learned variance fall "
            "below the fixed one of 1e-3, and the posterior's with it: KL is higher and the "
            "expansion more exact.",
            "The curvature is weighted by what the decoder misses, which is the slope of a "
            "Gaussian likelihood alone.",
        ),
        figure=figures.curves,
    ),
)
