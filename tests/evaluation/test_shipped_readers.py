"""The networks that come with the package: what they read, and distances by their features."""

import types

import numpy as np
import pytest

from zoo import data, evaluation
from zoo.data.dataset import Dataset
from zoo.data.renderers import dsprites
from zoo.evaluation import factor_reader, shipped_readers


class _Sprites:
    """All dSprites, drawn when asked for."""

    shape, maximum = (len(dsprites.SPACE), 64, 64, 1), 1

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, ids):
        return dsprites.render(dsprites.SPACE.factors(ids))


def _dataset(name: str) -> Dataset:
    if name == "shapes3d":
        return data.load("zoo_shapes3d/rendered")
    return Dataset("zoo_dsprites/rendered", _Sprites(), dsprites.SPACE)


def _like(images, blur: int):
    """A generator of images of the data, each pixel the mean of a square of them."""

    def sample(count: int, seed):
        ids = np.random.default_rng(seed).integers(len(images), size=count)
        made = images[ids] / np.float32(images.maximum)
        moved = (np.roll(made, (y, x), (1, 2)) for y in range(blur) for x in range(blur))
        return sum(moved) / np.float32(blur**2)

    return types.SimpleNamespace(sample=sample, generate=None)


@pytest.mark.parametrize("name", shipped_readers.READERS)
def test_they_are_small_and_read_what_is_stated(name):
    shipped, dataset = shipped_readers.READERS[name], _dataset(name)
    file = shipped_readers.FOLDER / f"{name}.npz"
    assert file.stat().st_size < 300_000
    ids = np.random.default_rng(1).integers(len(dataset), size=600)
    found = shipped_readers.accuracy(shipped_readers.load(name), dataset, ids)
    # Four standard errors of a share of 600, at most.
    np.testing.assert_allclose(found, shipped.accuracy, atol=0.08)


@pytest.mark.parametrize("name", shipped_readers.READERS)
def test_evaluate_measures_distances_by_them(name, monkeypatch):
    monkeypatch.setattr(factor_reader.FactorReader, "fit", None)
    dataset, sizes = _dataset(name), {"num_train": 400, "num_test": 10, "batch_size": 100}
    tables = [
        evaluation.evaluate(_like(dataset.images, blur), dataset, "reader_fid,reader_kid", **sizes)
        for blur in (1, 6)
    ]
    for score in ("reader_fid", "reader_kid"):
        own, blurred = (table[score] for table in tables)
        assert own["parts"]["reader"] == name
        assert blurred["score"] > 2 * abs(own["score"])
        assert len(own["parts"]["reading_accuracy"]) == len(shipped_readers.READERS[name].sizes)
    assert tables[0]["reader_fid"]["score"] < tables[0]["reader_fid"]["parts"]["of_data"]


def test_they_are_trained_on_what_they_are_not_tested_on(tmp_path, monkeypatch):
    images = np.zeros((60, 8, 8, 1), np.uint8)
    space = types.SimpleNamespace(sizes=(1, 2), factors=lambda ids: np.stack([0 * ids, ids % 2], 1))
    images[1::2] = 255
    seen = []

    class _Noted:
        maximum = 255

        def __len__(self):
            return len(images)

        def __getitem__(self, ids):
            seen.append(np.unique(ids))
            return images[ids]

    toy = shipped_readers.Shipped((8, 8, 1), (2,), steps=30, accuracy=(1.0,))
    monkeypatch.setitem(shipped_readers.READERS, "toy", toy)
    monkeypatch.setattr(shipped_readers, "HELD_OUT", 20)
    dataset = types.SimpleNamespace(images=_Noted(), space=space)
    assert shipped_readers.make("toy", dataset, folder=tmp_path) == toy.accuracy
    *trained, tested = seen
    assert len(tested) == 20 and not set(np.concatenate(trained)) & set(tested)
    assert shipped_readers.find((8, 8, 1), (3,)) is None
    with pytest.raises(FileNotFoundError, match="toy.npz does not hold the weights"):
        shipped_readers.find((8, 8, 1), (2,))
