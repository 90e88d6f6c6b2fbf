"""The rule for practitioners of Zietlow 2022, section 3.3.6: which beta to take."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from zoo.errors import UserError
from zoo.papers import figures


def raised_beta(
    betas: Sequence[float], active: Sequence[float | Sequence[float]], latents: int
) -> float:
    """The beta at which the first latent collapses in half of the seeds, as beta is raised.

    The rule raises beta until the posterior variance of a latent has a mean near 1. Here that is
    the least beta at which not all latents are active any more, a latent being active while that
    mean is below 0.8 (`active_latents` of a run's log).

    Args:
        betas: that were tried, in any order.
        active: how many latents are active at each, of one seed or of several.
        latents: how many there are.

    Raises:
        UserError: none has collapsed yet; try higher betas.
    """
    for beta, counts in sorted(zip(betas, active, strict=True), key=lambda pair: pair[0]):
        if np.mean(np.asarray(counts) < latents) >= 0.5:
            return float(beta)
    raise UserError(
        f"all {latents} latents are active at every beta up to {max(betas):g}: try higher ones"
    )


def line_search(found: dict, columns) -> Figure:
    """`figures.line_search`, a dashed line at the beta of the rule, where there is one.

    Which of the columns counts active latents is told by its name; they are all that there are
    where a run has the most.
    """
    figure = figures.line_search(found, columns)
    (at,) = (k for k, column in enumerate(columns) if column.name == "active latents")
    axes = np.array(figure.axes).reshape(len(columns), -1)
    groups: dict[str, list] = {}
    for results in found.values():
        for result in (r for r in results[:1] if len(r.values[columns[at].name])):
            groups.setdefault(result.row.group, []).append(result)
    for panel, results in enumerate(groups.values()):
        counts = [result.values[columns[at].name] for result in results]
        betas, latents = [r.row.x for r in results], max(map(np.max, counts))
        try:
            beta = raised_beta(betas, counts, round(latents))
        except UserError:
            continue
        for axis in axes[:, panel]:
            axis.axvline(beta, color="0.3", linestyle="--", linewidth=1)
    return figure
