"""An export is there at once or not at all, also where the disk is full or files are limited."""

import contextlib
import errno
import pathlib
import resource
import subprocess
from collections.abc import Iterator

import h5py
import keras
import numpy as np
import pytest

from zoo.errors import UserError
from zoo.hub import package
from zoo.hub.export import export
from zoo.models.vae import VAE
from zoo.networks.dense import mlp_decoder, mlp_encoder

CARD = {"scores": {"mig": 0.1}, "versions": {}, "config": "", "input": {"maximum": 1}}
# Of weights, 150 kB; the graph takes 60 to 400 kB.
SIZES = (0, 1, 30, 70, 110, 150, 200, 300, 400, 600)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    return VAE(
        (16, 16, 1),
        latent_dim=3,
        encoder=lambda shape: mlp_encoder(shape, units=(64,)),
        decoder=lambda dim, shape: mlp_decoder(dim, shape, units=(64,)),
    )


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


def test_weights_come_back(model, tmp_path):
    export(model, tmp_path / "saved_model", "# nothing\n", CARD)
    path = tmp_path / "saved_model" / "model.weights.h5"
    assert h5py.is_hdf5(path)
    expected = [weights.copy() for weights in model.get_weights()]
    model.set_weights([np.zeros_like(weights) for weights in expected])
    model.load_weights(path)
    for weights, wanted in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_array_equal(weights, wanted)
