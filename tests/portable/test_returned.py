"""The log of what was trained elsewhere."""

import types

import keras
import numpy as np
import pytest

from zoo import runs
from zoo.errors import UserError
from zoo.models.cg_gan import CGGAN
from zoo.portable import returned, runner


@pytest.fixture(autouse=True)
def _jax():
    """Not needed here."""


def test_weights_that_are_not_finite_are_not_brought_back(monkeypatch):
    weights, total = keras.Variable([1.0, 2.0]), keras.Variable(3.0)
    model = types.SimpleNamespace(trainable_variables=[weights])
    monkeypatch.setattr(returned, "state_of", lambda _: {"weights": weights, "total": total})
    state = {"weights": np.float32([4, 5]), "total": np.float32(np.inf)}
    brought = returned.Returned({"name": "vae"}, {"step": 10}, state, [])
    returned._assign(model, brought)
    assert list(weights.numpy()) == [4, 5]
    state["weights"] = np.float32([4, np.nan])
    with pytest.raises(UserError, match="^vae: weights became NaN or infinite before step 10;"):
        returned._assign(model, brought)


def test_what_is_said_of_weights_is_said_of_the_last_record_alone(tmp_path):
    model = types.SimpleNamespace(
        summarize=lambda means: {**means, "mask_size": 2}, momentary=CGGAN.momentary
    )
    records = [runner.Record(n, n + 5, 1.0, [10.0]) for n in (0, 5)]
    facts = {"losses": ["loss"], "record_every": [5], "steps": 20, "batch_size": 8, "start": 0}
    folder = runs.RunFolder(tmp_path)
    brought = returned.Returned({**facts, "pending": {}}, {"step": 10}, {}, records)
    assert returned._log(folder, model, brought) == {}
    found = [(r["loss"], r.get("mask_size")) for r in runs.records(folder.metrics)]
    assert found == [(2.0, None), (2.0, 2.0)]
