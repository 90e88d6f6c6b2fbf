"""CLEVR6: the scenes' rules, rendering with a stand-in for Blender, and the official records."""

import hashlib
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from zoo import cli
from zoo.data import catalog, render_clevr
from zoo.data.renderers import clevr
from zoo.data.zoo_clevr6 import environment, memory, records, rendering, store
from zoo.errors import SettingError, UserError

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Draws no scene, but a picture of its JSON: what depends on the scene alone, by the protocol.
STAND_IN = """
import hashlib, sys
for line in sys.stdin:
    digest = hashlib.sha256(line.encode()).digest()
    sys.stdout.buffer.write((digest * (128 * 128 * 4 // 32)))
    sys.stdout.buffer.flush()
"""
WORKER = [sys.executable, "-c", STAND_IN]


def stood_in(number):
    digest = hashlib.sha256(rendering.message(number)[1].encode()).digest()
    return np.frombuffer(digest * (128 * 128 * 4 // 32), np.uint8).reshape(128, 128, 4)


@pytest.fixture(scope="module")
def scenes():
    return [clevr.sample(1, number) for number in range(300)]


def test_objects_are_apart_and_in_the_frame(scenes):
    for scene in scenes:
        objects = scene.factors.astype(float)
        assert np.abs(objects[:, 4:6]).max() <= 3
        assert clevr.shown(scene.factors, scene.camera).min() >= 89
        # The camera's directions on the floor, by geometry of their own.
        towards = -scene.camera[:2] / np.hypot(*scene.camera[:2])
        sideways = np.array([-towards[1], towards[0]])
        for i, one in enumerate(objects):
            for other in objects[:i]:
                offset = one[4:6] - other[4:6]
                radii = [0.35, 0.7][int(one[3])] + [0.35, 0.7][int(other[3])]
                assert np.hypot(*offset) >= radii + 0.25 - 1e-5
                assert abs(offset @ towards) >= 0.4 - 1e-5
                assert abs(offset @ sideways) >= 0.4 - 1e-5


def test_scenes_cover_every_value(scenes):
    assert sorted({len(scene.factors) for scene in scenes}) == [2, 3, 4, 5, 6]
    objects = np.concatenate([scene.factors for scene in scenes])
    for column, values in enumerate((clevr.SHAPES, clevr.MATERIALS, clevr.COLOURS, clevr.SIZES)):
        share = np.bincount(objects[:, column].astype(int), minlength=len(values)) / len(objects)
        assert len(share) == len(values)
        # Small objects are hidden more often, so that large ones remain.
        np.testing.assert_allclose(share, 1 / len(values), atol=0.15 if column == 3 else 0.08)
    assert 0 <= objects[:, 6].min() < 20 and 340 < objects[:, 6].max() < 360
    cameras = np.array([scene.camera for scene in scenes]) - [7.48113, -6.50764, 5.34367]
    assert 0.45 < np.abs(cameras).max() <= 0.5


def test_a_scene_depends_on_its_number_alone(scenes):
    again = clevr.sample(1, 37)
    np.testing.assert_array_equal(again.factors, scenes[37].factors)
    np.testing.assert_array_equal(again.lamps, scenes[37].lamps)
    assert not np.array_equal(clevr.sample(2, 37).camera, again.camera)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0, -1), "numbered from 0"), ((0, 0, (3, 2)), "least <= most"), ((0, 0, (2, 7)), "<= 6")],
)
def test_bad_ranges_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        clevr.sample(*arguments)


def test_a_sphere_covers_the_pixels_of_its_disc():
    camera = np.array([8.0, -6.0, 5.0])
    sphere = np.array([[1, 0, 0, 1, 0, 0, 0]], np.float32)  # large, its centre 0.7 above the origin
    distance = np.linalg.norm(camera - [0, 0, 0.7])
    slope = 0.7 / np.sqrt(distance**2 - 0.7**2)
    pixels = np.pi * (slope / (2 * clevr.HALF_WIDTH) * 128) ** 2
    assert clevr.shown(sphere, camera)[0] == pytest.approx(pixels, rel=0.03)


def test_hidden_objects_show_nothing():
    camera = np.array([8.0, -6.0, 5.0])
    front = np.array([1, 0, 0, 1, 2.4, -1.8, 0])
    hidden = np.array([1, 0, 0, 0, 0.9, -0.7, 0])
    outside = np.array([1, 0, 0, 1, 3, 60, 0])
    shown = clevr.shown(np.stack([hidden, front, outside]).astype(np.float32), camera)
    assert shown[1] > 500 and shown[2] == 0
    assert shown[0] < clevr.shown(hidden[None].astype(np.float32), camera)[0] / 4


