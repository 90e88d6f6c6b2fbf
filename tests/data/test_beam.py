"""TFDS files written by Apache Beam are those written without."""

import hashlib
import pathlib
import sys
import warnings

import pytest
import tensorflow_datasets as tfds

from zoo import data

COUNT = 12


@pytest.fixture
def beam():
    """The package, or a skip."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Beam's dependencies
        return pytest.importorskip("apache_beam", reason="apache-beam is not installed")


def built(name, root, **options):
    """A builder that has written a few examples of each split."""
    config = tfds.download.DownloadConfig(max_examples_per_split=COUNT, num_shards=2, **options)
    builder = tfds.builder(name, data_dir=root)
    builder.download_and_prepare(download_config=config)
    return builder


def files(builder):
    """The hashes of all files by name."""
    paths = pathlib.Path(builder.data_dir).iterdir()
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["zoo_balls/l_shape", "zoo_synthetic/domains_2"])
@pytest.mark.parametrize("given", ["runner", "options"])
def test_the_direct_runner_writes_the_same_files(tmp_path, beam, name, given):
    options = {"beam_runner": "DirectRunner"}
    if given == "options":
        flags = ["--runner=DirectRunner"]
        options = {"beam_options": beam.options.pipeline_options.PipelineOptions(flags)}
    plain, parallel = built(name, tmp_path / "a"), built(name, tmp_path / "b", **options)
    assert files(plain) == files(parallel)
    assert parallel.info.dataset_size == plain.info.dataset_size > 0
    splits = parallel.info.splits
    assert {split: info.num_examples for split, info in splits.items()} == dict.fromkeys(
        ("train", "validation", "test"), COUNT
    )
    assert len(list(parallel.as_dataset("test"))) == COUNT


def test_a_runner_without_beam_is_one_clear_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    monkeypatch.delitem(sys.modules, "zoo.data.beam_shards", raising=False)
    monkeypatch.delattr(data, "beam_shards", raising=False)
    with pytest.raises(ValueError, match="install the extra `beam`"):
        built("zoo_balls/traversal_x", tmp_path, beam_runner="DirectRunner")
