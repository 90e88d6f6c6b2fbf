"""Defines a table of one's own: the linear VAE with a diagonal and with a full posterior.

Run in any folder: python own_table.py. All flags of `python -m zoo.reproduce` work with it:
`python -m zoo.reproduce --import=own_table --table=own/posterior --seeds=10 --jobs=2`.
"""

from zoo import reproduce
from zoo.papers.spec import Claim, Column, Row, Run, Table


def _run(name: str, *bindings: str) -> Run:
    """The gin file with other settings; `{seed}` in a binding would be the seed."""
    return Run(
        f"own/{name}",
        "gin/linear_vae.gin",
        (
            *bindings,
            "train.steps = 1000",
            "train.scores = 'dto,mcc'",
            "train.probe = None",
            "Adam.learning_rate = 1e-2",
        ),
    )


TABLES = (
    Table(
        "own/posterior",
        "Linear VAE: the posterior's covariance",
        (Column("DtO", ("dto", "score")), Column("MCC", ("mcc", "score"))),
        (
            Row("diagonal", _run("diagonal")),
            Row("full", _run("full", "VAE.posterior = @FullCovariance")),
        ),
        # What is predicted before the runs: the left one is lower.
        (Claim("DtO", "diagonal", "full"),),
    ),
)


def main() -> None:
    """Trains what is missing of it, in runs/, and prints where the table is."""
    reproduce.main(["--import=own_table", "--table=own/posterior", "--seeds=3", "--out=runs"])


if __name__ == "__main__":
    main()