def test_cubes_fit_into_the_radius_of_their_size():
    factors = np.zeros((3, 7), np.float32)
    factors[:, 0], factors[:, 3] = [0, 1, 2], 1
    np.testing.assert_allclose(clevr.heights(factors), [0.7 / np.sqrt(2), 0.7, 0.7])


def test_the_message_says_what_the_factors_say():
    scene, line = rendering.message(4)
    assert line.endswith("\n") and line.count("\n") == 1
    record = json.loads(line)
    for described, factors in zip(record["objects"], scene.factors, strict=True):
        assert described["shape"] == clevr.SHAPES[int(factors[0])]
        assert described["metal"] == (factors[1] == 1)
        assert described["rgb"] == list(clevr.RGB[int(factors[2])])
        assert described["centre"][:2] == pytest.approx(factors[4:6])
        assert described["centre"][2] == described["size"]  # it stands on the floor


def test_workers_write_the_images_of_their_numbers(tmp_path):
    folder = rendering.render(tmp_path, 12, WORKER, workers=2)
    arrays = rendering.read(folder)
    for number in range(12):
        frame, scene = stood_in(number), clevr.sample(rendering.SEED, number)
        np.testing.assert_array_equal(arrays["images"][number], frame[..., :3])
        np.testing.assert_array_equal(arrays["masks"][number], frame[..., 3])
        count = arrays["count"][number]
        np.testing.assert_array_equal(arrays["factors"][number, :count], scene.factors)
        assert not arrays["factors"][number, count:].any()
    assert sorted(path.name for path in tmp_path.iterdir()) == [folder.name, "rendered.lock"]


def test_an_interrupted_run_goes_on_and_a_set_grows(tmp_path):
    failing = STAND_IN.replace("    digest =", "    sys.exit()\n    digest =")
    frames = tmp_path / f"rendered-{rendering.VERSION}.frames"
    frames.mkdir()
    np.save(frames / "000003.npy", np.full((128, 128, 4), 42, np.uint8))
    with pytest.raises(OSError, match=r"^rendering image \d stopped: it was killed; run again"):
        rendering.render(tmp_path, 10, [sys.executable, "-c", failing], workers=1)
    assert rendering.latest(tmp_path) is None
    first = rendering.render(tmp_path, 10, WORKER, workers=1)
    assert (rendering.read(first)["images"][3] == 42).all()  # what was there was not drawn again
    second = rendering.render(tmp_path, 13, WORKER, workers=1)
    arrays = rendering.read(second)
    assert (arrays["images"][3] == 42).all() and not first.exists()
    np.testing.assert_array_equal(arrays["images"][12], stood_in(12)[..., :3])
    # As a process leaves it that is killed when the set is there.
    frames.mkdir()
    np.save(frames / "000012.npy", np.zeros((128, 128, 4), np.uint8))
    assert rendering.render(tmp_path, 10, ["no-such-program"]) == second and not frames.exists()


@pytest.mark.parametrize("name", ["count.npy", "images.npy"])
def test_a_damaged_set_is_refused_before_anything_is_drawn(tmp_path, name):
    folder = rendering.render(tmp_path, 10, WORKER, workers=1)
    (folder / name).write_bytes(b"")
    advice = f"{name} is not what was made: delete the folder {folder}, and run `python -m zoo.data"
    for count in (10, 12):
        with pytest.raises(SettingError, match=rf"{advice}.render_clevr --count 10`, or restore"):
            rendering.render(tmp_path, count, ["no-such-program"])
    with pytest.raises(SettingError, match=advice):
        memory.load("rendered", tmp_path)


def test_a_failing_worker_is_reported_in_one_line(tmp_path):
    worker = [sys.executable, "-c", "raise ValueError('no such light')"]
    with pytest.raises(OSError, match=r"stopped: ValueError: no such light; run again") as error:
        rendering.render(tmp_path, 10, worker)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="want at least 10 images and 1 worker"):
        rendering.render(tmp_path, 0, worker)


def test_too_small_a_disk_is_reported(tmp_path, monkeypatch):
    usage = store.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(store.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UserError, match=r"0\.\d\d GB are needed and 0\.00 GB are free"):
        rendering.render(tmp_path, 10, WORKER)


def test_load_gives_images_masks_and_factors(tmp_path):
    family = tmp_path / "zoo_clevr6"
    family.mkdir()
    rendering.render(family, 20, WORKER, workers=1)
    dataset = catalog.load("zoo_clevr6", tmp_path)
    assert dataset.name == "zoo_clevr6/rendered" and dataset.images.shape == (20, 128, 128, 3)
    np.testing.assert_array_equal(np.bincount(dataset.extras["split"]), [16, 2, 2])
    test = catalog.load("zoo_clevr6[test]", tmp_path)
    assert test.ids.tolist() == [18, 19]
    assert set(test.extras) == {"masks", "factors", "count", "split"}
    np.testing.assert_array_equal(test.images[1], stood_in(19)[..., :3])
    np.testing.assert_array_equal(test.extras["masks"][1], stood_in(19)[..., 3])


