"""The chart of a sweep: a score against the strength of a term, one point per run."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from zoo.drawing import style
from zoo.drawing.palette import SERIES

# Where the largest value is this many times the smallest the axis is logarithmic.
_WIDE = 8.0


def chart(
    places: Sequence[float] | Sequence[str],
    values: Sequence[Sequence[float]],
    *,
    title: str,
    x_label: str,
) -> str:
    """One point per run above the value it was made with, and a line through the medians.

    Args:
        places: P values: numbers, which decide where they stand, or names, which stand side by
            side.
        values: P lists, the numbers of the runs of each; what is not finite is left out.
        title: what the numbers are.
        x_label: what the values are of.

    Returns:
        SVG text.

    Raises:
        ValueError: `places` and `values` differ in length.
    """
    if len(places) != len(values):
        raise ValueError(f"there are {len(places)} places and the values of {len(values)}")
    numbers = not any(isinstance(place, str) for place in places)
    x = np.array(places, float) if numbers else np.arange(float(len(places)))
    labels = [f"{place:g}" for place in places] if numbers else [str(place) for place in places]
    kept = [np.array([v for v in some if np.isfinite(v)]) for some in values]

    def draw(axes: Axes) -> None:
        if numbers and x.min() > 0 and x.max() / x.min() >= _WIDE:
            axes.set_xscale("log")
        for place, some in zip(x, kept, strict=True):
            axes.plot(np.full(len(some), place), some, "o", color=SERIES[0], alpha=0.45,
                      markersize=6, markeredgewidth=0)  # fmt: skip
        medians = [
            (place, np.median(some)) for place, some in zip(x, kept, strict=True) if len(some)
        ]
        if numbers and medians:
            axes.plot(*np.array(sorted(medians)).T, color=SERIES[0])
        elif medians:
            axes.plot(*np.array(medians).T, "_", color=SERIES[0], markersize=22)
        axes.xaxis.set_major_locator(FixedLocator(list(x)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticks(x, labels)
        axes.margins(x=0.08)
        axes.set(xlabel=x_label)

    return style.svg(title, draw)
