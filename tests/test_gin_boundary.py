"""Every mistake in gin text is one line with its place, found before anything is written."""

import importlib.util
import pathlib
import sys
import types

import gin
import pytest

import zoo.configurables  # noqa: F401  registers what gin files name
from zoo import config, gin_files
from zoo import train as train_command
from zoo.training.settings import Settings


@gin.register("twofold", module="one")
def _one(x=1):
    """A name that two modules have."""


@gin.register("twofold", module="other")
def _other(x=1):
    """See `_one`."""


@pytest.fixture(autouse=True)
def _clean():
    yield
    gin.clear_config()


@pytest.fixture
def refused(tmp_path):
    """Parses a gin text that must be refused; gives the line, without the file's path."""

    def call(text: str | bytes, made=None) -> str:
        path = tmp_path / "a.gin"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(config.ConfigError) as caught:
            config.parse([str(path)])
            config.made(made)
        line = str(caught.value).partition("\n")[0]
        assert len(line) < 1000
        return line.replace(str(path), "a.gin")

    return call


@pytest.mark.parametrize("lacking", ["name", "model", "dataset", "optimizer", "steps"])
def test_a_missing_required_binding_names_file_and_parameter(lacking, toy_gin, tmp_path, fails):
    lines = pathlib.Path(toy_gin).read_text().splitlines()
    path = tmp_path / "a.gin"
    path.write_text("\n".join(x for x in lines if not x.startswith(f"train.{lacking} =")))
    line = fails(train_command.main, f"--gin_file={path}", f"--run_dir={tmp_path / 'run'}")
    assert line == (
        f"error: {path}: train.{lacking} is bound nowhere; add the line train.{lacking} = ... there"
    )
    assert not (tmp_path / "run").exists()


def test_all_missing_bindings_are_named(refused):
    line = refused("train.name = 'x'\ntrain.steps = 3\n", Settings)
    assert "a.gin: train.model, train.dataset, train.optimizer are bound nowhere" in line


def test_a_required_parameter_that_is_bound_in_a_scope_alone_is_missing(refused, toy_gin):
    text = pathlib.Path(toy_gin).read_text().replace("train.steps", "some/train.steps")
    assert refused(text, Settings).startswith("a.gin: train.steps is bound nowhere; add the line")


def test_an_include_is_silent(tmp_path, monkeypatch, caplog):
    (tmp_path / "a.gin").write_text('include "gin/beta_vae.gin"\ntrain.steps = 3\n')
    # It is found among the package's configs, not in the working directory.
    monkeypatch.chdir(tmp_path)
    config.parse(["a.gin"])
    assert gin.query_parameter("train.steps") == 3
    assert not caplog.records


def test_files_that_include_one_another_are_refused(tmp_path, refused):
    other = tmp_path / "b.gin"
    other.write_text(f'\ninclude "{tmp_path}/a.gin"\n')
    assert refused(f'include "{tmp_path}/a.gin"').startswith("a.gin:1: a.gin is included in a circ")
    assert refused(f'include "{other}"').startswith(f"{other}:2: a.gin is included in a circle")


