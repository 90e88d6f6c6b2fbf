"""The tables and figures of Zietlow 2022, in its order by chapter."""

from zoo.papers.spec import Claim, Headline
from zoo.papers.zietlow import exact, tables_chapter_3, tables_chapter_4, tables_of_figures

TABLES = (
    *tables_chapter_3.TABLES,
    *tables_chapter_4.TABLES,
    *tables_of_figures.TABLES,
    *exact.TABLES,
)


def _lower(column: str, row: str, *others: str) -> tuple[Claim, ...]:
    return tuple(Claim(column, row, other) for other in others)


HEADLINES = (
    Headline(
        "On dSprites a beta-VAE's decoder is nearer to orthogonal (DtO) than an autoencoder's and "
        "than that of a VAE with full covariance",
        "zietlow/3.3",
        _lower("DtO", "beta_vae/dsprites", "autoencoder/dsprites", "full_covariance/dsprites"),
    ),
    Headline(
        "The same on Fashion-MNIST, of a VAE",
        "zietlow/3.3",
        _lower(
            "DtO",
            "vae/fashion_mnist",
            *("autoencoder/fashion_mnist", "full_covariance/fashion_mnist"),
        ),
    ),
    Headline(
        "On linear data a beta-VAE finds the factors (DS), and these two do not",
        "zietlow/3.3",
        tuple(
            Claim("DS", f"{model}/synth_lin", "beta_vae/synth_lin")
            for model in ("autoencoder", "full_covariance")
        ),
    ),
    Headline(
        "Where two directions vary equally much a beta-VAE does not find the factors (DS)",
        "zietlow/3.4",
        _lower("DS", "ratio_1.0", "ratio_1.5"),
    ),
    Headline(
        "On dSprites changed by a perturbation network, the second of two, a beta-VAE reaches a "
        "lower MIG than on the original images and than on images with as much noise (our recipe, "
        "beta from 200 to 4)",
        "zietlow/4.2_falling_beta",
        tables_chapter_4.MISLED_BY_SECOND,
        ours=True,
    ),
    Headline(
        "The same on 3D Shapes, with a network of its own and the dissertation's beta",
        "zietlow/4.2",
        _lower(
            "MIG",
            "beta_vae/shapes3d_modified",
            *("beta_vae/shapes3d_original", "beta_vae/shapes3d_noise"),
        ),
    ),
)
