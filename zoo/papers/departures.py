"""What a run is trained with, and how that departs from its paper: read from gin texts.

The paper is here what its gin file binds; what of that is a choice of ours is in its comments.
"""

import ast
import re
from collections.abc import Mapping, Sequence

from zoo import config, gin_text
from zoo.papers.spec import PAPER, Run

# Bindings that do not change the training: the name of the run, and what is kept of it.
UNTOLD = ("name", "seed", "log_every", "checkpoint_every", "pictures_every", "publish")
# The optimiser of a run whose rates are 0.
UNTRAINED = "untrained"
# From this share of the paper's images on a run counts as unreduced: batches need not divide them.
WHOLE = 0.995
# What an optimiser's cell says of a schedule; others are written out.
_SCHEDULES = {
    "linear_ramp": "{start} to {end} in {steps} steps",
    "warm_up_and_decay": "warm-up to {peak}, decay from {base}",
    "piecewise_linear": "linear between {points}",
}
_REFERENCE = re.compile(r"@([\w./]+)")

# Configurable, with its scope -> parameter -> value, as gin writes it.
Components = dict[str, dict[str, str]]


def optimisers(run: Run, budget: str) -> str:
    """Every optimiser of a run with its rate: `Adam 1e-3; discriminator_adam 1e-3`.

    A run of rate 0 is `untrained`.
    """
    found = rates(run, budget)
    if set(found.values()) == {"0"}:
        return UNTRAINED
    return "; ".join(f"{n}{', ' if ' ' in rate else ' '}{rate}" for n, rate in found.items())


def rates(run: Run, budget: str) -> dict[str, str]:
    """Optimiser -> its rate, as a number or in words.

    The first is that of `train`; a model with several, or its objective, binds the others as
    `<player>_optimizer`.
    """
    found = components(gin_text.of_config(*run.config(budget, 0)))
    model = found[_REFERENCE.match(found["train"]["model"])[1]]
    if "objective" in model:
        model = model | found.get(_REFERENCE.match(model["objective"])[1], {})
    others = [model[name] for name in sorted(model) if name.endswith("_optimizer")]
    names = [_REFERENCE.match(text)[1] for text in (found["train"]["optimizer"], *others)]
    return {name.rpartition("/")[2]: _rate(found, name) for name in names}


def differences(run: Run, budget: str, precisions: Sequence[str] = ()) -> list[str]:
    """What a budget makes of a run otherwise than its paper, as `train.steps: 300,000 -> 1,200`.

    Args:
        run: the paper's gin file, and what its row binds.
        budget: a name in `BUDGETS`.
        precisions: those that runs of a precision `auto` really had.
    """
    before, after = (gin_text.of_config(*run.config(name, 0)) for name in (PAPER, budget))
    if precisions and after.get("train.precision") == "'auto'":
        after["train.precision"] = repr(" and ".join(precisions))
    return _differences(components(before), components(after))


def images(run: Run, budget: str) -> int:
    """How many images, or pairs, a run is trained on, counted as often as they are seen."""
    found = components(gin_text.of_config(*run.config(budget, 0)))
    return int(_text(found, "train", "steps")) * int(_text(found, "train", "batch_size"))


def percent(share: float) -> str:
    """A share with two digits: `2.6 %`."""
    return f"{100 * share:.2g} %" if share < WHOLE else f"{100 * share:,.0f} %"


def notes(found: Mapping[str, Sequence[str]], rows: Sequence[str]) -> list[str]:
    """The differences of rows, each list once: first what they share, then what is left.

    Args:
        found: row -> its differences.
        rows: all rows of the table.
    """
    found = {row: lines for row, lines in found.items() if lines}
    shared = [x for x in next(iter(found.values()), ()) if all(x in y for y in found.values())]
    groups: dict[tuple[str, ...], list[str]] = {tuple(shared): list(found)} if shared else {}
    for row, lines in found.items():
        rest = tuple(line for line in lines if line not in shared)
        if rest:
            groups.setdefault(rest, []).append(row)
    return [
        f"Differs from the paper, {named(chosen, rows)}: {'; '.join(lines)}."
        for lines, chosen in groups.items()
    ]


