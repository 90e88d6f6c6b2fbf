"""Croissant metadata: every builder has some, of its features, valid by MLCommons' own library."""

import json
import pathlib
import subprocess
import sys

import pytest
import tensorflow_datasets as tfds

from zoo.data import catalog, croissant

FAMILIES = [f for f, module in catalog.FAMILIES.items() if module.startswith("zoo.data.")]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_builder_describes_its_features_and_splits(family, tmp_path):
    builder = tfds.builder(family, data_dir=tmp_path)
    found = json.loads(json.dumps(croissant.metadata(builder)))
    assert found["name"] == f"{family}_{builder.builder_config.name}"
    assert found["license"].startswith("https://") and found["citeAs"].startswith("@")
    assert builder.builder_config.description in found["description"]
    assert {r["name"] for r in found["recordSet"]} == {*builder.info.splits}
    for record in found["recordSet"]:
        columns = [field["source"]["extract"]["column"] for field in record["field"]]
        assert columns == [*builder.info.features]
    assert not [*tmp_path.iterdir()]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", FAMILIES)
def test_mlcroissant_accepts_it(family, tmp_path):
    library = pytest.importorskip("mlcroissant", reason="mlcroissant is not installed")
    builder = tfds.builder(family, data_dir=tmp_path)
    read = library.Dataset(jsonld=croissant.metadata(builder)).metadata
    assert not read.ctx.issues.errors
    assert [record.name for record in read.record_sets] == [*builder.info.splits]
    assert read.version == str(builder.version)


def test_a_build_writes_it_for_the_files_that_there_are(tmp_path):
    builder = tfds.builder("zoo_balls/traversal_y", data_dir=tmp_path)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(num_shards=2))
    folder = pathlib.Path(builder.data_dir)
    found = json.loads((folder / croissant.FILE).read_text())
    assert found == json.loads(json.dumps(croissant.metadata(builder)))
    (files,) = found["distribution"]
    assert len([*folder.glob(files["includes"])]) == 2
    image, latents, positions = found["recordSet"][0]["field"]
    assert image["dataType"] == "sc:ImageObject" and image["description"].endswith(
        "64 x 64 x 3 uint8"
    )
    assert latents["dataType"] == "sc:Float" and latents["repeated"] and positions["repeated"]


def test_the_command_prints_it():
    answer = subprocess.run(
        [sys.executable, "-m", "zoo.data.croissant", "zoo_balls/traversal_y"],
        cwd=pathlib.Path(catalog.__file__).resolve().parents[1],
        capture_output=True,
        text=True,
    )
    assert json.loads(answer.stdout)["name"] == "zoo_balls_traversal_y", answer.stderr
