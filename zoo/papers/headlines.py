"""The headline claims of the papers, each with one verdict."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from zoo.papers import catalog, claims, departures, results
from zoo.papers.kept import Result
from zoo.papers.spec import BUDGETS, Claim, Headline

LEVEL, SEEDS = 0.05, 5
SEEN, SMALL, OPPOSITE, EQUAL, UNDECIDED, NOT_RUN = (
    "seen",
    "seen, within the margin",
    "opposite seen",
    "no difference",
    "undecided",
    "not run",
)
LEGEND = (
    "One-sided Mann-Whitney U tests over seeds, or exact tests of sign flips where the runs of one "
    "seed share their data; of a claim of several orders the largest p. "
    f"*{SEEN}*: p <= {LEVEL} after Holm's correction over the headline claims of the work, with at "
    f"least {SEEDS} seeds a side. *{OPPOSITE}*: the same of the opposite order. *{EQUAL}*: the "
    "90 % interval of the difference of means, Welch's or that of paired differences where the "
    "runs of one seed share their data, is within the margin named before the runs. "
    f"*{SMALL}*: both hold of an order, which is there and is no larger than what was to count as "
    "no difference. "
    f"*{UNDECIDED}*: none of these, or fewer seeds. *{NOT_RUN}*: no runs of the table's "
    "definition of today; what earlier ones gave is in the tables. Budgets are shares of the "
    "published images; *ours*: the work gives no settings for this, and ours are kept to in full."
)


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A headline claim as the runs have it.

    Attributes:
        headline: the claim.
        seeds: the fewest that one of its rows has.
        p: the largest one-sided p of its orders; None without runs.
        p_opposite: the same of the opposite orders.
        corrected: p after Holm's correction, of the opposite orders where they are seen.
        verdict: one of the six.
        budget: the least share of the published images that one of its rows has seen, or "ours".
        small: whether the difference of one of its orders is within the margin.
    """

    headline: Headline
    seeds: int
    p: float | None
    p_opposite: float | None
    corrected: float | None
    verdict: str
    budget: str
    small: bool = False


def markdown(
    found: Mapping[str, Mapping[str, Sequence[Result]]], records: str, works: Collection[str]
) -> str:
    """The table of all headline claims.

    Args:
        found: table -> row -> results.
        records: the folder of the papers' tables, for links.
        works: those that have a file there.
    """
    heads = "work", "claim", "verdict", "p (corrected)", "seeds a side", "budget", "table"
    lines = [_line(heads), _line(["---"] * len(heads))]
    for work, headlines in catalog.headlines().items():
        for outcome in outcomes(headlines, found):
            headline = outcome.headline
            table = headline.table
            p = "-" if outcome.corrected is None else f"{outcome.corrected:.2g}"
            if outcome.verdict == OPPOSITE:
                p += " of the opposite"
            place = table.partition("/")[0]
            where = f"[{table}]({records}/{place}.md)" if place in works else f"`{table}`"
            seeds = str(outcome.seeds) if outcome.seeds else "-"
            cells = (work, headline.text, f"**{outcome.verdict}**", p, seeds, outcome.budget, where)
            lines.append(_line(cells))
    return "\n".join(["## Headline claims\n", *lines, "", LEGEND, ""])


def outcomes(
    headlines: Sequence[Headline], found: Mapping[str, Mapping[str, Sequence[Result]]]
) -> list[Outcome]:
    """The headline claims of one work with their verdicts."""
    made = [_outcome(headline, found.get(headline.table, {})) for headline in headlines]
    tested = [k for k, outcome in enumerate(made) if outcome.p is not None]
    forward = dict(zip(tested, holm([made[k].p for k in tested]), strict=True))
    backward = dict(zip(tested, holm([made[k].p_opposite for k in tested]), strict=True))
    for k in tested:
        verdict = _verdict(made[k], forward[k], backward[k])
        corrected = backward[k] if verdict == OPPOSITE else forward[k]
        made[k] = dataclasses.replace(made[k], corrected=corrected, verdict=verdict)
    return made


def holm(values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: probabilities that hold for all of several tests at once.

    The k-th smallest of m is multiplied by m - k + 1, made monotone, and is at most 1 (Holm 1979).
    """
    order = np.argsort(values, kind="stable")
    factors = len(values) - np.arange(len(values))
    corrected = np.minimum(1, np.maximum.accumulate(np.asarray(values)[order] * factors))
    found = np.empty(len(values))
    found[order] = corrected
    return found.tolist()


def _outcome(headline: Headline, rows: Mapping[str, Sequence[Result]]) -> Outcome:
    pairs = [_pair(claim, rows) for claim in headline.orders]
    if not all(pairs):
        return Outcome(headline, 0, None, None, None, NOT_RUN, "-")
    p, opposite, shares, seeds = [], [], [], []
    compared = [claims.numbers(c, *pair) for c, pair in zip(headline.orders, pairs, strict=True)]
    for claim, pair, both in zip(headline.orders, pairs, compared, strict=True):
        p.append(claims.probability(claim, *both))
        opposite.append(claims.probability(claim, *both, "greater"))
        shares += [result.facts.images_share for result in pair]
        seeds += map(len, both)
    whole = "ours" if headline.ours else "full"
    budget = whole if min(shares) >= departures.WHOLE else departures.percent(min(shares))
    small = [
        min(seeds) >= SEEDS and claims.equivalence(*both, margin, claim.paired) <= claims.LEVEL
        for claim, both, margin in zip(headline.orders, compared, headline.margins, strict=True)
    ]
    verdict = EQUAL if all(small) else UNDECIDED
    return Outcome(headline, min(seeds), max(p), max(opposite), None, verdict, budget, any(small))


def _verdict(outcome: Outcome, forward: float, backward: float) -> str:
    if outcome.seeds < SEEDS:
        return UNDECIDED
    if forward <= LEVEL:
        return SMALL if outcome.small else SEEN
    if backward <= LEVEL:
        return OPPOSITE
    return outcome.verdict


def _pair(claim: Claim, rows: Mapping[str, Sequence[Result]]) -> tuple[Result, Result] | None:
    """The results of both rows, as of today, at the first budget with enough seeds of both.

    Where none has enough, at that with the most; None where none has any.
    """
    pairs = []
    for budget in BUDGETS:
        pair = [
            results.at_budget(rows.get(name, ()), budget) for name in (claim.lower, claim.higher)
        ]
        if all(pair) and all(map(results.of_today, pair)):
            pairs.append(tuple(pair))

    def seeds(pair: tuple[Result, Result]) -> int:
        return min(SEEDS, *map(len, claims.numbers(claim, *pair)))

    return max(filter(seeds, pairs), key=seeds, default=None)


def _line(cells) -> str:
    return "| " + " | ".join(cells) + " |"
