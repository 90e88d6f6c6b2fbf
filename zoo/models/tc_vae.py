"""Beta-TC-VAE: the total correlation is estimated from the batch."""

import math

import gin
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.errors import SettingError, require_not_negative
from zoo.models.objectives import Objective, Variational
from zoo.models.posteriors import marginals

tfd = tfp.distributions

ESTIMATORS = ("mixture", "weighted", "stratified")


def _log_weights(batch: tf.Tensor, estimator: str, dataset_size: int | None) -> tf.Tensor:
    """`[B, B]` or `[]`: the log weight of image j's posterior in the density at latent i."""
    count = tf.cast(batch, tf.float32)
    if estimator == "mixture":
        return -tf.math.log(count)
    if estimator == "weighted":
        return -tf.math.log(count) - math.log(dataset_size)
    others = count - 1
    same = tf.eye(batch)
    last = tf.roll(same, 1, axis=1)
    share = (dataset_size - others) / (dataset_size * others)
    return tf.math.log(same / dataset_size + last * share + (1 - same - last) / others)


def log_aggregate(
    latents: tf.Tensor,
    posterior: tfd.Distribution,
    estimator: str = "mixture",
    dataset_size: int | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Estimates `log q(z)`, `[B]`, and `log q(z_l)`, `[B, D]`, at a sample of every posterior.

    The aggregate posterior `q(z) = 1/N sum_n q(z|x_n)` of N images is estimated from a batch of B
    as `sum_j w_ij q(z_i|x_j)`, its marginals with the same weights (Chen et al. 2018):

    * `mixture`: `w = 1/B`, the mixture of the batch.
    * `weighted`: `w = 1/(N B)`, minibatch-weighted sampling.
    * `stratified`: minibatch stratified sampling: `1/N` for i = j, `(N - B + 1)/(N (B - 1))` for
      one other image and `1/(B - 1)` for the rest, which makes the estimate of a density unbiased
      when a batch holds no image twice.

    Args:
        latents: `[B, D]`, a sample of every posterior.
        posterior: B distributions over `[D]`.
        estimator: one of the above.
        dataset_size: N, at least B; `mixture` does without.

    Raises:
        SettingError: no such estimator, or the data set's size lacks or does not fit the batch.
    """
    _check(estimator, dataset_size)
    batch = latents.shape[0]
    if estimator == "stratified" and batch is not None and not 2 <= batch <= dataset_size:
        raise SettingError(
            f"stratified sampling takes batches of 2 to {dataset_size} (dataset_size), not {batch}"
        )
    each = marginals(posterior).log_prob(latents[:, None])
    whole = posterior.log_prob(latents[:, None])
    if whole.shape.rank == 3:
        whole = tf.reduce_sum(whole, axis=2)
    weights = _log_weights(tf.shape(latents)[0], estimator, dataset_size)
    joint = tf.reduce_logsumexp(whole + weights, axis=1)
    return joint, tf.reduce_logsumexp(each + weights[..., None], axis=1)


def total_correlation(
    latents: tf.Tensor,
    posterior: tfd.Distribution,
    estimator: str = "mixture",
    dataset_size: int | None = None,
) -> tf.Tensor:
    """`log q(z) - sum_l log q(z_l)`, `[B]` in nats, whose mean over q is the total correlation.

    `weighted` is `mixture` plus the constant `(D - 1) log N`, which no gradient sees, and so tends
    to the total correlation plus that constant as B grows, the others to the total correlation.
    disentanglement_lib leaves out all constants: its figure is `mixture` less `(D - 1) log B`.

    Args and errors: see `log_aggregate`.
    """
    joint, marginals = log_aggregate(latents, posterior, estimator, dataset_size)
    return joint - tf.reduce_sum(marginals, axis=1)


def _check(estimator: str, dataset_size: int | None) -> None:
    if estimator not in ESTIMATORS:
        raise SettingError(f"TCVAE.estimator is {estimator!r}; it takes {', '.join(ESTIMATORS)}")
    if estimator != "mixture" and (dataset_size is None or dataset_size < 1):
        raise SettingError(
            f"TCVAE.dataset_size is {dataset_size}; the {estimator} estimator takes the number of "
            "images of the data set"
        )


@gin.register
class TCVAE(Objective):
    """The objective of beta-TC-VAE (Chen et al. 2018, with alpha = gamma = 1).

    `E_q(z|x)[-log p(x|z)] + KL(q(z|x) || p(z)) + (beta - 1) TC` per image, `[B]` in nats, with
    `total_correlation` of the batch's latents `[B, D]` as TC; logs it as `total_correlation`.

    Args:
        vae: whose loss it is.
        beta: the weight of the total correlation in the decomposed KL.
        estimator: see `log_aggregate`; `mixture` has the gradients of disentanglement_lib and of
            minibatch-weighted sampling.
        dataset_size: the number of images of the data set, for the other estimators.
    """

    def __init__(
        self,
        vae: Variational,
        beta: float = 6.0,
        estimator: str = "mixture",
        dataset_size: int | None = None,
    ):
        super().__init__(vae)
        require_not_negative("TCVAE", beta=beta)
        _check(estimator, dataset_size)
        self.beta, self.estimator, self.dataset_size = beta, estimator, dataset_size

    def regularizer(
        self, posterior: tfd.Distribution, latents: tf.Tensor, kl: tf.Tensor, step: tf.Tensor
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """`KL + (beta - 1) TC`; see `Objective.regularizer`."""
        del step
        correlation = total_correlation(latents, posterior, self.estimator, self.dataset_size)
        return kl + (self.beta - 1) * correlation, {"total_correlation": correlation}
