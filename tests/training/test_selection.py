"""Selection keeps the best checkpoint, whatever comes after it, also across a restart."""

import dataclasses
import functools
import json
import pathlib

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from zoo import config, data, evaluation, runs
from zoo.data import sampling
from zoo.data.dataset import Dataset, DenseImages
from zoo.errors import UserError
from zoo.evaluation import facts
from zoo.models.additive import AdditiveAutoencoder
from zoo.models.autoencoder import AE
from zoo.models.factor_vae import FactorVAE
from zoo.models.objectives import BetaVAE
from zoo.models.slow_vae import SlowVAE
from zoo.models.tc_vae import TCVAE
from zoo.models.vae import VAE
from zoo.networks.dense import mlp_decoder, mlp_encoder
from zoo.networks.discriminators import mlp_discriminator
from zoo.optim.optimizers import Adam
from zoo.training import selection
from zoo.training.checkpoints import Checkpoints
from zoo.training.run import train
from zoo.training.settings import Settings


@pytest.fixture(autouse=True)
def _clean():
    yield
    gin.clear_config()


@pytest.fixture
def toy():
    import toy  # noqa: F401  registers the data set

    return data.load("toy")


def _model():
    keras.utils.set_random_seed(0)
    model = AE(
        (16, 16, 1),
        latent_dim=3,
        encoder=lambda shape: mlp_encoder(shape, units=(8,)),
        decoder=lambda dim, shape: mlp_decoder(dim, shape, units=(8,)),
    )
    model.bind(Adam(1e-3))
    return model


def _vae(objective, kind=VAE) -> VAE:
    return kind(
        (16, 16, 1),
        latent_dim=2,
        encoder=lambda shape: mlp_encoder(shape, units=(8,)),
        decoder=lambda dim, shape: mlp_decoder(dim, shape, units=(8,)),
        objective=objective,
    )


def _errors(model, dataset, factors, scores, tmp_path: pathlib.Path) -> int:
    """Scales the decoder's last layer by each factor in turn; gives the step that was kept."""
    folder = runs.RunFolder(tmp_path)
    folder.checkpoints.mkdir(parents=True, exist_ok=True)
    kept = selection.Selection(folder, model, lambda: model, dataset, scores, every=1)
    before = model.get_weights()
    for step, factor in enumerate(factors, start=1):
        model.set_weights([factor * weights for weights in before])
        found = kept.consider(step)
        assert list(found) == [f"validation_{name}" for name in scores]
    fresh = _model()
    step = selection.restore_best(folder, fresh)
    wanted = [factors[step - 1] * weights for weights in before]
    for weights, expected in zip(fresh.get_weights(), wanted, strict=True):
        np.testing.assert_allclose(weights, expected, rtol=1e-6)
    model.set_weights(before)
    return step


@pytest.mark.parametrize(("higher", "best"), [(False, 2), (True, 3)])
def test_the_best_checkpoint_is_kept_and_restored(toy, tmp_path, monkeypatch, higher, best):
    """Without weights all outputs are 0.5 or 0: far less wrong than weights times 50."""
    known = facts.of("reconstruction_rmse")
    assert known.higher_is_better is False
    changed = dataclasses.replace(known, higher_is_better=higher)
    monkeypatch.setattr(evaluation.reconstruction_rmse, "facts", changed)
    factors = [10.0, 0.0, 50.0, 20.0]
    assert _errors(_model(), toy, factors, ["reconstruction_rmse"], tmp_path) == best


def test_a_run_that_goes_on_compares_with_what_it_had(toy, tmp_path):
    folder, model = runs.RunFolder(tmp_path), _model()
    folder.checkpoints.mkdir(parents=True)
    options = (folder, model, lambda: model, toy, ["reconstruction_rmse"])
    selection.Selection(*options, every=1).consider(5)
    model.set_weights([50 * weights for weights in model.get_weights()])
    selection.Selection(*options, every=1).consider(10)
    assert selection.restore_best(folder, model) == 5


def test_a_better_checkpoint_of_an_earlier_step_replaces_that_of_a_killed_try(toy, tmp_path):
    folder, model = runs.RunFolder(tmp_path), _model()
    folder.checkpoints.mkdir(parents=True)
    kept = selection.Selection(folder, model, lambda: model, toy, ["reconstruction_rmse"], every=1)
    model.set_weights([50 * weights for weights in model.get_weights()])
    kept.consider(30)
    model.set_weights([0 * weights for weights in model.get_weights()])
    kept.consider(25)
    fresh = _model()
    assert selection.restore_best(folder, fresh) == 25
    assert not any(np.any(weights) for weights in fresh.get_weights())


