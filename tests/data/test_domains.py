"""Labelled image domains: their distributions, their images, and what `sampling.Domains` needs."""

import numpy as np
import pytest
import requests
import tensorflow as tf
import tensorflow_datasets as tfds
from scipy import stats

from zoo import data
from zoo.data import official, sampling
from zoo.data.dataset import Dataset, DenseImages, PickedImages
from zoo.data.renderers import dsprites, shapes3d
from zoo.data.zoo_domains import images, memory

RENDERERS = {
    name: dsprites if name.startswith("dsprites") else shapes3d for name in memory.RENDERED
}


class Drawn:
    """Images drawn when asked for, without the tables of the full grid."""

    tables, maximum, dtype = {}, 1.0, np.dtype(np.uint8)

    def __init__(self, renderer):
        self.renderer = renderer
        self.shape = (len(renderer.SPACE), 64, 64, 1)

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, index):
        return self.renderer.render(self.renderer.SPACE.factors(index))


@pytest.fixture
def small(monkeypatch):
    """40 + 10 images of a domain, of families that draw nothing in advance."""
    monkeypatch.setattr(memory, "SIZES", {"train": 40, "test": 10})
    for name, renderer in RENDERERS.items():
        base = Dataset("rendered", Drawn(renderer), renderer.SPACE)
        family = memory.RENDERED[name].family
        monkeypatch.setattr(family, "load", lambda config, directory, base=base: base)


@pytest.fixture
def mnist(monkeypatch):
    """TFDS's MNIST with eight images a split, each of one grey level that tells its digit."""
    monkeypatch.setattr(official, "asked", lambda url: None)

    def as_dataset(self, split, **kwargs):
        del self, kwargs
        first = 0 if split == "train" else 8
        grey = np.arange(first, first + 8, dtype=np.uint8)
        pixels = np.broadcast_to(grey[:, None, None, None] * 15 + 15, (8, 28, 28, 1))
        examples = {"image": pixels, "label": grey.astype(np.int64) % 10}
        return tf.data.Dataset.from_tensor_slices(examples)

    with tfds.testing.mock_data(as_dataset_fn=as_dataset):
        yield


@pytest.mark.parametrize("config", memory.RENDERED)
def test_factors_follow_the_documented_distributions(config):
    chosen, count = memory.RENDERED[config], 40_000
    for domain in range(2):
        factors = memory.sample(chosen, domain, "train", count)
        for i, axis in enumerate(chosen.space.axes):
            weights = np.ones(axis.size)
            if axis.name in chosen.changing:
                weights = np.arange(1, axis.size + 1)[:: 1 if domain else -1]
            observed = np.bincount(factors[:, i], minlength=axis.size)
            expected = weights / weights.sum()
            assert stats.chisquare(observed, count * expected).pvalue > 1e-4
            np.testing.assert_allclose(memory.probabilities(chosen, domain)[i], expected)
        correlation = np.corrcoef(factors, rowvar=False) - np.eye(len(chosen.space.axes))
        assert np.abs(correlation).max() < 5 / np.sqrt(count)


@pytest.mark.parametrize("config", memory.RENDERED)
def test_domains_differ_in_the_changing_factors_alone_and_overlap(config):
    chosen = memory.RENDERED[config]
    first, second = (memory.probabilities(chosen, domain) for domain in range(2))
    different = {
        axis.name
        for axis, p, q in zip(chosen.space.axes, first, second, strict=True)
        if not np.allclose(p, q)
    }
    assert different == set(chosen.changing)
    assert min(p.min() for p in (*first, *second)) > 0


def test_streams_do_not_depend_on_each_other(monkeypatch):
    chosen = memory.RENDERED["dsprites_two"]
    draws = [memory.sample(chosen, d, s, 50) for d in range(2) for s in memory.SIZES]
    assert len({draw.tobytes() for draw in draws}) == 4
    np.testing.assert_array_equal(memory.sample(chosen, 0, "train", 20), draws[0][:20])


