"""Probes of decoders: what `train.probe` measures of their derivatives through training.

Every record of the log gets the values of the run's probe, so that `train.log_every` says how often
it is asked.
"""

import contextlib
from collections.abc import Callable, Sequence

import gin
import numpy as np
import tensorflow as tf

from zoo import data, evaluation
from zoo.data import sampling
from zoo.data.dataset import Dataset
from zoo.errors import UserError
from zoo.models.base import Model
from zoo.models.deterministic_elbo import expanded_reconstruction, require_derivatives
from zoo.models.likelihoods import Gaussian
from zoo.models.noise import stream
from zoo.models.objectives import BetaVAE
from zoo.models.vae import VAE

Probe = Callable[[], dict[str, float]]


@gin.configurable
def jacobian_probe(model: Model, dataset: Dataset, images: int = 64, codes: int = 2000) -> Probe:
    """How diagonal the decoder's J^T J and its curvature are, and what comes of it (Allen 2024).

    `gram_diagonality` and `curvature_diagonality` as in `zoo.evaluation.curvature_diagonality`, and
    `dto`, all at the codes of the same images each time; `mig` of further images, where the data
    set has a factor grid. Piecewise linear decoders have no curvature but at their kinks, which
    then counts as diagonal. A record lacks what is not defined while no latent is live.

    Args:
        model: an autoencoder.
        dataset: what the images are drawn from, without replacement.
        images: how many have their decoder's derivatives taken.
        codes: how many are encoded for `mig`.

    Raises:
        UserError: the model has no decoder.
    """
    _require_decoder(model, "jacobian_probe")
    observations = sampling.observations(dataset, dataset.some(images))
    triangular = evaluation.jacobian_function(
        model.decode, (model.latent_dim,), reduction="triangular"
    )
    encode = tf.function(model.encode, autograph=False)
    numbers = dataset.some(codes, seed=1)
    factors = None
    if dataset.space is not None:
        factors = dataset.space.factors(numbers)[:, np.asarray(dataset.space.sizes) > 1]
        observed = sampling.observations(dataset, numbers)

    def measure() -> dict[str, float]:
        means, found = encode(observations).numpy(), {}
        with contextlib.suppress(evaluation.UndefinedScoreError):
            parts = evaluation.curvature_diagonality(model.decode, means, observations.numpy())
            found = {
                "gram_diagonality": parts["gram"],
                "curvature_diagonality": parts["score"],
                "dto": evaluation.dto(triangular(means))["score"],
            }
        if factors is not None:
            found["mig"] = float(evaluation.mig(encode(observed).numpy(), factors)["score"])
        return found

    return measure


@gin.configurable
def expansion_probe(model: Model, dataset: Dataset, images: int = 64, samples: int = 32) -> Probe:
    """What the second-order expansion of the decoder misses within the noise of the posterior.

    `expansion_error` and `first_order_error` of `zoo.evaluation.expansion_error`, at the marginals
    of the posteriors of the same images and with the same draws each time.

    Args:
        model: has a decoder and a posterior.
        dataset: what the images are drawn from, without replacement.
        images: how many.
        samples: as in `zoo.evaluation.expansion_error`.

    Raises:
        UserError: the model has no decoder, or no posterior.
    """
    _require_decoder(model, "expansion_probe")
    observations = sampling.observations(dataset, dataset.some(images))
    posterior = getattr(model, "posterior", lambda _: None)
    if posterior(observations[:1]) is None:
        raise UserError(
            f"train.probe: {type(model).__name__} has no posterior; leave expansion_probe out"
        )

    def measure() -> dict[str, float]:
        found = posterior(observations)
        moments = found.mean().numpy(), found.variance().numpy()
        with contextlib.suppress(evaluation.UndefinedScoreError):
            parts = evaluation.expansion_error(
                model.decode, *moments, observations.numpy(), samples=samples
            )
            return {
                "expansion_error": parts["score"],
                "first_order_error": parts["first_order_error"],
            }
        return {}

    return measure


@gin.configurable
def elbo_probe(
    model: Model, dataset: Dataset, held_out: str = "", images: int = 1000, samples: int = 32
) -> Probe:
    """The evidence lower bound in nats an image: sampled, and expanded to second order.

    `elbo`, the mean of `log p(x|z) - KL(q(z|x) || p(z))` with the same draws of z each time, and
    `expanded_elbo` as in `DeterministicELBO`, whatever the objective. Beta is 1 in both.

    Args:
        model: a `VAE` whose likelihood has second derivatives.
        dataset: what the images are drawn from, without replacement.
        held_out: the name of another data set that they are drawn from instead.
        images: how many.
        samples: of z, an image.

    Raises:
        UserError: the model is another.
    """
    if not isinstance(model, VAE):
        raise UserError(f"train.probe: {type(model).__name__} is no VAE; leave elbo_probe out")
    if samples < 1:
        raise UserError(f"elbo_probe.samples is {samples}; give at least 1")
    require_derivatives(model)
    dataset = data.load(held_out) if held_out else dataset
    observations = sampling.observations(dataset, dataset.some(images))

    def values(seed):
        posterior, _, terms = model.elbo(observations, seed)
        for number in range(1, samples):
            latents = model.draw(posterior, stream(seed, number))
            terms["reconstruction"] += model.likelihood.negative_log_likelihood(
                observations, model.decoder_outputs(latents)
            )
        expanded = expanded_reconstruction(model, observations, posterior)
        both = terms["reconstruction"] / samples, expanded
        return [-tf.reduce_mean(reconstruction + terms["kl"]) for reconstruction in both]

    compiled = tf.function(values, autograph=False)

    def measure() -> dict[str, float]:
        sampled, expanded = compiled(tf.constant([0, 0]))
        return {"elbo": float(sampled), "expanded_elbo": float(expanded)}

    return measure


