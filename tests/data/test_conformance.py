"""Every family of the catalog keeps the same contract: one small config of each is walked."""

import csv
import dataclasses
import hashlib
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from zoo import data
from zoo.data import catalog, preview, sampling, shards, splits
from zoo.data.zoo_clevr6 import memory as zoo_clevr6
from zoo.data.zoo_clevr6 import store
from zoo.data.zoo_sprites import memory as zoo_sprites

ROOT = pathlib.Path(data.__file__).resolve().parents[1]
# The config of each family that takes the least time to make.
SMALL = {
    "zoo_dsprites": "rendered",
    "zoo_shapes3d": "rendered",
    "zoo_sprites": "small",
    "zoo_clevr6": "rendered",
    "zoo_balls": "l_shape",
    "zoo_sprite_pairs": "apart",
    "zoo_synthetic": "linear",
    "zoo_domains": "dsprites_two",
}
NAMES = [f"{family}/{config}" for family, config in SMALL.items()]
SIZES = {"train": 12, "validation": 4, "test": 4}


def scenes(count):
    """Stand-ins for rendered scenes."""
    rng = np.random.default_rng(0)
    for number in range(count):
        image = rng.integers(0, 256, (128, 128, 3), np.uint8)
        yield image, image[..., 0] % 7, rng.random((6, 7), np.float32), 2 + number % 5


@pytest.fixture(scope="module", autouse=True)
def cached(tmp_path_factory, grids):
    """A cache in which all families are small or made."""
    patch = pytest.MonkeyPatch()
    folder = tmp_path_factory.mktemp("conformance")
    patch.setenv("ZOO_CACHE", str(folder))
    (folder / "data").mkdir()
    for family in grids.iterdir():
        (folder / "data" / family.name).symlink_to(family)
    small = dataclasses.replace(zoo_sprites.SETS["small"], sizes=SIZES)
    patch.setitem(zoo_sprites.SETS, "small", small)
    rendered = folder / f"data/zoo_clevr6/rendered-{zoo_clevr6.VERSION}-20"
    store.write(rendered, scenes(20), 20)
    yield folder
    patch.undo()


@pytest.fixture(params=NAMES)
def dataset(request):
    """The whole data set of each family."""
    return data.load(request.param)


def test_the_table_has_every_family():
    assert {*SMALL} == {
        f for f, module in catalog.FAMILIES.items() if module.startswith("zoo.data.")
    }


def test_the_images_are_as_they_say(dataset):
    images = dataset.images
    some = images[np.array([0, len(images) - 1])]
    assert some.shape == (2, *images.shape[1:]) and some.dtype == images.dtype
    assert images.dtype in (np.uint8, np.float32) and len(images) == images.shape[0]
    assert all(isinstance(table, np.ndarray) for table in images.tables.values())
    for values in (*dataset.extras.values(), dataset.latents):
        assert values is None or len(values) == len(images)
    assert dataset.space is None or len(dataset.space) == len(images)


def test_gather_in_a_graph_gives_the_bytes_of_numpy(dataset):
    ids = np.r_[0, len(dataset) - 1, dataset.some(30, seed=1)].astype(np.int32)
    tables = {name: tf.constant(array) for name, array in dataset.images.tables.items()}
    gathered = tf.function(dataset.images.gather)(tables, tf.constant(ids))
    np.testing.assert_array_equal(gathered, dataset.images[ids])


def test_another_process_reads_the_same_bytes(cached):
    # That tables are drawn alike is tested with every family's renderer.
    names = [name for name in NAMES if not name.startswith("zoo_sprites")]
    code = f"""
import hashlib, zoo
for name in {names}:
    dataset = zoo.data.load(name)
    print(hashlib.sha256(dataset.images[dataset.some(40)].tobytes()).hexdigest())
"""
    environment = {"ZOO_CACHE": str(cached), "PYTHONPATH": str(ROOT)}
    theirs = subprocess.check_output([sys.executable, "-c", code], text=True, env=environment)
    sets = [data.load(name) for name in names]
    ours = [hashlib.sha256(d.images[d.some(40)].tobytes()).hexdigest() for d in sets]
    assert theirs.split() == ours


