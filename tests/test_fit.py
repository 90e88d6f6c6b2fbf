"""Training from Python: the same run as the command's, with callbacks and a user's own module."""

import pathlib
import subprocess
import sys
import traceback

import gin
import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from zoo import cli, config, runs
from zoo import train as train_command
from zoo.errors import UserError
from zoo.models.base import Model
from zoo.networks.dense import mlp_encoder

SHORT = {"train.steps": 30, "train.scores": "mig"}

MODULE = '''
import gin

from zoo.models.vae import VAE


@gin.register
class DroppedVAE(VAE):
    """A VAE whose loss has no prior."""

    def losses_on(self, batch, seed, step):
        losses = super().losses_on(batch, seed, step)
        return {**losses, "loss": losses["reconstruction"]}
'''


@pytest.fixture(autouse=True)
def _in_a_folder_of_her_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    gin.clear_config()
    yield
    gin.clear_config()


def _weights(folder) -> dict[str, np.ndarray]:
    reader = tf.train.load_checkpoint(str(pathlib.Path(folder) / "checkpoints" / "ckpt-30"))
    names = reader.get_variable_to_shape_map()
    return {n: reader.get_tensor(n) for n in names if "OBJECT_GRAPH" not in n and "save_c" not in n}


def _command(gin_file, folder, *more) -> None:
    bindings = [f"--gin_bindings={line}" for line in config.as_bindings(SHORT)]
    train_command.main([f"--gin_file={gin_file}", f"--run_dir={folder}", *bindings, *more])


def test_gives_the_loaded_run_and_only_loads_a_finished_one(toy_gin):
    bindings = {**SHORT, "KIND": "@VAE", "train.model": "%KIND"}
    seen, images = [], np.zeros((2, 16, 16, 1), np.uint8)

    def note(step, values, model):
        assert isinstance(model, Model) and model.encode(images.astype(np.float32)).shape == (2, 4)
        seen.append((step, values["loss"]))

    gin.parse_config("mlp_encoder.units = (7,)")
    model = zoo.fit(toy_gin, bindings, callbacks=[note])
    codes = np.asarray(model.encode(images))
    assert model.path == pathlib.Path("runs/toy/saved_model") and codes.shape == (2, 4)
    records = runs.records(pathlib.Path("runs/toy/metrics.jsonl"))
    assert seen == [(record["step"], record["loss"]) for record in records] and len(seen) == 6
    # The same weights in a Keras model, which learns on.
    trained = model.trainable()
    np.testing.assert_array_equal(trained.encode(images.astype(np.float32)), codes)
    trained.bind(keras.optimizers.SGD(0.1))
    trained.update({"image": tf.zeros([2, 16, 16, 1])}, tf.constant([1, 2]), tf.constant(0), 1)
    assert np.any(trained.encode(images.astype(np.float32)) != codes)
    np.testing.assert_array_equal(model.trainable().encode(images.astype(np.float32)), codes)
    # A class that another process had registered.
    known = model.card["config"]
    for name in ("VAE", "mlp_encoder"):
        model.card["config"] = known.replace(f"@{name}", "@Mine")
        with pytest.raises(UserError, match="its config names Mine, which is not registered"):
            model.trainable()
    model.card["config"] = known
    # Her own bindings are there again, and not locked.
    assert gin.query_parameter("mlp_encoder.units") == (7,) and not gin.config_is_locked()
    assert "train" not in gin.config_str()

    stamp = (model.path / "saved_model.pb").stat().st_mtime_ns
    again = zoo.fit([toy_gin], config.as_bindings(bindings), callbacks=[note])
    assert len(seen) == 6 and (again.path / "saved_model.pb").stat().st_mtime_ns == stamp
    np.testing.assert_array_equal(np.asarray(again.encode(images)), codes)
    with pytest.raises(UserError):
        zoo.fit(toy_gin, {"train.steps": 0}, "other")
    assert gin.query_parameter("mlp_encoder.units") == (7,) and not gin.config_is_locked()


def test_a_runs_folder_may_have_any_name(toy_gin):
    bindings = {
        **{**SHORT, "train.steps": 4, "train.log_every": 2},
        **{"train.select": "loss", "train.validation_dataset": "toy", "train.select_every": 2},
    }
    folder, images = pathlib.Path("runs/beta [4] *"), np.zeros((2, 16, 16, 1), np.float32)
    codes = zoo.fit(toy_gin, bindings, folder).encode(images)
    (folder / "DONE").unlink()
    resumed = zoo.fit(toy_gin, bindings, folder)
    np.testing.assert_array_equal(resumed.encode(images), codes)
    np.testing.assert_array_equal(resumed.trainable().encode(images), codes)


