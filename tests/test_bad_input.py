"""Every mistake of a user ends in one clear line and exit code 2, with nothing half-written."""

import contextlib
import errno
import json
import os
import pathlib
import shutil
import types

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo import cli, runs
from zoo import evaluate as evaluate_command
from zoo import export as export_command
from zoo import train as train_command
from zoo.errors import UserError
from zoo.models.autoencoder import AE
from zoo.training.checkpoints import Checkpoints
from zoo.training.trainer import Trainer

FIXTURES = pathlib.Path(__file__).parent / "fixtures"


SHORT = [f"--gin_file={FIXTURES / 'toy.gin'}", "--gin_bindings=train.steps = 20"]


@pytest.fixture
def train(fails, toy_gin, tmp_path):
    """A toy training with extra bindings that must fail; gives the error line."""

    def call(*bindings: str) -> str:
        extra = [f"--gin_bindings={binding}" for binding in bindings]
        folder = tmp_path / "run"
        return fails(train_command.main, f"--gin_file={toy_gin}", f"--run_dir={folder}", *extra)

    return call


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The folder of a short finished run."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    train_command.main([*SHORT, f"--run_dir={folder}"])
    return folder


@pytest.fixture
def finished(original, tmp_path):
    """A copy of that folder, and the arguments that resume it."""
    shutil.copytree(original, tmp_path / "run")
    return tmp_path / "run", [*SHORT, f"--run_dir={tmp_path / 'run'}"]


def test_no_gin_file(fails):
    assert "--gin_file" in fails(train_command.main)


def test_missing_gin_file_names_the_nearest(fails):
    line = fails(train_command.main, "--gin_file=gin/beta_vea.gin")
    assert "gin/beta_vea.gin: no such gin file; the nearest is gin/beta_vae.gin" in line


def test_unknown_configurable_with_place_and_suggestion(fails, tmp_path):
    path = tmp_path / "typo.gin"
    path.write_text("train.steps = 3\nBetaVEA.beta = 4.0\n")
    line = fails(train_command.main, f"--gin_file={path}", f"--run_dir={tmp_path / 'run'}")
    assert f"{path}:2:" in line and "BetaVEA" in line and "'BetaVAE'" in line
    assert not (tmp_path / "run").exists()


def test_unknown_parameter(train):
    line = train("BetaVAE.bate = 4.0")
    assert "bate" in line and "Did you mean 'beta'?" in line


def test_unknown_reference(train):
    line = train("train.model = @BetaVEA")
    assert "BetaVEA" in line and "BetaVAE" in line


def test_wrong_type_with_place(fails, tmp_path, toy_gin):
    path = tmp_path / "wrong.gin"
    path.write_text(f'include "{toy_gin}"\n\ntrain.steps = "many"\n')
    line = fails(train_command.main, f"--gin_file={path}", f"--run_dir={tmp_path / 'run'}")
    assert line == f"error: {path}:3: train.steps is 'many' (str); it takes int"
    assert not (tmp_path / "run").exists()


def test_wrong_type_in_a_binding(train):
    assert "binding \"BetaVAE.beta = 'four'\": BetaVAE.beta is 'four' (str)" in train(
        "BetaVAE.beta = 'four'"
    )


def test_syntax_error_with_place(fails, tmp_path):
    path = tmp_path / "broken.gin"
    path.write_text("train.steps = 3\ntrain.seed = = 4\n")
    assert f"{path}:2" in fails(train_command.main, f"--gin_file={path}")


def test_bad_values(train):
    assert "train.steps is 0; give at least 1" in train("train.steps = 0")
    assert "float32 or mixed_bfloat16" in train("train.precision = 'float8'")
    assert "BetaVAE.beta is -1" in train("BetaVAE.beta = -1")
    assert "Gaussian.variance" in train("VAE.likelihood = @Gaussian", "Gaussian.variance = 'big'")


def test_unknown_dataset_names_the_nearest(train):
    line = train("train.dataset = 'zoo_dsprite/rendered'")
    assert "zoo_dsprites/rendered" in line


def test_run_folder_of_another_config_shows_the_difference(fails, finished):
    folder, arguments = finished
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}
    line = fails(train_command.main, *arguments, "--gin_bindings=BetaVAE.beta = 2.0")
    assert "BetaVAE.beta: 1.0 -> 2.0" in line and str(folder) in line
    after = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}
    assert before == after


def test_a_run_does_not_go_on_with_other_images(fails, finished):
    folder, arguments = finished
    (folder / "DONE").unlink()
    manifest = json.loads((folder / "manifest.json").read_text())
    before = manifest["dataset_fingerprint"]
    altered = json.dumps(manifest | {"dataset_fingerprint": "0123456789abcdef"})
    (folder / "manifest.json").write_text(altered)
    line = fails(train_command.main, *arguments)
    assert "other images" in line and before in line and "0123456789abcdef" in line
    assert (folder / "manifest.json").read_text() == altered


