"""Data sets by name: every family loads, splits where there are some, and errors name the way."""

import importlib
import inspect

import numpy as np
import pytest

from zoo import data
from zoo.data import catalog, tfds_wrapped
from zoo.data.dataset import Dataset, DenseImages

IMAGES = DenseImages(np.zeros((2, 1, 1, 1), np.uint8))


class Family:
    """Stands for a family's module `memory`."""

    CONFIGS = {"first": "", "second": ""}

    def __init__(self):
        self.calls = []

    def load(self, config, directory):
        """Remembers the call."""
        self.calls.append((config, directory))
        return Dataset(config, IMAGES)


@pytest.fixture
def families(monkeypatch):
    """A family that is a stand-in, by name."""
    made = {"zoo_plain": Family()}
    modules = {f"made.{name}": family for name, family in made.items()}
    find = importlib.import_module
    monkeypatch.setattr(catalog.importlib, "import_module", lambda m: modules.get(m) or find(m))
    monkeypatch.setattr(catalog, "FAMILIES", {name: f"made.{name}" for name in made})
    return made


def test_config_and_folder_reach_the_family(families, tmp_path):
    data.load("zoo_plain", tmp_path)
    data.load("zoo_plain/second", str(tmp_path))
    assert families["zoo_plain"].calls == [
        ("first", tmp_path / "zoo_plain"),
        ("second", tmp_path / "zoo_plain"),
    ]


def test_names_of_loaded_splits_are_names_to_load(tmp_path):
    part = data.load("zoo_balls/l_shape", tmp_path, split="test")
    assert data.load(part.name, tmp_path).fingerprint == part.fingerprint


def test_the_cache_of_the_user_by_default(families, tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "elsewhere"))
    data.load("zoo_plain")
    assert families["zoo_plain"].calls == [("first", tmp_path / "elsewhere/data/zoo_plain")]


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("zoo_dsprite", "'zoo_dsprites/"),
        ("zoo_dsprites/noise", "'zoo_dsprites/noisy'"),
        ("zoo_shape3d/rendered", "'zoo_shapes3d/rendered'"),
        ("shapes3d/perturbed", "'zoo_shapes3d/perturbed'"),
        ("zoo_domains/dsprites2", "'zoo_domains/dsprites_two'"),
        ("fashion-mnist", "'fashion_mnist'"),
        ("celeba", "'celeb_a'"),
        ("mnist/train", "'mnist'"),
        ("", ""),
        ("/", ""),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(wrong, nearest):
    with pytest.raises(ValueError, match=f"no data set is named {wrong!r}; the nearest is") as e:
        data.load(wrong)
    assert f"the nearest is {nearest}" in str(e.value) and "\n" not in str(e.value)


def test_every_name_is_its_own_and_described():
    names = data.names()
    assert len(set(names)) == len(names)
    assert {*tfds_wrapped.CONFIGS} < {*names}
    for name in names:
        module, _, config = catalog._find(name)
        assert module.CONFIGS[config] and "\n" not in module.CONFIGS[config]


@pytest.mark.parametrize("module", [*catalog.FAMILIES.values(), catalog.WRAPPED])
def test_families_keep_the_contract(module):
    if not module.startswith("zoo.data."):
        pytest.skip("made by another test")
    parameters = [*inspect.signature(importlib.import_module(module).load).parameters]
    assert parameters[:2] == ["config", "directory"]
    assert parameters[2:] in ([], ["network"], ["seed"])


@pytest.mark.parametrize(
    "name", ["zoo_balls/l_shape", "zoo_synthetic/linear", "zoo_synthetic/domains_2"]
)
def test_splits_of_families_that_have_them_partition_the_set(name, tmp_path):
    if name not in data.names():
        pytest.fail(f"{name} is gone: {data.names()}")
    whole = data.load(name, tmp_path)
    parts = [data.load(name, tmp_path, split=s) for s in ("train", "validation", "test")]
    assert sum(map(len, parts)) == len(whole)
    np.testing.assert_array_equal(np.concatenate([p.ids for p in parts]), range(len(whole)))
    for label, part in enumerate(parts):
        assert (whole.extras["split"][part.ids] == label).all()