class _StoppedError(Exception):
    pass


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The weights of a run of the command that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    _command(pathlib.Path(__file__).parent / "fixtures" / "toy.gin", folder)
    return _weights(folder)


def _stop(step, values, model):
    if step == 20:
        raise _StoppedError


def test_a_run_stopped_in_python_goes_on_from_the_command_line(toy_gin, whole):
    with pytest.raises(_StoppedError):
        zoo.fit(toy_gin, SHORT, "run", [_stop])
    _command(toy_gin, "run")
    assert len(whole) > 20
    for name, value in _weights("run").items():
        np.testing.assert_array_equal(value, whole[name], err_msg=name)


def test_a_run_stopped_on_the_command_line_goes_on_in_python(toy_gin, whole, monkeypatch):
    with monkeypatch.context() as patched:
        from zoo.training import trainer

        save = trainer.Checkpoints.save

        def last(self, step, *more):
            save(self, step, *more)
            _stop(step, {}, None)

        patched.setattr(trainer.Checkpoints, "save", last)
        with pytest.raises(_StoppedError):
            _command(toy_gin, "run")
    steps = []
    zoo.fit(toy_gin, SHORT, "run", [lambda step, values, model: steps.append(step)])
    assert steps == [25, 30]
    for name, value in _weights("run").items():
        np.testing.assert_array_equal(value, whole[name], err_msg=name)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("zoo.load('beta_vae/dsprites').trainable()", []),
        ("zoo.fit('gin/beta_vae.gin', {'train.steps': 0})", ["train.steps is 0; give at least 1"]),
    ],
)
def test_a_gin_of_hers_that_is_final_is_no_hindrance(call, said):
    """In a process that has not registered what gin files name."""
    script = f"import gin, zoo\ngin.finalize()\ntry: {call}\n"
    script += "except zoo.errors.UserError as error: print(str(error).splitlines()[0])\n"
    script += "print(gin.config_is_locked())"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert answer.stdout.splitlines() == [*said, "True"], answer.stderr


def test_a_function_of_hers_may_have_a_name_of_this_package():
    """In a process that has not registered what gin files name."""
    script = "import gin, zoo\n@gin.register\ndef SlowVAE(): pass\n"
    script += "bindings = {'VAE.objective': SlowVAE, 'train.steps': 0}\n"
    script += "try: zoo.fit('gin/beta_vae.gin', bindings)\n"
    script += "except zoo.errors.UserError as error: print(error)\n"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    said = answer.stdout.splitlines()
    assert said[:1] == ["train.steps is 0; give at least 1"], answer.stderr


def test_bindings_of_values():
    given = {
        "train.steps": np.int64(3),
        "BetaVAE.beta": 2.0,
        "train.name": "it's",
        "mlp_encoder.units": (np.int64(32), 8),
        "mlp_decoder.units": np.array([3, 4]),
        "VAE.objective": "@BetaVAE",
        "VAE.encoder": mlp_encoder,
    }
    assert config.as_bindings(given) == [
        *("train.steps = 3", "BetaVAE.beta = 2.0", 'train.name = "it\'s"'),
        *("mlp_encoder.units = (32, 8)", "mlp_decoder.units = [3, 4]", "VAE.objective = @BetaVAE"),
        "VAE.encoder = @mlp_encoder",
    ]


def test_a_module_of_her_working_directory(toy_gin):
    pathlib.Path("her_model.py").write_text(MODULE)
    pathlib.Path("her.gin").write_text(
        f'import her_model\ninclude "{toy_gin}"\ntrain.model = @DroppedVAE\n'
        "DroppedVAE.latent_dim = 3\nDroppedVAE.encoder = @mlp_encoder\n"
        "DroppedVAE.decoder = @mlp_decoder\n"
    )
    model = zoo.fit("her.gin", SHORT, "run")
    assert model.latent_size == 3
    text = pathlib.Path("run/config.gin").read_text()
    assert text.startswith("import her_model\nimport toy\n")
    # The same run from the class that she holds, without the import: it is added.
    import her_model

    both = {**SHORT, "train.model": her_model.DroppedVAE, "DroppedVAE.latent_dim": 3}
    both |= {"DroppedVAE.encoder": "@mlp_encoder", "DroppedVAE.decoder": "@mlp_decoder"}
    zoo.fit(toy_gin, both, "run")
    with pytest.raises(_StoppedError):
        zoo.fit(toy_gin, {**both, "train.log_every": 20}, "other", [_stop])
    assert pathlib.Path("other/config.gin").read_text().startswith("import her_model\nimport toy\n")