def test_finished_run_is_left_alone(finished, capsys):
    folder, arguments = finished
    stamp = (folder / "saved_model" / "saved_model.pb").stat().st_mtime_ns
    train_command.main(arguments)
    assert "is finished" in capsys.readouterr().err
    assert (folder / "saved_model" / "saved_model.pb").stat().st_mtime_ns == stamp


@pytest.mark.parametrize("name", ["saved_model", "saved_model/mine.txt"])
def test_what_an_exported_model_would_replace_is_found_before_the_training(train, tmp_path, name):
    place = tmp_path / "run" / name
    place.parent.mkdir(parents=True)
    place.write_text("")
    assert train() == (
        f"error: {tmp_path}/run/saved_model is there and is no exported model, so it is not "
        "replaced; name another folder or move it away"
    )
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_folder_in_use(train, tmp_path):
    with runs.opened(tmp_path / "run"):
        line = train()
    assert "in use by another process" in line


def test_run_dir_is_a_file(fails, toy_gin, tmp_path):
    (tmp_path / "run").write_text("")
    line = fails(
        train_command.main, f"--gin_file={toy_gin}", f"--run_dir={tmp_path / 'run' / 'deeper'}"
    )
    assert "cannot be used as a run folder" in line


@pytest.mark.parametrize("name", ["x" * 300, "read-only"])
def test_run_dir_cannot_be_made(name, fails, toy_gin, tmp_path, monkeypatch):
    def refused(path, *args, **kwargs):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    if name == "read-only":
        # As root nothing is read-only by its mode.
        monkeypatch.setattr(pathlib.Path, "mkdir", refused)
    line = fails(train_command.main, f"--gin_file={toy_gin}", f"--run_dir={tmp_path / name}")
    reason = os.strerror(errno.EROFS if name == "read-only" else errno.ENAMETOOLONG)
    assert f"cannot be used as a run folder ({reason}); choose another --run_dir" in line


