"""Figures of tables as small PNGs, with a line that says which runs they are made of."""

import dataclasses
import io
import itertools
import pathlib
from collections.abc import Iterable, Sequence

from matplotlib.figure import Figure
from PIL import Image, PngImagePlugin

from zoo.files import atomic
from zoo.papers import departures
from zoo.papers.kept import Result
from zoo.papers.spec import PAPER

# Of a PNG that is kept with the results, in bytes; and the densities that are tried for it.
LIMIT, _DENSITIES = 150_000, (150, 120, 96, 72, 54, 40)
_MADE_OF = "Description"


def save(figure: Figure, path: pathlib.Path, limit: int | None = None, made_of: str = "") -> None:
    """Writes a figure as PNG; with a limit in bytes, in 256 colours and as densely as that allows.

    The least density is taken even where it is above the limit. What it is made of is kept in the
    file.
    """
    for density in _DENSITIES:
        content = _png(figure, density, made_of, small=limit is not None)
        if limit is None or len(content) <= limit:
            break
    with atomic(path) as temporary:
        temporary.write_bytes(content)


def made_of(path: pathlib.Path) -> str:
    """What a picture that `save` wrote is made of."""
    with Image.open(path) as image:
        return image.info.get(_MADE_OF, "not recorded")


def rows_of(path: pathlib.Path) -> set[str]:
    """The rows that a picture that `save` wrote shows, as its `caption` has them."""
    parts = (part.partition(": ")[0] for part in made_of(path).split("; "))
    return {name for part in parts for name in part.split(", ")}


def drawn(
    found: dict[str, list[Result]], from_numbers: bool = False, first_seed: bool = False
) -> dict[str, list[Result]]:
    """Row name -> the results that a figure can draw.

    Args:
        found: row name -> its results.
        from_numbers: whether it takes numbers alone; else only runs that are at hand are drawn.
        first_seed: whether it shows the first of these runs of a row alone.
    """
    shown = {
        name: [result for result in results if _seeds(result, from_numbers)]
        for name, results in found.items()
    }
    if not first_seed:
        return shown
    return {
        name: [dataclasses.replace(result, folders=result.folders[:1]) for result in results]
        for name, results in shown.items()
    }


def caption(found: dict[str, list[Result]], from_numbers: bool = False) -> str:
    """The rows, seeds and budgets of what figures draw: of a row its first budget that has runs.

    Args:
        found: what `drawn` gives.
        from_numbers: as `drawn` takes it.
    """
    made: dict[tuple[str, str], list[str]] = {}
    for result in (results[0] for results in found.values() if results):
        seeds = spans(_seeds(result, from_numbers))
        made.setdefault((budget(result), seeds), []).append(result.row.name)
    parts = [
        f"{', '.join(rows)}: {size}, {'seeds' if {*' -'} & {*seeds} else 'seed'} {seeds}"
        for (size, seeds), rows in made.items()
    ]
    return "; ".join(parts)


def budget(result: Result) -> str:
    """Steps, batch size, precision and processor of a row's runs, and what share that is.

    Precisions and processors are all that runs of the row record.
    """
    facts = result.facts
    machines = facts.processor
    text = f"{facts.steps:,} x {facts.batch_size}, {facts.precision}"
    if machines:
        text += f" on {machines}"
    if result.budget == PAPER or facts.optimiser == departures.UNTRAINED:
        return text
    share = departures.percent(facts.images_share)
    return f"{text} (reduced: {result.budget}, {share} of the published images)"


def spans(numbers: Iterable[int]) -> str:
    """Ascending numbers with their runs drawn together: `0-2, 5`."""
    groups = itertools.groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])
    parts: list[Sequence[int]] = [[number for _, number in group] for _, group in groups]
    return ", ".join(f"{p[0]}-{p[-1]}" if len(p) > 1 else f"{p[0]}" for p in parts)


def _seeds(result: Result, from_numbers: bool) -> list[int]:
    """The seeds of a result that a figure draws."""
    return result.left if from_numbers else [int(folder.name) for folder in result.folders]


def _png(figure: Figure, density: int, made_of: str, small: bool) -> bytes:
    content = io.BytesIO()
    if not small:
        figure.savefig(content, format="png", dpi=density, metadata={_MADE_OF: made_of})
        return content.getvalue()
    figure.savefig(content, format="png", dpi=density)
    image, reduced = Image.open(content).convert("RGB"), io.BytesIO()
    facts = PngImagePlugin.PngInfo()
    facts.add_itxt(_MADE_OF, made_of)
    image = image.quantize(256, dither=Image.Dither.NONE)
    image.save(reduced, format="png", optimize=True, pnginfo=facts)
    return reduced.getvalue()
