"""Shared by all tests: quiet TensorFlow, a cache of the test session's own."""

import os
import pathlib
import signal

import pytest

# Before TensorFlow: workers that test side by side share the cores, and so do their children.
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 0)):
    threads = str(max(1, len(os.sched_getaffinity(0)) // workers))
    for variable in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(variable, threads)

import zoo  # noqa: F401  before TensorFlow, too, whose settings it chooses

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

FIXTURES = pathlib.Path(__file__).parent / "fixtures"


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory):
    """No test reads or fills the user's cache."""
    patch = pytest.MonkeyPatch()
    patch.setenv("ZOO_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture
def nothing_ignored():
    """What nohup ignores, children would ignore, too."""
    kept = {n: signal.getsignal(n) for n in (signal.SIGHUP, signal.SIGINT)}
    for number, handler in kept.items():
        if handler is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


@pytest.fixture
def toy_gin() -> str:
    """The gin file of a training run that takes seconds."""
    return str(FIXTURES / "toy.gin")


@pytest.fixture
def fails(capsys):
    """Calls a command that must fail with one line and exit code 2; gives the line."""
    from zoo import cli

    def call(main, *arguments: str) -> str:
        with pytest.raises(SystemExit) as stopped:
            cli.run(main, arguments)
        errors = capsys.readouterr().err.strip().splitlines()
        assert stopped.value.code == 2
        # Progress bars share stderr; the error is the last line.
        return errors[-1]

    return call