def components(bound: dict[str, str], root: str = "train") -> Components:
    """The configurables that a configuration uses: the root and all that it refers to.

    Bindings of others, such as those of a model that an including file replaces, are left out.
    """
    found: Components = {}
    left = [root]
    while left:
        name = left.pop()
        if name not in found:
            # What a scope binds goes before what is bound without it.
            owners = dict.fromkeys((name.rpartition("/")[2], name))
            found[name] = {
                key.rpartition(".")[2]: value
                for owner in owners
                for key, value in bound.items()
                if key.rpartition(".")[0] == owner
            }
            left += [n for value in found[name].values() for n in _REFERENCE.findall(value)]
    return found


def named(chosen: Sequence[str], rows: Sequence[str]) -> str:
    """Names of rows, `model/*` for all of a model, as `--rows` takes them."""
    names = []
    for row in chosen:
        model = row.partition("/")[0]
        alike = [other for other in rows if other.startswith(f"{model}/")]
        whole = len(alike) > 1 and set(alike) <= set(chosen)
        names.append(f"`{model}/*`" if whole else f"`{row}`")
    return ", ".join(dict.fromkeys(names))


def _differences(before: Components, after: Components) -> list[str]:
    lines = []
    for name in sorted(before.keys() & after.keys(), key=lambda n: (n != "train", n)):
        for parameter in sorted(before[name].keys() | after[name].keys()):
            if name == "train" and parameter in UNTOLD:
                continue
            if before[name].get(parameter) != after[name].get(parameter):
                old, new = (_value(found, name, parameter) for found in (before, after))
                if old != new:
                    lines.append(f"{name}.{parameter}: {old} -> {new}")
    return lines


def _rate(found: Components, name: str) -> str:
    reference = _REFERENCE.fullmatch(found[name].get("learning_rate", ""))
    schedule = reference[1].rpartition("/")[2] if reference else None
    if schedule not in _SCHEDULES:
        return _value(found, name, "learning_rate")
    values = {key: _written(found, value) for key, value in found[reference[1]].items()}
    return _SCHEDULES[schedule].format(**values)


def _value(found: Components, name: str, parameter: str) -> str:
    """What a parameter is for readers, by default where nothing binds it."""
    text = _text(found, name, parameter)
    return "not set" if text is None else _written(found, text)


def _text(found: Components, name: str, parameter: str) -> str | None:
    """What a parameter is as gin writes it, by default where nothing binds it; None: not set."""
    if parameter in found[name]:
        return found[name][parameter]
    import zoo.configurables  # noqa: F401  registers what has defaults

    defaults = config.defaults(name.rpartition("/")[2])
    if parameter not in defaults:
        return None
    default = defaults[parameter]
    return f"@{default.__name__}" if callable(default) else repr(default)


def _written(found: Components, text: str) -> str:
    """A value for readers; a reference with what is bound of it."""
    reference = _REFERENCE.fullmatch(text)
    if reference:
        bound = found.get(reference[1], {})
        inside = ", ".join(f"{key} = {_written(found, bound[key])}" for key in sorted(bound))
        return f"{reference[1]}({inside})" if inside else reference[1]
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, tuple) and all(isinstance(v, tuple) and len(v) == 2 for v in value):
        return ", ".join(f"{_number(float(y))} at step {x:,}" for x, y in value)
    return f"{value:,}" if type(value) is int else str(value)


def _number(value: float) -> str:
    """As rates are written: `1e-3`, `0.05`, `0`."""
    if not 0 < abs(value) <= 0.01:
        return f"{value:g}"
    mantissa, _, exponent = f"{value:e}".partition("e")
    return f"{float(mantissa):g}e{int(exponent)}"