def test_what_her_module_raises_is_a_traceback_and_a_missing_one_a_line(toy_gin, fails):
    pathlib.Path("broken.py").write_text("import gin\nraise ValueError('her own')\n")
    pathlib.Path("lacking.py").write_text("import no_such_library\n")
    pathlib.Path("wrong.py").write_text("def f(:\n")
    gin_file = pathlib.Path("her.gin")
    for module, error in (
        ("broken", ValueError),
        ("lacking", ModuleNotFoundError),
        ("wrong", SyntaxError),
    ):
        gin_file.write_text(f'include "{toy_gin}"\nimport {module}\n')
        with pytest.raises(error) as caught:
            cli.run(train_command.main, ["--gin_file=her.gin", "--run_dir=run"])
        assert not isinstance(caught.value, UserError)
    gin_file.write_text(f'include "{toy_gin}"\n\nimport her_modle\n')
    line = fails(train_command.main, "--gin_file=her.gin", "--run_dir=run")
    assert line.startswith("error: her.gin:3: there is no module 'her_modle'; it is sought in the")
    assert not pathlib.Path("run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gin_file": []}, "give a gin file"),
        ({"gin_file": "gin/beta_vea.gin"}, "the nearest is gin/beta_vae.gin"),
        ({"bindings": "train.steps = 3"}, "give a list of such strings, or a dict"),
        ({"bindings": {"train.model": dict}}, "put @gin.register before it"),
        ({"bindings": {"VAE.prior": object()}}, "which no gin file can hold"),
        ({"callbacks": [lambda step: None]}, r"must take \(step, values, model\)"),
        ({"callbacks": [3]}, "is no function"),
        ({"callbacks": print}, "callbacks is <built-in function print>; give a list of functions"),
    ],
)
def test_bad_input(arguments, message, toy_gin):
    with pytest.raises(UserError, match=message):
        zoo.fit(**{"gin_file": toy_gin, "run_dir": "run", **arguments})
    assert not pathlib.Path("run").exists()


MODELS = """
import gin
import keras
import tensorflow as tf

from zoo.models.base import Autoencoder, Player
from zoo.models.objectives import Objective
from zoo.models.priors import NormalPrior


class Flat(Autoencoder):
    def __init__(self, observation_shape, latent_dim=2):
        super().__init__()
        self.observation_shape, self.latent_dim = observation_shape, latent_dim
        self.layer = keras.layers.Dense(2)
        self.layer.build((None, 256))
        self.built = True

    def encode(self, images):
        return self.layer(tf.reshape(images, [-1, 256]))

    def decode(self, latents):
        return tf.zeros([tf.shape(latents)[0], 16, 16, 1])


@gin.register
class Lossless(Flat):
    pass


@gin.register
class Misnamed(Flat):
    def losses_on(self, batch, seed, step):
        return {"error": self.encode(batch["image"])[:, 0]}


@gin.register
class Scalar(Flat):
    def losses_on(self, batch, seed, step):
        return {"loss": tf.reduce_mean(self.encode(batch["image"]))}


@gin.register
class OfPixels(Flat):
    def losses_on(self, batch, seed, step):
        return {"loss": (batch["image"] - self.decode(self.encode(batch["image"])))[..., 0]}


@gin.register
class Rounds(Flat):
    def losses_on(self, batch, seed, step):
        return {"generator": self.encode(batch["image"])[:, 0]}

    def rounds(self, optimizer):
        return [[Player(("generator",), self.trainable_variables, optimizer)]]


@gin.register
class Half(Flat):
    def losses_on(self, batch, seed, step):
        return {"loss": tf.cast(self.encode(batch["image"])[:, 0], tf.bfloat16)}


@gin.register
class Square(Flat):
    def encode(self, images):
        return tf.reshape(self.layer(tf.reshape(images, [-1, 256])), [-1, 2, 1])

    def losses_on(self, batch, seed, step):
        return {"loss": self.encode(batch["image"])[:, 0, 0]}


@gin.register
class Decoding(Flat):
    def decode(self, latents):
        return tf.zeros([tf.shape(latents)[0], 256])

    def losses_on(self, batch, seed, step):
        return {"loss": self.encode(batch["image"])[:, 0]}


@gin.register
class HalfBuilt(Flat):
    def __init__(self, observation_shape):
        super().__init__(observation_shape)
        self.late = keras.layers.Dense(1)

    def losses_on(self, batch, seed, step):
        return {"loss": self.late(self.encode(batch["image"]))[:, 0]}


@gin.register
class Unbuilt(HalfBuilt):
    def __init__(self, observation_shape):
        super().__init__(observation_shape)
        self.late.build((None, 2))
        self.built = False


@gin.register
class Undecoded(Flat):
    decode = Autoencoder.decode

    def losses_on(self, batch, seed, step):
        return {"loss": self.encode(batch["image"])[:, 0]}


@gin.register
class Drawn(Undecoded):
    def decode(self, latents):
        return tf.zeros([tf.shape(latents)[0], 16, 16, 1])

    def draw_prior(self, count, seed):
        return tf.zeros([count, 3])


@gin.register
class Free(Objective):
    pass


class Undrawable:
    posterior, draw = NormalPrior.posterior, NormalPrior.draw
    divergence = NormalPrior.divergence


@gin.register
def undrawable():
    return Undrawable()


@gin.register
def named():
    return "adam"


@gin.register
def counting(model, dataset):
    return {"images": 1}


@gin.register
def numbering(model, dataset):
    return lambda: 1.0


@gin.register
def saying(model, dataset):
    return lambda: {"state": "well"}


@gin.register
class Failing(Flat):
    def losses_on(self, batch, seed, step):
        raise ValueError("hers")  # her line


@gin.configurable
def dense(observation_shape):
    return keras.Sequential([keras.Input(observation_shape), keras.layers.Dense(2)])


@gin.configurable
def square(observation_shape):
    return keras.Sequential([keras.Input(observation_shape), keras.layers.Conv2D(2, 3)])
"""


