"""Scores of generators of several domains: what changes with the domain, and what should."""

import itertools

import numpy as np

from zoo.evaluation import arrays, checks, facts
from zoo.evaluation.errors import InputError
from zoo.evaluation.factor_reader import ENOUGH
from zoo.evaluation.generative import fid
from zoo.evaluation.kernel_distance import kid

# Marginals of domains that differ by less are taken for the same: sampling noise of a few thousand
# images of 15 values stays below.
_SAME = 0.1


@facts.score(
    needs=("factors_by_domain", "read_factors", "labelled_factors", "domains"),
    source="Li, Fan et al. 2025",
    higher_is_better=True,
    range=(0, 1),
    axes={
        "accuracy": "factor",
        "kept": "factor",
        "shift": "factor",
        "transport": "factor",
        "marginal_distance": "factor",
    },
)
def domain_flip(generated, read, factors, domains) -> dict:
    """Share of generated images whose content stays when their latents change the domain.

    Factors are read off images by a network (`zoo.evaluation.factor_reader`). Those whose marginals
    differ between the domains of the data, by a total variation of 0.1 or more, are style; the
    others are content, and are to stay where the domain of one latent changes. Factors that are
    read right in less than 95 % of the data count in neither.

    Args:
        generated: `[U, N, F]` integers, the factors read off images of the same N latents in each
            of U domains; the last column may be more than `factors` has: the domain as read.
        read: `[M, F]` (or one more column), the factors read off images of the data.
        factors: `[M, F]`, their true factors.
        domains: `[M]`, their domains, 0 to U - 1.

    Returns:
        `score`, the share of latents and pairs of domains of which all content stays;
        `score_of_data`, the same of pairs of images of the data of one content (what the network
        misreads), None where there are none; for each factor `accuracy` of reading, `kept`, the
        share of which it stays, `kept_of_data`, `shift`, the mean absolute change of its number,
        `transport`, the least such change between the marginals of the data (what a monotone
        change of style has), `marginal_distance`, the total variation of generated and true
        marginals, the mean over domains; `content` and `style`, the numbers of these factors;
        `domain_accuracy` and `domain_accuracy_of_data`, how often the domain is read right, where
        it is.

    Raises:
        InputError: what is no whole number from 0, shapes that differ, fewer than 2 domains, no
            content that is read well enough.
    """
    factors, domains = _numbers(factors, "factors"), _numbers(domains, "domains")
    generated, read = _numbers(generated, "generated"), _numbers(read, "read")
    rows, columns = factors.shape if factors.ndim == 2 else (0, 0)
    if generated.ndim != 3 or len(read) != rows or domains.shape != (rows,):
        raise InputError(
            f"generated {generated.shape}, read {read.shape}, factors {factors.shape} and domains "
            f"{domains.shape}: give [U, N, F], [M, F], [M, F] and [M]"
        )
    if not generated.shape[2] == read.shape[1] in (columns, columns + 1):
        raise InputError(f"{read.shape[1]} factors are read, and {columns} are known")
    count = len(generated)
    if count < 2 or set(np.unique(domains)) != set(range(count)):
        raise InputError(f"{count} domains are generated; the data has {sorted(set(domains))}")
    accuracy = (read[:, :columns] == factors).mean(0)
    sizes = np.maximum(factors.max(0), generated[..., :columns].max((0, 1))) + 1
    marginals = [
        np.stack([_marginal(factors[domains == u, i], n) for u in range(count)])
        for i, n in enumerate(sizes)
    ]
    pairs = list(itertools.combinations(range(count), 2))
    differ = np.array([max(np.abs(m[a] - m[b]).sum() / 2 for a, b in pairs) for m in marginals])
    readable = accuracy >= ENOUGH
    content, style = (np.flatnonzero(x & readable) for x in (differ < _SAME, differ >= _SAME))
    if not len(content):
        raise InputError(
            "no content factor is read right in 95 % of the data: accuracies are "
            + ", ".join(f"{a:.2f}" for a in accuracy)
        )
    ends = [np.concatenate([generated[p[k]] for p in pairs])[:, :columns] for k in (0, 1)]
    stays = ends[0] == ends[1]
    found = {
        "score": float(stays[:, content].all(1).mean()),
        "accuracy": accuracy,
        "kept": stays.mean(0),
        "shift": np.abs(ends[1] - ends[0]).mean(0),
        "transport": np.array(
            [np.mean([np.abs(np.cumsum(m[a] - m[b])).sum() for a, b in pairs]) for m in marginals]
        ),
        "marginal_distance": np.array(
            [
                np.mean(
                    [
                        np.abs(_marginal(generated[u, :, i], n) - m[u]).sum() / 2
                        for u in range(count)
                    ]
                )
                for i, (n, m) in enumerate(zip(sizes, marginals, strict=True))
            ]
        ),
        "content": content.tolist(),
        "style": style.tolist(),
        **_of_data(read[:, :columns], factors, domains, pairs, content, differ < _SAME),
    }
    if read.shape[1] > columns:
        found["domain_accuracy"] = float(
            np.mean([(generated[u, :, -1] == u).mean() for u in range(count)])
        )
        found["domain_accuracy_of_data"] = float((read[:, -1] == domains).mean())
    return found


