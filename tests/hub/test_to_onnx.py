"""ONNX files compute what TensorFlow does, for batches of any size."""

import sys
import types

import numpy as np
import pytest
import tensorflow as tf

from zoo import export as command
from zoo import hub
from zoo.hub import endpoints, to_onnx
from zoo.hub.export import export
from zoo.models.base import Autoencoder

SHAPE, D = (4, 6, 1), 3


class Curved(Autoencoder):
    """Its GELU has an operation that the converter itself does not know."""

    observation_shape, latent_dim = SHAPE, D

    def __init__(self):
        super().__init__()
        drawn = np.random.default_rng(0).normal(size=(D, 24)).astype(np.float32)
        self.kernel = self.add_weight(shape=drawn.shape)
        self.kernel.assign(drawn)
        self.built = True

    def encode(self, images):
        return tf.nn.gelu(tf.reshape(images, [-1, 24]) @ tf.transpose(self.kernel))

    def decode(self, latents):
        return tf.reshape(tf.nn.gelu(latents @ self.kernel), [-1, *SHAPE])


@pytest.fixture(scope="module")
def curved(tmp_path_factory):
    pytest.importorskip("tf2onnx", reason="pip install '.[onnx]' is missing")
    folder = tmp_path_factory.mktemp("curved") / "saved_model"
    export(Curved(), folder, "# nothing\n", {"input": {"shape": list(SHAPE), "maximum": 1}})
    return folder


def _run(path, **given):
    import onnxruntime

    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    assert [each.name for each in session.get_inputs()] == list(given)
    assert {each.shape[0] for each in session.get_inputs()} == {"batch"}
    return dict(zip(names, session.run(None, given), strict=True))


def test_values_are_tensorflows(curved, tmp_path, capsys):
    out = tmp_path / "onnx"
    command.main(["--format=onnx", f"--model={curved}", f"--out={out}"])
    files = [out / f"{name}.onnx" for name in ("encode", "decode", "reconstruct")]
    assert capsys.readouterr().out.split() == list(map(str, files))
    assert (out / "card.json").read_bytes() == (curved / "card.json").read_bytes()
    model, rng = hub.load(curved), np.random.default_rng(1)
    images, latents = (rng.random((7, *s), np.float32) for s in (SHAPE, (D,)))
    np.testing.assert_allclose(
        _run(files[0], images=images)["encode"], model.encode(images), atol=1e-5
    )
    np.testing.assert_allclose(
        _run(files[1], latents=latents)["decode"], model.decode(latents), atol=1e-5
    )
    np.testing.assert_allclose(
        _run(files[2], images=images)["reconstruct"], model.reconstruct(images), atol=1e-5
    )


def test_a_posterior_has_its_parts_as_outputs(exported, tmp_path):
    pytest.importorskip("tf2onnx")
    model = hub.load(exported)
    to_onnx.write(model, tmp_path)
    images = np.random.default_rng(2).random((2, *SHAPE), np.float32)
    found = _run(tmp_path / "posterior.onnx", images=images)
    assert list(found) == ["mean", "stddev"]
    np.testing.assert_allclose(found["mean"], model.posterior(images).mean(), atol=1e-5)
    np.testing.assert_allclose(found["stddev"], 1)


def test_a_file_that_differs_is_refused_and_not_written(curved, tmp_path, monkeypatch, fails):
    monkeypatch.setattr(to_onnx, "TOLERANCE", -1.0)
    line = fails(command.main, "--format=onnx", f"--model={curved}", f"--out={tmp_path}")
    assert line.startswith("error: encode.onnx differs from TensorFlow by ")
    assert not list(tmp_path.glob("*.onnx"))


def _with(path, **functions):
    """A loaded model of these functions of values `[B, 2]`."""
    made = {name: _traced(name, function) for name, function in functions.items()}
    return hub.Pretrained(path, {}, types.SimpleNamespace(**made))


