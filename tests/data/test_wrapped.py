"""Data sets of TFDS under their own names, on TFDS's mock data and on examples made here."""

import numpy as np
import pytest
import requests
import tensorflow as tf
import tensorflow_datasets as tfds

from zoo import data
from zoo.data import idx, npy, official, splits, tfds_wrapped
from zoo.data.space import Factor, FactorSpace

INSTALLED = idx.FOLDER
SHAPES = {
    "mnist": (28, 28, 1),
    "fashion_mnist": (28, 28, 1),
    "celeb_a": (64, 64, 3),
    "smallnorb": (64, 64, 1),
}


@pytest.fixture(autouse=True)
def online(monkeypatch, tmp_path):
    """TFDS's mock needs no connection, and no system package is installed."""
    monkeypatch.setattr(idx, "FOLDER", tmp_path / "none")
    monkeypatch.setattr(official, "asked", lambda url: None)


@pytest.mark.parametrize("name", tfds_wrapped.CONFIGS)
def test_mock_data_comes_out_under_tfds_names(tmp_path, name):
    count = 3
    with tfds.testing.mock_data(num_examples=count):
        dataset = data.load(name, tmp_path)
        features = tfds.builder(name).info.features
    chosen = tfds_wrapped.SETS[name]
    assert dataset.name == name and dataset.space is None
    assert dataset.images.shape == (count * len(chosen.splits), *SHAPES[name])
    assert dataset.images.dtype == np.uint8 and dataset.images.maximum == 255
    assert all(len(values) == len(dataset) for values in dataset.extras.values())
    order = [splits.NAMES.index(split) for split in chosen.splits]
    if name != "smallnorb":
        assert dataset.extras["split"].tolist() == np.repeat(order, count).tolist()
    if name == "celeb_a":
        assert {*features["attributes"]} < dataset.extras.keys()
        assert dataset.extras["Smiling"].dtype == bool
    for split in chosen.splits:
        # Nothing is read again: TFDS is not mocked any more.
        part = data.load(name, tmp_path, split=split)
        assert part.name == f"{name}[{split}]" and len(part) == count
        own = dataset.extras["split"] == splits.NAMES.index(split)
        np.testing.assert_array_equal(part.ids, own.nonzero()[0])


def mocked(examples):
    """TFDS's mock with given examples of every split."""

    def as_dataset(self, split, **kwargs):
        del kwargs
        made = examples(str(split))
        signature = tf.nest.map_structure(
            lambda t: tf.TensorSpec(t.shape, t.dtype), self.info.features.get_tensor_info()
        )
        return tf.data.Dataset.from_generator(lambda: iter(made), output_signature=signature)

    return tfds.testing.mock_data(as_dataset_fn=as_dataset)


def test_mnist_keeps_every_image_and_label_of_both_splits(tmp_path, monkeypatch):
    monkeypatch.setattr(tfds_wrapped, "_BLOCK", 4)
    counts = {"train": 10, "test": 3}
    offsets = {"train": 0, "test": 100}

    def examples(split):
        for number in range(counts[split]):
            value = offsets[split] + number
            yield {"image": np.full((28, 28, 1), value, np.uint8), "label": value % 10}

    with mocked(lambda split: list(examples(split))):
        dataset = data.load("mnist", tmp_path)
    expected = [*range(10), 100, 101, 102]
    assert dataset.images[:].max((1, 2, 3)).tolist() == expected
    assert dataset.images[:].min((1, 2, 3)).tolist() == expected
    assert dataset.extras["label"].tolist() == [value % 10 for value in expected]
    assert isinstance(dataset.images.tables["images"], np.memmap)
    assert isinstance(data.load("mnist", tmp_path, split="test").images.tables["images"], np.memmap)


