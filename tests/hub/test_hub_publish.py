"""Publishing to a folder: whole or not at all, once a version, and what it asks for."""

import functools
import json
import pathlib
import shutil

import pytest

from tests.hub.conftest import retrained
from zoo.errors import UserError
from zoo.hub import __main__ as command
from zoo.hub import model_card, package, places, publish, registry, submission

NAME, VERSION = "beta_vae/dsprites", "1.0.0"
TEXTS = {"licence": "x", "description": "x", "command": "x"}
CONFIG = "VAE.latent_dim = 3\ntrain.model = @VAE\ntrain.seed = {seed}\n"
PNG = b"\x89PNG\r\n\x1a\n"


def names(hub: pathlib.Path) -> set[str]:
    return {path.name for path in hub.iterdir()} if hub.exists() else set()


def run(
    folder: pathlib.Path, seed: int, mig: float, sealed: pathlib.Path, **changed
) -> pathlib.Path:
    """A finished run of a model that needs not be loaded."""
    folder.mkdir(parents=True)
    shutil.copytree(sealed, folder / "saved_model")
    text = CONFIG.format(seed=seed) + "".join(f"{k}.x = {v}\n" for k, v in changed.items())
    (folder / "config.gin").write_text(text)
    scores = {"mig": mig, "dci": 2 * mig}
    card = {"name": NAME, "model": "VAE", "dataset": "zoo_dsprites/rendered", "steps": 9}
    card |= {"batch_size": 4, "seed": seed, "config": text, "scores": scores}
    card |= {"versions": {"tensorflow": "2.21.0"}, "machine": {"processor": "Some"}}
    card |= {"earlier_starts": [{"machine": {"processor": "Other"}, "git_commit": None}]}
    package.seal(folder / "saved_model", card)
    rows = {name: {"score": value} for name, value in scores.items()}
    (folder / "scores.json").write_text(json.dumps(rows))
    (folder / "images").mkdir()
    (folder / "images" / "traversals.png").write_bytes(PNG)
    (folder / "DONE").write_text("")
    return folder


def test_a_sealed_copy_and_an_entry(sealed, hub):
    found = registry.find(NAME, hub=str(hub))
    assert (found.licence, found.description) == ("CC0-1.0", "A test.")
    assert (found.facts["command"], found.facts["scores"]) == ("train", {"mig": 0.1})
    stored = hub / NAME / VERSION
    package.check(stored, found.files)
    card = package.verify(stored)
    assert (card["name"], card["version"], card["config"]) == (NAME, VERSION, {"beta": 4})
    assert found.size == sum(p.stat().st_size for p in stored.rglob("*") if p.is_file())
    assert "name" not in package.verify(sealed), "the export itself is left alone"
    assert names(hub) <= {"beta_vae", "registry.json", ".lock"}


def test_a_run_brings_its_pictures_and_the_scores_of_its_other_seeds(sealed, tmp_path):
    huggingface_hub = pytest.importorskip("huggingface_hub", reason="writes the metadata")
    for seed, mig in ((0, 0.1), (1, 0.2), (2, 0.6)):
        run(tmp_path / "runs" / f"seed{seed}", seed, mig, sealed)
    run(tmp_path / "runs" / "other_beta", 3, 0.9, sealed, beta=8)
    unfinished = run(tmp_path / "runs" / "seed4", 4, 0.9, sealed)
    (unfinished / "DONE").unlink()
    entry = publish.publish(tmp_path / "runs" / "seed1", tmp_path / "hub", licence="CC-BY-4.0")
    assert (entry.name, entry.version) == (NAME, "1.0.0")
    assert entry.description == "VAE on zoo_dsprites/rendered, 9 steps of 4"
    seeds = {"seeds": [0, 1, 2], "scores": {"mig": [0.1, 0.2, 0.6], "dci": [0.2, 0.4, 1.2]}}
    assert entry.facts["seeds"] == seeds
    stored = tmp_path / "hub" / entry.folder
    package.check(stored, entry.files)
    assert (stored / "pictures" / "traversals.png").read_bytes() == PNG

    text = (stored / "README.md").read_text()
    card = huggingface_hub.ModelCard(text)
    assert card.data.license == "cc-by-4.0" and card.data.model_name == NAME
    found = {r.metric_type: r.metric_value for r in card.data.eval_results}
    assert found == {"mig": 0.2, "dci": 0.4}
    assert {r.dataset_name for r in card.data.eval_results} == {"zoo_dsprites/rendered"}
    # The standard deviation of 0.1, 0.2 and 0.6.
    assert "| `mig` | 0.2000 | 0.3000 ± 0.2646 | 0.1000 | 0.6000 |" in text
    for part in ("](pictures/traversals.png)", "VAE.latent_dim = 3", "tensorflow: 2.21.0", "Some"):
        assert part in text
    assert "- before it was resumed: processor Other\n" in text
    assert f"zoo.load('{NAME}', '1.0.0', hub='the address of this hub')" in text
    assert str(tmp_path) not in text


