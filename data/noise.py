"""Images with pixel noise that is a fixed function of (image number, pixel), so never stored."""

import math

import numpy as np

from zoo.errors import SettingError


class NoisyImages:
    """Uniform noise in [-amplitude, amplitude] on images in [0, 1], folded back at 0 and 1.

    x' = x + amplitude * n with n uniform in (-1, 1), then -x' below 0 and 2 - x' above 1 (the
    dissertation of Zietlow, chapter 4, ablation of the perturbation), kept as round(255 x') uint8.
    All arithmetic is on integers, with 16 random bits a pixel, so that numpy, TensorFlow and XLA
    give the same bytes: n is made of mixed(mixed(image ^ mixed(seed)) ^ mixed(pixel)), 32 bits.
    (Added instead of combined by xor, as they once were, all images would read one sequence of 2^32
    numbers, each from a place of its own, and share much of it.)

    Implements `zoo.data.dataset.Images`.

    Args:
        base: the images without noise.
        amplitude: at most 1.
        seed: which noise.

    Raises:
        SettingError: the amplitude is outside 0..1.
    """

    def __init__(self, base, amplitude: float, seed: int = 0):
        if not 0 <= amplitude <= 1:
            raise SettingError(f"the noise's amplitude must be between 0 and 1, not {amplitude}")
        self._base, self._seed = base, mixed(np.array([seed], np.uint32))
        self.shape, self.dtype, self.maximum = base.shape, np.dtype(np.uint8), 255.0
        self.tables = base.tables
        self._scale = int(255 // base.maximum)
        # One grey level is 2^20 units: the noise is +-65535 times this, and sums stay below 2^31.
        self._step = round(255 * amplitude * 16)
        self._ids = np.arange(len(base), dtype=np.uint32)
        self._pixels = pixel_keys(self.shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index) -> np.ndarray:
        ids = self._ids[index]
        flat = ids.reshape(-1)
        noisy = np.empty((flat.size, *self.shape[1:]), np.uint8)
        # A few images at a time stay in the processor's cache.
        for start in range(0, flat.size, 16):
            noisy[start : start + 16] = self._some(flat[start : start + 16])
        return noisy.reshape(*ids.shape, *self.shape[1:])

    def _some(self, ids: np.ndarray) -> np.ndarray:
        key = mixed(ids ^ self._seed)
        sign = (mixed(np.expand_dims(key, (1, 2, 3)) ^ self._pixels) >> 16).view(np.int32)
        level = self._base[ids].astype(np.int32)
        level *= self._scale << 20
        level += (sign * 2 - 65535) * self._step
        np.abs(level, out=level)
        top = 255 << 20
        np.abs(np.subtract(top, level, out=level), out=level)
        np.subtract(top + (1 << 19), level, out=level)
        return (level >> 20).astype(np.uint8)

    def gather(self, tables, index):
        """See `Images.gather`."""
        import tensorflow as tf

        index = tf.convert_to_tensor(index)
        key = mixed_tensor(tf.cast(index, tf.uint32) ^ tf.constant(self._seed))
        hashed = mixed_tensor(key[:, None, None, None] ^ tf.constant(self._pixels))
        sign = tf.cast(tf.bitwise.right_shift(hashed, tf.constant(16, tf.uint32)), tf.int32)
        base = tf.cast(self._base.gather(tables, index), tf.int32) * (self._scale << 20)
        level = tf.abs(base + (sign * 2 - 65535) * self._step)
        top = 255 << 20
        return tf.cast((top - tf.abs(top - level) + (1 << 19)) // (1 << 20), tf.uint8)


def pixel_keys(shape: tuple[int, ...]) -> np.ndarray:
    """A key of every pixel of an image, uint32, by which images' keys are varied.

    Pixels are counted down from 2^32 - 1, so that none has the number of an image: pixel p of image
    i would otherwise have the noise of pixel i of image p.
    """
    return mixed(~np.arange(math.prod(shape), dtype=np.uint32)).reshape(shape)


def mixed(x: np.ndarray) -> np.ndarray:
    """A bijection of uint32 without visible structure (C. Wellons' `lowbias32`)."""
    x = x ^ (x >> 16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> 15
    x *= np.uint32(0x846CA68B)
    x ^= x >> 16
    return x


def mixed_tensor(x):
    """`mixed` in TensorFlow, of uint32 tensors."""
    import tensorflow as tf

    def folded(x, shift):
        return tf.bitwise.bitwise_xor(x, tf.bitwise.right_shift(x, tf.constant(shift, tf.uint32)))

    x = folded(x, 16) * tf.constant(0x7FEB352D, tf.uint32)
    x = folded(x, 15) * tf.constant(0x846CA68B, tf.uint32)
    return folded(x, 16)
