"""The one error that commands explain to their user."""


class UserError(ValueError):
    """Bad input, explained in one line: what was wrong, where, and what to do.

    Commands print the line and exit with code 2; any other exception is a defect of ours.
    """
