"""Functions of the training step: step -> float32 scalar tensor."""

from collections.abc import Callable, Sequence

import gin
import tensorflow as tf

from zoo.errors import SettingError, require_not_negative

Schedule = Callable[[tf.Tensor], tf.Tensor]


@gin.configurable
def linear_ramp(start: float, end: float, steps: int, delay: int = 0) -> Schedule:
    """From `start` to `end` in `steps` steps after `delay` steps, then constant.

    Raises:
        SettingError: `steps` is not positive.
    """
    if steps < 1:
        raise SettingError(f"linear_ramp.steps is {steps}; give the number of steps, at least 1")

    def value(step: tf.Tensor) -> tf.Tensor:
        progress = (tf.cast(step, tf.float32) - delay) / steps
        return start + (end - start) * tf.clip_by_value(progress, 0.0, 1.0)

    return value


@gin.configurable
def piecewise_linear(points: Sequence[tuple[int, float]]) -> Schedule:
    """Straight lines between points (step, value); constant before the first and after the last.

    Raises:
        SettingError: there are none, or their steps do not ascend.
    """
    steps = [step for step, _ in points]
    if not steps or any(b <= a for a, b in zip(steps, steps[1:], strict=False)):
        raise SettingError(
            f"piecewise_linear.points has the steps {steps}; give at least one, in ascending order"
        )

    def value(step: tf.Tensor) -> tf.Tensor:
        time, (_, height) = tf.cast(step, tf.float32), points[0]
        total = tf.constant(height, tf.float32)
        for (start, before), (end, after) in zip(points, points[1:], strict=False):
            total += (after - before) * tf.clip_by_value((time - start) / (end - start), 0.0, 1.0)
        return total

    return value


@gin.configurable
def warm_up_and_decay(
    peak: float,
    warm_up: int,
    hold: int,
    base: float,
    factor: float = 0.1,
    steps: int = 500_000,
) -> Schedule:
    """A learning rate that rises linearly, stays, and then decays exponentially.

    `peak t / warm_up` before step `warm_up`, `peak` before step `hold`, from there on
    `base factor^((t - hold) / steps)`: the schedule of Brady et al. 2025 (their code).

    Raises:
        SettingError: the times are not in order, or the factor is negative.
    """
    require_not_negative("warm_up_and_decay", factor=factor)
    if not 0 < warm_up <= hold or steps < 1:
        raise SettingError(
            f"warm_up_and_decay has warm_up = {warm_up}, hold = {hold} and steps = {steps}; give "
            "0 < warm_up <= hold and at least one step"
        )

    def value(step: tf.Tensor) -> tf.Tensor:
        time = tf.cast(step, tf.float32)
        decayed = base * factor ** ((time - hold) / steps)
        return tf.where(time < hold, peak * tf.minimum(time / warm_up, 1.0), decayed)

    return value


def at(value: float | Schedule, step: tf.Tensor) -> tf.Tensor:
    """A number, or a schedule's value at a step, as a float32 scalar."""
    return value(step) if callable(value) else tf.constant(value, tf.float32)
