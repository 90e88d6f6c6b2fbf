"""Disentanglement, completeness and informativeness."""

from collections.abc import Sequence

import numpy as np

from zoo.evaluation import boosting, checks, facts
from zoo.evaluation.columns import determination
from zoo.evaluation.errors import InputError
from zoo.evaluation.parallel import over_factors


@facts.score(
    needs=("codes", "factors", "codes_test", "factors_test"),
    source="Eastwood & Williams 2018",
    higher_is_better=True,
    range=(0, 1),
    suites=facts.STANDARD,
    axes={"importance": "latent factor", "per_code": "latent", "per_factor": "factor"},
)
def dci(
    codes,
    factors,
    codes_test,
    factors_test,
    predictor: str = "gbt",
    seed: int = 0,
    categorical: bool | Sequence[bool] = True,
) -> dict[str, float | np.ndarray]:
    """DCI disentanglement: whether each code matters for one factor only, to boosted trees.

    Defined in Eastwood & Williams 2018, sec. 2.

    One classifier a factor gives the importance `R[d, f]` of each code. The disentanglement of a
    code is `1 - H_F(R[d] / sum R[d])` with the entropy to base F, the completeness of a factor
    `1 - H_D(R[:, f] / sum R[:, f])` to base D; both are averaged with the shares of the total
    importance as weights. Informativeness is the mean over factors of the accuracy. One factor (or
    code) alone counts as one beside another that nothing depends on.

    A quantity (not `categorical`) has a regression in place of the classifier, on the squared
    error, and its informativeness is the share of the variance that is explained, R2, at least 0:
    one minus the squared error over that of the mean, of which the paper reports the root.

    Args:
        codes: `[N, D]` real codes to fit on.
        factors: `[N, F]` their factor indices; any numbers where not categorical.
        codes_test: `[M, D]` codes to score informativeness on.
        factors_test: `[M, F]` their factors.
        predictor: `gbt`, or `sklearn`: scikit-learn's `GradientBoostingClassifier` (of quantities
            `GradientBoostingRegressor`) with its defaults, which `gbt` reproduces in a small part
            of the time, above 4,096 rows up to the binning of codes (see
            `zoo.evaluation.boosting`), which lowers `informativeness_train` most.
        seed: of scikit-learn's choice between equal splits; `gbt` has no randomness.
        categorical: which factors are values to be told apart, rather than quantities: one flag or
            `[F]` flags.

    Returns:
        `score`, which is `disentanglement`; `completeness`; `informativeness_train` and
        `informativeness_test`, all in [0, 1]; `importance` `[D, F]`, columns of sum 1;
        `per_code` `[D]` disentanglement; `per_factor` `[F]` completeness.

    Raises:
        InputError: see `checks.codes_and_factors`; an unknown predictor.
    """
    if predictor not in _PREDICTORS:
        raise InputError(f"no predictor is named {predictor!r}: choose {' or '.join(_PREDICTORS)}")
    parts, flags = checks.of_kinds(codes, factors, codes_test, factors_test, categorical)
    codes, factors, codes_test, factors_test = parts
    # Scikit-learn's trees ignore differences up to 1e-7.
    codes, codes_test = checks.comparable(codes, codes_test)

    def one(f: int):
        predict, agreement = _PREDICTORS[predictor][int(flags[f])]
        importance, train, test = predict(codes, factors[:, f], codes_test, seed)
        return importance, agreement(factors[:, f], train), agreement(factors_test[:, f], test)

    importance, train, test = zip(*over_factors(one, factors), strict=True)
    importance = np.stack(importance, axis=1)
    per_code, per_factor = concentration(importance), concentration(importance.T)
    disentanglement = weighted_mean(per_code, importance.sum(1))
    return {
        "score": disentanglement,
        "disentanglement": disentanglement,
        "completeness": weighted_mean(per_factor, importance.sum(0)),
        "informativeness_train": float(np.mean(train)),
        "informativeness_test": float(np.mean(test)),
        "importance": importance,
        "per_code": per_code,
        "per_factor": per_factor,
    }


def _accuracy(truth: np.ndarray, guess: np.ndarray) -> float:
    return float(np.mean(truth == guess))


def _boosted(codes, factor, codes_test, seed):
    del seed
    return boosting.fit_predict(codes, factor, codes_test)


def _boosted_quantity(codes, factor, codes_test, seed):
    del seed
    return boosting.fit_predict_quantity(codes, factor, codes_test)


def _sklearn(codes, factor, codes_test, seed):
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(random_state=seed).fit(codes, factor)
    return np.abs(model.feature_importances_), model.predict(codes), model.predict(codes_test)


def _sklearn_quantity(codes, factor, codes_test, seed):
    from sklearn.ensemble import GradientBoostingRegressor

    mean, spread = factor.mean(), factor.std()
    model = GradientBoostingRegressor(random_state=seed).fit(codes, (factor - mean) / spread)
    train, test = (mean + spread * model.predict(rows) for rows in (codes, codes_test))
    return np.abs(model.feature_importances_), train, test


# For quantities and for categories, each with how far it agrees with the truth.
_PREDICTORS = {
    "gbt": ((_boosted_quantity, determination), (_boosted, _accuracy)),
    "sklearn": ((_sklearn_quantity, determination), (_sklearn, _accuracy)),
}


def concentration(importance: np.ndarray) -> np.ndarray:
    """`[n]`: one minus the entropy of each row of `[n, m]`, to base m; 0 for a row of zeros."""
    if importance.shape[1] == 1:
        importance = np.pad(importance, ((0, 0), (0, 1)))
    # The offset, as in disentanglement_lib, makes a code that nobody uses uniform.
    share = importance + 1e-11
    share = share / share.sum(1, keepdims=True)
    entropy = -(share * np.log(share)).sum(1) / np.log(importance.shape[1])
    return np.clip(1 - entropy, 0.0, 1.0)


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> float:
    return float(np.average(values, weights=weights if weights.sum() > 0 else None))
