"""The perturbations of dSprites and 3D Shapes that the hub has."""

import numpy as np
import pytest

import zoo
from zoo.data import perturbation
from zoo.data.zoo_dsprites.memory import SPACE
from zoo.data.zoo_shapes3d.memory import SPACE as SHAPES3D
from zoo.errors import UserError

SHIPPED = {"dsprites": (SPACE, "2.0.0", 1), "shapes3d": (SHAPES3D, "1.0.0", 3)}


@pytest.mark.parametrize("family", list(SHIPPED))
def test_it_changes_with_the_factors(family):
    space, _, channels = SHIPPED[family]
    numbers = np.random.default_rng(3).integers(len(space), size=64)
    change = zoo.load(f"perturbations/{family}").perturb(space.values(space.factors(numbers)))
    assert change.shape == (64, 64, 64, channels) and np.abs(change).max() <= 1
    assert np.std(change, axis=0).mean() > 0.1


@pytest.mark.parametrize("family", list(SHIPPED))
def test_it_is_that_of_the_perturbed_images(family, monkeypatch):
    monkeypatch.delenv(perturbation.ENVIRONMENT, raising=False)
    assert perturbation.find(f"zoo_{family}").parts[-2:] == (family, SHIPPED[family][1])


def test_values_of_another_number_of_factors_are_named():
    with pytest.raises(UserError, match=r"perturb: values of shape \(2, 3\), wanted \[B, 5\]"):
        zoo.load("perturbations/dsprites").perturb(np.zeros((2, 3)))
