"""Probes of decoders, and the linear VAE that they find at its closed form."""

import functools
import json

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo.configurables  # noqa: F401  registers what gin files name
from zoo import config, evaluation
from zoo.data import catalog, sampling
from zoo.data.dataset import Dataset, DenseImages
from zoo.errors import UserError
from zoo.models.likelihoods import Bernoulli, Gaussian
from zoo.models.objectives import BetaVAE
from zoo.models.pcl import PCL
from zoo.models.posteriors import FullCovariance
from zoo.models.vae import VAE
from zoo.networks.dense import mlp_decoder, mlp_encoder
from zoo.optim.optimizers import Adam
from zoo.training.decoder_probes import (
    elbo_probe,
    expansion_probe,
    jacobian_probe,
    joint_probe,
    linear_optimum_probe,
)
from zoo.training.loop import Loop
from zoo.training.run import train
from zoo.training.settings import Settings

VARIANCES = np.array([4.0, 2.0, 1.0, 0.25])


def _gaussian() -> Dataset:
    rng = np.random.default_rng(0)
    directions = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    rows = rng.normal(size=(20_000, 4)) * np.sqrt(VARIANCES) @ directions.T
    return Dataset("gaussian", DenseImages(rows.astype(np.float32), maximum=1.0))


def _linear(**options) -> VAE:
    keras.utils.set_random_seed(1)
    options = {
        "likelihood": lambda: Gaussian(0.2),
        "objective": functools.partial(BetaVAE, beta=2.0),
        **options,
    }
    return VAE(
        (4,),
        latent_dim=4,
        encoder=lambda shape: mlp_encoder(shape, units=()),
        decoder=lambda dim, shape: mlp_decoder(dim, shape, units=()),
        **options,
    )


def _trained(model, dataset, rates=(1e-2, 1e-3), steps=2000):
    for rate in rates:
        model.bind(Adam(rate))
        sampler = sampling.Independent(dataset, 256)
        Loop(model, sampler, sampling.tensors(dataset), seed=0).run(0, steps)
    return model


def test_training_finds_the_closed_form_of_the_linear_vae():
    """Theorem 2 of Zietlow 2022: the columns are principal directions; the last collapses."""
    dataset = _gaussian()
    model = _linear()
    measure = linear_optimum_probe(model, dataset)
    before = measure()
    assert before["angle"] > 10 and before["norm_error"] > 0.3
    _trained(model, dataset)
    after = measure()
    assert after["angle"] < 3
    assert after["norm_error"] < 0.05 and after["variance_error"] < 0.03
    assert after["spectrum_error"] < 0.15


def test_a_full_posterior_finds_the_spectrum_and_leaves_the_rotation():
    dataset = _gaussian()
    model = _trained(_linear(posterior=FullCovariance), dataset, rates=(5e-3,))
    found = linear_optimum_probe(model, dataset)()
    assert found["spectrum_error"] < 0.15
    assert found["angle"] > 5


def test_a_decoder_at_the_closed_form_has_no_error():
    dataset, model = _gaussian(), _linear()
    covariance = np.cov(dataset.images[:].astype(np.float64), rowvar=False)
    best = evaluation.optimal_linear_vae(covariance, 4, beta=2.0, variance=0.2)
    shuffled = best["decoder"][:, [2, 0, 3, 1]] * np.array([1, -1, 1, -1])
    model.decoder.set_weights([shuffled.T, np.zeros(4)])
    variances = best["posterior_variances"][[2, 0, 3, 1]]
    model.log_variance_head.set_weights([np.zeros((4, 4)), np.log(variances)])
    assert max(linear_optimum_probe(model, dataset)().values()) < 0.02


def test_the_closed_form_is_of_images_in_0_to_1_of_which_a_pixel_may_be_constant():
    pixels = np.clip(np.rint(128 + 20 * _gaussian().images[:2000]), 0, 255).astype(np.uint8)
    pixels[:, 1] = 7
    best = evaluation.optimal_linear_vae(
        np.cov(pixels / 255, rowvar=False), 4, beta=2.0, variance=0.0005
    )
    model = _linear(likelihood=lambda: Gaussian(0.0005))
    model.decoder.set_weights([best["decoder"].T, np.zeros(4)])
    variances = best["posterior_variances"]
    model.log_variance_head.set_weights([np.zeros((4, 4)), np.log(variances)])
    found = linear_optimum_probe(model, Dataset("pixels", DenseImages(pixels)))()
    assert max(found.values()) < 1e-4 and best["active"].sum() == 3


@pytest.mark.parametrize(
    "options", [{"likelihood": Bernoulli}, {"likelihood": lambda: Gaussian("learned")}]
)
def test_the_closed_form_is_of_fixed_gaussian_likelihoods(options):
    with pytest.raises(UserError, match="needs a VAE of constant beta with a Gaussian"):
        linear_optimum_probe(_linear(**options), _gaussian())


def _toy_model(units=(8,)) -> VAE:
    keras.utils.set_random_seed(0)
    return VAE(
        (16, 16, 1),
        latent_dim=3,
        encoder=lambda shape: mlp_encoder(shape, units=(8,)),
        decoder=lambda dim, shape: mlp_decoder(dim, shape, units=units),
    )


def test_the_jacobian_probe_leaves_out_what_no_live_latent_defines():
    import toy  # noqa: F401

    model = _toy_model()
    measure = jacobian_probe(model, catalog.load("toy"), images=4, codes=50)
    assert set(measure()) == {"gram_diagonality", "curvature_diagonality", "dto", "mig"}
    model.decoder.set_weights([np.zeros_like(weight) for weight in model.decoder.get_weights()])
    assert set(measure()) == {"mig"}


