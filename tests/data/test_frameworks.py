"""Data sets in other frameworks: the examples, run in an empty folder, and what they rest on."""

import importlib.util
import os
import pathlib
import pickle
import subprocess
import sys

import numpy as np
import pytest

from zoo import data
from zoo.data import npy

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("framework", "lines"),
    [
        ("torch", ["in memory: (64, 3, 64, 64) (64, 2) torch.int32", "files: (64, 64, 64, 3)"]),
        ("jax", ["in memory: (64, 64, 64, 3) 0.", "files: (27, 64, 64, 3) (27, 2) 0."]),
    ],
)
def test_the_example_runs_in_an_empty_folder(tmp_path, framework, lines):
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    answer = subprocess.run(
        [sys.executable, ROOT / f"examples/data_{framework}.py"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "ZOO_CACHE": str(tmp_path / "cache"),
            "TFDS_DATA_DIR": str(tmp_path / "files"),
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert answer.returncode == 0, answer.stderr
    for line in lines:
        assert f"\n{line}" in f"\n{answer.stdout}"
    assert {path.name for path in tmp_path.iterdir()} <= {"cache", "files"}


@pytest.mark.parametrize("name", ["zoo_dsprites/noisy[test]", "zoo_shapes3d", "zoo_dsprites/color"])
def test_a_worker_gets_the_path_and_not_the_images(grids, name):
    dataset = data.load(name, grids)
    sent = pickle.dumps(dataset)
    assert len(sent) < 8e6
    received = pickle.loads(sent)
    np.testing.assert_array_equal(received.images[[5, 70_000]], dataset.images[[5, 70_000]])
    np.testing.assert_array_equal(received.ids[-3:], dataset.ids[-3:])


def test_parts_of_a_mapped_array_travel_as_they_are(tmp_path):
    whole = np.arange(2000.0).reshape(20, 100)
    np.save(tmp_path / "x.npy", whole)
    array = npy.mapped(tmp_path / "x.npy")
    for part in (array, array[3:5], array[::-1], array.T, array[0, 0], array.astype(np.float32)):
        received = pickle.loads(pickle.dumps(part))
        np.testing.assert_array_equal(received, part)
        assert np.asarray(received).dtype == part.dtype
    assert len(pickle.dumps(array)) < 500 < len(pickle.dumps(array[3:5]))
    assert isinstance(pickle.loads(pickle.dumps(array)), np.memmap)


def test_a_data_set_is_a_sequence(grids):
    dataset = data.load("zoo_dsprites/rendered[train]", grids)
    some = dataset[[7, -1, 7]]
    assert some["image"].shape == (3, 64, 64, 1) and some["factors"].shape == (3, 5)
    one, last = dataset[7], dataset[-1]
    for name, values in some.items():
        np.testing.assert_array_equal(values[0], one[name])
        np.testing.assert_array_equal(values[1], last[name])
        np.testing.assert_array_equal(values[2], dataset[np.int64(7)][name])
    np.testing.assert_array_equal(dataset[5:9:2]["index"], dataset.ids[[5, 7]])
    mask = np.zeros(len(dataset), bool)
    mask[[3, 8]] = True
    np.testing.assert_array_equal(dataset[mask]["index"], dataset.ids[[3, 8]])
    entries = dataset.__getitems__([7, 3])
    assert [int(entry["index"]) for entry in entries] == dataset.ids[[7, 3]].tolist()
    assert all(isinstance(value, np.ndarray) for value in entries[0].values())
    assert entries[0].keys() == one.keys()
    for wrong in (len(dataset), -len(dataset) - 1, [len(dataset)]):
        with pytest.raises(IndexError):
            dataset[wrong]
