"""Lists of published models: which of them, in which order, with which scores."""

from collections.abc import Sequence

from zoo.evaluation import facts
from zoo.hub import model_card
from zoo.hub.places import RegistryError
from zoo.hub.registry import Entry

# Scores that are shown where no other is asked for, and how many of all.
_FIRST = ("mig", "dci", "disentanglement_score", "mcc", "jis", "lms_spearman")
_SHOWN = 4


def chosen(
    entries: Sequence[Entry], dataset: str = "", model: str = "", sort: str = "", words: str = ""
) -> list[Entry]:
    """Those entries that fit, the best first where a score is to sort them.

    Args:
        entries: of registries.
        dataset: part of the name of the data set, or of the model's name after its family.
        model: part of the name of the model's family, class or objective.
        sort: a score; models without it come last.
        words: all of which name, description or configuration hold.

    Raises:
        RegistryError: no entry has the score to sort by.
    """
    found = [
        entry
        for entry in entries
        if _holds(_of_dataset(entry), dataset)
        and _holds(_of_model(entry), model)
        and all(_holds(_everything(entry), word) for word in words.split())
    ]
    if sort:
        values = [scores[sort] for e in found if sort in (scores := _scores(e))]
        if found and not values:
            known = sorted({name for entry in found for name in _scores(entry)})
            raise RegistryError(f"no model has the score {sort!r}; there are {', '.join(known)}")
        lower = sort in facts.names() and facts.of(sort).higher_is_better is False
        sign = 1 if lower else -1
        found.sort(key=lambda e: (sort not in _scores(e), sign * _scores(e).get(sort, 0)))
    return found


def lines(entries: Sequence[Entry], sort: str = "") -> list[str]:
    """Two lines an entry: name, version, size, licence and scores; and what it is."""
    said = []
    for entry in entries:
        scores = _scores(entry)
        names = dict.fromkeys([n for n in (sort, *_FIRST, *scores) if n in scores])
        shown = "  ".join(f"{name} {scores[name]:.3f}" for name in [*names][:_SHOWN])
        size = f"{entry.size / 1e6:.1f} MB"
        head = f"{entry.name} {entry.version}  {size}  {entry.licence}  {shown}".rstrip()
        place = "" if entry.hub.address == "the bundled store" else f" [{entry.hub.address}]"
        said += [head, f"    {entry.description}{place}"]
    return said


def _scores(entry: Entry) -> dict[str, float]:
    return model_card.numbers(entry.scores)


def _holds(text: str, part: str) -> bool:
    return part.lower() in text.lower()


def _of_dataset(entry: Entry) -> str:
    bound = model_card.bindings(entry.facts)
    names = (entry.facts.get("dataset"), bound.get("train.dataset"), entry.name.partition("/")[2])
    return " ".join(str(name) for name in names if name)


def _of_model(entry: Entry) -> str:
    bound = model_card.bindings(entry.facts)
    objectives = [value for key, value in bound.items() if key.endswith(".objective")]
    names = (entry.facts.get("model"), bound.get("train.model"), *objectives)
    return " ".join([entry.name.partition("/")[0], *(str(name) for name in names if name)])


def _everything(entry: Entry) -> str:
    return f"{entry.name} {entry.description} {entry.config}"
