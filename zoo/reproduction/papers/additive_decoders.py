"""Lachapelle et al. 2023: additive decoders identify latents and extrapolate."""

from zoo.reproduction.spec import Budget, Claim, Column, Evaluation, Row, Run, Table

OUTSIDE = Evaluation(
    "out_of_support", "zoo_balls/extrapolation[test]", "reconstruction_rmse,lms_spearman"
)
INSIDE = Evaluation("in_support", "zoo_balls/l_shape[test]", "reconstruction_rmse,lms_spearman")
COLUMNS = (
    Column("RMSE", ("reconstruction_rmse", "score"), "in_support.json", decimals=3),
    Column("LMS_Spear", ("lms_spearman", "score"), "in_support.json", scale=100.0, decimals=1),
    Column(
        "RMSE out of support", ("reconstruction_rmse", "score"), "out_of_support.json", decimals=3
    ),
    Column(
        "LMS_Spear out of support",
        ("lms_spearman", "score"),
        "out_of_support.json",
        scale=100.0,
        decimals=1,
    ),
)


def _run(name: str, blocks: str) -> Run:
    return Run(
        f"additive_decoders/l_shape_{name}",
        f"gin/papers/additive_decoders/scalar_l_shape_{name}.gin",
        cpu=Budget(
            (f"AdditiveAutoencoder.blocks = {blocks}",), 3, gin_file="gin/additive_decoder.gin"
        ),
        evaluations=(INSIDE, OUTSIDE),
    )


_ROWS = (
    Row("additive", _run("additive", "[[0], [1]]")),
    Row("nonadditive", _run("nonadditive", "[[0, 1]]")),
)

TABLES = (
    Table(
        "additive_decoders/table_1",
        "Reconstruction and identification on the L-shaped support and on the corner it lacks",
        COLUMNS,
        _ROWS,
        (
            Claim("LMS_Spear", "nonadditive", "additive"),
            Claim("RMSE out of support", "additive", "nonadditive"),
            Claim("LMS_Spear out of support", "nonadditive", "additive"),
        ),
        notes=(
            "The paper's numbers could not be had; the orders are those of its text.",
            "Scores are of the test images as a whole; the paper averages over batches of 1,024.",
        ),
    ),
)