def test_mistakes_in_a_model_of_hers_are_a_line_before_the_training(toy_gin, monkeypatch):
    pathlib.Path("her_models.py").write_text(MODELS)
    for binding, message in (
        ("train.model = @Lossless", r"Lossless has no losses_on\(batch, seed, step\); define it"),
        ("train.model = @Misnamed", "Misnamed.losses_on returns error; let 'loss' be among them"),
        ("train.model = @Scalar", "Scalar.losses_on returns one number as 'loss'; give a loss"),
        ("train.model = @Rounds", "Rounds.losses_on returns generator; let 'loss' be among them"),
        (
            "train.model = @OfPixels",
            r"OfPixels.losses_on returns 'loss' of shape \['B', 16, 16\]; give one number",
        ),
        (
            "train.model = @Square",
            r"Square.encode returns codes of shape \['B', 2, 1\]; .*\['B', 2\]",
        ),
        (
            "train.model = @Decoding",
            r"Decoding.decode returns images of shape \['B', 256\]; .*\['B', 16, 16, 1\]",
        ),
        (
            "train.model = @HalfBuilt",
            r"HalfBuilt makes \S*kernel when .* call build\(input_shape\)",
        ),
        ("train.model = @Unbuilt", "Unbuilt is not built; end its __init__ with self.built = True"),
        ("train.model = @dense", "makes a Sequential, which is no zoo.models.base.Model"),
        (
            "VAE.encoder = @square",
            r"VAE.encoder returns features of shape \['B', 14, 14, 2\]; let it",
        ),
        ("train.model = @Undecoded", r"Undecoded has no decode\(latents\); define it"),
        (
            "train.model = @Drawn",
            r"Drawn.draw_prior returns latents of shape \['B', 3\]; .*\['B', 2\]",
        ),
        ("VAE.objective = @Free", r"Free has no regularizer\(posterior, latents, kl, step\)"),
        ("VAE.prior = @undrawable", r"Undrawable has no sample\(shape, seed\), .* define it"),
        ("train.optimizer = @named", "train.optimizer makes 'adam', which is no keras.optimizers"),
        ("train.probe = @counting", "train.probe makes a dict; let it return a function of no"),
    ):
        with pytest.raises(UserError, match=message):
            zoo.fit(toy_gin, ["import her_models", binding], "run")
    with pytest.raises(ValueError, match="hers") as caught:
        zoo.fit(toy_gin, ["import her_models", "train.model = @Failing"], "run")
    assert not isinstance(caught.value, UserError)
    assert "# her line" in "".join(traceback.format_exception(caught.value))
    assert not pathlib.Path("run/config.gin").exists()
    for binding, message in (
        ("train.probe = @numbering", "the probe returns 1.0; let it return a dict of numbers"),
        ("train.probe = @saying", "the value 'state' of the log is 'well'; let the probe"),
    ):
        with pytest.raises(UserError, match=message):
            zoo.fit(toy_gin, ["import her_models", binding], binding.rpartition("@")[2])
    # Losses are summed in float32, whatever they are.
    short = ("train.steps = 2", "train.scores = 'mig'", "train.publish = 'scores'")
    zoo.fit(toy_gin, ["import her_models", "train.model = @Half", *short], "run")
