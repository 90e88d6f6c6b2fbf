"""The contents of a run's report: facts, key figures, tables and heat maps of its scores.

Scores declare the axes of their parts (`zoo.evaluation.facts`): matrices over latents and factors
become heat maps, lists with one entry per factor, true latent or latent become tables. Numbers are
shown beside their score.
"""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from zoo.drawing import charts
from zoo.evaluation import facts as evaluation_facts

# Heat maps and tables of more rows or columns than this are left to `scores.json`.
LARGEST = 64
ACRONYMS = {"ari", "auc", "cca", "dci", "dcimig", "dto", "ds", "elbo", "es", "f1", "fid", "ima",
            "irs", "j", "jemmig", "jis", "kid", "kl", "lms", "mcc", "med", "mig", "r2", "rmse",
            "sap", "udr", "vae"}  # fmt: skip
# The axes of what is drawn as a spectrum.
_SPECTRA = (("rank",), ("sample", "rank"))
# The axes of what is drawn as a heat map.
_MATRICES = (
    ("latent", "factor"),
    ("latent", "true_latent"),
    ("latent", "latent"),
    ("output", "true_latent"),
)
# What comes before the numbers of entries without names.
_PREFIXES = {"factor": "factor ", "true_latent": "latent ", "latent": "z", "output": "x"}
# What a row of `zoo.evaluation.evaluate` says about the scoring rather than the model.
ABOUT = ("score", "reason", "seconds", "encoding_seconds", "chance", "seed_std", "step")
# What a row may say of the value, and is shown in columns beside it.
_BESIDE = {"interval": "95 % interval", "seed_std": "Seed std", "chance": "Chance"}
HEADINGS = {
    "mutual_information": "mutual information in nats",
    "normalised_information": "mutual information over the entropy of the factor",
    "importance": "importance for each factor",
    "strengths": "learned derivatives, over the largest of their latent",
    "graph": "true graph",
}


class Score(NamedTuple):
    """A row of the score table; `cells` are those of the columns of `score_columns`."""

    title: str
    value: str
    cells: list[str]
    share: float | None
    details: str


class Detail(NamedTuple):
    """A table with one row per score part and one column per factor or latent."""

    title: str
    columns: list[str]
    rows: list[tuple[str, list[str]]]


def parts_of(row: Mapping | float) -> dict:
    """One score as an evaluation function returns it."""
    if not isinstance(row, Mapping):
        return {"score": row}
    nested = row.get("parts")
    return {**nested, **row} if isinstance(nested, Mapping) else dict(row)


def names_of_axes(
    summary: Mapping, metrics: Sequence[Mapping], scores: Mapping[str, Mapping]
) -> dict[str, list[str]]:
    """The names of factors, true latents and latents; numbers where the summary has none that fit.

    Latents of the model are `z0`, `z1`, ..., as many as there are.
    """
    logged = [_array(row.get("kl_per_latent")) for row in metrics[-1:]]
    sizes = _lengths(scores, "latent") + [len(array) for array in logged if array is not None]
    return {
        "factor": _names(summary.get("factors"), scores, "factor"),
        "true_latent": _names(summary.get("latents"), scores, "true_latent"),
        "latent": _numbered("latent", sizes[-1]) if sizes else [],
    }


def _names(known: Sequence | None, scores: Mapping[str, Mapping], axis: str) -> list[str]:
    lengths = _lengths(scores, axis)
    names = [str(name) for name in known or ()]
    if not lengths or len(names) in lengths:
        return names
    return _numbered(axis, statistics.mode(lengths))


def _numbered(axis: str, count: int) -> list[str]:
    return [f"{_PREFIXES[axis]}{i}" for i in range(count)]


def facts(summary: Mapping) -> list[tuple[str, str]]:
    """The line under the heading."""
    steps, batch = summary.get("steps"), summary.get("batch_size")
    budget = [f"{steps:,} steps"] if isinstance(steps, int) else []
    budget += [f"batches of {batch}"] if batch else []
    date = next((summary[k] for k in ("finished", "date", "started") if summary.get(k)), None)
    facts = {
        "Model": summary.get("model"),
        "Data set": summary.get("dataset"),
        "Seed": summary.get("seed"),
        "Budget": ", ".join(budget) or None,
        "Date": str(date)[:16].replace("T", " ") if date else None,
    }
    return [(name, str(value)) for name, value in facts.items() if value is not None]


def key_figures(summary: Mapping, metrics: Sequence, scores: Mapping) -> list[tuple[str, str, str]]:
    """Key figures: label, number, unit."""
    last = {key: value for row in metrics for key, value in row.items() if value is not None}
    rates = [r["images_per_s"] for r in metrics if is_number(r.get("images_per_s"))]
    rate = summary.get("images_per_s") or (float(np.median(rates)) if rates else None)
    seconds = (summary.get("timings") or {}).get("train_s", last.get("time_s"))
    latents = np.size(last.get("kl_per_latent", ()))
    # A count, but logged as a float.
    active = last.get("active_latents")
    active = round(active) if is_number(active) and math.isfinite(active) else None
    tiles = [
        ("MIG", scores.get("mig", {}).get("score"), ""),
        ("Reconstruction", last.get("reconstruction"), "nats" if "kl" in last else ""),
        ("KL divergence", last.get("kl"), "nats"),
        ("Active latents", active, f"of {latents}" if latents else ""),
        ("Training speed", rate, "images/s"),
    ]
    shown = [(label, number(value), unit) for label, value, unit in tiles if is_number(value)]
    if is_number(seconds):
        shown.append(("Training time", *_duration(seconds)))
    return shown