def test_too_little_disk_space_is_said_before_training(train, monkeypatch):
    usage = type(shutil.disk_usage("/"))(total=100, used=90, free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert "the disk has 0 MB left" in train()


def test_disk_that_fills_up(fails, tmp_path):
    def main(_):
        with runs.opened(tmp_path / "run") as folder:
            raise OSError(errno.ENOSPC, "No space left on device", str(folder.metrics))

    line = fails(main)
    assert "no space left on the disk while writing" in line and "metrics.jsonl" in line


@pytest.mark.parametrize(
    "number", ["EACCES", "EPERM", "EROFS", "EISDIR", "ENOTDIR", "ENAMETOOLONG"]
)
def test_a_place_that_cannot_be_written_is_one_line(fails, number):
    reason = os.strerror(getattr(errno, number))

    def main(_):
        raise OSError(getattr(errno, number), reason, "/there/page.html")

    def move(_):
        raise OSError(getattr(errno, number), reason, ".page.html.abcdefgh", None, "page.html")

    assert fails(main).startswith(f"error: /there/page.html: {reason}; name another place")
    assert fails(move).startswith(f"error: page.html: {reason}; name another place")


def test_an_error_of_the_system_that_names_no_place_is_a_defect():
    def main(_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    with pytest.raises(PermissionError):
        cli.run(main, [])


def test_nan_loss_names_the_last_good_checkpoint(train):
    line = train("Adam.learning_rate = 1e30", "train.checkpoint_every = 1", "train.log_every = 1")
    assert "the loss became" in line and "last good checkpoint is" in line
    assert "ckpt-" in line or "none" in line


@gin.register
class UndoneAE(AE):
    """Its last step has a finite loss and a gradient of NaN, as the root of zero has one."""

    def losses_on(self, batch, seed, step):
        @tf.custom_gradient
        def undone(weights):
            last = tf.where(tf.equal(step, 19), np.float32(np.nan), 0.0)
            return 0.0, lambda gradient: last * tf.ones_like(weights)

        losses = super().losses_on(batch, seed, step)
        return {**losses, "loss": losses["loss"] + undone(self.trainable_variables[0].value)}


def test_weights_that_are_no_longer_finite_are_not_saved(train, tmp_path):
    networks = ("UndoneAE.encoder = @mlp_encoder", "UndoneAE.decoder = @mlp_decoder")
    line = train("train.model = @UndoneAE", *networks, "train.steps = 20")
    assert "weights became NaN or infinite between steps 15 and 20; the last good" in line
    assert [path.stem for path in (tmp_path / "run/checkpoints").glob("*.index")] == ["ckpt-10"]


@pytest.mark.parametrize("last", [1.0, np.nan])
def test_last_weights_that_came_from_elsewhere_are_published_if_they_are_finite(last):
    drawn, model = [], types.SimpleNamespace(trainable_variables=[tf.Variable([1.0, last])])
    pictures = types.SimpleNamespace(draw=drawn.append)
    trainer = Trainer(model, None, None, None, pictures, dict, None, 8, 1, 1, 1)
    with contextlib.ExitStack() as stack:
        if np.isnan(last):
            stack.enter_context(pytest.raises(UserError, match="weights of step 5, the last, are"))
        trainer.run(5, 5)
    assert drawn == ([] if np.isnan(last) else [5])


def _damage(path):
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 64] = bytes(64 * [255])
    path.write_bytes(content)


def _weights(exported):
    file = tf.train.load_checkpoint(str(exported / "variables" / "variables"))
    names = [name for name in file.get_variable_to_shape_map() if name.startswith("model/")]
    return {name: file.get_tensor(name) for name in names}


def test_corrupt_checkpoint_falls_back_and_says_so(finished, capsys, fails):
    path, arguments = finished
    folder = runs.RunFolder(path)
    (folder.path / "DONE").unlink()
    newest = folder.checkpoints / "ckpt-20.data-00000-of-00001"
    weights = _weights(folder.saved_model)
    losses = [json.loads(line)["loss"] for line in folder.metrics.read_text().splitlines()]
    _damage(newest)
    capsys.readouterr()
    train_command.main(arguments)
    assert "ckpt-20 is corrupt" in capsys.readouterr().err
    assert [json.loads(x)["loss"] for x in folder.metrics.read_text().splitlines()] == losses
    np.testing.assert_equal(_weights(folder.saved_model), weights)

    (folder.path / "DONE").unlink()
    for path in folder.checkpoints.glob("*.index"):
        path.write_bytes(b"")
    assert "none of the checkpoints" in fails(train_command.main, *arguments)


def test_truncated_saved_model(fails, finished):
    folder, _ = finished
    path = folder / "saved_model" / "variables" / "variables.data-00000-of-00001"
    path.write_bytes(path.read_bytes()[:100])
    line = fails(evaluate_command.main, f"--run={folder}")
    assert "truncated" in line and path.name in line


def test_unknown_model_name(fails):
    assert "beta_vae/dsprits" in fails(evaluate_command.main, "--model=beta_vae/dsprits")


def test_unknown_suite(fails, finished):
    folder, _ = finished
    assert "migg" in fails(evaluate_command.main, f"--run={folder}", "--metrics=migg")


def test_export_of_no_run(fails, tmp_path):
    assert "is not the folder of a run" in fails(export_command.main, f"--run={tmp_path}")


def test_interrupt_is_not_a_traceback(capsys):
    def main(_):
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as stopped:
        cli.run(main, [])
    assert stopped.value.code == 130
    assert capsys.readouterr().err.strip() == "interrupted"


def test_checkpoint_that_cannot_be_written(tmp_path, monkeypatch):
    import keras
    import tensorflow as tf

    from zoo.errors import UserError
    from zoo.models.base import Model

    model = Model()
    model.bind(keras.optimizers.SGD())
    checkpoints = Checkpoints(tmp_path, model)

    def full(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(tf.train.Checkpoint, "write", full)
    with pytest.raises(UserError, match="No space left on device.*free some disk space"):
        checkpoints.save(1)


@gin.configurable
def broken_encoder(observation_shape):
    """An encoder with a defect."""
    raise ValueError("operands could not be broadcast together")


@keras.saving.register_keras_serializable()
class _Broken(keras.layers.Layer):
    """A layer with a defect that only a step finds."""

    def call(self, images):
        raise ValueError("operands could not be broadcast together")

    def compute_output_shape(self, shape):
        return shape


@gin.configurable
def later_broken_encoder(observation_shape):
    """An encoder with a defect that only a step finds."""
    layers = [keras.layers.Flatten(), keras.layers.Dense(4), _Broken()]
    return keras.Sequential([keras.Input(observation_shape), *layers])


@pytest.mark.parametrize("encoder", ["broken_encoder", "later_broken_encoder"])
def test_a_defect_of_ours_is_no_bad_input(toy_gin, tmp_path, encoder):
    binding = f"--gin_bindings=VAE.encoder = @{encoder}"
    arguments = [f"--gin_file={toy_gin}", f"--run_dir={tmp_path / 'run'}", binding]
    with pytest.raises(Exception, match="operands could not be broadcast") as caught:
        cli.run(train_command.main, arguments)
    assert not isinstance(caught.value, UserError)
    assert not (tmp_path / "run" / "config.gin").exists()


def test_a_setting_that_only_the_step_finds_wrong_is_one_line(train, tmp_path):
    line = train("VAE.objective = @SlowVAE")
    assert line.startswith("error: SlowVAE ") and "train.sampler = @LaplacePairs" in line
    assert not (tmp_path / "run" / "config.gin").exists()


def test_an_objective_is_no_model(train):
    line = train("train.model = @SlowVAE")
    assert "train.model is @SlowVAE, a class; it takes " in line
    assert line.endswith("@SlowVAE belongs to VAE.objective")


def test_a_setting_of_the_sampler_is_one_line(train):
    line = train("train.sampler = @LaplacePairs", "LaplacePairs.rate = -3.0")
    assert line == "error: the Laplace rate must be positive, or -1 to draw it: -3.0"
