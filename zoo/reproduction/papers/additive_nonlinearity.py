"""Lachapelle et al. 2023, assumption 2: how non-linear a ground truth has to be."""

from zoo.reproduction.papers.additive_decoders import KINDS, SEEDS, blocks
from zoo.reproduction.reading import last
from zoo.reproduction.spec import Budget, Claim, Column, Row, Run, Table

_LMS = Column("LMS_Spear", ("lms_spearman", "score"), scale=100.0, decimals=1)
_ERROR = Column("squared error", ("squared_error",), "metrics.jsonl", reduce=last, decimals=4)
NONLINEARITIES = (0.0, 0.1, 0.3, 1.0)


def vectors(nonlinearity: float, kind: str) -> Run:
    """Vectors that are sums of functions of one latent each, seen on an L."""
    name = f"zoo_synthetic/additive_{nonlinearity}"
    bindings = (
        f'train.dataset = "{name}[train]"',
        f'train.test_dataset = "{name}[test]"',
        blocks(2, KINDS[kind]),
    )
    return Run(
        f"additive_decoders/vectors_{nonlinearity}_{kind}",
        "gin/additive_decoder_vectors.gin",
        bindings,
        cpu=Budget(seeds=SEEDS),
        seeds=SEEDS,
    )


def _row(nonlinearity: float, kind: str) -> Row:
    return Row(f"{nonlinearity}/{kind}", vectors(nonlinearity, kind))


TABLES = (
    Table(
        "additive_decoders/nonlinearity",
        "Vectors from linear (0.0) to curved (1.0) functions of each latent, seen on an L",
        (_ERROR, _LMS),
        (*(_row(e, "additive") for e in NONLINEARITIES), _row(1.0, "nonadditive")),
        (
            Claim("LMS_Spear", "0.0/additive", "1.0/additive"),
            Claim("LMS_Spear", "1.0/nonadditive", "1.0/additive"),
        ),
        notes=(
            "Data, networks and settings are ours; the paper proves that additive decoders "
            "identify latents of sufficiently non-linear functions, and linear ones they do not.",
            "The mean squared error is that of the last 100 steps.",
        ),
    ),
)
