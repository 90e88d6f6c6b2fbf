"""The figures of papers, drawn from the results of their rows."""

import numpy as np
from matplotlib.figure import Figure

# Okabe & Ito's colours, which are told apart without red and green.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


def line_search(found: dict, columns) -> Figure:
    """Every column against the rows' abscissas, a panel a group and column: mean and deviation."""
    groups = _groups(found)
    figure = Figure(figsize=(3.4 * len(groups), 2.7 * len(columns)), layout="constrained")
    axes = figure.subplots(len(columns), len(groups), squeeze=False)
    for at, (group, results) in enumerate(groups.items()):
        for down, column in enumerate(columns):
            drawn = [r for r in results if len(r.values[column.name])]
            x = [r.row.x for r in drawn]
            means = [r.values[column.name].mean() for r in drawn]
            spread = [r.values[column.name].std() for r in drawn]
            axis = axes[down, at]
            axis.errorbar(x, means, spread, marker="o", capsize=3, color=_COLOURS[down])
            axis.set(xscale="log", ylabel=column.name, title=group if not down else "")
            if down == len(columns) - 1:
                axis.set_xlabel("beta")
            axis.grid(alpha=0.3)
    return figure


def scatter(found: dict, columns) -> Figure:
    """The second column against the first, a point a run, a colour a group."""
    figure = Figure(figsize=(4.6, 3.6), layout="constrained")
    axis = figure.subplots()
    for at, (group, results) in enumerate(_groups(found).items()):
        x, y = (np.concatenate([r.values[c.name] for r in results]) for c in columns[:2])
        axis.scatter(x, y, s=22, label=group, color=_COLOURS[at % len(_COLOURS)])
    axis.set(xlabel=columns[0].name, ylabel=columns[1].name)
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)
    return figure


def _groups(found: dict) -> dict[str, list]:
    """Results by the group of their row; of a row with several budgets the paper's alone."""
    groups: dict[str, list] = {}
    for results in found.values():
        if results:
            groups.setdefault(results[0].row.group, []).append(results[0])
    return groups
