"""Scores of what codes are worth to a predictor that has seen few labels."""

from collections.abc import Sequence

import numpy as np

from zoo.evaluation import boosting, checks, facts
from zoo.evaluation.columns import determination
from zoo.evaluation.errors import InputError
from zoo.evaluation.parallel import over_factors
from zoo.evaluation.regressors import Standardisation

_PREDICTORS = ("linear", "gbt")


@facts.score(
    needs=("codes", "factors", "codes_test", "factors_test"),
    settings=("seed",),
    source="Locatello et al. 2019",
    higher_is_better=True,
    range=(0, 1),
    axes={"per_factor": "factor"},
)
def downstream(
    codes,
    factors,
    codes_test,
    factors_test,
    predictor: str = "gbt",
    labels: int = 100,
    seed: int = 0,
    categorical: bool | Sequence[bool] = True,
) -> dict:
    """Downstream accuracy: how well a predictor that has seen few labels tells the factors.

    Defined in Locatello et al. 2019 (arXiv 1811.12359), sec. 5.5, who train on 10, 100, 1,000 and
    10,000 labels.

    One predictor a factor is fitted on a random subset of the training rows. The score is the mean
    over factors of its accuracy on the test rows; of a quantity it is R2, at least 0. Their
    statistical efficiency is the score divided by that of a predictor fitted on all rows.

    Args:
        codes: `[N, D]` real codes to fit on.
        factors: `[N, F]` their factor indices; any numbers where not categorical.
        codes_test: `[M, D]` codes to score on.
        factors_test: `[M, F]` their factors.
        predictor: `gbt`, the boosted trees of `dci`; or `linear`, logistic regression on
            standardised codes (least squares for quantities). Locatello et al. choose the penalty
            of theirs by cross-validation; here it is scikit-learn's default.
        labels: how many rows are fitted on.
        seed: of their choice.
        categorical: which factors are values to be told apart, rather than quantities: one flag or
            `[F]` flags.

    Returns:
        `score` in [0, 1]; `per_factor` `[F]`; `all_labels`, the score of all training rows;
        `efficiency`, the score over it, 0 where that is 0.

    Raises:
        InputError: see `checks.train_and_test`; an unknown predictor; more labels than rows.
    """
    if predictor not in _PREDICTORS:
        raise InputError(f"no predictor is named {predictor!r}: choose {' or '.join(_PREDICTORS)}")
    checks.whole(2, labels=labels)
    parts, flags = checks.of_kinds(
        codes, factors, codes_test, factors_test, categorical, unseen=True
    )
    codes, factors, codes_test, factors_test = parts
    if labels > len(codes):
        raise InputError(f"there are {len(codes)} training rows: labels is {labels}, give fewer")
    chosen = np.random.default_rng(seed).permutation(len(codes))[:labels]

    def mean_and_each(rows) -> np.ndarray:
        fitted, held = codes[rows], codes_test
        if predictor == "linear":
            standardise = Standardisation(fitted)
            fitted, held = standardise(fitted), standardise(held)
        else:
            fitted, held = checks.comparable(fitted, held)

        def agreement(f: int) -> float:
            guess = _guess(predictor, fitted, factors[rows, f], held, bool(flags[f]))
            truth = factors_test[:, f]
            return float(np.mean(guess == truth)) if flags[f] else determination(truth, guess)

        return np.array(over_factors(agreement, factors))

    few, every = mean_and_each(chosen), mean_and_each(slice(None)).mean()
    return {
        "score": float(few.mean()),
        "per_factor": few,
        "all_labels": float(every),
        "efficiency": float(few.mean() / every) if every > 0 else 0.0,
    }


def _guess(predictor: str, codes, factor, codes_test, categorical: bool) -> np.ndarray:
    """`[M]` values predicted of one factor; the only one where few labels have no other."""
    if (factor == factor[0]).all():
        return np.full(len(codes_test), factor[0])
    if predictor == "gbt":
        fit = boosting.fit_predict if categorical else boosting.fit_predict_quantity
        return fit(codes, factor, codes_test)[2]
    from sklearn import linear_model

    kind = linear_model.LogisticRegression if categorical else linear_model.LinearRegression
    return kind().fit(codes, factor).predict(codes_test)
