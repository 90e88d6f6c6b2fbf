"""DIP-VAE: the penalty of the covariance, of both kinds."""

import numpy as np
import pytest
import tensorflow as tf

from zoo.models.dip_vae import DIPVAE

SEED, STEP = tf.constant([1, 2]), tf.constant(0)


@pytest.mark.parametrize("variant", ["I", "II"])
def test_penalty_is_that_of_the_covariance(linear, batch, variant):
    model = linear(DIPVAE, lambda_od=3.0, lambda_d=5.0, variant=variant)
    data = batch(9)
    losses = model.losses_on(data, SEED, STEP)
    posterior = model.posterior(data["image"])
    covariance = np.cov(posterior.mean().numpy().T, ddof=0)
    if variant == "II":
        covariance += np.diag(posterior.variance().numpy().mean(0))
    expected = 3 * 2 * covariance[0, 1] ** 2 + 5 * np.sum((np.diag(covariance) - 1) ** 2)
    np.testing.assert_allclose(losses["covariance_penalty"], np.full(9, expected), rtol=1e-5)
    np.testing.assert_allclose(
        losses["loss"], losses["reconstruction"] + losses["kl"] + expected, rtol=1e-5
    )


def test_codes_of_identity_covariance_cost_nothing(linear, batch):
    x = batch(50)["image"].numpy()
    chol = np.linalg.cholesky(np.linalg.inv(np.cov(x.T, ddof=0)))
    for variant, scale in (("I", 1.0), ("II", np.sqrt(0.75))):
        model = linear(DIPVAE, variant=variant)
        model.mean_head.set_weights([scale * chol[:, :2], np.zeros(2)])
        model.log_variance_head.set_weights([np.zeros((4, 2)), np.full(2, np.log(0.25))])
        losses = model.losses_on({"image": tf.constant(x)}, SEED, STEP)
        np.testing.assert_allclose(losses["covariance_penalty"], np.zeros(50), atol=1e-8)


@pytest.mark.parametrize("variant", ["I", "II"])
def test_gradient(linear, batch, check_gradient, variant):
    check_gradient(linear(DIPVAE, variant=variant), batch(7))


def test_bad_variant(linear):
    with pytest.raises(ValueError, match="DIPVAE.variant is 'III'; it takes 'I' or 'II'"):
        linear(DIPVAE, variant="III")


@pytest.mark.parametrize("key", ["lambda_od", "lambda_d"])
def test_a_negative_weight_is_refused(linear, key):
    with pytest.raises(ValueError, match=f"DIPVAE.{key} is -1.0; give a number that is not neg"):
        linear(DIPVAE, **{key: -1.0})
