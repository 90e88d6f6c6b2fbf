"""How well a decoder is told by its derivatives within the noise of its posterior."""

from collections.abc import Callable

import numpy as np

from zoo.evaluation import facts
from zoo.evaluation.arrays import finite
from zoo.evaluation.errors import InputError


@facts.score(
    needs=("decoder", "posterior_means", "posterior_variances", "observations"),
    settings=("seed",),
    source="Allen 2024",
    higher_is_better=False,
)
def expansion_error(
    decoder: Callable,
    means: np.ndarray,
    variances: np.ndarray,
    images: np.ndarray,
    *,
    samples: int = 64,
    seed: int = 0,
    dtype: str = "float32",
) -> dict:
    """What the second-order expansion misses of the square error that a posterior's noise adds.

    The noise of q(z|x) = N(mu, diag(s^2)) adds

        E_q ||x - d(z)||^2 - ||x - d(mu)||^2 = sum_j s_j^2 (J^T J - C)_jj + higher orders

    to the square error, with C_ij = sum_k (x_k - d_k) d^2 d_k / d z_i d z_j: the expansion that the
    deterministic ELBO is made of (Allen 2024; Kumar and Poole 2020). The score is the difference of
    the two sides, means over data, as a share of the left one. Piecewise linear decoders bend at
    kinks alone, which the expansion does not see.

    Args:
        decoder: a TensorFlow callable from `[n, d]` to `[n, *output_shape]`.
        means: posterior means `[N, d]`.
        variances: posterior variances `[N, d]`.
        images: `[N, *output_shape]`, in the decoder's units.
        samples: how many pairs mu +- e are drawn for each x, whose odd orders cancel.
        seed: of the draws.
        dtype: as in `zoo.evaluation.jacobian`.

    Returns:
        `score`, at least 0; `added`, the left side, sampled; `first_order`, the sum without C, and
        `second_order`, with it; `first_order_error`, the score without C.

    Raises:
        InputError: wrong shapes, negative variances, noise that adds nothing, or what
            `zoo.evaluation.jacobian` raises.
    """
    from zoo.evaluation.curvature import flat_decoder, second_order

    variances = finite(variances, "variances")
    if variances.shape != np.shape(means) or (variances < 0).any():
        raise InputError(
            f"variances of shape {variances.shape}: must be {np.shape(means)}, as means, and not "
            "negative"
        )
    if samples < 1:
        raise InputError(f"samples {samples}: must be at least 1")
    grams, bends, errors, _ = second_order(decoder, means, images, True, dtype)
    means, images, decode = flat_decoder(decoder, means, images, dtype)
    generator, added = np.random.default_rng(seed), np.zeros(len(means))
    for _ in range(samples):
        noise = np.sqrt(variances) * generator.standard_normal(means.shape)
        for sign in (1, -1):
            moved = np.square(images - decode(means + sign * noise)).sum(1)
            added += (moved - errors) / (2 * samples)
    added = float(added.mean())
    first = float((np.diagonal(grams, axis1=1, axis2=2) * variances).sum(1).mean())
    second = first - float((np.diagonal(bends, axis1=1, axis2=2) * variances).sum(1).mean())
    if added == 0:
        raise InputError("the noise adds nothing to the error: no variance, or a dead decoder")
    return {
        "score": abs(added - second) / abs(added),
        "added": added,
        "first_order": first,
        "second_order": second,
        "first_order_error": abs(added - first) / abs(added),
    }
