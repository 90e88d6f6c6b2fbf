"""The scores of Brady et al. 2025 on decoders of known interaction: computed, without runs."""

from matplotlib.figure import Figure

from zoo.drawing.palette import SERIES
from zoo.papers.interaction_asymmetry import known
from zoo.papers.spec import Table

_HEADS = (
    "order",
    "largest second\nderivative across",
    "compositional\ncontrast",
    "sufficient\nindependence",
    "rank of next order\nwithin a slot",
    "irreducible\nslots",
)


def scores(found: dict, columns=()) -> Figure:
    """A line a decoder; what differs from what is known of it is coloured."""
    del found, columns
    decoders = known.decoders()
    lines, wrong = [], []
    for at, decoder in enumerate(decoders, start=1):
        got = known.measured(decoder)
        lines.append([decoder.name, *_texts(got)])
        within = None if got.rank is None else got.rank > 0
        for column, value, expected in (
            (1, got.order, decoder.order),
            (5, within, decoder.within),
            (6, got.irreducible, decoder.irreducible),
        ):
            if value != expected:
                wrong.append((at, column))
    figure = Figure(figsize=(9.6, 0.34 * len(lines) + 0.8), layout="constrained")
    axis = figure.subplots()
    axis.axis("off")
    drawn = axis.table(
        lines,
        colLabels=["decoder", *_HEADS],
        colWidths=[0.28, *[0.12] * len(_HEADS)],
        cellLoc="center",
        loc="center",
        edges="horizontal",
    )
    drawn.auto_set_font_size(False)
    drawn.set_fontsize(8)
    drawn.scale(1, 1.3)
    for column in range(1 + len(_HEADS)):
        drawn[0, column].set_height(2 * drawn[0, column].get_height())
    for place in wrong:
        drawn[place].get_text().set_color(SERIES[1])
    return figure


def _texts(got: known.Scores) -> list[str]:
    order = str(got.order) if got.order <= 2 else "3 or more"
    shown = [_text(value) for value in (got.hessian, got.contrast, got.independence)]
    return [order, *shown, "-" if got.rank is None else str(got.rank), f"{got.irreducible:.0%}"]


def _text(value: float | None) -> str:
    if value is None:
        return "-"
    # What rounding leaves of a zero.
    return f"{value:,.0f}" if value >= 100 or value < 1e-9 else f"{value:.3g}"


TABLES = (
    Table(
        "interaction_asymmetry/known_decoders",
        "What the scores of interaction give of decoders whose interaction is known",
        (),
        (),
        notes=(
            "Ours. Order, asymmetry and irreducible slots are known of each decoder beforehand; "
            "what the scores give otherwise is coloured.",
            "Two slots of two latents, of C.7 of one. Independence is at the measured order n, "
            "1 at best; so is the rank, the least that derivatives of order n + 1 have within a "
            "slot: where it is 0 there is no interaction asymmetry. Neither is for orders beyond "
            "2.",
            "Of C.6 and C.7 the order is that of the derivatives, which are those of a sum over "
            "slots, although neither is one: where sets have holes the scores, which are of "
            "points, do not tell.",
            "Sprites are smooth discs. Where they meet, one before the other, a pixel is a product "
            "that no order up to 2 allows; an additive decoder, or one of products, does not have "
            "them.",
        ),
        figure=scores,
        computed=True,
    ),
)
