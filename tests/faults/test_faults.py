"""The fast part of the campaign of faults; `make faults` runs the whole."""

import gin
import pytest

from tests.faults import damage


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run."""
    return damage.short_run(tmp_path_factory.mktemp("finished"))


@pytest.fixture(autouse=True)
def _clean():
    yield
    gin.clear_config()


@pytest.mark.parametrize("name", damage.PROMISES)
def test_promise(name, run, tmp_path):
    promise, whole, few = damage.PROMISES[name]
    # Other trials than those of the whole campaign.
    trials = list(promise(tmp_path, range(whole, whole + few), run))
    assert len(trials) == few
    assert [trial for trial in trials if trial] == []
