"""What happens when a process is told to end: SIGTERM, SIGHUP, SIGINT.

Schedulers send SIGTERM and wait some seconds before they kill. Within `watched` the first signal
raises `Stopped`, which unwinds and so cleans up; libraries that make another exception of it on the
way change nothing. Within `Stopping.finishing` it is only noted, so that a training run can finish
its step and save. A second signal ends the process at once, unless it comes within a second of the
first: Ctrl-C reaches a command and the processes that it has started, and the command then ends
these, too.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGINT") if hasattr(signal, name)
)
# Seconds within which signals are one.
TOGETHER = 1.0
_came = threading.Event()


class Stopped(SystemExit):
    """Ends the process with the exit code that shells give a signal: 143, 129 or 130."""

    def __init__(self, number: int):
        super().__init__(128 + number)


class Stopping:
    """Notes that a signal came.

    Attributes:
        signal: its name, or None.
        number: its number, or 0.
        raised: whether `Stopped` was raised where the signal came.
    """

    def __init__(self):
        self.signal: str | None = None
        self.number, self.raised = 0, False
        self._since, self._finishing = 0.0, False

    @contextlib.contextmanager
    def finishing(self) -> Iterator[None]:
        """Within, the first signal is only noted; `Stopped` is raised at the end.

        Whoever uses it looks at `signal` every second or so.
        """
        self._finishing = True
        try:
            yield
        finally:
            self._finishing = False
        if self.signal:
            raise Stopped(self.number)

    def handle(self, number: int, frame) -> None:
        """The handler of a signal."""
        del frame
        if self.signal:
            if time.monotonic() - self._since > TOGETHER:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            return
        self._since = time.monotonic()
        _came.set()
        self.signal, self.number = signal.Signals(number).name, number
        if self._finishing:
            _say(f"{self.signal}: finishing the step and saving; a second signal ends at once")
        else:
            self.raised = True
            _say(f"stopped by {self.signal}")
            raise Stopped(number)


def asked() -> bool:
    """Whether a signal has come to this process within a `watched`: it is ending, or saves."""
    return _came.is_set()


@contextlib.contextmanager
def watched() -> Iterator[Stopping]:
    """Handles signals as said above; afterwards they are handled as before.

    Where and which signals are handled, `handled` says.
    """
    stopping = Stopping()
    with handled(SIGNALS, stopping.handle):
        try:
            yield stopping
        except Exception as error:
            if stopping.raised:
                raise Stopped(stopping.number) from error
            raise


@contextlib.contextmanager
def handled(numbers: Iterable[int], handler: Callable) -> Iterator[None]:
    """Has a function of number and frame handle signals; afterwards they are handled as before.

    Other threads than the main one cannot do so: there nothing changes. A signal that the process
    ignores, as below `nohup`, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    earlier = {number: signal.getsignal(number) for number in numbers}
    # None is a handler of another language, which could not be put back.
    earlier = {n: before for n, before in earlier.items() if before not in (None, signal.SIG_IGN)}
    for number in earlier:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, before in earlier.items():
            signal.signal(number, before)


def _say(line: str) -> None:
    # A handler may come while the stream is being written to: past its buffer, then.
    try:
        os.write(2, f"\n{line}\n".encode())
    except OSError:
        # The terminal is gone, and a progress bar must not fail for it.
        with open(os.devnull, "wb") as nowhere:
            for stream in (1, 2):
                os.dup2(nowhere.fileno(), stream)
