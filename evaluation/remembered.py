"""Properties that are computed once, and fail once."""

import functools


class Remembered(functools.cached_property):
    """A cached property that remembers an exception as it does a value.

    Scores that need the same thing fail by it one after another; a Jacobian takes minutes.
    """

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        failures = instance.__dict__.setdefault("_failures", {})
        if self.attrname not in failures:
            try:
                return super().__get__(instance, owner)
            except Exception as error:
                failures[self.attrname] = error, error.__traceback__
        # Raised here the first time, too: the same traceback is shown once.
        error, trace = failures[self.attrname]
        raise error.with_traceback(trace)