@pytest.mark.parametrize("name", NAMES)
def test_splits_are_disjoint_and_complete(name):
    whole = data.load(name)
    parts = [data.load(f"{name}[{split}]") for split in catalog.members(whole)]
    ids = np.concatenate([part.ids for part in parts])
    np.testing.assert_array_equal(np.sort(ids), np.arange(len(whole)))
    assert {*catalog.members(whole)} <= {*splits.NAMES} and len(parts) > 1
    batch = sampling.Independent(parts[-1], 50)(sampling.tensors(parts[-1]), 0, 0)
    assert {*batch["index"].numpy()} <= {*parts[-1].ids}


def test_the_contact_sheet_shows_something(dataset):
    picture = np.asarray(preview.sheet(preview.rows(dataset)))
    assert picture.shape[0] > 100 and picture.std() > 10


@pytest.mark.parametrize("name", NAMES)
def test_sizes_are_known_before_anything_is_written(name, tmp_path):
    whole, builder = data.load(name), tfds.builder(name, data_dir=tmp_path)
    members = catalog.members(whole) if "split" in whole.extras else {"train": whole.ids}
    if name == "zoo_clevr6/rendered":
        members = {}  # as many as the user rendered
    sizes = {split: info.num_examples for split, info in builder.info.splits.items()}
    assert sizes == {split: len(ids) for split, ids in members.items()}
    if members and name != "zoo_sprites/small":
        some = shards.order_of(whole)[-400:]
        mean = np.mean([len(example) for example in shards.Serialiser(builder, whole)(some)])
        assert builder.info.dataset_size == pytest.approx(mean * len(whole), rel=0.05)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("name", NAMES)
def test_a_few_examples_are_built_and_read_back(name, tmp_path):
    whole = data.load(name)
    members = catalog.members(whole) if "split" in whole.extras else {"train": np.arange(20)}
    config = tfds.download.DownloadConfig(max_examples_per_split=3)
    builder = tfds.builder(name, data_dir=tmp_path)
    builder.download_and_prepare(download_config=config)
    builder = tfds.builder_from_directory(builder.data_dir)
    key = "observation" if whole.images.dtype == np.float32 else "image"
    image, target = next(iter(builder.as_dataset([*members][0], as_supervised=True)))
    assert image.shape == whole.images.shape[1:] and len(tf.nest.flatten(target)) > 0
    if whole.space is not None and whole.space.is_grid:
        assert {*target} >= {*whole.space.names} or "factors" in target
    for split, info in builder.info.splits.items():
        assert info.num_examples == min(3, len(members[split]))
        for example in tfds.as_numpy(builder.as_dataset(split)):
            assert example[key].shape == whole.images.shape[1:]
            assert example[key].dtype == whole.images.dtype


@pytest.mark.parametrize("family", SMALL)
def test_the_folder_is_complete(family):
    folder = ROOT / "data" / family
    readme = (folder / "README.md").read_text()
    assert family in readme and "icen" in readme, "what it is, and its licence"
    assert "Beam" not in readme or "extra `beam`" in readme
    assert (folder / "CITATIONS.bib").read_text().lstrip().startswith("@")
    assert (folder / "TAGS.txt").read_text().strip()
    rows = csv.reader((folder / "checksums.tsv").read_text().splitlines(), delimiter="\t")
    assert all(len(row) == 4 and len(row[2]) == 64 for row in rows)
    assert (folder / f"{family}_dataset_builder_test.py").exists()


def test_the_bytes_of_all_images_that_are_made_here_are_known_before_a_build():
    known = json.loads((ROOT / "zoo/data/example_bytes.json").read_text())
    # Vectors are all alike; these two are of files, as are CLEVR6's scenes.
    families = SMALL.keys() - {"zoo_synthetic", "zoo_clevr6"}
    made = {name for name in data.names() if name.partition("/")[0] in families}
    assert known.keys() == made - {"zoo_domains/celeb_a_two", "zoo_domains/two_colour_mnist"}
