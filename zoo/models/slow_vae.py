"""SlowVAE: latents of consecutive images differ by a Laplace transition."""

import math

import gin
import tensorflow as tf

from zoo.errors import SettingError, require_not_negative
from zoo.models.base import Batch
from zoo.models.objectives import Objective, Variational
from zoo.models.posteriors import entropy, marginals
from zoo.models.priors import NormalPrior, folded_normal_mean
from zoo.optim.schedules import Schedule, at


def laplace_cross_entropy(mean: tf.Tensor, stddev: tf.Tensor, rate: float) -> tf.Tensor:
    """`E_N(d; m, s^2)[-log Laplace(d; 0, 1/rate)]` in nats, in closed form.

    `log(2/rate) + rate E|d|` (Klindt et al. 2021).

    Args:
        mean: m, any shape.
        stddev: s, the same shape.
        rate: of the Laplace distribution, positive.

    Returns:
        The same shape.
    """
    return math.log(2 / rate) + rate * folded_normal_mean(mean, stddev)


@gin.register
class SlowVAE(Objective):
    """The objective of SlowVAE (Klindt et al. 2021), on pairs `image`, `partner`, `[B, ...]` each.

    Per pair, as the authors' code (bethgelab/slow_disentanglement, `scripts/solver.py`),
    `2 R + beta K + gamma (X01 + X10 - H)` in nats: R the negative log-likelihood, K the KL to the
    prior and H the entropy of q(z|x), each a mean over the two images; `X01` the cross entropy of
    `N(m0 - m1, s0^2)` under a Laplace distribution around 0, summed over latents, and `X10` the
    same with the images exchanged. Two cross entropies share one entropy: the last term is not
    twice a KL, and none of its terms samples z. Logs R, K and the last term as `transition`.

    The authors draw the weights of the two heads from a normal distribution of standard deviation
    `sqrt(2 / 256)`; here they are Glorot uniform. Their networks are `slow_encoder` and
    `slow_decoder`.

    Args:
        vae: whose loss it is; its posteriors are normal.
        beta: the weight of the KL term.
        gamma: the weight of the transition term.
        rate: of the Laplace transitions.
    """

    def __init__(
        self,
        vae: Variational,
        beta: float | Schedule = 1.0,
        gamma: float = 10.0,
        rate: float = 6.0,
    ):
        super().__init__(vae)
        if not isinstance(vae.prior, NormalPrior):
            raise SettingError(
                f"VAE.prior is {type(vae.prior).__name__}, whose posteriors are not normal; "
                "SlowVAE takes NormalPrior, LaplacePrior or LogisticPrior"
            )
        require_not_negative("SlowVAE", beta=beta, gamma=gamma)
        if rate <= 0:
            raise SettingError(f"SlowVAE.rate is {rate}; give a positive number")
        self.beta, self.gamma, self.rate = beta, gamma, rate

    def observed(self, batch: Batch) -> tf.Tensor:
        """First images before partners, `[2 B, ...]`."""
        if "partner" not in batch:
            raise SettingError(
                "SlowVAE trains on pairs and this sampler gives none; "
                "set train.sampler = @LaplacePairs"
            )
        return tf.concat([batch["image"], batch["partner"]], axis=0)

    def losses(self, vae, batch, posterior, latents, terms, seed, step) -> dict[str, tf.Tensor]:
        """See `Objective.losses`; an example is a pair."""
        del vae, batch, latents, seed
        terms = {name: _pair_mean(value) for name, value in terms.items()}
        each = marginals(posterior)
        means, scales = tf.split(each.loc, 2), tf.split(each.scale, 2)
        crossed = sum(
            laplace_cross_entropy(means[i] - means[1 - i], scales[i], self.rate) for i in (0, 1)
        )
        transition = tf.reduce_sum(crossed, axis=-1) - _pair_mean(entropy(posterior))
        loss = 2 * terms["reconstruction"] + at(self.beta, step) * terms["kl"]
        return {"loss": loss + self.gamma * transition, **terms, "transition": transition}


def _pair_mean(values: tf.Tensor) -> tf.Tensor:
    """`[2 B, ...]`, first images before partners, to `[B, ...]`."""
    return tf.add(*tf.split(values, 2)) / 2