def heat_maps(scores: Mapping[str, Mapping], names: Mapping[str, list[str]]) -> list[str]:
    """The SVG of every matrix over latents and factors and of every spectrum, each shown once."""
    maps, shown = [], []
    for name, part, array, axes in _parts_with_axes(scores):
        if any(np.array_equal(array, other) for other in shown):
            continue
        heading = f"{title(name)}: {HEADINGS.get(part, title(part).lower())}"
        if axes in _SPECTRA:
            maps.append(charts.spectrum(array, heading))
        elif axes in _MATRICES and max(array.shape) <= LARGEST:
            labels = [
                names[axis] if len(names.get(axis, ())) == length else _numbered(axis, length)
                for axis, length in zip(axes, array.shape, strict=True)
            ]
            maps.append(charts.matrix(array, *labels, heading))
        else:
            continue
        shown.append(array)
    return maps


def score_columns(scores: Mapping[str, Mapping]) -> dict[str, str]:
    """What is known of some score beside its value: headings by the keys of its row."""
    return {
        key: heading
        for key, heading in _BESIDE.items()
        if any(_beside(name, parts, key) is not None for name, parts in scores.items())
    }


def _beside(name: str, parts: Mapping, key: str):
    """What a row says beside the value; the value by chance is also known of some scores."""
    if key == "chance" and parts.get(key) is None and name in evaluation_facts.names():
        return evaluation_facts.of(name).chance
    return parts.get(key)


def score_row(name: str, parts: Mapping, columns: Sequence[str] = ()) -> Score:
    """The headline number of a score, with the other numbers it came with."""
    value = parts.get("score")
    known = evaluation_facts.of(name) if name in evaluation_facts.names() else None
    bounded = known and known.is_share and is_number(value) and math.isfinite(value)
    details = [
        f"{title(key).lower()} {number(part)}"
        for key, part in parts.items()
        if key not in ABOUT and is_number(part)
    ]
    # What the distances of features are by.
    details += [f"by the reader {parts['reader']}"] if parts.get("reader") else []
    if value is None and parts.get("reason"):
        details = [f"not scored: {parts['reason']}"]
    elif parts.get("interval_reason"):
        details.append(parts["interval_reason"])
    cells = [_cell(_beside(name, parts, column)) for column in columns]
    share = min(1.0, max(0.0, value)) if bounded else None
    return Score(title(name), number(value), cells, share, ", ".join(details))


def _cell(value) -> str:
    """A number, or the ends of an interval; empty where there is none."""
    if isinstance(value, list | tuple):
        return " to ".join(map(number, value))
    return "" if value is None else number(value)


def part_tables(scores: Mapping[str, Mapping], names: Mapping[str, list[str]]) -> list[Detail]:
    """The one-dimensional parts of all scores, a table for each axis."""
    tables = {
        (axis,): Detail(f"Scores per {axis.replace('_', ' ')}", columns, [])
        for axis, columns in names.items()
    }
    for name, part, array, axes in _parts_with_axes(scores):
        table = tables.get(axes)
        if table and len(array) == len(table.columns) <= LARGEST:
            label = title(name)
            if part not in ("per_factor", "per_latent"):
                label = f"{label}: {title(part).lower()}"
            numbers = [number(v) for v in np.asarray(scores[name][part]).tolist()]
            table.rows.append((label, numbers))
    return [table for table in tables.values() if table.rows]


def _parts_with_axes(
    scores: Mapping[str, Mapping],
) -> Iterator[tuple[str, str, np.ndarray, tuple[str, ...]]]:
    """Score, part, array and axes of every part whose axes the score states."""
    for name in scores:
        known = evaluation_facts.of(name).axes if name in evaluation_facts.names() else {}
        for part, axes in known.items():
            array = _array(scores[name].get(part))
            if array is not None and array.ndim == len(axes):
                yield name, part, array, axes


def _lengths(scores: Mapping[str, Mapping], axis: str) -> list[int]:
    """The lengths of an axis in all parts that have it."""
    return [
        array.shape[axes.index(axis)]
        for _, _, array, axes in _parts_with_axes(scores)
        if axis in axes
    ]


def title(name: str) -> str:
    """The name of a score or of a part of it as a heading."""
    words = [w.upper() if w in ACRONYMS else w for w in str(name).replace("_", " ").split()]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]]) if words else ""


def _array(value) -> np.ndarray | None:
    """A list of numbers, or of such lists of one length, as an array; None of anything else."""
    if not isinstance(value, list | tuple | np.ndarray):
        return None
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        return None
    return array if array.size and array.ndim else None


def is_number(value) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def number(value) -> str:
    """A number in few digits, thousands apart; a dash for what is no finite number."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not is_number(value) or not math.isfinite(value):
        return "–"
    if isinstance(value, int | np.integer) or abs(value) >= 1000:
        return f"{value:,.0f}"
    if 0 < abs(value) < 1e-3:
        return f"{value:.1e}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"


def _duration(seconds: float) -> tuple[str, str]:
    """A time as number and unit."""
    if seconds < 100:
        return f"{seconds:.0f}", "s"
    return (f"{seconds / 60:.1f}", "min") if seconds < 6000 else (f"{seconds / 3600:.1f}", "h")
