"""A gap in a run's log is reported; the training continues."""

import contextlib
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from zoo import runs
from zoo.errors import UserError
from zoo.training.metrics import MetricsLog


def _steps(path: pathlib.Path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


@pytest.fixture
def folder(tmp_path) -> runs.RunFolder:
    folder = runs.RunFolder(tmp_path)
    folder.metrics.write_text("".join(json.dumps({"step": 5 * k}) + "\n" for k in range(1, 5)))
    return folder


def _opened(folder, *steps: int):
    return contextlib.closing(MetricsLog(folder, *steps))


def test_a_whole_log_goes_on_without_a_word(folder, caplog):
    with _opened(folder, 15) as log:
        log.write(20, 1.0, 10, {"loss": 2.0})
    with _opened(folder, 22, 20):
        pass
    assert _steps(folder.metrics) == [5, 10, 15, 20] and not caplog.messages


def test_a_damaged_line_in_the_middle_is_said(folder, caplog):
    lines = folder.metrics.read_bytes().split(b"\n")
    lines[1] = lines[1][:4] + b"\x00\xff"
    folder.metrics.write_bytes(b"\n".join(lines))
    with _opened(folder, 20):
        pass
    (message,) = caplog.messages
    assert "1 of its lines cannot be read" in message
    assert _steps(folder.metrics) == [5, 15, 20]


@pytest.mark.parametrize(("kept", "missing"), [(0, "1 to 20"), (3, "16 to 20")])
def test_missing_records_are_said(folder, caplog, kept, missing):
    lines = folder.metrics.read_text().splitlines(keepends=True)
    folder.metrics.write_text("".join(lines[:kept]))
    if not kept:
        folder.metrics.unlink()
    with _opened(folder, 23, 20):
        pass
    (message,) = caplog.messages
    assert f"the records of steps {missing} are missing" in message


def test_a_value_with_the_name_of_a_field_is_refused(folder):
    with _opened(folder, 20) as log, pytest.raises(UserError, match="is called 'step', as a field"):
        log.write(25, 1.0, 10, {"loss": 2.0, "step": 0.5})
    assert _steps(folder.metrics) == [5, 10, 15, 20]


def test_a_loss_may_be_a_matrix(folder):
    with _opened(folder, 20) as log:
        log.write(25, 1.0, 10, {"loss": 2.0, "covariance": np.array([[1.0, 2.0], [3.0, 4.0]])})
    assert json.loads(folder.metrics.read_text().splitlines()[-1])["covariance"] == [[1, 2], [3, 4]]
    events = EventAccumulator(str(folder.path / "tensorboard")).Reload()
    (event,) = events.Tensors("covariance/1/0")
    assert event.step == 25 and tf.make_ndarray(event.tensor_proto) == 3


def test_a_log_that_is_removed_while_the_run_goes_on(folder, caplog):
    with _opened(folder, 20) as log:
        folder.metrics.unlink()
        log.write(25, 1.0, 10, {"loss": 2.0})
        log.write(30, 1.0, 10, {"loss": 1.0})
    assert _steps(folder.metrics) == [25, 30]
    (message,) = caplog.messages
    assert "its records up to step 20 are lost" in message


def test_events_that_cannot_be_written_are_one_line(folder):
    (folder.path / "tensorboard").write_text("a file, where a folder belongs")
    with pytest.raises(UserError, match="to .*/tensorboard .*run the same command") as error:
        MetricsLog(folder, 20)
    assert "\n" not in str(error.value)
