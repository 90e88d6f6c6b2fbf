"""Work on the factors side by side, in threads: what they run releases Python's lock."""

import contextlib
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import threadpoolctl

from zoo import cores

T = TypeVar("T")


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Numerical libraries use one thread each, and solvers that stop at their limit are quiet.

    The published scores are defined by the solvers' limits. Filters and thread limits belong to the
    process, so this is entered outside of any threads.
    """
    with warnings.catch_warnings(), threadpoolctl.threadpool_limits(1):
        warnings.simplefilter("ignore")
        yield


def over_factors(work: Callable[[int], T], factors: np.ndarray) -> list[T]:
    """`[work(0), ..., work(F - 1)]` for the columns of `[N, F]` factors, one thread per core.

    The factors with most values, which take longest, are begun first.
    """
    sizes = [len(np.unique(column)) for column in factors.T]
    order = np.argsort(sizes, kind="stable")[::-1].tolist()
    with one_thread(), ThreadPoolExecutor(cores.count()) as pool:
        results = dict(zip(order, pool.map(work, order), strict=True))
    return [results[f] for f in range(len(order))]
