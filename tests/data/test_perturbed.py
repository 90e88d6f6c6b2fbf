"""Perturbed images: x + epsilon m(w) folded into [0, 1], from small networks made here."""

import collections
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from zoo import data
from zoo.data import perturbation
from zoo.data.dataset import Dataset, DenseImages
from zoo.data.renderers import dsprites, shapes3d
from zoo.data.space import Factor, FactorSpace
from zoo.data.zoo_dsprites import memory as zoo_dsprites
from zoo.data.zoo_shapes3d import memory as zoo_shapes3d
from zoo.errors import SettingError, UserError

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHAPE = (4, 5, 1)
# More than one batch, and the last one not full.
SPACE = FactorSpace((Factor("a", tuple(np.linspace(0.5, 2, 20))), Factor("b", tuple(range(15)))))
BINARY = np.random.default_rng(0).integers(0, 2, (len(SPACE), *SHAPE), np.uint8)
BASE = Dataset("zoo_toy/rendered", DenseImages(BINARY, maximum=1.0), SPACE)
PATTERN = np.linspace(-3, 3, 20).reshape(SHAPE).astype(np.float32)


def saved(folder, function, factors=2, argument="values", name="perturb", dtype=tf.float32):
    """A SavedModel whose one function is the given one."""
    module = tf.Module()
    specification = tf.TensorSpec([None, factors], dtype, name=argument)
    setattr(module, name, tf.function(function, [specification]))
    tf.saved_model.save(module, str(folder))
    return folder


def waves(x):
    """A smooth function into [-1, 1]."""
    return tf.sin(tf.reduce_sum(x, axis=1)[:, None, None, None] * PATTERN)


def constant(value, shape=SHAPE):
    """A network that gives one value."""
    return lambda x: tf.fill([tf.shape(x)[0], *shape], value)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("networks") / "waves", waves)


def reflected(x):
    """The formula of the dissertation."""
    return x - 2 * np.maximum(x - 1, 0) + 2 * np.maximum(-x, 0)


@pytest.mark.parametrize("argument", ["values", "factors"])
def test_images_are_the_formula(tmp_path, argument):
    made = saved(tmp_path / "network", waves, argument=argument)
    images = perturbation.perturbed(BASE, 0.175, made, tmp_path)
    indices = SPACE.factors(np.arange(len(SPACE)))
    inputs = SPACE.values(indices) if argument == "values" else indices
    change = np.sin(inputs.sum(1)[:, None, None, None] * PATTERN)
    exact = 255 * reflected(BINARY + 0.175 * change)
    assert np.abs(images[:] - exact).max() < 0.501
    assert (len(images), images.dtype, images.maximum) == (300, np.uint8, 255)


def test_a_network_with_weights(tmp_path):
    module = tf.Module()
    module.weights = tf.Variable(np.random.default_rng(1).normal(size=(2, 20)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32)])
    def perturb(values):
        return tf.reshape(tf.tanh(values @ module.weights), [-1, *SHAPE])

    module.perturb = perturb
    tf.saved_model.save(module, str(tmp_path / "network [4]"))
    images = perturbation.perturbed(BASE, 0.1, str(tmp_path / "network [4]"), str(tmp_path))[:]
    change = np.tanh(SPACE.values(SPACE.factors(np.arange(300))) @ module.weights.numpy())
    exact = 255 * reflected(BINARY + 0.1 * change.reshape(-1, *SHAPE))
    assert np.abs(images - exact).max() < 0.501


def test_folding_is_reflection_at_both_ends():
    x = np.linspace(-1, 2, 301)
    np.testing.assert_allclose(perturbation.folded(x), reflected(x), atol=1e-12)
    inside = np.linspace(0, 1, 50)
    np.testing.assert_allclose(perturbation.folded(inside), inside, atol=1e-12)


