"""Allen, "Unpicking Data at the Seams": the linear VAE in closed form, beta as a variance, priors.

The paper's own numbers were not available. Where there is a closed form runs are compared with it
(`zoo.training.decoder_probes.linear_optimum_probe`): errors should be zero.
"""

from zoo.papers.seams import deterministic, images, nonlinear
from zoo.papers.seams.nonlinear import ACTIVE, DS, DTO, GIN, KL, RMSE, logged
from zoo.papers.spec import Claim, Column, Headline, Row, Run, Table

# beta and the likelihood's variance; their product is the same.
LINEAR = ((0.25, 1.4), (1.0, 0.35), (4.0, 0.0875))
NONLINEAR = ((0.1, 1e-2), (1.0, 1e-3), (10.0, 1e-4))
PRIORS = ("laplace", "logistic", "uniform")

SPECTRUM = logged("spectrum error", "spectrum_error")
NORM = logged("norm error", "norm_error")
VARIANCE = logged("posterior variance error", "variance_error")
ANGLE = logged("angle, degrees", "angle", decimals=2)
MCC = Column("MCC", ("mcc", "score"))


def _linear(name: str, *bindings: str, file: str = "linear.gin") -> Run:
    return Run(f"linear_vae/{name}", GIN + file, bindings)


def _of_prior(prior: str) -> Run:
    return _linear(
        f"gaussian_{prior}",
        f'train.name = "linear_vae/gaussian_{prior}_prior"',
        f"VAE.prior = @{prior.capitalize()}Prior",
    )


def _at(beta: float, variance: float) -> Run:
    return _linear(
        f"gaussian_beta_{beta:g}",
        f"BetaVAE.beta = {beta!r}",
        f"Gaussian.variance = {variance!r}",
    )


def _nonlinear(beta: float, variance: float) -> Run:
    return Run(
        f"seams/nonlinear_beta_{beta:g}",
        f"{GIN}nonlinear.gin",
        (f"BetaVAE.beta = {beta!r}", f"Gaussian.variance = {variance!r}"),
    )


_DIAGONAL = Row("diagonal", _at(1.0, 0.35))
_FULL = Row("full", _linear("gaussian_full", file="linear_full.gin"))
_ERRORS = (SPECTRUM, NORM, VARIANCE, ANGLE)

TABLES = (
    Table(
        "seams/theorem_2",
        "Linear VAE with a diagonal posterior on Gaussian data, against its closed form",
        (*_ERRORS, ACTIVE),
        (_DIAGONAL,),
        notes=(
            "All errors and the angle between decoder columns and principal directions (theorem 2 "
            "of Zietlow 2022) should be zero, up to the noise of the last updates; the closed form "
            "has 4 active latents of 5.",
        ),
    ),
    Table(
        "seams/beta_is_variance",
        "Linear VAE: beta times the likelihood's variance constant, against the closed form",
        (*_ERRORS, ACTIVE),
        tuple(Row(f"beta_{beta:g}_variance_{s:g}", _at(beta, s)) for beta, s in LINEAR),
        notes=(
            "All errors should be zero in every row: the rows have one optimum. Their losses "
            "differ by a factor only, which Adam does not see, so they also train alike.",
        ),
    ),
    Table(
        "seams/posterior",
        "Linear VAE: diagonal against full posterior covariance",
        (SPECTRUM, ANGLE, DTO),
        (_DIAGONAL, _FULL),
        (Claim(ANGLE.name, "diagonal", "full"), Claim(DTO.name, "diagonal", "full")),
        notes=(
            "The spectrum error should be zero in both; columns are principal directions with the "
            "diagonal posterior only.",
        ),
    ),
    Table(
        "seams/priors",
        "Linear VAE on Gaussian data: priors of variance 1",
        (MCC, ANGLE, DTO, ACTIVE),
        (
            Row("normal", _DIAGONAL.run),
            *(Row(prior, _of_prior(prior)) for prior in PRIORS),
        ),
        notes=("Only the normal prior has a closed form; the others are compared with it.",),
    ),
    Table(
        "seams/beta_is_variance_nonlinear",
        "VAE on Synth. Non-Lin.: beta times the likelihood's variance constant",
        (
            RMSE,
            DTO,
            DS,
            KL,
            ACTIVE,
        ),
        tuple(Row(f"beta_{beta:g}_variance_{s:g}", _nonlinear(beta, s)) for beta, s in NONLINEAR),
        notes=("The rows have one optimum: they are to agree up to what seeds make.",),
    ),
    *nonlinear.TABLES,
    *deterministic.TABLES,
    *images.TABLES,
)

HEADLINES = (
    Headline(
        "A linear VAE's decoder columns are principal directions (angle, DtO) because its "
        "posterior is diagonal",
        "seams/posterior",
        (Claim(ANGLE.name, "diagonal", "full"), Claim(DTO.name, "diagonal", "full")),
        ours=True,
    ),
)