def _traced(name, function):
    (argument,) = endpoints.DECLARED[name].arguments
    made = tf.function(lambda x: function(x), [tf.TensorSpec([None, 2], tf.float32, argument)])
    # As a loaded SavedModel has it.
    made.concrete_functions = [made.get_concrete_function()]
    return made


def test_all_but_samples_and_jacobians_are_written_and_numbers_have_no_batch(curved, tmp_path):
    model = _with(
        curved,
        posterior=lambda images: {"mean": 2 * images, "low": tf.reduce_min(images)},
        block_images=lambda latents: tf.stack([latents, 3 * latents], 1),
        perturb=tf.tanh,
        jacobian=tf.tanh,
    )
    found = to_onnx.write(model, tmp_path)
    assert [path.stem for path in found] == ["posterior", "block_images", "perturb"]
    given = np.array([[1, -2], [3, 4]], np.float32)
    assert _run(found[0], images=given)["low"] == -2
    np.testing.assert_allclose(_run(found[2], values=given)["perturb"], np.tanh(given), rtol=1e-5)


def test_no_file_of_another_model_stays(curved, tmp_path, monkeypatch):
    out = tmp_path / "onnx"
    to_onnx.write(_with(curved, decode=tf.tanh, encode=tf.tanh), out)
    (out / "mine.onnx").write_text("mine")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    other = _with(curved, encode=lambda images: 2 * images)
    with monkeypatch.context() as patch:
        patch.setattr(to_onnx, "TOLERANCE", -1.0)
        with pytest.raises(to_onnx.OnnxError, match="differs from TensorFlow"):
            to_onnx.write(other, out)
    assert before == {path.name: path.read_bytes() for path in out.iterdir()}
    to_onnx.write(other, out)
    assert {path.name for path in out.iterdir()} == {"card.json", "encode.onnx", "mine.onnx"}
    found = _run(out / "encode.onnx", images=np.ones((1, 2), np.float32))
    np.testing.assert_array_equal(found["encode"], [[2, 2]])


def test_the_folder_of_an_exported_model_is_refused_and_stays(curved, fails):
    before = {path: path.read_bytes() for path in curved.rglob("*") if path.is_file()}
    line = fails(command.main, "--format=onnx", f"--model={curved}", f"--out={curved}")
    assert line.startswith(f"error: {curved} holds an exported model")
    assert before == {path: path.read_bytes() for path in curved.rglob("*") if path.is_file()}


def test_a_defect_of_ours_is_not_said_to_be_an_operation_that_onnx_lacks(
    curved, tmp_path, monkeypatch
):
    monkeypatch.setattr(to_onnx, "_rename", lambda *_: [][0])
    with pytest.raises(IndexError):
        to_onnx.write(_with(curved, encode=tf.tanh), tmp_path)


def test_without_an_endpoint_that_onnx_has_nothing_is_written(curved, tmp_path, monkeypatch, fails):
    def refuse(*_):
        raise ValueError("Unsupported ops: Rare")

    monkeypatch.setattr(to_onnx, "_converted", refuse)
    line = fails(command.main, "--format=onnx", f"--model={curved}", f"--out={tmp_path}")
    assert "nothing of" in line and not list(tmp_path.glob("*.onnx"))


def test_bad_input_is_one_line(exported, tmp_path, monkeypatch, fails):
    for arguments in (
        ["--model=x", f"--out={tmp_path}"],
        ["--model=x", "--format=onnx"],
        ["--loop", "--format=onnx", f"--run={tmp_path}", f"--out={tmp_path}"],
        ["--format=onnx", f"--run={tmp_path}", "--model=x"],
    ):
        assert "error: " in fails(command.main, *arguments)
    # Both, so that the line is the same whether or not the extra is installed.
    for missing in ("onnxruntime", "tf2onnx"):
        monkeypatch.setitem(sys.modules, missing, None)
    line = fails(command.main, "--format=onnx", f"--model={exported}", f"--out={tmp_path}")
    assert "needs onnxruntime: pip install 'disentanglement-zoo[onnx]'" in line
