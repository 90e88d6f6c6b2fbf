import pathlib
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest
import tensorflow as tf

from zoo import evaluation
from zoo.evaluation import jacobians

ROOT = pathlib.Path(__file__).resolve().parents[2]
LATENTS = np.random.default_rng(0).normal(size=(5, 4))


def smooth_decoder(latents=4, seed=1):
    """A small convolutional decoder without kinks, so that differences converge."""
    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((latents,)),
            keras.layers.Dense(12, "tanh"),
            keras.layers.Reshape((2, 2, 3)),
            keras.layers.Conv2DTranspose(4, 4, 2, "same", activation="gelu"),
            keras.layers.Conv2DTranspose(2, 3, 1, "same"),
        ]
    )


def central_differences(function, latents, step=1e-5):
    flat = latents.reshape(len(latents), -1)
    columns = []
    for unit in np.eye(flat.shape[1]) * step:
        above, below = (
            np.asarray(function(tf.constant((flat + shift).reshape(latents.shape))))
            for shift in (unit, -unit)
        )
        columns.append((above - below) / (2 * step))
    return np.stack(columns, -1).reshape(*columns[0].shape, *latents.shape[1:])


@pytest.mark.parametrize("mode", ["auto", "double_gradient", "forward", "batch_jacobian"])
def test_every_mode_matches_float64_differences(mode):
    from zoo.evaluation.precision import in_float64

    decoder = smooth_decoder()
    expected = central_differences(in_float64(decoder, (4,)), LATENTS)
    double = evaluation.jacobian(decoder, LATENTS, mode=mode, dtype="float64")
    assert double.shape == (5, 4, 4, 2, 4) and double.dtype == np.float64
    np.testing.assert_allclose(double, expected, atol=1e-9)
    single = evaluation.jacobian(decoder, LATENTS, mode=mode)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, atol=2e-6)


@pytest.mark.parametrize("mode", ["auto", "double_gradient", "forward", "batch_jacobian"])
def test_one_number_an_example(mode):
    found = evaluation.jacobian(lambda z: tf.reduce_sum(z**2, 1), LATENTS, mode=mode)
    np.testing.assert_allclose(found, 2 * LATENTS, rtol=1e-6)


def test_the_mode_follows_the_sizes():
    many = jacobians.jacobian_function(smooth_decoder(), (4,))
    few = jacobians.jacobian_function(lambda z: z[:, :2] ** 2, (4,))
    assert (many.plan().mode, few.plan().mode) == ("double_gradient", "batch_jacobian")


def test_an_operation_without_second_derivative_falls_back():
    def decoder(latents):
        return tf.image.resize(tf.reshape(latents, [-1, 2, 2, 1]), [4, 4], method="bicubic")

    found = jacobians.jacobian_function(decoder, (4,))
    expected = central_differences(decoder, LATENTS.astype(np.float32), 0.5)
    np.testing.assert_allclose(found(LATENTS), expected, atol=1e-5)
    assert found.plan().mode == "batch_jacobian"
    with pytest.raises(ValueError, match='use mode="batch_jacobian"'):
        evaluation.jacobian(decoder, LATENTS, mode="double_gradient")


@pytest.mark.parametrize("reduction", ["slot_sums", "slot_norms"])
def test_a_fallback_in_small_memory_has_chunks_of_its_own(reduction):
    def decoder(slots):
        return tf.image.resize(tf.reshape(slots, [-1, 4, 4, 1]), [8, 8], method="bicubic")

    slots = np.random.default_rng(0).normal(size=(30, 2, 8))
    whole = jacobians.jacobian_function(decoder, (2, 8), reduction=reduction)
    small = jacobians.jacobian_function(decoder, (2, 8), reduction=reduction, memory=2**18)
    before = small.plan().rows
    found = small(slots)
    assert small.plan().mode == "batch_jacobian" and 1 < small.plan().rows < before < len(slots)
    np.testing.assert_allclose(found, whole(slots), atol=1e-6)
    np.testing.assert_array_equal(small(slots), found)