def test_all_of_the_paper_s_number_has_the_paper_s_splits(tmp_path):
    (tmp_path / f"rendered-{rendering.VERSION}-53483").mkdir()
    (tmp_path / f"rendered-{rendering.VERSION}-500").mkdir()
    folder = rendering.latest(tmp_path)
    assert memory._sizes("rendered", folder) == memory.OFFICIAL_SIZES
    assert memory.OFFICIAL_SIZES == {"train": 49_483, "validation": 2_000, "test": 2_000}


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(
        ValueError, match=r"run `python -m zoo.data.render_clevr --setup`, then"
    ) as e:
        memory.load("rendered", tmp_path)
    assert "\n" not in str(e.value)
    with pytest.raises(ValueError, match=r"needs .*/clevr_with_masks_train.tfrecords: get it from"):
        memory.load("official", tmp_path)


def test_missing_libraries_are_named_with_their_packages():
    error = "Traceback:\nImportError: libSM.so.6: cannot open shared object file: No such file"
    line = environment._missing(error)
    assert line.startswith("Blender needs the library libSM.so.6, which is missing: install the")
    assert "Debian package libsm6" in line and "libgl1" in line and "\n" not in line
    assert environment._missing("Boom: bad") == "Blender does not start: Boom: bad"


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_setup_names_the_missing_interpreter_and_wheel(tmp_path, monkeypatch, capsys, fails):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    other = script(tmp_path / "python3", "echo 3.9")
    monkeypatch.setattr(environment.sys, "executable", other)
    monkeypatch.setattr(environment.shutil, "which", lambda name: other)
    monkeypatch.setattr(environment, "PYTHON", "3.0")
    with pytest.raises(SystemExit) as stopped:
        cli.run(render_clevr.main, ["--setup"])
    error = capsys.readouterr().err
    assert stopped.value.code == 2
    assert "needs Python 3.0 with venv" in error and error.count("\n") == 1
    # An interpreter whose environments have a pip that finds nothing.
    pip = 'echo "ERROR: No matching distribution found for bpy" >&2; exit 1'
    make = f"mkdir -p $4/bin; printf '#!/bin/sh\\n{pip}\\n' > $4/bin/python; chmod +x $4/bin/python"
    error = fails(render_clevr.main, "--setup", "--python", script(tmp_path / "maker", make))
    assert "pip could not install the wheel of bpy==5.0.1" in error
    assert error.endswith("ERROR: No matching distribution found for bpy")
    error = fails(render_clevr.main, "--count", "20")
    assert "run `python -m zoo.data.render_clevr --setup`" in error


def test_setup_after_a_missing_library_installs_nothing_again(tmp_path, monkeypatch, fails, capsys):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    log, library = tmp_path / "log", tmp_path / "library"
    inner = (
        f'if [ "$1" = "-m" ]; then echo pip >> {log}; exit 0; fi; test -e {library} && exit 0; '
        'echo "ImportError: libSM.so.6: cannot open shared object file" >&2; exit 1'
    )
    python = script(tmp_path / "inner", inner)
    maker = script(tmp_path / "maker", f"mkdir -p $4/bin; cp {python} $4/bin/python")
    for _ in range(2):
        error = fails(render_clevr.main, "--setup", "--python", maker)
        assert "needs the library libSM.so.6" in error
        assert "run `python -m zoo.data.render_clevr --setup`" in fails(render_clevr.main)
    library.touch()
    render_clevr.main(["--setup", "--python", maker])
    assert "Blender is ready: " in capsys.readouterr().out
    assert log.read_text() == "pip\n"


def example(objects, seed):
    """An image in the official format, with the arrays it was made of."""
    import tensorflow as tf

    generator = np.random.default_rng(seed)
    owner = generator.integers(0, objects + 1, (12, 16)).repeat(20, 0).repeat(20, 1)
    arrays = {
        "image": generator.integers(0, 256, (240, 320, 3), np.uint8),
        "mask": 255 * (owner == np.arange(11)[:, None, None]).astype(np.uint8)[..., None],
        "visibility": (np.arange(11) <= objects).astype(np.float32),
    }
    there = arrays["visibility"] * (np.arange(11) > 0)
    for name, high in (("shape", 4), ("material", 3), ("color", 9), ("size", 3)):
        arrays[name] = (generator.integers(1, high, 11) * there).astype(np.uint8)
    for name in ("x", "y", "z", "rotation"):
        arrays[name] = (generator.uniform(-3, 3, 11) * there).astype(np.float32)
    arrays["pixel_coords"] = generator.uniform(0, 320, (11, 3)).astype(np.float32)
    singles = [bytes([value]) for value in range(256)]

    def feature(array):
        if array.dtype == np.uint8:
            values = [singles[value] for value in array.ravel().tolist()]
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        return tf.train.Feature(float_list=tf.train.FloatList(value=array.ravel()))

    features = {name: feature(array) for name, array in arrays.items()}
    record = tf.train.Example(features=tf.train.Features(feature=features))
    return record.SerializeToString(), arrays


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """A file of five scenes, of which the second has too many objects."""
    import tensorflow as tf

    path = tmp_path_factory.mktemp("official") / memory.OFFICIAL_FILE
    examples = [example(objects, seed) for seed, objects in enumerate((3, 7, 6, 2, 4))]
    with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions("GZIP")) as writer:
        for record, _ in examples:
            writer.write(record)
    return path, [arrays for _, arrays in examples]


