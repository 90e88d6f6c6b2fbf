"""An export is there at once or not at all, also where the disk is full or files are limited."""

import contextlib
import errno
import functools
import io
import pathlib
import resource
import subprocess
from collections.abc import Iterator

import keras
import numpy as np
import pytest

from zoo import gin_files, hub
from zoo.errors import UserError
from zoo.hub import package, weights
from zoo.hub.export import Exported, export
from zoo.models.vae import VAE
from zoo.networks.dense import mlp_decoder, mlp_encoder

CARD = {"scores": {"mig": 0.1}, "versions": {}, "config": "", "input": {"maximum": 1}}
# Of weights, 150 kB; the graph takes 60 to 400 kB.
SIZES = (0, 1, 30, 70, 110, 150, 200, 300, 400, 600)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return _vae()


@contextlib.contextmanager
def _files_of(size: int, folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Files may have `size` bytes at most."""
    folder.mkdir(exist_ok=True)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield folder
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def _disk_of(size: int, folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """A disk with `size` bytes."""
    folder.mkdir(exist_ok=True)
    pages = -(-size // 4096) + 1
    command = ["mount", "-t", "tmpfs", "-o", f"size={pages * 4}k", "zoo-test", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("mounting takes other rights")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_config_is_utf_8_in_any_locale(model, tmp_path, monkeypatch):
    # As in a locale that has ASCII alone.
    monkeypatch.setattr(io, "text_encoding", lambda encoding, *_: encoding or "ascii")
    export(model, tmp_path / "saved_model", "# β\n", CARD)
    assert gin_files.read(tmp_path / "saved_model/config.gin") == "# β\n"


@pytest.mark.parametrize("limited", [_files_of, _disk_of])
def test_a_full_disk_leaves_nothing_half_written(model, tmp_path, limited):
    failed = 0
    for size in SIZES:
        with limited(size * 1000, tmp_path / "disk") as disk:
            target = disk / "saved_model"
            try:
                export(model, target, "# nothing\n", CARD)
            except UserError as error:
                assert "could not be written to" in str(error) and "\n" not in str(error)
            except OSError as error:
                assert error.errno in (errno.ENOSPC, errno.EFBIG)
            else:
                package.verify(target)
                continue
            failed += 1
            assert not [*disk.iterdir()], size
    assert failed >= 4


def test_an_older_export_stays_where_a_new_one_fails(model, tmp_path):
    target = tmp_path / "exports" / "saved_model"
    export(model, target, "# nothing\n", CARD)
    before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    with _files_of(30_000, target.parent), pytest.raises((UserError, OSError)):
        export(model, target, "# other\n", CARD)
    assert {path: path.read_bytes() for path in target.rglob("*") if path.is_file()} == before
    assert [path.name for path in target.parent.iterdir()] == ["saved_model"]


@pytest.mark.parametrize("name", ["notes.txt", "card.json", "run/card.json"])
def test_what_is_no_exported_model_is_not_replaced(model, tmp_path, name):
    (tmp_path / "out" / "run").mkdir(parents=True)
    (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(UserError, match="out is there and is no exported model"):
        export(model, tmp_path / "out", "# nothing\n", CARD)
    assert (tmp_path / "out" / name).read_text() == "mine"
    assert not [*tmp_path.glob(".out*")]


def test_an_empty_folder_and_an_older_export_are_replaced_and_a_file_is_not(model, tmp_path):
    (tmp_path / "out").mkdir()
    for text in ("# nothing\n", "# other\n"):
        export(model, tmp_path / "out", text, CARD)
        assert (tmp_path / "out" / "config.gin").read_text() == text
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="file is there and is no exported model"):
        export(model, tmp_path / "file", "# nothing\n", CARD)


def test_a_published_model_is_not_replaced(model, tmp_path):
    export(model, tmp_path / "out", "# older\n", CARD | {"name": "a/b", "version": "1.0.0"})
    with pytest.raises(UserError, match=r"out holds a/b 1\.0\.0, and a published version never"):
        export(model, tmp_path / "out", "# newer\n", CARD)
    package.verify(tmp_path / "out")


def test_an_interrupted_replacement_leaves_the_older_export(model, tmp_path, monkeypatch):
    export(model, tmp_path / "out", "# older\n", CARD)
    rename = pathlib.Path.rename

    def interrupted(self, target):
        if self.name == "out" and target.name == "out":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(pathlib.Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(model, tmp_path / "out", "# newer\n", CARD)
    package.verify(tmp_path / "out")
    assert (tmp_path / "out" / "config.gin").read_text() == "# older\n"
    assert [path.name for path in tmp_path.glob("*out*")] == ["out"]


def _vae(units=64):
    return VAE(
        (16, 16, 1),
        latent_dim=3,
        encoder=lambda shape: mlp_encoder(shape, units=(units,)),
        decoder=lambda dim, shape: mlp_decoder(dim, shape, units=(units,)),
    )


def test_weights_are_written_once_and_come_back(model, tmp_path):
    export(model, tmp_path / "saved_model", "# nothing\n", CARD)
    sizes = {p.name: p.stat().st_size for p in (tmp_path / "saved_model").rglob("*.*")}
    (kept,) = [size for size in sizes.values() if size >= 4 * model.count_params()]
    assert kept < 4.4 * model.count_params()
    # Keras has counted on: the layers of this one have other names.
    other = _vae()
    other.set_weights([np.zeros_like(value) for value in other.get_weights()])
    weights.assign(other, tmp_path / "saved_model")
    for value, wanted in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, wanted)


def test_weights_of_another_model_are_refused_and_nothing_changes(model, tmp_path):
    export(model, tmp_path / "saved_model", "# nothing\n", CARD)
    other = _vae(units=65)
    before = other.get_weights()
    with pytest.raises(package.PackageError, match="weights of another model") as error:
        weights.assign(other, tmp_path / "saved_model")
    assert "[256, 65] it has [256, 64]" in str(error.value)
    for value, wanted in zip(other.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, wanted)


def test_half_precision_takes_half_the_space_and_rounds_the_weights_once(model, tmp_path):
    half = functools.partial(Exported, half=True)
    export(model, tmp_path / "half", "# nothing\n", CARD, half)
    variables = tmp_path / "half" / "variables" / "variables.data-00000-of-00001"
    assert 2 * model.count_params() <= variables.stat().st_size < 2.4 * model.count_params()
    loaded, other = hub.load(tmp_path / "half"), _vae()
    weights.assign(other, tmp_path / "half")
    for value, exact in zip(other.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, exact.astype(np.float16))
    images = np.random.default_rng(0).random((2, 16, 16, 1), np.float32)
    codes = other.encode(images)
    np.testing.assert_allclose(loaded.encode(images), codes, atol=1e-6)
    np.testing.assert_allclose(loaded.decode(codes), other.decode(codes), atol=1e-6)
    assert np.abs(loaded.encode(images) - model.encode(images)).max() > 1e-5


def test_weights_that_half_precision_cannot_hold_are_refused(tmp_path):
    large = _vae()
    large.weights[0].assign(large.weights[0] + 1e6)
    with pytest.raises(package.PackageError, match="beyond 65504, the largest number of float16"):
        export(large, tmp_path / "half", "", CARD, functools.partial(Exported, half=True))
    assert not [*tmp_path.glob("*half*")]
