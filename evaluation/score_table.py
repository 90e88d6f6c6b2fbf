"""The tables of scores in the documentation, made of their facts.

    python -m zoo.evaluation.score_table README.md evaluation/README.md

rewrites them between the markers `<!-- scores: NAME -->` and `<!-- end -->` of these files.
"""

import inspect
import itertools
import math
import pathlib
import re
import sys

from zoo.evaluation import citations, facts, index
from zoo.evaluation.inputs import LACKING

_MARKED = re.compile(r"(<!-- scores: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_BETTER = {True: "higher", False: "lower", None: "neither"}


def families() -> str:
    """A Markdown table of the names alone, one row per module."""
    rows = itertools.groupby(facts.names(), index.MODULE_OF_SCORE.get)
    cells = [(module, ", ".join(f"`{name}`" for name in names)) for module, names in rows]
    return _markdown(("family", "scores"), cells)


def every() -> str:
    """A Markdown table of all facts, one row per score."""
    header = ("score", "what it measures", "needs", "range", "better", "suites", "source")
    return _markdown(header, [_row(facts.of(name)) for name in facts.names()])


TABLES = {"families": families, "every": every}


def updated(text: str) -> str:
    """A Markdown text with its marked tables rewritten."""
    return _MARKED.sub(lambda found: found[1] + TABLES[found[2]]() + "\n" + found[3], text)


def _row(known: facts.Facts) -> tuple[str, ...]:
    low, high = (str(end).replace("inf", "∞") if math.isinf(end) else f"{end:g}"
                 for end in known.range)  # fmt: skip
    parameters = inspect.signature(facts.function(known.name)).parameters
    required = {name for name, each in parameters.items() if each.default is each.empty}
    options = [name for name in known.settings if name in LACKING and name in required]
    chance = "" if known.chance is None else f", chance {known.chance:g}"
    return (
        f"`{known.name}`",
        known.about,
        ", ".join([*(f"`{need}`" for need in known.needs), *(f"option `{o}`" for o in options)]),
        f"{low} to {high}{chance}",
        _BETTER[known.higher_is_better],
        ", ".join(known.suites),
        citations.link(known.source),
    )


def _markdown(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in lines)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = pathlib.Path(name)
        path.write_text(updated(path.read_text(encoding="utf-8")), encoding="utf-8")
