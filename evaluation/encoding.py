"""Codes of images by number, each image encoded at most once."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from zoo import cores
from zoo.evaluation import arrays
from zoo.evaluation.errors import UNTRACEABLE, InputError
from zoo.evaluation.traces import kept, may_be_kept

# Images whose activations stay in the caches of a core, which works on them alone: larger batches
# wait for memory, and for the other cores at the end of every layer.
_CHUNK = 64


class _WrongCodesError(Exception):
    """A trace returns codes that are not `[chunk, ...]`, or whose rank is not known beforehand."""


class CachedCodes:
    """Codes of the images of a data set, encoded when first asked for and then kept.

    Encoders whose traces may be kept (`zoo.evaluation.traces`: methods of Keras models, modules and
    loaded models) are compiled and take images in chunks, several at the same time; they run in the
    precision that they have. Other callables, and what cannot be traced, are called as they are.

    Attributes:
        seconds: what has been spent on reading and encoding images.
        code_shape: the shape of one code as the encoder returns it, None before the first.
    """

    def __init__(self, encoder: Callable[[np.ndarray], Any], images: Any, batch_size: int = 512):
        """Keeps an encoder and the images it is asked for.

        Args:
            encoder: maps `[B, ...]` float32 images in [0, 1] to codes `[B, ...]`, an array or a
                tensor. Where it is not compiled here it is always given `batch_size` images, so
                that it is compiled once if it compiles itself.
            images: `images[numbers]` returns arrays whose value `images.maximum` means 1.
            batch_size: how many images are read and encoded at once.
        """
        self.seconds = 0.0
        self.code_shape: tuple[int, ...] | None = None
        self._encoder, self._images, self._batch_size = encoder, images, batch_size
        # Plain arrays are read, and checked, in Python.
        self._compiled = may_be_kept(encoder) and arrays.maximum_of(images) is not None
        self._known = np.zeros(len(images), bool)
        self._codes: np.ndarray | None = None

    def __call__(self, numbers: np.ndarray) -> np.ndarray:
        """Codes `[n, D]` of the images of some numbers `[n]`; further axes are flattened.

        Raises:
            ValueError: the encoder returns codes of a wrong length, that are not finite, or images.
        """
        numbers = np.asarray(numbers)
        start = time.perf_counter()
        missing = np.unique(numbers[~self._known[numbers]])
        for first in range(0, len(missing), self._batch_size):
            batch = missing[first : first + self._batch_size]
            codes = self._encode(batch)
            if self._codes is None:
                # Memory that is never written to costs nothing.
                self._codes = np.empty((len(self._known), codes.shape[1]), codes.dtype)
            self._codes[batch], self._known[batch] = codes, True
        self.seconds += time.perf_counter() - start
        return self._codes[numbers]

    def _encode(self, numbers: np.ndarray) -> np.ndarray:
        codes = self._encode_compiled(numbers) if self._compiled else None
        if codes is None:
            filled = _filled(numbers, self._batch_size)
            codes = self._encoder(images_in_unit_range(self._images, filled))
            codes = arrays.real(codes, "codes")
            if codes.ndim < 2 or len(codes) != len(filled):
                raise InputError(
                    f"the encoder made codes of shape {codes.shape} from {len(filled)} images: "
                    f"[{len(filled)}, D] is wanted"
                )
        # Of images with channels: vectors and their codes may be of one shape, and slots of rank 3.
        if codes.ndim > 3 and codes.shape[1:] == np.shape(self._images[numbers[:1]])[1:]:
            raise InputError(
                f"the model returns images, of shape {list(codes.shape[1:])}, where codes are "
                "wanted: pass its encoder, or an object with encode and decode"
            )
        self.code_shape = codes.shape[1:]
        codes = codes[: len(numbers)].reshape(len(numbers), -1)
        if not np.isfinite(codes).all():
            raise InputError("the encoder made codes that are not finite numbers")
        return codes

    def _encode_compiled(self, numbers: np.ndarray) -> np.ndarray | None:
        """Codes of some images, and of repetitions of the last; None where that is impossible."""
        import tensorflow as tf

        chunk = _chunk(self._batch_size)
        images = np.asarray(self._images[_filled(numbers, chunk)])
        maximum = float(self._images.maximum)

        def make(encoder):
            return _compiled(encoder, images.shape[1:], images.dtype, maximum, chunk)

        key = ("encode", images.shape[1:], images.dtype.str, maximum, chunk)
        try:
            return arrays.real(kept(self._encoder, key, make)(images), "codes")
        except (*UNTRACEABLE, _WrongCodesError, tf.errors.InvalidArgumentError):
            if self.code_shape is not None:
                raise
            # Called as it is the encoder works, or says better what is wrong.
            self._compiled = False
            return None


def encoder_of(model: Any) -> Callable:
    """What makes codes of images: a model's `encode`, or the model, where it is callable."""
    if hasattr(model, "encode"):
        return model.encode
    generates = hasattr(model, "generate")
    if callable(model) and not generates:
        return model
    why = "it generates images"
    if not generates:
        why = (
            f"it is a {type(model).__name__}; pass its encoder, or an object with encode and decode"
        )

    def fail(images: np.ndarray) -> np.ndarray:
        raise InputError(f"the model has no codes: {why}")

    return fail


def images_in_unit_range(images: Any, numbers: np.ndarray) -> np.ndarray:
    """`[n, ...]` float32 images, those of some numbers, with `images.maximum` as 1.

    Plain arrays, which state no maximum, are integers in 0..255 or floats in [0, 1].
    """
    maximum = arrays.maximum_of(images)
    if maximum is None:
        return arrays.unit_range(images, numbers, "images")
    return np.asarray(images[numbers], np.float32) / np.float32(maximum)


def _filled(numbers: np.ndarray, size: int) -> np.ndarray:
    """Numbers up to a multiple of `size`, the last repeated: compiled code sees one shape only."""
    return np.pad(numbers, (0, -len(numbers) % size), mode="edge")


def _chunk(batch_size: int) -> int:
    """How many images are given to the encoder at once of a batch."""
    import tensorflow as tf

    whole = batch_size % _CHUNK or tf.config.list_logical_devices("GPU")
    return batch_size if whole else _CHUNK


def _compiled(encoder, shape, dtype, maximum, chunk) -> Callable[[np.ndarray], np.ndarray]:
    """The encoder of images as they are stored, `[k * chunk, *shape]`, to codes."""
    import tensorflow as tf

    def encode(images):
        codes = encoder(tf.cast(images, tf.float32) / maximum)
        if codes.shape.rank is None or codes.shape.rank < 2 or codes.shape[0] not in (None, chunk):
            raise _WrongCodesError
        return tf.ensure_shape(codes, [chunk, *codes.shape[1:]])

    spec = tf.TensorSpec([chunk, *shape], dtype)
    codes = tf.function(encode, autograph=False).get_concrete_function(spec).structured_outputs

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([None, *shape], dtype)])
    def encode_all(images):
        chunks = tf.map_fn(
            encode,
            tf.reshape(images, [-1, chunk, *shape]),
            fn_output_signature=tf.TensorSpec(codes.shape, codes.dtype),
            # Two a core: while one waits for the last part of a layer, the other continues.
            parallel_iterations=2 * cores.count(),
        )
        return tf.reshape(chunks, tf.concat([[-1], tf.shape(chunks)[2:]], 0))

    concrete = encode_all.get_concrete_function()
    return lambda images: concrete(tf.constant(images)).numpy()
