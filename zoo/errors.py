"""What a user can mend, told apart from defects of ours; imports nothing, so that all may."""


class UserError(ValueError):
    """Bad input, explained in one line: what was wrong, where, and what to do.

    Commands print the line and exit with code 2; any other exception is a defect of ours, whose
    traceback they show.
    """


class SettingError(UserError):
    """A setting of a model, a network, a data set or a sampler that cannot be."""


def undefined(part: object, method: str) -> SettingError:
    """The error of a method that a class of a user's own lacks, `name(arguments)`."""
    return SettingError(f"{type(part).__name__} has no {method}; define it")


def require_not_negative(owner: str, **values) -> None:
    """Refuses parameters of `owner` that are below zero or NaN; a schedule passes."""
    for key, value in values.items():
        if not callable(value) and not value >= 0:
            raise SettingError(f"{owner}.{key} is {value}; give a number that is not negative")