@pytest.mark.parametrize("config", memory.RENDERED)
def test_images_are_those_of_the_factors(small, tmp_path, config):
    dataset = data.load(f"zoo_domains/{config}", tmp_path)
    assert dataset.extras["domain"].tolist() == [0] * 50 + [1] * 50
    assert dataset.extras["split"].tolist() == ([0] * 40 + [2] * 10) * 2
    space, factors = memory.RENDERED[config].space, dataset.extras["factors"]
    some = [0, 49, 50, 99]
    expected = RENDERERS[config].render(factors[some])
    if config.endswith("_32"):
        # 3D Shapes are in 0..255, dSprites in 0..1; `Drawn` says 1 of both.
        parts = expected.reshape(4, 32, 2, 32, 2, -1)
        expected = np.floor(255 * parts.mean((2, 4)) + 0.5).astype(np.int64) % 256
    np.testing.assert_array_equal(dataset.images[some], expected)
    np.testing.assert_allclose(dataset.latents, space.values(factors), rtol=1e-6)
    for number, split in ((0, "train"), (2, "test")):
        part = data.load(f"zoo_domains/{config}", tmp_path, split=split)
        np.testing.assert_array_equal(part.ids, (dataset.extras["split"] == number).nonzero()[0])
        assert len(part) == memory.SIZES[split] * 2
        sampling.Domains(part, 4)
    sampling.Domains(dataset, 4)


def test_two_colour_mnist(mnist, tmp_path):
    dataset = data.load("zoo_domains/two_colour_mnist", tmp_path)
    assert dataset.images.shape == (16, 32, 32, 3)
    domain, pixels = dataset.extras["domain"], dataset.images[:]
    assert domain.tolist() == [0] * 8 + [1] * 8
    # Every digit is there once, the even ones red and the odd ones green.
    grey = np.r_[0:16:2, 1:16:2] * 15 + 15
    expected = grey[:, None] * memory.COLOURS[domain] // 255
    np.testing.assert_array_equal(pixels[:, 16, 16], expected)
    np.testing.assert_array_equal(pixels[:, 2, 29], expected)
    assert dataset.extras["label"].tolist() == (np.r_[0:16:2, 1:16:2] % 10).tolist()
    margin = np.ones((32, 32), bool)
    margin[2:30, 2:30] = False
    assert not pixels[:, margin].any()
    part = data.load("zoo_domains/two_colour_mnist", tmp_path, split="test")
    assert part.ids.tolist() == [4, 5, 6, 7, 12, 13, 14, 15]
    assert part.extras["domain"].tolist() == [0] * 4 + [1] * 4


def test_batches_of_a_compiled_sampler(mnist, tmp_path):
    dataset = data.load("zoo_domains/two_colour_mnist", tmp_path)
    sampler = tf.function(sampling.Domains(dataset, 64), jit_compile=True)
    batch = sampler(sampling.tensors(dataset), tf.constant(0), tf.constant(0))
    index = batch["index"].numpy()
    np.testing.assert_array_equal(batch["domain"], dataset.extras["domain"][index])
    np.testing.assert_array_equal(np.rint(batch["image"] * 255), dataset.images[index])
    red, green = (batch["image"].numpy()[..., c].mean((1, 2)) for c in (0, 1))
    np.testing.assert_array_equal(red > green, batch["domain"].numpy() == 0)


@pytest.mark.parametrize("compiled", [False, True])
def test_picked_images_in_numpy_and_tensorflow(compiled):
    base = DenseImages(np.arange(24, dtype=np.uint8).reshape(6, 2, 2, 1))
    picked = PickedImages(base, [5, 0, 5, 3])
    np.testing.assert_array_equal(picked[:], base[[5, 0, 5, 3]])
    np.testing.assert_array_equal(picked[2], base[5])
    np.testing.assert_array_equal(picked[[[0, 1]]], base[[[5, 0]]])
    tables = {name: tf.constant(array) for name, array in picked.tables.items()}
    gathered = tf.function(picked.gather, jit_compile=compiled)(tables, tf.constant([3, 0]))
    np.testing.assert_array_equal(gathered, base[[3, 5]])