@pytest.mark.parametrize("epsilon", [0.1, 0.175, 1.0])
@pytest.mark.parametrize("value", [-1.0, 1.0])
def test_no_pixel_changes_by_more_than_epsilon_and_some_by_all_of_it(tmp_path, epsilon, value):
    made = saved(tmp_path / "network", constant(value))
    images = perturbation.perturbed(BASE, epsilon, made, tmp_path)[:]
    change = np.abs(images - 255.0 * BINARY)
    assert change.max() <= 255 * epsilon + 0.5
    # White goes down by itself and up by reflection, black the other way around.
    assert change.min() >= 255 * epsilon - 0.5


def test_grey_levels_are_those_of_a_base_of_256(tmp_path):
    grey = DenseImages(np.full((len(SPACE), *SHAPE), 100, np.uint8))
    base = Dataset("zoo_toy/rendered", grey, SPACE)
    made = saved(tmp_path / "network", constant(-0.5))
    images = perturbation.perturbed(base, 0.1, made, tmp_path)
    assert (images[:] == round(100 - 0.05 * 255)).all()


def test_the_same_bytes_again_in_another_process_and_in_a_graph(tmp_path, network):
    first = perturbation.perturbed(BASE, 0.1, network, tmp_path / "a")
    images = first[:]
    again = perturbation.perturbed(BASE, 0.1, network, tmp_path / "b")
    np.testing.assert_array_equal(images, again[:])
    code = """
import hashlib, sys
sys.path[:0] = sys.argv[1:3]
import test_perturbed as t
made = t.perturbation.perturbed(t.BASE, 0.1, sys.argv[3], t.pathlib.Path(sys.argv[4]))
print(hashlib.sha256(made[:].tobytes()).hexdigest())
"""
    here = str(pathlib.Path(__file__).parent)
    command = [sys.executable, "-c", code, str(ROOT), here, str(network), str(tmp_path / "c")]
    output = subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL)
    assert output.split()[-1] == hashlib.sha256(images.tobytes()).hexdigest()
    index = [299, 0, 256]
    tables = {name: tf.constant(array) for name, array in first.tables.items()}
    np.testing.assert_array_equal(first.gather(tables, tf.constant(index)), images[index])


