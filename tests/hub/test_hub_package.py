"""Sealing and verifying exported models."""

import json

import numpy as np
import pytest

from zoo.errors import UserError
from zoo.hub import load, package, publish, registry


def test_the_card_lists_every_other_file_with_its_digest(sealed):
    card = package.verify(sealed)
    assert set(card["files"]) == {
        "saved_model.pb",
        "variables/variables.index",
        "variables/variables.data-00000-of-00001",
        "model.weights.h5",
        "config.gin",
    }
    assert card["files"]["saved_model.pb"]["size"] == 1000
    assert card["config"] == {"beta": 4} and card["scores"] == {"mig": 0.1}
    # echo -n abc | sha256sum
    (sealed / "abc").write_text("abc")
    assert package.digest(sealed / "abc") == {
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "size": 3,
    }


def test_sealing_again_replaces_the_table(sealed):
    card = package.read_card(sealed)
    (sealed / "config.gin").write_text("changed")
    (sealed / "model.weights.h5").unlink()
    package.seal(sealed, {**card, "scores": {"mig": 0.2}})
    card = package.verify(sealed)
    assert card["scores"] == {"mig": 0.2}
    assert "model.weights.h5" not in card["files"] and "card.json" not in card["files"]


@pytest.mark.parametrize("relative", ["saved_model.pb", "variables/variables.index"])
@pytest.mark.parametrize(
    "damage, said",
    [
        (lambda p: p.unlink(), "is missing"),
        (lambda p: p.write_bytes(p.read_bytes()[:-1]), "is truncated: "),
        (lambda p: p.write_bytes(b""), "is truncated: 0 of "),
        (lambda p: p.write_bytes(p.read_bytes() + b"x"), "was altered"),
        (lambda p: p.write_bytes(p.read_bytes()[:-1] + b"\0"), "was altered"),
    ],
)
def test_a_damaged_file_is_named_in_one_line(sealed, relative, damage, said):
    (sealed / relative).write_bytes((sealed / relative).read_bytes()[:-1] + b"\1")
    package.seal(sealed, {})
    damage(sealed / relative)
    with pytest.raises(package.PackageError) as error:
        package.verify(sealed)
    assert str(sealed / relative) in str(error.value) and said in str(error.value)
    assert "\n" not in str(error.value)
    assert isinstance(error.value, UserError) and isinstance(error.value, ValueError)


def test_a_stray_file_is_refused_and_a_hidden_one_is_not(sealed):
    (sealed / ".DS_Store").write_text("")
    package.verify(sealed)
    (sealed / "saved_model.cpb").write_text("")
    with pytest.raises(package.PackageError, match=r"saved_model\.cpb does not belong"):
        package.verify(sealed)


def test_a_directory_without_a_card_is_not_a_model(tmp_path):
    with pytest.raises(package.PackageError, match=r"card\.json is missing: not an exported"):
        package.verify(tmp_path)


def test_models_of_others_are_told_how_they_are_scored(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"")
    (keras := tmp_path / "enc.keras").write_bytes(b"")
    how = r"; zoo\.evaluation\.evaluate\(function, zoo\.data\.load\(name\)\) scores any .*{}"
    with pytest.raises(package.PackageError, match="half of one" + how.format("saved_model.load")):
        load(tmp_path)
    with pytest.raises(registry.RegistryError, match=how.format("keras.saving.load_model")):
        load(str(keras))
    with pytest.raises(publish.PublishError, match=how.format("keras.saving.load_model")):
        publish.publish(keras, tmp_path / "hub", licence="MIT")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"files": {}}', '{"files": 3}', '{"files": {"a": {}}}']
    + ['{"files": {"a": {"size": -1, "sha256": "%s"}}}' % ("0" * 64)]
    + ['{"files": {"a": {"size": 1, "sha256": "%s"}}}' % ("0" * 63)]
    + ["\udcff"],
)
def test_a_malformed_card_is_one_line(sealed, text):
    (sealed / "card.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(package.PackageError, match=r"card\.json") as error:
        package.verify(sealed)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "path", ["../out", "/etc/passwd", "a/../../out", "a//b", "", ".", "a\\..\\b", "C:x", "a\n"]
)
def test_paths_stay_inside_the_package(sealed, path):
    card = package.read_card(sealed)
    card["files"][path] = package.digest(sealed / "config.gin")
    (sealed / "card.json").write_text(json.dumps(card))
    with pytest.raises(package.PackageError, match="is not allowed in a package"):
        package.verify(sealed)


def test_a_link_out_of_the_package_is_refused(sealed, tmp_path):
    (tmp_path / "outside").write_bytes((sealed / "config.gin").read_bytes())
    (sealed / "config.gin").unlink()
    (sealed / "config.gin").symlink_to(tmp_path / "outside")
    with pytest.raises(package.PackageError, match="is a link that leaves its package"):
        package.verify(sealed)


def test_cards_take_numpy_numbers_but_no_nan(sealed):
    card = package.seal(sealed, {"scores": {"mig": np.float32(0.5), "per": np.arange(2)}})
    assert card["scores"] == {"mig": 0.5, "per": [0, 1]}
    with pytest.raises(package.PackageError, match="is not JSON"):
        package.seal(sealed, {"scores": {"mig": float("nan")}})
    assert package.verify(sealed) == card, "a failed seal must leave the old card"


def test_only_a_saved_model_is_sealed(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(package.PackageError, match=r"holds no saved_model\.pb"):
        package.seal(tmp_path / "run", {})
    assert not list((tmp_path / "run").iterdir())
