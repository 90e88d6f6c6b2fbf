"""Regressions from standardised codes to standardised latents, for scores made of their R2.

Each is a function `fit(codes, latents, codes_test)` to predictions, and predicts every latent on
its own: what it makes of one does not depend on the others.
"""

import itertools
import warnings
from collections.abc import Callable, Sequence

import numpy as np

from zoo.evaluation import checks, columns
from zoo.evaluation.errors import InputError

Regression = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]

_FOLDS = 3
# Of a fold two rows at least are needed to tell whether they are predicted.
LEAST_FOR_FOLDS = 2 * _FOLDS
# A tenth of the rows, by which training stops, must be two or more.
_LEAST_FOR_STOPPING = 20
# Directions whose spread is a smaller share of the largest are made of rounding.
_ROUNDING = 1e-10


class Standardisation:
    """Mean 0 and standard deviation 1 of the rows it is made of; columns constant there are 0."""

    def __init__(self, fitted: np.ndarray):
        # Powers of two keep squares of huge and tiny numbers in range.
        self._exponent = np.frexp(np.abs(fitted).max(0))[1]
        near_one = np.ldexp(fitted, -self._exponent)
        self._live = ~checks.constant_columns(near_one)
        self._mean = near_one.mean(0)
        self._spread = np.where(self._live, near_one.std(0), 1)

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """`[M, D]` rows in the units of the fitted ones."""
        values = (np.ldexp(values, -self._exponent) - self._mean) / self._spread
        return np.where(self._live, values, 0.0)


class Whitening:
    """Coordinates whose columns are orthonormal for the rows it is made of."""

    def __init__(self, fitted: np.ndarray):
        _, spread, directions = np.linalg.svd(fitted, full_matrices=False)
        live = (spread > 0) & (spread >= _ROUNDING * spread[0])
        self._map = directions[live].T / spread[live]

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """`[M, rank]` coordinates of `[M, D]` rows."""
        return values @ self._map


def affine(codes: np.ndarray, latents: np.ndarray, codes_test: np.ndarray) -> np.ndarray:
    """Least squares; of equally good maps the one of least norm."""
    # Both have mean 0 already: that is the intercept.
    base = Whitening(codes)
    return base(codes_test) @ (base(codes).T @ latents)


def kernel_ridge(alphas: Sequence[float], gammas: Sequence[float]) -> Regression:
    """Ridge regression on Gaussian kernels, penalty and width chosen by folds of the rows.

    Raises:
        InputError: a penalty or width that is not positive; when fitted, too few rows.
    """
    for name, values in (("alphas", alphas), ("gammas", gammas)):
        numbers = np.asarray(values)
        if numbers.ndim != 1 or not numbers.size or not (numbers > 0).all():
            raise InputError(f"{name} is {values!r}: give a list of positive numbers")
    grid = list(itertools.product(alphas, gammas))

    def fit(codes, latents, codes_test):
        if len(codes) < LEAST_FOR_FOLDS:
            raise InputError(f"{len(codes)} training rows are too few: give {LEAST_FOR_FOLDS}")
        folds = np.array_split(np.arange(len(codes)), _FOLDS)
        quality = np.zeros((len(grid), latents.shape[1]))
        for held in folds:
            rest = np.setdiff1d(np.arange(len(codes)), held)
            for i, (alpha, gamma) in enumerate(grid):
                predicted = _ridge(codes[rest], latents[rest], codes[held], alpha, gamma)
                quality[i] += columns.r2(latents[held], predicted)
        best = quality.argmax(0)
        predicted = np.zeros((len(codes_test), latents.shape[1]))
        for i in np.unique(best):
            chosen = best == i
            predicted[:, chosen] = _ridge(codes, latents[:, chosen], codes_test, *grid[i])
        return predicted

    return fit


def perceptron(hidden: Sequence[int], max_epochs: int, seed: int) -> Regression:
    """Multilayer perceptrons, one a latent, trained until held-out rows are predicted no better.

    Raises:
        InputError: layers without units, or no epoch; when fitted, too few rows.
    """
    checks.whole(1, max_epochs=max_epochs, **{f"hidden[{i}]": n for i, n in enumerate(hidden)})

    def fit(codes, latents, codes_test):
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPRegressor

        if len(codes) < _LEAST_FOR_STOPPING:
            raise InputError(f"{len(codes)} training rows are too few: give {_LEAST_FOR_STOPPING}")
        predicted = np.zeros((len(codes_test), latents.shape[1]))
        for k, latent in enumerate(latents.T):
            network = MLPRegressor(
                hidden_layer_sizes=tuple(hidden),
                early_stopping=True,
                max_iter=max_epochs,
                random_state=seed,
            )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                predicted[:, k] = network.fit(codes, latent).predict(codes_test)
        return predicted

    return fit


def _ridge(codes, latents, codes_test, alpha: float, gamma: float) -> np.ndarray:
    from sklearn.kernel_ridge import KernelRidge

    model = KernelRidge(kernel="rbf", alpha=alpha, gamma=gamma).fit(codes, latents)
    return model.predict(codes_test)
