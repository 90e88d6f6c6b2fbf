"""Hubs elsewhere: folders and web servers, in their order, with their faults."""

import hashlib
import json
import shutil

import pytest

import zoo.hub
from zoo.hub import download, package, places, registry
from zoo.hub.load import InputError
from zoo.hub.publish import publish

NAME, VERSION = "beta_vae/dsprites", "1.0.0"
TEXTS = {"licence": "x", "description": "x", "command": "x"}


def warned(caplog):
    return [record.getMessage() for record in caplog.records]


def test_a_web_hub_is_fetched_once_and_serves_without_network(hub, serve, monkeypatch):
    web = serve(hub)
    monkeypatch.setenv("ZOO_HUB", f" {web.address}/ , ")
    assert registry.names() == [NAME]
    path = download.fetch(NAME)
    package.check(path, registry.find(NAME).files)
    assert path == places.kept(places.of(web.address)) / NAME / VERSION
    asked = len([path for path, _ in web.requests if path != "/registry.json"])
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    assert download.fetch(NAME) == path
    assert len([path for path, _ in web.requests if path != "/registry.json"]) == asked


def test_a_cache_that_cannot_be_written_stops_no_search(hub, serve, monkeypatch, tmp_path):
    monkeypatch.setenv("ZOO_HUB", serve(hub).address)
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "file" / "cache"))
    assert registry.names() == [NAME]
    assert (tmp_path / "file").read_text() == "mine"


def test_a_model_added_to_a_hub_is_found_at_once(hub, sealed, serve, monkeypatch):
    monkeypatch.setenv("ZOO_HUB", serve(hub).address)
    assert registry.find(NAME).version == VERSION
    publish(sealed, hub, name=NAME, version="1.1.0", **TEXTS)
    assert registry.find(NAME).version == "1.1.0"
    package.verify(download.fetch(NAME))


def test_a_folder_hub_serves_in_place(hub, monkeypatch, tmp_path):
    monkeypatch.setenv("ZOO_HUB", str(hub))
    assert download.fetch(NAME) == hub / NAME / VERSION
    assert not (tmp_path / "cache").exists()


def test_a_name_in_two_hubs_is_the_first_ones_and_said(
    entry, hub, sealed, serve, monkeypatch, caplog
):
    publish(sealed, hub, name=NAME, version="2.0.0", **TEXTS)
    web = serve(hub)
    monkeypatch.setenv("ZOO_HUB", f"{hub},{web.address}")
    assert download.fetch(NAME) == places.BUILT_IN / NAME / VERSION
    (line,) = warned(caplog)
    assert f"{NAME} is in the bundled store and in {hub}: the first is taken; hub='{hub}'" in line
    assert not web.requests, "no network for what is here"
    caplog.clear()
    assert registry.find(NAME, "2.0.0").hub.address == str(hub)
    assert warned(caplog)[0] == (
        f"{NAME} 2.0.0 is not in the bundled store, which has other versions of it: that of {hub} "
        "is taken"
    )
    assert registry.versions(NAME) == [VERSION, "2.0.0"]
    assert registry.versions(NAME, str(places.BUILT_IN)) == [VERSION]
    assert registry.find(NAME, hub=web.address).version == "2.0.0"
    versions = {(each.version, each.hub.address) for each in registry.entries()}
    assert versions == {(VERSION, "the bundled store"), ("2.0.0", str(hub))}
    with pytest.raises(registry.RegistryError, match=r"no version '7'; it has 1\.0\.0, 2\.0\.0"):
        registry.find(NAME, "7")


def test_a_silent_hub_is_passed_over_and_said(hub, serve, monkeypatch, caplog):
    silent = serve(hub, 503)
    monkeypatch.setenv("ZOO_HUB", f"{silent.address},{hub}")
    assert download.fetch(NAME) == hub / NAME / VERSION
    assert registry.names() == [NAME] and len(registry.entries()) == 1
    assert len(warned(caplog)) == 3
    assert all(f"the hub {silent.address} cannot be read: HTTP 503" in w for w in warned(caplog))
    with pytest.raises(registry.UnknownModel, match=f"{silent.address} cannot be read") as error:
        registry.find("no/such")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "mode, said",
    [
        (404, "HTTP 404; see whether the address is right and has a registry.json"),
        ("late", "no answer within 0.5 s"),
        ("stuck", "no answer within 0.5 s"),
        ("corrupt", "is no JSON"),
        ("short", "is no JSON"),
        ("endless", "it sends more than 10000000 bytes"),
        ("bomb", "is no JSON"),
    ],
)
def test_a_hub_that_does_not_answer_is_one_line(mode, said, hub, serve, monkeypatch):
    monkeypatch.setattr(places, "LIMIT", 10_000_000)
    web = serve(hub, mode)
    with pytest.raises(registry.RegistryError) as error:
        registry.find(NAME, hub=web.address)
    line = str(error.value)
    assert said in line and web.address in line and "\n" not in line


def test_without_an_answer_the_registry_of_earlier_serves(hub, serve, monkeypatch, caplog):
    web = serve(hub)
    path = download.fetch(NAME, hub=web.address)
    web.mode = 503
    assert download.fetch(NAME, hub=web.address) == path
    (line,) = warned(caplog)
    assert "HTTP 503" in line and line.endswith("its registry of earlier is used")
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    assert download.fetch(NAME, hub=web.address) == path
    assert len(warned(caplog)) == 1, "who is offline by choice knows it"
    shutil.rmtree(places.kept(places.of(web.address)))
    with pytest.raises(registry.RegistryError, match="not asked, ZOO_OFFLINE is set"):
        download.fetch(NAME, hub=web.address)


