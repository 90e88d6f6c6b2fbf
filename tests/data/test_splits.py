"""Splits: partitions of every set, slices of them, and samplers and scores that keep to them."""

import dataclasses
import hashlib

import numpy as np
import pytest
import tensorflow as tf

from zoo import data, evaluation
from zoo.data import catalog, sampling, splits
from zoo.data.dataset import Dataset, DenseImages
from zoo.data.space import Factor, FactorSpace

SPACE = FactorSpace((Factor("x", tuple(range(8))), Factor("y", tuple(range(25)))))
LABELS = np.repeat(np.array([0, 2, 0], np.uint8), [50, 30, 120])


class Family:
    """Stands for a family's module `memory`: 200 images that hold their number."""

    CONFIGS = {"grid": "no splits of its own", "own": "train and test, not in one range each"}

    @staticmethod
    def load(config, directory):
        images = DenseImages(np.arange(200, dtype=np.uint8)[:, None, None, None])
        extras = {"split": LABELS} if config == "own" else {}
        latents = np.stack([np.arange(200), -np.arange(200)], 1).astype(np.float32)
        return Dataset(f"made/{config}", images, SPACE, latents, extras)


@pytest.fixture(autouse=True)
def family(monkeypatch):
    """The family `made`."""
    find = catalog.importlib.import_module
    monkeypatch.setattr(
        catalog.importlib, "import_module", lambda m: Family if m == "made" else find(m)
    )
    monkeypatch.setattr(catalog, "FAMILIES", {**catalog.FAMILIES, "made": "made"})


def test_a_set_without_splits_is_divided_once_and_for_all():
    parts = {split: data.load("made/grid", split=split).ids for split in splits.NAMES}
    assert [len(part) for part in parts.values()] == [160, 20, 20]
    assert all(part.dtype == np.int32 for part in parts.values())
    np.testing.assert_array_equal(np.sort(np.concatenate([*parts.values()])), np.arange(200))
    for split, part in parts.items():
        np.testing.assert_array_equal(data.load(f"made[{split}]").ids, part)
    # What was trained on stays what was trained on, whatever the version of numpy.
    digest = hashlib.sha256(np.concatenate([*splits.random(737_280).values()]).tobytes())
    assert digest.hexdigest()[:16] == "162ae92cbe148d5c"


def test_random_parts_are_spread_evenly():
    share = np.zeros(10_000)
    share[splits.random(10_000)["test"]] = 1
    # 1,000 of 10,000 drawn without replacement: a hundredth of them holds 10 +- 3.
    counts = share.reshape(100, 100).sum(1)
    assert abs(counts.mean() - 10) < 1e-9 and 2.2 < counts.std() < 3.8
    train = splits.random(10_000)["train"]
    assert abs(train[:2000].mean() - 5000) < 5 * 10_000 / np.sqrt(12 * 2000)
    assert [len(part) for part in splits.random(7).values()] == [7]


def test_a_set_with_splits_keeps_its_own():
    train, test = (data.load("made/own", split=s) for s in ("train", "test"))
    np.testing.assert_array_equal(train.ids, np.r_[0:50, 80:200])
    np.testing.assert_array_equal(test.ids, np.r_[50:80])
    with pytest.raises(ValueError, match="made/own: no split is named 'validation'; there are tr"):
        data.load("made/own[validation]")


@pytest.mark.parametrize(
    ("written", "part"),
    [
        ("train[:20]", slice(0, 20)),
        ("train[1_0:20]", slice(10, 20)),
        ("train[-3:]", slice(-3, None)),
        ("train[:-3]", slice(0, -3)),
        ("train[:]", slice(None)),
    ],
)
def test_slices_are_those_of_python(written, part):
    for config in ("grid", "own"):
        whole = data.load(f"made/{config}[train]").ids
        sliced = data.load(f"made/{config}[{written}]")
        assert sliced.name == f"made/{config}[{written}]" and len(sliced) == len(whole[part])
        np.testing.assert_array_equal(sliced.ids, whole[part])


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("eval", "no split is named 'eval'; there are train, validation, test, and slices"),
        ("", "no split is named ''"),
        ("train[5]", r"no split is named 'train\[5\]'"),
        ("train[:5_]", r"no split is named 'train\[:5_\]'"),
        ("train[:1__0]", r"no split is named"),
        ("train[:10%]", r"no split is named 'train\[:10%\]'"),
        ("train[:161]", r"'train\[:161\]' is empty or too long: train has 160 images"),
        ("train[-161:]", "is empty or too long"),
        ("test[9:9]", "is empty or too long"),
    ],
)
def test_a_wrong_split_is_one_clear_line(written, message):
    with pytest.raises(ValueError, match=f"made/grid: .*{message}") as caught:
        data.load(f"made/grid[{written}]")
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="two splits of made/grid"):
        data.load(f"made/grid[{written}]", split="train")


