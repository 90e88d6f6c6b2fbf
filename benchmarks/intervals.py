"""In how many simulated sets of images the 95 % interval of a score holds what it should.

    python benchmarks/intervals.py  # all scores but the dear ones, an hour on two cores
    python benchmarks/intervals.py --scores mig,mcc --sets 50
    python benchmarks/intervals.py --scores dci --rows 150 --resamplings 12

Sets are drawn from populations that are known, so that the mean of a score over sets of as many
images is known, too, from further sets, and its limit from one set of many. Each set has an
interval by `zoo.evaluation.intervals`. With `--percentile` the percentile interval of the
bootstrap, with replacement, stands beside it.
"""

import argparse
import functools
import inspect
import time
import warnings

import numpy as np
from scipy.stats import t

from zoo import evaluation
from zoo.evaluation import facts, intervals

SIZES = np.array((3, 5, 8))
KINDS = ("clear", "mixed", "noise")
# Scores of codes and factors, in another form after a colon; what takes long is left to be asked.
FORMS = {
    "mig:knn": {"estimator": "knn"},
    "modularity:knn": {"estimator": "knn"},
    "mig:symbols": {"discrete_codes": True},
    "factor_vae_score": {"num_train": 300, "num_eval": 150, "batch_size": 16},
    "beta_vae_score": {"num_train": 300, "num_eval": 150, "batch_size": 16},
    "disentanglement_score": {"categorical": False},
}
CHEAP = (
    "mig", "mig:symbols", "mig:knn", "modularity", "modularity:knn", "jemmig", "dcimig", "mig_sup",
    "med", "irs", "mcc", "lms_spearman", "weak_mcc", "affine_r2", "cca",
    "gaussian_total_correlation", "gaussian_wasserstein_correlation", "average_mutual_information",
    "dto", "ima_contrast", "ari", "foreground_ari", "mbo", "miou", "reconstruction_rmse",
)  # fmt: skip
LIMIT_ROWS = 100_000


def draw(generator: np.random.Generator, rows: int, kind: str) -> dict:
    """What scores need, of `rows` images: codes that are clear, mixed up, or only noise."""
    factors = generator.integers(SIZES, size=(rows, 3))
    latents = (factors + 0.5) / SIZES * 2 - 1
    noise = {"clear": 0.1, "mixed": 0.3, "noise": 1.0}[kind]
    turn = np.array([[0.9, -0.5, 0.0], [0.5, 0.9, 0.0], [0.0, 0.0, 1.0]])
    mixing = {"clear": np.eye(3), "mixed": turn, "noise": np.zeros((3, 3))}[kind]
    codes = latents @ mixing + noise * generator.normal(size=latents.shape)
    few = min(rows, 100)
    jacobians = np.diag([1.0, 2.0, 3.0]) + noise * generator.normal(size=(few, 3, 3))
    masks = generator.integers(3, size=(few, 1, 1)) * (np.indices((8, 8)).sum(0) > 6)
    wrong = generator.random(masks.shape) < noise * generator.random((few, 1, 1))
    images = generator.random((rows, 3))
    return {
        "codes": codes,
        "factors": factors,
        "targets": factors,
        "latents": latents,
        "jacobians": jacobians,
        "masks": masks,
        "predicted_masks": np.where(wrong, generator.integers(3, size=masks.shape), masks),
        "images": images,
        "reconstructions": images + noise * generator.normal(size=(rows, 1)),
    }


