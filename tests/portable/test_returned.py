"""The log of what was trained elsewhere."""

import types

import pytest

from zoo import runs
from zoo.models.cg_gan import CGGAN
from zoo.portable import returned, runner


@pytest.fixture(autouse=True)
def _jax():
    """Not needed here."""


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
