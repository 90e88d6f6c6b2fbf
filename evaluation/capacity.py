"""Scores of how much capacity a predictor needs to use the codes."""

from collections.abc import Sequence

import numpy as np

from zoo.evaluation import checks, facts
from zoo.evaluation.errors import InputError
from zoo.evaluation.parallel import over_factors
from zoo.evaluation.regressors import Standardisation

# By family: the sizes of its probes, and whether capacity is the logarithm of their parameters.
_SIZES = {
    "linear": (0, 8, 32, 128, 512),
    "mlp": (0, 2, 4, 8, 16, 32, 64),
    "forest": (1, 2, 4, 8, 16),
}


@facts.score(
    needs=("codes", "factors", "codes_test", "factors_test"),
    settings=("seed",),
    source="Eastwood et al. 2023",
    higher_is_better=True,
    range=(-1, 1),
    axes={"per_factor": "factor", "informativeness": "factor"},
)
def dci_es(
    codes,
    factors,
    codes_test,
    factors_test,
    probe: str = "mlp",
    seed: int = 0,
    categorical: bool | Sequence[bool] = True,
    sizes: Sequence[int] | None = None,
    max_rows: int = 2000,
) -> dict:
    """DCI-ES explicitness: how little capacity a predictor needs to tell the factors from codes.

    Defined in Eastwood et al. 2023 (DCI-ES, arXiv 2210.00364), as their published code computes it.

    Probes of growing capacity k predict a factor; l(k) is the least test loss up to k: the error
    rate, of a quantity `1 - R2`, at most that of the best constant guess, l_b. A factor's
    explicitness is `1 - 2 A / ((k_max - k_min) l_b)`, with the area A between l and its minimum by
    the trapezoidal rule: 1 where the smallest probe does as well as any, 0 where the loss falls
    from l_b to 0 in a straight line, less where it falls late. By that formula codes that tell
    nothing would have 1, because no capacity helps; here a factor that no probe tells better than
    the best constant guess has 0.

    Each factor has probes of its own, on standardised codes:

    - `linear`: logistic or linear regression (size 0), then with so many random Fourier features
      beside the codes, of the frequencies of a Gaussian kernel of width 1;
    - `mlp`: the same regressions (size 0), then one hidden layer of so many units, by Adam;
    - `forest`: 100 random trees of so many levels.

    Capacity is the logarithm of the number of parameters, for forests the number of levels. A
    hidden layer of few units has fewer parameters than the regression of many codes to many values:
    probes are ordered by their capacity, not by their size. Scores are comparable for the same
    family, sizes and rows only.

    Args:
        codes: `[N, D]` real codes to fit on.
        factors: `[N, F]` their factor indices; any numbers where not categorical.
        codes_test: `[M, D]` codes that losses are computed on.
        factors_test: `[M, F]` their factors.
        probe: the family.
        seed: of the features, networks and trees, and of the choice of rows.
        categorical: which factors are values to be told apart, rather than quantities: one flag or
            `[F]` flags.
        sizes: at least two, growing; None for those of the family in this module.
        max_rows: of more training rows a random subset of this size is fitted.

    Returns:
        `score`, the mean of `per_factor` `[F]`, in (-1, 1]; `size`, the number of factors over that
        of codes, 1 where there are no more than needed; `informativeness` `[F]`, one minus the
        least loss; `losses` and `capacities` `[sizes, F]`; `baseline` `[F]`, l_b.

    Raises:
        InputError: see `checks.train_and_test`; an unknown family; sizes that do not grow, or whose
            probes have equally many parameters.
    """
    if probe not in _SIZES:
        raise InputError(f"no probe is named {probe!r}: choose {', '.join(_SIZES)}")
    sizes = tuple(_SIZES[probe] if sizes is None else sizes)
    checks.whole(int(probe == "forest"), **{f"sizes[{i}]": size for i, size in enumerate(sizes)})
    if len(sizes) < 2 or list(sizes) != sorted(set(sizes)):
        raise InputError(f"sizes are {sizes}: give at least two, growing")
    checks.whole(2, max_rows=max_rows)
    parts, flags = checks.of_kinds(codes, factors, codes_test, factors_test, categorical)
    codes, factors, codes_test, factors_test = parts
    rows = np.random.default_rng(seed).permutation(len(codes))[:max_rows]
    codes, factors = codes[rows], factors[rows]
    standardise = Standardisation(codes)
    codes, codes_test = standardise(codes), standardise(codes_test)

    def curve(f: int) -> np.ndarray:
        return np.array(
            [_probed(probe, size, codes, factors[:, f], codes_test, factors_test[:, f], flags[f],
                     seed) for size in sizes]
        )  # fmt: skip

    capacities, losses = np.stack(over_factors(curve, factors), axis=2).transpose(1, 0, 2)
    columns = zip(factors.T, factors_test.T, flags, strict=True)
    baseline = np.array([_baseline(*column) for column in columns])
    losses = np.minimum(losses, baseline)
    curves = zip(capacities.T, losses.T, baseline, strict=True)
    per_factor = np.array([explicitness_of_curve(*each) for each in curves])
    return {
        "score": float(per_factor.mean()),
        "per_factor": per_factor,
        "size": factors.shape[1] / codes.shape[1],
        "informativeness": 1 - losses.min(0),
        "losses": losses,
        "capacities": capacities,
        "baseline": baseline,
    }


