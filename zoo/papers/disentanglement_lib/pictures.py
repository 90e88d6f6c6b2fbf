"""The figure of the study: how scores agree on the order of models."""

import numpy as np
import scipy.stats
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from zoo.drawing.palette import LIGHT


def rank_correlations(found: dict, columns) -> Figure:
    """Spearman's rank correlation between every two columns over all runs, in per cent.

    Runs that lack one of two scores are left out of that pair; a dash stands where fewer than
    three have both, or one of the scores is constant.
    """
    drawn = [(row, seed) for rows in found.values() for row in rows[:1] for seed in row.left]
    values = np.array(
        [[row.numbers[c.name].get(seed, np.nan) for c in columns] for row, seed in drawn], float
    ).reshape(-1, len(columns))
    names = [column.name for column in columns]
    figure = Figure(figsize=(5.2, 4.4), layout="constrained")
    axes = figure.subplots()
    matrix = correlations(values)
    colours = LinearSegmentedColormap.from_list("", [LIGHT[n] for n in ("cold", "card", "heat")])
    axes.imshow(np.nan_to_num(matrix), colours, vmin=-100, vmax=100)
    for (row, column), value in np.ndenumerate(matrix):
        text = "–" if np.isnan(value) else f"{value:.0f}"
        dark = abs(np.nan_to_num(value)) > 60
        axes.text(column, row, text, ha="center", va="center", color="white" if dark else "black")
    axes.set_xticks(range(len(names)), names, rotation=40, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_title(f"Rank correlation of scores, per cent, {len(values)} runs", fontsize=10)
    return figure


def correlations(values: np.ndarray) -> np.ndarray:
    """`[C, C]` rank correlations, per cent, of the columns of `[N, C]`; NaN where there is none."""
    count = values.shape[1]
    matrix = np.full((count, count), np.nan)
    for i, j in np.ndindex(count, count):
        known = values[np.isfinite(values[:, [i, j]]).all(1)][:, [i, j]]
        if len(known) > 2 and (np.ptp(known, axis=0) > 0).all():
            matrix[i, j] = 100 * scipy.stats.spearmanr(known[:, 0], known[:, 1]).statistic
    return matrix