@gin.configurable
def linear_optimum_probe(model: Model, dataset: Dataset, images: int = 2000) -> Probe:
    """How far a linear Gaussian VAE is from its optimum in closed form (`optimal_linear_vae`).

    With the eigenvalues l_i of the data's covariance and `s = beta` times the likelihood's
    variance (Lucas et al. 2019; Allen 2024; Zietlow 2022, theorem 2):

    - `spectrum_error`, the largest difference of an eigenvalue of W W^T, W the decoder's matrix,
      from `max(l_i - s, 0)`: zero for full posterior covariances too;
    - `angle`, in degrees, the mean between live columns of W and the principal directions matched
      with them; of all columns, those are live that the closed form says, by their norm;
    - `norm_error`, the largest difference of the norm of such a column from `sqrt(l_i - s)`;
    - `variance_error`, the largest of a mean posterior variance from `s / l_i`.

    Args:
        model: a `VAE` of the objective `BetaVAE` with a linear decoder, a constant beta and a
            Gaussian likelihood of constant variance.
        dataset: its covariance is that of all its observations.
        images: how many have their posterior taken.

    Raises:
        UserError: the model is another.
    """
    variance = getattr(getattr(model, "likelihood", None), "variance", None)
    if not (
        isinstance(model, VAE)
        and isinstance(model.objective, BetaVAE)
        and isinstance(model.likelihood, Gaussian)
        and not isinstance(variance, str)
        and not callable(model.objective.beta)
    ):
        raise UserError(
            "train.probe: linear_optimum_probe needs a VAE of constant beta with a Gaussian "
            "likelihood of constant variance"
        )
    everything = sampling.observations(dataset, dataset.some(len(dataset))).numpy()
    everything = everything.reshape(len(dataset), -1).astype(np.float64)
    covariance = np.cov(everything, rowvar=False)
    best = evaluation.optimal_linear_vae(
        covariance, model.latent_dim, beta=model.objective.beta, variance=variance
    )
    # Of a constant pixel there is no Cholesky factor.
    eigenvalues, directions = np.linalg.eigh(covariance)
    root = directions * np.sqrt(np.maximum(eigenvalues, 0))
    norms, live = np.linalg.norm(best["decoder"], axis=0), int(best["active"].sum())
    observations = sampling.observations(dataset, dataset.some(images))
    jacobian = evaluation.jacobian_function(model.decode, (model.latent_dim,))

    def measure() -> dict[str, float]:
        weights = jacobian(np.zeros((1, model.latent_dim), np.float32))
        weights = weights.reshape(-1, model.latent_dim).astype(np.float64)
        spectrum = np.sort(np.linalg.svd(weights, compute_uv=False))[::-1] ** 2
        columns = np.sort(np.argsort(-np.linalg.norm(weights, axis=0))[:live])
        # Rows that have the covariance of the data are as good as the data.
        rows = root.T * np.sqrt(len(covariance))
        rows = np.concatenate([rows, -rows])
        aligned = evaluation.pca_alignment(weights[:, columns], rows)
        component, cosines = aligned["component"], aligned["cosines"]
        matched = np.clip(cosines[np.arange(live), component], 0, 1)
        spread = model.posterior(observations).variance().numpy().mean(0)[columns]
        expected = best["posterior_variances"][component]
        lengths = np.linalg.norm(weights[:, columns], axis=0)
        return {
            "spectrum_error": float(np.abs(spectrum - norms**2).max()),
            "angle": float(np.degrees(np.arccos(matched)).mean()),
            "norm_error": float(np.abs(lengths - norms[component]).max()),
            "variance_error": float(np.abs(spread - expected).max()),
        }

    return measure


@gin.configurable
def joint_probe(
    model: Model, dataset: Dataset, probes: Sequence[Callable[..., Probe]] = ()
) -> Probe:
    """Several probes as one.

    Args:
        model: see each.
        dataset: see each.
        probes: what `train.probe` takes.
    """
    measures = [probe(model, dataset) for probe in probes]
    return lambda: {name: value for measure in measures for name, value in measure().items()}


def _require_decoder(model: Model, name: str) -> None:
    if not hasattr(model, "decode"):
        raise UserError(f"train.probe: {type(model).__name__} has no decoder; leave {name} out")