def test_a_registry_of_another_format_is_refused(hub, serve):
    path = hub / places.REGISTRY
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 2}))
    for address in (str(hub), serve(hub).address):
        with pytest.raises(registry.RegistryError, match="of format 2, and this package reads 1"):
            registry.find(NAME, hub=address)


def test_a_published_version_that_changed_is_refused(hub, sealed, serve, monkeypatch):
    web = serve(hub)
    before = registry.find(NAME, hub=web.address).files
    kept = places.kept(places.of(web.address))
    shutil.rmtree(hub)
    publish(sealed, hub, name=NAME, version=VERSION, **TEXTS)
    with pytest.raises(registry.RegistryError, match=f"other files of {NAME} {VERSION} than"):
        registry.find(NAME, hub=web.address)
    shutil.rmtree(kept)
    assert registry.find(NAME, hub=web.address).files != before


@pytest.mark.parametrize("version", [None, VERSION])
def test_a_hub_that_is_refused_is_not_said_to_have_other_versions(
    version, hub, sealed, serve, tmp_path, monkeypatch, caplog
):
    changed = shutil.copytree(hub, tmp_path / "changed")
    web = serve(changed)
    monkeypatch.setenv("ZOO_HUB", f"{web.address},{hub}")
    assert registry.find(NAME, version).hub.address == web.address
    caplog.clear()
    shutil.rmtree(changed)
    publish(sealed, changed, name=NAME, version=VERSION, **TEXTS)
    assert registry.find(NAME, version).hub.address == str(hub)
    (line,) = warned(caplog)
    assert f"the hub {web.address} has other files of {NAME} {VERSION} than before" in line


def test_a_version_that_was_gone_meanwhile_is_remembered(hub, sealed, serve):
    web = serve(hub)
    registry.find(NAME, hub=web.address)
    document = (hub / places.REGISTRY).read_bytes()
    for _ in range(2):
        (hub / places.REGISTRY).write_text(registry.text({}))
        assert registry.entries(web.address) == []
        (hub / places.REGISTRY).write_bytes(document)
        assert registry.find(NAME, hub=web.address).version == VERSION
    (hub / places.REGISTRY).write_text(registry.text({}))
    assert registry.entries(web.address) == []
    shutil.rmtree(hub)
    publish(sealed, hub, name=NAME, version=VERSION, **TEXTS)
    with pytest.raises(registry.RegistryError, match=f"other files of {NAME} {VERSION} than"):
        registry.find(NAME, hub=web.address)
    # Who gives the hash of a registry has seen it.
    found = hashlib.sha256((hub / places.REGISTRY).read_bytes()).hexdigest()
    assert registry.find(NAME, hub=f"{web.address}#sha256={found}").version == VERSION
    assert registry.find(NAME, hub=web.address).version == VERSION


def test_a_cached_registry_that_is_damaged_or_another_says_so(hub, serve, monkeypatch):
    address = serve(hub).address
    registry.find(NAME, hub=address)
    path = places.kept(places.of(address)) / places.REGISTRY
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    pinned = f"{address}#sha256={64 * '0'}"
    with pytest.raises(registry.RegistryError, match="ZOO_OFFLINE is set, .* not the one that its"):
        registry.find(NAME, hub=pinned)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(registry.RegistryError, match="ZOO_OFFLINE is set, .* is no JSON") as error:
        registry.find(NAME, hub=address)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_pinned_registry_is_the_one_of_its_hash(hub, sealed, serve):
    found = hashlib.sha256((hub / places.REGISTRY).read_bytes()).hexdigest()
    pinned = f"{serve(hub).address}/registry.json#sha256={found}"
    package.verify(download.fetch(NAME, hub=pinned))
    publish(sealed, hub, name=NAME, version="2.0.0", **TEXTS)
    with pytest.raises(registry.RegistryError, match="not the one that its address was given"):
        registry.find(NAME, hub=pinned)
    with pytest.raises(registry.RegistryError, match="must be sha256= and the 64 digits"):
        registry.find(NAME, hub="https://somewhere/hub#sha256=12")


def test_plain_http_needs_a_pin():
    with pytest.raises(registry.RegistryError, match="can be altered on the way; use https"):
        registry.find(NAME, hub="http://hub.invalid/models")


@pytest.mark.parametrize("address", ["ftp://somewhere/x", "s3://bucket", "x://u:secret@h/p"])
def test_an_odd_address_is_refused(address, monkeypatch):
    monkeypatch.setenv("ZOO_HUB", address)
    with pytest.raises(registry.RegistryError, match="ZOO_HUB: .* is neither http") as error:
        registry.names()
    assert "secret" not in str(error.value)


def test_a_directory_wins_over_a_hub_elsewhere(hub, exported, monkeypatch, tmp_path):
    monkeypatch.setenv("ZOO_HUB", str(hub))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(exported, tmp_path / NAME)
    assert zoo.hub.load(NAME).path.resolve() == tmp_path / NAME
    with pytest.raises(package.PackageError, match="TensorFlow cannot load"):
        zoo.hub.load(NAME, hub=str(hub))


def test_an_address_is_no_name(hub):
    with pytest.raises(InputError, match=r"zoo\.load\(name, hub=address\)"):
        zoo.hub.load("hf://owner/repo")
