"""Orders that papers state, tested on the runs of their rows."""

import dataclasses
import math

import numpy as np

from zoo.papers import results
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
        counts: how many seeds the lower and the higher row have; of a paired claim, those of both.
        p: one-sided, see `probability`; None where a row has no seeds.
        text: `holds`, `not seen`, `too few seeds`, or `runs of two definitions` where those of one
            row are of an earlier definition of the table.
    """

    claim: Claim
    budget: str
    counts: tuple[int, int]
    p: float | None
    text: str


def verdict(claim: Claim, lower: np.ndarray, higher: np.ndarray, budget: str = PAPER) -> Verdict:
    """Tests whether `lower` is stochastically less than `higher`, over seeds.

    With so few seeds that even complete separation would not be significant at 5 %
    (1 / C(n + m, n) above it; 1 / 2^n of a paired claim) nothing is said.
    """
    n, m = len(lower), len(higher)
    if not n or not m:
        return Verdict(claim, budget, (n, m), None, "too few seeds")
    p = probability(claim, lower, higher)
    if p <= LEVEL:
        text = "holds"
    elif 1 / (2**n if claim.paired else math.comb(n + m, n)) > LEVEL:
        text = "too few seeds"
    else:
        text = "not seen"
    return Verdict(claim, budget, (n, m), p, text)


def numbers(claim: Claim, lower: Result, higher: Result) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of both rows that count; of a paired claim of the seeds of both, in one order."""
    found = [
        {seed: n for seed, n in r.numbers[claim.column].items() if seed >= claim.first_seed}
        for r in (lower, higher)
    ]
    if claim.paired:
        both = found[0].keys() & found[1].keys()
        found = [{seed: each[seed] for seed in both} for each in found]
    return tuple(np.array([each[seed] for seed in sorted(each)]) for each in found)


def probability(claim: Claim, lower: np.ndarray, higher: np.ndarray, order: str = "less") -> float:
    """The one-sided p of an order: of the Mann-Whitney U test, or of sign flips where paired.

    The latter is exact: the share of the 2^n choices of signs of the n differences whose sum is no
    smaller than that of the differences (Fisher 1935).

    Args:
        claim: says whether numbers are paired.
        lower: the numbers of a row; there are some.
        higher: of the other.
        order: `less`, or `greater` for the opposite.
    """
    if not claim.paired:
        import scipy.stats

        return float(scipy.stats.mannwhitneyu(lower, higher, alternative=order).pvalue)
    differences = (higher - lower) * (1 if order == "less" else -1)
    sums = np.zeros(1)
    for size in np.abs(differences):
        sums = np.concatenate([sums - size, sums + size])
    # What is equal but for rounding counts.
    return float(np.mean(sums >= differences.sum() - 1e-9 * np.abs(differences).sum()))


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
            found_in = numbers(claim, a, b)
            if results.of_today(a) == results.of_today(b):
                tested.append(verdict(claim, *found_in, budget))
            else:
                counts = tuple(map(len, found_in))
                tested.append(Verdict(claim, budget, counts, None, "runs of two definitions"))
        if not pairs:
            counts = [sum(len(r.values[claim.column]) for r in found[n]) for n in names]
            tested.append(Verdict(claim, "-", tuple(counts), None, "too few seeds"))
    return tested


def _at_budget(row: Row, found: list[Result], budget: str) -> Result | None:
    wanted = row.run.effective(budget) if row.run else None
    return next((result for result in found if result.budget == wanted), None)
