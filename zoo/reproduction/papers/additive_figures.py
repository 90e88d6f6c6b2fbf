"""Figures of Lachapelle et al. 2023: Cartesian-product extrapolation, blocks, latent responses."""

import functools

from zoo.reproduction import additive_pictures
from zoo.reproduction.papers.additive_decoders import KINDS, scalar
from zoo.reproduction.spec import Row, Table

_CORNER = "zoo_balls/extrapolation[test]"
_ROWS = tuple(Row(name, scalar("l_shape", additive)) for name, additive in KINDS.items())
_FIRST = "The runs are those of table_1, the first seed of each row."

TABLES = (
    Table(
        "additive_decoders/extrapolation",
        "Both latents over their ranges, decoded by models of the L-shaped support",
        (),
        _ROWS,
        notes=(
            _FIRST,
            "Framed: no image of the support has its code in the cell around that position. The "
            "true images are what an additive decoder would show there.",
        ),
        figure=functools.partial(additive_pictures.extrapolation, beyond=_CORNER),
    ),
    Table(
        "additive_decoders/blocks",
        "What each block of an additive decoder adds to an image, in and out of the support",
        (),
        _ROWS[:1],
        notes=(_FIRST, "Each part is scaled from its least to its greatest number."),
        figure=functools.partial(additive_pictures.block_renderings, beyond=_CORNER),
    ),
    Table(
        "additive_decoders/responses",
        "Latents against the height of one ball, the other ball in the middle",
        (),
        _ROWS,
        notes=(_FIRST,),
        figure=functools.partial(
            additive_pictures.responses, traversal="zoo_balls/traversal_y[test]"
        ),
    ),
)
