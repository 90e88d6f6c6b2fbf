"""Li, Fan et al. 2025 on images: what of the content stays where the domain changes.

The paper's distances on CelebA, as a summary reports them (Inception's features of 256x256 images,
2.57 for CG-GAN, 2.65 for i-StyleGAN, 3.57 for StyleGAN2-ADA), are of another data set and another
network than these.
"""

from zoo.papers.results import last
from zoo.papers.spec import Budget, Claim, Column, Row, Run, Table

GIN = "gin/papers/synergy/shapes3d_cg_gan.gin"
SEEDS = 3

UNTRAINED, CONDITIONAL, I_STYLEGAN = "untrained", "conditional_stylegan2", "i_stylegan"
FULL, NO_MASK, RELEASED = "cg_gan", "cg_gan_m", "cg_gan_released"

# Row -> what is bound beyond the gin file.
_ROWS = {
    UNTRAINED: ("train.steps = 1", "Adam.learning_rate = 0.0"),
    CONDITIONAL: ("CGGAN.style_dim = 0", "CGGAN.image_sparsity = 0.0"),
    I_STYLEGAN: ("CGGAN.image_sparsity = 0.0",),
    FULL: (),
    NO_MASK: ("CGGAN.masked = False",),
    RELEASED: ("CGGAN.image_sparsity_form = 'released'",),
}
_SCORES = "train.scores = 'domain_flip,reader_fid,reader_kid'"


def _flip(heading: str, *path: str) -> Column:
    return Column(heading, ("domain_flip", *path), decimals=3)


KEPT = _flip("content kept", "score")
DOMAIN = _flip("domain accuracy", "domain_accuracy")
FID = Column("reader FID", ("reader_fid", "score"))
KID = Column("reader KID", ("reader_kid", "score"), decimals=3)
MASK = Column("mask size", ("mask_size",), "metrics.jsonl", reduce=last, decimals=1)
COLUMNS = (
    KEPT,
    _flip("content kept, pairs of data", "score_of_data"),
    DOMAIN,
    _flip("domain accuracy, data", "domain_accuracy_of_data"),
    # Factors 1 to 3 of 3D Shapes are those whose distribution depends on the domain.
    _flip("wall hue: shift", "shift", "1"),
    _flip("wall hue: transport", "transport", "1"),
    FID,
    Column("reader FID, halves of data", ("reader_fid", "of_data")),
    KID,
    MASK,
)


def _row(name: str, bindings: tuple[str, ...]) -> Row:
    cpu = Budget((f'train.name = "{name}/shapes3d"',), SEEDS, "gin/cg_gan.gin")
    return Row(name, Run(f"synergy/images_{name}", GIN, (*bindings, _SCORES), cpu, SEEDS))


TABLES = (
    Table(
        "synergy/images",
        "Generators of two domains of 3D Shapes: what changes with the domain",
        COLUMNS,
        tuple(_row(name, bindings) for name, bindings in _ROWS.items()),
        (
            Claim(KEPT.name, CONDITIONAL, I_STYLEGAN),
            Claim(KEPT.name, I_STYLEGAN, FULL),
            Claim(KEPT.name, NO_MASK, FULL),
            Claim(KEPT.name, RELEASED, FULL),
            Claim(FID.name, I_STYLEGAN, CONDITIONAL),
            Claim(FID.name, FULL, I_STYLEGAN),
            Claim(FID.name, FULL, UNTRAINED),
        ),
        notes=(
            "Predicted before any run: content kept CG-GAN >= i-StyleGAN > conditional StyleGAN2, "
            "less without the mask; as released about equal to i-StyleGAN, since its image term "
            "has no signal of the mixing. The paper's distances, as a summary reports them, differ "
            "by 0.08 of 2.6 between CG-GAN and i-StyleGAN: such a difference is not expected to be "
            "seen.",
            "Content kept: of the same latents in both domains, the share of which all content "
            "factors that a network reads right in at least 95 % of the data stay; beside it the "
            "same of pairs of images of the data with one content. An untrained generator keeps "
            "all, and so must be seen with the distance to the data.",
            "Reader FID and KID take the features of that network, not Inception's; the distance "
            "of two halves of the data is the floor.",
            "Shift: the mean change of the number of the wall's hue; transport: the least that "
            "the distributions of the data need.",
            "The size of batches, the rate and the weight of R1 were chosen by the reader FID of "
            "i-StyleGAN, seed 0, after 96,000 images (gin/cg_gan.gin), which may favour that row.",
            "With three seeds a row an order holds only where all seeds of both rows are apart.",
        ),
    ),
)
