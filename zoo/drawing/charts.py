"""Charts of numbers: rows and arrays in, SVG text out (see `zoo.drawing.style`)."""

import textwrap
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from zoo.drawing import style
from zoo.drawing.palette import LIGHT, SERIES
from zoo.drawing.style import LETTER, TITLE_LETTER

POINTS = 400
# How wide charts of several series are, and what a name in a legend has beside it, in pixels.
_WIDTH, _BESIDE_NAME = 360, 44
# Of the first eight series, of the next eight, and so on.
_MARKERS, _DASHES = ("o", "s", "^", "D"), ("-", "--", ":", "-.")
# The curves of a training run, by the keys of its rows.
_LOSSES = {
    "loss": "Loss",
    "reconstruction": "Reconstruction loss",
    "kl": "KL divergence",
    "interaction_share": "Interaction of slots, 1 where attention is uniform",
}
_PER_LATENT = {
    "kl_per_latent": "KL divergence of each latent",
    "importance_per_latent": "Mask of the style: importance of each latent, 0 where it is cut off",
}


def curves(metrics: Sequence[Mapping]) -> dict[str, str]:
    """The course of a training run: loss and its parts, KL of every latent, mask of the style.

    A curve of more than 400 points is thinned by averaging neighbours; missing values are passed
    over, infinite ones are gaps. The number at the end of a loss is that of the last record. Its
    axis is logarithmic where all its values are positive and span a factor of 5.

    Args:
        metrics: rows with `step` and any of `loss`, `reconstruction`, `kl`, `interaction_share`
            and the lists `kl_per_latent` and `importance_per_latent`, as in a run's
            `metrics.jsonl`.

    Returns:
        SVG text by name, in the order above; what no row holds is left out.
    """
    charts = {}
    for key, title in _LOSSES.items():
        steps, values = _series(metrics, key)
        if len(steps):
            last = [row[key] for row in metrics if row.get(key) is not None][-1]
            charts[key] = style.svg(
                title,
                lambda axes, x=steps, y=values, end=last, log=key != "kl": _curve(
                    axes, x, y, end, log
                ),
            )
    for key, title in _PER_LATENT.items():
        steps, values = _series(metrics, key)
        if len(steps):
            charts[key] = style.svg(
                title, lambda axes, x=steps, y=values: _latent_curves(axes, x, y)
            )
    return charts


def compared(metrics: Mapping[str, Sequence[Mapping]]) -> dict[str, str]:
    """The loss and its parts in the course of several training runs, one line per run.

    Args:
        metrics: the rows of each run, as `curves` takes them, by its name.

    Returns:
        SVG text by name; what no run holds is left out.
    """
    charts = {}
    for key, title in _LOSSES.items():
        found = {name: _series(rows, key) for name, rows in metrics.items()}
        lines = {name: line for name, line in found.items() if len(line[0])}
        if lines:
            charts[key] = style.svg(
                title,
                lambda axes, lines=lines, log=key != "kl": _lines(axes, lines, log),
                (_WIDTH, 220 + _legend(lines)[1]),
            )
    return charts