def test_a_file_included_twice_is_no_circle(tmp_path):
    (tmp_path / "b.gin").write_text("train.steps = 3\n")
    (tmp_path / "a.gin").write_text(2 * f'include "{tmp_path}/b.gin"\n')
    config.parse([str(tmp_path / "a.gin")])
    assert gin.query_parameter("train.steps") == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"train.name = '\xff'", "a.gin is damaged: byte 14 is no character of UTF-8"),
        ("\n\ninclude 'nowhere.gin'", "a.gin:3: nowhere.gin: no such gin file; the nearest is "),
        (f"include '{5000 * 'x'}'", "no such gin file"),
        ("train.steps = " + 5000 * "(", "a.gin"),
        ("train.steps = [1,\n", "a.gin"),
        ("VAE:\n    latent_dim = 4\n  beta = 3\n", "a.gin:3: unindent"),
        ("train.steps = 3\x00", "a.gin"),
        ("%", "a.gin:1"),
        ("VAE.latent_dim = @Adam", "a.gin:1: VAE.latent_dim is @Adam, a class; it takes int"),
        ("train.name = @mlp_encoder", "train.name is @mlp_encoder, a function; it takes str"),
        ("train.optimizer = @Adam()", "train.optimizer is @Adam(), made by a call; it takes "),
        (
            "VAE.encoder = @mlp_encoder()",
            "a.gin:1: VAE.encoder is @mlp_encoder(), a call without its observation_shape; bind "
            "mlp_encoder.observation_shape, or leave out the brackets",
        ),
        ("many = 'x'\ntrain.steps = %many", "a.gin:2: train.steps is 'x' (str); it takes int"),
        (f"train.steps = 1{40 * '0'}", "a.gin:1: train.steps is of 41 digits"),
        (f"mlp_encoder.units = (1{40 * '0'},)", "a.gin:1: mlp_encoder.units is of 41 digits"),
        (
            "\ntrain.steps = %none",
            "a.gin:2: train.steps is %none, which is bound nowhere; add the line none = ...",
        ),
        ("a = %b\nmlp_encoder.units = (8, %a)", "a.gin:2: mlp_encoder.units is %b, which is bound"),
        ("train.model = @Adam", "a.gin:1: train.model is @Adam, a class; it takes "),
        ("train.model = @mlp_decoder", "train.model is @mlp_decoder, a function; it takes "),
        ("Adam.learning_rate = True", "a.gin:1: Adam.learning_rate is True, a truth value; it tak"),
        ("VAE.encoder = @a/VAE", "a.gin:1: VAE.encoder is @a/VAE itself, without end"),
        ("VAE.likelihood = @Bernoulli()", "VAE.likelihood is @Bernoulli(), made by a call; it ta"),
        ("train.optimizer = @discriminator_adam()", "Optimizer]; leave out the brackets"),
        ("BetaVAE.beta = @linear_ramp", "is @linear_ramp, which makes what it takes when it is ca"),
        (
            "Adam.learning_rate = @a/linear_ramp",
            "@a/linear_ramp, which makes what it takes when it",
        ),
        ("train.steps = [3, @VAE]", "a.gin:1: train.steps is [3, @VAE] (list); it takes int"),
        ("mlp_encoder.units = 1e999", "a.gin:1: mlp_encoder.units is inf (float); it takes "),
        ("train.score_options = {'a': {'b': @mlp_encoder()}}", "a call without its observation_sh"),
        (f"train.steps = '{5000 * 'y'}'", "yyy... (str); it takes int"),
    ],
)
def test_a_mistake_is_one_line(refused, text, said):
    assert said in refused(text)


@pytest.mark.parametrize("text", ["\ntwofold.x = 3", "\ntrain.model = @twofold"])
def test_a_name_of_two_modules_is_one_line(refused, text):
    line = refused(text)
    assert line.startswith("a.gin:2: Ambiguous selector 'twofold', matches [")
    assert "'one.twofold'" in line and line.endswith("]. Write one of them in full.")


def test_bindings_of_a_default_part_hold_as_those_of_a_named_one():
    raw = []
    for selector, configurable in gin.config._REGISTRY.items():
        for name, default in config.defaults(selector).items():
            known = gin.config._inverse_lookup(default) if callable(default) else None
            if known and default is not known.wrapper and config.defaults(known.selector):
                raw.append((configurable.name, name))
    # A class that is registered knows nothing of gin by itself.
    assert not raw


def test_a_bound_default_part_is_in_the_config(toy_gin):
    text = pathlib.Path(toy_gin).read_text().replace("VAE.objective = @BetaVAE", "")
    config.parse([], [text, "BetaVAE.beta = 1000.0"])
    model = gin.query_parameter("train.model").scoped_configurable_fn((16, 16, 1))
    assert model.kind == "BetaVAE" and model.objective.beta == 1000.0
    assert config.bindings_of(config.operative())["BetaVAE.beta"] == "1000.0"


@pytest.mark.parametrize("named", [False, True])
def test_a_cg_gan_whose_discriminator_had_another_adam_is_told_by_its_config(named):
    line = "CGGAN.discriminator_optimizer = @Adam"
    bindings = ["train.model = @CGGAN", "CGGAN.latent_dim = 6", "CGGAN.style_dim = 3"]
    bindings += ["style_generator.filters = (2, 2)", "style_discriminator.filters = (2, 2)"]
    config.parse([], [*bindings, "Adam.beta_1 = 0.0", *([line] if named else [])])
    model = gin.query_parameter("train.model").scoped_configurable_fn((8, 8, 1))
    (player,), _ = model.rounds(None)
    assert player.optimizer.beta_1 == 0.0
    new = config.operative()
    # As version 0.1.0 wrote it, whose optimiser had no bindings where it was not named.
    old = new if named else new.replace(line, "")
    expected = [] if named else ["CGGAN.discriminator_optimizer: default -> @Adam"]
    assert config.differences(old, new) == expected


