"""What the families on a factor grid share: dSprites and 3D Shapes."""

import importlib
import pathlib
import socket

import numpy as np
import pytest
import requests
import tensorflow as tf
import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import checksums, resource

from zoo import data
from zoo.data import official
from zoo.errors import UserError

ROOT = pathlib.Path(__file__).resolve().parents[2]
FAMILIES = ("zoo_dsprites", "zoo_shapes3d")


def renderer(family):
    """The module that draws a family's images from their factors."""
    return importlib.import_module(f"zoo.data.renderers.{family.removeprefix('zoo_')}")


@pytest.mark.parametrize("family", FAMILIES)
def test_images_by_number(family, grids):
    rendered = data.load(f"{family}/rendered", grids)
    count, shape = len(rendered.space), rendered.images.shape[1:]
    assert len(rendered) == len(rendered.images) == count
    ids = np.r_[0, count - 1, np.random.default_rng(0).integers(0, count, 38)]
    expected = renderer(family).render(rendered.space.factors(ids))
    np.testing.assert_array_equal(rendered.images[ids], expected)
    np.testing.assert_array_equal(rendered.images[int(ids[0])], expected[0])
    pairs = rendered.images[ids.reshape(2, 20)]
    np.testing.assert_array_equal(pairs, expected.reshape(2, 20, *shape))
    np.testing.assert_array_equal(rendered.images[-2:], rendered.images[[count - 2, count - 1]])
    assert isinstance(next(iter(rendered.images.tables.values())), np.memmap)


CONFIGS = [f"{family}/{config}" for family in FAMILIES for config in ("rendered", "noisy")]
CONFIGS += ["zoo_dsprites/color", "zoo_dsprites/noisy_background"]


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("compiled", [False, True])
def test_gather_in_a_graph_gives_the_same_bytes(grids, name, compiled):
    dataset = data.load(name, grids)
    tables = {name: tf.constant(array) for name, array in dataset.images.tables.items()}
    count = len(dataset)
    some = np.random.default_rng(1).integers(0, count, 60)
    ids = np.r_[0, 31, 479, 480, 1023, count - 1, some]
    gather = tf.function(dataset.images.gather, jit_compile=compiled)
    gathered = gather(tables, tf.constant(ids, tf.int32))
    assert gathered.dtype == tf.uint8
    np.testing.assert_array_equal(gathered, dataset.images[ids])


@pytest.mark.parametrize("family", FAMILIES)
def test_official_without_internet_says_what_to_do(tmp_path, monkeypatch, family):
    def refuse(*_, **__):
        raise OSError("no network in tests")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    message = r"(\.h5|\.hdf5) could not be downloaded \(ConnectionError\): use the config"
    for load in (
        lambda: data.load(f"{family}/official", tmp_path),
        tfds.builder(f"{family}/official", data_dir=tmp_path / "tfds").download_and_prepare,
    ):
        with pytest.raises(UserError, match=message) as caught:
            load()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("family", FAMILIES)
def test_zoo_offline_holds_for_official_files(tmp_path, monkeypatch, family):
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    monkeypatch.setattr(requests.Session, "request", lambda *_, **__: pytest.fail("was asked"))
    message = r"could not be downloaded \(ZOO_OFFLINE is set\): use the config `rendered`, or put"
    with pytest.raises(UserError, match=message):
        data.load(f"{family}/official", tmp_path)
    with pytest.raises(UserError, match=message):
        tfds.builder(f"{family}/official", data_dir=tmp_path).download_and_prepare()
    # Nor is a server asked for what TFDS has kept.
    table = ROOT / "data" / family / "checksums.tsv"
    url, registered = next(iter(checksums.load_url_infos(tfds.core.Path(table)).items()))
    kept = tmp_path / "in/downloads/in" / resource.get_dl_fname(url, registered.checksum)
    kept.parent.mkdir(parents=True)
    kept.write_text("kept")
    resource.write_info_file(url, kept, "in", registered.filename, registered)
    assert official.fetched(table, registered.filename, tmp_path / "in") == kept
