"""The deterministic ELBO against the scores of it, closed forms, finite differences and samples."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo import evaluation
from zoo.errors import SettingError
from zoo.models.deterministic_elbo import DeterministicELBO, expanded_reconstruction
from zoo.models.likelihoods import Bernoulli, Gaussian, Laplace, Logistic
from zoo.models.objectives import BetaVAE
from zoo.models.posteriors import FullCovariance
from zoo.models.vae import VAE
from zoo.networks.dense import mlp_decoder, mlp_encoder

SEED, STEP = tf.constant([1, 2]), tf.constant(0)
VARIANCE = 0.3


def _vae(**options) -> VAE:
    keras.utils.set_random_seed(3)
    options = {
        "likelihood": lambda: Gaussian(VARIANCE),
        "objective": DeterministicELBO,
        **options,
    }
    return VAE(
        (4,),
        latent_dim=3,
        encoder=lambda shape: mlp_encoder(shape, units=(6,), activation="tanh"),
        decoder=lambda dim, shape: mlp_decoder(dim, shape, units=(6,), activation="tanh"),
        **options,
    )


def _of(objective, **settings):
    return functools.partial(objective, **settings)


@pytest.mark.parametrize("squashed", [True, False])
@pytest.mark.parametrize("curvature", [True, False])
def test_is_the_expansion_that_is_scored(batch, curvature, squashed):
    images = batch(8)["image"]
    objective = _of(DeterministicELBO, beta=2.0, curvature=curvature)
    model = _vae(
        objective=objective, likelihood=_of(Gaussian, variance=VARIANCE, squashed=squashed)
    )
    losses = model.losses_on({"image": images}, SEED, STEP)
    posterior = model.posterior(images)
    scored = evaluation.expansion_error(
        model.decode, posterior.mean().numpy(), posterior.variance().numpy(), images.numpy()
    )
    outputs = model.decoder_outputs(posterior.mean())
    centre = model.likelihood.negative_log_likelihood(images, outputs)
    added = scored["second_order" if curvature else "first_order"] / (2 * VARIANCE)
    expanded = losses["expanded_reconstruction"]
    np.testing.assert_allclose(np.mean(expanded), np.mean(centre) + added, rtol=1e-4)
    np.testing.assert_allclose(losses["loss"], expanded + 2 * losses["kl"], rtol=1e-5)


@pytest.mark.parametrize("curvature", [True, False])
def test_is_the_score_of_the_optimal_posterior_where_that_is_the_encoder_s(batch, curvature):
    images, beta = batch(1)["image"], 2.0
    model = _vae(objective=_of(DeterministicELBO, beta=beta, curvature=curvature))
    scored = evaluation.deterministic_elbo(
        model.decode,
        model.encode(images).numpy(),
        images.numpy(),
        beta=beta,
        variance=VARIANCE,
        posterior="diagonal",
        curvature=curvature,
    )
    variances = 1 / np.diag(scored["precision"][0])
    model.log_variance_head.set_weights([np.zeros((6, 3)), np.log(variances)])
    loss = model.losses_on({"image": images}, SEED, STEP)["loss"]
    np.testing.assert_allclose(-loss[0], scored["diagonal"], rtol=1e-4)


@pytest.mark.parametrize("curvature", [True, False])
@pytest.mark.parametrize("options", [{}, {"posterior": FullCovariance}])
def test_of_a_linear_decoder_is_the_elbo_in_closed_form(linear, batch, options, curvature):
    """`E|x - W z - b|^2 = |x - W m - b|^2 + tr(W^T W S)`."""
    images = batch(6)["image"].numpy()
    model = linear(DeterministicELBO, curvature=curvature, **options)
    weights, bias = model.decoder.get_weights()
    posterior = model.posterior(images)
    missed = images - posterior.mean().numpy() @ weights - bias
    covariances = (
        posterior.covariance() if options else tf.linalg.diag(posterior.variance())
    ).numpy()
    error = (missed**2).sum(1) + np.einsum("nij,ji->n", covariances, weights @ weights.T)
    expected = error / (2 * 0.5) + 4 / 2 * np.log(2 * np.pi * 0.5)
    losses = model.losses_on({"image": tf.constant(images)}, SEED, STEP)
    np.testing.assert_allclose(losses["expanded_reconstruction"], expected, rtol=1e-4)
    np.testing.assert_allclose(losses["loss"], expected + losses["kl"], rtol=1e-4)


@pytest.mark.parametrize("likelihood", [lambda: Gaussian("learned"), Bernoulli, Logistic])
def test_is_what_samples_of_a_narrow_posterior_give(batch, likelihood):
    images = tf.sigmoid(batch(2)["image"])
    model = _vae(likelihood=likelihood)
    model.log_variance_head.set_weights([np.zeros((6, 3)), np.full(3, np.log(0.01))])
    posterior = model.posterior(images)
    expanded = expanded_reconstruction(model, images, posterior)
    noise = 0.1 * np.random.default_rng(0).normal(size=(20_000, 3)).astype(np.float32)
    mean = posterior.mean()
    centre = model.likelihood.negative_log_likelihood(images, model.decoder_outputs(mean))
    for number in range(2):
        # Pairs, whose odd orders cancel.
        drawn = mean[number] + tf.concat([noise, -noise], 0)
        repeated = tf.repeat(images[number : number + 1], len(drawn), axis=0)
        values = model.likelihood.negative_log_likelihood(repeated, model.decoder_outputs(drawn))
        added = tf.reduce_mean(tf.reshape(values, [2, -1]), 0) - centre[number]
        error = 4 * np.std(added) / np.sqrt(len(noise))
        found = float(expanded[number] - centre[number])
        assert abs(np.mean(added) - found) < error + 0.02 * abs(found)


@pytest.mark.parametrize(
    "likelihood", [Bernoulli, _of(Gaussian, squashed=True), _of(Logistic, squashed=True)]
)
def test_without_curvature_wide_posteriors_do_not_lower_the_loss(batch, likelihood):
    """Whatever the error: outputs far beyond images bend the sigmoid most."""
    images = tf.zeros_like(batch(4)["image"])
    model = _vae(likelihood=likelihood, objective=_of(DeterministicELBO, curvature=False))
    model.decoder.layers[-2].bias.assign(tf.fill([4], 4.0))
    expanded = []
    for log_variance in (0.0, 8.0):
        model.log_variance_head.set_weights([np.zeros((6, 3)), np.full(3, log_variance)])
        expanded.append(model.losses_on({"image": images}, SEED, STEP)["expanded_reconstruction"])
    assert (expanded[1] > expanded[0]).numpy().all()


def test_has_no_noise(batch):
    model = _vae()
    first, second = (model.losses_on(batch(4), tf.constant([1, k]), STEP) for k in (2, 3))
    np.testing.assert_array_equal(first["loss"], second["loss"])
    assert np.abs(first["reconstruction"] - second["reconstruction"]).max() > 0


@pytest.mark.parametrize("options", [{}, {"curvature": False}])
def test_gradients(batch, check_gradient, options):
    check_gradient(_vae(objective=_of(DeterministicELBO, **options)), batch(6))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": _of(DeterministicELBO, beta=-1.0)}, "DeterministicELBO.beta is -1.0"),
        ({"objective": _of(DeterministicELBO, curvature="both")}, "curvature is 'both'"),
        ({"likelihood": Laplace}, "VAE.likelihood is Laplace, whose log density has a kink"),
        ({"likelihood": lambda: Gaussian("optimal")}, "Gaussian.variance is 'optimal'"),
    ],
)
def test_bad_settings_are_one_line(options, message):
    with pytest.raises(SettingError, match=message) as caught:
        _vae(**options)
    assert "\n" not in str(caught.value)


def test_is_a_beta_vae_whose_reconstruction_is_expanded(batch):
    sampled = _vae(objective=BetaVAE).losses_on(batch(4), SEED, STEP)
    expanded = _vae().losses_on(batch(4), SEED, STEP)
    for name in ("reconstruction", "kl"):
        np.testing.assert_array_equal(sampled[name], expanded[name])
    assert _vae().kind == "DeterministicELBO"
