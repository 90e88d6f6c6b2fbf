"""Optimisers of Keras whose rates are numbers or schedules of ours; fused kernels of some."""

import gin
import keras
import tensorflow as tf

from zoo.errors import SettingError, require_not_negative
from zoo.optim.schedules import Schedule


class _Scheduled(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule of ours as Keras wants it: its steps are the updates of the optimiser."""

    def __init__(self, schedule: Schedule):
        self._schedule = schedule

    def __call__(self, step):
        return self._schedule(step)


class _Rated(keras.optimizers.Optimizer):
    """What optimisers of Keras call with their rate where it is the base class behind them."""

    def __init__(self, learning_rate: float | Schedule, **options):
        require_not_negative(type(self).__name__, learning_rate=learning_rate)
        # Keras takes no whole number.
        rate = _Scheduled(learning_rate) if callable(learning_rate) else float(learning_rate)
        super().__init__(rate, **options)


# In the place of that of Keras, whose name it takes in gin files.
@gin.register(module="keras.optimizers")
class SGD(keras.optimizers.SGD, _Rated):
    """`keras.optimizers.SGD`, of the same arguments: gradient descent, with or without momentum.

    Its `learning_rate` is a number, or a schedule of the optimiser's own updates.
    """


@gin.register
class Adam(keras.optimizers.Adam, _Rated):
    """Adam (Kingma & Ba 2015, the form with epsilon-hat) in TensorFlow's fused kernel.

    The same update as `keras.optimizers.Adam`, which makes it of a dozen elementwise operations.

    Args:
        learning_rate: the size of a step: a number, or a schedule of the optimiser's own updates.
        beta_1: the decay of the mean of gradients.
        beta_2: the decay of the mean of squared gradients.
        epsilon: added to the root of the latter.
        l2: the gradient of `l2 / 2 |w|^2` is added to that of every weight w, before the moments:
            the `weight_decay` of PyTorch's Adam, not that of AdamW.
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 1e-4,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        l2: float = 0.0,
    ):
        require_not_negative("Adam", epsilon=epsilon, l2=l2)
        for key, decay in (("beta_1", beta_1), ("beta_2", beta_2)):
            if not 0 <= decay < 1:
                raise SettingError(f"Adam.{key} is {decay}; give a number from 0 to below 1")
        super().__init__(learning_rate, beta_1, beta_2, epsilon)
        self.l2 = l2

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable and its two moments in place."""
        kind = variable.dtype
        step = tf.cast(self.iterations + 1, kind)
        index = self._get_variable_index(variable)
        gradient = tf.cast(gradient, kind)
        if self.l2:
            gradient += self.l2 * tf.convert_to_tensor(variable)
        moments = [slots[index].value for slots in (self._momentums, self._velocities)]
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=moments[0].handle,
            v=moments[1].handle,
            beta1_power=tf.pow(tf.cast(self.beta_1, kind), step),
            beta2_power=tf.pow(tf.cast(self.beta_2, kind), step),
            lr=tf.cast(learning_rate, kind),
            beta1=tf.cast(self.beta_1, kind),
            beta2=tf.cast(self.beta_2, kind),
            epsilon=tf.cast(self.epsilon, kind),
            grad=gradient,
        )


@gin.register(module="keras.optimizers")
class Adagrad(keras.optimizers.Adagrad, _Rated):
    """Adagrad (Duchi et al. 2011) in TensorFlow's fused kernel.

    Of a gradient d: `g <- g + d^2`, `w <- w - learning_rate d / sqrt(g)`. The same update, of the
    same arguments, as `keras.optimizers.Adagrad`, which makes it of eight elementwise operations
    and adds epsilon below the root: here g begins at `initial_accumulator_value + epsilon`. Its
    `learning_rate` is a number, or a schedule of the optimiser's own updates.
    """

    def build(self, variables):
        """Makes a sum of squared gradients for each variable."""
        if self.built:
            return
        start = self.initial_accumulator_value
        require_not_negative("Adagrad", initial_accumulator_value=start, epsilon=self.epsilon)
        super().build(variables)
        for total in self._accumulators:
            total.assign(total + self.epsilon)

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable and its sum in place."""
        kind = variable.dtype
        tf.raw_ops.ResourceApplyAdagrad(
            var=variable.handle,
            accum=self._accumulators[self._get_variable_index(variable)].value.handle,
            lr=tf.cast(learning_rate, kind),
            grad=tf.cast(gradient, kind),
        )
