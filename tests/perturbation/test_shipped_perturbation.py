"""The perturbation of dSprites that the hub has."""

import numpy as np
import pytest

import zoo
from zoo.data import perturbation
from zoo.data.zoo_dsprites.memory import SPACE
from zoo.errors import UserError


def test_it_changes_with_the_factors():
    numbers = np.random.default_rng(3).integers(len(SPACE), size=64)
    change = zoo.load("perturbations/dsprites").perturb(SPACE.values(SPACE.factors(numbers)))
    assert change.shape == (64, 64, 64, 1) and np.abs(change).max() <= 1
    assert np.std(change, axis=0).mean() > 0.1


def test_it_is_that_of_the_perturbed_dsprites(monkeypatch):
    monkeypatch.delenv(perturbation.ENVIRONMENT, raising=False)
    assert perturbation.find("zoo_dsprites").parts[-2:] == ("dsprites", "2.0.0")


def test_values_of_another_number_of_factors_are_named():
    with pytest.raises(UserError, match=r"perturb: values of shape \(2, 3\), wanted \[B, 5\]"):
        zoo.load("perturbations/dsprites").perturb(np.zeros((2, 3)))
