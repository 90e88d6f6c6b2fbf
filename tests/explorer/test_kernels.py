"""The kernels, called as lowerings call them, compute what TensorFlow computes."""

import numpy as np
import pytest
import tensorflow as tf

RNG = np.random.default_rng(0)


def _normal(*shape, scale=1.0):
    return (scale * RNG.normal(size=shape)).astype(np.float32)


IMAGE, ODD, ROWS, CUBE = _normal(1, 8, 6, 5), _normal(1, 7, 5, 3), _normal(3, 37), _normal(2, 3, 4)
KERNEL, TURNED = _normal(3, 4, 5, 9), _normal(4, 4, 7, 5)
WIDE, DEEP = _normal(37, 11), _normal(5, 4, 6)


def _convolutions(x):
    deep = tf.nn.conv2d(x, KERNEL, [1, 2], "SAME")
    return {
        "same": deep,
        "valid": tf.nn.conv2d(x, KERNEL, 1, "VALID"),
        "dilated": tf.nn.conv2d(x, KERNEL, 1, "SAME", dilations=[2, 1]),
        "explicit": tf.nn.conv2d(x, KERNEL, 2, [[0, 0], [2, 1], [0, 3], [0, 0]]),
        "pointwise": tf.nn.conv2d(x, KERNEL[:1, :1], 1, "SAME"),
        "biased": tf.nn.relu(tf.nn.bias_add(deep, KERNEL[0, 0, 0])),
        "two": tf.nn.conv2d(tf.concat([x, 2 * x], 0), KERNEL, 2, "SAME"),
    }


def _transposed_convolutions(x):
    twice = tf.nn.conv2d_transpose(x, TURNED, [1, 16, 12, 7], 2, "SAME")
    return {
        "same": twice,
        "valid": tf.nn.conv2d_transpose(x, TURNED, [1, 18, 14, 7], 2, "VALID"),
        "odd": tf.nn.conv2d_transpose(x, TURNED, [1, 15, 12, 7], 2, "SAME"),
        "apart": tf.nn.conv2d_transpose(x, TURNED[:1, :1], [1, 24, 18, 7], 3, "SAME"),
        "biased": tf.nn.relu(tf.nn.bias_add(twice, TURNED[0, 0, :, 0])),
        "reshaped": tf.reshape(tf.nn.conv2d_transpose(2 * x, TURNED, [1, 16, 12, 7], 2), [84, 16])
        + WIDE[:16, 0],
        "two": tf.nn.conv2d_transpose(tf.concat([x, -x], 0), TURNED, [2, 16, 12, 7], 2, "SAME"),
    }


def _products(x, y):
    wide, deep = WIDE, DEEP
    hidden = x @ wide
    return {
        "plain": hidden,
        "relu": tf.nn.relu(hidden + wide[0]),
        # The first product is taken over, by a step that adds and cuts off, and given out itself.
        "cut": tf.nn.relu(2 * x @ wide + wide[0]),
        "whole": 2 * x @ wide,
        # The sum is needed before and after it is cut off.
        "both": tf.nn.relu(hidden) + hidden,
        # As many numbers as the last axis of another shape, and not as there are columns.
        "reshaped": tf.reshape(3 * x @ wide, [11, 3]) + wide[0, :3],
        "column": x @ wide[:, :3] + wide[:3, :1],
        "turned": tf.linalg.matmul(x, x, transpose_b=True),
        "gram": tf.linalg.matmul(x, x, transpose_a=True),
        "one_row": x[:1] @ wide,
        "many": tf.tile(x, [7, 1]) @ wide,
        "batch": y @ tf.linalg.matmul(y, y, transpose_a=True),
        "shared": y @ deep[0],
        "broadcast": y[:, None] @ deep,
        "einsum": tf.einsum("abc,cd->dba", y, deep[0]),
        "summed": tf.einsum("abc,dbc->ad", y, y),
        "heads": tf.einsum("abc,adc->abd", y, y),
        "vector": tf.einsum("abc,b->ac", y, wide[0, :3]),
        "lonely": tf.einsum("abc,abd->ac", y, y),
    }


