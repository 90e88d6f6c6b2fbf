"""`hf://` through the real client, which `HF_ENDPOINT` points at a stand-in on this machine."""

import pathlib

import pytest

from tests.hub.conftest import retrained
from tests.hub.hugging_face_stand_in import Repository, StandIn
from zoo.hub import download, package, places, publish, registry
from zoo.hub.hugging_face import AddressError

huggingface_hub = pytest.importorskip(
    "huggingface_hub", reason="huggingface_hub is not installed: pip install -e '.[hub]'"
)

# No attribute of the package before something imports it.
pytest.importorskip("huggingface_hub.constants")

NAME, VERSION = "beta_vae/dsprites", "1.0.0"
REPO = "hf://lab/models"


@pytest.fixture
def stand_in(started, monkeypatch, tmp_path) -> StandIn:
    """An empty stand-in, the client's cache empty, no token."""
    stand_in = StandIn()
    monkeypatch.setenv("HF_ENDPOINT", started(stand_in.handler()))
    for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    yield stand_in
    huggingface_hub.close_session()


def contents(hub: pathlib.Path) -> dict[str, bytes]:
    """The files of a folder hub by their paths."""
    return {
        path.relative_to(hub).as_posix(): path.read_bytes()
        for path in hub.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


@pytest.fixture
def repository(stand_in, hub) -> Repository:
    """The hub of a folder as a repository."""
    made = stand_in.repositories["lab/models"] = Repository([])
    made.add(contents(hub))
    return made


def test_a_model_is_fetched_kept_and_served_without_network(repository, stand_in, monkeypatch, hub):
    monkeypatch.setenv("ZOO_HUB", REPO)
    assert registry.names() == [NAME]
    path = download.fetch(NAME)
    assert path == places.kept(places.of(REPO)) / NAME / VERSION
    package.check(path, registry.find(NAME, hub=str(hub)).files)
    asked = len(stand_in.requests)
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    assert download.fetch(NAME) == path and len(stand_in.requests) == asked
    # The client's own cache, too.
    download._remove(path)
    package.verify(download.fetch(NAME))
    assert len(stand_in.requests) == asked


def test_a_revision_is_that_commit(repository):
    first = repository.commits[0][0]
    repository.tags["v1"] = first
    repository.add({"registry.json": registry.text({}).encode()})
    assert registry.entries(REPO) == []
    for revision in (first, "v1"):
        assert registry.find(NAME, hub=f"{REPO}@{revision}").version == VERSION
    with pytest.raises(registry.RegistryError, match="it has no revision v2: name a branch"):
        registry.find(NAME, hub=f"{REPO}@v2")


@pytest.mark.parametrize(
    "token, readable_by, said",
    [
        (None, "writer", "the token is missing or not entitled: .* set HF_TOKEN"),
        ("reader", "writer", "the token is missing or not entitled"),
        ("stale", None, r"the token is missing or refused \(HTTP 401\): set HF_TOKEN"),
    ],
)
def test_a_token_that_is_missing_or_refused(repository, monkeypatch, token, readable_by, said):
    repository.readable_by = readable_by
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(registry.RegistryError, match=said) as error:
        registry.find(NAME, hub=REPO)
    assert "\n" not in str(error.value) and REPO in str(error.value)
    monkeypatch.setenv("HF_TOKEN", "writer")
    assert registry.find(NAME, hub=REPO).version == VERSION


def test_a_repository_that_is_no_hub_or_is_not_there(stand_in, monkeypatch):
    stand_in.repositories["lab/other"] = Repository([])
    stand_in.repositories["lab/other"].add({"README.md": b""})
    with pytest.raises(registry.RegistryError, match=r"it has no registry\.json"):
        registry.find(NAME, hub="hf://lab/other")
    with pytest.raises(registry.RegistryError, match="there is no such repository"):
        registry.find(NAME, hub="hf://lab/nowhere")
    with pytest.raises(AddressError, match="write hf://owner/repo"):
        registry.find(NAME, hub="hf://lab")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    # As the client does, which tries again for 23 s.
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("waits"))
    with pytest.raises(registry.RegistryError, match="no answer") as error:
        registry.find(NAME, hub="hf://lab/other")
    assert "\n" not in str(error.value)