def test_of_several_runs_of_a_seed_the_published_one_counts(sealed, tmp_path):
    for name, seed, mig in (("a_first_try", 0, 0.9), ("b", 0, 0.2), ("c", 1, 0.3)):
        run(tmp_path / name, seed, mig, sealed)
    seeds = submission.read(tmp_path / "b").card["seeds"]
    assert (seeds["seeds"], seeds["scores"]["mig"]) == ([0, 1], [0.2, 0.3])


def test_the_card_of_a_generator_says_that_it_makes_images():
    huggingface_hub = pytest.importorskip("huggingface_hub", reason="writes the metadata")
    card = {"name": "cg_gan/toy", "version": VERSION, "licence": "MIT", "scores": {"fid": 2.0}}
    for taken, task in (
        ({"shape": [8, 8, 1]}, "image-feature-extraction"),
        ({"shape": [8, 8, 1], "domains": 2}, "unconditional-image-generation"),
    ):
        read = huggingface_hub.ModelCard(model_card.text(card | {"input": taken}, "", []))
        assert [found.task_type for found in read.data.eval_results] == [task]


def test_a_dry_run_says_what_would_go_up_and_writes_nothing(sealed, tmp_path, capsys):
    trained, hub = run(tmp_path / "run", 0, 0.5, sealed), tmp_path / "hub"
    command.main(["publish", str(trained), f"--to={hub}", "--licence=MIT", "--dry_run"])
    said = capsys.readouterr().out
    for part in (f"{hub}: {NAME}/1.0.0, 8 files", "pictures/traversals.png  8", "| `mig` | 0.5000"):
        assert part in said
    assert said.endswith("nothing was published\n") and not hub.exists()


def test_what_is_not_finished_is_refused(sealed, tmp_path):
    trained = run(tmp_path / "run", 0, 0.5, sealed)
    (trained / "DONE").unlink()
    with pytest.raises(publish.PublishError, match="is not finished: train it to its end by"):
        publish.publish(trained, tmp_path / "hub", **TEXTS)
    (trained / "DONE").write_text("")
    shutil.rmtree(trained / "saved_model")
    with pytest.raises(publish.PublishError, match="no exported model: python -m zoo.export --run"):
        publish.publish(trained, tmp_path / "hub", **TEXTS)
    with pytest.raises(publish.PublishError, match="there is no folder .*nowhere: name a run"):
        publish.publish(tmp_path / "nowhere", tmp_path / "hub", **TEXTS)
    assert not (tmp_path / "hub").exists()


def test_a_version_is_published_once(sealed, hub):
    before = (hub / places.REGISTRY).read_bytes()
    with pytest.raises(publish.PublishError, match="published already"):
        publish.publish(sealed, hub, name=NAME, version=VERSION, **TEXTS)
    assert (hub / places.REGISTRY).read_bytes() == before
    package.verify(hub / NAME / VERSION)


