"""What the job's settings `probe`, `scores` and `compiled` do to a run."""

import json

import gin
import numpy as np
import pytest
import tensorflow as tf

import zoo.configurables  # noqa: F401  registers what gin files name
from zoo import config, data, evaluation, train
from zoo.models.vae import VAE
from zoo.networks.dense import mlp_decoder, mlp_encoder
from zoo.training.probes import kl_error_probe
from zoo.training.settings import Settings

REQUIRED = ["train.steps = 10", "train.log_every = 5", "train.pictures_every = 10"]


@pytest.fixture(autouse=True)
def _clean():
    yield
    gin.clear_config()


def test_kl_error_is_that_of_the_posteriors_of_fixed_images():
    import toy  # noqa: F401  registers the data set

    dataset = data.load("toy")
    model = VAE((16, 16, 1), 3, encoder=mlp_encoder, decoder=mlp_decoder)
    # Means that spread, on one latent of three.
    model.mean_head.kernel.assign(model.mean_head.kernel * np.array([20.0, 0.01, 0.01]))
    probe = kl_error_probe(model, dataset, images=50)
    images = dataset.images[dataset.some(50)].astype(np.float32)
    posterior = model.posterior(tf.constant(images))
    expected = evaluation.polarized_regime(posterior.mean(), posterior.variance())
    assert expected["varies"].tolist() == [True, False, False] and expected["score"] > 0
    first = probe()
    assert first["relative_kl_error"] == pytest.approx(expected["score"], rel=1e-4)
    assert first["varying_latents"] == 1 and probe() == first
    # It sees the weights of now.
    model.mean_head.kernel.assign(model.mean_head.kernel * 0.0)
    assert probe()["varying_latents"] == 0


def test_probe_and_scores_reach_the_run(tmp_path, toy_gin):
    bindings = [
        *REQUIRED,
        "train.probe = @kl_error_probe",
        "train.scores = 'mig, disentanglement_score'",
        "train.score_options = {'mig': {'num_bins': 5}, 'disentanglement_score': {'seed': 1}}",
        "train.compiled = 'always'",
    ]
    arguments = [f"--gin_bindings={binding}" for binding in bindings]
    train.main([f"--gin_file={toy_gin}", f"--run_dir={tmp_path}", *arguments])
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert list(scores) == ["mig", "disentanglement_score"]
    assert all(row["reason"] is None for row in scores.values())
    records = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in records] == [5, 10]
    assert all(r["relative_kl_error"] >= 0 for r in records)


@pytest.mark.parametrize(
    "binding, part",
    [
        ("train.scores = 'dto,migg'", "unknown suite or score 'migg'"),
        ("train.score_options = {'dci': {}}", "options for 'dci'"),
        (
            "train.compiled = 'yes'",
            "train.compiled is 'yes'; it takes auto",
        ),
    ],
)
def test_bad_settings_stop_before_the_training(toy_gin, binding, part):
    config.parse([toy_gin], [binding])
    with pytest.raises(ValueError, match=part):
        Settings()


def test_a_model_without_posterior_has_no_kl_error(tmp_path, toy_gin, fails):
    bindings = [*REQUIRED, "train.model = @AE", "train.probe = @kl_error_probe"]
    bindings += ["AE.encoder = @mlp_encoder", "AE.decoder = @mlp_decoder"]
    arguments = [f"--gin_bindings={binding}" for binding in bindings]
    line = fails(train.main, f"--gin_file={toy_gin}", f"--run_dir={tmp_path}", *arguments)
    assert "AE has no posterior; leave kl_error_probe out" in line


def test_a_kl_error_of_no_images_is_refused():
    with pytest.raises(ValueError, match="kl_error_probe.images is 0; give at least 1"):
        kl_error_probe(None, None, images=0)