@pytest.mark.parametrize(
    ("score", "reason"),
    [
        ("j_ari", "the data set has no masks"),
        ("mig", "the data set has no factor space"),
        ("deterministic_elbo", "the model has no posterior distribution"),
        ("udr", "models are compared: give the others"),
    ],
)
def test_a_score_of_what_is_lacking_is_found_before_the_training(tmp_path, score, reason):
    model, images = _model(), np.random.default_rng(0).integers(0, 256, (20, 16, 16, 1), np.uint8)
    noise = Dataset("noise", DenseImages(images))
    options = (runs.RunFolder(tmp_path), model, lambda: model, noise)
    with pytest.raises(UserError, match=f"train.select: {score} cannot be computed: {reason}"):
        selection.Selection(*options, [score], every=1)


def test_a_score_that_cannot_be_computed_is_an_error(toy, tmp_path, monkeypatch):
    model, row = _model(), {"score": None, "reason": "why"}
    options = (runs.RunFolder(tmp_path), model, lambda: model, toy, ["reconstruction_rmse"])
    kept = selection.Selection(*options, every=1)
    monkeypatch.setattr(evaluation, "evaluate", lambda *_, **__: {"reconstruction_rmse": row})
    with pytest.raises(UserError, match="train.select: reconstruction_rmse cannot .*: why"):
        kept.consider(1)


def test_scores_are_selected_by_with_their_options(toy_gin, tmp_path, monkeypatch):
    """Options may be of a score that is not among those of the end."""
    seen = []

    def table(model, dataset, names, options=None, **how):
        seen.append((tuple(names), options))
        return {name: {"score": 1.0, "reason": None, "parts": {}} for name in names}

    monkeypatch.setattr(evaluation, "evaluate", table)
    lines = [
        "train.scores = 'sap'",
        "train.select = 'mig, loss'",
        "train.validation_dataset = 'toy'",
        "train.select_every = 5",
        "train.steps = 5",
        "train.publish = 'scores'",
        "train.score_options = {'mig': {'num_bins': 5}, 'sap': {}}",
    ]
    config.parse([toy_gin], lines)
    train(Settings(), tmp_path / "run")
    assert seen == [(("mig",), {"mig": {"num_bins": 5}}), (("sap",), {"sap": {}})]


def test_names_are_read_and_signs_refused():
    assert selection.parse("j_ari, reconstruction_rmse") == ("j_ari", "reconstruction_rmse")
    assert selection.parse("loss") == ("loss",)
    for line, message in {
        "best": "unknown suite or score 'best'",
        "-loss": "leave out the minus of '-loss'",
        "j_ari,-reconstruction_rmse": "leave out the minus of '-reconstruction_rmse'",
        "singular_values": "neither a high nor a low singular_values is better",
    }.items():
        with pytest.raises(UserError, match=message):
            selection.parse(line)


def test_the_loss_is_the_mean_over_all_images_of_the_set(toy, monkeypatch):
    """Whatever the batches; not a mean of their means, of which the last has fewer images."""
    model, part = _model(), toy.part("toy[3:20]", np.arange(3, 20))
    images = sampling.observations(part, part.ids)
    losses = model.losses_on({"image": images}, tf.constant([0, 0]), tf.constant(0))["loss"]
    monkeypatch.setattr(selection, "_BATCH", 7)
    found = selection.mean_loss(model, part)(5)
    assert found == pytest.approx(float(np.mean(losses)), rel=1e-5)


def test_a_last_image_is_not_alone(toy, monkeypatch):
    """A stratified estimate takes at least two images."""
    objective = functools.partial(TCVAE, estimator="stratified", dataset_size=100)
    model, part = _vae(objective), toy.part("toy[:17]", np.arange(17))
    whole = selection.mean_loss(model, part)(0)
    monkeypatch.setattr(selection, "_BATCH", 16)
    assert selection.mean_loss(model, part)(0) == whole
    assert np.isfinite(selection.mean_loss(_model(), toy.part("toy[0]", np.arange(1)))(0))


def test_the_checkpoint_of_the_lowest_loss_is_kept(toy, tmp_path):
    factors = [10.0, 0.0, 50.0, 20.0]
    assert _errors(_model(), toy, factors, ["loss"], tmp_path) == 2


def test_loss_and_scores_are_weighed_together(toy, tmp_path):
    folder, model = runs.RunFolder(tmp_path), _model()
    folder.checkpoints.mkdir(parents=True)
    scores = ["reconstruction_rmse", "loss"]
    found = selection.Selection(folder, model, lambda: model, toy, scores, every=1).consider(1)
    assert list(found) == ["validation_reconstruction_rmse", "validation_loss"]
    record = json.loads((folder.checkpoints / "best" / "best.json").read_text())
    assert record["value"] == pytest.approx(-np.mean(list(found.values())))