@facts.score(
    needs=("reader_features", "generated_reader_features"),
    settings=("reader", "reading_accuracy"),
    source="Heusel et al. 2017",
    higher_is_better=False,
    axes={"reading_accuracy": "factor"},
)
def reader_fid(real, generated, *, reader: str = "", reading_accuracy=()) -> dict:
    """Frechet distance of the features of a network that reads the data's factors.

    As `fid`, by the features of a network that reads factors in place of Inception's: values are
    comparable on one data set, for one network. That of dSprites and that of 3D Shapes come with
    the package (`zoo.evaluation.shipped_readers`, 64 features); of other data `evaluate` trains one
    (`zoo.evaluation.factor_reader`, 256 features).

    Args:
        real: `[N, F]`.
        generated: `[M, F]`.
        reader: the name of the network, to be returned.
        reading_accuracy: `[factors]`, how often it reads each right, to be returned.

    Returns:
        What `fid` returns, and `of_data`, the distance of two halves of the real ones (which are
        half as many, so that it is the larger for it); `reader` and `reading_accuracy`, if given.

    Raises:
        InputError: see `fid`; fewer than 4 real ones.
    """
    real = checks.matrix(real, "real", "[N, F]")
    of_data = fid(real[::2], real[1::2])["score"]
    return {**fid(real, generated), "of_data": of_data, **_of_reader(reader, reading_accuracy)}


@facts.score(
    needs=("reader_features", "generated_reader_features"),
    settings=("seed", "reader", "reading_accuracy"),
    source="Bińkowski et al. 2018",
    higher_is_better=False,
    range=(-np.inf, np.inf),
    axes={"reading_accuracy": "factor"},
)
def reader_kid(real, generated, seed: int = 0, *, reader: str = "", reading_accuracy=()) -> dict:
    """Kernel distance of the features of a network that reads the data's factors.

    As `kid`, by the features of a network that reads factors, the one of `reader_fid`.

    Args:
        real: `[N, F]`.
        generated: `[M, F]`.
        seed: of the subsets.
        reader: as in `reader_fid`.
        reading_accuracy: as in `reader_fid`.

    Returns:
        What `kid` returns, and `of_data`, the distance of two halves of the real ones; `reader` and
        `reading_accuracy`, if given.

    Raises:
        InputError: see `kid`; fewer than 4 real ones.
    """
    real = checks.matrix(real, "real", "[N, F]")
    of_data = kid(real[::2], real[1::2], seed=seed)["score"]
    found = kid(real, generated, seed=seed)
    return {**found, "of_data": of_data, **_of_reader(reader, reading_accuracy)}


def _of_reader(name: str, accuracy) -> dict:
    return {"reader": name, "reading_accuracy": np.asarray(accuracy)} if name else {}


def _numbers(values, name: str) -> np.ndarray:
    """Whole numbers from 0 as int64."""
    values = arrays.finite(values, name)
    if values.min() < 0 or (values != np.round(values)).any():
        raise InputError(f"{name} must be whole numbers from 0")
    return values.astype(np.int64)


def _marginal(values: np.ndarray, size: int) -> np.ndarray:
    return np.bincount(values, minlength=size) / len(values)


def _sorted_by(key: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return rows[np.argsort(key[rows], kind="stable")]


def _of_data(read, factors, domains, pairs, content, same) -> dict:
    """What is read of pairs of images of the data that have one content."""
    key = np.unique(factors[:, same], axis=0, return_inverse=True)[1].reshape(-1)
    stays = []
    for a, b in pairs:
        rows, others = (_sorted_by(key, np.flatnonzero(domains == u)) for u in (a, b))
        first, last = (np.searchsorted(key[others], key[rows], side) for side in ("left", "right"))
        # The i-th of a content has the i-th partner of it, round and round.
        number = np.arange(len(rows)) - np.searchsorted(key[rows], key[rows])
        paired = last > first
        partners = others[(first + number % np.maximum(last - first, 1))[paired]]
        stays.append(read[rows[paired]] == read[partners])
    stays = np.concatenate(stays)
    if not len(stays):
        return {"score_of_data": None, "kept_of_data": None}
    return {
        "score_of_data": float(stays[:, content].all(1).mean()),
        "kept_of_data": stays.mean(0),
    }
