"""The one Jacobian engine: derivatives of a decoder's outputs with respect to its latents.

The gradient of the output against the latents with a cotangent u is J^T u, linear in u; the
gradient of its entry j against u is column j of J. One forward and one backward pass are shared by
all columns, so that ten columns cost less than ten forward passes. Chunks of examples, and
reductions folded over columns, keep the memory bounded.

The file is not called `jacobian.py`, because importing a module of that name would replace the
function `zoo.evaluation.jacobian` by the module.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from zoo.evaluation import checks, tangents, usable
from zoo.evaluation.arrays import checked_latents
from zoo.evaluation.decoders import prepared, probe
from zoo.evaluation.errors import InputError
from zoo.evaluation.traces import kept

MODES = ("auto", "double_gradient", "batch_jacobian", "forward")
_MATRICES = {
    "gram": lambda jacobians: tf.linalg.matmul(jacobians, jacobians, transpose_a=True),
    "triangular": lambda jacobians: tf.linalg.qr(jacobians).r,
    "column_norms": lambda jacobians: tf.norm(jacobians, axis=1),
}
_SLOTWISE = {"slot_sums": (tf.abs, tf.identity), "slot_norms": (tf.square, tf.sqrt)}
REDUCTIONS = (*_MATRICES, *_SLOTWISE)
_COLUMNWISE = {"double_gradient": tangents.linearise, "forward": tangents.forward}
# Sizes of chunks whose compiled functions are kept, each a graph of megabytes.
_SIZES = 8
# Unrolled columns let the runtime overlap and fuse them; more of them only lengthen the tracing.
_UNROLLED = 16


def jacobian(
    decoder: Callable,
    latents: np.ndarray,
    *,
    mode: str = "auto",
    reduction: str | Callable | None = None,
    dtype: str = "float32",
    memory: int = 2**29,
) -> np.ndarray:
    """The Jacobians of a decoder, or a reduction of them, in bounded memory.

    With J = d decoder(z) / d z at each example's own z:

    - `None`: J, `[N, *output_shape, *latent_shape]`;
    - `"gram"`: J^T J with flat latents, `[N, d, d]` float64;
    - `"triangular"`: the factor R of J = QR, `[N, min(outputs, d), d]` float64. It has the singular
      values, right singular vectors and column norms of J, so that every score of
      `zoo.evaluation.orthogonality` takes it in place of J;
    - `"column_norms"`: the Euclidean norms of the columns, `[N, *latent_shape]` float64;
    - `"slot_sums"`, `"slot_norms"`: for latents `[N, slots, slot_dim]`, the sum of absolute values,
      or the Euclidean norm, over each slot's latents, `[N, *output_shape, slots]`. J is not held;
    - a callable: its values `[n, ...]` on chunks of J, `[n, *output_shape, *latent_shape]`.

    The first call for a Keras object, a `tf.Module`, a function of a loaded SavedModel or a method
    of one traces and compiles the decoder, further calls of the same shape and settings do not:
    `zoo.evaluation.traces` says what they see of changes to the object. Other callables are traced
    at every call, as are float64 and reductions that are callables; `jacobian_function` compiles
    them once.

    Args:
        decoder: any TensorFlow callable from `[n, *latent_shape]` to `[n, *output_shape]` that
            treats examples independently: a Keras model, a function, a loaded SavedModel or one of
            its signatures.
        latents: `[N, *latent_shape]`.
        mode: `"double_gradient"` (see the module), `"batch_jacobian"` (one row at a time; for fewer
            outputs than latents, or operations without a second derivative), `"forward"`
            (`ForwardAccumulator`, one column at a time), or `"auto"`: `batch_jacobian` where the
            outputs are fewer than the latents or a second derivative is missing, else the first.
        reduction: see the list.
        dtype: `"float32"`, or `"float64"`, which also runs a decoder with float32 weights in
            float64 (see `zoo.evaluation.precision`).
        memory: bytes that a chunk of examples may take, as estimated from the decoder's graph; one
            example is always processed, whatever it takes.

    Raises:
        InputError: wrong shapes, non-finite latents, an unknown mode or reduction, or a decoder
            that cannot be traced or differentiated.
        UndefinedScoreError: the decoder's outputs are not connected to its latents, they or J are
            not finite, J is zero at all examples, or an example's output depends on its batch.
    """
    latents = checked_latents(latents, dtype)
    latent_shape = latents.shape[1:]
    settings = {"mode": mode, "reduction": reduction, "dtype": dtype, "memory": memory}

    def make(decoder):
        return jacobian_function(decoder, latent_shape, **settings)

    # A float64 graph holds copies of the weights, and a reduction may read what changes.
    frozen = dtype != "float32" or callable(reduction)
    key = ("jacobian", latent_shape, mode, reduction, memory)
    return (make(decoder) if frozen else kept(decoder, key, make))(latents)


def jacobian_function(
    decoder: Callable,
    latent_shape: Sequence[int],
    *,
    mode: str = "auto",
    reduction: str | Callable | None = None,
    dtype: str = "float32",
    memory: int = 2**29,
) -> Callable[[np.ndarray], np.ndarray]:
    """`jacobian` compiled once, for many calls: the returned function maps latents to its result.

    For callables that `jacobian` traces at every call, such as functions with arrays in their
    closure: who wraps them says that what they close over does not change.

    Variables of the decoder are read at every call (with `dtype="float32"`; not those of a
    SavedModel's signature, whose weights are copied); Python state is frozen by the tracing. One
    function is compiled for each number of examples, and the last eight are kept.

    Args:
        decoder: as in `jacobian`.
        latent_shape: without the batch axis.
        mode: as in `jacobian`.
        reduction: as in `jacobian`.
        dtype: as in `jacobian`.
        memory: as in `jacobian`.

    Raises:
        InputError: as in `jacobian`.
    """
    latent_shape = tuple(int(size) for size in latent_shape)
    _check_choices(mode, reduction, dtype, latent_shape)
    checks.whole(1, memory=memory)
    decoder = prepared(decoder, latent_shape, dtype)
    output_shape, activations = probe(decoder, latent_shape, dtype)
    named = not callable(reduction)
    decoder, reduction = usable.guarded(decoder), usable.of_finite(reduction)
    latent_size, output_size = math.prod(latent_shape), math.prod(output_shape)
    automatic = mode == "auto"
    if automatic:
        mode = "batch_jacobian" if output_size < latent_size else "double_gradient"
    plan = _Plan(mode, reduction, latent_shape, output_size, activations, dtype, memory)
    traced = {}

    def compiled(size):
        """The function of a chunk of known size: with it, passes that only give shapes go away."""
        nonlocal plan
        if size in traced:
            traced[size] = traced.pop(size)
        else:
            if len(traced) == _SIZES:
                del traced[next(iter(traced))]
            spec = tf.TensorSpec([size, *latent_shape], dtype)
            try:
                step = tf.function(_step(decoder, plan), autograph=False)
                traced[size] = step.get_concrete_function(spec)
            except LookupError as error:
                if not automatic or plan.mode == "batch_jacobian":
                    hint = "" if plan.mode == "batch_jacobian" else '; use mode="batch_jacobian"'
                    raise InputError(
                        f"the decoder lacks a derivative that mode {plan.mode!r} needs: "
                        f"{error}{hint}"
                    ) from error
                plan = dataclasses.replace(plan, mode="batch_jacobian")
                # That mode may hold more of an example, and take fewer at once.
                return compiled(min(size, plan.rows))
        return traced[size]

    def evaluate(latents) -> np.ndarray:
        latents = checked_latents(latents, dtype)
        if latents.shape[1:] != latent_shape:
            raise InputError(
                f"latents of shape {latents.shape}: compiled for [N, {_commas(latent_shape)}]"
            )
        size = min(plan.rows, len(latents))
        function = compiled(size)
        rows = min(size, plan.rows)
        return usable.require_live(lambda: _in_chunks(function, latents, rows, plan), named)

    evaluate.plan = lambda: plan
    return evaluate


@dataclasses.dataclass(frozen=True)
class _Plan:
    """How a Jacobian is computed: by which mode and in chunks of how many examples."""

    mode: str
    reduction: str | Callable | None
    latent_shape: tuple[int, ...]
    output_size: int
    activations: int
    dtype: str
    memory: int

    @property
    def columns_first(self) -> bool:
        """Whether a chunk's result is `[latents, n, ...]`, to be moved last without a copy."""
        return self.reduction is None and self.mode in _COLUMNWISE

    @property
    def _resident(self) -> int:
        """Bytes of one example that stay until its last column."""
        latent_size, itemsize = math.prod(self.latent_shape), tf.as_dtype(self.dtype).size
        if self.reduction in _SLOTWISE and self.mode in _COLUMNWISE:
            held = 2 * self.output_size * (self.latent_shape[0] + 2) * itemsize
        else:
            held = 2 * self.output_size * latent_size * itemsize
            if self.reduction in _MATRICES:
                held += 16 * self.output_size * latent_size
        return held + 3 * self.activations

    @property
    def rows(self) -> int:
        """Examples a chunk."""
        columns = min(_UNROLLED, math.prod(self.latent_shape)) * self.activations
        return max(1, self.memory // (self._resident + columns))

    @property
    def unrolled(self) -> int:
        """Columns that may be in memory at the same time."""
        left = self.memory - self.rows * self._resident
        return max(1, min(_UNROLLED, left // (self.rows * max(1, self.activations))))


def graph_jacobian(decoder: Callable, latents: tf.Tensor) -> tf.Tensor:
    """J `[n, *output_shape, *latent_shape]` as a tensor, for use inside a `tf.function` or export.

    The double gradient, without chunks: `latents` is `[n, *latent_shape]`, static but for n.
    """
    # An export's file holds every unrolled column, 0.5 MB of a Transformer.
    unrolled = _UNROLLED if latents.shape[1:].num_elements() <= _UNROLLED else 1
    columns = tangents.columns(*tangents.linearise(decoder, latents), latents, unrolled)
    return tangents.columns_last(columns, latents.shape[1:])


def _check_choices(mode, reduction, dtype, latent_shape):
    if mode not in MODES:
        raise InputError(f"mode {mode!r}: must be one of {', '.join(MODES)}")
    if dtype not in ("float32", "float64"):
        raise InputError(f"dtype {dtype!r}: must be 'float32' or 'float64'")
    if not (reduction is None or callable(reduction) or reduction in REDUCTIONS):
        raise InputError(f"reduction {reduction!r}: must be one of {', '.join(REDUCTIONS)}")
    if reduction in _SLOTWISE and len(latent_shape) != 2:
        raise InputError(
            f"reduction {reduction!r} needs latents [N, slots, slot_dim], not [N, "
            f"{_commas(latent_shape)}]"
        )


def _commas(shape) -> str:
    return ", ".join(map(str, shape))


def _step(decoder, plan):
    """The function of one chunk of latents; columns come first where nothing is reduced."""
    mode, reduction, unrolled = plan.mode, plan.reduction, plan.unrolled
    if mode == "batch_jacobian":
        full = _rows(decoder)
    else:
        columnwise = _COLUMNWISE[mode]
        if reduction is None:
            return lambda latents: tangents.columns(
                *columnwise(decoder, latents), latents, unrolled
            )
        if reduction in _SLOTWISE:
            return lambda latents: tangents.slots(
                *columnwise(decoder, latents), latents, unrolled, *_SLOTWISE[reduction]
            )

        def full(latents):
            columns = tangents.columns(*columnwise(decoder, latents), latents, unrolled)
            return tangents.columns_last(columns, latents.shape[1:])

    if reduction is None:
        return full
    if callable(reduction):
        return lambda latents: reduction(full(latents))
    if reduction in _SLOTWISE:
        inner, outer = _SLOTWISE[reduction]
        return lambda latents: outer(tf.reduce_sum(inner(full(latents)), -1))

    def matrix(latents):
        jacobians, count = full(latents), latents.shape[1:].num_elements()
        jacobians = tf.reshape(jacobians, [tf.shape(jacobians)[0], -1, count])
        result = _MATRICES[reduction](tf.cast(jacobians, tf.float64))
        if reduction == "column_norms":
            result = tf.reshape(result, [-1, *latents.shape[1:]])
        return result

    return matrix


def _rows(decoder):
    def full(latents):
        with tf.GradientTape() as tape:
            tape.watch(latents)
            output = decoder(latents)
            # One number an example is a row alone.
            rows = output[:, None] if output.shape.rank == 1 else output
        jacobians = tape.batch_jacobian(
            rows, latents, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return jacobians if rows is output else jacobians[:, 0]

    return full


def _in_chunks(function, latents, size, plan) -> np.ndarray:
    """The results of all chunks of examples, written into one array as they come."""
    axis = 1 if plan.columns_first else 0
    result = None
    for start in range(0, len(latents), size):
        part = latents[start : start + size]
        # The last chunk is filled up to the size that the function was traced for.
        filled = np.concatenate([part, np.repeat(part[-1:], size - len(part), 0)])
        chunk = function(tf.convert_to_tensor(filled))
        chunk = (tf.cast(chunk, tf.float32) if chunk.dtype.size < 4 else chunk).numpy()
        if chunk.ndim <= axis or chunk.shape[axis] != size:
            raise InputError(
                f"the reduction returns shape {chunk.shape} for {size} examples: must be [n, ...]"
            )
        if size == len(latents):
            result = chunk
            break
        if result is None:
            shape = (*chunk.shape[:axis], len(latents), *chunk.shape[axis + 1 :])
            result = np.empty(shape, chunk.dtype)
        where = (slice(None),) * axis
        result[(*where, slice(start, start + size))] = chunk[(*where, slice(len(part)))]
    if plan.columns_first:
        # Columns come one after another; moving them last as a view costs no copy.
        lead = len(plan.latent_shape)
        result = result.reshape(*plan.latent_shape, *result.shape[1:])
        result = np.moveaxis(result, range(lead), range(-lead, 0))
    return result
