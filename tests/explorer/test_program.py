"""Where tensors lie, how constants are rounded, and what is refused by name; needs no browser."""

import base64
import gzip

import numpy as np
import pytest
import tensorflow as tf

from zoo.explorer import lowering, page, program


def test_the_kernels_are_those_of_the_source():
    binary = (page.HERE / "kernels.wasm").read_bytes()
    assert page.source_of_kernels(binary) == page.digest_of_kernels(), "run `make kernels`"


def _program(function, *shape):
    constants = program.Constants()
    spec = tf.TensorSpec(shape, tf.float32)
    return lowering.program(function, {"x": spec}, constants, "the model"), constants


def test_an_operation_without_lowering_is_named():
    with pytest.raises(lowering.OperationError, match=r"the model.*operation Lgamma \(.*Lgamma"):
        _program(lambda x: {"y": tf.math.lgamma(x)}, 1, 3)


def test_what_a_lowering_cannot_do_is_named():
    kernel = np.ones((3, 3, 1, 2), np.float32)
    with pytest.raises(lowering.OperationError, match="Conv2D with groups of channels"):
        _program(lambda x: {"y": tf.nn.conv2d(x, kernel, 1, "SAME")}, 1, 4, 4, 2)


def test_tensors_of_one_time_do_not_overlap():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 50, 60).tolist()
    first = {k: int(rng.integers(0, 40)) for k in range(60)}
    last = {k: first[k] + int(rng.integers(0, 8)) for k in range(60)}
    places, end = program._places(sizes, first, last)
    for k in range(60):
        assert places[k] % 4 == 0 and places[k] + sizes[k] <= end
        for other in range(k):
            if first[k] <= last[other] and first[other] <= last[k]:
                ends = (places[k] + sizes[k], places[other] + sizes[other])
                assert places[k] >= ends[1] or places[other] >= ends[0]
    assert end < sum(sizes) / 2, "nothing is reused"


def test_equal_calls_are_made_once():
    def twice(x):
        return {"a": tf.sigmoid(tf.tanh(x)), "b": tf.exp(tf.tanh(x))}

    made, _ = _program(twice, 1, 5)
    assert [step[0] for step in made["steps"]].count("unary") == 3


def test_gelu_is_one_call():
    made, _ = _program(lambda x: {"y": tf.nn.gelu(x), "z": 0.5 * tf.math.erfc(-x)}, 1, 5)
    assert [step[0] for step in made["steps"]] == ["unary", "unary", "unary", "binary"]


def test_a_product_that_was_taken_over_and_is_an_output_is_made_again():
    weights, bias = np.float32([[1, 2], [3, 4]]), np.float32([5, 6])
    for order in (("cut", "whole"), ("whole", "cut")):

        def both(x, order=order):
            made = {"cut": lambda: tf.nn.relu(x @ weights + bias), "whole": lambda: x @ weights}
            return {name: made[name]() for name in order}

        made, _ = _program(both, 1, 2)
        assert [step[0] for step in made["steps"]] == ["matmul", "matmul"]
        assert made["outputs"]["cut"]["at"] != made["outputs"]["whole"]["at"]


@pytest.mark.parametrize("whole", ["a", "c"])
def test_a_product_that_is_taken_as_it_is_too_keeps_its_step(whole):
    weights, bias = np.float32([[1, 2], [3, 4]]), np.float32([5, 6])

    def both(x):
        return {"b": tf.nn.relu(x @ weights + bias), whole: tf.tanh(x @ weights)}

    made, _ = _program(both, 1, 2)
    # Outputs are traced in the order of their names.
    kernels = ["matmul", "unary", "binary", "unary"] if whole == "a" else ["matmul"] * 2 + ["unary"]
    assert [step[0] for step in made["steps"]] == kernels
    # What a step takes is the input, a constant, or has been made.
    known = {made["inputs"]["x"]["at"]}
    for _, inputs, out, *_ in made["steps"]:
        assert all(buffer is None or buffer < 0 or buffer in known for buffer in inputs)
        known.add(out)


