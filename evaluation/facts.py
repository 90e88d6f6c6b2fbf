"""What is known of a score besides its value, said once, beside its function.

Suites, the direction of `train.select`, reports, the tables of scores in the documentation and the
tests that walk all scores are made of these facts.
"""

import dataclasses
import importlib
import inspect
import math
from collections.abc import Callable, Mapping
from typing import TypeVar

from zoo.evaluation import citations, index
from zoo.evaluation.errors import InputError

Function = TypeVar("Function", bound=Callable[..., dict])

# Suites by how long they take: what is in one is in those after it.
FAST = ("fast", "standard", "full")
STANDARD = FAST[1:]
FULL = FAST[2:]
SLOTS = ("slots",)

# The names of axes that parts are given over; any other part is about samples, or a single number.
# A latent is of the model; a true one is of the data, which may have other factors beside them.
AXES = ("latent", "factor", "true_latent", "output", "slot", "block", "rank", "sample")


@dataclasses.dataclass(frozen=True)
class Facts:
    """The facts of one score.

    Attributes:
        name: of the function in `zoo.evaluation`.
        about: what it measures, the first line of its documentation.
        source: the work that defines it.
        needs: what it is computed from, its first arguments, by the names of
            `zoo.evaluation.inputs.Inputs` where a model and a data set are enough to make them.
        settings: keyword arguments that are taken from there, too.
        range: the least and the largest value.
        higher_is_better: None where neither end is better.
        chance: the value that codes without information are expected to have, where one is known.
        suites: those it belongs to.
        axes: the axes of its parts, `{"mutual_information": ("latent", "factor")}`.
        subsampled: the share of the rows in a subsample; see `zoo.evaluation.intervals`.
        no_interval: why no interval over images is known to hold its mean; empty where one is.
    """

    name: str
    about: str
    source: str
    needs: tuple[str, ...]
    settings: tuple[str, ...]
    range: tuple[float, float]
    higher_is_better: bool | None
    chance: float | None
    suites: tuple[str, ...]
    axes: Mapping[str, tuple[str, ...]]
    subsampled: float
    no_interval: str

    @property
    def interventional(self) -> bool:
        """Whether factors are set, so that only a complete factor grid will do."""
        return "represent" in self.needs

    @property
    def is_share(self) -> bool:
        """Whether 1 is the best value and 0 nothing: what a bar can show."""
        return self.higher_is_better is True and self.range[1] == 1

    def parts_over(self, *axes: str) -> list[str]:
        """The names of the parts with exactly these axes."""
        return [part for part, over in self.axes.items() if over == axes]


def score(
    *,
    needs: tuple[str, ...],
    source: str,
    higher_is_better: bool | None,
    range: tuple[float, float] = (0.0, math.inf),
    settings: tuple[str, ...] = (),
    suites: tuple[str, ...] = (),
    axes: Mapping[str, str] | None = None,
    chance: float | None = None,
    subsampled: float = 0.5,
    no_interval: str = "",
) -> Callable[[Function], Function]:
    """Marks a function as a score and states its facts, which become its attribute `facts`.

    Its documentation gets a last section that says where the source can be read. Arguments are
    those of `Facts`, except that `axes` are words with spaces between.
    """

    def mark(function: Function) -> Function:
        documented = inspect.getdoc(function) or ""
        about = documented.partition("\n")[0].removesuffix(".")
        if where := citations.url(source):
            function.__doc__ = f"{documented}\n\nSource:\n    {source}, {where}\n"
        parts = {part: tuple(over.split()) for part, over in (axes or {}).items()}
        function.facts = Facts(  # pyright: ignore[reportFunctionMemberAccess]
            name=function.__name__,
            about=about,
            source=source,
            needs=needs,
            settings=settings,
            range=range,
            higher_is_better=higher_is_better,
            chance=chance,
            suites=suites,
            axes=parts,
            subsampled=subsampled,
            no_interval=no_interval,
        )
        return function

    return mark


# The scores of users, which `zoo.evaluation.score` puts here.
OWN: dict[str, Callable[..., dict]] = {}


def names() -> tuple[str, ...]:
    """The names of all scores."""
    return (*index.MODULE_OF_SCORE, *OWN)


def function(name: str) -> Callable[..., dict]:
    """The score of a name, as `zoo.evaluation` has it, or a user's own."""
    of(name)
    return OWN.get(name) or getattr(importlib.import_module("zoo.evaluation"), name)


def of(name: str) -> Facts:
    """The facts of a score; imports its module.

    Raises:
        InputError: there is no score of that name.
    """
    if name in OWN:
        return OWN[name].facts  # pyright: ignore[reportFunctionMemberAccess]
    if name not in index.MODULE_OF_SCORE:
        raise InputError(f"unknown score {name!r}: choose of {', '.join(names())}")
    module = importlib.import_module(f"zoo.evaluation.{index.MODULE_OF_SCORE[name]}")
    return getattr(module, name).facts


def suites() -> dict[str, tuple[str, ...]]:
    """The names of the scores of each suite."""
    members: dict[str, list[str]] = {suite: [] for suite in (*FAST, *SLOTS)}
    for name in names():
        for suite in of(name).suites:
            members.setdefault(suite, []).append(name)
    return {suite: tuple(scores) for suite, scores in members.items()}
