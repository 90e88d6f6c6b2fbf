"""What the derivative engine asks of a decoder, and finds out about it before it starts."""

import math
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from zoo.errors import UserError
from zoo.evaluation import usable
from zoo.evaluation.errors import UNTRACEABLE, FailingDecoderError, InputError
from zoo.evaluation.precision import in_float64, inlined


def prepared(decoder: Callable, latent_shape: tuple[int, ...], dtype: str) -> Callable:
    """The decoder as a function from one tensor to one tensor, in the wanted precision."""
    signature = isinstance(decoder, tf.types.experimental.ConcreteFunction)
    decoder = single_output(decoder)
    if dtype == "float64":
        return in_float64(decoder, latent_shape, signature)
    return inlined(decoder, latent_shape, dtype) if signature else decoder


def single_output(decoder: Callable) -> Callable:
    """A decoder whose result is one tensor; the one entry of a dict is taken out.

    The signatures of a SavedModel take one keyword and return a dict.
    """
    keyword = None
    if isinstance(decoder, tf.types.experimental.ConcreteFunction):
        positional, keywords = decoder.structured_input_signature
        if not positional and len(keywords) == 1:
            (keyword,) = keywords

    def decode(latents):
        try:
            output = decoder(latents) if keyword is None else decoder(**{keyword: latents})
        except UNTRACEABLE:
            output = _of_numpy(decoder, latents)
            if output is None:
                raise
        if isinstance(output, dict):
            if len(output) != 1:
                raise InputError(
                    f"the decoder returns a dict of {len(output)} entries ({', '.join(output)}): "
                    "wrap it in a function that returns one tensor"
                )
            (output,) = output.values()
        if not isinstance(output, tf.Tensor):
            raise InputError(
                f"the decoder returns {type(output).__name__}, not a TensorFlow tensor: it must be "
                "a TensorFlow callable (pass Jacobian arrays of other frameworks to the scores)"
            )
        return output

    return decode


def _of_numpy(decoder, latents) -> np.ndarray | None:
    """What a decoder that fails on a tensor makes of an array, if it makes an array of it."""
    try:
        output = decoder(np.zeros([1, *latents.shape[1:]], latents.dtype.as_numpy_dtype))
    except Exception:  # Then its failure on a tensor is the one to report, whatever this one is.
        return None
    return output if isinstance(output, np.ndarray) else None


def probe(decoder, latent_shape, dtype):
    """The output shape, and the bytes of all activations, of one example.

    Raises:
        InputError: as `traced`.
        UndefinedScoreError: as `traced`; see `usable.require_gradient`, too.
    """
    concrete, output_shape = traced(decoder, latent_shape, dtype)
    # That of the gradient joins the graph.
    activations = _activation_bytes(concrete.graph)
    usable.require_gradient(concrete)
    return output_shape, activations


def traced(decoder, latent_shape, dtype):
    """The decoder as a function of any number of examples, and the output shape of one.

    Raises:
        InputError: its output is none of real numbers; `FailingDecoderError` where it fails.
        UndefinedScoreError: see `usable.require_independence`.
    """
    spec = tf.TensorSpec([None, *latent_shape], dtype)
    try:
        concrete = tf.function(decoder, autograph=False).get_concrete_function(spec)
        output = concrete(tf.zeros([1, *latent_shape], dtype))
    except UserError:
        raise
    except (*UNTRACEABLE, ValueError, tf.errors.OpError) as error:
        raise FailingDecoderError(
            f"the decoder fails on {dtype} latents of shape {_open(latent_shape)}: "
            f"{next(iter(str(error).splitlines()), error)}"
        ) from error
    if output.shape.rank == 0 or output.shape[0] != 1:
        raise InputError(f"the decoder maps one example to shape {output.shape}: must be [1, ...]")
    if not output.dtype.is_floating:
        raise InputError(f"the decoder returns {output.dtype.name}: nothing to differentiate")
    if not output.shape.num_elements():
        raise InputError(f"the decoder maps one example to shape {output.shape}, which is empty")
    usable.require_independence(concrete, latent_shape)
    return concrete, tuple(output.shape[1:])


def _activation_bytes(graph) -> int:
    definition = graph.as_graph_def(add_shapes=True)
    bodies = [definition.node, *(function.node_def for function in definition.library.function)]
    total = 0
    for node in (node for body in bodies for node in body):
        # Weights have no batch axis: only tensors whose first size is open scale with the examples.
        for shape in node.attr["_output_shapes"].list.shape:
            sizes = [dim.size for dim in shape.dim]
            if sizes and sizes[0] == -1:
                total += 4 * math.prod(max(size, 1) for size in sizes)
    return total


def _open(shape) -> str:
    return "[" + ", ".join(map(str, ("n", *shape))) + "]"