def test_versions_go_on_by_themselves(sealed, hub):
    for version in ("1.1.0", "1.2.0"):
        assert publish.publish(retrained(sealed), hub, name=NAME, **TEXTS).version == version
    publish.publish(sealed, hub, name=NAME, version="3", **TEXTS)
    assert publish.publish(retrained(sealed), hub, name=NAME, **TEXTS).version == "3.1.0"
    assert publish.publish(sealed, hub, name="other", **TEXTS).version == "1.0.0"


def test_the_same_model_is_not_another_version_unless_one_is_given(sealed, tmp_path):
    trained, hub = run(tmp_path / "run", 0, 0.5, sealed), tmp_path / "hub"
    publish.publish(trained, hub, licence="MIT")
    before = (hub / places.REGISTRY).read_bytes()
    # Texts and pictures are not the model.
    (trained / "images" / "traversals.png").write_bytes(PNG + b"redrawn")
    said = r"dsprites 1\.0\.0 is this model already, .*; --version=1\.1\.0 publishes it again"
    for dry_run in (None, print):
        with pytest.raises(publish.PublishError, match=said):
            publish.publish(trained, hub, licence="CC0-1.0", dry_run=dry_run)
    assert (hub / places.REGISTRY).read_bytes() == before
    assert publish.publish(trained, hub, licence="MIT", version="1.1.0").version == "1.1.0"


def test_modules_that_the_config_imports_are_said(sealed, tmp_path, capsys):
    trained, hub = run(tmp_path / "run", 0, 0.5, sealed), tmp_path / "hub"
    card = package.read_card(trained / "saved_model")
    own = "import her.data as data\nfrom parts import losses\nimport zoo.configurables\n"
    package.seal(trained / "saved_model", card | {"config": own + card["config"]})
    for option in ("--dry_run", "--version=1.0.0"):
        command.main(["publish", str(trained), f"--to={hub}", "--licence=MIT", option])
        said = capsys.readouterr().out
        assert "not published: her.data, parts.losses; say in --description where they" in said
    text = (hub / NAME / VERSION / "README.md").read_text()
    assert "## Own modules" in text and "`her.data`, `parts.losses`" in text
    assert "Own modules" not in model_card.body(card | {"version": VERSION})


def test_cards_tell_to_install_as_the_readme_does():
    text = model_card.body({"name": NAME, "version": VERSION})
    assert "repository disentanglement-zoo: pip install .\n" in text
    assert "pip install disentanglement-zoo" not in text


