"""Every family of posteriors with every prior, objective and penalty: it trains, or one line says
why it cannot be.
"""

import functools
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo.models.annealed_vae import AnnealedVAE
from zoo.models.deterministic_elbo import DeterministicELBO
from zoo.models.dip_vae import DIPVAE
from zoo.models.domain_priors import FlowPrior
from zoo.models.factor_vae import FactorVAE
from zoo.models.jacobian_penalty import JacobianOrthogonality
from zoo.models.objectives import BetaVAE
from zoo.models.posteriors import DiagonalPosterior, FullCovariance, covariance, entropy, marginals
from zoo.models.priors import LaplacePrior, LogisticPrior, NormalPrior, UniformPrior
from zoo.models.slow_vae import SlowVAE
from zoo.models.tc_vae import TCVAE
from zoo.models.vae import VAE
from zoo.networks.dense import mlp_decoder, mlp_encoder
from zoo.networks.discriminators import mlp_discriminator
from zoo.optim.optimizers import Adam

SEED, STEP = tf.constant([1, 2]), tf.constant(0)
OBJECTIVES = (
    BetaVAE,
    AnnealedVAE,
    functools.partial(FactorVAE, discriminator=lambda dim: mlp_discriminator(dim, units=(8,))),
    TCVAE,
    functools.partial(DIPVAE, variant="II"),
    SlowVAE,
    DeterministicELBO,
)
PRIORS = (NormalPrior, LaplacePrior, LogisticPrior, UniformPrior)
POSTERIORS = (DiagonalPosterior, FullCovariance)


def _vae(**options) -> VAE:
    keras.utils.set_random_seed(3)
    return VAE(
        (4,),
        latent_dim=3,
        encoder=lambda shape: mlp_encoder(shape, units=(6,)),
        decoder=lambda dim, shape: mlp_decoder(dim, shape, units=(6,), activation="tanh"),
        **options,
    )


def _batch(count: int = 6) -> dict[str, tf.Tensor]:
    image, partner = np.random.default_rng(0).random((2, count, 4), np.float32)
    return {"image": tf.constant(image), "partner": tf.constant(partner)}


def _name(part) -> str:
    return getattr(part, "func", part).__name__


def _refused(posterior, prior, objective) -> bool:
    return prior is UniformPrior and (posterior is FullCovariance or _name(objective) == "SlowVAE")


ALL = list(itertools.product(POSTERIORS, PRIORS, OBJECTIVES))


@pytest.mark.parametrize(("posterior", "prior", "objective"), ALL, ids=lambda part: _name(part))
def test_a_combination(posterior, prior, objective):
    options = {"posterior": posterior, "prior": prior, "objective": objective}
    if _refused(**options):
        with pytest.raises(ValueError, match="VAE.prior is UniformPrior") as caught:
            _vae(**options)
        assert "\n" not in str(caught.value)
        return
    plain = _vae(**options)
    assert plain.kind.startswith(_name(objective))
    assert ("FullCovariance" in plain.kind) == (posterior is FullCovariance)
    model = _vae(**options, jacobian_penalty=JacobianOrthogonality(weight=0.5))
    data = _batch()
    losses, bare = (m.losses_on(data, SEED, STEP) for m in (model, plain))
    for name, value in losses.items():
        assert value.shape[0] == 6 and np.isfinite(value).all(), name
    np.testing.assert_allclose(
        losses["loss"], bare["loss"] + 0.5 * losses["jacobian_penalty"], rtol=1e-5
    )
    model.bind(Adam(1e-2))
    before = [weight.numpy() for weight in model.trainable_variables]
    model.update(data, SEED, STEP, 1)
    for old, new in zip(before, model.trainable_variables, strict=True):
        assert np.isfinite(new).all(), new.path
        # A latent's mean posterior, the last bias of a discriminator: all else moves.
        assert np.abs(old - new).max() > 0 or "bias" in new.path, new.path


def test_the_kl_of_a_full_covariance_to_a_prior_of_the_domain():
    """`-log p(z|u) - H(q)` of the same draws, with the entropy of the whole posterior."""
    model = _vae(posterior=FullCovariance, prior=functools.partial(FlowPrior, 2))
    posterior = model.posterior(_batch()["image"])
    draws, domain = model.draw(posterior, SEED), tf.constant([0, 1] * 3)
    kl, each = model.posterior_family.divergence(posterior, draws, domain)
    density = tf.reduce_sum(model.prior.log_density(draws, domain), axis=1)
    np.testing.assert_allclose(kl, -density - posterior.entropy(), rtol=1e-4)
    assert each.shape == (6, 3)


@pytest.mark.parametrize("prior", [NormalPrior, LaplacePrior])
def test_the_kl_of_a_full_covariance_is_that_of_many_samples(prior):
    model = _vae(posterior=FullCovariance, prior=prior)
    posterior = model.posterior(tf.repeat(_batch(1)["image"], 20_000, axis=0))
    kl, each = model.posterior_family.divergence(posterior, None)
    draws = model.draw(posterior, SEED)
    density = {
        NormalPrior: -0.5 * draws**2 - 0.5 * np.log(2 * np.pi),
        LaplacePrior: -np.sqrt(2) * tf.abs(draws) - 0.5 * np.log(2),
    }[prior]
    values = posterior.log_prob(draws) - tf.reduce_sum(density, axis=1)
    error = np.std(values) / np.sqrt(len(values))
    assert abs(float(kl[0]) - np.mean(values)) < 4 * error
    assert float(tf.reduce_sum(each[0])) <= float(kl[0]) + 1e-6


def test_a_diagonal_posterior_is_a_full_one_without_what_is_below():
    full, diagonal = _vae(posterior=FullCovariance), _vae()
    head = full.posterior_family.off_diagonal_head
    head.set_weights([np.zeros_like(weight) for weight in head.get_weights()])
    for name in ("encoder", "mean_head", "log_variance_head", "decoder"):
        getattr(full, name).set_weights(getattr(diagonal, name).get_weights())
    images = _batch()["image"]
    one, other = full.posterior(images), diagonal.posterior(images)
    np.testing.assert_allclose(marginals(one).stddev(), other.stddev(), rtol=1e-5)
    np.testing.assert_allclose(entropy(one), entropy(other), rtol=1e-5)
    np.testing.assert_allclose(covariance(one), covariance(other), rtol=1e-5, atol=1e-7)
    for each in zip(
        full.posterior_family.divergence(one, None),
        diagonal.posterior_family.divergence(other, None),
        strict=True,
    ):
        np.testing.assert_allclose(*each, rtol=1e-4, atol=1e-6)
