"""Checkpoints are found by listing, complete or not there, and never passed over in silence."""

import json
import pathlib
import resource

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo import train as command
from zoo.errors import SettingError, UserError
from zoo.models.base import Model
from zoo.training import checkpoints as module
from zoo.training.checkpoints import Checkpoints, remove_unfinished


class _Counter(Model):
    """A model of one number."""

    def __init__(self):
        super().__init__()
        self.count = self.add_weight(shape=(), initializer="zeros", name="count")
        self.built = True


class _Means(keras.layers.Layer):
    """Variables that no optimiser trains."""

    def __init__(self, how: str):
        super().__init__()
        if how == "attribute":
            self.mean = self.add_weight(trainable=False, name="mean")
        else:
            self.means = [self.add_weight(trainable=False, name=f"mean_{k}") for k in range(2)]


def _made(folder: pathlib.Path, keep: int = 3) -> tuple[_Counter, Checkpoints]:
    model = _Counter()
    model.bind(keras.optimizers.SGD())
    return model, Checkpoints(folder, model, keep)


def _saved(folder: pathlib.Path, *steps: int) -> None:
    model, checkpoints = _made(folder)
    for step in steps:
        model.count.assign(step)
        checkpoints.save(step)


def _restored(folder: pathlib.Path) -> tuple[int, float]:
    model, checkpoints = _made(folder)
    return checkpoints.restore(), float(model.count)


@pytest.mark.parametrize("how", ["attribute", "list"])
def test_a_variable_that_no_checkpoint_would_hold_is_refused(tmp_path, how):
    model = _Counter()
    model.means = _Means(how)
    model.bind(keras.optimizers.SGD())
    if how == "attribute":
        Checkpoints(tmp_path, model)
        return
    with pytest.raises(SettingError, match="mean_0 and 1 more of _Counter: .* an attribute"):
        Checkpoints(tmp_path, model)


class _Noisy(_Counter):
    """Draws from a generator of Keras, within a layer in a list, as stacks of layers are kept."""

    def __init__(self):
        super().__init__()
        self.layers_of_dropout = [keras.layers.Dropout(0.5), keras.layers.Dropout(0.5)]

    def draw(self) -> np.ndarray:
        drops = [drop(tf.ones([32]), training=True) for drop in self.layers_of_dropout]
        return np.stack([drop.numpy() for drop in drops])


def test_dropout_goes_on_where_it_stopped(tmp_path):
    models = [_Noisy(), _Noisy()]
    for model in models:
        model.bind(keras.optimizers.SGD())
    models[0].draw()
    Checkpoints(tmp_path, models[0]).save(1)
    expected = models[0].draw()
    assert Checkpoints(tmp_path, models[1]).restore() == 1
    np.testing.assert_array_equal(models[1].draw(), expected)


def test_what_was_written_without_random_states_is_read(tmp_path):
    _saved(tmp_path, 10)
    model = _Noisy()
    model.bind(keras.optimizers.SGD())
    assert Checkpoints(tmp_path, model).restore() == 10
    assert float(model.count) == 10


@pytest.mark.parametrize("text", [None, "", 'model_checkpoint_path: "ckpt-99"\n', "\xff\x00"])
def test_checkpoints_are_found_whatever_tensorflows_list_says(tmp_path, text):
    _saved(tmp_path, 10, 20)
    (tmp_path / "checkpoint").unlink()
    if text is not None:
        (tmp_path / "checkpoint").write_text(text)
    assert _restored(tmp_path) == (20, 20)


def test_what_tensorflows_own_manager_wrote_is_read(tmp_path):
    model, _ = _made(tmp_path)
    model.count.assign(7)
    step = tf.Variable(30, dtype=tf.int64)
    parts = tf.train.Checkpoint(model=model, optimizers=list(model.optimizers), step=step)
    tf.train.CheckpointManager(parts, str(tmp_path), max_to_keep=3).save(checkpoint_number=30)
    assert _restored(tmp_path) == (30, 7)


@pytest.mark.parametrize("name", ["beta [4] \u00fc", "a\\b"])
def test_a_folders_name_is_no_pattern(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path / name, pathlib.Path(name, "relative")):
        _saved(folder, 10, 20)
        assert _restored(folder) == (20, 20)


def test_tensorflows_tools_find_the_newest_and_the_three_newest_are_kept(tmp_path):
    _saved(tmp_path, 5, 90, 100, 1000)
    assert tf.train.latest_checkpoint(tmp_path) == str(tmp_path / "ckpt-1000")
    assert {p.name.partition(".")[0] for p in tmp_path.glob("ckpt*")} == {
        *("ckpt-90", "ckpt-100", "ckpt-1000")
    }
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_what_is_saved_is_kept_beside_those_of_later_steps(tmp_path):
    _saved(tmp_path, 10, 30, 40, 20)
    assert module._steps(tmp_path) == [20, 30, 40]


def test_what_is_pending_comes_back_to_the_bit(tmp_path):
    totals = np.random.default_rng(0).normal(size=5).astype(np.float32)
    _made(tmp_path)[1].save(3, {"begun": 2, "totals": {"loss": totals.tolist()}})
    _, checkpoints = _made(tmp_path)
    assert checkpoints.restore() == 3
    assert checkpoints.pending["begun"] == 2
    assert (np.float32(checkpoints.pending["totals"]["loss"]) == totals).all()
    _made(tmp_path)[1].save(4)
    checkpoints.restore()
    assert checkpoints.pending == {}


