"""The square error that noise adds, against decoders whose expansion ends."""

import numpy as np
import pytest
import tensorflow as tf

from zoo import evaluation

GENERATOR = np.random.default_rng(0)
MEANS = GENERATOR.normal(size=(30, 2))
VARIANCES = GENERATOR.uniform(0.01, 0.1, MEANS.shape)
IMAGES = GENERATOR.normal(size=(30, 2))


def found(decoder, variances=VARIANCES, samples=400):
    return evaluation.expansion_error(
        decoder, MEANS, variances, IMAGES, samples=samples, dtype="float64"
    )


def test_of_a_linear_decoder_the_first_order_is_all():
    weights = GENERATOR.normal(size=(2, 2))
    parts = found(lambda z: z @ tf.constant(weights))
    expected = (VARIANCES * np.square(weights).sum(1)).sum(1).mean()
    assert parts["first_order"] == pytest.approx(expected) == parts["second_order"]
    assert parts["score"] < 0.03


def test_of_a_product_the_second_order_has_all_but_the_fourth_moment():
    # ||x - d||^2 with d = (z1 z2, z2^2) adds, beside the second order, s1 s2 and 3 s2^2.
    parts = found(lambda z: tf.stack([z[:, 0] * z[:, 1], z[:, 1] ** 2], axis=1))
    (z1, z2), (s1, s2) = MEANS.T, VARIANCES.T
    gram = s1 * z2**2 + s2 * (z1**2 + 4 * z2**2)
    bend = s2 * 2 * (IMAGES[:, 1] - z2**2)
    assert parts["first_order"] == pytest.approx(gram.mean())
    assert parts["second_order"] == pytest.approx((gram - bend).mean())
    rest = (s1 * s2 + 3 * s2**2).mean()
    assert parts["added"] == pytest.approx((gram - bend).mean() + rest, rel=0.03)
    assert parts["score"] == pytest.approx(rest / parts["added"], abs=0.03)


def test_kinks_are_not_seen_and_smooth_bends_are():
    relu, softplus = (
        found(lambda z, f=f: f(4 * z), 10 * VARIANCES, samples=64)
        for f in (tf.nn.relu, tf.math.softplus)
    )
    assert relu["score"] == relu["first_order_error"] > 0.02
    assert softplus["score"] < 0.5 * softplus["first_order_error"]


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"variances of shape \(30, 3\): must be \(30, 2\)"):
        found(tf.identity, np.ones((30, 3)))
    with pytest.raises(ValueError, match="samples 0"):
        found(tf.identity, samples=0)
    with pytest.raises(ValueError, match="adds nothing"):
        found(tf.identity, 0 * VARIANCES)
