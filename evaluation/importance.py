"""Disentanglement, completeness and informativeness."""

import numpy as np

from zoo.evaluation import boosting, checks, facts
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
    codes, factors, codes_test, factors_test, predictor: str = "gbt", seed: int = 0
) -> dict[str, float | np.ndarray]:
    """DCI disentanglement: whether each code matters for one factor only, to boosted trees.

    Defined in Eastwood & Williams 2018, sec. 2.

    One classifier a factor gives the importance `R[d, f]` of each code. The disentanglement of a
    code is `1 - H_F(R[d] / sum R[d])` with the entropy to base F, the completeness of a factor
    `1 - H_D(R[:, f] / sum R[:, f])` to base D; both are averaged with the shares of the total
    importance as weights. Informativeness is the mean accuracy. One factor (or code) alone counts
    as one beside another that nothing depends on.

    Args:
        codes: `[N, D]` real codes to fit on.
        factors: `[N, F]` their factor indices.
        codes_test: `[M, D]` codes to score informativeness on.
        factors_test: `[M, F]` their factor indices.
        predictor: `gbt`, or `sklearn`: scikit-learn's `GradientBoostingClassifier` with its
            defaults, which `gbt` reproduces in a small part of the time, above 4,096 rows up to
            the binning of codes (see `zoo.evaluation.boosting`), which lowers
            `informativeness_train` most.
        seed: of scikit-learn's choice between equal splits; `gbt` has no randomness.

    Returns:
        `score`, which is `disentanglement`; `completeness`; `informativeness_train` and
        `informativeness_test`, all in [0, 1]; `importance` `[D, F]`, columns of sum 1;
        `per_code` `[D]` disentanglement; `per_factor` `[F]` completeness.

    Raises:
        InputError: see `checks.codes_and_factors`; an unknown predictor.
    """
    if predictor not in _PREDICTORS:
        raise InputError(f"no predictor is named {predictor!r}: choose {' or '.join(_PREDICTORS)}")
    parts = checks.train_and_test(codes, factors, codes_test, factors_test)
    codes, factors, codes_test, factors_test = parts
    # Scikit-learn's trees ignore differences up to 1e-7.
    codes, codes_test = checks.comparable(codes, codes_test)

    def one(f: int):
        importance, train, test = _PREDICTORS[predictor](codes, factors[:, f], codes_test, seed)
        return importance, np.mean(train == factors[:, f]), np.mean(test == factors_test[:, f])

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


def _boosted(codes, factor, codes_test, seed):
    del seed
    return boosting.fit_predict(codes, factor, codes_test)


def _sklearn(codes, factor, codes_test, seed):
    from sklearn.ensemble import GradientBoostingClassifier

    model = GradientBoostingClassifier(random_state=seed).fit(codes, factor)
    return np.abs(model.feature_importances_), model.predict(codes), model.predict(codes_test)


_PREDICTORS = {"gbt": _boosted, "sklearn": _sklearn}


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
