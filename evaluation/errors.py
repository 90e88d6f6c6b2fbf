"""What is wrong with what a score was given, as opposed to a defect of this package."""

from zoo.errors import UserError


class InputError(UserError):
    """Bad arguments of a score: one line that names what, where, and what to do.

    A ValueError, too. In a table (`zoo.evaluation.evaluate`) such a score has a reason instead of a
    number; any other exception is a defect.
    """


class UndefinedScoreError(InputError):
    """A score is undefined for what was given, though every array has the right shape and type.

    Raised for decoders without a gradient path from outputs to latents, whose outputs or
    derivatives are not finite, whose Jacobian is zero throughout ("no live latent"), or that treat
    an example by the others of its batch. The best value of a score is often that of a broken
    decoder; in a table such a score has a reason instead of a number.
    """


class FailingDecoderError(InputError):
    """A decoder raised an exception, which is the cause of this one, at the latents it was given.

    Who gave latents of a wrong shape reads of it in one line. A decoder that fails on the codes of
    its own encoder is a defect: in a table the row carries the traceback.
    """


# What numpy, and methods of arrays, raise at a tensor that has no value yet.
UNTRACEABLE = (TypeError, NotImplementedError, AttributeError)
