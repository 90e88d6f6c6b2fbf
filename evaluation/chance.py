"""The chance level of a score: its value where what it measures is not there.

What is destroyed follows from what a score needs. Whether codes tell of factors: rows of the
factors (or latents, or the images of true masks) are permuted. Whether codes, or the columns of a
decoder's Jacobian, stand for themselves: the codes, or the latents that it is taken by, are turned
at random, which keeps everything else. Whether codes of set factors tell them: codes are those of
other points of the factor grid.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from zoo.evaluation import arrays, facts

# Of how many random permutations or turns the mean is taken.
_TIMES = 5
# What is permuted where it is needed; `_test` halves apart, but the arrays of a half together.
_TRUTHS = ("factors", "latents", "targets", "masks", "true_slots")
# A permutation of larger factor grids would take gigabytes.
_LARGEST_GRID = 20_000_000


def level(
    function: Callable[..., dict], known: facts.Facts, needed: Sequence, settings: dict, seed: int
) -> float | None:
    """The mean of a score over 5 random permutations, or turns.

    Args:
        function: the score.
        known: its facts.
        needed: the values of what it needs, in that order.
        settings: keyword arguments, as for the value itself.
        seed: of the permutations.

    Returns:
        The level; None where nothing can be permuted or turned, as for a score without a better
        end or for one of reconstructions.

    Raises:
        InputError: what is permuted cannot be scored.
    """
    destroy = _destroying(known)
    if destroy is None or known.higher_is_better is None:
        return None
    found = []
    for generator in np.random.default_rng(seed).spawn(_TIMES):
        values = destroy(dict(zip(known.needs, needed, strict=True)), generator)
        if values is None:
            return None
        found.append(function(*values.values(), **settings)["score"])
    return float(np.mean(found))


def _destroying(known: facts.Facts) -> Callable[[dict, np.random.Generator], dict | None] | None:
    """What destroys what a score measures."""
    needs = set(known.needs)
    if needs & set(_TRUTHS):
        return _permuted
    if "represent" in needs:
        return _elsewhere
    return _turned if needs in ({"codes"}, {"jacobians"}) else None


def _permuted(values: dict, generator: np.random.Generator) -> dict | None:
    """The rows of what is true permuted, those of training and test each among themselves."""
    changed = dict(values)
    for suffix in ("", "_test"):
        names = [truth + suffix for truth in _TRUTHS if truth + suffix in values]
        rows = {name: arrays.real(values[name], name) for name in names}
        if not rows:
            continue
        order = generator.permutation(len(next(iter(rows.values()))))
        changed |= {name: array[order] for name, array in rows.items()}
        if len(order) < 2:
            return None
    return changed


def _elsewhere(values: dict, generator: np.random.Generator) -> dict | None:
    """Codes of factors that are those of other factors, the same ones every time."""
    represent, sizes = values["represent"], values["sizes"]
    if math.prod(sizes) > _LARGEST_GRID:
        return None
    places = generator.permutation(math.prod(sizes))

    def moved(factors):
        numbers = np.ravel_multi_index(tuple(np.transpose(factors)), sizes)
        return represent(np.stack(np.unravel_index(places[numbers], sizes), axis=1))

    return {**values, "represent": moved}


def _turned(values: dict, generator: np.random.Generator) -> dict:
    """The last axis of codes or Jacobians turned at random; what is constantly dead stays so."""
    ((name, given),) = values.items()
    array = arrays.finite(given, name)
    rows = array.reshape(-1, array.shape[-1])
    still = rows[:1] if name == "codes" else 0.0
    live = (rows != still).any(0)
    turned = array.copy()
    turned[..., live] = array[..., live] @ _rotation(int(live.sum()), generator)
    return {name: turned}


def _rotation(size: int, generator: np.random.Generator) -> np.ndarray:
    """An orthogonal matrix, uniform (the QR decomposition of a Gaussian one with R's signs)."""
    q, r = np.linalg.qr(generator.normal(size=(size, size)))
    return q * np.sign(np.diagonal(r))
