"""Functions of the training step: step -> float32 scalar tensor."""

from collections.abc import Callable

import gin
import tensorflow as tf

Schedule = Callable[[tf.Tensor], tf.Tensor]


@gin.configurable
def linear_ramp(start: float, end: float, steps: int, delay: int = 0) -> Schedule:
    """From `start` to `end` in `steps` steps after `delay` steps, then constant.

    Raises:
        ValueError: `steps` is not positive.
    """
    if steps < 1:
        raise ValueError(f"linear_ramp.steps is {steps}; give the number of steps, at least 1")

    def value(step: tf.Tensor) -> tf.Tensor:
        progress = (tf.cast(step, tf.float32) - delay) / steps
        return start + (end - start) * tf.clip_by_value(progress, 0.0, 1.0)

    return value


def at(value: float | Schedule, step: tf.Tensor) -> tf.Tensor:
    """A number, or a schedule's value at a step, as a float32 scalar."""
    return value(step) if callable(value) else tf.constant(value, tf.float32)
