"""Explicitness: curves by hand, the authors' formula written out, codes that are easy and hard."""

import numpy as np
import pytest

from zoo import evaluation
from zoo.evaluation.capacity import explicitness_of_curve

FEW = {"linear": (0, 16, 64), "mlp": (0, 8), "forest": (1, 4, 8)}


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ([0.0, 0.0, 0.0], 1),  # The smallest probe does as well as any.
        ([1.0, 0.5, 0.0], 0),  # A straight line from the baseline to 0.
        ([1.0, 0.0, 0.0], 0.5),
        ([1.0, 1.0, 0.0], -0.5),  # All of it falls late.
        ([0.5, 0.8, 0.5], 1),  # Of larger probes that do worse the smaller one counts.
        ([1.0, 1.0, 1.0], 0),  # Nothing is told, whatever the capacity.
    ],
)
def test_curves_by_hand(losses, expected):
    assert explicitness_of_curve(np.arange(3.0), np.array(losses), 1.0) == pytest.approx(expected)


def test_probes_are_ordered_by_capacity():
    # Two units on ten codes have 31 parameters, for three values; the regression has 33.
    capacities, losses = np.log([33, 31, 59]), np.array([0.5, 0.0, 0.0])
    assert explicitness_of_curve(capacities, losses, 1.0) == pytest.approx(1)
    order = [1, 0, 2]
    losses = np.array([0.5, 0.7, 0.0])
    given = explicitness_of_curve(capacities, losses, 1.0)
    assert given == explicitness_of_curve(capacities[order], losses[order], 1.0) < 1


def test_probes_of_one_capacity_are_refused():
    # With eight codes and three values both of them have 27 parameters.
    with pytest.raises(evaluation.InputError, match="give other sizes"):
        explicitness_of_curve(np.log([27, 27]), np.array([0.5, 0.0]), 1.0)
    assert explicitness_of_curve(np.log([27, 27]), np.array([0.5, 0.5]), 0.5) == 0


@pytest.mark.parametrize("probe", ["linear", "mlp"])
def test_a_rare_value_may_be_cut_off_with_its_rows(probe):
    codes, factors, codes_test, factors_test = _halves(_easy)
    last = np.random.default_rng(0).permutation(len(codes))[-1]
    factors = np.c_[factors, np.arange(len(factors)) == last]
    factors_test = np.c_[factors_test, np.arange(len(factors_test)) == 0]
    found = evaluation.dci_es(
        codes, factors, codes_test, factors_test, probe, sizes=FEW[probe][:2], max_rows=60
    )
    assert found["per_factor"][2] == 0
    assert found["informativeness"][2] == pytest.approx(1 - 1 / len(factors_test))


def test_the_area_is_that_of_a_fine_sum():
    generator = np.random.default_rng(0)
    capacities = np.sort(generator.random(6)) * 5
    losses = np.sort(generator.random(6))[::-1] * 0.7
    fine = np.linspace(capacities[0], capacities[-1], 200_001)
    mean = np.mean(np.interp(fine, capacities, losses) - losses[-1])
    expected = 1 - 2 * mean / 0.8
    assert explicitness_of_curve(capacities, losses, 0.8) == pytest.approx(expected, abs=1e-4)


def _halves(make, rows: int = 400):
    generator = np.random.default_rng(0)
    factors = generator.integers((2, 3), size=(rows, 2))
    codes = make(factors, generator)
    cut = 2 * rows // 3
    return codes[:cut], factors[:cut], codes[cut:], factors[cut:]


def _easy(factors, generator):
    return np.eye(3)[factors[:, 1]] @ np.diag([1, 2, 3]) + factors[:, :1]


def _hard(factors, generator):
    """A factor is the parity of the cell that a code is in."""
    cells = 2 * generator.integers(2, size=factors.shape) + factors % 2
    return np.c_[cells + 0.1 * generator.normal(size=factors.shape), factors[:, 1:]]


@pytest.mark.parametrize("probe", ["linear", "mlp", "forest"])
def test_codes_that_are_easier_to_use_are_more_explicit(probe):
    how = {"probe": probe, "sizes": FEW[probe]}
    easy = evaluation.dci_es(*_halves(_easy), **how)
    hard = evaluation.dci_es(*_halves(_hard), **how)
    assert easy["score"] > hard["score"] + 0.02
    assert easy["informativeness"] == pytest.approx(1, abs=0.05)
    assert easy["size"] == pytest.approx(2 / 3) and easy["losses"].shape == (len(FEW[probe]), 2)
    if probe != "forest":
        assert easy["score"] > 0.9
    # The formula of the authors, a factor at a time.
    for f in range(2):
        x, y = hard["capacities"][:, f], np.minimum.accumulate(hard["losses"][:, f])
        area = sum((x[i + 1] - x[i]) * (y[i] + y[i + 1] - 2 * y[-1]) / 2 for i in range(len(x) - 1))
        expected = 1 - 2 * area / ((x[-1] - x[0]) * hard["baseline"][f])
        assert hard["per_factor"][f] == pytest.approx(expected)


def test_quantities_and_codes_that_tell_nothing():
    generator = np.random.default_rng(1)
    factors = generator.normal(size=(300, 2))
    codes = np.c_[factors @ np.array([[1.0, 2.0], [-1.0, 1.0]])]
    how = {"categorical": False, "probe": "linear", "sizes": (0, 8)}
    known = evaluation.dci_es(codes[:200], factors[:200], codes[200:], factors[200:], **how)
    assert known["score"] == pytest.approx(1) and known["size"] == 1
    noise = generator.normal(size=(300, 2))
    found = evaluation.dci_es(noise[:200], factors[:200], noise[200:], factors[200:], **how)
    assert found["score"] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"probe": "svm"}, "linear, mlp"),
        ({"sizes": (3,)}, "growing"),
        ({"sizes": (3, 2)}, "growing"),
    ],
)
def test_bad_arguments_are_one_line(change, message):
    with pytest.raises(evaluation.InputError, match=message):
        evaluation.dci_es(*_halves(_easy), **change)
