"""3D Shapes in memory: the cached tables, both ways to read them, the official file, bad files."""

import hashlib
import json
import pathlib
import sys

import h5py
import numpy as np
import pytest
import tensorflow as tf

from zoo import data
from zoo.data.renderers import shapes3d
from zoo.data.zoo_shapes3d import memory

ROOT = pathlib.Path(__file__).resolve().parents[2]
DUMMY = ROOT / "data/zoo_shapes3d/dummy_data" / memory.OFFICIAL_FILE
# Two whole colour combinations and a part of the third.
COUNT = 2 * shapes3d.GEOMETRIES + 7


@pytest.fixture(scope="module")
def directory(grids):
    """A cache that holds the rendered data set."""
    return grids


@pytest.fixture(scope="module")
def rendered(directory):
    """All images, loaded from the cache."""
    return data.load("zoo_shapes3d/rendered", directory)


@pytest.fixture(scope="module")
def images(rendered):
    """The images of `file`."""
    return rendered.images[:COUNT]


@pytest.fixture(scope="module")
def file(tmp_path_factory, images):
    """A file in the format of the original, chunked across images as that is."""
    path = tmp_path_factory.mktemp("official") / memory.OFFICIAL_FILE
    write(path, images)
    return path


def write(path, images, labels=None, chunks=(300, 16, 16, 1)):
    """Writes a file in the format of the original."""
    if labels is None:
        labels = shapes3d.SPACE.values(shapes3d.SPACE.factors(np.arange(len(images))))
    with h5py.File(path, "w") as out:
        out.create_dataset("images", data=images, chunks=chunks, compression="gzip")
        out["labels"] = labels


def test_table_is_the_same_everywhere(directory):
    golden = json.loads((ROOT / "tests/golden/shapes3d.json").read_text())
    (table,) = (directory / "zoo_shapes3d").glob("*.npy")
    planes = np.load(table, mmap_mode="r")
    assert hashlib.sha256(planes).hexdigest() == golden["planes_sha256"]
    assert table.stat().st_size < 42e6


def test_noisy_is_rendered_plus_noise_of_the_published_width(directory, rendered):
    noisy = data.load("zoo_shapes3d/noisy", directory)
    ids = np.arange(0, 480000, 9001)
    distance = np.abs(noisy.images[ids].astype(int) - rendered.images[ids])
    assert distance.max() in (44, 45)
    middle = np.abs(rendered.images[ids].astype(int) - 127) < 80
    assert distance[middle].mean() == pytest.approx(0.0875 * 255, rel=0.01)


def test_official_file_is_read_without_loss_into_a_table(file, images, tmp_path):
    read = memory.read_official(file, tmp_path)
    np.testing.assert_array_equal(read[:], images)
    (table,) = tmp_path.glob("*.npy")
    assert table.stat().st_size < 378e6
    tables = {name: tf.constant(array) for name, array in read.tables.items()}
    gathered = read.gather(tables, tf.constant([3, 5, 966]))
    np.testing.assert_array_equal(gathered, images[[3, 5, 966]])


def test_official_table_has_a_plane_for_every_combination_of_levels():
    rows = memory._official_rows()
    assert rows.shape == (1000, 3, 1) and len(np.unique(rows)) == 192
    hues = np.array(shapes3d.HUES)
    factors = shapes3d.SPACE.factors(np.arange(1000) * shapes3d.GEOMETRIES)[:, :3]
    levels = hues[factors]
    for channel in range(3):
        # The same plane exactly where all three levels are the same.
        _, groups = np.unique(levels[:, :, channel], axis=0, return_inverse=True)
        _, planes = np.unique(rows[:, channel, 0], return_inverse=True)
        np.testing.assert_array_equal(groups.reshape(-1), planes.reshape(-1))


def test_official_images_that_do_not_factorise_are_kept_as_they_are(images, tmp_path):
    odd = images.copy()
    odd[484, 40, 32, 0] ^= 1
    write(tmp_path / "odd.h5", odd)
    read = memory.read_official(tmp_path / "odd.h5", tmp_path / "cache")
    np.testing.assert_array_equal(read[:], odd)
    names = sorted(path.name for path in (tmp_path / "cache").glob("[!.]*"))
    assert names == ["official-dense.npy", "official-dense.npy.json"]
    again = memory._kept(tmp_path / "cache", COUNT)
    np.testing.assert_array_equal(again[484], odd[484])


def change_labels(labels):
    labels[[0, 1]] = labels[[1, 0]]
    return labels


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda images, labels: (images, change_labels(labels)), "not in the official order"),
        (lambda images, labels: (images, labels[:, :5]), "not in the official order"),
        (lambda images, labels: (images[:, :32], labels), r"its images are uint8 \[32, 64, 3\]"),
        (lambda images, labels: (images / 255.0, labels), "its images are float64"),
    ],
)
def test_another_file_is_refused(tmp_path, change, message):
    with h5py.File(DUMMY) as source:
        changed = change(source["images"][:], source["labels"][:])
    write(tmp_path / "other.h5", *changed, chunks=None)
    with pytest.raises(ValueError, match=message) as caught:
        memory.read_official(tmp_path / "other.h5", tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_truncated_or_altered_official_file_is_refused(tmp_path):
    folder = tmp_path / "zoo_shapes3d"
    folder.mkdir()
    path = folder / memory.OFFICIAL_FILE
    path.write_bytes(DUMMY.read_bytes()[:2000])
    with pytest.raises(ValueError, match="is not the 3D Shapes file"):
        memory.read_official(path, tmp_path)
    with pytest.raises(ValueError, match="is not the original file.*delete it"):
        data.load("zoo_shapes3d/official", tmp_path)
    assert [p.name for p in folder.glob("[!.]*")] == [memory.OFFICIAL_FILE]


def test_without_h5py_the_message_names_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ValueError, match="pip install h5py"):
        memory.read_official(DUMMY, tmp_path)
