"""A training loop as a StableHLO program, which JAX can run without TensorFlow."""

import dataclasses
import re
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from zoo.errors import UserError
from zoo.training.loop import Pure

# Of StableHLO, May 2024: what is written for it every later version reads.
_VERSION = "1.0.0"
# Attributes of XLA and TensorFlow, which StableHLO alone does not know.
_FOREIGN = ("mhlo.", "tf.")
_REFUSED = "Failed getting HLO text:"


@dataclasses.dataclass(frozen=True)
class Program:
    """A loop's program with everything that it takes.

    Its function `main` takes the arrays of `state`, those of `data`, then `seed`, `start` and
    `steps` (int32); it returns the state after the steps and the sums of the losses over them, as
    `zoo.training.loop.Pure` says.

    Attributes:
        artifact: the program, a portable artifact of StableHLO.
        state: what the model and its optimisers hold, by number.
        data: the tables of the data set by name, and constants that the graph uses.
        losses: the shapes of the losses by name.
    """

    artifact: bytes
    state: Mapping[str, np.ndarray]
    data: Mapping[str, np.ndarray]
    losses: Mapping[str, tuple[int, ...]]


def program(pure: Pure) -> Program:
    """Compiles a loop down to StableHLO; nothing is trained.

    Raises:
        UserError: JAX is not installed, or XLA has no way to compile the model.
    """
    _require_jax()
    state = {name: variable.numpy() for name, variable in pure.variables.items()}
    data = {name: table.numpy() for name, table in pure.tables.items()}
    numbers = [tf.constant(number, tf.int32) for number in (pure.seed, 0, 1)]
    given = ([tf.constant(value) for value in state.values()], list(pure.tables.values()), *numbers)
    graph = pure.function.get_concrete_function(*given)
    try:
        text = pure.function.experimental_get_compiler_ir(*given)(stage="stablehlo")
    except ValueError as error:
        reason = str(error).strip().splitlines()[0]
        # The only mark that TensorFlow gives XLA's refusals.
        if not reason.startswith(_REFUSED):
            raise
        reason = reason.removeprefix(_REFUSED).strip(" '")
        raise UserError(f"XLA cannot compile this training's loop: {reason}") from error
    # What the graph holds comes after its arguments.
    places = {id(variable.handle): k for k, variable in enumerate(pure.variables.values())}
    held = []
    for tensor in graph.captured_inputs:
        if tensor.dtype == tf.resource:
            held.append(places[id(tensor)])
        else:
            held.append(len(state) + len(data))
            data[f"constant/{len(data) - len(pure.tables)}"] = tensor.numpy()
    arrays = len(state) + len(pure.tables)
    ends = range(len(state) + len(data), len(state) + len(data) + len(numbers))
    artifact = _artifact(text, [*range(arrays), *ends, *held], len(state) + len(pure.losses))
    return Program(artifact, state, data, {n: tuple(s) for n, s in pure.losses.items()})


def _require_jax() -> None:
    try:
        import jax  # noqa: F401
    except ImportError:
        raise UserError(
            "exporting a loop needs JAX: pip install 'disentanglement-zoo[portable]'"
        ) from None


def _artifact(text: str | bytes, feeds: Sequence[int], results: int) -> bytes:
    """The program that TensorFlow wrote, with the arguments and results of ours.

    Args:
        text: of TensorFlow, whose `main` also takes and returns what its variables hold.
        feeds: which argument of ours each of its is.
        results: how many of its results, from the first on, are ours.
    """
    from jax.interpreters import mlir
    from jaxlib.mlir import ir, passmanager
    from jaxlib.mlir.dialects import func, stablehlo

    stablehlo.register_stablehlo_passes()
    text = _translated(text.decode() if isinstance(text, bytes) else text)
    with mlir.make_ir_context() as context, ir.Location.unknown(context):
        context.allow_unregistered_dialects = True
        module = ir.Module.parse(text)
        _strip(module.operation)
        passes = "builtin.module(func.func(chlo-legalize-to-stablehlo))"
        passmanager.PassManager.parse(passes).run(module.operation)
        loop = ir.SymbolTable(module.operation)["main"]
        taken, given = loop.type.inputs, loop.type.results
        if len(taken) != len(feeds):
            raise AssertionError(f"XLA made {len(taken)} arguments of {len(feeds)}")
        ir.SymbolTable.set_symbol_name(loop, "loop")
        loop.attributes["sym_visibility"] = ir.StringAttr.get("private")
        types = dict(zip(feeds, taken, strict=True))
        with ir.InsertionPoint(module.body):
            main = func.FuncOp("main", ([types[k] for k in sorted(types)], given[:results]))
        with ir.InsertionPoint(main.add_entry_block()):
            call = func.CallOp(loop, [main.arguments[k] for k in feeds])
            func.ReturnOp(list(call.results)[:results])
        return stablehlo.serialize_portable_artifact_str(str(module), _VERSION)


def _translated(text: str) -> str:
    """The program without XLA's own operations: copies, and functions such as erf."""
    # The barrier does nothing either.
    text = text.replace(" mhlo.copy ", " stablehlo.optimization_barrier ")
    return re.sub(r" mhlo\.(\w+) (%\w+) : (tensor<[^>]*>)", r" chlo.\1 \2 : \3 -> \3", text)


def _strip(operation) -> None:
    """Removes what only XLA and TensorFlow know from an operation and all within it."""
    # Names, or before jaxlib 0.8 attributes with names.
    for name in [getattr(each, "name", each) for each in operation.attributes]:
        if name.startswith(_FOREIGN) or name in ("arg_attrs", "res_attrs"):
            del operation.attributes[name]
    for region in operation.regions:
        for block in region:
            for inner in block:
                _strip(inner.operation)
