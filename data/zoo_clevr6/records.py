"""Reads CLEVR with masks: the TFRecords of the Multi-Object Datasets (Kabra et al. 2019).

A record is a `tf.train.Example`, the file is compressed with GZIP. `image` `[240, 320, 3]` and
`mask` `[11, 240, 320, 1]` are lists of one-byte strings, one a number; so are the codes `shape`,
`material`, `color` and `size`, `[11]`. `x`, `y`, `rotation`, `visibility` are lists of 11 floats.
Entity 0 is the background; entities that an image does not have are not visible.
"""

import pathlib
from collections.abc import Iterator

import numpy as np

from zoo.data.renderers import clevr
from zoo.errors import SettingError

ENTITIES = 11
HEIGHT, WIDTH = 240, 320
ROWS, COLUMNS = slice(29, 221), slice(64, 256)

_CODES = ("shape", "material", "color", "size")
_NUMBERS = ("x", "y", "rotation")


def read(path: pathlib.Path, most: int = clevr.MOST) -> Iterator[tuple[np.ndarray, ...]]:
    """The scenes of a file with at most so many objects, in its order.

    Yields:
        `[128, 128, 3]` uint8 image and `[128, 128]` uint8 mask (0 is background, k the k-th
        object), cropped and brought down as `reduce` says; `[6, 7]` float32 factors in the order
        of `clevr.FACTORS`, padded with zeros, shape, material, colour and size being the codes of
        the file; and the number of objects.

    Raises:
        SettingError: the file is damaged or of another format.
    """
    import tensorflow as tf

    def visible(record):
        spec = {"visibility": tf.io.FixedLenFeature([ENTITIES], tf.float32)}
        seen = tf.io.parse_single_example(record, spec)["visibility"][1:] > 0
        return record, seen

    def parse(record, seen):
        spec = {name: tf.io.FixedLenFeature([ENTITIES], tf.float32) for name in _NUMBERS} | {
            "image": tf.io.FixedLenFeature([HEIGHT, WIDTH, 3], tf.string),
            "mask": tf.io.FixedLenFeature([ENTITIES, HEIGHT, WIDTH], tf.string),
            **{name: tf.io.FixedLenFeature([ENTITIES], tf.string) for name in _CODES},
        }
        values = tf.io.parse_single_example(record, spec)
        for name in ("image", "mask", *_CODES):
            raw = tf.io.decode_raw(values[name], tf.uint8)
            values[name] = tf.squeeze(tf.ensure_shape(raw, [*values[name].shape, 1]), -1)
        factors = tf.stack([tf.cast(values[n], tf.float32) for n in (*_CODES, *_NUMBERS)], axis=-1)
        return values["image"], values["mask"], factors[1:], seen

    scenes = tf.data.TFRecordDataset(str(path), compression_type="GZIP", buffer_size=1 << 24)
    scenes = scenes.map(visible, tf.data.AUTOTUNE, deterministic=True)
    scenes = scenes.filter(lambda _, seen: tf.reduce_sum(tf.cast(seen, tf.int32)) <= most)
    scenes = scenes.map(parse, tf.data.AUTOTUNE, deterministic=True).prefetch(8)
    try:
        for image, mask, factors, seen in scenes.as_numpy_iterator():
            yield _scene(image, mask, factors, seen, most)
    except (tf.errors.OpError, ValueError) as error:
        reason = str(getattr(error, "message", error)).splitlines()[0]
        raise SettingError(
            f"{path} is damaged or no file of CLEVR with masks: {reason}; download it again"
        ) from error


def reduce(image: np.ndarray) -> np.ndarray:
    """Crops `[240, 320, C]` to rows 29..220, columns 64..255 and brings it down to 128x128.

    Bilinear without antialiasing, as Slot Attention's pipeline (Locatello et al. 2020): of every
    three pixels in a row two are made, at 1/4 and 7/4 of the way, so the weights are quarters and
    the arithmetic is exact; halves are rounded up.
    """
    cropped = image[ROWS, COLUMNS].astype(np.uint16)
    return ((_thin(_thin(cropped).swapaxes(0, 1)).swapaxes(0, 1) + 8) >> 4).astype(np.uint8)


def _thin(image: np.ndarray) -> np.ndarray:
    first, second, third = image[0::3], image[1::3], image[2::3]
    return np.stack([3 * first + second, second + 3 * third], axis=1).reshape(-1, *image.shape[1:])


def _scene(
    image: np.ndarray, mask: np.ndarray, factors: np.ndarray, seen: np.ndarray, most: int
) -> tuple[np.ndarray, ...]:
    if not np.isin(mask, (0, 255)).all():
        raise SettingError("its masks have values other than 0 and 255")
    # The nearest neighbour of an output pixel is the outer one of its two.
    rows = np.arange(ROWS.start, ROWS.stop).reshape(-1, 3)[:, ::2].ravel()
    columns = np.arange(COLUMNS.start, COLUMNS.stop).reshape(-1, 3)[:, ::2].ravel()
    owner = mask[1:][:, rows][:, :, columns]
    owner = np.where(seen[:, None, None], owner, 0)
    numbers = np.cumsum(seen) * seen
    labels = np.where(owner.any(0), numbers[owner.argmax(0)], 0)
    count = int(seen.sum())
    padded = np.zeros((most, len(clevr.FACTORS)), np.float32)
    padded[:count] = factors[seen]
    return reduce(image), labels.astype(np.uint8), padded, count
