"""The deterministic ELBO: the lower bound expanded to second order around posterior means."""

import gin
import tensorflow as tf
import tensorflow_probability as tfp

from zoo.errors import SettingError
from zoo.evaluation import jacobians
from zoo.models.likelihoods import Gaussian, Laplace
from zoo.models.objectives import BetaVAE, Variational
from zoo.models.posteriors import covariance
from zoo.optim.schedules import Schedule

tfd = tfp.distributions


@gin.register
class DeterministicELBO(BetaVAE):
    r"""The ELBO with its reconstruction expanded around the posterior's mean (Allen 2024).

    `-log p(x|m) + tr(S H) / 2 + beta KL(q(z|x) || p(z))` per image, `[B]` in nats, with m and S the
    mean and the covariance of q(z|x), and `H = -d^2 log p(x|z) / dz^2` at m, `[D, D]`. Of a
    Gaussian likelihood `p(x|z) = N(d(z), s^2 I)`

        H = (J^T J - C) / s^2,    C_ij = sum_k (x_k - d_k) d^2 d_k / d z_i d z_j

    with J the Jacobian of d. Linear decoders of a Gaussian likelihood have no other terms: the
    expansion is exact. At the optimal S it is `zoo.evaluation.deterministic_elbo`.

    The full expansion is not bounded: a decoder can bend at the means so that noise seems to
    lower the error, and trainings diverge (table seams/deterministic_training). Without C, as in
    Kumar and Poole (2020), it is: H is then `J^T W J`, W the second derivatives of `-log p(x|z)`
    by the decoder's outputs, after the sigmoid of a squashed likelihood, which are not negative.
    Neither sees the decoder away from the means.

    The reconstruction of one sample is logged as in other objectives, and its expansion as
    `expanded_reconstruction`. Costs second derivatives by D latents, of D gradients.

    Args:
        vae: whose loss it is; its likelihood has second derivatives.
        beta: the weight of the KL term: a number, or a schedule of the step, which is logged.
        curvature: whether H has the term of the decoder's second derivatives.
    """

    def __init__(self, vae: Variational, beta: float | Schedule = 1.0, curvature: bool = True):
        super().__init__(vae, beta)
        require_derivatives(vae)
        if not isinstance(curvature, bool):
            raise SettingError(f"DeterministicELBO.curvature is {curvature!r}; give True or False")
        self.curvature = curvature

    def losses(self, vae, batch, posterior, latents, terms, seed, step) -> dict[str, tf.Tensor]:
        """See `Objective.losses`; the expansion is of the decoder as it is outside training."""
        del seed
        expanded = expanded_reconstruction(
            vae, self.observed(batch), posterior, curvature=self.curvature
        )
        penalty, logged = self.regularizer(posterior, latents, terms["kl"], step)
        logged["expanded_reconstruction"] = expanded
        return {"loss": expanded + penalty, **terms, **logged}


def require_derivatives(vae: Variational) -> None:
    """Raises where second derivatives do not tell the likelihood of a VAE.

    Raises:
        SettingError: a likelihood with a kink, or whose variance is the error of samples.
    """
    likelihood = vae.likelihood
    if isinstance(likelihood, Laplace):
        raise SettingError(
            "VAE.likelihood is Laplace, whose log density has a kink and no second derivative; the "
            "deterministic ELBO takes Gaussian, Logistic or Bernoulli"
        )
    if isinstance(likelihood, Gaussian) and likelihood.variance == "optimal":
        raise SettingError(
            "Gaussian.variance is 'optimal', the error of sampled latents; the deterministic ELBO "
            "has none, give a number or 'learned'"
        )


def expanded_reconstruction(
    vae: Variational, images: tf.Tensor, posterior: tfd.Distribution, curvature: bool = True
) -> tf.Tensor:
    """`E_q(z|x)[-log p(x|z)]` to second order, as in `DeterministicELBO`: `[B, ...]` to `[B]`.

    Args:
        vae: has a decoder and a likelihood.
        images: of a batch.
        posterior: of those, B distributions over `[D]`.
        curvature: see `DeterministicELBO`.
    """
    means = posterior.mean()
    hessians = _hessians(vae, images, means) if curvature else _gauss_newton(vae, images, means)
    centre = vae.likelihood.negative_log_likelihood(images, vae.decoder_outputs(means))
    return centre + tf.reduce_sum(covariance(posterior) * hessians, axis=[1, 2]) / 2


def _hessians(vae, images, means):
    """H, `[B, D, D]`."""

    def slopes(latents):
        with tf.GradientTape() as tape:
            tape.watch(latents)
            errors = vae.likelihood.negative_log_likelihood(images, vae.decoder_outputs(latents))
        return tape.gradient(errors, latents)

    return jacobians.graph_jacobian(slopes, means)


def _gauss_newton(vae, images, means):
    """J^T W J, `[B, D, D]`; W is diagonal, as likelihoods are of single numbers."""
    decoded, error = vae.decoder_outputs, vae.likelihood.negative_log_likelihood
    if getattr(vae.likelihood, "squashed", False):
        # By what the sigmoid takes, W has a term of its curvature and can be negative.
        decoded, error = vae.decode, vae.likelihood.negative_log_likelihood_of_mean
    outputs = decoded(means)
    with tf.GradientTape() as outer:
        outer.watch(outputs)
        with tf.GradientTape() as inner:
            inner.watch(outputs)
            errors = error(images, outputs)
        slopes = inner.gradient(errors, outputs)
    rows = tf.shape(means)[0]
    weights = tf.reshape(outer.gradient(slopes, outputs), [rows, -1, 1])
    columns = jacobians.graph_jacobian(decoded, means)
    columns = tf.reshape(columns, [rows, -1, means.shape[1]])
    return tf.linalg.matmul(columns, weights * columns, transpose_a=True)
