"""Schedules of the step."""

import numpy as np
import pytest
import tensorflow as tf

from zoo.optim.schedules import piecewise_linear

POINTS = ((0, 200.0), (1500, 40.0), (7500, 4.0))


def test_piecewise_linear_is_numpys_interpolation():
    schedule = tf.function(piecewise_linear(POINTS))
    steps = [0, 1, 750, 1499, 1500, 1501, 4000, 7499, 7500, 9000]
    values = [schedule(tf.constant(step)).numpy() for step in steps]
    np.testing.assert_allclose(values, np.interp(steps, *zip(*POINTS, strict=True)), rtol=1e-5)


def test_piecewise_linear_is_constant_outside_its_points():
    schedule = piecewise_linear(((10, 3.0), (20, 5.0)))
    assert [float(schedule(tf.constant(s))) for s in (0, 10, 15, 20, 99)] == [3, 3, 4, 5, 5]
    assert float(piecewise_linear(((5, 2.0),))(tf.constant(0))) == 2


@pytest.mark.parametrize("points", [(), ((3, 1.0), (3, 2.0)), ((3, 1.0), (1, 2.0))])
def test_piecewise_linear_needs_ascending_steps(points):
    with pytest.raises(ValueError, match="in ascending order"):
        piecewise_linear(points)
