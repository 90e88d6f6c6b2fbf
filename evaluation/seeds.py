"""Tables of several seeds as one: means, and how much a score varies by its own randomness."""

from collections.abc import Sequence

import numpy as np


def over_seeds(tables: Sequence[dict[str, dict]], seeds: Sequence[int]) -> dict[str, dict]:
    """The means over the tables of several seeds of one model, whose keys are the same.

    Returns:
        Rows as in each table, with `score`, `chance` and the ends of `interval` averaged,
        `seconds` added and the `parts` of the first; also `per_seed`, the scores, and `seed_std`,
        their standard deviation (with one degree of freedom less; None of one seed). A score that
        one seed lacks is left out with that seed and reason.
    """
    return {name: _mean([table[name] for table in tables], seeds) for name in tables[0]}


def _mean(rows: Sequence[dict], seeds: Sequence[int]) -> dict:
    row = {**rows[0], "per_seed": [each["score"] for each in rows], "seed_std": None}
    for seconds in ("seconds", "encoding_seconds"):
        row[seconds] = sum(each[seconds] for each in rows)
    for seed, each in zip(seeds, rows, strict=True):
        if each["score"] is None:
            same = all(other["reason"] == each["reason"] for other in rows)
            reason = each["reason"] if same else f"seed {seed}: {each['reason']}"
            return {**row, **dict.fromkeys(row.keys() & {"chance", "interval"})} | {
                "score": None,
                "reason": reason,
                "parts": each["parts"],
            }
    row["score"] = float(np.mean(row["per_seed"]))
    if len(rows) > 1:
        row["seed_std"] = float(np.std(row["per_seed"], ddof=1))
    for key in row.keys() & {"chance", "interval"}:
        found = [each[key] for each in rows]
        none = any(each is None for each in found)
        row[key] = None if none else np.mean(found, axis=0).tolist()
    for key in row.keys() & {"chance_reason", "interval_reason"}:
        row[key] = next((each[key] for each in rows if each[key]), None)
    return row
