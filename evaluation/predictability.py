"""Scores from how well codes predict factors, by classifiers of the published kinds."""

from collections.abc import Sequence

import numpy as np

from zoo.evaluation import checks, facts
from zoo.evaluation.columns import determination
from zoo.evaluation.errors import InputError
from zoo.evaluation.information import top_two_gap
from zoo.evaluation.parallel import over_factors
from zoo.evaluation.regressors import Standardisation

# The solver of support vector machines never ends on squares that overflow.
_LARGEST_IN_MACHINES = 1e60


@facts.score(
    needs=("codes", "factors", "codes_test", "factors_test"),
    source="Kumar et al. 2018",
    higher_is_better=True,
    range=(0, 1),
    suites=facts.STANDARD,
    axes={"per_factor": "factor", "predictability": "latent factor"},
)
def sap(
    codes, factors, codes_test, factors_test, continuous: bool = False
) -> dict[str, float | np.ndarray]:
    """Separated attribute predictability: the gap of the two codes that predict a factor best.

    Defined in Kumar et al. 2018, sec. 3.

    For each factor the difference of the two largest entries of `S[:, f]`, averaged over factors.
    `S[d, f]` is the test accuracy of a linear support vector machine (C = 0.01, balanced class
    weights) on code d alone or, for continuous factors, the squared correlation on the training
    rows, 0 where the variance of the code is at most 1e-12.

    As published, the machine sees the codes as they are: its penalty weighs more on small codes
    and its bias is penalised too, so that the score depends on their scale and offset (codes far
    below 1 are not separated at all). One code alone is compared with 0, so that codes that know
    nothing then score the chance level, the share of the commonest value or less.

    Args:
        codes: `[N, D]` real codes to fit on.
        factors: `[N, F]` their factor indices; any numbers if `continuous`.
        codes_test: `[M, D]` codes to score on; not used if `continuous`.
        factors_test: `[M, F]` their factors.
        continuous: whether factors are ordered quantities.

    Returns:
        `score` in [0, 1]; `per_factor` `[F]`; `predictability` `[D, F]`.

    Raises:
        InputError: see `checks.train_and_test`; codes beyond 1e60; flags of single factors.
    """
    if not isinstance(continuous, bool | np.bool_):
        raise InputError(
            f"continuous is {continuous!r}: give True or False for all factors, and score factors "
            "of different kinds apart"
        )
    codes, factors, codes_test, factors_test = checks.train_and_test(
        codes, factors, codes_test, factors_test, continuous
    )
    if not continuous and np.abs(codes).max() > _LARGEST_IN_MACHINES:
        raise InputError(f"codes holds numbers beyond {_LARGEST_IN_MACHINES:g}: scale them down")
    if continuous:
        predictability = _squared_correlation(codes, factors)
    else:

        def accuracies(f: int) -> np.ndarray:
            from sklearn.svm import LinearSVC

            column = np.zeros(codes.shape[1])
            for d in range(codes.shape[1]):
                # The primal problem has one well-defined solution; the dual solver is random.
                model = LinearSVC(C=0.01, class_weight="balanced", dual=False)
                model.fit(codes[:, d : d + 1], factors[:, f])
                column[d] = np.mean(model.predict(codes_test[:, d : d + 1]) == factors_test[:, f])
            return column

        predictability = np.stack(over_factors(accuracies, factors), axis=1)
    per_factor = top_two_gap(predictability)
    return {
        "score": float(per_factor.mean()),
        "per_factor": per_factor,
        "predictability": predictability,
    }


