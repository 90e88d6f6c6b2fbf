"""Gradient boosting of trees, as scikit-learn's but many times faster.

The trees are grown by LightGBM; what they are grown on, and their leaf values, are those of
`sklearn.ensemble.GradientBoostingClassifier` with its defaults: 100 rounds of one tree of depth 3
a class (one in all for two classes), learning rate 0.1. Quantities have one tree a round, on the
squared error, as `sklearn.ensemble.GradientBoostingRegressor`. LightGBM's own multi-class objective
weighs its splits by the curvature of the loss, and so gives other importances. Here it is given a
curvature of one: the gain of a split is then the decrease of the squared residual, which
scikit-learn uses, and the Newton step of each leaf is taken by this module.
"""

import numpy as np

_ROUNDS = 100
_DEPTH = 3
_LEARNING_RATE = 0.1
# Up to so many rows each may have a bin of its own, as in exact split search. For more rows 63 bins
# were chosen, of 32 to 1023, as nearest to exact search in disentanglement and completeness on the
# kinds of codes in benchmarks/metrics.py at 10,000 rows; accuracy on training rows is lower.
_EXACT_ROWS = 4096
_BINS = 63


def fit_predict(
    codes: np.ndarray, factor: np.ndarray, codes_test: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fits one factor and predicts it; deterministic, on one thread.

    Args:
        codes: `[N, D]` training codes.
        factor: `[N]` their factor indices, at least two different ones.
        codes_test: `[M, D]` codes to predict from.

    Returns:
        `[D]` importances, non-negative, of sum 1 (0 where no split helps); `[N]` and `[M]`
        predicted factor indices.
    """
    rows = len(codes)
    values, labels = np.unique(factor, return_inverse=True)
    share = np.bincount(labels) / rows
    if len(values) == 2:
        target = labels[None].astype(np.float32)
        start = np.log(share[1:] / share[:1])
    else:
        target = (np.arange(len(values))[:, None] == labels).astype(np.float32)
        start = np.log(share)
    every = np.concatenate([codes, codes_test])
    # [trees a round, N + M]: the classes' scores, kept here because only the leaves' rows are
    # asked of LightGBM.
    scores = np.repeat(start[:, None].astype(np.float32), len(every), axis=1)
    importance = _boost(every, rows, target, scores)
    chosen = scores.argmax(0) if len(values) > 2 else (scores[0] >= 0).astype(int)
    return importance, values[chosen[:rows]], values[chosen[rows:]]


def fit_predict_quantity(
    codes: np.ndarray, factor: np.ndarray, codes_test: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `fit_predict`, for a factor `[N]` that is a quantity."""
    import lightgbm

    rows, mean, spread = len(codes), factor.mean(), factor.std()
    every = np.concatenate([codes, codes_test])
    if not (np.ptp(codes, axis=0) > 0).any():
        return np.zeros(codes.shape[1]), np.full(rows, mean), np.full(len(codes_test), mean)
    options = _options(rows) | {
        "objective": "regression",
        "boost_from_average": True,
        "learning_rate": _LEARNING_RATE,
    }
    data = lightgbm.Dataset(codes, (factor - mean) / spread, params=options)
    booster = lightgbm.train(options, data, _ROUNDS)
    predicted = mean + spread * booster.predict(every, num_threads=1)
    return _importance(booster), predicted[:rows], predicted[rows:]


def _boost(every, rows, target, scores) -> np.ndarray:
    """Adds all rounds to `scores` in place and returns the `[D]` importances."""
    import lightgbm

    trees = len(target)
    varies = np.ptp(every[:rows], axis=0) > 0
    if not varies.any():
        return np.zeros(every.shape[1])
    options = _options(rows) | {
        "objective": "none",
        "num_class": trees,
        "boost_from_average": False,
        "learning_rate": 1.0,
    }
    booster = lightgbm.Booster(options, lightgbm.Dataset(every[:rows], params=options))
    ones = np.ones(target.size, np.float32)
    first_leaf = np.arange(trees)[:, None] * 2**_DEPTH
    leaves = trees * 2**_DEPTH
    for turn in range(_ROUNDS):
        chance = _probability(scores[:, :rows])
        residual = target - chance
        # Flat, one tree's rows after the other's, is how LightGBM keeps them.
        stuck = booster.update(fobj=lambda *_, r=residual: (-r.ravel(), ones))
        if stuck:
            break
        leaf = booster.predict(
            every, start_iteration=turn, num_iteration=1, pred_leaf=True, num_threads=1
        )
        leaf = leaf.reshape(len(every), trees).T.astype(np.intp, order="C") + first_leaf
        curvature = chance * (1 - chance)
        trained = leaf[:, :rows].ravel()
        slope = np.bincount(trained, residual.ravel(), leaves)
        bend = np.bincount(trained, curvature.ravel(), leaves)
        step = np.divide(slope, bend, out=np.zeros(leaves), where=bend > 1e-30)
        if trees > 1:
            step *= (trees - 1) / trees
        scores += (_LEARNING_RATE * step).astype(np.float32)[leaf]
    return _importance(booster)


def _options(rows: int) -> dict:
    """What LightGBM is told for any factor, of so many training rows."""
    return {
        "max_depth": _DEPTH,
        "num_leaves": 2**_DEPTH,
        "min_data_in_leaf": 1,
        "min_sum_hessian_in_leaf": 0.0,
        "max_bin": rows if rows <= _EXACT_ROWS else _BINS,
        "min_data_in_bin": 1,
        "feature_pre_filter": False,
        "use_missing": False,
        "force_col_wise": True,
        "num_threads": 1,
        "verbose": -1,
    }


def _importance(booster) -> np.ndarray:
    gain = booster.feature_importance("gain").astype(np.float64)
    return gain / gain.sum() if gain.sum() > 0 else gain


def _probability(scores: np.ndarray) -> np.ndarray:
    """`[K, N]` softmax over classes, or the sigmoid where there is one row."""
    if len(scores) == 1:
        return 0.5 * (1 + np.tanh(0.5 * scores))
    power = np.exp(scores - scores.max(0))
    return power / power.sum(0)
