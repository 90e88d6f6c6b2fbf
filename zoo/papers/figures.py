"""The figures of papers, drawn from the results of their rows."""

import numpy as np
from matplotlib.figure import Figure

from zoo.drawing.palette import SERIES
from zoo.papers import departures
from zoo.papers.results import series


def line_search(found: dict, columns) -> Figure:
    """Every column against the rows' abscissas, one panel per group and column: mean and deviation.

    Single runs are grey.
    """
    groups = _groups(found)
    figure = Figure(figsize=(3.4 * len(groups), 2.7 * len(columns)), layout="constrained")
    axes = figure.subplots(len(columns), len(groups), squeeze=False)
    for at, (group, results) in enumerate(groups.items()):
        for down, column in enumerate(columns):
            drawn = [r for r in results if len(r.values[column.name])]
            x = [r.row.x for r in drawn]
            means = [r.values[column.name].mean() for r in drawn]
            spread = [deviation(r.values[column.name]) for r in drawn]
            axis = axes[down, at]
            axis.errorbar(x, means, spread, marker="o", capsize=3, color=SERIES[down])
            for result in drawn:
                values = result.values[column.name]
                axis.scatter(np.full(len(values), result.row.x), values, s=6, color="0.6")
            axis.set(xscale="log", ylabel=column.name, title=group if not down else "")
            least, most = axis.get_ylim()
            margin = 0.04 * most
            axis.set_ylim(min(least, -margin), most + margin)
            if down == len(columns) - 1:
                axis.set_xlabel("beta")
            axis.grid(alpha=0.3)
    return figure


def scatter(found: dict, columns) -> Figure:
    """The second column against the first, a point a run that has both, one colour per group.

    The key says of groups of a reduced budget what share of the paper's images they have seen.
    """
    figure = Figure(figsize=(6.2, 3.6), layout="constrained")
    axis = figure.subplots()
    for at, (group, results) in enumerate(_groups(found).items()):
        points = np.array([pair for result in results for pair in _pairs(result, columns)])
        x, y = points.reshape(-1, 2).T
        label = group + _reduced(results)
        axis.scatter(x, y, s=22, label=label, color=SERIES[at % len(SERIES)])
    axis.set(xlabel=columns[0].name, ylabel=columns[1].name)
    axis.grid(alpha=0.3)
    figure.legend(frameon=False, loc="outside right upper")
    return figure


def violins(found: dict, columns) -> Figure:
    """Every column against the rows' abscissas, one panel per group and column: violins."""
    groups = _groups(found)
    figure = Figure(figsize=(3.4 * len(groups), 2.4 * len(columns)), layout="constrained")
    axes = figure.subplots(len(columns), len(groups), squeeze=False, sharex="col", sharey="row")
    for at, (group, results) in enumerate(groups.items()):
        for down, column in enumerate(columns):
            axis = axes[down, at]
            for result in results:
                _violin(axis, result.row.x, result.values[column.name], SERIES[down])
            axis.set(ylabel="" if at else column.name, title=group if not down else "")
            axis.grid(alpha=0.3)
        axis.set_xticks([r.row.x for r in results])
        axis.set_xlabel("times the hyperparameter")
    return figure


def histogram(found: dict, columns) -> Figure:
    """How often the first column takes which value between 0 and 1, stacked by group."""
    name = columns[0].name
    groups = _groups(found)
    values = [np.concatenate([r.values[name] for r in results]) for results in groups.values()]
    figure = Figure(figsize=(4.6, 3.2), layout="constrained")
    axis = figure.subplots()
    axis.hist(
        values, np.linspace(0, 1, 21), stacked=True, label=[*groups], color=SERIES[: len(values)]
    )
    axis.set(xlabel=name, ylabel="runs")
    axis.yaxis.get_major_locator().set_params(integer=True)
    axis.legend(frameon=False)
    return figure