def test_the_validation_loss_takes_moving_averages_and_changes_nothing(toy):
    """After one batch the moving averages are not yet those of the data."""
    keras.utils.set_random_seed(0)
    model = AdditiveAutoencoder(
        (16, 16, 1),
        code_noise=1.0,
        encoder=lambda shape: mlp_encoder(shape, units=(8,)),
        decoder=lambda dim, shape: mlp_decoder(dim, shape, units=(8,)),
    )
    seed, step = tf.constant([0, 0]), tf.constant(0)
    images = sampling.observations(toy, np.arange(32))
    model.losses_on({"image": images}, seed, step)
    before = model.get_weights()
    part = toy.part("toy[:32]", np.arange(32))
    found = selection.mean_loss(model, part)(0)
    for weights, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weights, expected)
    error = np.mean((images - model.decode(model.encode(images))) ** 2)
    assert found == pytest.approx(error, rel=1e-5)
    trained = model.losses_on({"image": images}, seed, step)["loss"]
    assert abs(np.mean(trained) - error) > 1e-3 * error


def test_a_model_of_pairs_cannot_be_selected_by_its_loss(toy):
    model = _vae(SlowVAE)
    with pytest.raises(UserError, match="VAE has no loss of single images .SlowVAE trains on pai"):
        selection.mean_loss(model, toy)


def test_losses_of_a_users_own_vae_select_it(toy):
    class Own(VAE):
        def losses_on(self, batch, seed, step):
            losses = super().losses_on(batch, seed, step)
            return {**losses, "loss": 2 * losses["loss"]}

    plain, own = _vae(BetaVAE), _vae(BetaVAE, Own)
    own.set_weights(plain.get_weights())
    assert selection.mean_loss(own, toy)(0) == pytest.approx(2 * selection.mean_loss(plain, toy)(0))
    assert own.training_losses


def test_a_model_that_halves_its_batches_cannot_be_selected_by_its_loss(toy):
    objective = functools.partial(
        FactorVAE, discriminator=lambda dim: mlp_discriminator(dim, units=(8,)), second_batch=True
    )
    model = _vae(objective)
    message = "VAE has losses of 1 of 2 images, as with FactorVAE.second_batch; select by scores"
    with pytest.raises(UserError, match=message):
        selection.mean_loss(model, toy)


def _settings(select: str) -> Settings:
    return Settings(
        name="selected",
        model=lambda shape: _model(),
        dataset="toy",
        optimizer=lambda: Adam(1e-3),
        steps=20,
        batch_size=8,
        scores="reconstruction_rmse",
        select=select,
        select_every=10,
        validation_dataset="toy",
    )


@pytest.mark.parametrize("select", ["reconstruction_rmse", "loss"])
def test_a_run_exports_its_best_step(toy, tmp_path, select):
    manifest = train(_settings(select), tmp_path / "run")
    assert manifest["selected_step"] in (10, 20)
    assert manifest["selected_checkpoint"] == "best"
    kept = Checkpoints(tmp_path / "run" / "checkpoints" / "best", _model()).restore()
    assert kept == manifest["selected_step"]
    scores = json.loads((tmp_path / "run" / "scores.json").read_text())
    assert scores["reconstruction_rmse"]["step"] == kept


def test_tensorboard_has_the_scores_at_the_selected_step(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(selection, "mean_loss", lambda *_: lambda step: float(step))
    assert train(_settings("loss"), tmp_path / "run")["selected_step"] == 10
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    (event,) = events.Tensors("scores/reconstruction_rmse")
    assert event.step == 10


def test_where_nothing_was_selected_it_is_said(toy, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(selection, "mean_loss", lambda *_: lambda step: float("nan"))
    manifest = train(_settings("loss"), tmp_path / "run")
    assert manifest["selected_step"] is None and manifest["selected_checkpoint"] == "newest"
    best = tmp_path / "run" / "checkpoints" / "best"
    assert any(
        message.startswith(f"{best} holds no checkpoint") and "the newest" in message
        for message in caplog.messages
    )


def test_an_unreadable_best_checkpoint_has_advice_of_its_own(toy, tmp_path):
    folder, model = runs.RunFolder(tmp_path), _model()
    folder.checkpoints.mkdir()
    options = (folder, model, lambda: model, toy, ["reconstruction_rmse"])
    selection.Selection(*options, every=1).consider(5)
    best = folder.checkpoints / "best"
    (best / "ckpt-5.index").write_bytes(b"")
    with pytest.raises(UserError, match="from a copy, or delete .*best, and the newest") as error:
        selection.restore_best(folder, model)
    assert "--start_over" not in str(error.value)


def test_selecting_without_a_validation_set_is_refused(toy):
    with pytest.raises(ValueError, match="give one as train.validation_dataset"):
        Settings("n", lambda s: None, "toy", Adam, 1, select="j_ari")
