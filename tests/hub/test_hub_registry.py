"""The registry of a hub: what is found in it, and what it may not say."""

import json
import subprocess
import sys

import pytest

from zoo.hub import download, package, places, registry
from zoo.hub.publish import publish

NAME, VERSION = "beta_vae/dsprites", "1.0.0"
TEXTS = {"licence": "x", "description": "x", "command": "x"}


def _registry():
    return places.BUILT_IN / places.REGISTRY


def test_an_entry_is_found_by_its_name(entry):
    assert registry.find(NAME) == registry.find(NAME, VERSION)
    assert registry.find(NAME).files == entry.files and registry.names() == [NAME]
    assert [each.folder for each in registry.entries()] == [f"{NAME}/{VERSION}"]


def test_names_of_one_hub(sealed, entry, tmp_path):
    publish(sealed, tmp_path / "hub", name="mine/other", **TEXTS)
    assert registry.names(str(tmp_path / "hub")) == ["mine/other"]
    with pytest.raises(registry.RegistryError, match=r"nowhere .*it has no registry\.json"):
        registry.names(str(tmp_path / "nowhere"))


def test_the_hub_is_an_attribute_of_the_package_and_needs_no_tensorflow():
    lines = "import sys, zoo\nassert 'hub' in dir(zoo) and zoo.hub.names is zoo.names\n"
    lines += "assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", lines], check=True)


def test_the_newest_version_is_the_greatest_number(sealed, entry):
    for version in ("1.10.0", "1.9.0"):
        publish(sealed, places.BUILT_IN, name=NAME, version=version, **TEXTS)
    assert registry.versions(NAME) == ["1.0.0", "1.9.0", "1.10.0"]
    assert registry.find(NAME).version == "1.10.0"
    assert registry.find(NAME, "1.9.0").version == "1.9.0"
    with pytest.raises(registry.RegistryError, match=r"no version '2'; it has 1\.0\.0, 1\.9\.0"):
        registry.find(NAME, "2")


def test_an_unknown_name_is_answered_with_the_nearest(sealed, entry):
    publish(sealed, places.BUILT_IN, name="factor_vae/cars3d", version="1", **TEXTS)
    with pytest.raises(registry.RegistryError, match="the nearest is 'beta_vae/dsprites'"):
        registry.find("betavae/dsprite")
    with pytest.raises(registry.RegistryError, match="the nearest is 'factor_vae/cars3d'"):
        registry.find("factorvae/cars")


def test_without_another_hub_the_line_tells_of_more(entry, tmp_path, monkeypatch):
    with pytest.raises(registry.UnknownModel, match="in hub/ of the repository: set ZOO_HUB"):
        registry.find("x")
    publish(places.BUILT_IN / NAME / VERSION, tmp_path / "hub")
    monkeypatch.setenv("ZOO_HUB", str(tmp_path / "hub"))
    with pytest.raises(registry.UnknownModel, match=r"\(all: beta_vae/dsprites\)$"):
        registry.find("x")


def test_an_empty_registry_says_so():
    with pytest.raises(registry.RegistryError, match="no model is registered"):
        registry.find("x")


@pytest.mark.parametrize("path", ["../../escaped", "/tmp/escaped", "a/../../../b"])
def test_a_hostile_registry_cannot_name_outside_paths(entry, path, tmp_path):
    document = json.loads(_registry().read_text())
    files = document["models"][NAME][VERSION]["files"]
    files[path] = files["saved_model.pb"]
    _registry().write_text(json.dumps(document))
    with pytest.raises(package.PackageError, match="not allowed in a package"):
        download.fetch(NAME)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"models": {"../x": {"1": {}}}}', '{"models": {"x": {"..": {}}}}']
)
def test_a_malformed_registry_is_one_line(text):
    _registry().write_text(text)
    with pytest.raises(registry.RegistryError) as error:
        registry.names()
    assert "\n" not in str(error.value)