def bars(found: dict, columns) -> Figure:
    """Bars for every column, one colour per group of rows: mean and deviation over runs."""
    groups = _groups(found)
    figure = Figure(figsize=(0.95 * len(columns) + 0.9, 3.2), layout="constrained")
    axis = figure.subplots()
    width = 0.8 / max(1, len(groups))
    for at, (group, results) in enumerate(groups.items()):
        for place, column in enumerate(columns):
            values = np.concatenate([r.values[column.name] for r in results])
            if len(values):
                axis.bar(
                    place + (at - (len(groups) - 1) / 2) * width,
                    values.mean(),
                    width,
                    yerr=deviation(values) if len(values) > 1 else None,
                    capsize=3,
                    color=SERIES[at],
                    label=None if place else group,
                )
    axis.set_xticks(range(len(columns)), [column.name.replace("_", "\n") for column in columns])
    axis.set_ylabel("MIG")
    figure.legend(frameon=False, loc="outside upper center", ncols=len(groups))
    return figure


def curves(found: dict, columns) -> Figure:
    """Logged columns during training, one panel per column, one line per row: mean, deviation.

    Of the runs of a row only the steps that all of them logged are drawn.
    """
    logged = [column for column in columns if column.file.endswith(".jsonl")]
    figure = Figure(figsize=(4.2 * len(logged), 3.4), layout="constrained")
    lines = {}
    for axis, column in zip(figure.subplots(1, len(logged), squeeze=False)[0], logged, strict=True):
        for at, (name, (result, *_)) in enumerate((n, r) for n, r in found.items() if r):
            steps, values = _common(result.folders, column)
            if len(steps):
                mean = column.scale * values.mean(axis=0)
                spread = column.scale * deviation(values)
                colour = SERIES[at % len(SERIES)]
                lines[result.row.group or name] = axis.plot(steps, mean, color=colour)[0]
                axis.fill_between(
                    steps, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0
                )
        axis.set(xlabel="step", ylabel=column.name)
        axis.grid(alpha=0.3)
    figure.legend([*lines.values()], [*lines], frameon=False, loc="outside upper center", ncols=3)
    return figure


def deviation(values: np.ndarray) -> np.ndarray:
    """The standard deviation over runs, the first axis: n - 1, as in tables; 0 of a single run."""
    return values.std(axis=0, ddof=min(1, len(values) - 1))


def _reduced(results) -> str:
    """What a key adds to the name of a group: the share of the paper's images; empty of all."""
    shares = {r.facts.images_share for r in results if r.facts.images_share < departures.WHOLE}
    return f",\n{departures.percent(min(shares))} of its images" if shares else ""


def _pairs(result, columns) -> list[tuple[float, float]]:
    """The numbers of the first two columns of every seed that has both."""
    x, y = (result.numbers[column.name] for column in columns[:2])
    return [(x[seed], y[seed]) for seed in x if seed in y]


def _common(folders, column) -> tuple[list[int], np.ndarray]:
    """The steps that all runs logged, and the values, `[runs, steps]`."""
    logs = [dict(zip(*series(folder, column), strict=True)) for folder in folders]
    steps = sorted(set.intersection(*map(set, logs))) if logs else []
    return steps, np.array([[log[step] for step in steps] for log in logs])


def _violin(axis, x: float, values: np.ndarray, colour: str) -> None:
    """A violin with one point per run; the points alone where there are fewer than three."""
    axis.plot(np.full(len(values), x), values, ".", color=colour, markersize=4)
    if len(values) > 2 and np.ptp(values) > 0:
        drawn = axis.violinplot([values], [x], widths=0.2, showextrema=False, showmedians=True)
        for body in drawn["bodies"]:
            body.set_facecolor(colour)
        drawn["cmedians"].set_color(colour)


def _groups(found: dict) -> dict[str, list]:
    """Results by the group of their row; of a row with several budgets the paper's alone."""
    groups: dict[str, list] = {}
    for results in found.values():
        if results:
            groups.setdefault(results[0].row.group, []).append(results[0])
    return groups
