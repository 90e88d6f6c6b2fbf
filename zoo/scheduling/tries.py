"""How often a run has been tried, and why it failed: `tries.json` in its folder."""

import json
import pathlib
import time

from zoo import runs

LIMIT = 3
_LOST = "its process was lost: killed, out of memory, or its machine is gone"


class Tries:
    """The failures of a run so far; it is set aside after three.

    A try that has begun and never ended is that of a lost process. It counts as a failure only if
    it got no further: a run that is long enough to be interrupted often must still end.

    Attributes:
        failures: the reasons, the newest last.
    """

    FILE = "tries.json"

    def __init__(self, folder: pathlib.Path, failures: list[str], begun: float | None = None):
        self._folder = folder
        self.failures = failures
        self._begun = begun

    @classmethod
    def of(cls, folder: pathlib.Path) -> "Tries":
        """Those that a run's folder holds; a damaged file counts as none."""
        try:
            found = json.loads((folder / cls.FILE).read_text(encoding="utf-8"))
            failures = [str(reason) for reason in found["failures"]]
            begun = found["begun"]
            return cls(folder, failures, None if begun is None else float(begun))
        except (OSError, ValueError, TypeError, KeyError):
            return cls(folder, [])

    @property
    def set_aside(self) -> bool:
        """Whether the run is not to be tried again."""
        return len(self.failures) >= LIMIT

    def begin(self) -> None:
        """Notes that a try begins; one that had begun before was lost."""
        if self._begun is not None and not self._got_further():
            self.failures.append(_LOST)
        self._begun = time.time()
        self._write()

    def fail(self, reason: str) -> None:
        """Notes that the try that began has failed."""
        self._begun = None
        self.failures.append(reason)
        self._write()

    def stop(self) -> None:
        """Notes that the try was stopped from outside, which is no failure."""
        self._begun = None
        self._write()

    def forget(self) -> None:
        """Removes all of it."""
        (self._folder / self.FILE).unlink(missing_ok=True)

    def _got_further(self) -> bool:
        """Whether a checkpoint was saved after the try began, by the clock of the file system."""
        try:
            begun = (self._folder / self.FILE).stat().st_mtime
            # Not those that were only begun: a run may be killed amid its first one for ever.
            whole = (self._folder / "checkpoints").glob("ckpt-*.index")
            saved = [path.stat().st_mtime for path in whole]
        except OSError:
            return False
        return max(saved, default=begun) > begun

    def _write(self) -> None:
        if self.failures or self._begun is not None:
            kept = {"failures": self.failures, "begun": self._begun}
            runs.write_text(self._folder / self.FILE, json.dumps(kept, indent=1) + "\n")
        else:
            self.forget()