def test_a_file_is_kept_for_every_network_base_and_epsilon(tmp_path, network, monkeypatch):
    def files():
        return sorted(tmp_path.glob("perturbed-*.npy"))

    perturbation.perturbed(BASE, 0.1, network, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(perturbation, "_loaded", lambda *_: pytest.fail("it was made again"))
        perturbation.perturbed(BASE, 0.1, network, tmp_path)
    assert len(files()) == 1
    other = saved(tmp_path / "other", constant(0.25))
    perturbation.perturbed(BASE, 0.1, other, tmp_path)
    perturbation.perturbed(BASE, 0.2, network, tmp_path)
    inverse = Dataset("zoo_toy/rendered", DenseImages(1 - BINARY, maximum=1.0), SPACE)
    perturbation.perturbed(inverse, 0.1, network, tmp_path)
    assert len(files()) == 4


def windows(count):
    """The first images of dSprites, as they are kept."""
    images = dsprites.render(dsprites.SPACE.factors(np.arange(count)))
    return zoo_dsprites._cropped(images[..., 0], 0)


def test_dsprites_by_name_with_the_network_of_the_environment(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo_dsprites, "_mapped", lambda *_: windows(70))
    shape = zoo_dsprites.IMAGE_SHAPE
    # A folder of networks, one for each family, or the network itself.
    saved(tmp_path / "networks/zoo_dsprites", constant(1.0, shape), factors=5)
    for place in ("networks", "networks/zoo_dsprites"):
        monkeypatch.setenv(perturbation.ENVIRONMENT, str(tmp_path / place))
        dataset = data.load("zoo_dsprites/perturbed", tmp_path / "cache")
        expected = np.where(zoo_dsprites.SpriteImages(windows(70))[:] == 1, 230, 26)
        # 255 * 0.9 = 229.5 and 255 * 0.1 = 25.5 lie between two grey levels.
        assert np.abs(dataset.images[:].astype(int) - expected).max() <= 1
        assert dataset.space == dsprites.SPACE


def test_a_tfds_config_takes_the_network_of_the_environment_as_its_name_does(
    tmp_path, network, monkeypatch
):
    config = tfds.builder_cls("zoo_dsprites").builder_configs["perturbed"]
    for chosen in ("perturbed", config):
        monkeypatch.setenv(perturbation.ENVIRONMENT, str(network))
        builder = tfds.builder("zoo_dsprites", config=chosen, data_dir=tmp_path)
        assert builder.builder_config.name == f"perturbed-{perturbation.digest(network)}"
        monkeypatch.delenv(perturbation.ENVIRONMENT)
        own = tfds.builder("zoo_dsprites", config=chosen, network=network, data_dir=tmp_path)
        assert own.builder_config.name == builder.builder_config.name
        hubs = tfds.builder(
            "zoo_dsprites", config=chosen, network="perturbations/dsprites", data_dir=tmp_path
        )
        assert hubs.builder_config.name == "perturbed"


@pytest.fixture
def small_shapes3d(monkeypatch):
    """Three grey images instead of 3D Shapes, and no network in the environment."""
    monkeypatch.delenv(perturbation.ENVIRONMENT, raising=False)
    grey = DenseImages(np.full((3, *zoo_shapes3d.IMAGE_SHAPE), 100, np.uint8))
    monkeypatch.setattr(zoo_shapes3d, "_rendered", lambda *_: grey)


def test_shapes3d_with_the_network_in_its_name(tmp_path, small_shapes3d):
    shape = zoo_shapes3d.IMAGE_SHAPE
    made = saved(tmp_path / "network", constant(-1.0, shape), factors=6)
    name = f"zoo_shapes3d/perturbed/network={made}"
    dataset = data.load(f"{name}[train]", tmp_path)
    assert dataset.name == f"{name}[train]" and dataset.space == shapes3d.SPACE
    assert (dataset.images[:] == round(100 - 0.175 * 255)).all()
    for other in ("zoo_shapes3d/noisy", "zoo_balls/l_shape", "mnist"):
        with pytest.raises(ValueError, match=f"{other} takes no network"):
            data.load(f"{other}/network={made}", tmp_path)
    with pytest.raises(SettingError, match="zoo_shapes3d/perturbed/network= names no network"):
        data.load("zoo_shapes3d/perturbed/network=", tmp_path)


def test_another_epsilon_than_that_of_the_network_is_said(tmp_path, small_shapes3d, caplog):
    made = saved(tmp_path / "m", constant(1.0, zoo_shapes3d.IMAGE_SHAPE), factors=6)
    # Saving models is said at the level of information.
    caplog.clear()
    caplog.set_level("WARNING")
    for text in ("{}", '{"epsilon": 0.175}', "damaged", '{"epsilon": 0.3}'):
        assert not caplog.messages
        (made / "card.json").write_text(text)
        data.load(f"zoo_shapes3d/perturbed/network={made}", tmp_path)
    (line,) = caplog.messages
    assert f"zoo_shapes3d/perturbed has epsilon = 0.175, and {made} was trained for 0.3: " in line


def test_the_hub_s_network_by_default_or_by_name(tmp_path, small_shapes3d, monkeypatch):
    made = saved(tmp_path / "m", constant(1.0, zoo_shapes3d.IMAGE_SHAPE), factors=6)
    asked = []

    def fetch(name):
        asked.append(name)
        return made

    monkeypatch.setattr(perturbation, "_fetch", fetch)
    for name in ("zoo_shapes3d/perturbed", "zoo_shapes3d/perturbed/network=perturbations/mine"):
        assert (data.load(name, tmp_path).images[:] == round(100 + 0.175 * 255)).all()
    assert asked == ["perturbations/shapes3d", "perturbations/mine"]


def test_a_folder_is_not_taken_for_a_network_of_the_package(tmp_path, network, monkeypatch):
    monkeypatch.delenv(perturbation.ENVIRONMENT, raising=False)
    monkeypatch.chdir(tmp_path)
    ours = perturbation.find("zoo_dsprites")
    # A run of that name, then a network.
    pathlib.Path("perturbations/dsprites").mkdir(parents=True)
    assert perturbation.find("zoo_dsprites") == ours
    pathlib.Path("perturbations/dsprites").rmdir()
    shutil.copytree(network, "perturbations/dsprites")
    assert perturbation.find("zoo_dsprites") == ours
    assert perturbation.find("zoo_dsprites", "perturbations/dsprites") == ours
    here = "./perturbations/dsprites"
    assert perturbation.find("zoo_dsprites", here) == pathlib.Path(here)
    shutil.copytree(network, "perturbations/mine")
    mine = perturbation.find("zoo_dsprites", "perturbations/mine")
    assert mine == pathlib.Path("perturbations/mine")


@pytest.mark.parametrize("family", ["zoo_dsprites", "zoo_shapes3d"])
def test_without_a_network_one_line_says_so_before_anything_is_drawn(tmp_path, monkeypatch, family):
    monkeypatch.delenv(perturbation.ENVIRONMENT, raising=False)

    def fails(message):
        with pytest.raises(ValueError, match=message) as caught:
            data.load(f"{family}/perturbed", tmp_path)
        assert "\n" not in str(caught.value) and not (tmp_path / family).exists()

    hub_name = f"perturbations/{family.removeprefix('zoo_')}"

    def fetch(name):
        raise UserError(f"no pretrained model\nis named {name!r}")

    monkeypatch.setattr(perturbation, "_fetch", fetch)
    fails(rf"not in the hub \(no pretrained model is named '{hub_name}'\): name a SavedModel's")
    monkeypatch.setenv(perturbation.ENVIRONMENT, str(tmp_path / "nowhere"))
    fails("nowhere', which is no folder here")
    (tmp_path / "nowhere").mkdir()
    fails("nowhere is no SavedModel: it has no saved_model.pb")


def test_zoo_brings_its_hub():
    code = "import zoo; zoo.data.load('zoo_dsprites/perturbed/network=no/such')"
    failed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert "'no/such', which is no folder here and not in the hub (" in failed.stderr
    assert "import zoo" not in failed.stderr.splitlines()[-1]


BAD = {
    "another name": ({"function": waves, "name": "decode"}, "no perturbation network"),
    "another argument": ({"function": waves, "argument": "z"}, r"perturb\(values\) or"),
    "another dtype": ({"function": waves, "dtype": tf.float16}, r"must take float32 \[B, 2\]"),
    "other factors": ({"function": waves, "factors": 3}, "has 2 factors"),
    "another shape": ({"function": constant(0.0, (5, 4, 1))}, r"float32 \[4, 5, 1\]"),
    "too large": ({"function": constant(1.01)}, r"must stay in \[-1, 1\]"),
    "not a number": ({"function": constant(np.float32("nan"))}, r"must stay in \[-1, 1\]"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_network_that_does_not_fit(tmp_path, case):
    options, message = BAD[case]
    if options.get("dtype"):
        options = {**options, "function": lambda x: waves(tf.cast(x, tf.float32))}
    made = saved(tmp_path / "network", **options)
    with pytest.raises(ValueError, match=message) as caught:
        perturbation.perturbed(BASE, 0.1, made, tmp_path)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.glob("[!.]*")] == ["network"]


def test_parts_images_without_factors_and_impossible_epsilons_are_refused(tmp_path, network):
    part = BASE.part("zoo_toy/rendered[some]", np.array([250, 3, 299]))
    bare = Dataset("mine", DenseImages(BINARY))
    cases = (
        (part, 0.1, r"^zoo_toy/rendered\[some\] is a part of zoo_toy/rendered: perturb a whole"),
        (bare, 0.1, "^mine has no factors: "),
        *((BASE, epsilon, "^epsilon must be above 0") for epsilon in (0, -0.1, 1.5, np.nan)),
    )
    for base, epsilon, message in cases:
        with pytest.raises(SettingError, match=message):
            perturbation.perturbed(base, epsilon, network, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_too_small(tmp_path, monkeypatch, network):
    usage = collections.namedtuple("usage", "free")(free=5999)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(UserError, match="0.00 GB are free; make room"):
        perturbation.perturbed(BASE, 0.1, network, tmp_path)
    assert not [name for name in os.listdir(tmp_path) if not name.endswith(".lock")]
