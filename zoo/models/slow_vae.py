"""SlowVAE: latents of consecutive images differ by a Laplace transition."""

import math
from collections.abc import Callable

import gin
import keras
import tensorflow as tf

from zoo.errors import SettingError
from zoo.models.base import Batch
from zoo.models.likelihoods import Bernoulli
from zoo.models.vae import BetaVAE
from zoo.networks.convolutional import slow_decoder, slow_encoder
from zoo.training.schedules import Schedule, at


def laplace_cross_entropy(mean: tf.Tensor, stddev: tf.Tensor, rate: float) -> tf.Tensor:
    """`E_N(d; m, s^2)[-log Laplace(d; 0, 1/rate)]` in nats, in closed form.

    `log(2/rate) + rate E|d|` with `E|d| = s sqrt(2/pi) exp(-m^2 / 2 s^2) + m erf(m / s sqrt 2)`,
    the mean of a folded normal (Klindt et al. 2021).

    Args:
        mean: m, any shape.
        stddev: s, the same shape.
        rate: of the Laplace distribution, positive.

    Returns:
        The same shape.
    """
    ratio = mean / (stddev * math.sqrt(2))
    folded = stddev * math.sqrt(2 / math.pi) * tf.exp(-(ratio**2)) + mean * tf.math.erf(ratio)
    return math.log(2 / rate) + rate * folded


@gin.register
class SlowVAE(BetaVAE):
    """SlowVAE (Klindt et al. 2021), on pairs `image` and `partner`, both `[B, H, W, C]`.

    Minimises per pair, as the authors' code (bethgelab/slow_disentanglement, `scripts/solver.py`),
    `2 R + beta K + gamma (X01 + X10 - H)`: R the negative log-likelihood, K the KL to N(0, I) and H
    the entropy of q(z|x), each a mean over the two images; `X01` the cross entropy of
    `N(m0 - m1, s0^2)` under a Laplace distribution around 0, summed over latents, and `X10` the
    same with the images exchanged. Two cross entropies share one entropy: the last term is not
    twice a KL, and none of its terms samples z. Logs R, K and the last term as `transition`.

    Arguments not listed are those of `BetaVAE`. The authors draw the weights of the two heads from
    a normal distribution of standard deviation `sqrt(2 / 256)`; here they are Glorot uniform.

    Args:
        beta: the weight of the KL term.
        gamma: the weight of the transition term.
        rate: of the Laplace transitions.
    """

    def __init__(
        self,
        observation_shape: tuple[int, ...],
        latent_dim: int = 10,
        beta: float | Schedule = 1.0,
        gamma: float = 10.0,
        rate: float = 6.0,
        encoder: Callable[..., keras.Model] = slow_encoder,
        decoder: Callable[..., keras.Model] = slow_decoder,
        likelihood: Callable[..., keras.layers.Layer] = Bernoulli,
    ):
        super().__init__(observation_shape, latent_dim, beta, encoder, decoder, likelihood)
        if rate <= 0:
            raise SettingError(f"SlowVAE.rate is {rate}; give a positive number")
        self.gamma, self.rate = gamma, rate

    def losses_on(self, batch: Batch, seed: tf.Tensor, step: tf.Tensor) -> dict[str, tf.Tensor]:
        """See `Model.losses_on`; an example is a pair."""
        if "partner" not in batch:
            raise SettingError(
                "SlowVAE trains on pairs and this sampler gives none; "
                "set train.sampler = @LaplacePairs"
            )
        images = tf.concat([batch["image"], batch["partner"]], axis=0)
        posterior, _, terms = self.elbo(images, seed)
        terms = {name: _pair_mean(value) for name, value in terms.items()}
        means, scales = tf.split(posterior.loc, 2), tf.split(posterior.scale, 2)
        crossed = sum(
            laplace_cross_entropy(means[i] - means[1 - i], scales[i], self.rate) for i in (0, 1)
        )
        transition = tf.reduce_sum(crossed - _pair_mean(posterior.entropy()), axis=-1)
        loss = 2 * terms["reconstruction"] + at(self.beta, step) * terms["kl"]
        return {"loss": loss + self.gamma * transition, **terms, "transition": transition}


def _pair_mean(values: tf.Tensor) -> tf.Tensor:
    """`[2 B, ...]`, first images before partners, to `[B, ...]`."""
    return tf.add(*tf.split(values, 2)) / 2