@facts.score(
    needs=("codes", "factors", "codes_test", "factors_test"),
    source="Ridgeway & Mozer 2018",
    higher_is_better=True,
    range=(0, 1),
    chance=0.5,
    suites=facts.STANDARD,
    axes={"per_factor": "factor", "per_factor_train": "factor"},
)
def explicitness(
    codes,
    factors,
    codes_test,
    factors_test,
    categorical: bool | Sequence[bool] = True,
) -> dict[str, float | np.ndarray]:
    """Explicitness: how easily all codes together tell a factor.

    Defined in Ridgeway & Mozer 2018, sec. 3.

    A logistic regression on standardised codes predicts each factor; the area under its ROC curve,
    one value against the rest, is averaged over the values and then over the factors. Values that
    the test part lacks, and those that the training part lacks, are left out: the area of a value
    needs both.

    A quantity (not `categorical`) has a linear regression by least squares instead, and R2, the
    share of its variance that is explained, at least 0, whose chance level is 0. The mean over
    factors of both kinds has a chance level between these.

    Args:
        codes: `[N, D]` real codes to fit on.
        factors: `[N, F]` their factor indices; any numbers where not categorical.
        codes_test: `[M, D]` codes to score on.
        factors_test: `[M, F]` their factors.
        categorical: which factors are values to be told apart, rather than quantities: one flag or
            `[F]` flags.

    Returns:
        `score`, which is `explicitness_test`, and `explicitness_train`, in [0, 1] (0.5 is chance,
        0 for quantities); `per_factor` `[F]` on the test part, `per_factor_train` `[F]`.

    Raises:
        InputError: see `checks.codes_and_factors`.
    """
    parts, flags = checks.of_kinds(
        codes, factors, codes_test, factors_test, categorical, unseen=True
    )
    codes, factors, codes_test, factors_test = parts
    standardise = Standardisation(codes)
    codes, codes_test = standardise(codes), standardise(codes_test)

    def agreements(f: int) -> tuple[float, float]:
        if not flags[f]:
            mean, spread = factors[:, f].mean(), factors[:, f].std()
            weights = np.linalg.lstsq(codes, (factors[:, f] - mean) / spread, rcond=None)[0]
            guesses = (mean + spread * (rows @ weights) for rows in (codes, codes_test))
            return tuple(map(determination, (factors[:, f], factors_test[:, f]), guesses))
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression().fit(codes, factors[:, f])
        train = _area(model.predict_proba(codes), factors[:, f], model.classes_)
        return train, _area(model.predict_proba(codes_test), factors_test[:, f], model.classes_)

    train, test = np.array(over_factors(agreements, factors)).T
    return {
        "score": float(test.mean()),
        "explicitness_train": float(train.mean()),
        "explicitness_test": float(test.mean()),
        "per_factor": test,
        "per_factor_train": train,
    }


@facts.score(
    needs=("codes", "targets", "categorical"),
    source="Zietlow 2022",
    higher_is_better=True,
    suites=facts.STANDARD,
    axes={"per_factor": "factor", "sensitivity": "latent factor"},
)
def disentanglement_score(
    codes, factors, categorical: bool | Sequence[bool], seed: int = 0, neighbours: int = 5
) -> dict[str, float | np.ndarray]:
    """Disentanglement score DS: the gap of the codes that predict a factor best, by neighbours.

    Defined in Zietlow 2022, eq. 3.32-3.37.

    For each factor `(A_first - A_second) / M`, of the two codes that predict it best, averaged.
    The predictors are k nearest neighbours on one code, fitted on 80 % of the rows and scored on
    the others. A quantity w has `A = std(w) - RMSE`, at least 0 (a code that knows nothing does
    worse than a constant), and `M = std(w)`; a category has the accuracy and that of the best
    constant guess. The latter lets a category that is known exceed 1, by the published formula;
    `bounded` divides by `1 - M` there, the largest possible gain over guessing.

    One code alone is compared with 0: for a quantity codes that know nothing then score about 0,
    but for a category about 1, the accuracy of guessing over that of the best constant guess. For
    `bounded` it is compared with that constant guess: a code that knows nothing has 0.

    Args:
        codes: `[N, D]` real codes.
        factors: `[N, F]` factor indices, or any numbers where not categorical.
        categorical: which factors have no order, one flag or `[F]` flags.
        seed: of the split into 80 % and 20 %.
        neighbours: k.

    Returns:
        `score`, not negative; `bounded` in [0, 1]; `per_factor` `[F]`; `sensitivity` `[D, F]`.

    Raises:
        InputError: see `checks.codes_and_factors`; too few rows, or a factor constant in a part.
    """
    factors = checks.varying(factors, "factors", "[N, F]")
    flags = checks.flags(categorical, "categorical", factors.shape[1])
    codes, factors = checks.codes_and_factors(codes, factors, continuous=~flags)
    checks.whole(1, neighbours=neighbours)
    order = np.random.default_rng(seed).permutation(len(codes))
    fit, held = np.split(order, [int(0.8 * len(codes))])
    if len(fit) < neighbours or len(held) < 2:
        raise InputError(
            f"{len(codes)} rows are too few for {neighbours} neighbours on 80 % of them"
        )
    truth = factors[held]
    constant = (truth == truth[0]).all(0)
    if constant.any():
        raise InputError(
            f"factors column {constant.argmax()} is constant among the 20 % scored: give more rows"
        )
    scale = np.where(flags, _majority(truth), truth.std(0))
    sensitivity = np.stack(
        [_sensitivity(c[fit], factors[fit], c[held], truth, flags, neighbours) for c in codes.T]
    )
    gap = top_two_gap(sensitivity)
    gain = np.maximum(gap - scale * flags, 0.0) if len(sensitivity) == 1 else gap
    return {
        "score": float((gap / scale).mean()),
        "bounded": float(np.minimum(gain / np.where(flags, 1 - scale, scale), 1.0).mean()),
        "per_factor": gap / scale,
        "sensitivity": sensitivity,
    }