def test_celeb_a_is_the_centre(tmp_path):
    photograph = np.zeros((218, 178, 3), np.uint8)
    photograph[35:183, 15:163] = (10, 100, 200)
    assert (tfds_wrapped.celeb_a_crop(photograph) == (10, 100, 200)).all()
    # A ramp keeps its direction: row r of the crop is row 35 + 148 (r + 1/2) / 64 of the original.
    ramp = np.broadcast_to(np.arange(218, dtype=np.uint8)[:, None, None], (218, 178, 3))
    rows = tfds_wrapped.celeb_a_crop(np.ascontiguousarray(ramp))[:, 32, 0].astype(float)
    expected = 35 + 148 * (np.arange(64) + 0.5) / 64 - 0.5
    assert np.abs(rows - expected)[2:-2].max() <= 0.51


def test_smallnorb_is_sorted_along_its_grid(tmp_path, monkeypatch):
    space = FactorSpace(
        tuple(
            Factor(axis.name, axis.values[:size])
            for axis, size in zip(tfds_wrapped.SMALLNORB_SPACE.axes, (2, 4, 3, 1, 2), strict=True)
        )
    )
    original = tfds_wrapped.SETS["smallnorb"]
    small = {"smallnorb": tfds_wrapped.dataclasses.replace(original, space=space)}
    monkeypatch.setattr(tfds_wrapped, "SETS", {**tfds_wrapped.SETS, **small})
    rng = np.random.default_rng(0)
    ids = rng.permutation(len(space))
    test = space.factors(ids)[:, 1] < 2

    def examples(split):
        for number in ids[test if split == "test" else ~test]:
            labels = dict(zip(space.names, space.factors(number).tolist(), strict=True))
            renamed = {k if k == "instance" else f"label_{k}": v for k, v in labels.items()}
            image = np.full((96, 96, 1), number, np.uint8)
            yield {"image": image, "image2": 255 - image, **renamed}

    with mocked(lambda split: list(examples(split))):
        dataset = data.load("smallnorb", tmp_path)
    assert dataset.space == space
    np.testing.assert_array_equal(dataset.images[:, 30, 30, 0], np.arange(len(space)))
    factors = np.stack([dataset.extras[name] for name in space.names], axis=-1)
    np.testing.assert_array_equal(factors, space.factors(np.arange(len(space))))
    part = data.load("smallnorb", tmp_path, split="test")
    assert part.space == space and len(part) == 24
    assert (part.extras["instance"] < 2).all()


def test_the_full_grid_of_smallnorb_is_its_48600_images():
    assert len(tfds_wrapped.SMALLNORB_SPACE) == 48_600


@pytest.mark.parametrize("name", ["mnist", "celeb_a"])
def test_offline_one_line_says_what_to_do(tmp_path, monkeypatch, name):
    def refused(url):
        raise requests.ConnectionError("a long\ntext")

    monkeypatch.setattr(official, "asked", refused)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "is_prepared", lambda self: False)
    with pytest.raises(ValueError, match=rf"TFDS has no {name} in .*ConnectionError") as caught:
        data.load(name, tmp_path)
    message = str(caught.value)
    assert f"tfds.load('{name}')" in message and "TFDS_DATA_DIR" in message and "\n" not in message
    assert not [*tmp_path.rglob("*.npy")]


