"""Compiled loops that the runs of one process share: XLA takes longer than many a short run.

A loop is made of the graph of one step. Runs whose steps are the same graph, whatever the names in
it, differ in their variables, tables and seeds alone: these are arguments of one compiled program.
"""

import collections
import hashlib
from collections.abc import Callable, Sequence

import tensorflow as tf

# Programs kept, the latest used: a table's rows of a few shapes.
_KEPT = 8
_programs: collections.OrderedDict[str, Callable] = collections.OrderedDict()


def shared(
    step: tf.types.experimental.ConcreteFunction, variables: Sequence[tf.Variable]
) -> Callable | None:
    """The loop over a step, compiled by XLA, bound to this step's variables.

    Args:
        step: traced from `(tables, seed, number)` to losses by name; it holds no others' variables.
        variables: all that it may read or change.

    Returns:
        `(tables, seed, start, steps, totals) -> totals`: makes `steps` steps from number `start` on
        and adds up their losses; None where the step uses what is no variable of these, such as a
        hash table.
    """
    numbers = {id(variable.handle): k for k, variable in enumerate(variables)}
    captured = [tensor for tensor, _ in step.graph.captures]
    # Which variable is which is not in the graph.
    order = [numbers.get(id(tensor)) for tensor in captured]
    if any(k is None and t.dtype == tf.resource for t, k in zip(captured, order, strict=True)):
        return None
    graph = step.graph.as_graph_def()
    # Nor are the names of the losses.
    parts = canonical(graph), order, sorted(step.structured_outputs)
    key = hashlib.sha256(repr(parts).encode()).hexdigest()
    if key not in _programs:
        _programs[key] = _compiled(step, graph)
    _programs.move_to_end(key)
    while len(_programs) > _KEPT:
        _programs.popitem(last=False)
    program = _programs[key]
    return lambda *given: program(*given, captured)


def _compiled(step, graph) -> Callable:
    inputs = [tensor.op.name for tensor in step.inputs]
    outputs = [tensor.name for tensor in step.outputs]
    losses = step.structured_outputs
    body = tf.compat.v1.GraphDef(library=graph.library, versions=graph.versions)
    body.node.extend(node for node in graph.node if node.name not in inputs)
    for node in body.node:
        # There is no waiting for an argument.
        kept = [name for name in node.input if name not in {f"^{i}" for i in inputs}]
        del node.input[:]
        node.input.extend(kept)
    used = {name.partition(":")[0] for node in body.node for name in node.input}
    used |= {name.partition(":")[0] for name in outputs}

    def once(tables, seed, number, captured):
        given = [*tf.nest.flatten((tables, seed, number)), *captured]
        # Importing, unlike calling, takes tensors of this very graph.
        graph = tf.compat.v1.get_default_graph()
        fed = {
            f"{name}:0": graph.capture(value)
            for name, value in zip(inputs, given, strict=True)
            if name in used
        }
        found = tf.graph_util.import_graph_def(body, fed, outputs, name="step")
        return tf.nest.pack_sequence_as(losses, found)

    @tf.function(autograph=False, jit_compile=True)
    def program(tables, seed, start, steps, totals, captured):
        return repeat(lambda n: once(tables, seed, n, captured), start, steps, totals)

    return program


def repeat(step: Callable, start, steps, totals) -> dict[str, tf.Tensor]:
    """Calls `step` with `steps` numbers from `start` on, and adds its losses to `totals`."""

    def once(done, totals):
        losses = step(start + done)
        return done + 1, {name: totals[name] + losses[name] for name in totals}

    return tf.while_loop(lambda done, _: done < steps, once, (tf.constant(0), totals))[1]


def canonical(graph) -> str:
    """A graph as text in which nodes and functions are numbered, not named.

    Two graphs of one text compute the same. Names hold counters of the process.

    Args:
        graph: a `GraphDef`.
    """
    library = {function.signature.name: function for function in graph.library.function}
    numbers: dict[str, int] = {}
    texts: list[str] = []

    def number(name: str) -> str:
        if name in library and name not in numbers:
            numbers[name] = len(numbers)
            texts.append(function_text(library[name]))
        return f"function {numbers[name]}" if name in numbers else name

    def attribute(value) -> str:
        copy = type(value)()
        copy.CopyFrom(value)
        for function in [copy.func] if copy.HasField("func") else copy.list.func:
            function.name = number(function.name)
        return copy.SerializeToString(deterministic=True).hex()

    def nodes_text(nodes, arguments) -> tuple[str, Callable]:
        names = {name: f"n{k}" for k, name in enumerate([*arguments, *(n.name for n in nodes)])}

        def of(tensor: str) -> str:
            base, colon, rest = tensor.removeprefix("^").partition(":")
            return f"{'^' * tensor.startswith('^')}{names[base]}{colon}{rest}"

        lines = [
            f"{number(node.op)} {node.device} {[*map(of, node.input)]} "
            f"{[(k, attribute(node.attr[k])) for k in sorted(node.attr) if not _named(k, node)]}"
            for node in nodes
        ]
        return "\n".join(lines), of

    def function_text(function) -> str:
        arguments = [argument.name for argument in function.signature.input_arg]
        text, of = nodes_text(function.node_def, arguments)
        types = [a.type for a in function.signature.input_arg]
        returned = [of(function.ret[a.name]) for a in function.signature.output_arg]
        run = sorted(of(function.control_ret[c]) for c in function.signature.control_output)
        return f"{types}\n{text}\n{returned} {run}"

    main, _ = nodes_text(graph.node, [])
    return "\n\n".join([*texts, main])


def _named(key: str, node) -> bool:
    """Whether an attribute holds a name and nothing that is computed."""
    return key in ("_gradient_op_type", "_user_specified_name", "_class") or (
        key == "shared_name" and node.op != "VarHandleOp"
    )
