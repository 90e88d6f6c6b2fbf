"""dSprites as Locatello et al. 2019 vary them: sprites in a random colour, or on random noise.

    Color-dSprites: x[h, w, c] = s[h, w] u[c], u uniform on [0.5, 1]^3, one colour per image
    Noisy-dSprites: x[h, w, c] = min(1, s[h, w] + n[h, w, c]), n uniform on [0, 1]

with s the sprite, 1 inside and 0 outside ("Challenging Common Assumptions in the Unsupervised
Learning of Disentangled Representations", ICML 2019; `ColorDSprites` and `NoisyDSprites` of
google-research/disentanglement_lib at 86a644d). Theirs draw again whenever an image is
asked for; here colour and noise are fixed functions of the image's number, so that a data set is
the same bytes everywhere. Neither is a factor of the grid.
"""

import operator

import numpy as np

from zoo.data.dataset import Images
from zoo.data.noise import mixed, mixed_tensor, pixel_keys

# Counters that are multiples of it differ in all bits.
_GOLDEN = 0x9E3779B9
# Numbers of 16 bits: u / _TOP is uniform on [0, 1].
_TOP = 65535


class _Study:
    """What both have in common: 16 random bits of every image and counter.

    Implements `zoo.data.dataset.Images`; an heir says how many counters an image has, how they vary
    its key, and what is made of the bits.
    """

    _counters: np.ndarray
    _varied = staticmethod(operator.xor)

    def __init__(self, base: Images):
        self._base = base
        self.shape, self.dtype, self.maximum = (*base.shape[:3], 3), np.dtype(np.uint8), 255.0
        self.tables = base.tables
        self._ids = np.arange(len(base), dtype=np.uint32)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index) -> np.ndarray:
        ids = self._ids[index]
        flat = ids.reshape(-1)
        images = np.empty((flat.size, *self.shape[1:]), np.uint8)
        # A few images at a time stay in the processor's cache.
        for start in range(0, flat.size, 16):
            some = flat[start : start + 16]
            bits = mixed(self._varied(np.expand_dims(mixed(some), (1, 2, 3)), self._counters)) >> 16
            inside = self._base[some].astype(np.int32)
            images[start : start + 16] = self._observed(inside, bits.view(np.int32))
        return images.reshape(*ids.shape, *self.shape[1:])

    def gather(self, tables, index):
        """See `Images.gather`."""
        import tensorflow as tf

        index = tf.convert_to_tensor(index)
        key = mixed_tensor(tf.cast(index, tf.uint32))[:, None, None, None]
        bits = tf.bitwise.right_shift(
            mixed_tensor(self._varied(key, tf.constant(self._counters))),
            tf.constant(16, tf.uint32),
        )
        inside = tf.cast(self._base.gather(tables, index), tf.int32)
        return tf.cast(self._observed(inside, tf.cast(bits, tf.int32)), tf.uint8)

    def _observed(self, inside, bits):
        """`[B, 64, 64, 1]` in {0, 1} and the bits to levels in 0..255, all int32."""
        raise NotImplementedError


class ColouredSprites(_Study):
    """Color-dSprites: `[N, 64, 64, 3]` uint8; a channel is uniform on 127.5..255, rounded.

    Args:
        base: the sprites, `[N, 64, 64, 1]` in {0, 1}.
    """

    _counters = np.arange(1, 4, dtype=np.uint32) * np.uint32(_GOLDEN)
    # Sums, as ever: those of three counters an image hardly ever meet, and colours are to stay.
    _varied = staticmethod(operator.add)

    def _observed(self, inside, bits):
        return inside * ((255 * (_TOP + bits) + _TOP) // (2 * _TOP))


class NoisyBackground(_Study):
    """Noisy-dSprites: `[N, 64, 64, 3]` uint8; white sprites, and elsewhere noise on 0..255.

    Args:
        base: the sprites, `[N, 64, 64, 1]` in {0, 1}.
    """

    def __init__(self, base: Images):
        super().__init__(base)
        self._counters = pixel_keys(self.shape[1:])

    def _observed(self, inside, bits):
        level = (255 * bits + _TOP // 2) // _TOP
        return level + inside * (255 - level)
