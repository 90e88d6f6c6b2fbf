"""Images made of those of another data set: coloured by their domain, or half as large."""

import numpy as np

from zoo.data.dataset import Images


class ColouredImages:
    """Grey images on black in the colour of their domain, with a black margin.

    A channel c of a pixel is grey * colour[c] / 255, rounded down.

    Implements `zoo.data.dataset.Images`.

    Args:
        base: `[N, H, W, 1]` uint8 with 255 for white.
        domains: `[N]` integers, the domain of every image.
        colours: `[D, 3]` in 0..255, one a domain.
        margin: pixels added on every side.
    """

    def __init__(self, base: Images, domains: np.ndarray, colours: np.ndarray, margin: int = 0):
        count, height, width, _ = base.shape
        self._base, self._margin = base, margin
        self._colours = np.asarray(colours, np.int32)
        self.shape = (count, height + 2 * margin, width + 2 * margin, 3)
        self.dtype, self.maximum = np.dtype(np.uint8), 255.0
        self.tables = {**base.tables, "domains": np.asarray(domains, np.int32)}

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index) -> np.ndarray:
        colours = self._colours[self.tables["domains"][index]]
        inner = self._base[index].astype(np.int32) * np.expand_dims(colours, (-3, -2)) // 255
        margins = [(0, 0)] * (inner.ndim - 3) + [(self._margin,) * 2] * 2 + [(0, 0)]
        return np.pad(inner.astype(np.uint8), margins)

    def gather(self, tables, index):
        """See `Images.gather`."""
        import tensorflow as tf

        colours = tf.gather(tf.constant(self._colours), tf.gather(tables["domains"], index))
        grey = tf.cast(self._base.gather(tables, index), tf.int32)
        margins = [[0, 0], [self._margin] * 2, [self._margin] * 2, [0, 0]]
        return tf.cast(tf.pad(grey * colours[:, None, None] // 255, margins), tf.uint8)


class HalvedImages:
    """Images half as large: means of 2x2 pixels, in 0..255 whatever the maximum of the others.

    A value is `255 mean / maximum` to the nearest integer, halves up.

    Implements `zoo.data.dataset.Images`.

    Args:
        base: `[N, 2H, 2W, C]` integers.
    """

    def __init__(self, base: Images):
        count, height, width, channels = base.shape
        self._base, self._white = base, int(base.maximum)
        self.shape = (count, height // 2, width // 2, channels)
        self.dtype, self.maximum, self.tables = np.dtype(np.uint8), 255.0, base.tables

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index) -> np.ndarray:
        images = self._base[index].astype(np.int32)
        *leading, height, width, channels = images.shape
        parts = images.reshape(*leading, height // 2, 2, width // 2, 2, channels)
        sums = parts.sum((-4, -2))
        return ((255 * sums + 2 * self._white) // (4 * self._white)).astype(np.uint8)

    def gather(self, tables, index):
        """See `Images.gather`."""
        import tensorflow as tf

        images = tf.cast(self._base.gather(tables, index), tf.int32)
        _, height, width, channels = self.shape
        sums = tf.reduce_sum(tf.reshape(images, [-1, height, 2, width, 2, channels]), axis=[2, 4])
        return tf.cast((255 * sums + 2 * self._white) // (4 * self._white), tf.uint8)