def test_float64_of_a_float64_function_and_of_bfloat16_layers():
    matrix = tf.constant(np.random.default_rng(1).normal(size=(4, 3)))
    jacobian = evaluation.jacobian(lambda z: tf.tanh(z @ matrix), LATENTS, dtype="float64")
    slopes = 1 - np.tanh(LATENTS @ matrix) ** 2
    np.testing.assert_allclose(jacobian, slopes[:, :, None] * matrix.numpy().T, rtol=1e-12)

    layer = keras.layers.Dense(3, "tanh", dtype="mixed_bfloat16")
    layer.build((None, 4))
    kernel = layer.get_weights()[0].astype(np.float64)
    slopes = 1 - np.tanh(LATENTS @ kernel) ** 2
    exact = evaluation.jacobian(layer, LATENTS, dtype="float64", mode="forward")
    np.testing.assert_allclose(exact, slopes[:, :, None] * kernel.T, rtol=1e-12)
    rough = evaluation.jacobian(layer, LATENTS, mode="forward")
    assert rough.dtype == np.float32
    np.testing.assert_allclose(rough, exact, atol=0.05)


def test_a_decoder_that_a_precision_is_refused_to_is_told_which(monkeypatch):
    def bicubic(z):
        return tf.image.resize(tf.reshape(z, [-1, 2, 2, 1]), (4, 4), "bicubic") * 2

    with pytest.raises(evaluation.InputError, match='in float64, pass dtype="float32" instead: I'):
        evaluation.jacobian(bicubic, LATENTS, dtype="float64")

    def refuse(*_, **__):
        raise ValueError("no such operation")

    spec = tf.TensorSpec([None, 4], tf.float32, "z")
    signature = tf.function(lambda z: tf.tanh(z)).get_concrete_function(z=spec)
    monkeypatch.setattr(tf.graph_util, "import_graph_def", refuse)
    with pytest.raises(evaluation.InputError, match="cannot be run in float32: no such"):
        evaluation.jacobian(signature, LATENTS)


def test_saved_models_and_their_signatures_agree_with_the_model(tmp_path):
    decoder = smooth_decoder()

    class Exported(tf.Module):
        def __init__(self):
            self.decoder = decoder

        @tf.function(input_signature=[tf.TensorSpec([None, 4])])
        def decode(self, latents):
            return self.decoder(latents)

    module = Exported()
    tf.saved_model.save(module, str(tmp_path), signatures={"decode": module.decode})
    loaded = tf.saved_model.load(str(tmp_path))
    for dtype in ("float32", "float64"):
        expected = evaluation.jacobian(decoder, LATENTS, dtype=dtype)
        for endpoint in (loaded.decode, loaded.signatures["decode"]):
            for mode in ("double_gradient", "forward")[: 2 if dtype == "float32" else 1]:
                found = evaluation.jacobian(endpoint, LATENTS, mode=mode, dtype=dtype)
                np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("mode", "memory"),
    [("auto", 1), ("double_gradient", 2**29), ("forward", 2**29), ("batch_jacobian", 2**29)],
)
def test_reductions_equal_reducing_the_whole(mode, memory):
    slots = np.random.default_rng(2).normal(size=(3, 3, 2))
    inner, outer = (
        tf.constant(np.random.default_rng(3).normal(size=size) / 3, tf.float32)
        for size in ((6, 8), (8, 32))
    )

    def decode(values):
        hidden = tf.tanh(tf.reshape(values, [-1, 6]) @ inner)
        return tf.reshape(hidden @ outer, [-1, 4, 4, 2])

    def reduced(reduction):
        return evaluation.jacobian(decode, slots, mode=mode, reduction=reduction, memory=memory)

    whole = reduced(None).astype(np.float64)
    assert whole.shape == (3, 4, 4, 2, 3, 2)
    flat = whole.reshape(3, 32, 6)
    gram = np.einsum("nqi,nqj->nij", flat, flat)
    np.testing.assert_allclose(reduced("gram"), gram, atol=1e-6)
    triangular = reduced("triangular")
    np.testing.assert_allclose(np.swapaxes(triangular, 1, 2) @ triangular, gram, atol=1e-6)
    norms = np.sqrt(np.square(flat).sum(1)).reshape(3, 3, 2)
    np.testing.assert_allclose(reduced("column_norms"), norms, atol=1e-6)
    np.testing.assert_allclose(reduced("slot_sums"), np.abs(whole).sum(-1), atol=1e-6)
    np.testing.assert_allclose(reduced("slot_norms"), np.linalg.norm(whole, axis=-1), atol=1e-6)
    largest = reduced(lambda chunk: tf.reduce_max(chunk, [1, 2, 3]))
    np.testing.assert_allclose(largest, whole.max((1, 2, 3)), atol=1e-6)


