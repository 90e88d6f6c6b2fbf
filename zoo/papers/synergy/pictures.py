"""The figure of the synergy tables."""

from matplotlib.figure import Figure

from zoo.drawing.palette import SERIES
from zoo.papers import figures


def against_domains(found: dict, columns) -> Figure:
    """The first column against the number of domains, a panel a graph, a line a kind of row.

    Mean and deviation over seeds; rows are called `graph/domains/kind`.
    """
    graphs: dict[str, dict[str, list]] = {}
    for name, results in found.items():
        if results and len(results[0].values[columns[0].name]):
            graph, _, kind = name.split("/")
            graphs.setdefault(graph, {}).setdefault(kind, []).append(results[0])
    kinds = list(dict.fromkeys(kind for lines in graphs.values() for kind in lines))
    # Three names of kinds abreast take 5.4 inches.
    size = (max(5.4, 3.6 * len(graphs)), 4.0)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(1, max(1, len(graphs)), squeeze=False, sharey=True)[0]
    drawn = {}
    for axis, (graph, lines) in zip(axes, graphs.items(), strict=False):
        for kind, results in lines.items():
            values = [result.values[columns[0].name] for result in results]
            drawn[kind] = axis.errorbar(
                [result.row.x for result in results],
                [v.mean() for v in values],
                [figures.deviation(v) for v in values],
                marker="o",
                capsize=3,
                color=SERIES[kinds.index(kind) % len(SERIES)],
            )
        axis.set(xlabel="domains", title=graph.replace("_", " "))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel(columns[0].name)
    figure.legend([*drawn.values()], [*drawn], frameon=False, loc="outside upper center", ncols=3)
    return figure