def test_coloured_images_keep_every_kind_of_index():
    grey = np.random.default_rng(0).integers(0, 256, (4, 3, 5, 1), np.uint8)
    coloured = images.ColouredImages(DenseImages(grey), [0, 1, 1, 0], memory.COLOURS, margin=1)
    everything = coloured[:]
    assert everything.shape == coloured.shape == (4, 5, 7, 3)
    np.testing.assert_array_equal(coloured[2], everything[2])
    np.testing.assert_array_equal(coloured[[[0, 3], [1, 1]]], everything[[[0, 3], [1, 1]]])


@pytest.mark.parametrize("white", [1, 255])
@pytest.mark.parametrize("compiled", [False, True])
def test_halved_images_are_means_in_numpy_and_tensorflow(white, compiled):
    pixels = np.random.default_rng(0).integers(0, white + 1, (4, 6, 4, 3), np.uint8)
    halved = images.HalvedImages(DenseImages(pixels, white))
    means = pixels.reshape(4, 3, 2, 2, 2, 3).mean((2, 4))
    expected = np.floor(255 / white * means + 0.5)
    np.testing.assert_array_equal(halved[:], expected)
    np.testing.assert_array_equal(halved[2], expected[2])
    np.testing.assert_array_equal(halved[[[0, 3]]], expected[[[0, 3]]])
    assert halved[:].shape == halved.shape and halved.maximum == 255
    tables = {name: tf.constant(array) for name, array in halved.tables.items()}
    gathered = tf.function(halved.gather, jit_compile=compiled)(tables, tf.constant([3, 0]))
    np.testing.assert_array_equal(gathered, expected[[3, 0]])


def test_celeb_a_is_divided_by_an_attribute(tmp_path, monkeypatch):
    """Photographs of the format of TFDS whose grey level is their number."""
    monkeypatch.setattr(official, "asked", lambda url: None)
    first = {"train": 0, "validation": 6, "test": 12}
    attributes = tfds.builder("celeb_a").info.features["attributes"]

    def as_dataset(self, split, **kwargs):
        del self, kwargs
        numbers = np.arange(6) + first[str(split)]
        male = numbers % 3 == 0
        pixels = np.broadcast_to(numbers[:, None, None, None] * 10, (6, 218, 178, 3))
        examples = {
            "image": pixels.astype(np.uint8),
            "attributes": {name: male if name == "Male" else ~male for name in attributes},
            "identity": {"Identity_No": numbers},
        }
        return tf.data.Dataset.from_tensor_slices(examples)

    with tfds.testing.mock_data(as_dataset_fn=as_dataset):
        dataset = data.load("zoo_domains/celeb_a_two", tmp_path)
    numbers = [*(n for n in range(18) if n % 3), *range(0, 18, 3)]
    assert dataset.images[:].max((1, 2, 3)).tolist() == [10 * n for n in numbers]
    assert dataset.images.shape == (18, 64, 64, 3)
    assert dataset.extras["domain"].tolist() == [0] * 12 + [1] * 6
    part = data.load("zoo_domains/celeb_a_two", tmp_path, split="validation")
    assert part.images[:][:, 0, 0, 0].tolist() == [70, 80, 100, 110, 60, 90]
    batch = sampling.Domains(part, 64)(sampling.tensors(part), 0, 0)
    female = {70, 80, 100, 110}
    values = np.rint(255 * batch["image"][:, 0, 0, 0]).astype(int)
    assert [int(v not in female) for v in values] == batch["domain"].numpy().tolist()


def test_without_mnist_one_line_names_what_to_do(tmp_path, monkeypatch):
    def refused(url):
        raise requests.ConnectionError("offline")

    monkeypatch.setattr(official, "asked", refused)
    monkeypatch.setattr(tfds.core.DatasetBuilder, "is_prepared", lambda self: False)
    with pytest.raises(ValueError, match="TFDS has no mnist .* TFDS_DATA_DIR") as caught:
        data.load("zoo_domains/two_colour_mnist", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("config", [name for name in memory.CONFIGS if name != "celeb_a_two"])
def test_a_split_that_is_not_there(small, mnist, tmp_path, config):
    with pytest.raises(ValueError, match="no split is named 'validation'; there are train, test"):
        data.load(f"zoo_domains/{config}", tmp_path, split="validation")
