"""TFDS files as other projects meet them: two formats in one folder, and builds that go on."""

import concurrent.futures
import hashlib
import json
import pathlib
import threading

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from zoo import files
from zoo.data import shards, unfinished
from zoo.errors import SettingError

NAME = "zoo_balls/traversal_x"
COUNT = 81
# File after file, as a data source has them.
IN_ORDER = tfds.ReadConfig(interleave_cycle_length=1)


def prepared(root, **arguments):
    """A builder that has written its files."""
    builder = tfds.builder(NAME, data_dir=root, **arguments)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=3))
    return builder


def latents(examples):
    return np.array([example["latents"] for example in examples])


def digests(folder):
    paths = pathlib.Path(folder).iterdir()
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.mark.parametrize(
    "name, arguments, said",
    [
        ("zoo_synthetic/shared_pair_5/seed=3", {}, "takes no seed: TFDS files are of seed 0; zoo"),
        ("zoo_dsprites/perturbed", {"epsilon": 0.2}, "takes no epsilon: .*perturbation.perturbed"),
        (NAME, {"network": "x"}, "takes no network; it takes data_dir, config, version, file_form"),
    ],
)
def test_arguments_that_no_builder_takes_are_one_line(tmp_path, name, arguments, said):
    with pytest.raises(SettingError, match=said) as caught:
        tfds.builder(name, data_dir=tmp_path, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("first", ["tfrecord", "array_record"])
def test_one_folder_is_read_in_sequence_and_at_random(tmp_path, first):
    folder = prepared(tmp_path, file_format=first).data_dir
    # As in projects that have the path alone, and each time as in a process of its own.
    for _ in range(2):
        source = tfds.data_source(NAME, data_dir=tmp_path, split="test")
        dataset = tfds.load(NAME, data_dir=tmp_path, split="test", read_config=IN_ORDER)
    assert len(source) == COUNT
    np.testing.assert_array_equal(latents(source), latents(tfds.as_numpy(dataset)))
    builder = tfds.builder(NAME, data_dir=tmp_path)
    np.testing.assert_array_equal(
        builder.as_data_source("test")[80]["image"],
        [*tfds.as_numpy(builder.as_dataset("test", read_config=IN_ORDER))][80]["image"],
    )
    assert builder.as_data_source("test")[2]["image"].shape == (64, 64, 3)
    kinds = {name.split(".")[1][:12] for name in digests(folder) if "-test." in name}
    assert kinds == {"tfrecord-000", "array_record"} and len(digests(folder)) == 10
    info = json.loads((pathlib.Path(folder) / "dataset_info.json").read_text())
    assert {info["fileFormat"], *info["alternativeFileFormats"]} == {"tfrecord", "array_record"}
    assert info["fileFormat"] == first


def test_a_format_that_was_half_written_is_completed(tmp_path):
    builder = prepared(tmp_path)
    source = [*latents(builder.as_data_source("test"))]
    folder = pathlib.Path(builder.data_dir)
    before = digests(folder)
    (folder / "zoo_balls-test.array_record-00001-of-00003").unlink()
    path = folder / "dataset_info.json"
    info = json.loads(path.read_text())
    del info["alternativeFileFormats"]
    path.write_text(json.dumps(info))
    again = tfds.builder(NAME, data_dir=tmp_path).as_data_source("test")
    np.testing.assert_array_equal(latents(again), source)
    after = digests(folder)
    after["dataset_info.json"] = before["dataset_info.json"]
    assert after == before


def test_what_was_not_prepared_or_cannot_be_written_is_one_line(tmp_path, monkeypatch):
    builder = tfds.builder(NAME, data_dir=tmp_path)
    for read in (builder.as_dataset, builder.as_data_source):
        with pytest.raises(SettingError, match=r"is not in .*download_and_prepare") as caught:
            read("test")
        assert "\n" not in str(caught.value)
    builder = prepared(tmp_path)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tfds.core.ExampleWriter, "write", refuse)
    with pytest.raises(SettingError, match=r"Permission denied.*file_format='array_record'"):
        builder.as_data_source("test")
    assert "alternative" not in (pathlib.Path(builder.data_dir) / "dataset_info.json").read_text()
    assert len(list(builder.as_dataset("test"))) == COUNT


@pytest.mark.parametrize(("name", "split"), [(NAME, "test"), ("zoo_dsprites/rendered", "train")])
def test_mock_data_of_tfds_needs_no_files(name, split):
    with tfds.testing.mock_data(num_examples=3):
        dataset = tfds.load(name, split=split)
        assert len(list(tfds.as_numpy(dataset))) == 3
        source = tfds.data_source(name, split=split)
        assert source[2]["image"].shape == dataset.element_spec["image"].shape