def test_an_optimiser_that_has_no_bindings_is_not_named():
    config.parse([], ["train.model = @CGGAN"])
    assert "CGGAN.discriminator_optimizer" not in config.bindings_of(gin.config_str())


def test_spaces_within_a_string_are_a_difference_and_those_around_values_are_none():
    assert config.differences("a.b = 'x  y'\n", "a.b = 'x y'\n") == ["a.b: 'x  y' -> 'x y'"]
    assert not config.differences(
        "a.b = (1,\n    'x')\nc.d = [@e,  @f]\n", "a.b = (1, 'x')\nc.d = [@e, @f]\n"
    )


def test_what_nothing_uses_is_told_from_what_a_scope_uses(toy_gin):
    used = [
        *("train.optimizer = @opt/Adam", "Adam.epsilon = 1e-3", "RATE = 0.1"),
        *("opt/zoo.optim.optimizers.Adam.beta_1 = 0.8", "import zoo.models.vae"),
    ]
    idle = ["AE.latent_dim = 3", "other/Adam.beta_2 = 0.9", "opt/deeper/Adam.beta_2 = 0.9"]
    # Another holds in the scope that is used.
    idle += ["Adam.beta_1 = 0.7"]
    config.parse([toy_gin], [*used, *idle])
    config.made(Settings).optimizer()
    assert config.unused() == idle


def test_a_list_of_references_is_taken(tmp_path):
    """Whatever they are: the annotation says nothing of what is in a list."""
    probes = "joint_probe.probes = [@jacobian_probe, @expansion_probe]\n"
    (tmp_path / "a.gin").write_text(probes)
    config.parse([str(tmp_path / "a.gin")])
    assert len(gin.query_parameter("joint_probe.probes")) == 2


@pytest.mark.parametrize("name", ["lone", "parts.running"])
def test_the_running_script_is_not_executed_under_its_own_name(name, tmp_path, monkeypatch):
    path = tmp_path.joinpath(*name.split(".")).with_suffix(".py")
    path.parent.mkdir(exist_ok=True)
    path.write_text("raise RuntimeError('executed again')\n")
    (path.parent / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    script = types.ModuleType("__main__")
    script.__file__ = str(path)
    # Of what `python -m` runs.
    script.__spec__ = importlib.util.find_spec(name) if "." in name else None
    monkeypatch.setitem(sys.modules, "__main__", script)
    assert config._by_its_name("__main__") == name
    try:
        with config.read(f"import {name}\n"):
            assert sys.modules[name] is script
    finally:
        sys.modules.pop(name, None)


def test_what_is_replaced_later_is_not_looked_at(tmp_path, toy_gin):
    text = f'include "{toy_gin}"\nVAE.encoder = @mlp_encoder()\nVAE.encoder = @mlp_encoder\n'
    (tmp_path / "a.gin").write_text(text)
    config.parse([str(tmp_path / "a.gin")])


def test_what_cannot_be_read_leaves_the_configuration_as_it_was(toy_gin, refused):
    config.parse([toy_gin])
    refused("train.steps = = 3")
    assert gin.query_parameter("train.steps") == 60


@pytest.mark.parametrize(
    ("binding", "said"),
    [
        ("train.seed = -1", "train.seed is -1; give at least 0"),
        ("train.seed = 2147483648", "train.seed is 2147483648; give at most 2147483647"),
        ("train.batch_size = 2147483648", "train.batch_size is 2147483648; give at most 214748364"),
        ("train.batch_size = 2147483647", "train.batch_size is 2147483647: its images take 2199 G"),
        ("train.steps = 3000000000", "train.steps is 3000000000; give at most 2147483647"),
    ],
)
def test_numbers_are_checked_before_anything_is_written(binding, said, toy_gin, tmp_path, fails):
    bound = [f"--gin_file={toy_gin}", f"--gin_bindings={binding}"]
    line = fails(train_command.main, *bound, f"--run_dir={tmp_path / 'run'}")
    assert line.startswith(f"error: {said}")
    folder = tmp_path / "run"
    assert not folder.exists() or {p.name for p in folder.iterdir()} <= {".lock"}


def test_every_shipped_config_is_read():
    for file in gin_files.shipped():
        assert list(gin_files.statements(gin_files.find(file)))