@pytest.mark.parametrize("name", ["made/grid[test]", "made/own[train]", "made/own[test]"])
def test_all_that_a_split_holds_is_its_own(name):
    part = data.load(name)
    whole = part.whole
    assert len(part) == len(part.images) == len(part.latents) == len(part.ids) < len(whole) == 200
    assert part.images.shape == (len(part), *whole.images.shape[1:])
    assert len([*part.images]) == len(part)
    np.testing.assert_array_equal(part.images[:], whole.images[part.ids])
    np.testing.assert_array_equal(part.images[-1], whole.images[part.ids[-1]])
    np.testing.assert_array_equal(part.latents, whole.latents[part.ids])
    assert all(len(values) == len(part) for values in part.extras.values())
    assert part.space == whole.space and part.images.maximum == whole.images.maximum
    # The images hold their ids.
    np.testing.assert_array_equal(part.images[:].ravel(), part.ids)
    tables = {key: tf.constant(values) for key, values in part.images.tables.items()}
    some = tf.constant([0, len(part) - 1])
    np.testing.assert_array_equal(part.images.gather(tables, some), part.images[some.numpy()])


def test_arrays_of_a_consecutive_split_are_not_copied():
    part = data.load("made/own[test]")
    assert np.shares_memory(part.latents, part.whole.latents)
    assert np.shares_memory(part.extras["split"], part.whole.extras["split"])


def test_a_whole_set_is_its_own_whole_and_splits_are_told_apart():
    whole, part = data.load("made/grid"), data.load("made/grid[test]")
    assert whole.whole is whole and whole.ids.tolist() == [*range(200)]
    assert part.whole.whole is part.whole and part.part("x", part.ids).whole is part.whole
    assert len(whole) == 200 and len(part) == 20
    prints = {data.load(f"made/grid{s}").fingerprint for s in ("", "[train]", "[test]")}
    assert len(prints) == 3


def test_some_images_of_a_split():
    part = data.load("made/grid[test]")
    np.testing.assert_array_equal(part.some(500), np.sort(part.ids))
    some = part.some(5, seed=1)
    assert len({*some}) == 5 and {*some} < {*part.ids} and (np.diff(some) > 0).all()


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", ["made/grid[validation]", "made/own[test]", "made/own[train[:9]]"])
def test_samplers_draw_from_the_split_uniformly(name, compiled):
    part = data.load(name)
    sampler = tf.function(sampling.Independent(part, 4000), jit_compile=compiled)
    tables = sampling.tensors(part)
    batch = sampler(tables, tf.constant(0), tf.constant(0))
    index = batch["index"].numpy()
    np.testing.assert_array_equal(np.rint(batch["image"][:, 0, 0, 0] * 255), index)
    np.testing.assert_array_equal(batch["latents"][:, 0], index)
    found, counts = np.unique(index, return_counts=True)
    np.testing.assert_array_equal(found, np.sort(part.ids))
    # Chi-square with n - 1 degrees of freedom: n - 1 +- sqrt(2 (n - 1)).
    degrees, mean = len(found) - 1, 4000 / len(found)
    assert ((counts - mean) ** 2 / mean).sum() < degrees + 5 * np.sqrt(2 * degrees)


def test_the_split_is_no_part_of_the_graph():
    part = data.load("made/grid[train]")
    sampler, tables = sampling.Independent(part, 64), sampling.tensors(part)
    other = {**tables, "dataset/ids": tf.fill([160], 7)}
    assert (sampler(other, 0, 0)["index"].numpy() == 7).all()


@pytest.mark.parametrize(
    "sampler",
    [
        sampling.LaplacePairs,
        sampling.UniformPairs,
        sampling.MatchedPairs,
    ],
)
def test_pairs_start_in_the_split_and_end_anywhere(sampler):
    part = data.load("made/grid[test]")
    batch = sampler(part, 4000)(sampling.tensors(part), 0, 0)
    assert {*batch["index"].numpy()} == {*part.ids}
    # Every image shares a factor with some image of the split.
    assert len({*batch["partner_index"].numpy()}) > 150


@pytest.mark.parametrize("step", [1, -1])
def test_domains_of_a_split(step):
    extras = {"domain": np.repeat([0, 1], 100), "split": LABELS}
    whole = Dataset("two", Family.load("grid", None).images, extras=extras)
    ids = splits.ids("test", {"test": np.r_[90:105, 150:160].astype(np.int32)[::step]})
    part = whole.part("two[test]", ids)
    batch = sampling.Domains(part, 4000)(sampling.tensors(part), 0, 0)
    index, domain = batch["index"].numpy(), batch["domain"].numpy()
    assert {*index} == {*ids}
    np.testing.assert_array_equal(domain, index >= 100)
    # 10 and 15 images, equally often: 4000 / 2 +- sqrt(4000) / 2.
    assert abs(domain.sum() - 2000) < 5 * np.sqrt(4000) / 2


@pytest.mark.parametrize("name", ["made/grid[test]", "made/own[test]"])
@pytest.mark.parametrize("grid", [True, False])
def test_scores_are_computed_on_the_split_alone(name, grid):
    part = data.load(name)
    if not grid:
        part = dataclasses.replace(part.whole, space=None).part(part.name, part.ids)
    seen = []

    def represent(images):
        ids = np.rint(np.asarray(images)[:, 0, 0, 0] * 255).astype(int)
        seen.extend(ids)
        return SPACE.factors(ids).astype(np.float32)

    table = evaluation.evaluate(represent, part, metrics=("mcc", "gaussian_total_correlation"))
    assert table["mcc"]["reason"] is None and {*seen} <= {*part.ids}
    assert len({*seen}) == (len(part) if grid else round(len(part) * 2 / 3))
