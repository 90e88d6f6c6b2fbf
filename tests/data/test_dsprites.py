"""dSprites in memory: the cached table, both ways to read it, the official file, bad files."""

import hashlib
import json
import pathlib
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest
import tensorflow_datasets as tfds

from zoo import data
from zoo.data import official
from zoo.data.zoo_dsprites import memory
from zoo.errors import SettingError

ROOT = pathlib.Path(__file__).resolve().parents[2]
DUMMY = ROOT / "data/zoo_dsprites/dummy_data" / memory.OFFICIAL_FILE


@pytest.fixture(scope="module")
def directory(grids):
    """A cache that holds the rendered data set."""
    return grids


@pytest.fixture(scope="module")
def rendered(directory):
    """All images, loaded from the cache."""
    return data.load("zoo_dsprites/rendered", directory)


def test_table_is_the_same_everywhere(directory):
    golden = json.loads((ROOT / "tests/golden/dsprites.json").read_text())
    (file,) = (directory / "zoo_dsprites").glob("*.npy")
    table = np.load(file, mmap_mode="r")
    assert hashlib.sha256(table).hexdigest() == golden["windows_sha256"]
    assert file.stat().st_size < 90e6


def test_a_disk_that_is_too_small_is_one_line_before_anything_is_drawn(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=40_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(memory.dsprites, "windows", lambda *_: pytest.fail("drawn"))
    with pytest.raises(SettingError, match=r"0.09 GB are needed and 0.04 GB are free"):
        data.load("zoo_dsprites/rendered", tmp_path)
    assert not list((tmp_path / "zoo_dsprites").glob("*.npy"))


def test_noisy_is_rendered_plus_noise_of_a_tenth(directory, rendered):
    noisy = data.load("zoo_dsprites/noisy", directory)
    ids = np.arange(0, 737280, 5000)
    distance = np.abs(noisy.images[ids].astype(int) - 255 * rendered.images[ids].astype(int))
    assert distance.max() == 25 or distance.max() == 26
    assert distance.mean() == pytest.approx(0.05 * 255, rel=0.01)


def test_official_file_is_read_without_loss():
    with h5py.File(DUMMY) as file:
        images = file["imgs"][:]
    read = memory.SpriteImages(memory.read_official(DUMMY))
    np.testing.assert_array_equal(read[:][..., 0], images)


def change(path, name, value):
    with h5py.File(DUMMY) as source, h5py.File(path, "w") as file:
        for key in ("imgs", "latents/classes"):
            file[key] = value(source[key][:]) if key == name else source[key][:]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("latents/classes", lambda classes: classes[::-1], "not in the official order"),
        ("imgs", lambda images: 255 * images, "another value than 0 and 1"),
        ("imgs", np.ones_like, "white pixels far from the sprite"),
        ("imgs", lambda images: images[:, :32], "not 64x64"),
    ],
)
def test_another_file_is_refused(tmp_path, name, value, message):
    path = tmp_path / "other.hdf5"
    change(path, name, value)
    with pytest.raises(ValueError, match=message):
        memory.read_official(path)


def test_truncated_official_file_is_refused(tmp_path):
    path = tmp_path / memory.OFFICIAL_FILE
    path.write_bytes(DUMMY.read_bytes()[:2000])
    with pytest.raises(ValueError, match="is not the dSprites file"):
        memory.read_official(path)
    folder = tmp_path / "zoo_dsprites"
    folder.mkdir()
    path.rename(folder / memory.OFFICIAL_FILE)
    with pytest.raises(ValueError, match="is not the original file.*delete it"):
        data.load("zoo_dsprites/official", tmp_path)
    assert [p.name for p in folder.glob("[!.]*")] == [memory.OFFICIAL_FILE]


def test_tfds_takes_the_official_file_that_was_put_into_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    asked = []
    monkeypatch.setattr(tfds.download.DownloadManager, "download", lambda *_: asked.append(1))
    (folder := tmp_path / "data/zoo_dsprites").mkdir(parents=True)
    shutil.copy(DUMMY, folder)
    builder = tfds.builder("zoo_dsprites/official", data_dir=tmp_path / "tfds")
    with pytest.raises(SettingError, match="is not the original file.*delete it"):
        builder.download_and_prepare()
    _, registered = official._registered(memory._CHECKSUMS, memory.OFFICIAL_FILE)
    monkeypatch.setattr(official, "digest", lambda _: {"sha256": registered.checksum})
    builder.download_and_prepare()
    with h5py.File(DUMMY) as file:
        assert builder.info.splits["train"].num_examples == len(file["imgs"])
    assert not asked


LOADER = """
import pathlib, sys, time
import numpy as np
from zoo.data.zoo_dsprites import memory

def write_slowly(path):
    with path.open("wb") as file:
        np.save(file, np.ones(500_000, np.int64))
        file.truncate(2_000_000)
        time.sleep(0.5)
        file.seek(0)
        np.save(file, np.ones(500_000, np.int64))

print(memory._mapped(pathlib.Path(sys.argv[1]), write_slowly).sum())
"""


def test_two_processes_at_once_read_a_whole_table(tmp_path):
    command = [sys.executable, "-c", LOADER, str(tmp_path / "table.npy")]
    loaders = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) for _ in range(2)]
    assert [int(loader.communicate(timeout=60)[0]) for loader in loaders] == [500_000] * 2
    names = {path.name for path in tmp_path.iterdir()}
    assert names - {".table.npy.lock"} == {"table.npy", "table.npy.json"}
