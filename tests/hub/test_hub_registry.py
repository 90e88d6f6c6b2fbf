"""The registry, the models it ships, and the commands."""

import json
import pathlib

import pytest

from zoo import cli
from zoo.hub import __main__ as command
from zoo.hub import download, package, registry

NAME, VERSION = "beta_vae/dsprites", "1.0.0"


def test_the_shipped_registry_and_store_agree(monkeypatch):
    folder = pathlib.Path(registry.__file__).parent
    monkeypatch.setattr(registry, "PATH", folder / "registry.json")
    monkeypatch.setattr(registry, "STORE", folder / "store")
    for name in registry.names():
        for version in registry.versions(name):
            entry = registry.find(name, version)
            assert entry.licence and entry.description and entry.command
            if (stored := registry.STORE / entry.folder).exists():
                package.check(stored, entry.files)
                card = package.verify(stored)
                assert (card["name"], card["version"]) == (name, version)
                assert (card["config"], card.get("scores")) == (entry.config, entry.scores)


def test_register_stores_a_sealed_copy_and_an_entry(sealed, entry):
    found = registry.find(NAME)
    assert found == entry and registry.names() == [NAME]
    assert (found.licence, found.command, found.scores) == ("CC0-1.0", "train", {"mig": 0.1})
    stored = registry.STORE / NAME / VERSION
    package.check(stored, found.files)
    card = package.verify(stored)
    assert (card["name"], card["version"], card["config"]) == (NAME, VERSION, {"beta": 4})
    assert found.size == sum(p.stat().st_size for p in stored.rglob("*") if p.is_file())
    assert "name" not in package.verify(sealed), "the export itself is left alone"
    assert not list(registry.STORE.glob(".*"))


def test_the_newest_version_is_the_greatest_number(sealed, entry):
    for version in ("1.10.0", "1.9.0"):
        registry.register(sealed, NAME, version, licence="x", description="x", command="x")
    assert registry.versions(NAME) == ["1.0.0", "1.9.0", "1.10.0"]
    assert registry.find(NAME).version == "1.10.0"
    assert registry.find(NAME, "1.9.0").version == "1.9.0"
    with pytest.raises(registry.RegistryError, match=r"no version '2'; it has 1\.0\.0, 1\.9\.0"):
        registry.find(NAME, "2")


def test_an_unknown_name_is_answered_with_the_nearest(sealed, entry):
    registry.register(sealed, "factor_vae/cars3d", "1", licence="x", description="x", command="x")
    with pytest.raises(registry.RegistryError, match="the nearest is 'beta_vae/dsprites'"):
        registry.find("betavae/dsprite")
    with pytest.raises(registry.RegistryError, match="the nearest is 'factor_vae/cars3d'"):
        registry.find("factorvae/cars")


def test_an_empty_registry_says_so():
    with pytest.raises(registry.RegistryError, match="no model is registered"):
        registry.find("x")


def test_a_version_is_published_once(sealed, entry):
    before = registry.PATH.read_bytes()
    with pytest.raises(registry.RegistryError, match="registered already"):
        registry.register(sealed, NAME, VERSION, licence="x", description="x", command="x")
    assert registry.PATH.read_bytes() == before
    package.check(registry.STORE / NAME / VERSION, entry.files)


@pytest.mark.parametrize(
    "name, version, licence, said",
    [
        ("../x", "1", "x", "not a model's name"),
        ("Beta", "1", "x", "not a model's name"),
        ("a/1", "1", "x", "not a model's name"),
        ("a", "../1", "x", "not a version"),
        ("a", "v1", "x", "not a version"),
        ("a", "1", None, "without its licence"),
    ],
)
def test_malformed_registrations_are_refused(sealed, name, version, licence, said):
    with pytest.raises(registry.RegistryError, match=said):
        registry.register(sealed, name, version, licence=licence, description="x", command="x")
    assert registry.names() == [] and not registry.STORE.exists()


def test_a_damaged_export_is_not_registered(sealed):
    (sealed / "saved_model.pb").write_bytes(b"")
    with pytest.raises(package.PackageError, match="truncated"):
        registry.register(sealed, "a", "1", licence="x", description="x", command="x")
    assert registry.names() == []


@pytest.mark.parametrize("path", ["../../escaped", "/tmp/escaped", "a/../../../b"])
def test_a_hostile_registry_cannot_name_outside_paths(entry, path, tmp_path):
    document = json.loads(registry.PATH.read_text())
    files = document["models"][NAME][VERSION]["files"]
    files[path] = files["saved_model.pb"]
    registry.PATH.write_text(json.dumps(document))
    with pytest.raises(package.PackageError, match="not allowed in a package"):
        download.fetch(NAME)
    assert not (tmp_path / "cache").joinpath("models").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"models": {"../x": {"1": {}}}}', '{"models": {"x": {"..": {}}}}']
)
def test_a_malformed_registry_is_one_line(text):
    registry.PATH.write_text(text)
    with pytest.raises(registry.RegistryError) as error:
        registry.names()
    assert "\n" not in str(error.value)


def test_commands(sealed, capsys, fails):
    texts = ["--licence=CC0-1.0", "--description=A test.", "--training_command=train"]
    command.main(["register", str(sealed), NAME, VERSION, *texts])
    command.main(["list"])
    command.main(["fetch", NAME])
    command.main(["verify", str(sealed)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == f"{NAME}  {VERSION}  1.5 MB  CC0-1.0  A test."
    package.verify(lines[2])
    (sealed / "saved_model.pb").unlink()
    assert fails(command.main, "verify", str(sealed)).startswith("error: ")
    with pytest.raises(SystemExit):
        cli.run(command.main, ["verify", str(sealed)])
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1
    assert not captured.out