@pytest.mark.parametrize("columns", [16, 4])
@pytest.mark.parametrize("kernel", ["matmul", "overlap"])
def test_only_a_bias_of_its_columns_is_added_by_the_step_before(kernel, columns):
    weights, filters = np.ones((3, 16), np.float32), np.ones((2, 2, 16, 3), np.float32)
    bias = np.arange(columns, dtype=np.float32)

    def sums(x):
        made = x @ weights
        if kernel == "overlap":
            image = x[:, None, None]
            made = tf.nn.conv2d_transpose(image, filters, [1, 2, 2, 16], 1, "VALID")
        return {"y": tf.reshape(made, [-1, columns]) + bias}

    made, _ = _program(sums, 1, 3)
    end = [kernel] if columns == 16 else [kernel, "binary"]
    assert [step[0] for step in made["steps"]][-len(end) :] == end


def test_a_column_is_no_bias():
    weights, column = np.ones((3, 4), np.float32), np.ones((4, 1), np.float32)
    made, _ = _program(lambda x: {"y": x @ weights + column}, 4, 3)
    assert [step[0] for step in made["steps"]] == ["matmul", "binary"]


def test_a_number_as_a_truth_is_whether_it_is_zero():
    made, _ = _program(lambda x: {"y": tf.cast(tf.cast(x, tf.bool), tf.float32)}, 1, 3)
    assert [step[0] for step in made["steps"]] == ["binary", "binary"]


def test_a_step_that_nothing_takes_is_left_out():
    made, _ = _program(lambda x: {"y": tf.unstack(tf.exp(x), axis=1)[2]}, 1, 5)
    assert [step[0] for step in made["steps"]] == ["unary", "copy"]


def test_constants_are_rounded_to_sixteen_bits_a_column():
    rng = np.random.default_rng(0)
    # Columns of very different size: one scale for all would lose the small one.
    weights = (rng.normal(size=(300, 2)) * [1, 1e-4]).astype(np.float32)
    constants = program.Constants()
    constants.add(weights)
    kinds, content = constants.packed({0: 0})
    assert kinds == [["q", 600, 2]]
    scales = np.frombuffer(content[:8], "<f4")
    halves = np.frombuffer(content[8:], np.uint8).reshape(2, 600)
    numbers = np.ascontiguousarray(halves.T).view("<i2").reshape(300, 2) * scales
    largest = np.abs(weights).max(0)
    assert (np.abs(numbers - weights).max(0) <= largest / 32767 / 2 * 1.01).all()


def test_places_and_short_constants_are_exact():
    constants = program.Constants()
    places, bias = np.arange(5000), np.float32([0.1, -0.3])
    constants.add(places)
    constants.add(bias)
    assert constants.add(places).buffer == -1, "the same constant is kept twice"
    kinds, content = constants.packed({0: 0, 1: 1})
    assert kinds == [["i", 5000, 0], ["f", 2, 0]]
    np.testing.assert_array_equal(np.frombuffer(content[:8], "<f4"), bias)


def test_what_is_stored_holds_only_what_programs_use():
    constants = program.Constants()
    unused = constants.add(np.ones(7000) * 0.3)
    made = lowering.program(
        lambda x: {"y": x + np.float32([1.5, 2.5])},
        {"x": tf.TensorSpec([1, 2], tf.float32)},
        constants,
        "test",
    )
    stored, numbers = program.stored({"f": made}, constants)
    assert unused.buffer == -1 and len(stored["constants"]) == 1
    content = gzip.decompress(base64.b64decode(numbers))
    np.testing.assert_array_equal(np.frombuffer(content, "<f4"), [1.5, 2.5])


def test_a_page_ends_no_script_and_asks_no_server():
    model = {"name": "</script><script>alert(1)</script>", "numbers": ""}
    text = page.text([model])
    assert "</script><script>alert" not in text
    assert "http://" not in text and "https://" not in text
    assert "default-src 'none'" in text