def _squared_correlation(codes, factors):
    # The squares of large or tiny factors would leave the range of float64.
    (factors,) = checks.comparable(factors)
    codes, factors = codes - codes.mean(0), factors - factors.mean(0)
    variance = np.square(codes).sum(0) / (len(codes) - 1)
    spread = np.square(factors).sum(0) / (len(codes) - 1)
    covariance = codes.T @ factors / (len(codes) - 1)
    alive = variance > 1e-12
    product = np.where(alive, variance, 1.0)[:, None] * spread
    return np.where(alive[:, None], np.minimum(np.square(covariance) / product, 1.0), 0.0)


def _area(probability, truth, values) -> float:
    """The mean over `values` `[K]` of the area under the ROC curve of `[N, K]` probabilities."""
    from scipy.stats import rankdata

    positive = truth[:, None] == values
    count = positive.sum(0)
    usable = (count > 0) & (count < len(truth))
    if not usable.any():
        return 0.5
    rank = rankdata(probability[:, usable], axis=0)
    positive, count = positive[:, usable], count[usable].astype(float)
    above = (rank * positive).sum(0) - count * (count + 1) / 2
    return float((above / (count * (len(truth) - count))).mean())


def _majority(labels: np.ndarray) -> np.ndarray:
    """`[F]`: the share of the commonest value in each column of `[N, F]`."""
    return np.array([np.unique(c, return_counts=True)[1].max() / len(labels) for c in labels.T])


def _sensitivity(code, factors, code_test, factors_test, flags, neighbours) -> np.ndarray:
    """`[F]` sensitivities of one code, `[N]` and `[M]`; see `disentanglement_score`."""
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    result = np.zeros(factors.shape[1])
    for chosen, kind in ((flags, KNeighborsClassifier), (~flags, KNeighborsRegressor)):
        if not chosen.any():
            continue
        target, truth = factors[:, chosen], factors_test[:, chosen]
        target = target.astype(np.int64) if kind is KNeighborsClassifier else target
        # scikit-learn wants one column alone to be flat.
        model = kind(neighbours).fit(code[:, None], target[:, 0] if chosen.sum() == 1 else target)
        guess = model.predict(code_test[:, None]).reshape(truth.shape)
        if kind is KNeighborsClassifier:
            result[chosen] = (guess == truth).mean(0)
        else:
            rmse = np.sqrt(np.square(guess - truth).mean(0))
            result[chosen] = np.maximum(truth.std(0) - rmse, 0.0)
    return result
