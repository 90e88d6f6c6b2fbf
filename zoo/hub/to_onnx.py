"""Exported models as ONNX files, for runtimes without TensorFlow."""

import functools
import logging as standard_logging
import pathlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from absl import logging

from zoo.errors import UserError
from zoo.files import atomic, sync, temporary_prefix
from zoo.hub import endpoints, package
from zoo.hub.load import Pretrained

# What draws numbers or differentiates stays with TensorFlow.
ENDPOINTS = tuple(name for name in endpoints.DECLARED if name not in ("sample", "jacobian"))
# The largest difference from TensorFlow's values, relative to the largest of them beyond 1.
TOLERANCE = 1e-4
# Understood by ONNX Runtime 1.15 and later.
_OPSET = 17
_EXAMPLES = 3


class OnnxError(UserError):
    """A model that cannot be exported as ONNX here."""


def write(model: Pretrained, folder: pathlib.Path) -> list[pathlib.Path]:
    """Writes `NAME.onnx` for each endpoint NAME of a model but two, `sample` and `jacobian`.

    Inputs have the names of the endpoint's arguments (`images`, `latents`, `domain`), the output
    that of the endpoint, or those of the parts (`mean`, `stddev`) where there are several; the
    first axis of all is the batch, single numbers excepted. Each file is run by ONNX Runtime on
    examples and must agree with TensorFlow. The card of the model comes with them.

    Args:
        model: as `zoo.hub.load` returns it.
        folder: made if absent; all files that an earlier call wrote there go.

    Returns:
        The files. An endpoint with an operation that ONNX lacks has none; a warning says so.

    Raises:
        OnnxError: the extra `onnx` is not installed, the folder holds an exported model, a file
            does not compute what TensorFlow does, or there is no file at all.
    """
    converter, runtime = _libraries()
    if (folder / package.SAVED_MODEL).exists():
        raise OnnxError(
            f"{folder} holds an exported model, whose card would be replaced; name another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=temporary_prefix("onnx"), dir=folder) as temporary:
        written = _written(model, pathlib.Path(temporary), converter, runtime)
        if not written:
            raise OnnxError(f"nothing of {model.path} could be written as ONNX; use the SavedModel")
        # A folder with a card holds the files of one model: those of another go.
        for name in (package.CARD, *(f"{endpoint}.onnx" for endpoint in endpoints.DECLARED)):
            (folder / name).unlink(missing_ok=True)
        paths = [path.rename(folder / path.name) for path in written]
    with atomic(folder / package.CARD) as card:
        shutil.copyfile(model.path / package.CARD, card)
    return paths


def _written(
    model: Pretrained, folder: pathlib.Path, converter: ModuleType, runtime: ModuleType
) -> list[pathlib.Path]:
    """Writes the files of the endpoints that can be converted."""
    import tensorflow as tf

    paths = []
    for name in ENDPOINTS:
        function = getattr(model.model, name, None)
        if function is None:
            continue
        specs, _ = function.concrete_functions[0].structured_input_signature
        called = tf.function(functools.partial(_called, function), input_signature=specs)
        try:
            proto = _converted(called, specs, converter)
        except Exception as error:  # the library's own, of many kinds
            _warn(name, error)
            continue
        _rename(proto.graph, function, name)
        content = proto.SerializeToString()
        try:
            session = runtime.InferenceSession(content, providers=["CPUExecutionProvider"])
        except Exception as error:  # the same: an operation left as it was is found here
            _warn(name, error)
            continue
        _check(session, function, name)
        paths.append(folder / f"{name}.onnx")
        paths[-1].write_bytes(content)
        sync(paths[-1])
        logging.info("%s: %.1f MB", paths[-1].name, len(content) / 1e6)
    return paths


def _warn(name: str, error: Exception) -> None:
    why = " ".join(str(error).split())
    logging.warning("no %s.onnx, as ONNX lacks an operation of it: %s", name, why)


def _libraries() -> tuple[ModuleType, ModuleType]:
    try:
        import onnxruntime
        import tf2onnx
    except ModuleNotFoundError as error:
        raise OnnxError(
            f"--format=onnx needs {error.name}: pip install 'disentanglement-zoo[onnx]'"
        ) from None
    # What it cannot convert is said once, by the warning.
    standard_logging.getLogger("tf2onnx").setLevel(standard_logging.CRITICAL)
    return tf2onnx, onnxruntime


def _called(function: Callable, *tensors: Any) -> Any:
    return function(*tensors)


def _converted(function: Callable, specs: Sequence, converter: ModuleType) -> Any:
    proto, _ = converter.convert.from_function(
        function,
        input_signature=specs,
        opset=_OPSET,
        custom_op_handlers={"Erfc": (_erfc, []), "BroadcastArgs": (_broadcast_args, [])},
    )
    return proto


def _erfc(graph, node, name: str, arguments: list) -> None:
    """erfc(x) = 1 - erf(x), which the converter does not know; GELU has it."""
    del arguments
    shapes, kinds = node.output_shapes, node.output_dtypes
    graph.remove_node(node.name)
    one = graph.make_const(f"{name}_one", np.float32(1))
    erf = graph.make_node("Erf", node.input, shapes=shapes, dtypes=kinds)
    inputs = [one.output[0], erf.output[0]]
    graph.make_node("Sub", inputs, name=name, outputs=node.output, shapes=shapes, dtypes=kinds)


def _broadcast_args(graph, node, name: str, arguments: list) -> None:
    """The shape to which two shapes broadcast, which distributions of TFP ask for."""
    del arguments
    shapes, kinds = node.output_shapes, node.output_dtypes
    graph.remove_node(node.name)
    to_int64 = {"to": 7}  # onnx.TensorProto.INT64
    one, other = (graph.make_node("Cast", [i], attr=to_int64).output[0] for i in node.input)
    zeros = graph.make_node("ConstantOfShape", [one]).output[0]
    full = graph.make_node("Expand", [zeros, other]).output[0]
    shape = graph.make_node("Shape", [full]).output
    options = {"name": name, "outputs": node.output, "shapes": shapes, "dtypes": kinds}
    graph.make_node("Cast", shape, attr={"to": kinds[0]}, **options)


def _rename(graph, function: Callable, name: str) -> None:
    """Gives the outputs of a graph names, and the batch one."""
    # They come in the order of `tf.nest.flatten`.
    outputs = function.concrete_functions[0].structured_outputs
    names = sorted(outputs) if isinstance(outputs, dict) else [name]
    known = dict(zip([output.name for output in graph.output], names, strict=True))
    for node in graph.node:
        for part in (node.input, node.output):
            part[:] = [known.get(each, each) for each in part]
    for output in graph.output:
        output.name = known[output.name]
    for value in (*graph.input, *graph.output):
        # The bounds of a distribution are numbers, without a batch.
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = "batch"


def _check(session, function: Callable, name: str) -> None:
    rng, given = np.random.default_rng(0), {}
    for each in session.get_inputs():
        shape = (_EXAMPLES, *each.shape[1:])
        whole = each.type != "tensor(float)"
        given[each.name] = np.zeros(shape, np.int32) if whole else rng.random(shape, np.float32)
    arguments = [given[argument] for argument in endpoints.DECLARED[name].arguments]
    expected = function(*arguments)
    expected = expected if isinstance(expected, dict) else {name: expected}
    found = session.run(list(expected), given)
    for (part, values), others in zip(expected.items(), found, strict=True):
        values = np.asarray(values)
        error = np.abs(values - others).max() / max(1.0, np.abs(values).max())
        if not error <= TOLERANCE:
            raise OnnxError(
                f"{name}.onnx differs from TensorFlow by {error:.1e} in {part}; use the SavedModel"
            )