def test_a_build_that_was_interrupted_goes_on(tmp_path, monkeypatch, capsys):
    complete = prepared(tmp_path / "at_once")
    write, written = shards.write_shard, []

    def interrupted(file_format, encode, path, *arguments):
        if len(written) == 2:
            pathlib.Path(path).write_text("half")
            raise KeyboardInterrupt
        written.append(path)
        return write(file_format, encode, path, *arguments)

    monkeypatch.setattr(shards, "write_shard", interrupted)
    with pytest.raises(KeyboardInterrupt):
        prepared(tmp_path / "twice")
    (folder,) = (tmp_path / "twice" / NAME).glob("[!.]*")
    assert folder.name.endswith(".partial")
    capsys.readouterr()
    written.clear()
    builder = prepared(tmp_path / "twice")
    assert len(written) == 1 and "81/81" in capsys.readouterr().err
    assert digests(builder.data_dir) == digests(complete.data_dir)
    assert builder.info.dataset_size == complete.info.dataset_size
    assert [path.name for path in folder.parent.iterdir()] == [folder.name.removesuffix(".partial")]


def test_what_another_plan_left_is_thrown_away(tmp_path):
    (target := tmp_path / "temporary").mkdir()
    for plan, reused in (({"a": 1}, []), ({"a": 1}, ["x"]), ({"a": 2}, [])):
        with pytest.raises(KeyError):
            with unfinished.workspace(target, "1.0.0", plan) as workspace:
                assert [*workspace.done] == reused
                folder = pathlib.Path(workspace.folder)
                (folder / "x").write_text("whole")
                workspace.add("x", 5)
                (folder / "y").write_text("ha")
                raise KeyError
    journal = tmp_path / "1.0.0.partial/journal.jsonl"
    journal.write_text(journal.read_text() + '{"file": "y", "by')
    with unfinished.workspace(target, "1.0.0", {"a": 2}) as workspace:
        assert workspace.done == {"x": 5}
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]
    assert (target / "x").read_text() == "whole"


@pytest.mark.parametrize("damage", [b"", b"who", None])
def test_files_that_are_not_as_they_were_noted_are_written_again(tmp_path, monkeypatch, damage):
    sync, synced = files.sync, []
    monkeypatch.setattr(files, "sync", lambda path: synced.append(path) or sync(path))
    (target := tmp_path / "temporary").mkdir()
    with pytest.raises(KeyError):
        with unfinished.workspace(target, "1.0.0", {}) as workspace:
            path = pathlib.Path(workspace.folder) / "x"
            path.write_text("whole")
            workspace.add("x", 3)
            assert synced == [path]
            raise KeyError
    if damage is None:  # A journal of earlier versions, which did not note sizes.
        journal = path.with_name("journal.jsonl")
        journal.write_text('{"plan": {}}\n{"file": "x", "bytes": 3}\n')
    else:
        path.write_bytes(damage)
    with unfinished.workspace(target, "1.0.0", {}) as workspace:
        assert not workspace.done and not path.exists()


def test_of_two_builds_at_once_one_writes_and_the_other_waits(tmp_path, monkeypatch):
    write, written = shards.write_shard, []
    begun, waiting = threading.Event(), threading.Event()

    def slow(file_format, encode, path, *arguments):
        written.append(path)
        begun.set()
        assert waiting.wait(20)
        return write(file_format, encode, path, *arguments)

    monkeypatch.setattr(shards, "write_shard", slow)
    monkeypatch.setattr(unfinished.logging, "warning", lambda *_: waiting.set())
    with concurrent.futures.ThreadPoolExecutor() as pool:
        first = pool.submit(prepared, tmp_path)
        assert begun.wait(60)
        # Made before the files are there; their format is the first one's.
        second = pool.submit(prepared, tmp_path, file_format="array_record")
        first, second = first.result(), second.result()
    assert len(written) == 3
    assert second.info.splits["test"].shard_lengths == first.info.splits["test"].shard_lengths
    assert second.info.file_format.value == "tfrecord"
    assert len(list(second.as_dataset("test"))) == COUNT
    assert len(second.as_data_source("test")) == COUNT
    assert [path.name for path in (tmp_path / NAME).iterdir()] == [str(first.version)]


def test_vectors_and_numbers_are_serialised_as_tfds_does(tmp_path):
    builder = prepared(tmp_path)
    info = builder.info.features
    names = [name for name in info if name != "image"]
    specs = {name: info[name].get_serialized_info() for name in names}
    serializer = tfds.core.example_serializer.ExampleSerializer(specs)
    files = sorted(str(path) for path in pathlib.Path(builder.data_dir).glob("*tfrecord*"))
    records = tf.data.TFRecordDataset(files)
    dataset = tfds.as_numpy(builder.as_dataset("test", read_config=IN_ORDER))
    for record, decoded in zip(records, dataset, strict=True):
        ours = tf.train.Example.FromString(record.numpy()).features.feature
        encoded = {name: info[name].encode_example(decoded[name]) for name in names}
        theirs = serializer.get_tf_example(encoded).features.feature
        for name in names:
            assert ours[name].SerializeToString() == theirs[name].SerializeToString()