def test_many_latents_are_looped_over():
    matrix = tf.constant(np.random.default_rng(3).normal(size=(35, 50)), tf.float32)
    latents = np.random.default_rng(4).normal(size=(3, 35))
    found = evaluation.jacobian(lambda z: tf.sin(z @ matrix), latents)
    slopes = np.cos(latents @ matrix.numpy())
    np.testing.assert_allclose(found, slopes[:, :, None] * matrix.numpy().T, atol=1e-5)


def test_small_memory_means_small_chunks():
    decoder = smooth_decoder()
    whole = evaluation.jacobian(decoder, LATENTS)
    rows = []
    for memory in (1, 2**16):
        function = jacobians.jacobian_function(decoder, (4,), memory=memory)
        rows.append(function.plan().rows)
        np.testing.assert_allclose(function(LATENTS), whole, atol=1e-6)
    assert rows[0] == 1 < rows[1] < len(LATENTS)


def test_compiled_functions_see_new_weights():
    decoder = smooth_decoder()
    function = jacobians.jacobian_function(decoder, (4,))
    before = function(LATENTS)
    decoder.layers[-1].set_weights([2 * weight for weight in decoder.layers[-1].get_weights()])
    np.testing.assert_allclose(function(LATENTS), 2 * before, atol=1e-6)


def test_graph_jacobian_inside_a_function():
    decoder = smooth_decoder()
    inside = tf.function(lambda z: jacobians.graph_jacobian(decoder, z))
    found = inside(tf.constant(LATENTS, tf.float32)).numpy()
    np.testing.assert_allclose(found, evaluation.jacobian(decoder, LATENTS), atol=1e-6)


def test_latents_without_influence_have_zero_columns():
    found = evaluation.jacobian(lambda z: tf.square(z[:, :2]), LATENTS)
    assert not found[..., 2:].any() and found[..., :2].any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"latents": np.ones(3)}, "latents of shape"),
        ({"latents": np.full((2, 4), np.nan)}, "finite"),
        ({"mode": "reverse"}, "mode 'reverse'"),
        ({"dtype": "float16"}, "dtype"),
        ({"reduction": "norms"}, "reduction 'norms'"),
        ({"reduction": "slot_sums"}, "slot_dim"),
        ({"reduction": lambda jacobians: tf.reduce_sum(jacobians)}, "the reduction returns"),
        ({"decoder": lambda z: np.zeros(3)}, "not a TensorFlow tensor"),
        ({"decoder": lambda z: {"a": z, "b": z}}, "dict of 2 entries"),
        ({"decoder": lambda z: tf.reduce_sum(z)}, "must be"),
        ({"decoder": lambda z: tf.cast(z, tf.int32)}, "nothing to differentiate"),
        ({"decoder": lambda z: z[:, :0]}, "is empty"),
        ({"decoder": tf.sparse.from_dense}, "SparseTensor, not a TensorFlow tensor"),
        ({"decoder": lambda z: z @ tf.ones([3, 2])}, "fails on float32 latents"),
    ],
)
def test_bad_input_is_named(arguments, message):
    arguments = {"decoder": smooth_decoder(), "latents": LATENTS} | arguments
    with pytest.raises(ValueError, match=message) as error:
        evaluation.jacobian(**arguments)
    assert "\n" not in str(error.value)


def test_jacobian_is_the_function_after_any_import():
    """Every order starts without any module of the package, in a process that is not this one."""
    orders = [
        "from zoo import evaluation",
        "import zoo.evaluation.jacobians; from zoo import evaluation",
        "from zoo import evaluation; evaluation.slot_jacobian; import zoo.evaluation.interaction",
        "from zoo.evaluation import jacobians; from zoo import evaluation",
        "from zoo.evaluation import jacobian; import zoo.evaluation.hessian",
    ]
    script = f"""
        import sys
        for order in {orders!r}:
            for name in [name for name in sys.modules if name.startswith("zoo")]:
                del sys.modules[name]
            space = {{}}
            exec(order, space)
            for _ in range(2):
                function = (space.get("evaluation") or space["zoo"].evaluation).jacobian
                assert type(function).__name__ == "function", order
                assert function.__name__ == "jacobian", order
                assert space.get("jacobian", function) is function, order
                import zoo.evaluation.jacobians
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True, cwd=ROOT)


def test_no_module_hides_a_function():
    modules = {path.stem for path in (ROOT / "evaluation").glob("*.py")}
    assert not modules & set(evaluation.__all__)