def test_zoo_offline_holds_for_tfds_own_data_sets(tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(ValueError, match=r"could not download it \(ZOO_OFFLINE is set\): run"):
        data.load("celeb_a", tmp_path)


def test_an_interrupted_copy_leaves_nothing_and_starts_again(tmp_path):
    def broken(split):
        yield {"image": np.zeros((28, 28, 1), np.uint8), "label": 1}
        if split == "test":
            raise RuntimeError("power cut")

    with mocked(broken), pytest.raises(Exception, match="power cut"):
        data.load("mnist", tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".lock"]
    with tfds.testing.mock_data(num_examples=2):
        assert len(data.load("mnist", tmp_path)) == 4


def test_a_split_that_is_not_there(tmp_path):
    with tfds.testing.mock_data(num_examples=2):
        data.load("mnist", tmp_path)
    with pytest.raises(
        ValueError, match="mnist: no split is named 'validation'; there are train, t"
    ):
        data.load("mnist", tmp_path, split="validation")


def test_blocks_become_one_file(tmp_path):
    blocks = [np.arange(6).reshape(3, 2), np.arange(2).reshape(1, 2), np.zeros((40, 2), int)]
    assert npy.write(tmp_path / "a.npy", iter(blocks)) == 44
    np.testing.assert_array_equal(
        np.load(tmp_path / "a.npy", mmap_mode="r"), np.concatenate(blocks)
    )
    with pytest.raises(ValueError, match="no rows"):
        npy.write(tmp_path / "b.npy", [])


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A system package with three images of training and two of testing; gives its images."""
    import gzip
    import hashlib

    rng, hashes, made = np.random.default_rng(0), {}, {}
    folder = tmp_path / "package"
    folder.mkdir()
    for prefix, count in (("train", 3), ("t10k", 2)):
        made[prefix] = rng.integers(0, 256, (count, 28, 28), np.uint8), np.arange(count)
        for kind, values in zip(("images-idx3", "labels-idx1"), made[prefix], strict=True):
            values = values.astype(np.uint8)
            header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
            name, content = f"{prefix}-{kind}-ubyte", header + values.tobytes()
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            hashes[name] = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(idx, "FOLDER", folder)
    monkeypatch.setattr(idx, "SHA256", hashes)
    return {"train": made["train"], "test": made["t10k"]}


def test_fashion_mnist_is_the_same_of_tfds_and_of_a_system_package(tmp_path, package, monkeypatch):
    def examples(split):
        images, labels = package[split]
        # TFDS has them in an order of its own.
        for image, label in list(zip(images, labels, strict=True))[::-1]:
            yield {"image": image[..., None], "label": label}

    with mocked(examples):
        through_tfds = data.load("fashion_mnist", tmp_path / "a")
    monkeypatch.setattr(tfds.core.DatasetBuilder, "is_prepared", lambda self: False)
    from_files = data.load("fashion_mnist", tmp_path / "b")
    assert from_files.fingerprint == through_tfds.fingerprint
    np.testing.assert_array_equal(from_files.images[:], through_tfds.images[:])
    for name in ("split", "label"):
        np.testing.assert_array_equal(from_files.extras[name], through_tfds.extras[name])
    part = data.load("fashion_mnist", tmp_path / "b", split="test")
    found = dict(zip(part.extras["label"].tolist(), part.images[:], strict=True))
    for image, label in zip(*package["test"], strict=True):
        np.testing.assert_array_equal(found[int(label)][..., 0], image)


@pytest.mark.parametrize("harm", ["cut", "altered", "missing"])
def test_a_harmed_system_package_is_one_line(tmp_path, package, monkeypatch, harm):
    import gzip

    monkeypatch.setattr(tfds.core.DatasetBuilder, "is_prepared", lambda self: False)
    path = idx.FOLDER / "t10k-images-idx3-ubyte.gz"
    content = path.read_bytes()
    if harm == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif harm == "altered":
        path.write_bytes(gzip.compress(gzip.decompress(content)[:-1] + b"x"))
    else:
        path.unlink()
    with pytest.raises(ValueError, match="t10k-images-idx3-ubyte.gz .*install") as caught:
        data.load("fashion_mnist", tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert not [*(tmp_path / "cache").rglob("*.npy")]


@pytest.mark.skipif(not INSTALLED.is_dir(), reason="dataset-fashion-mnist is not installed")
def test_the_published_files_have_their_hashes(monkeypatch):
    monkeypatch.setattr(idx, "FOLDER", INSTALLED)
    labels = [[int(e["label"]) for e in idx.examples(split)] for split in ("train", "test")]
    assert [np.bincount(x).tolist() for x in labels] == [[6000] * 10, [1000] * 10]
