"""Optimisers whose update is one fused kernel a variable."""

import gin
import keras
import tensorflow as tf


@gin.register
class Adam(keras.optimizers.Adam):
    """Adam (Kingma & Ba 2015, the form with epsilon-hat) in TensorFlow's fused kernel.

    The same update as `keras.optimizers.Adam`, which makes it of a dozen elementwise operations.
    """

    def __init__(
        self,
        learning_rate: float = 1e-4,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
    ):
        super().__init__(learning_rate, beta_1, beta_2, epsilon)

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable and its two moments in place."""
        kind = variable.dtype
        step = tf.cast(self.iterations + 1, kind)
        index = self._get_variable_index(variable)
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
            grad=tf.cast(gradient, kind),
        )
