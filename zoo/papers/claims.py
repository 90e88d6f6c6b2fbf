"""Orders that papers state, tested on the runs of their rows."""

import dataclasses
import math

import numpy as np

from zoo.papers.kept import Result
from zoo.papers.spec import BUDGETS, PAPER, Claim, Row, Table

# Beyond this probability of a result by chance an order is not claimed to be seen.
LEVEL = 0.05


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A claim tested at one budget.

    Attributes:
        claim: what is claimed.
        budget: of the runs compared.
        counts: how many seeds the lower and the higher row have.
        p: of the one-sided Mann-Whitney U test; None where a row has no seeds.
        text: `holds`, `not seen` or `too few seeds`.
    """

    claim: Claim
    budget: str
    counts: tuple[int, int]
    p: float | None
    text: str


def verdict(claim: Claim, lower: np.ndarray, higher: np.ndarray, budget: str = PAPER) -> Verdict:
    """Tests whether `lower` is stochastically less than `higher`, over seeds.

    With so few seeds that even complete separation would not be significant at 5 %
    (1 / C(n + m, n) above it) nothing is said.
    """
    n, m = len(lower), len(higher)
    if not n or not m:
        return Verdict(claim, budget, (n, m), None, "too few seeds")
    import scipy.stats

    p = float(scipy.stats.mannwhitneyu(lower, higher, alternative="less").pvalue)
    if p <= LEVEL:
        text = "holds"
    elif 1 / math.comb(n + m, n) > LEVEL:
        text = "too few seeds"
    else:
        text = "not seen"
    return Verdict(claim, budget, (n, m), p, text)


def verdicts(table: Table, found: dict[str, list[Result]]) -> list[Verdict]:
    """All claims of a table, each at every budget that both of its rows have runs of."""
    tested = []
    for claim in table.claims:
        pairs, names = {}, (claim.lower, claim.higher)
        for budget in BUDGETS:
            pair = [_at_budget(table.row(n), found[n], budget) for n in names]
            if all(pair):
                pairs[tuple(result.budget for result in pair)] = (budget, pair)
        for budget, (a, b) in pairs.values():
            tested.append(verdict(claim, a.values[claim.column], b.values[claim.column], budget))
        if not pairs:
            counts = [sum(len(r.values[claim.column]) for r in found[n]) for n in names]
            tested.append(Verdict(claim, "-", tuple(counts), None, "too few seeds"))
    return tested


def _at_budget(row: Row, found: list[Result], budget: str) -> Result | None:
    wanted = row.run.effective(budget) if row.run else None
    return next((result for result in found if result.budget == wanted), None)