def explicitness_of_curve(capacities, losses, baseline: float) -> float:
    """The explicitness of one loss-capacity curve; see `dci_es`.

    Args:
        capacities: `[n]`, in any order.
        losses: `[n]`, at most `baseline`, in the same order.
        baseline: the loss of the best constant guess.

    Raises:
        InputError: some probe tells the factor, and all are of one capacity.
    """
    order = np.argsort(capacities, kind="stable")
    capacities, losses = np.asarray(capacities)[order], np.asarray(losses)[order]
    least = np.minimum.accumulate(losses)
    if least[-1] >= baseline:
        return 0.0
    if capacities[0] == capacities[-1]:
        raise InputError("all probes have equally many parameters: give other sizes")
    heights = least - least[-1]
    area = (np.diff(capacities) * (heights[1:] + heights[:-1]) / 2).sum()
    return float(1 - 2 * area / ((capacities[-1] - capacities[0]) * baseline))


def _baseline(factor: np.ndarray, factor_test: np.ndarray, categorical: bool) -> float:
    """The test loss of the value that is commonest in training; 1 for a quantity."""
    if not categorical:
        return 1.0
    values, counts = np.unique(factor, return_counts=True)
    return float(np.mean(factor_test != values[counts.argmax()]))


def _probed(
    family: str, size: int, codes, factor, codes_test, factor_test, categorical: bool, seed: int
) -> tuple[float, float]:
    """The capacity and the test loss of one probe of one factor."""
    outputs = len(np.unique(factor)) if categorical else 1
    inputs = codes.shape[1]
    if family == "linear" and size:
        generator = np.random.default_rng(seed)
        frequencies = generator.normal(size=(inputs, size))
        phases = generator.uniform(0, 2 * np.pi, size)
        codes, codes_test = (
            np.concatenate([c, np.cos(c @ frequencies + phases)], axis=1)
            for c in (codes, codes_test)
        )
    if (factor == factor[0]).all():  # `max_rows` can leave a rare value out.
        guess = np.full(len(codes_test), factor[0])
    else:
        guess = _model(family, size, categorical, seed).fit(codes, factor).predict(codes_test)
    if categorical:
        loss = np.mean(guess != factor_test)
    else:
        spread = np.square(factor_test - factor_test.mean()).sum()
        loss = np.square(factor_test - guess).sum() / spread
    if family == "forest":
        return size, float(loss)
    if family == "mlp" and size:
        parameters = (inputs + 1) * size + (size + 1) * outputs
    else:
        parameters = (inputs + size + 1) * outputs
    return float(np.log(parameters)), float(loss)


def _model(family: str, size: int, categorical: bool, seed: int):
    if family == "forest":
        from sklearn import ensemble

        kind = ensemble.RandomForestClassifier if categorical else ensemble.RandomForestRegressor
        return kind(max_depth=size, random_state=seed)
    if family == "mlp" and size:
        from sklearn import neural_network

        kind = neural_network.MLPClassifier if categorical else neural_network.MLPRegressor
        return kind((size,), learning_rate_init=0.01, random_state=seed)
    from sklearn import linear_model

    return linear_model.LogisticRegression() if categorical else linear_model.LinearRegression()