def test_the_jacobian_probe_gives_the_scores_of_the_same_codes():
    import toy  # noqa: F401

    dataset, model = catalog.load("toy"), _toy_model()
    found = jacobian_probe(model, dataset, images=16, codes=100)()
    images = sampling.as_float(dataset, tf.constant(dataset.images[dataset.some(16)]))
    means = model.encode(images).numpy()
    with tf.GradientTape() as tape:
        latents = tf.constant(means)
        tape.watch(latents)
        decoded = model.decode(latents)
    jacobians = tape.batch_jacobian(decoded, latents).numpy().reshape(16, -1, 3)
    grams = np.square(np.swapaxes(jacobians, 1, 2) @ jacobians)
    diagonality = np.einsum("nii->n", grams) / grams.sum((1, 2))
    np.testing.assert_allclose(found["gram_diagonality"], diagonality.mean(), rtol=1e-4)
    np.testing.assert_allclose(found["dto"], evaluation.dto(jacobians)["score"], rtol=1e-3)
    assert 0 < found["curvature_diagonality"] <= 1 and 0 <= found["mig"] <= 1
    assert all(isinstance(value, float) for value in found.values())


def test_the_probe_follows_the_weights():
    import toy  # noqa: F401

    dataset, model = catalog.load("toy"), _toy_model(units=())
    measure = joint_probe(model, dataset, [jacobian_probe, lambda *_: lambda: {"constant": 1.0}])
    first = measure()
    assert first["constant"] == 1.0
    # Disjoint pixels: orthogonal columns, at zero logits for all latents.
    kernel = np.zeros((3, 256), np.float32)
    for latent in range(3):
        kernel[latent, 80 * latent : 80 * (latent + 1)] = 1 + latent
    model.decoder.layers[-2].set_weights([kernel, np.zeros(256)])
    second = measure()
    np.testing.assert_allclose(second["gram_diagonality"], 1, atol=1e-6)
    np.testing.assert_allclose(second["curvature_diagonality"], 1, atol=1e-6)
    assert second["dto"] < 1e-3 < first["dto"]
    assert measure() == second


def test_needs_a_decoder():
    import toy  # noqa: F401

    model = PCL((16, 16, 1), 2, encoder=lambda shape: mlp_encoder(shape, units=(8,)))
    with pytest.raises(UserError, match="PCL has no decoder; leave jacobian_probe out"):
        jacobian_probe(model, catalog.load("toy"))


def test_a_run_switches_it_on_by_gin(tmp_path, toy_gin):
    config.parse([toy_gin], ["train.probe = @jacobian_probe", "train.steps = 10"])
    try:
        train(Settings(), tmp_path)
    finally:
        gin.clear_config()
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [5, 10]
    for record in records:
        assert 0 < record["gram_diagonality"] <= 1 and 0 <= record["mig"] <= 1


def test_the_expansion_of_a_linear_decoder_misses_nothing():
    # But for the 64 pairs of draws at each of 64 images, with 4 latents and as many numbers.
    found = expansion_probe(_linear(), _gaussian(), samples=64)()
    assert found["expansion_error"] == found["first_order_error"] < 0.05
    with pytest.raises(UserError, match="PCL has no decoder; leave expansion_probe out"):
        expansion_probe(
            PCL((4,), 2, encoder=lambda shape: mlp_encoder(shape, units=(8,))), _gaussian()
        )


def test_both_elbos_of_a_linear_decoder_are_the_same():
    dataset, model = _gaussian(), _linear()
    found = elbo_probe(model, dataset, images=200, samples=100)()
    assert found == elbo_probe(model, dataset, images=200, samples=100)()
    # The noise of 100 draws at each of 200 vectors.
    np.testing.assert_allclose(found["elbo"], found["expanded_elbo"], rtol=0.01)
    posterior = model.posterior(sampling.observations(dataset, dataset.some(200)))
    seed = tf.constant([0, 0])
    _, _, terms = model.elbo(sampling.observations(dataset, dataset.some(200)), seed)
    weights = model.decoder.get_weights()[0]
    noise = posterior.variance().numpy() @ np.square(weights).sum(1) / (2 * 0.2)
    means = model.decoder_outputs(posterior.mean())
    missed = dataset.images[dataset.some(200)] - means.numpy()
    centre = np.square(missed).sum(1) / (2 * 0.2) + 2 * np.log(2 * np.pi * 0.2)
    expected = -np.mean(centre + noise + terms["kl"].numpy())
    np.testing.assert_allclose(found["expanded_elbo"], expected, rtol=1e-4)


def test_the_elbo_is_of_the_data_that_are_held_out():
    import toy  # noqa: F401

    dataset, model = catalog.load("toy"), _toy_model()
    other = elbo_probe(model, Dataset("none", DenseImages(dataset.images[:1])), "toy", 8, 2)()
    assert other == elbo_probe(model, dataset, images=8, samples=2)()
    ours = PCL((16, 16, 1), 2, encoder=lambda shape: mlp_encoder(shape, units=(8,)))
    with pytest.raises(UserError, match="elbo_probe.samples is 0; give at least 1"):
        elbo_probe(model, dataset, samples=0)
    with pytest.raises(UserError, match="PCL is no VAE; leave elbo_probe out"):
        elbo_probe(ours, dataset)
