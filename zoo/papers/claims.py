"""What papers state and we predict of rows, tested on their runs."""

import dataclasses
import functools
import itertools
import math

import numpy as np

from zoo.evaluation.comparison import flipped_sums
from zoo.papers import results
from zoo.papers.kept import Result
from zoo.papers.spec import BUDGETS, PAPER, Claim, Equal, Table, Trend

# Beyond this probability of a result by chance nothing is claimed to be seen.
LEVEL = 0.05
# A t test of fewer says next to nothing.
_EQUAL_SEEDS = 3
# Of so many pairs all choices of signs are tried, of more this many.
_EXACT_PAIRS, _FLIPS = 20, 100_000


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A claim tested at one budget.

    Attributes:
        claim: what is claimed.
        budget: of the runs compared.
        counts: how many seeds its rows have; of a paired claim, those that all have.
        effect: the mean of the second row minus that of the first; of a trend the rank correlation
            of values and rows, mean over seeds; None where a row has no seeds.
        p: one-sided, see `probability`, `equivalence` and `trend`; None where nothing is tested.
        text: `holds`, `not seen`, `too few seeds`, or `runs of two definitions` where those of one
            row are of an earlier definition of the table.
    """

    claim: Claim | Equal | Trend
    budget: str
    counts: tuple[int, ...]
    effect: float | None
    p: float | None
    text: str


def verdict(claim: Claim | Equal | Trend, *found: np.ndarray, budget: str = PAPER) -> Verdict:
    """Tests a claim on the numbers of its rows, over seeds.

    With so few seeds that even complete separation would not be significant at 5 %
    (1 / C(n + m, n) above it; 1 / 2^n of a paired order) nothing is said, nor of a trend with one
    or of equality with fewer than three.
    """
    counts = tuple(map(len, found))
    if not all(counts):
        return Verdict(claim, budget, counts, None, None, "too few seeds")
    if isinstance(claim, Trend):
        effect, enough = correlation(*found), counts[0] > 1
        p = trend(*found) if enough else None
    else:
        effect = float(found[1].mean() - found[0].mean())
        if isinstance(claim, Equal):
            enough = min(counts) >= _EQUAL_SEEDS
            p = equivalence(*found, claim.margin, claim.paired) if enough else None
        else:
            n, m = counts
            enough = 1 / (2**n if claim.paired else math.comb(n + m, n)) <= LEVEL
            p = probability(claim, *found)
    text = ("holds" if p <= LEVEL else "not seen") if enough else "too few seeds"
    return Verdict(claim, budget, counts, effect, p, text)


def numbers(claim: Claim | Equal | Trend, *rows: Result) -> tuple[np.ndarray, ...]:
    """The numbers of rows that count; of a paired claim of the seeds of all, in one order."""
    found = [
        {seed: n for seed, n in r.numbers[claim.column].items() if seed >= claim.first_seed}
        for r in rows
    ]
    if claim.paired:
        shared = set.intersection(*map(set, found))
        found = [{seed: each[seed] for seed in shared} for each in found]
    return tuple(np.array([each[seed] for seed in sorted(each)]) for each in found)


def probability(claim: Claim, lower: np.ndarray, higher: np.ndarray, order: str = "less") -> float:
    """The one-sided p of an order: of the Mann-Whitney U test, or of sign flips where paired.

    Both are exact permutation tests. Of the C(n + m, n) choices of n among the ranks of both rows,
    in which equal values share the mean of theirs, p is the share whose sum is no larger than that
    of the first (Mann and Whitney 1947). Of the 2^n choices of signs of n differences it is the
    share whose sum is no smaller than theirs (Fisher 1935); beyond 20 pairs, of 100,000 choices at
    random.

    Args:
        claim: says whether numbers are paired.
        lower: the numbers of a row; there are some.
        higher: of the other.
        order: `less`, or `greater` for the opposite.
    """
    if order == "greater":
        lower, higher = higher, lower
    return _flipped(higher - lower) if claim.paired else _chosen(lower, higher)


def _chosen(lower: np.ndarray, higher: np.ndarray) -> float:
    # Twice the ranks are whole numbers, so that the choices can be counted by their sums.
    ranks = _doubled_ranks(np.concatenate([lower, higher]))
    # ways[k, s]: how many choices of k of the ranks so far have the sum s.
    ways = np.zeros((len(lower) + 1, ranks.sum() + 1))
    ways[0, 0] = 1
    for rank in ranks:
        ways[1:, rank:] += ways[:-1, :-rank].copy()
    sums = ways[-1]
    return float(sums[: ranks[: len(lower)].sum() + 1].sum() / sums.sum())


def _flipped(differences: np.ndarray) -> float:
    sums = flipped_sums(differences, _EXACT_PAIRS, _FLIPS, seed=0)
    # What is equal but for rounding counts.
    return float(np.mean(sums >= differences.sum() - 1e-9 * np.abs(differences).sum()))


def equivalence(
    first: np.ndarray, second: np.ndarray, margin: float, paired: bool = False
) -> float:
    """The p of two one-sided t tests (Schuirmann 1987): small where means differ by under a margin.

    At most 5 % exactly where the 90 % interval of the difference of means, Welch's or that of
    paired differences, lies within the margin of zero.
    """
    import scipy.stats

    first, second = np.asarray(first, float), np.asarray(second, float)
    parts = [second - first] if paired else [first, second]
    rounding = 1e-9 * max(np.abs(first).max(), np.abs(second).max())
    if all(np.ptp(part) <= rounding for part in parts):
        return float(abs(second[0] - first[0]) > margin)
    if paired:
        (differences,) = parts
        above = scipy.stats.ttest_1samp(differences, -margin, alternative="greater")
        below = scipy.stats.ttest_1samp(differences, margin, alternative="less")
    else:
        welch = functools.partial(scipy.stats.ttest_ind, equal_var=False)
        above = welch(second + margin, first, alternative="greater")
        below = welch(second - margin, first, alternative="less")
    return float(max(above.pvalue, below.pvalue))


def trend(*rows: np.ndarray) -> float:
    """The one-sided p of a rise along rows, seed by seed: Page's exact test (1963).

    Of the k!^n orders of the ranks of k values for n seeds it is the share in which their sum,
    weighted by the numbers of their rows, is no smaller. Equal values share the mean of their
    ranks.

    Args:
        rows: of each of three rows or more, in the order in which they are to rise, the numbers of
            the same seeds, two or more.
    """
    numbers = np.arange(1, len(rows) + 1)
    observed, shares = 0, np.ones(1)
    for values in np.column_stack(rows):
        ranks = _doubled_ranks(values)
        observed += ranks @ numbers
        sums = np.array(list(itertools.permutations(ranks))) @ numbers
        shares = np.convolve(shares, np.bincount(sums) / len(sums))
    return float(shares[observed:].sum())


def _doubled_ranks(values: np.ndarray) -> np.ndarray:
    import scipy.stats

    return np.rint(2 * scipy.stats.rankdata(values)).astype(int)


def correlation(*rows: np.ndarray) -> float:
    """Spearman's rank correlation of values and the numbers of rows, mean over seeds."""
    import scipy.stats

    ranks = scipy.stats.rankdata(np.column_stack(rows), axis=1)
    order = np.arange(len(rows)) - (len(rows) - 1) / 2
    centred = ranks - ranks.mean(1, keepdims=True)
    spread = np.sqrt((order**2).sum() * (centred**2).sum(1))
    # 0 where a seed's values are all the same.
    return float(np.divide(centred @ order, spread, out=0 * spread, where=spread > 0).mean())


def verdicts(table: Table, found: dict[str, list[Result]]) -> list[Verdict]:
    """All claims of a table, each at every budget that all of its rows have runs of."""
    tested = []
    for claim in table.claims:
        groups = {}
        for budget in BUDGETS:
            group = [results.at_budget(found[n], budget) for n in claim.rows]
            if all(group):
                groups.setdefault(tuple(result.budget for result in group), (budget, group))
        for budget, group in groups.values():
            found_in = numbers(claim, *group)
            if len(set(map(results.of_today, group))) == 1:
                tested.append(verdict(claim, *found_in, budget=budget))
            else:
                counts = tuple(map(len, found_in))
                text = "runs of two definitions"
                tested.append(Verdict(claim, budget, counts, None, None, text))
        if not groups:
            counts = [sum(len(r.values[claim.column]) for r in found[n]) for n in claim.rows]
            tested.append(Verdict(claim, "-", tuple(counts), None, None, "too few seeds"))
    return tested
