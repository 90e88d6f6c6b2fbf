"""The card of a published model: Markdown for people, and a `model-index` for machines."""

import json
import re
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from zoo import config

PICTURES = "pictures"
# The package is on no index as yet.
_INSTALLED = "# in a clone of the repository disentanglement-zoo: pip install ."
# Hugging Face's names of what models do.
_CODES = {"task_type": "image-feature-extraction", "task_name": "Disentangled representation"}
# What gin files import: `import a.b`, `import a.b as c`, `from a import b`.
_IMPORT = re.compile(r"^(?:import|from)[ \t]+([\w.]+)(?:[ \t]+import[ \t]+(\w+))?", re.M)
# Packages that this one brings.
_SHARED = ("zoo", "gin", "__gin__", "keras", "tensorflow", "tensorflow_probability", "numpy")
_IMAGES = {"task_type": "unconditional-image-generation", "task_name": "Images of domains"}


def text(facts: Mapping[str, Any], address: str, files: Sequence[str], at: str = "") -> str:
    """The `README.md` of a published model.

    Args:
        facts: what the model's `card.json` says, name and version included.
        address: of the hub.
        files: the paths in the model's folder, of which the pictures are shown.
        at: the model's folder as seen from the README, with a slash at its end.

    Returns:
        Markdown after the metadata that `huggingface_hub.ModelCardData` writes.
    """
    from huggingface_hub import EvalResult, ModelCardData

    taken = facts.get("input")
    task = _IMAGES if isinstance(taken, Mapping) and "domains" in taken else _CODES
    dataset = _text(facts, "test_dataset") or _text(facts, "dataset") or "unknown"
    results = [
        EvalResult(
            **task,
            dataset_type=dataset,
            dataset_name=dataset,
            metric_type=name,
            metric_name=name,
            metric_value=value,
        )
        for name, value in numbers(facts.get("scores")).items()
    ]
    metadata = ModelCardData(
        license=facts["licence"].lower(),
        library_name="disentanglement-zoo",
        tags=["disentanglement", "tensorflow", "keras", "saved-model"],
        model_name=facts["name"] if results else None,
        eval_results=results or None,
    )
    return f"---\n{metadata.to_yaml()}\n---\n\n{body(facts, address, files, at)}"


def body(
    facts: Mapping[str, Any], address: str = "", files: Sequence[str] = (), at: str = ""
) -> str:
    """The Markdown of a card; see `text`."""
    return "\n\n".join(_sections(facts, address, files, at)) + "\n"


def numbers(scores: Any) -> dict[str, float]:
    """The scores of a card that are numbers."""
    if not isinstance(scores, Mapping):
        return {}
    return {
        str(name): value
        for name, value in scores.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def bindings(facts: Mapping[str, Any]) -> dict[str, str]:
    """What the config of a card binds."""
    written = facts.get("config")
    return config.bindings_of(written) if isinstance(written, str) else {}


def own_modules(facts: Mapping[str, Any]) -> list[str]:
    """The modules that the config of a card imports and that are not this package's, sorted."""
    written = facts.get("config")
    found = _IMPORT.findall(written) if isinstance(written, str) else []
    modules = {".".join(filter(None, parts)) for parts in found}
    return sorted(m for m in modules if m.partition(".")[0] not in _SHARED)


def _sections(
    facts: Mapping[str, Any], address: str, files: Sequence[str], at: str
) -> Iterator[str]:
    name, version = facts["name"], facts["version"]
    yield f"# {name} {version}"
    yield _text(facts, "description")
    for path in files:
        if path.startswith(f"{PICTURES}/") and path.endswith(".png"):
            yield f"![{path.removeprefix(f'{PICTURES}/')[:-4].replace('_', ' ')}]({at}{path})"
    hub = f", hub={address!r}" if address else ""
    yield (
        f"## Use\n\n```python\n{_INSTALLED}\nimport zoo\n\n"
        f"model = zoo.load({name!r}, {version!r}{hub})\n```"
    )
    if scores := numbers(facts.get("scores")):
        yield "## Scores"
        yield from _score_tables(facts, scores)
    yield "## Training\n\n" + "\n".join(_training_lines(facts))
    if isinstance(written := facts.get("config"), str) and written.strip():
        lines = [line for line in written.splitlines() if line.strip() and line[0] != "#"]
        yield "## Configuration\n\n```\n" + "\n".join(lines) + "\n```"
    if own := own_modules(facts):
        yield (
            "## Own modules\n\nThe configuration imports modules that are not published here: "
            f"{', '.join(f'`{module}`' for module in own)}. The model works without them; "
            "`trainable()` and training need them."
        )
    for key, title in (("versions", "Environment"), ("machine", "Machine")):
        if isinstance(found := facts.get(key), Mapping) and found:
            yield f"## {title}\n\n" + "\n".join(f"- {k}: {v}" for k, v in found.items())


def _score_tables(facts: Mapping[str, Any], scores: Mapping[str, float]) -> Iterator[str]:
    seeds, spread = _over_seeds(facts)
    if dataset := _text(facts, "test_dataset") or _text(facts, "dataset"):
        yield f"On `{dataset}`" + (
            f"; beside it the seeds {', '.join(map(str, seeds))} of the same "
            "configuration, this model's among them: mean and standard deviation, least, largest."
            if spread
            else "."
        )
    heads = ["score", "this model", *(("over seeds", "least", "largest") if spread else ())]
    lines = [heads, ["---"] * len(heads)]
    for name, value in scores.items():
        cells = [f"`{name}`", f"{value:.4f}"]
        if found := spread.get(name):
            mean, deviation = statistics.mean(found), statistics.stdev(found)
            cells += [f"{mean:.4f} ± {deviation:.4f}", f"{min(found):.4f}", f"{max(found):.4f}"]
        lines.append([*cells, *[""] * (len(heads) - len(cells))])
    yield "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _over_seeds(facts: Mapping[str, Any]) -> tuple[list, dict[str, list[float]]]:
    """The seeds of a card, and the scores that have a number for each of them."""
    found = facts.get("seeds")
    found = found if isinstance(found, Mapping) else {}
    seeds, scores = found.get("seeds"), found.get("scores")
    if not isinstance(seeds, list) or not isinstance(scores, Mapping) or len(seeds) < 2:
        return [], {}
    return seeds, {
        name: values
        for name, values in scores.items()
        if isinstance(values, list) and len(numbers(dict(enumerate(values)))) == len(seeds)
    }


def _training_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    for key in ("model", "dataset", "steps", "batch_size", "seed", "precision", "weights"):
        if value := _text(facts, key):
            yield f"- {key.replace('_', ' ')}: {value}"
    if command := _text(facts, "command"):
        yield f"- command: `{command}`"
    for start in _maps(facts.get("earlier_starts")):
        found = [f"{k} {v}" for part in _maps([*start.values()]) for k, v in part.items()]
        yield f"- before it was resumed: {', '.join(found)}"
    yield f"- licence of the weights: {_text(facts, 'licence')}"


def _maps(values: Any) -> list[Mapping]:
    """Those elements of a list in a card that are mappings."""
    return [v for v in values if isinstance(v, Mapping)] if isinstance(values, list) else []


def _text(facts: Mapping[str, Any], key: str) -> str:
    value = facts.get(key)
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value)