@pytest.mark.parametrize(
    "name, version, licence, said",
    [
        ("../x", "1", "x", "not a model's name"),
        ("Beta", "1", "x", "not a model's name"),
        ("a/1", "1", "x", "not a model's name"),
        ("a", "../1", "x", "not a version"),
        ("a", "v1", "x", "not a version"),
        ("a", "1", None, "without a licence: give --licence"),
        ("a", "1", " ", "without a licence: give --licence"),
        (None, "1", "x", "without a name: give --name"),
    ],
)
def test_what_is_malformed_is_refused(sealed, name, version, licence, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        texts = TEXTS | {"licence": licence}
        publish.publish(sealed, tmp_path / "hub", name=name, version=version, **texts)
    assert names(tmp_path / "hub") <= {".lock"}


def test_a_damaged_export_is_not_published(sealed, tmp_path):
    (sealed / "saved_model.pb").write_bytes(b"")
    with pytest.raises(package.PackageError, match="truncated"):
        publish.publish(sealed, tmp_path / "hub", name="a", version="1", **TEXTS)
    assert not (tmp_path / "hub").exists()


def test_a_picture_that_cannot_be_read_is_not_the_hubs_fault(sealed, tmp_path, monkeypatch):
    trained = run(tmp_path / "run", 0, 0.5, sealed)
    picture = trained / "images" / "traversals.png"
    monkeypatch.setattr(publish, "open", functools.partial(_refused, picture), raising=False)
    with pytest.raises(publish.PublishError, match=r"traversals\.png cannot be read \(Perm"):
        publish.publish(trained, tmp_path / "hub", licence="MIT")
    monkeypatch.undo()
    picture.unlink()
    picture.symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(publish.PublishError, match=r"traversals\.png cannot be read \(No such"):
        publish.publish(trained, tmp_path / "hub", licence="MIT")
    assert names(tmp_path / "hub") <= {".lock"}


def _refused(path, name, *mode):
    if name == path:
        raise PermissionError(13, "Permission denied")
    return open(name, *mode)


def test_a_place_that_is_not_written_to_is_refused(sealed, tmp_path):
    (tmp_path / "file").write_text("")
    places = {tmp_path / "file": "cannot be written", "https://h/x": "is a web server"}
    for to, said in (places | {"/proc/hub": "cannot be written"}).items():
        with pytest.raises(publish.PublishError, match=said):
            publish.publish(sealed, to, name=NAME, **TEXTS)


def test_what_breaks_off_leaves_the_hub_as_it_was(sealed, hub, monkeypatch):
    before = (hub / places.REGISTRY).read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    for module, name in ((publish.shutil, "copyfile"), (publish.os, "replace")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, full)
            with pytest.raises(OSError, match="No space"):
                publish.publish(sealed, hub, name=NAME, **TEXTS)
        assert (hub / places.REGISTRY).read_bytes() == before
        assert [entry.version for entry in registry.entries(str(hub))] == [VERSION]
        assert names(hub) <= {"beta_vae", "registry.json", ".lock"}
    assert publish.publish(sealed, hub, name=NAME, **TEXTS).version == "1.1.0"


def test_what_a_killed_process_left_is_taken_away(sealed, hub):
    stage, folder = hub / ".publishing.zoo-tmp.abcd1234", hub / NAME / "1.1.0"
    for left in (stage / "model", folder):
        left.mkdir(parents=True)
        (left / "saved_model.pb").write_text("half")
    assert [entry.version for entry in registry.entries(str(hub))] == [VERSION]
    entry = publish.publish(sealed, hub, name=NAME, **TEXTS)
    package.check(folder, entry.files)
    assert not stage.exists()


@pytest.mark.parametrize("linked", [False, True])
def test_without_its_registry_a_hub_of_models_is_left_alone(sealed, hub, tmp_path, linked):
    before = (hub / NAME / VERSION / "card.json").read_bytes()
    (hub / places.REGISTRY).rename(tmp_path / "registry.json")
    if linked:
        (hub / places.REGISTRY).symlink_to(tmp_path / "nowhere.json")
    said = "it has no registry.json" if linked else f"holds {NAME}/{VERSION}, but no registry.json"
    for name, dry_run in ((NAME, None), ("other", None), (NAME, print)):
        with pytest.raises(UserError, match=said):
            publish.publish(sealed, hub, name=name, dry_run=dry_run, **TEXTS)
    assert (hub / NAME / VERSION / "card.json").read_bytes() == before
    assert names(hub) <= {"beta_vae", "registry.json", ".lock"}


def test_a_whole_model_that_the_registry_forgot_is_not_replaced(sealed, hub):
    before = (hub / places.REGISTRY).read_bytes()
    entry = publish.publish(sealed, hub, name=NAME, **TEXTS)
    # As after a process that was killed before it wrote the registry, or with an older copy of it.
    (hub / places.REGISTRY).write_bytes(before)
    with pytest.raises(publish.PublishError, match=r"1\.1\.0 holds a whole model .* --version"):
        publish.publish(sealed, hub, name=NAME, **TEXTS | {"licence": "other"})
    package.check(hub / entry.folder, entry.files)
    assert publish.publish(sealed, hub, name=NAME, **TEXTS) == entry


def test_a_process_that_is_killed_in_a_new_hub_blocks_it_not(sealed, tmp_path, monkeypatch):
    hub = tmp_path / "hub"

    def killed(models):
        if models:
            raise KeyboardInterrupt
        return text(models)

    with monkeypatch.context() as patch:
        text = registry.text
        patch.setattr(registry, "text", killed)
        with pytest.raises(KeyboardInterrupt):
            publish.publish(sealed, hub, name=NAME, **TEXTS)
    assert (hub / NAME / VERSION / "card.json").exists() and not registry.entries(str(hub))
    assert publish.publish(sealed, hub, name=NAME, **TEXTS).version == VERSION


def test_a_strange_registry_is_listed_and_shown(hub, capsys):
    path = hub / places.REGISTRY
    document = json.loads(path.read_text())
    entry = document["models"][NAME][VERSION]
    for seeds in (3, {"seeds": 3}, {"seeds": [1, 2], "scores": {"mig": ["x", 1]}}):
        entry |= {"seeds": seeds, "description": "\x1b[31mred", "machine": [], "config": 3}
        entry |= {"earlier_starts": [2, {"machine": 1}]}
        path.write_text(json.dumps(document))
        command.main(["list", f"--hub={hub}"])
        command.main(["show", NAME, f"--hub={hub}"])
        said = capsys.readouterr().out
        assert "\x1b" not in said and "red" in said and "0.1000" in said


def test_without_the_client_one_line_says_how_to_get_it(sealed, tmp_path, monkeypatch):
    def text(*_):
        raise ImportError

    monkeypatch.setattr(publish.model_card, "text", text)
    with pytest.raises(publish.PublishError, match=r"pip install 'disentanglement-zoo\[hub\]'"):
        publish.publish(sealed, tmp_path / "hub", name=NAME, **TEXTS)
    assert names(tmp_path / "hub") <= {".lock"}


def test_commands(sealed, capsys, fails, tmp_path):
    texts = ["--licence=CC0-1.0", "--description=A test.", "--training_command=train"]
    hub = str(tmp_path / "hub")
    command.main(["publish", str(sealed), f"--to={hub}", f"--name={NAME}", *texts])
    assert f"load it: zoo.load('{NAME}', '1.0.0', hub='{hub}')" in capsys.readouterr().out
    command.main(["list", f"--hub={hub}"])
    said = capsys.readouterr().out
    assert said == f"{NAME} {VERSION}  1.5 MB  CC0-1.0  mig 0.100\n    A test. [{hub}]\n"
    command.main(["download", NAME, f"--hub={hub}"])
    package.verify(capsys.readouterr().out.strip())
    command.main(["show", NAME, f"--hub={hub}"])
    assert "A test." in (card := capsys.readouterr().out) and "0.1000" in card
    command.main(["verify", str(sealed)])
    assert "files as recorded" in capsys.readouterr().out
    (sealed / "saved_model.pb").unlink()
    assert fails(command.main, "verify", str(sealed)).startswith("error: ")
    assert "saved_model.pb is missing" in fails(
        command.main, "publish", str(sealed), f"--to={hub}", *texts
    )


def test_lists_are_filtered_and_sorted(sealed, tmp_path, capsys, fails):
    hub = str(tmp_path / "hub")
    for number, (name, mig, dataset) in enumerate(
        [("beta_vae/a", 0.2, "zoo_dsprites/rendered"), ("tc_vae/b", 0.7, "zoo_balls/l_shape")]
    ):
        trained = run(tmp_path / f"run{number}", number, mig, sealed)
        card = package.read_card(trained / "saved_model") | {"name": name, "dataset": dataset}
        package.seal(trained / "saved_model", card)
        publish.publish(trained, hub, licence="MIT")
    publish.publish(sealed, hub, name="none/c", **TEXTS)

    def listed(*options):
        command.main([*options, f"--hub={hub}"])
        return [line.split()[0] for line in capsys.readouterr().out.splitlines()[::2]]

    assert listed("list") == ["beta_vae/a", "none/c", "tc_vae/b"]
    assert listed("list", "--sort=mig") == ["tc_vae/b", "beta_vae/a", "none/c"]
    assert listed("list", "--dataset=balls") == ["tc_vae/b"]
    assert listed("list", "--model=VAE", "--sort=dci") == ["tc_vae/b", "beta_vae/a"]
    assert listed("search", "latent_dim", "beta") == ["beta_vae/a"]
    assert "none of the 3 models fits" in fails(command.main, "search", "glow", f"--hub={hub}")
    said = fails(command.main, "list", "--sort=fid", f"--hub={hub}")
    assert said == "error: no model has the score 'fid'; there are dci, mig"