def _elementwise(x):
    positive = tf.abs(x) + 0.1
    return {
        "exp": tf.exp(x),
        "log": tf.math.log(positive),
        "log1p": tf.math.log1p(positive * 1e-3),
        "sqrt": tf.sqrt(positive),
        "rsqrt": tf.math.rsqrt(positive),
        "sigmoid": tf.sigmoid(3 * x),
        "tanh": tf.tanh(x),
        "small_tanh": tf.tanh(x * 0.01),
        "softplus": tf.nn.softplus(5 * x),
        "gelu": tf.nn.gelu(x),
        "far_gelu": tf.nn.gelu(9 * x),
        "gelu_apart": tf.nn.gelu(x) + tf.math.erfc(-x * np.float32(np.sqrt(0.5))),
        "erf": tf.math.erf(2 * x),
        "erfc": tf.math.erfc(2 * x),
        "relu": tf.nn.relu(x),
        "relu6": tf.nn.relu6(4 * x),
        "leaky": tf.nn.leaky_relu(x, 0.3),
        "silu": tf.nn.silu(x),
        "elu": tf.nn.elu(x),
        "sign": tf.sign(x),
        "reciprocal": tf.math.reciprocal(positive),
        "power": tf.pow(positive, 1.7),
        "cube": tf.pow(x, 3.0),
        "not_zero": tf.cast(tf.cast(tf.nn.relu(x), tf.bool), tf.float32),
        "less": tf.where(x < 0.3, x, -2.0),
        "floor": tf.maximum(x, 0.2),
        "softmax": tf.nn.softmax(4 * x),
        "log_softmax": tf.nn.log_softmax(x),
        "column": x - tf.reduce_mean(x, 1, keepdims=True),
        "log_sum_exp": tf.reduce_logsumexp(x, 1),
        "finite": tf.where(tf.math.is_finite(tf.math.log(tf.nn.relu(x))), x, -2.0),
        "row": (x / (1 + x[0] ** 2)) * x[:, :1],
    }


def _reductions(x):
    return {
        "all": tf.reduce_sum(x),
        "first": tf.reduce_mean(x, 0),
        "middle": tf.reduce_max(x, 1),
        "outer": tf.reduce_min(x, [0, 2]),
        "product": tf.reduce_prod(x, -1),
        "kept": tf.reduce_sum(x, [1, 2], keepdims=True),
        "deviation": tf.math.reduce_std(x, 2),
    }


def _movements(x):
    first, *others = tf.split(x, 2, 2)
    a, b, c = tf.unstack(x, axis=1)
    return {
        "transpose": tf.transpose(x, [2, 0, 1]),
        "slice": x[:, 1:, ::-2],
        "ellipsis": x[..., 1:3],
        "new": x[:, None, 2, 1:],
        "concat": tf.concat([x, 2 * x[:, :1]], 1),
        "stack": tf.stack([a, c, b], 1),
        "split": others[0] - first,
        "tile": tf.tile(x, [2, 1, 3]),
        "pad": tf.pad(x, [[0, 0], [1, 2], [3, 0]], constant_values=-1.5),
        "reverse": tf.reverse(x, [0, 2]),
        "broadcast": tf.broadcast_to(x[:1], [5, 3, 4]) + 0,
        "gather": tf.gather(x, [2, 0, 0, 1], axis=1),
        "parts": tf.slice(x, [0, 1, 1], [2, 2, 2]),
        "sizes": tf.concat(tf.split(x, [1, 3], 2)[::-1], 2),
        "shape": tf.ones_like(x) * tf.cast(tf.shape(x)[1], tf.float32) + x,
    }


@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (_convolutions, {"x": IMAGE}),
        (_transposed_convolutions, {"x": IMAGE}),
        (_products, {"x": ROWS, "y": CUBE}),
        (_elementwise, {"x": ROWS}),
        (_reductions, {"x": CUBE}),
        (_movements, {"x": CUBE}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_kernels_compute_what_tensorflow_does(computed, function, inputs):
    found = computed(function, inputs)
    for name, expected in function(*map(tf.constant, inputs.values())).items():
        got = np.reshape(found[name], expected.shape)
        scale = max(1.0, float(np.abs(expected).max()))
        assert np.abs(got - expected).max() < 2e-4 * scale, name


def test_large_constants_are_computed_in_the_page_once(computed):
    """Positions of pixels are made of two short tables, and not stored pixel by pixel."""
    table, weights = _normal(200, 3), _normal(6, 7)

    def function(x):
        places = tf.range(200 * 200)
        features = tf.concat([tf.gather(table, places // 200), tf.gather(table, places % 200)], 1)
        return {"y": (tf.nn.gelu(features @ weights) + x)[-3:]}

    x = _normal(7)
    found = computed(function, {"x": x})
    assert np.abs(np.reshape(found["y"], (3, 7)) - function(x)["y"]).max() < 1e-3


def test_a_domain_is_an_input(computed):
    table = _normal(4, 6)

    def function(domain):
        one_hot = tf.one_hot(domain, 4)
        return {"looked_up": tf.gather(table, domain), "encoded": one_hot @ table}

    found = computed(function, {"domain": np.array([2], np.int32)})
    for values in found.values():
        np.testing.assert_allclose(values, table[2], atol=1e-3)
