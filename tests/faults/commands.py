"""Commands in this process and in others, and how they end."""

import contextlib
import io
import multiprocessing
import multiprocessing.context
import os
import pathlib
import signal
import sys
import time
import traceback
from collections.abc import Callable

import psutil

# What is told of what a process does to files; `open` of those that are opened to be read, too, as
# what is written is opened once more to be brought to the disk.
_EVENTS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.truncate")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_watch: Callable[[str, str], None] | None = None
_hooked = False


def here(main: Callable, *arguments: str) -> tuple[int, str]:
    """Runs a command in this process; its exit code and its last line of standard error.

    An exception that the command lets through is exit code 1, as from a shell; the line then names
    its place. So is a traceback before the line.
    """
    import gin

    from zoo import cli

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            cli.run(main, arguments)
    except SystemExit as end:
        lines = said.getvalue().strip().splitlines() or [""]
        if "Traceback" in said.getvalue():
            return 1, f"a traceback before {lines[-1]!r}"
        return end.code or 0, lines[-1]
    except BaseException as error:
        return 1, defect(error)
    finally:
        gin.clear_config()
    return 0, ""


def defect(error: BaseException) -> str:
    """An exception in a line, with its place."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    line = " ".join(str(error).split())[:200]
    return f"{type(error).__name__} at {last.filename}:{last.lineno}: {line}"


def forks() -> multiprocessing.context.BaseContext:
    """Makes processes in which TensorFlow is imported, but has not begun."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.preloaded"])
    return context


class Process:
    """A training in a process of its own.

    Args:
        arguments: of `zoo.train`.
        place: its run folder; `<place>.log` gets what it says.
        kill_at: it kills itself before the operation of this number, from 0, on those of the run's
            files whose paths begin so.
        log: another file for what it says.
    """

    def __init__(
        self,
        arguments: list[str],
        place: pathlib.Path,
        kill_at: tuple[int, tuple[str, ...]] | None = None,
        log: pathlib.Path | None = None,
    ):
        self.log = log or place.with_name(f"{place.name}.log")
        options = (kill_at, self.log)
        arguments = [*arguments, f"--run_dir={place}"]
        self._process = forks().Process(target=_train, args=(arguments, place, *options))
        self._process.start()

    def wait_for(self, seconds: float) -> None:
        """Waits until the process has used so many seconds of the processor, or has ended."""
        with contextlib.suppress(psutil.NoSuchProcess):
            known = psutil.Process(self._process.pid)
            while self._process.is_alive() and sum(known.cpu_times()[:2]) < seconds:
                time.sleep(0.01)

    def signal(self, number: int) -> None:
        """Sends a signal, unless the process has ended."""
        with contextlib.suppress(ProcessLookupError):
            if self._process.is_alive():
                os.kill(self._process.pid, number)

    def end(self) -> int:
        """Waits for its end; the exit code, negative for a signal."""
        self._process.join(900)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        return self._process.exitcode


def _train(arguments, place, kill_at, log) -> None:
    speak_to(log)
    from zoo import cli, train

    number, begins = kill_at or (-1, ())
    left = iter(range(number, -1, -1))

    def count(path: str, event: str) -> None:
        if path.startswith(begins) and next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    with operations_on(place, count):
        cli.run(train.main, arguments)


def speak_to(log: pathlib.Path) -> None:
    """What this process says goes to a file."""
    with log.open("w") as said:
        os.dup2(said.fileno(), 2)
        os.dup2(said.fileno(), 1)


@contextlib.contextmanager
def operations_on(folder: pathlib.Path, act: Callable[[str, str], None]):
    """Calls `act` before each operation that Python does on what is below a folder.

    `act` gets the path, relative to the folder, and what is done: `read` or `write` for files that
    are opened, else the name of the function. An exception that it raises is that of the operation.
    (What TensorFlow's own code writes passes unseen.)
    """
    global _watch, _hooked
    root = os.fspath(folder.resolve()) + os.sep

    def watch(path: str, event: str) -> None:
        if path.startswith(root):
            act(path.removeprefix(root), event)

    if not _hooked:
        # A hook stays for as long as its process lives.
        sys.addaudithook(_hook)
        _hooked = True
    _watch = watch
    try:
        yield
    finally:
        _watch = None


def _hook(event: str, arguments: tuple) -> None:
    if _watch is None or event not in _EVENTS:
        return
    path = arguments[0]
    if isinstance(path, str | os.PathLike):
        if event == "open":
            event = "write" if (arguments[2] or 0) & _WRITING else "read"
        _watch(os.path.abspath(os.fspath(path)), event)


def processor_seconds() -> float:
    """What this process and those that it has started have used of the processor so far."""
    me = psutil.Process()
    return sum(sum(each.cpu_times()[:4]) for each in (me, *me.children()))
