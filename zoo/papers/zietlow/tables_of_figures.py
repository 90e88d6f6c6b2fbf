"""Figures of Zietlow 2022: eigenfaces, robustness, MIG by run and by factor, planes of latents."""

import functools

from zoo.data.renderers import dsprites, shapes3d
from zoo.papers import figures
from zoo.papers.results import last
from zoo.papers.spec import Budget, Column, Discard, Row, Run, Table
from zoo.papers.zietlow import pictures
from zoo.papers.zietlow.tables_chapter_4 import COLUMNS, PRIMARY, run, scaled

CELEBA = "gin/papers/zietlow/table_3_1_celeba.gin"
FACTORS = {"shapes3d": shapes3d.SPACE.names, "dsprites": dsprites.SPACE.names}
# The dissertation scales by 0.75 to 2.0; the steps between are ours.
SCALES = (0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
OVER_PRUNED = Discard(
    Column("active latents", ("active_latents",), "metrics.jsonl", reduce=last),
    len(FACTORS["shapes3d"]),
    "over-pruned",
)
MIG = COLUMNS["4.2"]
_OURS = "The dissertation has Shapes3D; dSprites is ours."


def _figure_3_6() -> Table:
    cpu = Budget(
        ("train.steps = 10000", 'train.precision = "auto"', "Adam.learning_rate = 1e-3"),
        seeds=1,
    )
    bindings = {
        "celeba": (),
        # Ours: the dissertation has no such run.
        "shapes3d": (
            'train.name = "beta_vae/shapes3d_figure_3_6"',
            'train.dataset = "zoo_shapes3d/rendered[train]"',
            'train.test_dataset = "zoo_shapes3d/rendered[test]"',
        ),
    }
    return Table(
        "zietlow/figure_3_6",
        "Non-linear eigenfaces: the mean code of 300 images, five latents varied",
        (),
        tuple(
            Row(name, Run(f"beta_vae/{name}_eigenfaces", CELEBA, bound, cpu=cpu, seeds=1))
            for name, bound in bindings.items()
        ),
        notes=(
            "The five latents with the least mean posterior deviation, each over [-2.5, 2.5].",
            "The dissertation has CelebA, which is TFDS's: with neither its copy nor a connection "
            "that run fails. Shapes3D with the same networks is ours.",
        ),
        figure=pictures.eigenfaces,
        first_seed=True,
    )


def _scan() -> tuple[Row, ...]:
    return tuple(
        Row(f"{model}/times_{scale:g}", scaled(model, scale), {}, model, scale)
        for model in PRIMARY
        for scale in SCALES
    )


def _figures_4_4_to_4_7() -> Table:
    return Table(
        "zietlow/figure_4_4_to_4_7",
        "Modified Shapes3D: the primary hyperparameter of Table 4.1 times 0.75 to 2",
        tuple(COLUMNS.values()),
        _scan(),
        notes=(
            "The steps between 0.75 and 2 are ours: the dissertation's text does not give them.",
            "Runs with fewer active latents (mean posterior variance below 0.8) than factors are "
            "left out.",
        ),
        figure=figures.violins,
        from_numbers=True,
        discard=OVER_PRUNED,
    )


def _figure_4_8() -> Table:
    return Table(
        "zietlow/figure_4_8",
        "Histogram of MIG on the modified Shapes3D",
        (MIG,),
        _scan(),
        notes=("The runs are those of Figs. 4.4 to 4.7, without the over-pruned: our reading.",),
        figure=figures.histogram,
        from_numbers=True,
        discard=OVER_PRUNED,
    )


def _figure_4_9(dataset: str, name: str, *notes: str) -> Table:
    columns = [
        Column(factor, ("mig", "per_factor", str(k))) for k, factor in enumerate(FACTORS[dataset])
    ]
    return Table(
        f"zietlow/{name}",
        f"MIG of the beta-VAE by factor, original and modified {dataset}",
        tuple(columns),
        tuple(
            Row(variant, run("beta_vae", dataset, variant), {}, variant)
            for variant in ("original", "modified")
        ),
        notes=notes,
        figure=figures.bars,
        from_numbers=True,
    )


def _figure_4_10(dataset: str, pair: tuple[str, str], name: str, *notes: str) -> Table:
    made = run("beta_vae", dataset, "original")
    return Table(
        f"zietlow/{name}",
        f"The best and the worst beta-VAEs by MIG on the original {dataset}: the two latents that "
        f"tell most about {pair[0]} and {pair[1]}",
        (MIG,),
        (Row("beta_vae", made),),
        notes=(
            "Cartesian and polar: the share of the two factors' entropies that the two latents "
            "tell one each, as coordinates, and that their angle and radius tell.",
            *notes,
        ),
        figure=functools.partial(pictures.planes, pair=pair),
    )


TABLES = (
    _figure_3_6(),
    _figures_4_4_to_4_7(),
    _figure_4_8(),
    _figure_4_9("shapes3d", "figure_4_9"),
    _figure_4_9("dsprites", "figure_4_9_dsprites", _OURS),
    _figure_4_10("shapes3d", ("wall_hue", "orientation"), "figure_4_10"),
    _figure_4_10("dsprites", ("x_position", "y_position"), "figure_4_10_dsprites", _OURS),
)