def population(kind: str, form: str):
    """Draws what a score needs: a function of a generator and a number of training rows."""
    name, _, variant = form.partition(":")
    needs = facts.of(name).needs

    def sample(generator: np.random.Generator, rows: int) -> list:
        train = draw(generator, rows, kind)
        test = draw(generator, rows // 2, kind)
        every = {**train, **{f"{name}_test": array for name, array in test.items()}}
        every |= {"sizes": tuple(SIZES), "categorical": False}
        every["represent"] = functools.partial(_represent, kind=kind)
        if variant == "symbols":
            every["codes"] = np.round(4 * every["codes"])
        return [every[need] for need in needs]

    return sample


def _represent(factors: np.ndarray, kind: str) -> np.ndarray:
    """Codes of factors, always the same."""
    table = _table(kind)
    return table[np.ravel_multi_index(tuple(factors.T), SIZES)]


@functools.cache
def _table(kind: str) -> np.ndarray:
    generator = np.random.default_rng(0)
    grid = np.stack(np.unravel_index(np.arange(np.prod(SIZES)), SIZES), axis=1)
    latents, noise = (grid + 0.5) / SIZES * 2 - 1, {"clear": 0.1, "mixed": 0.5, "noise": 9.0}[kind]
    return latents + noise * generator.normal(size=latents.shape)


def coverage(
    form: str, kind: str, rows: int, sets: int, resamplings: int, percentile: bool
) -> dict:
    """Shares of the sets whose intervals hold the mean and the limit, and the deviations."""
    name = form.partition(":")[0]
    function, known, options = getattr(evaluation, name), facts.of(name), dict(FORMS.get(form, {}))
    options.pop("categorical", None)
    sample, generator = population(kind, form), np.random.default_rng(1)

    def settings(number: int) -> dict:
        return options | ({"seed": number} if known.interventional else {})

    def score(number: int, needed: list) -> float:
        return function(*needed, **settings(number))["score"]

    truth = np.mean([score(10**6 + i, sample(generator, rows)) for i in range(2 * sets)])
    many = LIMIT_ROWS if form in CHEAP and "knn" not in form else None
    limit = score(0, sample(generator, many)) if many else np.nan
    values, ends, percentiles = [], [], []
    for number in range(sets):
        needed = sample(generator, rows)
        values.append(score(number, needed))
        how = needed, settings(number), values[-1], resamplings, number
        ends.append(intervals.interval(function, known, *how))
        if percentile and not known.interventional:
            again = [score(number, _again(known, needed, generator)) for _ in range(resamplings)]
            percentiles.append(np.quantile(again, (0.025, 0.975)))
    low, high = np.transpose(ends)
    quantile = 2 * t.ppf(0.975, resamplings - 1)
    return {
        "mean": truth,
        "limit": limit,
        "deviation": np.std(values, ddof=1),
        "estimated": np.mean(high - low) / quantile,
        "holds mean": np.mean((low <= truth) & (truth <= high)),
        "holds limit": np.mean((low <= limit) & (limit <= high)) if many else np.nan,
    } | ({"percentile": np.mean([a <= truth <= b for a, b in percentiles])} if percentiles else {})


def _again(known: facts.Facts, needed: list, generator: np.random.Generator) -> list:
    """The same images drawn with replacement, training and test halves apart."""
    rows = {}
    drawn = []
    for need, array in zip(known.needs, needed, strict=True):
        if need == "categorical":
            drawn.append(array)
            continue
        half = need.endswith("_test")
        rows.setdefault(half, generator.integers(len(array), size=len(array)))
        drawn.append(array[rows[half]])
    return drawn


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=inspect.getdoc(inspect.getmodule(main)))
    parser.add_argument("--scores", default=",".join(CHEAP), help="comma-separated")
    parser.add_argument("--kinds", default=",".join(KINDS), help="populations of codes")
    parser.add_argument("--rows", type=int, default=600, help="of training; half as many of test")
    parser.add_argument("--sets", type=int, default=200)
    parser.add_argument("--resamplings", type=int, default=20)
    parser.add_argument("--percentile", action="store_true", help="the usual interval, too")
    options = parser.parse_args()
    how = options.rows, options.sets, options.resamplings, options.percentile
    warnings.simplefilter("ignore")
    print(f"{options.rows} rows, {options.sets} sets, {options.resamplings} resamplings")
    for kind in options.kinds.split(","):
        for form in options.scores.split(","):
            start = time.perf_counter()
            found = coverage(form, kind, *how)
            numbers = "  ".join(f"{key} {value:.4f}" for key, value in found.items())
            seconds = time.perf_counter() - start
            print(f"{form:34} {kind:6} {numbers}  ({seconds:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