@pytest.mark.parametrize("moment", ["write", "sync", "index", "data"])
def test_killed_while_saving_the_one_before_is_intact_and_the_rest_is_removed(
    tmp_path, monkeypatch, moment
):
    """A kill leaves the files as they are at that moment: cleaning up is left out here."""
    _saved(tmp_path, 10)

    class Killed(BaseException):
        pass

    def killed(*_):
        raise Killed

    replace, moved = pathlib.Path.replace, []

    def move(self, target):
        moved.append(self.name)
        if self.name.endswith(".index") or moment == "data":
            killed()
        return replace(self, target)

    monkeypatch.setattr(module.files, "remove", lambda path: None)
    if moment == "write":
        monkeypatch.setattr(tf.train.Checkpoint, "write", killed)
    elif moment == "sync":
        monkeypatch.setattr(module.files, "sync_tree", killed)
    else:
        monkeypatch.setattr(pathlib.Path, "replace", move)
    with pytest.raises(Killed):
        _saved(tmp_path, 20)
    monkeypatch.undo()
    assert (tmp_path / ".ckpt-20").is_dir()
    if moment == "index":
        assert (tmp_path / "ckpt-20.data-00000-of-00001").exists()
    remove_unfinished(tmp_path)
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {"checkpoint", "ckpt-10.index", "ckpt-10.data-00000-of-00001"}
    assert _restored(tmp_path) == (10, 10)


def test_what_a_kill_left_of_the_list_is_removed(tmp_path):
    _saved(tmp_path / "best", 10)
    for folder in (tmp_path, tmp_path / "best"):
        (folder / ".checkpoint.zoo-tmp.njmg1dmy").write_text('model_checkpoint_path: "ckp')
    remove_unfinished(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["best"]
    names = {p.name.partition(".")[0] for p in (tmp_path / "best").iterdir()}
    assert names == {"checkpoint", "ckpt-10"}


def test_leftovers_of_tensorflows_manager_are_removed(tmp_path):
    _saved(tmp_path / "best", 10)
    for name in ("checkpoint.tmp0123abcd", "ckpt-20_temp/part-00000-of-00001.index"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"half")
    (tmp_path / "best" / "ckpt-10_temp").mkdir()
    remove_unfinished(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["best"]
    assert _restored(tmp_path / "best") == (10, 10)


@pytest.mark.parametrize("damage", ["no index", "no data", "empty index", "cut data"])
def test_no_start_at_zero_beside_unreadable_checkpoints(tmp_path, capsys, damage):
    _saved(tmp_path, 10)
    index, data = tmp_path / "ckpt-10.index", tmp_path / "ckpt-10.data-00000-of-00001"
    if damage.startswith("no"):
        (index if damage == "no index" else data).unlink()
    elif damage == "empty index":
        index.write_bytes(b"")
    else:
        data.write_bytes(data.read_bytes()[:10])
    before = sorted(tmp_path.iterdir())
    with pytest.raises(UserError, match="--start_over"):
        _restored(tmp_path)
    assert sorted(tmp_path.iterdir()) == before


def test_a_limit_on_files_is_one_line_and_what_was_saved_stays(tmp_path):
    model = _Counter()
    model.more = model.add_weight(shape=(50_000,), initializer="zeros", name="more")
    model.bind(keras.optimizers.SGD())
    checkpoints = Checkpoints(tmp_path, model)
    checkpoints.save(10)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    for size in (0, 1000, 100_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))
        try:
            with pytest.raises(UserError, match="the checkpoint of step 20 could not be written"):
                checkpoints.save(20)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    checkpoints.save(20)
    assert Checkpoints(tmp_path, model).restore() == 20


def test_starting_over_begins_with_the_initial_weights_and_only_where_none_can_be_read(tmp_path):
    folder = tmp_path / "checkpoints"
    _saved(folder, 10)
    model, checkpoints = _made(folder)
    assert checkpoints.restore(start_over=True) == 10
    # Readable, but of another model: the part that fits has been read when this is found.
    other = tf.train.Checkpoint(model=model)
    for path in folder.glob("ckpt*"):
        path.unlink()
    other.write(str(folder / "ckpt-10"))
    model, checkpoints = _made(folder)
    model.count.assign(0.5)
    assert checkpoints.restore(start_over=True) == 0
    assert float(model.count) == 0.5
    assert not folder.exists()


def test_the_command_starts_over_when_told_to(tmp_path, toy_gin, fails, capsys):
    folder = tmp_path / "run"
    arguments = [f"--gin_file={toy_gin}", f"--run_dir={folder}", "--gin_bindings=train.steps = 20"]
    command.main(arguments)

    def curve():
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line)["loss"] for line in lines]

    (folder / "DONE").unlink()
    expected = curve()
    for path in (folder / "checkpoints").glob("*.data*"):
        path.write_bytes(path.read_bytes()[:100])
    line = fails(command.main, *arguments)
    assert "none of the checkpoints" in line and "--start_over" in line
    assert curve() == expected and (folder / "scores.json").exists()
    command.main([*arguments, "--start_over"])
    assert "starting over" in capsys.readouterr().err
    assert curve() == expected
    assert (folder / "DONE").exists()
