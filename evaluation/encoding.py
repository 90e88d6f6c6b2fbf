"""Codes of images by number, each image encoded at most once."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from evaluation import arrays


class CachedCodes:
    """Codes of the images of a data set, encoded when first asked for and then kept.

    Attributes:
        seconds: what has been spent on reading and encoding images.
        code_shape: the shape of one code as the encoder gives it, None before the first.
    """

    def __init__(self, encoder: Callable[[np.ndarray], Any], images: Any, batch_size: int = 256):
        """Keeps an encoder and the images it is asked for.

        Args:
            encoder: maps `[B, ...]` float32 images in [0, 1] to codes `[B, ...]`, an array or a
                tensor; it is always given `batch_size` images, so that it is compiled once.
            images: `images[numbers]` gives arrays whose value `images.maximum` means 1.
            batch_size: B.
        """
        self.seconds = 0.0
        self.code_shape: tuple[int, ...] | None = None
        self._encoder, self._images, self._batch_size = encoder, images, batch_size
        self._known = np.zeros(len(images), bool)
        self._codes: np.ndarray | None = None

    def __call__(self, numbers: np.ndarray) -> np.ndarray:
        """Codes `[n, D]` of the images of some numbers `[n]`; further axes are flattened.

        Raises:
            ValueError: the encoder gives codes of a wrong length, or that are not finite.
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
        # Filled up with its last image: a compiled encoder sees one shape only.
        filled = np.pad(numbers, (0, self._batch_size - len(numbers)), mode="edge")
        codes = arrays.real(self._encoder(images_in_unit_range(self._images, filled)), "codes")
        if codes.ndim < 2 or len(codes) != len(filled):
            raise ValueError(
                f"the encoder made codes of shape {codes.shape} from {len(filled)} images: "
                f"[{len(filled)}, D] is wanted"
            )
        self.code_shape = codes.shape[1:]
        codes = codes[: len(numbers)].reshape(len(numbers), -1)
        if not np.isfinite(codes).all():
            raise ValueError("the encoder made codes that are not finite numbers")
        return codes


def images_in_unit_range(images: Any, numbers: np.ndarray) -> np.ndarray:
    """`[n, ...]` float32 images, those of some numbers, with `images.maximum` as 1.

    Plain arrays, which state no maximum, are integers in 0..255 or floats in [0, 1].
    """
    if not hasattr(images, "maximum"):
        return arrays.unit_range(images, numbers, "images")
    return np.asarray(images[numbers], np.float32) / np.float32(images.maximum)