def test_without_an_answer_nothing_waits_and_what_the_client_has_kept_serves(
    repository, monkeypatch, sealed
):
    path = download.fetch(NAME, hub=REPO)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setattr("time.sleep", lambda _: pytest.fail("waits"))
    download._remove(path)
    package.verify(download.fetch(NAME, hub=REPO))
    monkeypatch.setenv("HF_TOKEN", "writer")
    with pytest.raises(publish.PublishError, match="no answer .*; nothing was published"):
        publish.publish(sealed, REPO, name=NAME, **TEXTS)


def test_altered_files_are_refused(repository):
    repository.commits[-1][1][f"{NAME}/{VERSION}/saved_model.pb"] = b"altered"
    with pytest.raises(download.FetchError, match=r"saved_model\.pb is truncated"):
        download.fetch(NAME, hub=REPO)


def test_without_the_client_one_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    with pytest.raises(AddressError, match=r"pip install 'disentanglement-zoo\[hub\]'"):
        places.of(REPO)


TEXTS = {"licence": "CC0-1.0", "description": "A test.", "command": "train"}


def test_publishing_is_one_commit_and_loads_back(sealed, stand_in, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "writer")
    for version in ("1.0.0", "1.1.0"):
        entry = publish.publish(retrained(sealed), REPO, name=NAME, **TEXTS)
        assert entry.version == version
    commits = stand_in.repositories["lab/models"].commits
    # The first is that of the new repository.
    assert len(commits) == 3
    files = commits[-1][1]
    assert set(registry.checked(files["registry.json"], REPO)[NAME]) == {"1.0.0", "1.1.0"}
    package.check(download.fetch(NAME, hub=REPO), entry.files)
    package.verify(download.fetch(NAME, "1.0.0", hub=REPO))
    front = files["README.md"].decode()
    card = huggingface_hub.ModelCard(front)
    assert (card.data.model_name, card.data.license) == (NAME, "cc0-1.0")
    assert "[`beta_vae/dsprites` 1.0.0](beta_vae/dsprites/1.0.0/README.md)" in front
    repo = stand_in.repositories["lab/models"]
    repo.add({"README.md": b"---\nlicense: mit\n---\nMy own page."})
    with pytest.raises(publish.PublishError, match="1.1.0 is this model already"):
        publish.publish(sealed, REPO, name=NAME, **TEXTS)
    publish.publish(retrained(sealed), REPO, name=NAME, **TEXTS)
    assert repo.commits[-1][1]["README.md"].endswith(b"My own page.")


def test_a_dry_run_makes_no_repository(sealed, stand_in):
    said = []
    publish.publish(sealed, REPO, name=NAME, dry_run=said.append, **TEXTS)
    assert said[0].startswith(f"{REPO}: {NAME}/1.0.0, 7 files")
    assert not stand_in.repositories
    assert {method for method, _ in stand_in.requests} <= {"GET", "HEAD"}


def test_offline_nothing_is_published_and_nobody_asked(sealed, stand_in, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "writer")
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    for dry_run in (None, print):
        with pytest.raises(publish.PublishError, match=f"{REPO}: not asked, ZOO_OFFLINE is set; "):
            publish.publish(sealed, REPO, name=NAME, dry_run=dry_run, **TEXTS)
    assert not stand_in.requests


@pytest.mark.parametrize(
    "token, said",
    [
        (None, r"the token is missing or refused \(HTTP 401\)"),
        ("stale", r"missing or refused \(HTTP 401\): set HF_TOKEN, or log in by: hf auth"),
        ("reader", r"the token may not do this \(HTTP 403\)"),
    ],
)
def test_without_the_right_to_write_nothing_is_published(
    repository, sealed, stand_in, monkeypatch, token, said
):
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    for to in (REPO, "hf://lab/another"):
        with pytest.raises(publish.PublishError, match=said) as error:
            publish.publish(sealed, to, name=NAME, **TEXTS)
        line = str(error.value)
        assert "\n" not in line and line.endswith("nothing was published") and to in line
    assert len(repository.commits) == 1 and set(stand_in.repositories) == {"lab/models"}


def test_a_commit_that_came_first_is_not_overwritten(repository, sealed, stand_in, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "writer")
    stand_in.before_commit = lambda: repository.add({"other": b""})
    with pytest.raises(publish.PublishError, match="another commit came first"):
        publish.publish(sealed, REPO, name=NAME, **TEXTS)
    assert set(registry.checked(repository.commits[-1][1]["registry.json"], REPO)[NAME]) == {
        VERSION
    }
    stand_in.before_commit = lambda: None
    assert publish.publish(sealed, REPO, name=NAME, **TEXTS).version == "1.1.0"