def test_official_scenes_are_cropped_and_brought_down(official):
    import tensorflow as tf

    path, examples = official
    scenes = list(records.read(path))
    kept = [examples[i] for i in (0, 2, 3, 4)]
    for (image, mask, factors, count), arrays in zip(scenes, kept, strict=True):
        crop = arrays["image"][29:221, 64:256]
        expected = np.floor(tf.image.resize(crop, [128, 128]).numpy() + 0.5)
        np.testing.assert_array_equal(image, expected)
        labels = arrays["mask"].argmax(0)[29:221, 64:256]
        nearest = tf.image.resize(labels, [128, 128], "nearest").numpy()[..., 0]
        np.testing.assert_array_equal(mask, nearest)
        assert count == arrays["visibility"].sum() - 1
        for column, name in enumerate(("shape", "material", "color", "size", "x", "y", "rotation")):
            np.testing.assert_array_equal(factors[:count, column], arrays[name][1 : count + 1])
        assert not factors[count:].any()


def test_official_loads_once_and_in_splits(official, tmp_path, monkeypatch):
    path, _ = official
    monkeypatch.setattr(memory, "OFFICIAL_SIZES", {"train": 2, "validation": 1, "test": 1})
    (tmp_path / memory.OFFICIAL_FILE).symlink_to(path)
    whole = memory.load("official", tmp_path)
    (tmp_path / memory.OFFICIAL_FILE).unlink()  # read once, then from the folder
    again = memory.load("official", tmp_path)
    assert whole.images.shape == (4, 128, 128, 3)
    assert whole.extras["split"].tolist() == [0, 0, 1, 2]
    np.testing.assert_array_equal(again.images[2], whole.images[2])
    np.testing.assert_array_equal(whole.extras["count"], [3, 6, 2, 4])
    (tmp_path / f"official-{memory.VERSION}/masks.npy").write_bytes(b"")
    with pytest.raises(SettingError, match=f"it is made again of {memory.OFFICIAL_FILE}, or rest"):
        memory.load("official", tmp_path)


def cut(data):
    return data[: len(data) // 2]


def altered(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]


@pytest.mark.parametrize("damage", [cut, altered, lambda data: b"no records at all"])
def test_damaged_files_are_refused(official, tmp_path, damage):
    (tmp_path / memory.OFFICIAL_FILE).write_bytes(damage(official[0].read_bytes()))
    with pytest.raises(ValueError, match=r"is damaged or no file of CLEVR with masks: .*") as error:
        memory.load("official", tmp_path)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_too_few_scenes_are_refused(official, tmp_path):
    (tmp_path / memory.OFFICIAL_FILE).symlink_to(official[0])
    with pytest.raises(ValueError, match="wants 53483 scenes, and there are 4"):
        memory.load("official", tmp_path)


def test_another_process_samples_the_same_scenes():
    code = "from zoo.data.zoo_clevr6 import rendering; print(rendering.message(1234)[1], end='')"
    theirs = subprocess.check_output([sys.executable, "-c", code], text=True, cwd=ROOT)
    assert theirs == rendering.message(1234)[1]


def test_blender_draws_what_the_scene_says():
    python = os.environ.get("ZOO_BLENDER_PYTHON")
    if not python:
        pytest.skip(
            "ZOO_BLENDER_PYTHON names no interpreter with bpy: zoo.data.render_clevr --setup"
        )
    with rendering._Worker(rendering.command(python)) as worker:
        frames = [worker.draw(number) for number in (3, 5, 3)]
    np.testing.assert_array_equal(frames[0], frames[2])  # another scene in between leaves nothing
    for number, frame in zip((3, 5), frames, strict=False):
        scene = clevr.sample(rendering.SEED, number)
        pixels = np.bincount(frame[..., 3].ravel(), minlength=len(scene.factors) + 1)[1:]
        assert len(pixels) == len(scene.factors)
        shown = clevr.shown(scene.factors, scene.camera)
        spheres = scene.factors[:, 0] == 1
        assert (pixels > shown / 2).all()
        np.testing.assert_allclose(pixels[spheres], shown[spheres], rtol=0.25)
