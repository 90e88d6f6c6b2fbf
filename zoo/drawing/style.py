"""The one style of charts: for SVG text that follows its surroundings, and for files.

A chart as SVG carries its colours for light and dark surroundings and takes the page's font, so the
same text stands alone as a file and fits into a page.
"""

import contextlib
import html
import io
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence

from cycler import cycler
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

from zoo.drawing.palette import COLOURS, LIGHT, SERIES

# About how wide a letter is, in pixels: of labels, and of titles.
LETTER, TITLE_LETTER = 6.6, 7.6
STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 11,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": LIGHT["ink"],
    "axes.labelcolor": LIGHT["muted"],
    "axes.edgecolor": LIGHT["rule"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.xmargin": 0,
    "axes.prop_cycle": cycler(color=SERIES),
    "legend.frameon": False,
    "legend.labelcolor": LIGHT["ink"],
    "grid.color": LIGHT["rule"],
    "xtick.color": LIGHT["muted"],
    "ytick.color": LIGHT["muted"],
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.linewidth": 1.8,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
}


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """The style of charts that become PNG files: figures made within have a white ground."""
    with style.context(["default", {**STYLE, "figure.facecolor": LIGHT["card"]}]):
        yield


def png(figure: Figure, density: float = 100) -> bytes:
    """A figure as the content of a PNG file, so many pixels per inch."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=density)
    return buffer.getvalue()


def log_axis(axes: Axes, subs: Sequence[float]) -> None:
    """A logarithmic axis upwards with plain numbers at these multiples of powers of ten."""
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=subs, numticks=12))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())


def step_axis(axes: Axes) -> None:
    """The axis of training steps, to the right."""
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlabel("step")


def svg(
    title: str,
    draw: Callable[[Axes], None],
    size: tuple[float, float] = (360, 220),
    layout: str | None = "constrained",
) -> str:
    """A chart as SVG text, its colours and font left to the surroundings.

    Args:
        title: above it, and its name for those who do not see it.
        draw: fills fresh axes.
        size: width and height in pixels; by default that of a phone's screen.
        layout: matplotlib's; None also leaves the title out.
    """
    with style.context(["default", {**STYLE, "svg.hashsalt": title}]):
        figure = Figure((size[0] / 72, size[1] / 72), layout=layout)
        axes = figure.add_subplot()
        if layout:
            axes.set_title("\n".join(textwrap.wrap(title, int(size[0] / TITLE_LETTER))), pad=10)
        draw(axes)
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing)
    return _themed(buffer.getvalue(), title, size)


def _themed(svg: str, title: str, size: tuple[float, float]) -> str:
    """Matplotlib's SVG without prologue, fixed size, fonts, group names and fixed colours."""
    body = svg[svg.index("<g ") : svg.rindex("</svg>")]
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = re.sub(r"font-family: [^;\"]*", "font-family: inherit", body)
    body = re.sub(r"\s*\n\s*", " ", body).replace("xlink:href", "href")
    for name, colour in LIGHT.items():
        body = body.replace(colour, f"var(--{name})")
    light, dark = (
        ";".join(f"--{name}:{pair[k]}" for name, pair in COLOURS.items()) for k in (0, 1)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" '
        f'aria-label="{html.escape(title)}" width="{size[0]:.0f}" height="{size[1]:.0f}" '
        f'viewBox="0 0 {size[0]:g} {size[1]:g}" font-family="system-ui, sans-serif">'
        f"<style>.chart{{{light}}}@media(prefers-color-scheme:dark){{.chart{{{dark}}}}}</style>"
        f"{body}</svg>\n"
    )