def matrix(
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    title: str,
    *,
    digits: int = 2,
) -> str:
    """A heat map with its numbers; the largest magnitude of each column is set bold.

    Shades run from 0 to the largest magnitude, in a second hue below zero.

    Args:
        values: `[R, C]`; what is not finite is shown as a dash.
        rows: `R` labels, at the left.
        columns: `C` labels, above.
        title: what the matrix holds.
        digits: decimals shown.

    Returns:
        SVG text.

    Raises:
        ValueError: values and labels do not fit.
    """
    values = np.asarray(values, np.float64)
    if values.shape != (len(rows), len(columns)) or not values.size:
        raise ValueError(f"a matrix {values.shape} needs as many labels, not {len(rows)} rows and "
                         f"{len(columns)} columns")  # fmt: skip
    known = np.isfinite(values)
    peak = np.abs(values[known]).max(initial=0.0) or 1.0
    best = np.where(known, np.abs(values), -1.0).argmax(axis=0)
    cell_width = float(np.clip(300 / len(columns), 36, 62))
    cell_height = 24.0
    left = 12 + LETTER * max(map(len, rows))
    longest = LETTER * max(map(len, columns))
    tilted = longest > cell_width
    width = max(260.0, left + cell_width * len(columns) + (0.5 * longest if tilted else 2))
    title_lines = textwrap.wrap(title, int(width / TITLE_LETTER))
    head = 16 * len(title_lines) + 12 + (8 + 0.7 * longest if tilted else 18)
    height = head + cell_height * len(rows) + 2

    def draw(axes: Axes) -> None:
        axes.set_position((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set(xlim=(0, width), ylim=(height, 0))
        for k, line in enumerate(title_lines):
            axes.text(0, 8 + 16 * k, line, weight="bold", size=12, va="center", color=LIGHT["ink"])
        for c, label in enumerate(columns):
            x, y = left + (c + 0.5) * cell_width, head - 6
            tilt = {"rotation": 45, "ha": "left", "rotation_mode": "anchor"} if tilted else {}
            axes.text(x, y, label, **{"ha": "center", "color": LIGHT["muted"], **tilt})
        for r, label in enumerate(rows):
            y = head + (r + 0.5) * cell_height
            axes.text(left - 8, y, label, ha="right", va="center", color=LIGHT["muted"])
        for r, c in np.ndindex(values.shape):
            share = abs(values[r, c]) / peak if known[r, c] else 0.0
            corner = (left + c * cell_width + 1, head + r * cell_height + 1)
            hue = LIGHT["cold" if values[r, c] < 0 else "heat"]
            for colour, alpha in ((LIGHT["rule"], 0.35), (hue, share)):
                axes.add_patch(
                    Rectangle(corner, cell_width - 2, cell_height - 2,
                              facecolor=colour, alpha=alpha, linewidth=0)
                )  # fmt: skip
            # Adding zero turns -0.0 into 0.0.
            shown = f"{round(values[r, c], digits) + 0.0:.{digits}f}" if known[r, c] else "–"
            ink = "on-heat" if share > 0.6 else "ink" if share > 0.05 else "muted"
            axes.text(
                corner[0] + cell_width / 2 - 1,
                corner[1] + cell_height / 2 - 1,
                shown,
                ha="center",
                va="center",
                color=LIGHT[ink],
                weight="bold" if best[c] == r and share > 0.05 else "normal",
            )

    return style.svg(title, draw, (width, height), layout=None)


def scatter(
    x: np.ndarray,
    y: np.ndarray,
    *,
    title: str,
    x_label: str = "DtO",
    y_label: str = "DS",
    groups: Sequence[str] | None = None,
) -> str:
    """Two scores against each other, one point per run, one marker and colour per group.

    Args:
        x: `[N]`, such as the distance to orthogonality (DtO) of each run.
        y: `[N]`, such as the disentanglement score (DS); runs with a value missing are left out.
        title: what the points are.
        x_label: what `x` is.
        y_label: what `y` is.
        groups: `[N]` names, shown in a legend.

    Returns:
        SVG text.

    Raises:
        ValueError: the lengths differ.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    groups = np.asarray([""] * len(x) if groups is None else groups)
    if x.ndim != 1 or not x.shape == y.shape == groups.shape:
        raise ValueError(f"x {x.shape}, y {y.shape}, groups {groups.shape}: must be of one length")

    names = list(dict.fromkeys(groups.tolist()))

    def draw(axes: Axes) -> None:
        axes.grid(True, axis="both")
        axes.margins(0.08)
        for k, name in enumerate(names):
            chosen = (groups == name) & np.isfinite(x) & np.isfinite(y)
            colour, marker, _ = _series_style(k)
            axes.plot(x[chosen], y[chosen], marker, color=colour, alpha=0.8, markersize=6,
                      markeredgewidth=0, label=name)  # fmt: skip
        axes.set(xlabel=x_label, ylabel=y_label)
        if groups.tolist().count("") < len(groups):
            _name_below(axes)

    return style.svg(title, draw, (_WIDTH, max(300, 212 + _legend(names)[1])))


def spectrum(
    singular_values: np.ndarray | Mapping[str, np.ndarray],
    title: str = "Singular values of the Jacobian",
) -> str:
    """Singular values in descending order, on a logarithmic axis.

    Args:
        singular_values: `[D]`, or `[N, D]` of N samples (the median, in a band from the 10 % to
            the 90 % quantile), or several of these by name.
        title: what they are of.

    Returns:
        SVG text.

    Raises:
        ValueError: a spectrum is neither `[D]` nor `[N, D]`.
    """
    named = singular_values if isinstance(singular_values, Mapping) else {"": singular_values}
    spectra = {name: np.atleast_2d(np.asarray(v, np.float64)) for name, v in named.items()}
    for name, values in spectra.items():
        if values.ndim != 2 or not values.size:
            raise ValueError(f"spectrum {name!r} of shape {values.shape} must be [D] or [N, D]")

    def draw(axes: Axes) -> None:
        style.log_axis(axes, subs=(1,))
        axes.margins(x=0.04)
        for k, (name, values) in enumerate(spectra.items()):
            ordered = -np.sort(-values, axis=1)
            # A logarithm has no zero: degenerate directions stand at the foot of the chart.
            ordered = np.maximum(ordered, 1e-6 * (ordered.max() or 1.0))
            low, middle, high = np.quantile(ordered, [0.1, 0.5, 0.9], axis=0)
            place, (colour, marker, dash) = np.arange(1, len(middle) + 1), _series_style(k)
            if len(values) > 1:
                axes.fill_between(place, low, high, color=colour, alpha=0.2, linewidth=0)
            axes.plot(place, middle, marker=marker, linestyle=dash, color=colour, markersize=4.5,
                      label=name)  # fmt: skip
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="singular value, largest first")
        if len(spectra) > 1:
            axes.legend(frameon=False, labelcolor=LIGHT["ink"])

    return style.svg(title, draw)


def _series_style(k: int) -> tuple[str, str, str]:
    """Colour, marker and dash of the k-th series: 32 that are told apart, eight by colour alone."""
    rounds, colour = divmod(k, len(SERIES))
    return SERIES[colour], _MARKERS[rounds % len(_MARKERS)], _DASHES[rounds % len(_DASHES)]


def _series(metrics: Sequence[Mapping], key: str) -> tuple[np.ndarray, np.ndarray]:
    """The steps `[T]` and values `[T]` or `[T, D]` of one key, at most 400 points."""
    rows = [(row["step"], row[key]) for row in metrics if row.get(key) is not None]
    rows = [(step, value) for step, value in rows if np.shape(value) == np.shape(rows[-1][1])]
    steps = np.asarray([step for step, _ in rows], np.float64)
    values = np.asarray([value for _, value in rows], np.float64)
    if not np.isfinite(values).any():
        return steps[:0], values[:0]
    parts = np.array_split(np.arange(len(steps)), min(POINTS, len(steps)))
    steps = np.stack([steps[part].mean(axis=0) for part in parts])
    values = np.stack([values[part].mean(axis=0) for part in parts])
    return steps, np.where(np.isfinite(values), values, np.nan)


def _lines(axes: Axes, lines: Mapping[str, tuple[np.ndarray, np.ndarray]], log: bool) -> None:
    for k, (name, (steps, values)) in enumerate(lines.items()):
        colour, marker, dash = _series_style(k)
        marker = marker if len(steps) == 1 else ""
        axes.plot(steps, values, marker=marker, linestyle=dash, color=colour, label=name)
    every = np.concatenate([values for _, values in lines.values()])
    if log and np.nanmin(every) > 0 and np.nanmax(every) > 5 * np.nanmin(every):
        style.log_axis(axes, subs=(1, 2, 5))
    style.step_axis(axes)
    _name_below(axes)


def _legend(names: Collection[str]) -> tuple[int, int]:
    """The columns of a legend of these names, two where they fit, and its height in pixels."""
    widest = _BESIDE_NAME + LETTER * max(map(len, names), default=0)
    if 2 * widest <= _WIDTH:
        return 2, 11 * (len(names) + 1)
    return 1, 22 * len(names)


def _name_below(axes: Axes) -> None:
    """A legend below the axes; names wider than the chart lose their middle."""
    lines, names = axes.get_legend_handles_labels()
    half = int((_WIDTH - _BESIDE_NAME) / LETTER - 1) // 2
    shown = [n if len(n) <= 2 * half + 1 else f"{n[:half]}…{n[-half:]}" for n in names]
    axes.figure.legend(lines, shown, loc="outside lower center", ncols=_legend(names)[0],
                       frameon=False, labelcolor=LIGHT["ink"])  # fmt: skip


def _curve(axes: Axes, steps: np.ndarray, values: np.ndarray, last: float, log: bool) -> None:
    marker = "o" if len(steps) == 1 else ""
    axes.plot(steps, values, marker=marker, color=SERIES[0])
    low, high = np.nanmin(values), np.nanmax(values)
    if log and low > 0 and high > 5 * low:
        style.log_axis(axes, subs=(1, 2, 5))
    if np.isfinite(values[-1]):
        axes.annotate(f"{last:.4g}", (steps[-1], values[-1]), xytext=(6, 0), va="center",
                      textcoords="offset points", annotation_clip=False, weight="bold",
                      color=LIGHT["ink"])  # fmt: skip
    style.step_axis(axes)


def _latent_curves(axes: Axes, steps: np.ndarray, values: np.ndarray) -> None:
    """One line per latent: the eight largest at the end in colour with names, the others grey.

    What is below 2 % of the largest stays grey too.
    """
    last = np.nan_to_num(values[-1], nan=-np.inf)
    ranks = np.argsort(-last, kind="stable")
    named = [latent for latent in ranks[: len(SERIES)] if last[latent] > 0.02 * last.max()]
    for rank, latent in reversed(list(enumerate(ranks))):
        colour = SERIES[rank] if rank < len(named) else LIGHT["muted"]
        axes.plot(steps, values[:, latent], color=colour, marker="o" if len(steps) == 1 else "")
    axes.set_ylim(bottom=min(0.0, np.nanmin(values)))
    low, high = axes.get_ylim()
    for latent, colour, place in zip(
        named, SERIES, _apart((last[named] - low) / (high - low), 0.075), strict=False
    ):
        axes.annotate(f"z{latent}", (1, place), xytext=(6, 0), va="center", color=colour,
                      xycoords="axes fraction", textcoords="offset points",
                      weight="bold")  # fmt: skip
    style.step_axis(axes)


def _apart(places: np.ndarray, distance: float) -> np.ndarray:
    """Descending places moved as little as one downward and one upward pass need to part them."""
    places = places.clip(0, 1)
    for i in range(1, len(places)):
        places[i] = min(places[i], places[i - 1] - distance)
    if len(places):
        places[-1] = max(places[-1], 0.0)
    for i in range(len(places) - 2, -1, -1):
        places[i] = max(places[i], places[i + 1] + distance)
    return places
