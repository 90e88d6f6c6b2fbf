"""Which images of a data set are for training, validation and test.

A split is written as TFDS writes it: `train`, or a slice of it by number, `train[:20000]`.
"""

import re
from collections.abc import Mapping

import numpy as np

from zoo.errors import SettingError

NAMES = ("train", "validation", "test")

_WRITTEN = re.compile(r"([^\[\]]+)(?:\[(-?\d+(?:_\d+)*)?:(-?\d+(?:_\d+)*)?\])?")


def ids(split: str, members: Mapping[str, np.ndarray]) -> np.ndarray:
    """The ids of a split's images, `[n]` int32.

    Args:
        split: a key of `members`, or a slice of it; negative ends count from its last image.
        members: the ids of all splits, from `labelled` or `random`.

    Raises:
        SettingError: there is no such split, or the slice is empty or longer than the split.
    """
    found = _WRITTEN.fullmatch(split)
    if not found or found[1] not in members:
        raise SettingError(
            f"no split is named {split!r}; there are {', '.join(members)}, and slices by number "
            f"such as {next(iter(members))}[:1000]"
        )
    whole = members[found[1]]
    first, last = (int(end) if end else None for end in found.groups()[1:])
    chosen = whole[first:last]
    if not len(chosen) or max(abs(first or 0), abs(last or 0)) > len(whole):
        raise SettingError(f"{split!r} is empty or too long: {found[1]} has {len(whole)} images")
    return chosen


def labels(sizes: Mapping[str, int]) -> np.ndarray:
    """`[N]` uint8, the split of every image as its number in `NAMES`, for splits one by one.

    Args:
        sizes: the number of images of each split, in the order in which images are numbered.
    """
    order = np.array([NAMES.index(name) for name in sizes], np.uint8)
    return np.repeat(order, list(sizes.values()))


def labelled(labels: np.ndarray) -> dict[str, np.ndarray]:
    """The ids of each split, ascending, from the label `[N]` of every image."""
    return {
        name: _int32(np.flatnonzero(labels == i)) for i, name in enumerate(NAMES) if i in labels
    }


def random(count: int) -> dict[str, np.ndarray]:
    """A random partition into 80%, 10% and 10%, a function of `count` alone.

    The shares are those of Zietlow's dissertation (chapter 3), which draws them at random; its
    partition is not known. The ids of each split are in random order, so that a slice of a
    split is a random sample too.
    """
    # The sorting order of the generator's plain output: the same with every version of numpy.
    order = _int32(np.random.Philox(key=2022).random_raw(count).argsort(kind="stable"))
    held = count // 10
    parts = np.split(order, [count - 2 * held, count - held])
    return {name: part for name, part in zip(NAMES, parts, strict=True) if len(part)}


def _int32(values: np.ndarray) -> np.ndarray:
    return values.astype(np.int32)
