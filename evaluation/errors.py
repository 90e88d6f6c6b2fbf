"""The one exception of scores that a given model or decoder has no value of."""


class UndefinedScoreError(ValueError):
    """A score is undefined for what was given, though every array has the right shape and type.

    Raised for decoders without a gradient path from outputs to latents, whose outputs or
    derivatives are not finite, whose Jacobian is zero throughout ("no live latent"), or that treat
    an example by the others of its batch. The best value of a score is often that of a broken
    decoder; in a table (`zoo.evaluation.evaluate`) such a score has a reason instead of a number.
    """
