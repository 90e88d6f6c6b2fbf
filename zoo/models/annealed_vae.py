"""Annealed VAE: the KL term follows a growing capacity."""

import gin
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.errors import require_not_negative
from zoo.models.objectives import Objective, Variational
from zoo.optim.schedules import Schedule, at

tfd = tfp.distributions


@gin.register
class AnnealedVAE(Objective):
    """The objective of a controlled capacity (Burgess et al. 2018, eq. 8).

    `E_q(z|x)[-log p(x|z)] + gamma |KL - C|` per image, `[B]` in nats, with KL the mean of
    `KL(q(z|x) || p(z))` over the batch, `[B]` to one number, as in disentanglement_lib, and C the
    capacity at the step; logs C as `capacity`.

    Args:
        vae: whose loss it is.
        gamma: the weight of the distance from the capacity.
        capacity: C in nats: a number or, commonly, a ramp from 0.
    """

    def __init__(self, vae: Variational, gamma: float = 1000.0, capacity: float | Schedule = 25.0):
        super().__init__(vae)
        require_not_negative("AnnealedVAE", gamma=gamma, capacity=capacity)
        self.gamma, self.capacity = gamma, capacity

    def regularizer(
        self, posterior: tfd.Distribution, latents: tf.Tensor, kl: tf.Tensor, step: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """`gamma |mean KL - C|` for every image; see `Objective.regularizer`."""
        del posterior, latents
        capacity = at(self.capacity, step)
        penalty = self.gamma * tf.abs(tf.reduce_mean(kl) - capacity)
        ones = tf.ones_like(kl)
        return penalty * ones, {"capacity": capacity * ones}
