"""Which images of a data set are for training, validation and test.

Splits are ranges: images are numbered through the training split, then validation, then test.
"""

from collections.abc import Mapping

import numpy as np

NAMES = ("train", "validation", "test")


def span(sizes: Mapping[str, int], split: str | None) -> slice:
    """The numbers of a split's images, or of all images if `split` is None.

    Args:
        sizes: the number of images of each split, in the order of `NAMES`.
        split: a key of `sizes`, or None.

    Raises:
        ValueError: there is no such split.
    """
    if split is None:
        return slice(0, sum(sizes.values()))
    if split not in sizes:
        raise ValueError(f"no split is named {split!r}; there are {', '.join(sizes)}")
    start = sum(list(sizes.values())[: list(sizes).index(split)])
    return slice(start, start + sizes[split])


def labels(sizes: Mapping[str, int], split: str | None = None) -> np.ndarray:
    """`[N]` uint8: the split of every image, as its number in `NAMES`."""
    numbers = [NAMES.index(name) for name in sizes]
    return np.repeat(np.array(numbers, np.uint8), list(sizes.values()))[span(sizes, split)]
